#include "benchmarks/runner/draws.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "datasets/replay_device.hpp"
#include "hw/random.hpp"
#include "learners/optimize/choose.hpp"
#include "tasks/collect.hpp"

namespace fewwatt::benchmarks {
namespace {

// The rows of the measured modes, ascending. They are the same for all learners, unless the sampler learns. The modes of fewer shots are
// among those of more, unless the sampler plans for a number of shots.
std::vector<std::size_t> draw_support(const TableRun& run, const Draw& draw,
                                      std::shared_ptr<const learners::Learner> learner) {
  if (draw.shots == 0) return {};
  const auto& profile = *draw.subject->profile;
  datasets::ReplayDevice device(profile);
  auto stream = hw::Rng::stream(run.options.seed, "bench support " + profile.device + '/' + profile.workload,
                                draw.number);
  learners::SamplerOptions options;
  options.planned = draw.shots;
  options.seed = stream.bits();
  options.characteristics = tasks::characteristics_of(profile.attributes);
  const auto sampler =
      learners::make_sampler(*draw.sampler, std::make_shared<const hw::PowerModeSpace>(device.space()),
                             std::move(learner), options, run.registry);
  const auto told =
      tasks::collect(*sampler, draw.shots, [&](const hw::PowerMode& mode) { return device.measure(mode); });
  if (told.size() < draw.shots) throw std::runtime_error("sampler " + *draw.sampler + " has no more modes");
  std::vector<std::size_t> rows;
  for (const auto& [mode, measured] : told) rows.push_back(device.space().index_of(mode).value());
  std::sort(rows.begin(), rows.end());
  return rows;
}

// Whether a learner is asked from so many modes. One that failed in training is, since nobody knows whether it would answer.
bool answers(const Contestant& contestant, std::size_t shots) {
  return shots > 0 || contestant.takes_no_rows || !contestant.failure.empty();
}

// Throws std::runtime_error unless the prediction has a row per mode, and a finite value of each target that is scored.
void check_prediction(const TableSuite& suite, const Subject& subject, const Prediction& prediction) {
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

// The guess of one who knows nothing of the workload: the geometric mean of the training workloads. Empty unless all of them were measured
// in its modes.
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

// "gp@0.9", which chooses only modes that are inside the budget with this probability.
std::string cautious_name(const std::string& learner, double confidence) {
  std::ostringstream name;
  name << learner << '@' << confidence;
  return name.str();
}

// Scores the decisions of one prediction. Returns those made by its medians; none where there are no budgets.
std::vector<Decision> score_decisions(const TableSuite& suite, const Draw& draw, const Prediction& known,
                                      const std::string& learner, double seconds, std::vector<Row>& rows) {
  const Subject& subject = *draw.subject;
  const auto row = [&](const std::string& name) {
    return row_of(suite, subject, name, *draw.sampler, draw.shots, draw.number, seconds);
  };
  const auto believed = known.at(subject.deciding_rows);
  auto decisions = decide(subject, {believed.log_mean, {}, {}});
  RowWriter(rows, row(learner)).add(score(decisions, subject.deciding, suite.excess_margin));
  if (suite.confidence > 0.5 && believed.uncertain()) {
    const auto cautious = decide(subject, believed, suite.confidence);
    RowWriter(rows, row(cautious_name(learner, suite.confidence)))
        .add(score(cautious, subject.deciding, suite.excess_margin));
  }
  return decisions;
}

void answer(const TableSuite& suite, const Draw& draw, const Contestant& contestant,
            std::span<const std::size_t> support_rows, DrawAnswer& result) {
  const Subject& subject = *draw.subject;
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
                   row_of(suite, subject, contestant.name, *draw.sampler, draw.shots, draw.number, seconds));
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (suite.targets[target] && subject.all.has(target)) {
      Calibration calibration{contestant.name, target, draw.shots, {}};
      score_target(writer, target, subject, in_support, prediction, calibration);
      if (prediction.uncertain()) result.calibrations.push_back(std::move(calibration));
    }
  if (auto chosen = predictor->chosen(); !chosen.empty())
    result.combinations.push_back(
        {subject.profile->device, subject.profile->workload, contestant.name, draw.shots, std::move(chosen)});
  std::vector<Decision> decisions;
  if (subject.decides)
    decisions = score_decisions(
        suite, draw, learners::with_measurements(prediction, support, support_rows, predictor->doubted()),
        contestant.name, seconds, result.rows);
  writer.add("adapt_seconds", adapt_seconds);
  if (!draw.showcase) return;
  for (auto& decision : decisions)
    if (decision.choice) decision.choice = subject.deciding_rows[*decision.choice];
  result.showcases.push_back({subject.profile->device,
                              subject.profile->workload,
                              contestant.name,
                              *draw.sampler,
                              draw.shots,
                              {support_rows.begin(), support_rows.end()},
                              subject.all.targets,
                              prediction.median(),
                              std::move(decisions)});
}

}  // namespace

DrawResult run_draw(const TableRun& run, const Draw& draw) {
  const Subject& subject = *draw.subject;
  const TableSuite& suite = run.suite;
  DrawResult result;
  const bool learns = run.registry.samplers.find(*draw.sampler).needs_learner;
  std::vector<std::size_t> support_rows;
  if (!learns) support_rows = draw_support(run, draw, nullptr);
  for (const auto& contestant : subject.split->contestants) {
    if (!answers(contestant, draw.shots)) continue;
    DrawAnswer one{contestant.name, contestant.failure};
    if (one.failure.empty())
      one.failure = failure_of([&] {
        if (learns) support_rows = draw_support(run, draw, contestant.learner);
        answer(suite, draw, contestant, support_rows, one);
      });
    result.answers.push_back(std::move(one));
  }
  if (subject.decides && draw.shots > 0 && !learns) {
    const auto decisions = decide_among(subject, deciding_among(subject, support_rows));
    RowWriter(result.rows, row_of(suite, subject, "best-measured", *draw.sampler, draw.shots, draw.number, 0))
        .add(score(decisions, subject.deciding, suite.excess_margin));
  }
  return result;
}

std::vector<Row> rows_without_shots(const TableSuite& suite, const Subject& subject) {
  std::vector<Row> rows;
  for (const auto& contestant : subject.split->contestants)
    if (const auto seconds = contestant.train_seconds)
      RowWriter(rows, row_of(suite, subject, contestant.name, "none", 0, 0, *seconds))
          .add("train_seconds", *seconds);
  const bool has_none = std::find(suite.shots.begin(), suite.shots.end(), 0) != suite.shots.end();
  if (const auto guess = training_mean(subject); has_none && guess.size() > 0) {
    RowWriter writer(rows, row_of(suite, subject, "training-mean", "none", 0, 0, 0));
    const std::vector<bool> no_support(subject.all.size(), false);
    Calibration unused;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
      if (suite.targets[target] && subject.all.has(target))
        score_target(writer, target, subject, no_support, Prediction::of_medians(guess), unused);
  }
  if (!subject.decides) return rows;
  const auto score_baseline = [&](const std::string& name, const std::vector<Decision>& decisions) {
    RowWriter(rows, row_of(suite, subject, name, "none", 0, 0, 0))
        .add(score(decisions, subject.deciding, suite.excess_margin));
  };
  const auto fastest = fastest_row(subject);
  if (!fastest.empty()) {
    std::vector<Decision> always;
    for (const double budget_w : subject.budgets_w) always.push_back({budget_w, fastest.front()});
    score_baseline("maxn", always);
  }
  if (!suite.module.empty()) score_baseline("presets", decide_among(subject, preset_rows(suite, subject)));
  return rows;
}

}  // namespace fewwatt::benchmarks
