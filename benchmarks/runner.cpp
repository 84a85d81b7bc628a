#include "benchmarks/runner.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "benchmarks/jobs.hpp"
#include "datasets/generate.hpp"
#include "datasets/replay_device.hpp"
#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "learners/optimize/choose.hpp"
#include "learners/transfer.hpp"

namespace fewwatt::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a learner does may be anybody's code: what(exception) when it throws, "" when it does not.
template <class Work>
std::string failure_of(const Work& work) {
  try {
    work();
    return "";
  } catch (const std::exception& e) {
    return *e.what() != '\0' ? e.what() : "an exception without a message";
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

// What all parts of a run share.
struct Run {
  const Suite& suite;
  const RunOptions& options;
  const meta::Registry& registry;
};

// A learner of one split, ready to adapt, or what it failed with before.
struct Contestant {
  std::string name;
  std::shared_ptr<const learners::Learner> learner;
  std::optional<learners::Checkpoint> checkpoint;  // of one that needs training
  std::optional<double> train_seconds;             // of one that was trained here
  bool takes_no_rows = false;                      // learners::needs_no_rows()
  std::string failure = {};
};

struct SplitRun {
  const SplitRule* rule;
  tasks::Split profiles;
  std::vector<datasets::Profile> population;  // simulated
  std::vector<Contestant> contestants;
};

Contestant contestant_of(const Run& run, const std::string& name, learners::Checkpoint checkpoint,
                         std::optional<double> train_seconds) {
  const auto settings = settings_of(run.suite, parse_learner(name), run.registry).adapt;
  auto learner = learners::make_learner(checkpoint, settings, run.registry);
  const bool takes_no_rows = learners::needs_no_rows(checkpoint, run.registry);
  return {name, std::move(learner), std::move(checkpoint), train_seconds, takes_no_rows};
}

// Throws std::runtime_error for one that failed.
const learners::Checkpoint& checkpoint_of(const Contestant& contestant) {
  if (!contestant.checkpoint)
    throw std::runtime_error("it starts from " + contestant.name + ", which failed");
  return *contestant.checkpoint;
}

// The training profiles that a learner's name asks for.
std::vector<datasets::Profile> corpus(const std::vector<datasets::Profile>& training,
                                      const LearnerName& learner, std::uint64_t seed) {
  if (learner.workloads == 0) return training;
  const auto wanted = learner.workloads + learner.added;
  auto rng = hw::Rng::stream(seed, "corpus workloads");
  auto order = rng.sample(training.size(), training.size());
  order.resize(wanted);
  std::vector<datasets::Profile> profiles;
  for (const auto i : order) {
    profiles.push_back(training[i]);
    auto& profile = profiles.back();
    if (learner.modes == 0 || learner.modes >= profile.modes.size()) continue;
    auto rows_rng = hw::Rng::stream(seed, "corpus modes of " + profile.device + '/' + profile.workload);
    auto rows = rows_rng.sample(profile.modes.size(), learner.modes);
    std::sort(rows.begin(), rows.end());
    profile = datasets::subset(profile, rows);
  }
  return profiles;
}

// Those of workloads for which a split has too few. Throws std::runtime_error.
void check_corpus(const Run& run, const SplitRun& split) {
  for (const auto& name : run.suite.learners) {
    const auto learner = parse_learner(name);
    if (learner.workloads + learner.added > split.profiles.train.size())
      throw std::runtime_error("learner " + name + ", split " + split.rule->name + ": there are " +
                               std::to_string(split.profiles.train.size()) + " training workloads");
  }
}

// `init` is the trained learner of the name start(), where this one goes on from it.
Contestant train(const Run& run, const SplitRun& split, const std::string& name,
                 const std::optional<learners::Checkpoint>& init,
                 const std::function<void(const std::string&)>& log) {
  const auto& [suite, options, registry] = run;
  const auto parsed = parse_learner(name);
  const auto settings = settings_of(suite, parsed, registry);
  if (parsed.training == LearnerName::Training::none ||
      registry.meta_learners.look_up(parsed.base) == nullptr)
    return {name, learners::make_learner(parsed.base, settings.adapt, registry), std::nullopt, std::nullopt};
  const auto start = Clock::now();
  meta::InitializerRequest request{.name = parsed.base, .seed = options.seed, .settings = settings.train};
  if (suite.train_steps > 0) request.settings["steps"] = std::to_string(suite.train_steps);
  auto shots = suite.shots;
  std::erase(shots, std::size_t{0});  // without a measured mode there is nothing to fine-tune
  if (!shots.empty()) request.shots = std::move(shots);
  if (parsed.training == LearnerName::Training::both) request.also = split.population;
  if (parsed.added > 0) request.init = init;
  const auto profiles = parsed.training == LearnerName::Training::simulated
                            ? split.population
                            : corpus(split.profiles.train, parsed, options.seed);
  const std::string prefix = "split " + split.rule->name + ", " + name + ": ";
  auto checkpoint = meta::train_initializer(
      request, profiles, [&](const std::string& text) { log(prefix + text); }, registry);
  const double seconds = seconds_since(start);
  log(prefix + "trained in " + std::to_string(std::lround(seconds)) + " s");
  return contestant_of(run, name, std::move(checkpoint), seconds);
}

// Where the training of each of the suite's learners starts, as its position among them: its own, or that of the one it is the
// twin of.
std::vector<std::size_t> trained_as_of(const Run& run) {
  const auto& suite = run.suite;
  std::vector<std::size_t> trained_as(suite.learners.size());
  for (std::size_t i = 0; i < trained_as.size(); ++i) {
    const auto learner = parse_learner(suite.learners[i]);
    const auto* facts = run.registry.meta_learners.look_up(learner.base);
    const auto twin =
        facts == nullptr || facts->twin_of.empty() || suite.settings.contains(learner.base) ||
                suite.settings.contains(facts->twin_of)
            ? suite.learners.end()
            : std::find(suite.learners.begin(), suite.learners.end(), learner.with_base(facts->twin_of));
    trained_as[i] =
        twin == suite.learners.end() ? i : static_cast<std::size_t>(twin - suite.learners.begin());
  }
  return trained_as;
}

// Trains the contestants of all splits, or notes what they failed with.
void train_all(const Run& run, std::vector<SplitRun>& splits, std::size_t threads,
               const std::function<void(const std::string&)>& log) {
  const auto& names = run.suite.learners;
  const auto trained_as = trained_as_of(run);
  // Calls make(), which gives the contestant of this number.
  const auto prepare = [&](SplitRun& split, std::size_t i, const auto& make) {
    Contestant& contestant = split.contestants[i];
    contestant.name = names[i];
    const auto failure = failure_of([&] { contestant = make(); });
    if (failure.empty()) return;
    contestant.failure = "it could not be prepared: " + failure;
    log("split " + split.rule->name + ", learner " + contestant.name + ": " + contestant.failure);
  };
  // Those that add to another's training come after it.
  for (const bool adding : {false, true}) {
    run_jobs(splits.size() * names.size(), threads, [&](std::size_t i) {
      SplitRun& split = splits[i / names.size()];
      const std::size_t learner = i % names.size();
      const auto start = parse_learner(names[learner]).start();
      if (trained_as[learner] != learner || start.empty() == adding) return;
      prepare(split, learner, [&] {
        std::optional<learners::Checkpoint> init;
        // Look only at the one that it starts from: it is finished, while others may still be in training.
        for (std::size_t other = 0; adding && other < names.size(); ++other)
          if (names[other] == start) init = checkpoint_of(split.contestants[trained_as[other]]);
        return train(run, split, names[learner], init, log);
      });
    });
  }
  for (auto& split : splits)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (trained_as[i] != i)
        prepare(split, i, [&] {
          const auto& trained = checkpoint_of(split.contestants[trained_as[i]]);
          return contestant_of(run, names[i], meta::twin(parse_learner(names[i]).base, trained, run.registry),
                               std::nullopt);
        });
}

// A workload under test, and what its decisions are compared with.
struct Subject {
  const SplitRun* split;
  const datasets::Profile* profile;
  tasks::Samples all;
  bool decides = false;                    // there are budgets
  std::vector<std::size_t> deciding_rows;  // of `all`: time and power are known
  Matrix deciding;                         // their values
  std::vector<double> budgets_w;
};

Matrix rows_of(const Matrix& values, std::span<const std::size_t> rows) {
  Matrix part(static_cast<Eigen::Index>(rows.size()), values.cols());
  for (std::size_t i = 0; i < rows.size(); ++i)
    part.row(static_cast<Eigen::Index>(i)) = values.row(static_cast<Eigen::Index>(rows[i]));
  return part;
}

Subject make_subject(const Suite& suite, const SplitRun& split, const datasets::Profile& profile) {
  Subject subject{&split, &profile, tasks::samples_of(profile), suite.budgets.has_value(), {}, {}, {}};
  if (!subject.decides) return subject;
  for (std::size_t i = 0; i < subject.all.size(); ++i)
    if (subject.all.targets.row(static_cast<Eigen::Index>(i)).allFinite()) subject.deciding_rows.push_back(i);
  subject.decides = !subject.deciding_rows.empty();
  if (!subject.decides) return subject;
  subject.deciding = rows_of(subject.all.targets, subject.deciding_rows);
  const Eigen::VectorXd power_w = subject.deciding.col(tasks::kPowerW);
  subject.budgets_w = budgets_of(*suite.budgets, {power_w.data(), static_cast<std::size_t>(power_w.size())});
  return subject;
}

// The support's rows, ascending. All learners get the same unless the sampler learns; a draw with more shots goes on where one
// with fewer stopped, unless the sampler plans otherwise.
std::vector<std::size_t> draw_support(const Run& run, const datasets::Profile& profile,
                                      const std::string& sampler_name,
                                      std::shared_ptr<const learners::Learner> learner, std::size_t shots,
                                      std::uint64_t draw) {
  if (shots == 0) return {};
  datasets::ReplayDevice device(profile);
  auto stream =
      hw::Rng::stream(run.options.seed, "bench support " + profile.device + '/' + profile.workload, draw);
  learners::SamplerOptions options;
  options.planned = shots;
  options.seed = stream.bits();
  options.characteristics = tasks::characteristics_of(profile.attributes);
  const auto sampler =
      learners::make_sampler(sampler_name, std::make_shared<const hw::PowerModeSpace>(device.space()),
                             std::move(learner), options, run.registry);
  std::vector<std::size_t> rows;
  while (rows.size() < shots) {
    const auto mode = sampler->ask();
    if (!mode) throw std::runtime_error("sampler " + sampler_name + " has no more modes");
    sampler->tell(*mode, device.measure(*mode));
    rows.push_back(device.space().index_of(*mode).value());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

// Budgets decided on times and powers of the deciding rows.
std::vector<Decision> decide(const Subject& subject, const Prediction& believed, double confidence = 0.5) {
  std::vector<Decision> decisions;
  for (const double budget_w : subject.budgets_w)
    decisions.push_back(
        {budget_w, learners::choose_fastest(believed, {.max_power_w = budget_w, .confidence = confidence})});
  return decisions;
}

// The same where only some rows may be chosen, by what was measured.
std::vector<Decision> decide_among(const Subject& subject, std::span<const std::size_t> deciding_rows) {
  if (deciding_rows.empty()) {
    std::vector<Decision> none;
    for (const double budget_w : subject.budgets_w) none.push_back({budget_w, std::nullopt});
    return none;
  }
  auto decisions = decide(subject, Prediction::of_medians(rows_of(subject.deciding, deciding_rows)));
  for (auto& decision : decisions)
    if (decision.choice) decision.choice = deciding_rows[*decision.choice];
  return decisions;
}

// Position among the deciding rows, for those of `rows` that are.
std::vector<std::size_t> deciding_among(const Subject& subject, std::span<const std::size_t> rows) {
  std::vector<std::size_t> found;
  for (const auto row : rows) {
    const auto at = std::lower_bound(subject.deciding_rows.begin(), subject.deciding_rows.end(), row);
    if (at != subject.deciding_rows.end() && *at == row)
      found.push_back(static_cast<std::size_t>(at - subject.deciding_rows.begin()));
  }
  return found;
}

// The rows of a subject that a preset of the suite's board sets, and the row with every knob at its highest
// level.
std::vector<std::size_t> preset_rows(const Suite& suite, const Subject& subject, bool maximum_only) {
  const auto& profile = *subject.profile;
  std::vector<hw::PowerMode> modes;
  if (maximum_only) {
    hw::PowerMode fastest = profile.modes.front();
    for (std::size_t k = 0; k < fastest.size(); ++k) fastest[k] = profile.space->max_level(k);
    modes.push_back(fastest);
  } else {
    const auto& module = hw::find_module(suite.module);
    for (const auto& preset : module.presets)
      modes.push_back(hw::apply_limits(*profile.space, module.knobs, preset.limits));
  }
  std::vector<std::size_t> rows;
  for (const auto& mode : modes) {
    const auto at = std::lower_bound(profile.modes.begin(), profile.modes.end(), mode);
    if (at != profile.modes.end() && *at == mode)
      rows.push_back(static_cast<std::size_t>(at - profile.modes.begin()));
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return deciding_among(subject, rows);
}

// Appends rows that share everything but metric and value.
class RowWriter {
 public:
  RowWriter(std::vector<Row>& rows, Row common) : rows_(rows), common_(std::move(common)) {}
  void add(std::string metric, double value) {
    rows_.push_back(common_);
    rows_.back().metric = std::move(metric);
    rows_.back().value = value;
  }
  void add(const DecisionScores& scores) {
    if (scores.strict_regret) {
      add("strict_regret", *scores.strict_regret);
      add("strict_regret_p90", *scores.strict_regret_p90);
      add("violations", *scores.violations);
    }
    add("time_penalty", scores.time_penalty);
    add("over_budget", scores.over_budget);
    add("over_budget_1w", scores.over_budget_1w);
    add("excess_w", scores.excess_w);
  }

 private:
  std::vector<Row>& rows_;
  Row common_;
};

Row common_row(const Suite& suite, const Subject& subject, const std::string& learner,
               const std::string& sampler, std::size_t shots, std::uint64_t draw, double seconds) {
  return {.suite = suite.name,
          .device = subject.profile->device,
          .workload = subject.profile->workload,
          .learner = learner,
          .sampler = sampler,
          .shots = shots,
          .seed = draw,
          .metric = "",
          .value = 0,
          .seconds = seconds,
          .split = subject.split->rule->name};
}

// Also those that failed in training: nobody knows whether they would.
bool answers(const Contestant& contestant, std::size_t shots) {
  return shots > 0 || contestant.takes_no_rows || !contestant.failure.empty();
}

// Throws std::runtime_error unless the prediction has a row per mode, and a finite value of each target that is scored.
void check_prediction(const Suite& suite, const Subject& subject, const Prediction& prediction) {
  const auto rows = subject.all.targets.rows();
  const auto check_shape = [&](const char* name, const Matrix& m) {
    if (m.rows() != rows || m.cols() != tasks::kNumTargets)
      throw std::runtime_error("predicted " + std::string(name) + ": expected [" + std::to_string(rows) +
                               "," + std::to_string(tasks::kNumTargets) + "], found [" +
                               std::to_string(m.rows()) + "," + std::to_string(m.cols()) + "]");
  };
  const auto check_values = [&](const char* name, const Matrix& m, tasks::Target target, double least) {
    for (Eigen::Index i = 0; i < rows; ++i)
      if (!(m(i, target) >= least) || std::isinf(m(i, target)))
        throw std::runtime_error("predicted " + std::string(name) + " of " + tasks::kTargetNames[target] +
                                 ": expected finite values" + (least == 0 ? ", at least 0" : "") +
                                 ", found " +
                                 (std::isnan(m(i, target)) ? "NaN" : std::to_string(m(i, target))));
  };
  check_shape("log_mean", prediction.log_mean);
  if (prediction.uncertain()) {
    check_shape("log_variance", prediction.log_variance);
    check_shape("latent_log_variance", prediction.latent_log_variance);
  }
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    if (!suite.targets[target] || !subject.all.has(target)) continue;
    check_values("log_mean", prediction.log_mean, target, -std::numeric_limits<double>::infinity());
    if (!prediction.uncertain()) continue;
    check_values("log_variance", prediction.log_variance, target, 0);
    check_values("latent_log_variance", prediction.latent_log_variance, target, 0);
  }
}

// A guess that knows nothing of the workload: the mean of the training workloads, in logs. Empty unless all of them were measured in its
// modes.
Matrix training_mean(const Subject& subject) {
  if (subject.split->profiles.train.empty()) return {};
  Matrix sum = Matrix::Zero(subject.all.targets.rows(), tasks::kNumTargets);
  for (const auto& profile : subject.split->profiles.train) {
    if (profile.modes != subject.profile->modes) return {};
    sum.array() += tasks::samples_of(profile).targets.array().log();
  }
  return (sum / static_cast<double>(subject.split->profiles.train.size())).array().exp();
}

// Error and calibration of one target over the query rows whose value is known.
void score_target(RowWriter& writer, tasks::Target target, const Subject& subject,
                  const std::vector<bool>& in_support, const Prediction& prediction,
                  Calibration& calibration) {
  const auto& all = subject.all;
  const auto& profile = *subject.profile;
  std::vector<double> median, log_mean, log_variance, latent, measured, truth;
  const auto& exact = target == tasks::kTimeMs ? profile.time_true_ms : profile.power_true_w;
  for (Eigen::Index i = 0; i < all.targets.rows(); ++i) {
    if (in_support[static_cast<std::size_t>(i)] || std::isnan(all.targets(i, target))) continue;
    measured.push_back(all.targets(i, target));
    log_mean.push_back(prediction.log_mean(i, target));
    median.push_back(std::exp(log_mean.back()));
    if (!prediction.uncertain()) continue;
    log_variance.push_back(prediction.log_variance(i, target));
    if (exact.empty()) continue;
    latent.push_back(prediction.latent_log_variance(i, target));
    truth.push_back(exact[static_cast<std::size_t>(i)]);
  }
  const std::string name = tasks::kTargetNames[target];
  writer.add(name + "_mape", mape(median, measured));
  if (!prediction.uncertain()) return;
  writer.add(name + "_coverage90", coverage90(log_mean, log_variance, measured));
  writer.add(name + "_nll", negative_log_likelihood(log_mean, log_variance, measured));
  writer.add(name + "_crps", relative_crps(log_mean, log_variance, measured));
  if (!truth.empty()) writer.add(name + "_true_coverage90", coverage90(log_mean, latent, truth));
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const double probability = central_probability(log_mean[i], log_variance[i], measured[i]);
    // NaN goes to the last bin: no interval holds it.
    std::size_t bin = 0;
    while (bin + 1 < kCalibrationBins &&
           !(probability <= static_cast<double>(bin + 1) / static_cast<double>(kCalibrationBins)))
      ++bin;
    for (; bin < kCalibrationBins; ++bin) ++calibration.inside[bin];
  }
}

// "gp@0.9": decides only for modes that are inside the budget with this probability.
std::string cautious_name(const std::string& learner, double confidence) {
  std::ostringstream name;
  name << learner << '@' << confidence;
  return name.str();
}

// One draw of one workload; every learner answers it.
struct Job {
  const Subject* subject;
  const std::string* sampler;
  std::size_t shots;
  std::uint64_t draw;
  bool showcase;
};

// What one learner makes of it.
struct Answer {
  std::string learner;
  std::string failure = {};  // "" where it has answered
  std::vector<Row> rows = {};
  std::vector<Showcase> showcases = {};
  std::vector<Calibration> calibrations = {};
  std::vector<Combination> combinations = {};
};

struct JobResult {
  std::vector<Answer> answers;
  std::vector<Row> rows;  // of what needs no learner
};

void answer(const Suite& suite, const Job& job, const Contestant& contestant,
            std::span<const std::size_t> support_rows, Answer& result) {
  const Subject& subject = *job.subject;
  const auto support = subject.all.subset(support_rows);
  const auto start = Clock::now();
  const auto predictor = contestant.learner->adapt(support);
  if (!predictor) throw std::runtime_error("adapting gave no predictor");
  const double adapt_seconds = seconds_since(start);
  const Prediction prediction = predictor->predict(subject.all.modes);
  const double seconds = seconds_since(start);
  check_prediction(suite, subject, prediction);

  std::vector<bool> in_support(subject.all.size(), false);
  for (const auto row : support_rows) in_support[row] = true;
  RowWriter writer(result.rows,
                   common_row(suite, subject, contestant.name, *job.sampler, job.shots, job.draw, seconds));
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (suite.targets[target] && subject.all.has(target)) {
      Calibration calibration{contestant.name, target, job.shots, {}};
      score_target(writer, target, subject, in_support, prediction, calibration);
      if (prediction.uncertain()) result.calibrations.push_back(std::move(calibration));
    }
  if (auto chosen = predictor->chosen(); !chosen.empty())
    result.combinations.push_back(
        {subject.profile->device, subject.profile->workload, contestant.name, job.shots, std::move(chosen)});
  std::vector<Decision> decisions;
  if (subject.decides) {
    const auto known = learners::with_measurements(prediction, support, support_rows, predictor->doubted());
    const auto believed = known.at(subject.deciding_rows);
    decisions = decide(subject, {believed.log_mean, {}, {}});
    writer.add(score(decisions, subject.deciding, suite.excess_margin));
    if (suite.confidence > 0.5 && believed.uncertain()) {
      const auto cautious = decide(subject, believed, suite.confidence);
      RowWriter(result.rows, common_row(suite, subject, cautious_name(contestant.name, suite.confidence),
                                        *job.sampler, job.shots, job.draw, seconds))
          .add(score(cautious, subject.deciding, suite.excess_margin));
    }
  }
  writer.add("adapt_seconds", adapt_seconds);
  if (!job.showcase) return;
  for (auto& decision : decisions)
    if (decision.choice) decision.choice = subject.deciding_rows[*decision.choice];
  result.showcases.push_back({subject.profile->device,
                              subject.profile->workload,
                              contestant.name,
                              *job.sampler,
                              job.shots,
                              {support_rows.begin(), support_rows.end()},
                              subject.all.targets,
                              prediction.median(),
                              std::move(decisions)});
}

JobResult run_job(const Run& run, const Job& job) {
  const Subject& subject = *job.subject;
  const Suite& suite = run.suite;
  JobResult result;
  const bool learns = run.registry.samplers.find(*job.sampler).needs_learner;
  std::vector<std::size_t> support_rows;
  if (!learns) support_rows = draw_support(run, *subject.profile, *job.sampler, nullptr, job.shots, job.draw);
  for (const auto& contestant : subject.split->contestants) {
    if (!answers(contestant, job.shots)) continue;
    Answer one{contestant.name, contestant.failure};
    if (one.failure.empty())
      one.failure = failure_of([&] {
        if (learns)
          support_rows =
              draw_support(run, *subject.profile, *job.sampler, contestant.learner, job.shots, job.draw);
        answer(suite, job, contestant, support_rows, one);
      });
    result.answers.push_back(std::move(one));
  }
  if (subject.decides && job.shots > 0 && !learns) {
    const auto decisions = decide_among(subject, deciding_among(subject, support_rows));
    RowWriter(result.rows, common_row(suite, subject, "best-measured", *job.sampler, job.shots, job.draw, 0))
        .add(score(decisions, subject.deciding, suite.excess_margin));
  }
  return result;
}

// ---- searches ----

SearchSubject search_subject_of(const Subject& subject) {
  const auto& profile = *subject.profile;
  std::vector<hw::PowerMode> modes;
  Matrix truth(static_cast<Eigen::Index>(subject.deciding_rows.size()), tasks::kNumTargets);
  const bool exact = !profile.time_true_ms.empty() && !profile.power_true_w.empty();
  for (std::size_t i = 0; i < subject.deciding_rows.size(); ++i) {
    const auto row = subject.deciding_rows[i];
    modes.push_back(profile.modes[row]);
    const auto at = static_cast<Eigen::Index>(i);
    if (exact)
      truth.row(at) << profile.time_true_ms[row], profile.power_true_w[row];
    else
      truth.row(at) = subject.deciding.row(at);
  }
  auto space = modes.size() == profile.space->size()
                   ? profile.space
                   : std::make_shared<const hw::PowerModeSpace>(
                         hw::PowerModeSpace::list(profile.space->knobs(), modes));
  auto result = search_subject(std::move(space), std::move(truth), subject.budgets_w);
  result.characteristics = tasks::characteristics_of(profile.attributes);
  return result;
}

struct SearchJob {
  const Subject* subject;
  const SearchSubject* searched;
  const SearchName* search;
  std::size_t measured;
  std::uint64_t draw;
};

struct SearchResult {
  std::vector<SearchOutcome> outcomes;
  double seconds = 0;
  std::string failure = {};
};

SearchResult run_search_job(const Run& run, const SearchJob& job) {
  SearchResult result;
  const auto start = Clock::now();
  std::shared_ptr<const learners::Learner> learner;
  for (const auto& contestant : job.subject->split->contestants) {
    if (contestant.name != job.search->learner) continue;
    learner = contestant.learner;
    result.failure = contestant.failure;
  }
  if (result.failure.empty())
    result.failure = failure_of([&] {
      const auto draws = hw::Rng::stream(run.options.seed, "bench search of " + job.subject->profile->device +
                                                               '/' + job.subject->profile->workload);
      result.outcomes = run_search(*job.search, learner, *job.searched, job.measured, hw::Rng(draws).bits(),
                                   job.draw, run.registry);
    });
  result.seconds = seconds_since(start);
  return result;
}

double percent(std::size_t part, std::size_t all) {
  return 100 * static_cast<double>(part) / static_cast<double>(all);
}

// Of one draw of one workload.
std::vector<Row> rows_of_draw(const Suite& suite, const SearchJob& job, const SearchResult& result) {
  const auto& outcomes = result.outcomes;
  std::vector<Row> rows;
  if (outcomes.empty()) return rows;
  std::vector<double> regrets;
  std::size_t broken = 0;
  for (const auto& one : outcomes) {
    regrets.push_back(100 * one.regret);
    broken += one.broken ? 1 : 0;
  }
  RowWriter writer(rows, common_row(suite, *job.subject, job.search->label, "search", job.measured, job.draw,
                                    result.seconds / static_cast<double>(outcomes.size())));
  writer.add("strict_regret", median(regrets));
  writer.add("strict_regret_p90", quantile(regrets, 0.9));
  writer.add("violations", percent(broken, outcomes.size()));
  return rows;
}

// Of all workloads and draws.
Row row_of_all(const Suite& suite, const std::string& name, const std::string& sampler,
               std::size_t measured) {
  return {.suite = suite.name,
          .device = "all",
          .workload = "all",
          .learner = name,
          .sampler = sampler,
          .shots = measured,
          .seed = 0,
          .metric = "",
          .value = 0,
          .seconds = 0,
          .split = "all"};
}

// The rows of a search with this number of measurements, over all draws and workloads.
std::vector<Row> pooled_rows(const Suite& suite, const std::string& name, const std::string& sampler,
                             std::size_t measured, const std::vector<SearchOutcome>& outcomes) {
  std::vector<Row> rows;
  if (outcomes.empty()) return rows;
  std::vector<double> regrets;
  double sum = 0, over = 0;
  std::size_t inside = 0;
  for (const auto& one : outcomes) {
    regrets.push_back(100 * one.regret);
    over += static_cast<double>(one.over);
    if (!one.answered || one.broken) continue;
    ++inside;
    sum += 100 * one.regret;
  }
  RowWriter writer(rows, row_of_all(suite, name, sampler, measured));
  writer.add("search_inside", percent(inside, outcomes.size()));
  writer.add("search_regret", median(regrets));
  writer.add("search_regret_p90", quantile(regrets, 0.9));
  if (inside > 0) writer.add("search_regret_mean", sum / static_cast<double>(inside));
  writer.add("search_over", over / static_cast<double>(outcomes.size()));
  return rows;
}

// What needs no measured modes: the cost of training, a guess, the fastest mode, the vendor's presets.
std::vector<Row> rows_without_shots(const Suite& suite, const Subject& subject) {
  std::vector<Row> rows;
  for (const auto& contestant : subject.split->contestants)
    if (const auto seconds = contestant.train_seconds)
      RowWriter(rows, common_row(suite, subject, contestant.name, "none", 0, 0, *seconds))
          .add("train_seconds", *seconds);
  const bool has_none = std::find(suite.shots.begin(), suite.shots.end(), 0) != suite.shots.end();
  if (const auto guess = training_mean(subject); has_none && guess.size() > 0) {
    RowWriter writer(rows, common_row(suite, subject, "training-mean", "none", 0, 0, 0));
    const std::vector<bool> no_support(subject.all.size(), false);
    Calibration unused;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
      if (suite.targets[target] && subject.all.has(target))
        score_target(writer, target, subject, no_support, Prediction::of_medians(guess), unused);
  }
  if (!subject.decides) return rows;
  const auto score_baseline = [&](const std::string& name, const std::vector<Decision>& decisions) {
    RowWriter(rows, common_row(suite, subject, name, "none", 0, 0, 0))
        .add(score(decisions, subject.deciding, suite.excess_margin));
  };
  const auto fastest = preset_rows(suite, subject, true);
  if (!fastest.empty()) {
    std::vector<Decision> always;
    for (const double budget_w : subject.budgets_w) always.push_back({budget_w, fastest.front()});
    score_baseline("maxn", always);
  }
  if (!suite.module.empty())
    score_baseline("presets", decide_among(subject, preset_rows(suite, subject, false)));
  return rows;
}

// Those of many draws as one for each learner, target and number of modes, by their first.
void add(std::vector<Calibration>& sums, const Calibration& one) {
  const auto at = std::find_if(sums.begin(), sums.end(), [&](const Calibration& sum) {
    return sum.learner == one.learner && sum.target == one.target && sum.shots == one.shots;
  });
  if (at == sums.end()) {
    sums.push_back(one);
    return;
  }
  for (std::size_t bin = 0; bin < kCalibrationBins; ++bin) at->inside[bin] += one.inside[bin];
}

// The means of those that differ in their draw alone, by their first.
std::vector<Combination> mean_of_draws(const std::vector<Combination>& all) {
  std::vector<Combination> means;
  std::vector<double> draws;
  for (const auto& one : all) {
    const auto same = std::find_if(means.begin(), means.end(), [&](const Combination& mean) {
      return mean.device == one.device && mean.workload == one.workload && mean.learner == one.learner &&
             mean.shots == one.shots;
    });
    const auto at = static_cast<std::size_t>(same - means.begin());
    if (same == means.end()) {
      means.push_back(one);
      draws.push_back(1);
      continue;
    }
    ++draws[at];
    for (std::size_t c = 0; c < one.chosen.size(); ++c)
      for (int t = 0; t < tasks::kNumTargets; ++t)
        means[at].chosen[c].weights[t] +=
            (one.chosen[c].weights[t] - means[at].chosen[c].weights[t]) / draws[at];
  }
  return means;
}

// ---- failures ----

// Draws that are left out together.
struct Group {
  std::string learner, sampler;
  const Subject* subject;  // nullptr: of all
  std::size_t shots;
  auto operator<=>(const Group&) const = default;
};

// Which draws failed, and how.
class Failures {
 public:
  // `where` is the draw; `what` "" where it did not fail.
  void add(const Group& group, const std::string& where, const std::string& what) {
    auto& [failed, all] = draws_[group];
    ++all;
    if (what.empty()) return;
    ++failed;
    const auto found = std::find_if(failures_.begin(), failures_.end(),
                                    [&](const Failure& one) { return one.learner == group.learner; });
    if (found != failures_.end())
      ++found->times;
    else
      failures_.push_back({group.learner, where + ": " + what});
  }
  bool in(const Group& group) const { return draws_.at(group).failed > 0; }
  double percent(const Group& group) const {
    const auto& [failed, all] = draws_.at(group);
    return 100 * static_cast<double>(failed) / static_cast<double>(all);
  }
  const std::vector<Failure>& all() const { return failures_; }

 private:
  struct Draws {
    std::size_t failed = 0, all = 0;
  };
  std::map<Group, Draws> draws_;
  std::vector<Failure> failures_;
};

std::string where(const Subject& subject, const std::string& what) {
  return "workload " + subject.profile->device + '/' + subject.profile->workload + ", " + what;
}

Group group_of(const Job& job, const Answer& answer) {
  return {answer.learner, *job.sampler, job.subject, job.shots};
}

// Moves what the jobs gave into the result, without the answers of draws that failed, or are left out with one that did.
void gather(const Suite& suite, const std::vector<Job>& jobs, const std::vector<Subject>& subjects,
            std::vector<JobResult>& results, Result& result) {
  Failures failures;
  for (std::size_t i = 0; i < jobs.size(); ++i)
    for (const auto& one : results[i].answers)
      failures.add(
          group_of(jobs[i], one),
          where(*jobs[i].subject, "sampler " + *jobs[i].sampler + ", " + std::to_string(jobs[i].shots) +
                                      " modes, draw " + std::to_string(jobs[i].draw)),
          one.failure);
  const auto append = [](auto& to, auto& from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
  };
  std::set<Group> told;
  for (std::size_t i = 0, subject = 0; i < jobs.size(); ++i) {
    for (auto& one : results[i].answers) {
      const auto group = group_of(jobs[i], one);
      if (failures.in(group)) {
        if (told.insert(group).second)
          RowWriter(result.rows,
                    common_row(suite, *jobs[i].subject, one.learner, *jobs[i].sampler, jobs[i].shots, 0, 0))
              .add("failed", failures.percent(group));
        continue;
      }
      for (const auto& calibration : one.calibrations) add(result.calibrations, calibration);
      append(result.combinations, one.combinations);
      append(result.rows, one.rows);
      append(result.showcases, one.showcases);
    }
    append(result.rows, results[i].rows);
    const bool last_of_subject = i + 1 == jobs.size() || jobs[i + 1].subject != jobs[i].subject;
    if (!last_of_subject) continue;
    const auto extra = rows_without_shots(suite, subjects[subject++]);
    result.rows.insert(result.rows.end(), extra.begin(), extra.end());
  }
  result.combinations = mean_of_draws(result.combinations);
  result.failures = failures.all();
}

std::string names_of(const std::vector<datasets::Profile>& profiles) {
  std::string names;
  for (const auto& profile : profiles)
    names += (names.empty() ? "" : ", ") + profile.device + '/' + profile.workload;
  return names;
}

std::size_t nearest(const std::vector<std::size_t>& values, std::size_t wanted) {
  const auto distance = [&](std::size_t v) { return v > wanted ? v - wanted : wanted - v; };
  return *std::min_element(values.begin(), values.end(),
                           [&](std::size_t a, std::size_t b) { return distance(a) < distance(b); });
}

// Runs the searches of the suite. `tick` is called after each of so many.
void search_all(const Run& run, const std::vector<Subject>& subjects, std::size_t threads,
                const std::function<void(std::size_t all)>& tick, Result& result) {
  const auto& suite = run.suite;
  std::vector<SearchSubject> searched;
  for (const auto& subject : subjects)
    searched.push_back(subject.decides ? search_subject_of(subject) : SearchSubject());
  std::vector<SearchJob> search_jobs;  // those that are pooled together come one after the other
  for (const auto& search : suite.searches)
    for (const auto measured : search.measured ? std::vector{*search.measured} : suite.measured)
      for (std::size_t i = 0; i < subjects.size(); ++i)
        for (std::uint64_t draw = 0; subjects[i].decides && draw < suite.seeds; ++draw)
          search_jobs.push_back({&subjects[i], &searched[i], &search, measured, draw});
  std::vector<SearchResult> found(search_jobs.size());
  run_jobs(search_jobs.size(), threads, [&](std::size_t i) {
    found[i] = run_search_job(run, search_jobs[i]);
    tick(search_jobs.size());
  });
  const auto group_of_search = [&](const SearchJob& job) {
    return Group{job.search->label, "search", nullptr, job.measured};
  };
  Failures failures;
  for (std::size_t i = 0; i < search_jobs.size(); ++i)
    failures.add(group_of_search(search_jobs[i]),
                 where(*search_jobs[i].subject, std::to_string(search_jobs[i].measured) + " measured, draw " +
                                                    std::to_string(search_jobs[i].draw)),
                 found[i].failure);
  result.failures.insert(result.failures.end(), failures.all().begin(), failures.all().end());
  std::vector<SearchOutcome> pool;
  for (std::size_t i = 0; i < search_jobs.size(); ++i) {
    const auto& job = search_jobs[i];
    const auto group = group_of_search(job);
    if (!failures.in(group)) {
      auto rows = rows_of_draw(suite, job, found[i]);
      std::move(rows.begin(), rows.end(), std::back_inserter(result.rows));
      pool.insert(pool.end(), found[i].outcomes.begin(), found[i].outcomes.end());
    }
    const bool last = i + 1 == search_jobs.size() || search_jobs[i + 1].search != job.search ||
                      search_jobs[i + 1].measured != job.measured;
    if (!last) continue;
    if (failures.in(group))
      RowWriter(result.rows, row_of_all(suite, group.learner, group.sampler, group.shots))
          .add("failed", failures.percent(group));
    auto rows = pooled_rows(suite, job.search->label, "search", job.measured, pool);
    std::move(rows.begin(), rows.end(), std::back_inserter(result.rows));
    pool.clear();
  }
  for (const bool maximum : {true, false}) {
    if (!maximum && suite.module.empty()) continue;
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      if (!subjects[i].decides) continue;
      const auto answers = answer_among(searched[i], preset_rows(suite, subjects[i], maximum));
      pool.insert(pool.end(), answers.begin(), answers.end());
    }
    const auto rows = pooled_rows(suite, maximum ? "maxn" : "presets", "none", 0, pool);
    result.rows.insert(result.rows.end(), rows.begin(), rows.end());
    pool.clear();
  }
}

}  // namespace

Result run_suite(const Suite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                 const Progress& progress, const meta::Registry& registry) {
  const Run run{suite, options, registry};
  const std::size_t threads =
      options.threads > 0 ? options.threads : std::max<std::size_t>(1, std::thread::hardware_concurrency());

  std::mutex mutex;  // of progress
  const auto log = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    if (progress.log) progress.log(text);
  };
  std::size_t done = 0;
  const auto tick = [&](std::size_t all) {
    const std::lock_guard lock(mutex);
    ++done;
    if (progress.jobs) progress.jobs(done, all);
    if (done == all) done = 0;  // the next kind of job begins
  };

  const auto rules = split_rules(suite, store);
  std::vector<SplitRun> splits;
  for (const auto& rule : rules) {
    splits.push_back({&rule, make_split(suite, rule, store, registry), {}, {}});
    check_corpus(run, splits.back());
    const auto& profiles = splits.back().profiles;
    log("split " + rule.name + ": tests " + names_of(profiles.test) +
        (profiles.train.empty() ? ", trains on nothing" : ", trains on " + names_of(profiles.train)));
    const auto& first = (profiles.train.empty() ? profiles.test : profiles.train).front();
    splits.back().population =
        datasets::generate_population(first.space, first.modes, suite.population, {.seed = options.seed});
    splits.back().contestants.resize(suite.learners.size());
  }
  std::vector<Subject> subjects;
  const auto least = *std::min_element(suite.shots.begin(), suite.shots.end());
  std::size_t most_modes = 0;
  for (const auto& split : splits)
    for (const auto& profile : split.profiles.test) {
      most_modes = std::max(most_modes, profile.modes.size());
      for (const auto shots : suite.shots)
        if (profile.modes.size() <= shots)
          log("workload " + profile.device + '/' + profile.workload + " has only " +
              std::to_string(profile.modes.size()) + " modes: it is not tested with " +
              std::to_string(shots) + " measured modes");
      subjects.push_back(make_subject(suite, split, profile));
    }
  if (most_modes <= least)
    throw std::invalid_argument("no workload has more than " + std::to_string(most_modes) +
                                " modes: expected more than the least number of shots, " +
                                std::to_string(least));

  train_all(run, splits, threads, log);

  const std::size_t shown = nearest(suite.shots, options.shown_shots);
  std::vector<Job> jobs;
  for (const auto& subject : subjects) {
    const bool first_of_split = subject.profile == &subject.split->profiles.test.front();
    for (const auto& sampler : suite.samplers)
      for (const auto shots : suite.shots)
        for (std::uint64_t draw = 0;
             shots < subject.profile->modes.size() && draw < (shots > 0 ? suite.seeds : 1); ++draw)
          jobs.push_back(
              {&subject, &sampler, shots, draw,
               first_of_split && shots == shown && draw == 0 && sampler == suite.samplers.front()});
  }
  std::vector<JobResult> results(jobs.size());
  run_jobs(jobs.size(), threads, [&](std::size_t i) {
    results[i] = run_job(run, jobs[i]);
    tick(jobs.size());
  });

  Result result;
  result.threads = threads;
  gather(suite, jobs, subjects, results, result);

  if (!suite.searches.empty()) search_all(run, subjects, threads, tick, result);
  return result;
}

}  // namespace fewwatt::benchmarks
