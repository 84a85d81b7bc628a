#include "benchmarks/rows.hpp"

#include <unistd.h>

#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "hw/json_text.hpp"
#include "hw/version.hpp"

namespace fewwatt::benchmarks {
namespace {

constexpr std::array kMetrics = {
    MetricFacts{"failed", "%", "Failures",
                "Share of the draws for which a learner gave no answer: it could not be trained, threw, or "
                "what it gave had the "
                "wrong shape or a value that is not finite. With so many modes of that workload it has no "
                "figure in any other "
                "table. A learner that is not named here never failed."},
    MetricFacts{"time_mape", "%", "Time error",
                "Mean over the modes that were not measured of |predicted - measured| / measured time."},
    MetricFacts{"power_mape", "%", "Power error",
                "Mean over the modes that were not measured of |predicted - measured| / measured power."},
    MetricFacts{"strict_regret", "%", "Strict regret",
                "Median over the counted budgets of how much slower the chosen mode is than the fastest one "
                "inside the budget. A choice over the budget, and no choice although a mode fits, count as "
                "infinite. Budgets that the fastest mode meets are not counted."},
    MetricFacts{"strict_regret_p90", "%", "Strict regret, 90th percentile",
                "Strict regret that nine of ten counted budgets stay below."},
    MetricFacts{"violations", "%", "Violations",
                "Share of the counted budgets whose chosen mode, as measured, drew more than the budget."},
    MetricFacts{
        "search_inside", "%", "Searches that end inside the budget",
        "Share of all searches, over budgets, draws and workloads, that end with a mode whose true power "
        "is at most 1 % above the budget; a search without an answer is not inside. Every measurement "
        "has an error of 1 % in time and 1 % in power, drawn anew; the truth is the simulator's, or "
        "what was recorded."},
    MetricFacts{
        "search_regret", "%", "Strict regret of searches",
        "Median over all searches of how much slower, in true time, the mode they end with is than the "
        "fastest one inside the budget. A broken budget, and no answer, count as infinite."},
    MetricFacts{"search_regret_p90", "%", "Strict regret of searches, 90th percentile",
                "The value that nine of ten searches stay below."},
    MetricFacts{"search_regret_mean", "%", "Regret of searches that end inside the budget, mean",
                "Mean over the searches that end inside the budget; read it together with their share."},
    MetricFacts{"search_over", "modes", "Measured modes over the budget",
                "Mean number of modes that a search measured whose true power breaks the budget."},
    MetricFacts{"time_penalty", "%", "Time penalty (PowerTrain)",
                "Median over budgets of the measured time of the chosen mode over that of the fastest one "
                "inside the budget, less one. Negative where breaking the budget gained time: read it "
                "together with the violations. Infinite when no budget had a choice."},
    MetricFacts{"over_budget", "%", "Budgets exceeded, A/L (PowerTrain)",
                "Share of all budgets whose chosen mode, as measured, drew more than the budget."},
    MetricFacts{
        "over_budget_1w", "%", "Budgets exceeded beyond the margin, A/L+1 (PowerTrain)",
        "Share of all budgets exceeded by more than the suite's margin: 1 W, or 5 % on small boards."},
    MetricFacts{"excess_w", "W", "Mean excess power",
                "Mean over all budgets of the power drawn above the budget; within the budget it is 0."},
    MetricFacts{"time_coverage90", "%", "Time, coverage of the 90 % interval",
                "Share of unmeasured modes whose time lies inside the predicted 90 % interval; 90 is right."},
    MetricFacts{
        "power_coverage90", "%", "Power, coverage of the 90 % interval",
        "Share of unmeasured modes whose power lies inside the predicted 90 % interval; 90 is right."},
    MetricFacts{"time_true_coverage90", "%", "True time, coverage of the 90 % interval",
                "Share of unmeasured modes of a simulated board whose time without noise lies inside the 90 "
                "% interval of what many measurements would average to; 90 is right."},
    MetricFacts{"power_true_coverage90", "%", "True power, coverage of the 90 % interval",
                "The same of power."},
    MetricFacts{"time_nll", "nat", "Time, negative log likelihood",
                "Mean of -log of the predicted density of the measured time in ms; lower is better."},
    MetricFacts{"power_nll", "nat", "Power, negative log likelihood",
                "Mean of -log of the predicted density of the measured power in W; lower is better."},
    MetricFacts{
        "time_crps", "%", "Time, continuous ranked probability score",
        "Mean over unmeasured modes of the score over the measured time. It is the error of the whole "
        "predicted distribution; without uncertainty it equals the time error. Lower is better."},
    MetricFacts{"power_crps", "%", "Power, continuous ranked probability score", "The same of power."},
    MetricFacts{
        "drift_noticed", "%", "Changes that were noticed",
        "Share of streams whose workload changed, by 10 % or more in time or power of the mode that ran, "
        "where the change was noticed within 5 measurements."},
    MetricFacts{"drift_recovered", "%", "Changes that were recovered from",
                "Share of the same streams where, 10 measurements after the change, the best mode that the "
                "governor knows is inside the budget, and at most 5 % slower than the fastest mode that is."},
    MetricFacts{
        "drift_false_alarms", "%", "False alarms",
        "Share of streams without a change, of 200 measurements unless the suite says otherwise, in which "
        "one was noticed."},
    MetricFacts{"govern_inside", "%", "Time inside the budget",
                "Share of the time of a governed run in which the power was at most 1 % above the budget."},
    MetricFacts{
        "govern_throughput", "%", "Throughput",
        "Work done in a governed run over that of an oracle, which knows all modes and every change. At any "
        "moment at most the oracle's rate counts, and moves cost the time they take."},
    MetricFacts{"govern_longest_over_s", "s", "Longest time over the budget",
                "Longest uninterrupted time over the budget in a governed run."},
    MetricFacts{"govern_windows_over", "", "Windows over the budget in a row",
                "Greatest number in a governed run, by the mean power of whole measuring windows."},
    MetricFacts{
        "find_regret", "%", "Strict regret of controllers",
        "How much slower, in true time, the mode that a contestant recommends after so many measurements is "
        "than the fastest one inside the budget; one figure for each episode. A broken budget, by more than "
        "1 % in true power, and no recommendation count as infinite. Budgets that the fastest mode meets do "
        "not occur."},
    MetricFacts{"find_inside", "%", "Episodes that end inside the budget",
                "Share of the episodes that end with a recommendation whose true power is at most 1 % above "
                "the budget."},
    MetricFacts{"run_inside", "%", "Steps inside the budget",
                "Share of an episode's steps in which the true power was at most 1 % above the budget."},
    MetricFacts{"run_throughput", "%", "Throughput of controllers",
                "Work done in an episode over that of the fastest mode inside the budget at every step. At "
                "any step at most that rate counts, and a change of modes costs its share of the step."},
    MetricFacts{"run_longest_over", "steps", "Longest time over the budget, in steps",
                "Most steps of an episode over the budget, one after the other."},
    MetricFacts{"over_steps", "%", "Steps over the budget",
                "Share of an episode's measurements whose true power was more than 1 % above the budget."},
    MetricFacts{"over_watt_steps", "W steps", "Watts over the budget",
                "Sum over an episode's steps of the true watts above the budget; times the seconds of a step "
                "it is in watt-seconds."},
    MetricFacts{
        "episode_reward", "1", "Reward of an episode",
        "Of true times and powers. With r = - time / time in the lowest mode - lambda max(0, power / budget "
        "- 1): where a mode is to be found, how far the greatest r of all measured modes is above that of "
        "the lowest mode; where every step counts, the sum of r."},
    MetricFacts{"decisions_per_second", "1/s", "Decisions a second",
                "Measurements over the wall time that the contestant's own decisions took, its shield "
                "included, while all threads of the run (threads in the options of a row) decide something."},
    MetricFacts{"adapt_seconds", "s", "Adaptation",
                "Wall time of adapting to the measured modes, while all threads of the run (threads in the "
                "options of a row) adapt something."},
    MetricFacts{
        "train_seconds", "s", "Training",
        "Wall time of training once on the other workloads, before any mode of this one is measured, while "
        "all threads of the run (threads in the options of a row) train something. None for a learner that "
        "starts from another's checkpoint."},
    MetricFacts{"train_steps", "steps", "Steps of training",
                "Steps that an agent took in environments while it was trained, without those of validation; "
                "of one that is trained alone, or adapts, all measurements that it had before the episode."},
};

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown";
}

}  // namespace

std::string to_text(const Failure& failure) {
  return failure.learner + " failed " +
         (failure.times == 1 ? "once" : std::to_string(failure.times) + " times") +
         ", first: " + failure.first;
}

std::span<const MetricFacts> metric_facts() {
  return kMetrics;
}

const MetricFacts& find_metric(std::string_view id) {
  for (const auto& facts : kMetrics)
    if (facts.id == id) return facts;
  throw std::invalid_argument("unknown metric " + std::string(id));
}

Provenance provenance_of_this_machine() {
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return {.command = "",
          .git = std::string(hw::git_revision()),
          .host = host,
          .cpu = cpu_name(),
          .seed = 0,
          .options_json = "{}"};
}

std::string to_jsonl(std::span<const Row> rows, const Provenance& provenance) {
  const auto run_options = nlohmann::ordered_json::parse(provenance.options_json);
  std::string lines;
  for (const Row& row : rows) {
    auto options = run_options;
    options["split"] = row.split;
    nlohmann::ordered_json line;
    line["suite"] = row.suite;
    line["device"] = row.device;
    line["workload"] = row.workload;
    line["learner"] = row.learner;
    line["sampler"] = row.sampler;
    line["shots"] = row.shots;
    line["seed"] = row.seed;
    line["metric"] = row.metric;
    if (std::isinf(row.value))
      line["value"] = "inf";
    else
      line["value"] = row.value;
    line["unit"] = find_metric(row.metric).unit;
    line["seconds"] = row.seconds;
    line["options"] = std::move(options);
    line["git"] = provenance.git;
    line["host"] = provenance.host;
    line["cpu"] = provenance.cpu;
    lines += hw::json_text(line) + '\n';
  }
  return lines;
}

}  // namespace fewwatt::benchmarks
