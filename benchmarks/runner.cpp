#include "benchmarks/runner.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include "benchmarks/runner/draws.hpp"
#include "benchmarks/runner/failures.hpp"
#include "benchmarks/runner/searches.hpp"
#include "datasets/generate.hpp"
#include "hw/jobs.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

// Adds one to the sum of the same learner, target and number of modes, which is new where there is none.
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

// The means over draws, in the order in which each first comes.
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

DrawGroup group_of(const Draw& draw, const DrawAnswer& answer) {
  return {answer.learner, *draw.sampler, draw.subject, draw.shots};
}

Failures failures_of(const std::vector<Draw>& draws, const std::vector<DrawResult>& results) {
  Failures failures;
  for (std::size_t i = 0; i < draws.size(); ++i)
    for (const auto& one : results[i].answers)
      failures.add(
          group_of(draws[i], one),
          where_of(*draws[i].subject, "sampler " + *draws[i].sampler + ", " + std::to_string(draws[i].shots) +
                                          " modes, draw " + std::to_string(draws[i].number)),
          one.failure);
  return failures;
}

// Moves what the draws gave into the result. Leaves out those that failed, and those that are left out with one that did.
void gather(const TableSuite& suite, const std::vector<Draw>& draws, const std::vector<Subject>& subjects,
            std::vector<DrawResult>& results, Result& result) {
  const auto failures = failures_of(draws, results);
  const auto append = [](auto& to, auto& from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
  };
  std::set<DrawGroup> told;
  for (std::size_t i = 0, subject = 0; i < draws.size(); ++i) {
    const auto& draw = draws[i];
    for (auto& one : results[i].answers) {
      const auto group = group_of(draw, one);
      if (failures.in(group)) {
        if (told.insert(group).second)
          RowWriter(result.rows, row_of(suite, *draw.subject, one.learner, *draw.sampler, draw.shots, 0, 0))
              .add("failed", failures.percent(group));
        continue;
      }
      for (const auto& calibration : one.calibrations) add(result.calibrations, calibration);
      append(result.combinations, one.combinations);
      append(result.rows, one.rows);
      append(result.showcases, one.showcases);
    }
    append(result.rows, results[i].rows);
    const bool last_of_subject = i + 1 == draws.size() || draws[i + 1].subject != draw.subject;
    if (!last_of_subject) continue;
    auto extra = rows_without_shots(suite, subjects[subject++]);
    append(result.rows, extra);
  }
  result.combinations = mean_of_draws(result.combinations);
  result.failures = failures.all();
}

std::string names_of(const std::vector<datasets::Profile>& profiles) {
  return hw::join(profiles, ", ",
                  [](const datasets::Profile& profile) { return profile.device + '/' + profile.workload; });
}

std::size_t nearest(const std::vector<std::size_t>& values, std::size_t wanted) {
  const auto distance = [&](std::size_t v) { return v > wanted ? v - wanted : wanted - v; };
  return *std::min_element(values.begin(), values.end(),
                           [&](std::size_t a, std::size_t b) { return distance(a) < distance(b); });
}

using Log = std::function<void(const std::string&)>;

std::vector<SplitRun> make_splits(const TableRun& run, const std::vector<SplitRule>& rules,
                                  const datasets::ProfileStore& store, const Log& log) {
  const auto& suite = run.suite;
  std::vector<SplitRun> splits;
  for (const auto& rule : rules) {
    splits.push_back({&rule, make_split(suite, rule, store, run.registry), {}, {}});
    check_corpus(run, splits.back());
    const auto& profiles = splits.back().profiles;
    log("split " + rule.name + ": tests " + names_of(profiles.test) +
        (profiles.train.empty() ? ", trains on nothing" : ", trains on " + names_of(profiles.train)));
    const auto& first = (profiles.train.empty() ? profiles.test : profiles.train).front();
    splits.back().population =
        datasets::generate_population(first.space, first.modes, suite.population, {.seed = run.options.seed});
    splits.back().contestants.resize(suite.learners.size());
  }
  return splits;
}

// The tested workloads of all splits. Throws std::invalid_argument where all have too few modes.
std::vector<Subject> make_subjects(const TableSuite& suite, const std::vector<SplitRun>& splits,
                                   const Log& log) {
  std::vector<Subject> subjects;
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
  const auto least = *std::min_element(suite.shots.begin(), suite.shots.end());
  if (most_modes <= least)
    throw std::invalid_argument("no workload has more than " + std::to_string(most_modes) +
                                " modes: expected more than the least number of shots, " +
                                std::to_string(least));
  return subjects;
}

// All draws of the suite, workload by workload.
std::vector<Draw> make_draws(const TableSuite& suite, const std::vector<Subject>& subjects,
                             std::size_t shown_shots) {
  const std::size_t shown = nearest(suite.shots, shown_shots);
  std::vector<Draw> draws;
  for (const auto& subject : subjects) {
    const bool first_of_split = subject.profile == &subject.split->profiles.test.front();
    for (const auto& sampler : suite.samplers)
      for (const auto shots : suite.shots)
        for (std::uint64_t number = 0;
             shots < subject.profile->modes.size() && number < (shots > 0 ? suite.seeds : 1); ++number)
          draws.push_back(
              {&subject, &sampler, shots, number,
               first_of_split && shots == shown && number == 0 && sampler == suite.samplers.front()});
  }
  return draws;
}

}  // namespace

Result run_tables(const TableSuite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                  const Progress& progress, const meta::Registry& registry) {
  const TableRun run{suite, options, registry};
  const std::size_t threads = hw::thread_count(options.threads);

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
  auto splits = make_splits(run, rules, store, log);
  const auto subjects = make_subjects(suite, splits, log);
  train_all(run, splits, threads, log);
  const auto draws = make_draws(suite, subjects, options.shown_shots);
  std::vector<DrawResult> results(draws.size());
  hw::run_jobs(draws.size(), threads, [&](std::size_t i) {
    results[i] = run_draw(run, draws[i]);
    tick(draws.size());
  });

  Result result;
  result.threads = threads;
  gather(suite, draws, subjects, results, result);
  if (!suite.searches.empty()) search_all(run, subjects, threads, tick, result);
  return result;
}

}  // namespace fewwatt::benchmarks
