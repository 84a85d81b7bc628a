#include "benchmarks/literature.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "benchmarks/episode_suites.hpp"
#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/text.hpp"
#include "meta/kernel_transfer.hpp"
#include "meta/maml.hpp"
#include "meta/prototypes.hpp"
#include "meta/reptile.hpp"
#include "meta/ridge_meta.hpp"
#include "meta/train.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using Clock = std::chrono::steady_clock;

// What a trained learner says of an episode's query, from its support: [q,targets].
using Predict = std::function<Matrix(const tasks::Episode&)>;

struct Job {
  const Experiment& experiment;
  const tasks::EpisodeSource& source;
  Eigen::Index inputs, targets;
  std::uint64_t seed;
  JobReport& report;
};

template <class Options>
Options options_of(const Experiment& experiment, Options options = {}) {
  learners::set_options(experiment.options, experiment.learner,
                        [&](learners::OptionVisitor& on) { options.each(on); });
  return options;
}

void train(meta::MetaLearner& learner, const Job& job, int steps) {
  meta::train(
      learner, job.source, {},
      {.steps = steps, .meta_batch = static_cast<int>(job.experiment.meta_batch), .validate_every = steps},
      {.progress = [&](const meta::Progress& now) {
        job.report.done(static_cast<double>(now.step) / static_cast<double>(steps));
      }});
}

// What a net says after inner steps on the support.
Predict by_steps(const meta::NetLearner& net, meta::InnerLoop inner, std::size_t steps) {
  inner.steps = static_cast<int>(steps);
  inner.rates = net.rates();
  return [inner, shape = net.shape(), weights = net.weights()](const tasks::Episode& episode) -> Matrix {
    return learners::Mlp<double>(shape, meta::adapted(shape, weights, episode, inner))
        .forward(episode.query_x);
  };
}

meta::MamlOptions maml_options(const Experiment& experiment) {
  meta::MamlOptions options;
  options.inner.first_order = experiment.learner == "fomaml";
  if (experiment.learner == "meta-sgd") options.learned_rates = meta::LearnedRates::per_parameter;
  if (experiment.learner == "anil") options.adapted_layers = 1;
  options.net.activation = learners::Activation::relu;
  return options_of(experiment, options);
}

Predict train_maml(const Job& job) {
  const auto options = maml_options(job.experiment);
  const auto shape =
      meta::net_shape(job.inputs, options.net.hidden, static_cast<int>(job.targets), options.net.activation);
  meta::Maml maml(job.experiment.name, shape, meta::initial_weights(shape, job.seed, 0), options);
  train(maml, job, options.max_steps);
  return by_steps(maml, options.inner, job.experiment.test_steps);
}

Predict train_reptile(const Job& job) {
  meta::ReptileOptions options;
  options.inner_clip = std::numeric_limits<double>::infinity();
  options.net.activation = learners::Activation::tanh;
  options = options_of(job.experiment, options);
  const auto shape =
      meta::net_shape(job.inputs, options.net.hidden, static_cast<int>(job.targets), options.net.activation);
  meta::Reptile reptile(job.experiment.name, shape, meta::initial_weights(shape, job.seed, 0), options,
                        job.seed);
  train(reptile, job, options.max_steps);
  return by_steps(reptile, {.rate = options.inner_rate}, job.experiment.test_steps);
}

meta::RidgeMetaOptions ridge_options(const Experiment& experiment) {
  meta::RidgeMetaOptions options;
  if (experiment.learner == "r2d2") options.loss = meta::RidgeLoss::squared;
  return options_of(experiment, options);
}

Predict train_ridge(const Job& job) {
  const auto options = ridge_options(job.experiment);
  const auto shape = meta::net_shape(job.inputs, options.hidden, options.features, options.activation);
  const auto ridge = std::make_shared<meta::RidgeMeta>(
      job.experiment.name, shape, meta::RidgeMeta::untrained(shape, job.seed, 0, options.prior), options);
  train(*ridge, job, options.max_steps);
  return [ridge](const tasks::Episode& episode) { return ridge->predict(episode).mean; };
}

Predict train_kernel(const Job& job) {
  const auto options = options_of<meta::KernelTransferOptions>(job.experiment);
  const auto kernel =
      std::make_shared<meta::KernelTransfer>(job.experiment.name, job.inputs, options, job.seed);
  train(*kernel, job, options.max_steps);
  return [kernel](const tasks::Episode& episode) { return kernel->predict(episode).mean; };
}

Predict train_prototypes(const Job& job) {
  const auto options = options_of<meta::PrototypesOptions>(job.experiment);
  const auto prototypes =
      std::make_shared<meta::Prototypes>(job.experiment.name, job.inputs, job.targets, options, job.seed);
  train(*prototypes, job, options.max_steps);
  return [prototypes](const tasks::Episode& episode) { return prototypes->predict(episode); };
}

struct Kind {
  const char* name;
  Predict (*train)(const Job&);
  void (*check)(const Experiment&);  // throws std::invalid_argument for options that it does not have
  bool takes_steps;                  // at test time
  bool one_target, needs_classes;
};
constexpr auto kCheckMaml = [](const Experiment& e) {
  if (maml_options(e).inner.loss == meta::EpisodeLoss::cross_entropy && !e.classes)
    throw std::invalid_argument("loss=cross-entropy needs family = gaussian-classes");
};
constexpr auto kCheckRidge = [](const Experiment& e) { ridge_options(e); };
const Kind kKinds[] = {
    {"maml", train_maml, kCheckMaml, true, false, false},
    {"fomaml", train_maml, kCheckMaml, true, false, false},
    {"meta-sgd", train_maml, kCheckMaml, true, false, false},
    {"anil", train_maml, kCheckMaml, true, false, false},
    {"reptile", train_reptile, [](const Experiment& e) { options_of<meta::ReptileOptions>(e); }, true, false,
     false},
    {"alpaca", train_ridge, kCheckRidge, false, true, false},
    {"r2d2", train_ridge, kCheckRidge, false, true, false},
    {"dkt", train_kernel, [](const Experiment& e) { options_of<meta::KernelTransferOptions>(e); }, false,
     true, false},
    {"prototypes", train_prototypes, [](const Experiment& e) { options_of<meta::PrototypesOptions>(e); },
     false, false, true},
};

const Kind& kind_of(const std::string& learner) {
  for (const auto& kind : kKinds)
    if (learner == kind.name) return kind;
  throw std::invalid_argument("unknown learner '" + learner + "', known are: " +
                              hw::join(kKinds, ", ", [](const Kind& kind) { return kind.name; }) +
                              hw::did_you_mean(learner, kKinds, &Kind::name));
}

// Share of the rows whose greatest score is not that of their class, %.
double error_rate(const Matrix& scores, const Matrix& classes) {
  Eigen::Index wrong = 0;
  for (Eigen::Index row = 0; row < scores.rows(); ++row) {
    Eigen::Index found = 0, own = 0;
    scores.row(row).maxCoeff(&found);
    classes.row(row).maxCoeff(&own);
    if (found != own) ++wrong;
  }
  return 100.0 * static_cast<double>(wrong) / static_cast<double>(scores.rows());
}

double error_of(const Experiment& experiment, const Matrix& predicted, const Matrix& truth) {
  if (!predicted.allFinite()) return std::numeric_limits<double>::infinity();
  return experiment.classes ? error_rate(predicted, truth)
                            : (predicted - truth).squaredNorm() / static_cast<double>(truth.size());
}

std::unique_ptr<tasks::EpisodeSource> source_of(const Experiment& experiment, const Rows& rows,
                                                std::uint64_t seed) {
  if (experiment.classes) return std::make_unique<ClassSource>(experiment.gaussians, rows, seed);
  return std::make_unique<SineSource>(experiment.sines, rows, seed);
}

// Draws of test tasks are no draws of training.
constexpr std::uint64_t kTestSeed = 0x7e57;

std::vector<LiteratureScore> run_experiment(const Experiment& experiment, std::uint64_t seed,
                                            JobReport& report) {
  const auto begin = Clock::now();
  const auto source = source_of(experiment, experiment.train, seed);
  const Eigen::Index inputs =
      experiment.classes ? static_cast<Eigen::Index>(experiment.gaussians.dimensions) : 1;
  const Eigen::Index targets = experiment.classes ? static_cast<Eigen::Index>(experiment.gaussians.ways) : 1;
  const auto predict =
      kind_of(experiment.learner).train({experiment, *source, inputs, targets, seed, report});
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<LiteratureScore> scores;
  for (std::size_t i = 0; i < experiment.shots.size(); ++i) {
    const auto shots = experiment.shots[i];
    const Rows rows{shots, shots, experiment.test_query};
    const auto tests = source_of(experiment, rows, seed ^ kTestSeed);
    const ClassSource family(experiment.gaussians, rows, seed);
    std::vector<double> ours, best;
    for (std::uint64_t task = 0; task < experiment.test_tasks; ++task) {
      const auto episode = tests->draw(task, 0);
      ours.push_back(error_of(experiment, predict(episode), episode.query_y));
      if (experiment.classes) best.push_back(error_rate(family.optimum(episode), episode.query_y));
    }
    const auto [error, ci95] = mean_error(ours);
    scores.push_back({experiment.name, experiment.learner, shots, error, ci95,
                      experiment.published.empty() ? mean_error(best).mean : experiment.published[i],
                      experiment.tolerance[i], seconds});
  }
  return scores;
}

// ---- the file

std::vector<double> numbers(const IniSection& section, const std::string& key, std::size_t count) {
  const std::string expected =
      count == 1 ? "a number from 0" : std::to_string(count) + " numbers from 0, separated by commas";
  std::vector<double> values;
  for (const auto& part : cut(section.text(key), ',')) {
    double value = 0;
    if (!datasets::parse_number(part, value) || !(value >= 0) || !std::isfinite(value))
      refuse(section, key, expected);
    values.push_back(value);
  }
  if (values.size() != count) refuse(section, key, expected);
  return values;
}

void read_range(const IniSection& section, const std::string& key, std::array<double, 2>& range) {
  if (section.find(key) == nullptr) return;
  const auto parts = cut(section.text(key), ',');
  if (parts.size() != 2 || !datasets::parse_number(parts[0], range[0]) ||
      !datasets::parse_number(parts[1], range[1]) || !std::isfinite(range[0]) || !std::isfinite(range[1]) ||
      range[0] > range[1])
    refuse(section, key, "two numbers, the lower one first");
}

std::size_t count_or(const IniSection& section, const std::string& key, std::size_t fallback) {
  return section.find(key) != nullptr ? count_of(section, key) : fallback;
}

void read_family(const IniSection& section, Experiment& experiment) {
  const auto family = section.text("family");
  experiment.classes = family == "gaussian-classes";
  if (!experiment.classes && family != "sines") refuse(section, "family", "sines or gaussian-classes");
  const auto no_key_of_the_other = [&](std::initializer_list<const char*> keys) {
    for (const auto* key : keys)
      if (section.find(key) != nullptr) refuse(section, key, "no such key with family = " + family);
  };
  if (experiment.classes) {
    no_key_of_the_other({"amplitude", "frequency", "phase", "x", "noise", "unit_x"});
    auto& g = experiment.gaussians;
    g.ways = count_or(section, "ways", g.ways);
    g.dimensions = count_or(section, "dimensions", g.dimensions);
    g.informative = count_or(section, "informative", g.informative);
    if (section.find("spread") != nullptr) g.spread = positive(section, "spread");
    if (g.ways < 2 || g.ways > 1000) refuse(section, "ways", "2 to 1000 classes");
    if (g.dimensions > 4096) refuse(section, "dimensions", "at most 4096");
    if (g.informative > g.dimensions)
      refuse(section, "informative", "at most as many as there are dimensions");
  } else {
    no_key_of_the_other({"ways", "dimensions", "informative", "spread"});
    auto& s = experiment.sines;
    read_range(section, "amplitude", s.amplitude);
    read_range(section, "frequency", s.frequency);
    read_range(section, "phase", s.phase);
    read_range(section, "x", s.x);
    if (section.find("noise") != nullptr) s.noise = numbers(section, "noise", 1)[0];
    if (section.find("unit_x") != nullptr) s.unit_x = positive(section, "unit_x");
  }
}

Experiment read_experiment(const IniSection& section) {
  section.check_keys({"source",      "learner",     "options",    "meta_batch", "train_support",
                      "train_query", "shots",       "test_steps", "test_tasks", "test_query",
                      "published",   "tolerance",   "family",     "amplitude",  "frequency",
                      "phase",       "x",           "noise",      "unit_x",     "ways",
                      "dimensions",  "informative", "spread"});
  Experiment experiment;
  experiment.name = section.name.substr(section.name.find(' ') + 1);
  experiment.source = section.text("source");
  experiment.learner = section.text("learner");
  read_family(section, experiment);
  std::istringstream words(section.text_or("options", ""));
  const auto& kind =
      parse_key(section, "learner", [&](const auto&) -> const Kind& { return kind_of(experiment.learner); });
  parse_key(section, "options", section.text_or("options", ""), [&](const auto&) {
    for (std::string word; words >> word;) learners::add_setting(experiment.options, word);
    kind.check(experiment);
    return 0;
  });
  if (kind.one_target && experiment.classes) refuse(section, "family", "sines with this learner");
  if (kind.needs_classes && !experiment.classes)
    refuse(section, "family", "gaussian-classes with this learner");
  experiment.meta_batch = count_of(section, "meta_batch");
  const auto support = parse_key(section, "train_support", parse_counts);
  if (support.size() > 2 || (support.size() == 2 && support[0] > support[1]))
    refuse(section, "train_support", "a number of rows, or the least and the most");
  experiment.train = {support.front(), support.back(), count_of(section, "train_query")};
  experiment.shots = parse_key(section, "shots", parse_counts);
  if (kind.takes_steps) experiment.test_steps = count_of(section, "test_steps");
  if (!kind.takes_steps && section.find("test_steps") != nullptr)
    refuse(section, "test_steps", "no such key with this learner");
  experiment.test_tasks = count_of(section, "test_tasks");
  if (experiment.test_tasks < 2) refuse(section, "test_tasks", "at least 2, for a confidence interval");
  experiment.test_query = count_of(section, "test_query");
  const auto n = experiment.shots.size();
  if (section.text("published") != "optimum")
    experiment.published = numbers(section, "published", n);
  else if (!experiment.classes)
    refuse(section, "published", "figures; only gaussian-classes have an optimum");
  experiment.tolerance = numbers(section, "tolerance", n);
  return experiment;
}

}  // namespace

bool LiteratureScore::within() const {
  return std::abs(error - published) <= tolerance;
}

std::string LiteratureScore::title() const {
  return experiment + ", " + counted(shots, "shot");
}

bool is_literature_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto* head = file.find("suite");
  return head != nullptr && head->text_or("kind", "") == "literature";
}

LiteratureSuite read_literature_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name", "kind"});
  LiteratureSuite suite{path, head.text("name"), {}};
  for (const auto& section : file.sections) {
    if (section.name == "suite") continue;
    if (!section.name.starts_with("experiment "))
      throw DataError(section.where + ": expected [suite] or [experiment NAME]");
    suite.experiments.push_back(read_experiment(section));
  }
  if (suite.experiments.empty()) throw DataError(path + ": expected a section [experiment NAME]");
  return suite;
}

void keep_experiments(LiteratureSuite& suite, const std::vector<std::string>& names) {
  std::vector<Experiment> kept;
  for (const auto& name : names) {
    const auto found = std::find_if(suite.experiments.begin(), suite.experiments.end(),
                                    [&](const auto& experiment) { return experiment.name == name; });
    if (found == suite.experiments.end())
      throw std::invalid_argument("unknown experiment '" + name + "', known are: " +
                                  hw::join(suite.experiments, ", ", [](const auto& e) { return e.name; }) +
                                  hw::did_you_mean(name, suite.experiments, &Experiment::name));
    kept.push_back(*found);
  }
  suite.experiments = std::move(kept);
}

std::vector<LiteratureScore> run_literature(const LiteratureSuite& suite, const RunOptions& options,
                                            const Progress& progress) {
  std::vector<std::vector<LiteratureScore>> scores(suite.experiments.size());
  run_reporting(scores.size(), options, progress, [&](std::size_t i, JobReport& report) {
    const auto& experiment = suite.experiments[i];
    try {
      scores[i] = run_experiment(experiment, options.seed, report);
    } catch (const meta::Diverged& e) {
      throw std::runtime_error("experiment " + experiment.name + ": " + e.what());
    }
    for (const auto& score : scores[i])
      report.log(score.title() + ": " + figure("%.4g", score.error) + " ± " + figure("%.2g", score.ci95) +
                 ", published " + figure("%.4g", score.published) + " ± " + figure("%.2g", score.tolerance));
  });
  std::vector<LiteratureScore> all;
  for (const auto& part : scores) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace fewwatt::benchmarks
