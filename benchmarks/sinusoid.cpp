#include "benchmarks/sinusoid.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <stdexcept>
#include <string_view>

#include "benchmarks/episode_suites.hpp"
#include "benchmarks/metrics.hpp"
#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/text.hpp"
#include "learners/checkpoint.hpp"
#include "meta/train.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using meta::Matrix;
using meta::Vector;
using Clock = std::chrono::steady_clock;

constexpr double kLow = -5, kHigh = 5;     // of x
constexpr double kLeast = 0.1, kMost = 5;  // of the amplitude
constexpr std::array<std::string_view, 6> kLearners = {"random-init", "pretrain", "reptile",
                                                       "fomaml",      "maml",     "meta-sgd"};
constexpr double kRateClamp = 10;

Matrix draw_points(hw::Rng& rng, std::size_t count) {
  Matrix x(static_cast<Eigen::Index>(count), 1);
  for (double& value : x.reshaped()) value = rng.uniform(kLow, kHigh);
  return x;
}

// `count` points, evenly from the lowest x to the highest.
Matrix even_points(std::size_t count) {
  return Vector::LinSpaced(static_cast<Eigen::Index>(count), kLow, kHigh);
}

// Weights ~ N(0, 0.01^2), those beyond two standard deviations drawn again; biases 0. As Finn's code has it.
Vector small_weights(const learners::MlpShape& shape, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "sinusoid/weights");
  Vector parameters = Vector::Zero(static_cast<Eigen::Index>(shape.num_parameters()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const auto start = static_cast<Eigen::Index>(shape.offset(l));
    for (auto& weight : parameters.segment(start, shape.sizes[l] * shape.sizes[l + 1])) {
      do weight = rng.normal();
      while (std::abs(weight) > 2);
      weight *= 0.01;
    }
  }
  return parameters;
}

// What a learner gives a new task: a net to start from, and gradient steps of one rate or of learned ones.
struct Start {
  learners::MlpShape shape;
  Vector weights;
  double rate = 0;
  Matrix rates = {};  // of each parameter, instead of `rate`; [0,0] for none
};

Start untrained(const SinusoidSuite& suite, std::uint64_t seed) {
  const auto shape = meta::net_shape(1, suite.hidden, 1, learners::Activation::relu);
  return {shape, small_weights(shape, seed), suite.inner.rate};
}

meta::MamlOptions maml_options(const SinusoidSuite& suite, const std::string& learner) {
  meta::MamlOptions options;
  options.inner = suite.inner;
  options.inner.first_order = learner == "fomaml";
  if (learner == "meta-sgd") options.learned_rates = meta::LearnedRates::per_parameter;
  options.rate_clamp = kRateClamp;
  options.outer_rate = suite.outer_rate;
  options.max_steps = static_cast<int>(suite.train_steps);
  options.clip_norm = suite.clip_norm;
  if (learner == "pretrain") {
    options.inner.steps = 0;
    options.clip_norm = std::numeric_limits<double>::infinity();
  }
  return options;
}

Start train(const SinusoidSuite& suite, const std::string& learner, std::size_t shots, std::uint64_t seed,
            JobReport& report) {
  auto start = untrained(suite, seed);
  if (learner == "random-init") return start;
  std::unique_ptr<meta::NetLearner> net;
  std::unique_ptr<tasks::EpisodeSource> source;
  auto steps = suite.train_steps, meta_batch = suite.meta_batch;
  if (learner == "reptile") {
    start.shape = meta::net_shape(1, suite.reptile.net.hidden, 1, suite.reptile.net.activation);
    start.rate = suite.reptile.inner_rate;
    auto rng = hw::Rng::stream(seed, "sinusoid/weights");
    net = std::make_unique<meta::Reptile>(learner, start.shape, learners::random_parameters(start.shape, rng),
                                          suite.reptile, seed);
    source = std::make_unique<EvenSineEpisodes>(seed, suite.reptile_points);
    steps = static_cast<std::size_t>(suite.reptile.max_steps);
    meta_batch = suite.reptile_batch;
  } else {
    net = std::make_unique<meta::Maml>(learner, start.shape, start.weights, maml_options(suite, learner));
    // Without inner steps only query points are learned from: all that the others see.
    source = learner == "pretrain" ? std::make_unique<SineEpisodes>(seed, 1, 2 * shots)
                                   : std::make_unique<SineEpisodes>(seed, shots, shots);
  }
  const auto all = static_cast<int>(steps);
  meta::train(
      *net, *source, {}, {.steps = all, .meta_batch = static_cast<int>(meta_batch), .validate_every = all},
      {.progress = [&](const meta::Progress& now) { report.done(static_cast<double>(now.step) / all); }});
  start.weights = net->weights();
  start.rates = net->rates();
  return start;
}

// Adds the losses of one test task, and, of the first one, its curves.
void test(const Start& start, const SineTask& task, std::vector<SinusoidScore::AfterSteps>& after) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto& [support_x, support_y, query_x, query_y, name] = task.episode;
  Vector weights = start.weights;
  std::size_t done = 0;
  for (auto& at : after) {
    const learners::FineTuneOptions sgd{.optimizer = learners::Optimizer::sgd,
                                        .steps = static_cast<int>(at.steps - done),
                                        .rate = start.rates.size() > 0 ? 1.0 : start.rate,
                                        .stop_rms = 0};
    const auto net =
        learners::fine_tune<float>(start.shape, weights, sgd, 1.0, support_x, support_y, start.rates);
    weights = net.parameters().cast<double>();
    done = at.steps;
    const Matrix residual = net.forward(query_x.cast<float>()).template cast<double>() - query_y;
    const double loss = residual.squaredNorm() / static_cast<double>(residual.size());
    at.task_losses.push_back(weights.allFinite() && std::isfinite(loss) ? loss : kInfinity);
    if (at.task_losses.size() > 1) continue;
    const Matrix curve = net.forward(sinusoid_grid().cast<float>()).template cast<double>();
    at.curve.assign(curve.data(), curve.data() + curve.size());
  }
}

void summarise(SinusoidScore::AfterSteps& at) {
  const auto [mean, ci95] = mean_error(at.task_losses);
  at.mean = mean;
  at.ci95 = ci95;
  at.median = median(at.task_losses);
}

// ---- the file

// Sizes of layers; other than in parse_counts(), two may be alike.
std::vector<int> hidden_layers(const IniSection& section) {
  std::vector<int> sizes;
  for (const auto& part : cut(section.text("hidden"), ',')) {
    double size = 0;
    if (!datasets::parse_number(part, size) || size < 1 || size > learners::kMostWidth ||
        size != std::floor(size))
      refuse(section, "hidden", "sizes of layers as 40, 40");
    sizes.push_back(static_cast<int>(size));
  }
  return sizes;
}

// Ascending whole numbers from 0.
std::vector<std::size_t> step_counts(const IniSection& section) {
  const char* expected = "ascending whole numbers from 0";
  std::vector<std::size_t> steps;
  for (const auto& part : parse_key(section, "test_steps", parse_list)) {
    double value = 0;
    if (!datasets::parse_number(part, value) || value < 0 || value > 1e6 || value != std::floor(value) ||
        (!steps.empty() && value <= static_cast<double>(steps.back())))
      refuse(section, "test_steps", expected);
    steps.push_back(static_cast<std::size_t>(value));
  }
  return steps;
}

void read_reptile(const IniSection& section, SinusoidSuite& suite) {
  section.check_keys({"hidden", "train_steps", "meta_batch", "points", "inner_batch", "inner_steps",
                      "inner_rate", "outer_rate"});
  auto& reptile = suite.reptile;
  reptile.net.hidden = hidden_layers(section);
  reptile.net.activation = learners::Activation::tanh;
  reptile.max_steps = static_cast<int>(count_of(section, "train_steps"));
  reptile.inner_steps = static_cast<int>(count_of(section, "inner_steps"));
  reptile.inner_batch = static_cast<int>(count_of(section, "inner_batch"));
  reptile.inner_rate = positive(section, "inner_rate");
  reptile.outer_rate = positive(section, "outer_rate");
  reptile.inner_optimizer = learners::Optimizer::sgd;
  reptile.inner_clip = std::numeric_limits<double>::infinity();
  suite.reptile_batch = count_of(section, "meta_batch");
  suite.reptile_points = count_of(section, "points");
  if (suite.reptile_points < 2) refuse(section, "points", "at least 2");
}

void check_has_reptile(const SinusoidSuite& suite) {
  const bool runs =
      std::find(suite.learners.begin(), suite.learners.end(), "reptile") != suite.learners.end();
  if (runs && suite.reptile_batch == 0)
    throw DataError(suite.path + ": the learner reptile needs a section [reptile]");
}

}  // namespace

Sine Sine::at(double amplitude_part, double phase_part) {
  return {kLeast + (kMost - kLeast) * amplitude_part, std::numbers::pi * phase_part};
}

Sine Sine::draw(hw::Rng& rng) {
  const double amplitude_part = rng.uniform();
  return at(amplitude_part, rng.uniform());
}

Matrix Sine::operator()(const Matrix& x) const {
  return (amplitude * (x.array() - phase).sin()).matrix();
}

SineTask SineTask::draw(const Sine& sine, hw::Rng& rng, std::size_t support, std::size_t query) {
  SineTask task{sine, {}};
  task.episode.name = "sine curve";
  task.episode.query_x = draw_points(rng, query);
  task.episode.support_x = draw_points(rng, support);
  task.episode.query_y = sine(task.episode.query_x);
  task.episode.support_y = sine(task.episode.support_x);
  return task;
}

tasks::Episode SineEpisodes::draw(std::uint64_t step, std::uint64_t number) const {
  return batch(step, static_cast<std::size_t>(number) + 1).back();
}

std::vector<tasks::Episode> SineEpisodes::batch(std::uint64_t step, std::size_t count) const {
  auto rng = hw::Rng::stream(seed_, "sinusoid/train", step);
  std::vector<tasks::Episode> episodes;
  for (std::size_t i = 0; i < count; ++i)
    episodes.push_back(SineTask::draw(Sine::draw(rng), rng, support_, query_).episode);
  return episodes;
}

tasks::Episode EvenSineEpisodes::draw(std::uint64_t step, std::uint64_t number) const {
  auto rng = tasks::episode_rng(seed_, "sinusoid/even", step, number);
  const auto sine = Sine::draw(rng);
  const Matrix x = even_points(points_), y = sine(x);
  const auto every_other = [](Eigen::Index first, Eigen::Index n) {
    return Eigen::seqN(first, (n - first + 1) / 2, 2);
  };
  const auto in_support = every_other(0, x.rows()), in_query = every_other(1, x.rows());
  return {x(in_support, Eigen::all), y(in_support, Eigen::all), x(in_query, Eigen::all),
          y(in_query, Eigen::all), "sine curve"};
}

Matrix sinusoid_grid() {
  return even_points(101);
}

std::vector<SineTask> SinusoidSuite::draw_test_tasks(std::uint64_t seed, std::size_t support) const {
  auto order = hw::Rng::stream(seed, "sinusoid/test curves");
  const auto amplitudes = order.sample(test_tasks, test_tasks), phases = order.sample(test_tasks, test_tasks);
  const auto n = static_cast<double>(test_tasks);
  std::vector<SineTask> drawn;
  for (std::size_t i = 0; i < test_tasks; ++i) {
    auto rng = hw::Rng::stream(seed, "sinusoid/test", i);
    const double amplitude_part = (static_cast<double>(amplitudes[i]) + rng.uniform()) / n;
    const auto sine = Sine::at(amplitude_part, (static_cast<double>(phases[i]) + rng.uniform()) / n);
    drawn.push_back(SineTask::draw(sine, rng, support, test_query > 0 ? test_query : support));
  }
  return drawn;
}

bool is_sinusoid_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto* head = file.find("suite");
  return head != nullptr && head->text_or("kind", "") == "sinusoid";
}

void check_sinusoid_learner(const std::string& name) {
  if (std::find(kLearners.begin(), kLearners.end(), name) == kLearners.end())
    throw std::invalid_argument("unknown learner '" + name + "', known are: " + hw::join(kLearners) +
                                hw::did_you_mean(name, kLearners));
}

SinusoidSuite read_sinusoid_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name", "kind", "learners", "shots", "test_steps", "test_tasks", "test_query",
                   "train_steps", "meta_batch", "hidden", "inner_steps", "inner_rate", "outer_rate",
                   "clip_norm"});
  SinusoidSuite suite;
  suite.path = path;
  suite.name = head.text("name");
  suite.learners = parse_key(head, "learners", parse_list);
  for (const auto& learner : suite.learners)
    parse_key(head, "learners", [&](const auto&) { check_sinusoid_learner(learner); });
  suite.shots = parse_key(head, "shots", parse_counts);
  suite.test_steps = step_counts(head);
  suite.test_tasks = count_of(head, "test_tasks");
  if (suite.test_tasks < 2) refuse(head, "test_tasks", "at least 2, for a confidence interval");
  if (head.find("test_query") != nullptr) suite.test_query = count_of(head, "test_query");
  suite.train_steps = count_of(head, "train_steps");
  suite.meta_batch = count_of(head, "meta_batch");
  suite.hidden = hidden_layers(head);
  suite.inner.steps = static_cast<int>(count_of(head, "inner_steps"));
  suite.inner.rate = positive(head, "inner_rate");
  suite.outer_rate = positive(head, "outer_rate");
  if (head.find("clip_norm") != nullptr) suite.clip_norm = positive(head, "clip_norm");
  for (const auto& section : file.sections) {
    if (section.name == "suite") continue;
    if (section.name != "reptile") throw DataError(section.where + ": expected [suite] or [reptile]");
    read_reptile(section, suite);
  }
  check_has_reptile(suite);
  return suite;
}

std::vector<SinusoidScore> run_sinusoid(const SinusoidSuite& suite, const RunOptions& options,
                                        const Progress& progress) {
  check_has_reptile(suite);
  std::vector<SinusoidScore> scores;
  for (const auto shots : suite.shots)
    for (const auto& learner : suite.learners) {
      auto& score = scores.emplace_back();
      score.learner = learner;
      score.shots = shots;
    }

  run_reporting(scores.size(), options, progress, [&](std::size_t i, JobReport& report) {
    auto& score = scores[i];
    const auto begin = Clock::now();
    Start start;
    try {
      start = train(suite, score.learner, score.shots, options.seed, report);
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(counted(score.shots, "point") + ": " + e.what());
    }
    score.train_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    for (const auto steps : suite.test_steps) score.after.emplace_back().steps = steps;
    for (const auto& task : suite.draw_test_tasks(options.seed, score.shots)) test(start, task, score.after);
    for (auto& at : score.after) summarise(at);
    report.done(1);
    if (score.train_seconds > 1)
      report.log(score.learner + ", " + counted(score.shots, "point") + ": trained in " +
                 figure("%.0f", score.train_seconds) + " s, error after " +
                 counted(score.after.back().steps, "step") + " " + figure("%.3f", score.after.back().mean));
  });
  return scores;
}

}  // namespace fewwatt::benchmarks
