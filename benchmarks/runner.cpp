#include "benchmarks/runner.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "benchmarks/jobs.hpp"
#include "datasets/generate.hpp"
#include "datasets/replay_device.hpp"
#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "learners/optimize/choose.hpp"
#include "learners/registry.hpp"
#include "learners/samplers/sampler.hpp"
#include "learners/transfer.hpp"
#include "meta/registry.hpp"

namespace fewwatt::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// nullptr for a learner that is not trained.
const meta::MetaLearnerFacts* find_meta_learner(const std::string& name) {
  const auto facts = meta::meta_learner_facts();
  const auto found = std::find_if(facts.begin(), facts.end(), [&](const auto& f) { return f.name == name; });
  return found == facts.end() ? nullptr : &*found;
}

// A learner of one split, ready to adapt.
struct Contestant {
  std::string name;
  std::shared_ptr<const learners::Learner> learner;
  std::optional<learners::Checkpoint> checkpoint;  // of one that needs training
  std::optional<double> train_seconds;             // of one that was trained here
};

struct SplitRun {
  const SplitRule* rule;
  tasks::Split profiles;
  std::vector<datasets::Profile> population;  // simulated
  std::vector<Contestant> contestants;
};

Contestant contestant_of(const std::string& name, learners::Checkpoint checkpoint,
                         std::optional<double> train_seconds) {
  auto learner = learners::make_learner(checkpoint);
  return {name, std::move(learner), std::move(checkpoint), train_seconds};
}

// Those of the published recipe go over the support as often as the suite says.
void apply_rows_per_mode(const Suite& suite, Contestant& contestant) {
  if (suite.rows_per_mode == 1) return;
  const learners::PublishedRecipe recipe{.rows_per_mode = static_cast<int>(suite.rows_per_mode)};
  const auto& name = contestant.name;
  if (name == "scratch" || name == "scratch-log")
    contestant.learner = std::make_unique<const learners::Scratch>(name == "scratch-log", recipe);
  if (name == "transfer" || name == "transfer-log")
    contestant.learner = std::make_unique<const learners::Transfer>(
        learners::TransferModel::from_checkpoint(contestant.checkpoint.value()), recipe);
}

// The training profiles that a learner's name asks for.
std::vector<datasets::Profile> corpus(const std::vector<datasets::Profile>& training,
                                      const LearnerName& learner, std::uint64_t seed) {
  if (learner.workloads == 0) return training;
  const auto wanted = learner.workloads + learner.added;
  if (wanted > training.size())
    throw std::invalid_argument("there are " + std::to_string(training.size()) + " training workloads");
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

// `init` is what start() of the learner gave.
Contestant train(const Suite& suite, const SplitRun& split, const std::string& name,
                 const std::optional<learners::Checkpoint>& init, const RunOptions& options,
                 const std::function<void(const std::string&)>& log) try {
  const auto parsed = parse_learner(name);
  if (parsed.training == LearnerName::Training::none || find_meta_learner(parsed.base) == nullptr)
    return {name, learners::make_learner(parsed.base), std::nullopt, std::nullopt};
  const auto start = Clock::now();
  meta::InitializerRequest request{
      .name = parsed.base, .seed = options.seed, .steps = static_cast<int>(suite.train_steps)};
  auto shots = suite.shots;
  std::erase(shots, std::size_t{0});  // no test-time setting is chosen for that
  if (!shots.empty()) request.shots = std::move(shots);
  if (parsed.training == LearnerName::Training::both) request.also = split.population;
  if (parsed.added > 0) request.init = init;
  const auto profiles = parsed.training == LearnerName::Training::simulated
                            ? split.population
                            : corpus(split.profiles.train, parsed, options.seed);
  const std::string prefix = "split " + split.rule->name + ", " + name + ": ";
  auto checkpoint =
      meta::train_initializer(request, profiles, [&](const std::string& text) { log(prefix + text); });
  const double seconds = seconds_since(start);
  log(prefix + "trained in " + std::to_string(std::lround(seconds)) + " s");
  return contestant_of(name, std::move(checkpoint), seconds);
} catch (const std::exception& e) {
  throw std::runtime_error("learner " + name + ", split " + split.rule->name + ": " + e.what());
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
std::vector<std::size_t> draw_support(const datasets::Profile& profile, const std::string& sampler_name,
                                      std::shared_ptr<const learners::Learner> learner, std::size_t shots,
                                      std::uint64_t seed, std::uint64_t draw) {
  if (shots == 0) return {};
  datasets::ReplayDevice device(profile);
  auto stream = hw::Rng::stream(seed, "bench support " + profile.device + '/' + profile.workload, draw);
  learners::SamplerOptions options;
  options.planned = shots;
  options.seed = stream.bits();
  options.characteristics = tasks::characteristics_of(profile.attributes);
  const auto sampler = learners::make_sampler(
      sampler_name, std::make_shared<const hw::PowerModeSpace>(device.space()), std::move(learner), options);
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
  auto decisions = decide(subject, {.mean = rows_of(subject.deciding, deciding_rows), .stddev = {}});
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

bool answers(const Contestant& contestant, std::size_t shots) {
  return shots > 0 || (contestant.checkpoint && learners::needs_no_rows(*contestant.checkpoint));
}

// What a workload is guessed to be without knowing anything of it: like the mean of the training workloads, in logs. Empty
// unless all of them were measured in its modes.
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
  const bool uncertain = prediction.stddev.size() > 0;
  std::vector<double> mean, stddev, measured, latent, truth;
  const auto& exact = target == tasks::kTimeMs ? profile.time_true_ms : profile.power_true_w;
  for (Eigen::Index i = 0; i < all.targets.rows(); ++i) {
    if (in_support[static_cast<std::size_t>(i)] || std::isnan(all.targets(i, target))) continue;
    measured.push_back(all.targets(i, target));
    mean.push_back(prediction.mean(i, target));
    if (!uncertain) continue;
    stddev.push_back(prediction.stddev(i, target));
    if (exact.empty()) continue;
    latent.push_back(prediction.latent_stddev(i, target));
    truth.push_back(exact[static_cast<std::size_t>(i)]);
  }
  const std::string name = tasks::kTargetNames[target];
  writer.add(name + "_mape", mape(mean, measured));
  if (!uncertain) return;
  writer.add(name + "_coverage90", coverage90(mean, stddev, measured));
  writer.add(name + "_nll", negative_log_likelihood(mean, stddev, measured));
  if (!truth.empty()) writer.add(name + "_true_coverage90", coverage90(mean, latent, truth));
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const double probability = central_probability(mean[i], stddev[i], measured[i]);
    // NaN goes to the last, as what no interval holds.
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

struct JobResult {
  std::vector<Row> rows;
  std::vector<Showcase> showcases;
  std::vector<Calibration> calibrations;
  std::vector<Combination> combinations;
};

void answer(const Suite& suite, const Job& job, const Contestant& contestant, const tasks::Samples& support,
            std::span<const std::size_t> support_rows, JobResult& result) try {
  const Subject& subject = *job.subject;
  const auto start = Clock::now();
  const auto predictor = contestant.learner->adapt(support);
  const double adapt_seconds = seconds_since(start);
  const Prediction prediction = predictor->predict(subject.all.modes);
  const double seconds = seconds_since(start);

  std::vector<bool> in_support(subject.all.size(), false);
  for (const auto row : support_rows) in_support[row] = true;
  RowWriter writer(result.rows,
                   common_row(suite, subject, contestant.name, *job.sampler, job.shots, job.draw, seconds));
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (suite.targets[target] && subject.all.has(target)) {
      Calibration calibration{contestant.name, target, job.shots, {}};
      score_target(writer, target, subject, in_support, prediction, calibration);
      if (prediction.stddev.size() > 0) result.calibrations.push_back(std::move(calibration));
    }
  if (auto chosen = predictor->chosen(); !chosen.empty())
    result.combinations.push_back(
        {subject.profile->device, subject.profile->workload, contestant.name, job.shots, std::move(chosen)});
  std::vector<Decision> decisions;
  if (subject.decides) {
    const auto known = learners::with_measurements(prediction, support, support_rows, predictor->doubted());
    const Prediction believed{
        rows_of(known.mean, subject.deciding_rows),
        known.stddev.size() > 0 ? rows_of(known.stddev, subject.deciding_rows) : Matrix{}};
    decisions = decide(subject, {.mean = believed.mean, .stddev = {}});
    writer.add(score(decisions, subject.deciding, suite.excess_margin));
    if (suite.confidence > 0.5 && believed.stddev.size() > 0) {
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
                              prediction.mean,
                              std::move(decisions)});
} catch (const std::exception& e) {
  throw std::runtime_error("learner " + contestant.name + ", workload " + job.subject->profile->workload +
                           ", " + std::to_string(job.shots) + " shots, seed " + std::to_string(job.draw) +
                           ": " + e.what());
}

JobResult run_job(const Suite& suite, const Job& job, std::uint64_t seed) {
  const Subject& subject = *job.subject;
  JobResult result;
  const bool learns = learners::learns(*job.sampler);
  std::vector<std::size_t> support_rows;
  if (!learns)
    support_rows = draw_support(*subject.profile, *job.sampler, nullptr, job.shots, seed, job.draw);
  for (const auto& contestant : subject.split->contestants) {
    if (!answers(contestant, job.shots)) continue;
    if (learns)
      support_rows =
          draw_support(*subject.profile, *job.sampler, contestant.learner, job.shots, seed, job.draw);
    answer(suite, job, contestant, subject.all.subset(support_rows), support_rows, result);
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

std::vector<SearchOutcome> run_search_job(const SearchJob& job, std::uint64_t seed) try {
  std::shared_ptr<const learners::Learner> learner;
  for (const auto& contestant : job.subject->split->contestants)
    if (contestant.name == job.search->learner) learner = contestant.learner;
  const auto draws = hw::Rng::stream(
      seed, "bench search of " + job.subject->profile->device + '/' + job.subject->profile->workload);
  return run_search(*job.search, learner, *job.searched, job.measured, hw::Rng(draws).bits(), job.draw);
} catch (const std::exception& e) {
  throw std::runtime_error("search " + job.search->label + ", workload " + job.subject->profile->workload +
                           ", " + std::to_string(job.measured) + " measured, seed " +
                           std::to_string(job.draw) + ": " + e.what());
}

double percent(std::size_t part, std::size_t all) {
  return 100 * static_cast<double>(part) / static_cast<double>(all);
}

// Of one draw of one workload.
std::vector<Row> rows_of_draw(const Suite& suite, const SearchJob& job,
                              const std::vector<SearchOutcome>& outcomes, double seconds) {
  std::vector<Row> rows;
  if (outcomes.empty()) return rows;
  std::vector<double> regrets;
  std::size_t broken = 0;
  for (const auto& one : outcomes) {
    regrets.push_back(100 * one.regret);
    broken += one.broken ? 1 : 0;
  }
  RowWriter writer(rows, common_row(suite, *job.subject, job.search->label, "search", job.measured, job.draw,
                                    seconds / static_cast<double>(outcomes.size())));
  writer.add("strict_regret", median(regrets));
  writer.add("strict_regret_p90", quantile(regrets, 0.9));
  writer.add("violations", percent(broken, outcomes.size()));
  return rows;
}

// Of all draws and workloads of a search with so many measurements.
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
  RowWriter writer(rows, {.suite = suite.name,
                          .device = "all",
                          .workload = "all",
                          .learner = name,
                          .sampler = sampler,
                          .shots = measured,
                          .seed = 0,
                          .metric = "",
                          .value = 0,
                          .seconds = 0,
                          .split = "all"});
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
        score_target(writer, target, subject, no_support, {.mean = guess, .stddev = {}}, unused);
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

}  // namespace

Result run_suite(const Suite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                 const Progress& progress) {
  const std::size_t threads =
      options.threads > 0 ? options.threads : std::max<std::size_t>(1, std::thread::hardware_concurrency());

  std::mutex mutex;  // of progress
  const auto log = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    if (progress.log) progress.log(text);
  };

  const auto rules = split_rules(suite, store);
  std::vector<SplitRun> splits;
  for (const auto& rule : rules) {
    splits.push_back({&rule, make_split(suite, rule, store), {}, {}});
    const auto& profiles = splits.back().profiles;
    log("split " + rule.name + ": tests " + names_of(profiles.test) +
        (profiles.train.empty() ? ", trained on nothing" : ", trained on " + names_of(profiles.train)));
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
          log("workload " + profile.device + '/' + profile.workload + " has " +
              std::to_string(profile.modes.size()) + " modes: left out of those with " +
              std::to_string(shots) + " shots");
      subjects.push_back(make_subject(suite, split, profile));
    }
  if (most_modes <= least)
    throw std::invalid_argument("no workload has more than " + std::to_string(most_modes) + " modes; " +
                                std::to_string(least) + " shots need more than that");

  // Where a learner's training starts, position among the suite's learners: its own, or that of the one it is
  // the twin of.
  std::vector<std::size_t> trained_as(suite.learners.size());
  for (std::size_t i = 0; i < trained_as.size(); ++i) {
    const auto learner = parse_learner(suite.learners[i]);
    const auto* facts = find_meta_learner(learner.base);
    const auto twin =
        facts == nullptr || facts->twin_of.empty()
            ? suite.learners.end()
            : std::find(suite.learners.begin(), suite.learners.end(), learner.with_base(facts->twin_of));
    trained_as[i] =
        twin == suite.learners.end() ? i : static_cast<std::size_t>(twin - suite.learners.begin());
  }
  // Those that add to another's training come after it.
  for (const bool adding : {false, true}) {
    run_jobs(splits.size() * suite.learners.size(), threads, [&](std::size_t i) {
      SplitRun& split = splits[i / suite.learners.size()];
      const std::size_t learner = i % suite.learners.size();
      const auto& name = suite.learners[learner];
      const auto start = parse_learner(name).start();
      if (trained_as[learner] != learner || start.empty() == adding) return;
      std::optional<learners::Checkpoint> init;
      // Of the others only the one that it starts from is looked at: it is there, the rest may be in the making.
      for (std::size_t other = 0; adding && other < suite.learners.size(); ++other)
        if (suite.learners[other] == start) init = split.contestants[trained_as[other]].checkpoint;
      split.contestants[learner] = train(suite, split, name, init, options, log);
      apply_rows_per_mode(suite, split.contestants[learner]);
    });
  }
  for (auto& split : splits) {
    for (std::size_t i = 0; i < trained_as.size(); ++i) {
      if (trained_as[i] == i) continue;
      const auto& twin = split.contestants[trained_as[i]];
      split.contestants[i] =
          contestant_of(suite.learners[i],
                        meta::twin(parse_learner(suite.learners[i]).base, *twin.checkpoint), std::nullopt);
    }
  }

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
  std::size_t done = 0;
  run_jobs(jobs.size(), threads, [&](std::size_t i) {
    results[i] = run_job(suite, jobs[i], options.seed);
    const std::lock_guard lock(mutex);
    ++done;
    if (progress.jobs) progress.jobs(done, jobs.size());
  });

  Result result;
  result.threads = threads;
  for (std::size_t i = 0, subject = 0; i < jobs.size(); ++i) {
    auto& [rows, showcases, calibrations, combinations] = results[i];
    for (const auto& calibration : calibrations) add(result.calibrations, calibration);
    std::move(combinations.begin(), combinations.end(), std::back_inserter(result.combinations));
    std::move(rows.begin(), rows.end(), std::back_inserter(result.rows));
    std::move(showcases.begin(), showcases.end(), std::back_inserter(result.showcases));
    const bool last_of_subject = i + 1 == jobs.size() || jobs[i + 1].subject != jobs[i].subject;
    if (!last_of_subject) continue;
    const auto extra = rows_without_shots(suite, subjects[subject++]);
    result.rows.insert(result.rows.end(), extra.begin(), extra.end());
  }
  result.combinations = mean_of_draws(result.combinations);

  if (suite.searches.empty()) return result;
  std::vector<SearchSubject> searched;
  for (const auto& subject : subjects)
    searched.push_back(subject.decides ? search_subject_of(subject) : SearchSubject());
  std::vector<SearchJob> search_jobs;  // those that are pooled together come one after the other
  for (const auto& search : suite.searches)
    for (const auto measured : search.measured ? std::vector{*search.measured} : suite.measured)
      for (std::size_t i = 0; i < subjects.size(); ++i)
        for (std::uint64_t draw = 0; subjects[i].decides && draw < suite.seeds; ++draw)
          search_jobs.push_back({&subjects[i], &searched[i], &search, measured, draw});
  std::vector<std::vector<SearchOutcome>> outcomes(search_jobs.size());
  std::vector<double> seconds(search_jobs.size());
  done = 0;
  run_jobs(search_jobs.size(), threads, [&](std::size_t i) {
    const auto start = Clock::now();
    outcomes[i] = run_search_job(search_jobs[i], options.seed);
    seconds[i] = seconds_since(start);
    const std::lock_guard lock(mutex);
    ++done;
    if (progress.jobs) progress.jobs(done, search_jobs.size());
  });
  std::vector<SearchOutcome> pool;
  for (std::size_t i = 0; i < search_jobs.size(); ++i) {
    const auto& job = search_jobs[i];
    auto rows = rows_of_draw(suite, job, outcomes[i], seconds[i]);
    std::move(rows.begin(), rows.end(), std::back_inserter(result.rows));
    pool.insert(pool.end(), outcomes[i].begin(), outcomes[i].end());
    const bool last = i + 1 == search_jobs.size() || search_jobs[i + 1].search != job.search ||
                      search_jobs[i + 1].measured != job.measured;
    if (!last) continue;
    rows = pooled_rows(suite, job.search->label, "search", job.measured, pool);
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
  return result;
}

}  // namespace fewwatt::benchmarks
