#include "benchmarks/drift.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/jobs.hpp"
#include "hw/modules.hpp"
#include "hw/simulated_device.hpp"
#include "learners/govern.hpp"
#include "learners/registry.hpp"
#include "tasks/simulated_world.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using tasks::Conditions;

// A change counts when it changes time or power of the running mode by this part at least.
constexpr double kLeastChange = 0.1;
constexpr double kInside = 1.01;  // power up to this times the budget counts as inside
// After a change, a mode of at most this times the fastest one's time counts as recovered.
constexpr double kNearFastest = 1.05;
constexpr std::size_t kNoticedIn = 5, kRecoveredIn = 10;  // measurements after a change
constexpr std::size_t kSettleFrom = 20, kSettleTo = 60;   // measurements before a change
constexpr int kBudgetDraws = 1000;                        // attempts to draw a budget that some mode keeps
constexpr int kDraws = 50;                                // attempts to draw a change that counts

// The board on which a suite runs, and a learner for its governor.
struct Place {
  const DriftSuite& suite;
  tasks::SimulatedPlace at;
  std::vector<hw::SimulatedWorkload> workloads;  // the suite's
  std::shared_ptr<const learners::Learner> learner;
  bool inherits;

  learners::GovernorOptions governing(std::uint64_t seed) const {
    return {.inherits = inherits, .seed = seed};
  }
  Conditions conditions(const hw::SimulatedWorkload& workload) const {
    return tasks::uncapped(*at.space, workload);
  }
  hw::Measurement truth(const Conditions& conditions, const hw::PowerMode& mode) const {
    return tasks::cost_under(at, conditions, mode);
  }
  Conditions changed(const Conditions& from, const std::string& kind, const hw::PowerMode& mode,
                     hw::Rng& rng) const {
    return tasks::changed(at, workloads, from, kind, mode, rng);
  }
};

const hw::SimulatedWorkload& draw_workload(const Place& place, hw::Rng& rng) {
  return place.workloads[rng.below(place.workloads.size())];
}

const hw::SimulatedWorkload& draw_crossed(hw::Rng& rng) {
  const auto both = tasks::crossed_workloads();
  return rng.below(2) == 0 ? both.first : both.second;
}

// The cost of the fastest mode inside the budget; nullopt where there is none.
std::optional<hw::Measurement> fastest(const Place& place, const Conditions& conditions, double budget_w) {
  std::optional<hw::Measurement> best;
  for (std::size_t i = 0; i < place.at.space->size(); ++i) {
    const auto one = place.truth(conditions, place.at.space->at(i));
    if (one.power_w <= budget_w && (!best || one.time_ms < best->time_ms)) best = one;
  }
  return best;
}

hw::Measurement with_noise(hw::Measurement truth, const DriftSuite& suite, hw::Rng& rng) {
  truth.time_ms *= std::exp(suite.time_noise * rng.normal());
  truth.power_w *= std::exp(suite.power_noise * rng.normal());
  return truth;
}

bool counts(const hw::Measurement& before, const hw::Measurement& after) {
  const auto share = [](double a, double b) { return std::abs(b / a - 1); };
  return std::max(share(before.time_ms, after.time_ms), share(before.power_w, after.power_w)) >= kLeastChange;
}

// A workload that is governed under one budget, one measurement after the other.
struct Stream {
  Stream(const Place& of, Conditions in, double budget, std::uint64_t seed)
      : place(of),
        conditions(std::move(in)),
        budget_w(budget),
        governor(place.at.space, place.learner, place.governing(seed)),
        noise(hw::Rng::stream(seed, "drift noise")) {}

  bool measure() {  // true: an alarm
    mode = governor.next(budget_w).mode;
    return governor.tell(mode, with_noise(place.truth(conditions, mode), place.suite, noise));
  }

  const Place& place;
  Conditions conditions;
  double budget_w;
  learners::Governor governor;
  hw::Rng noise;
  hw::PowerMode mode;
};

struct Noticed {
  bool in_time = false, recovered = false;
};

double draw_budget(const DriftSuite& suite, hw::Rng& rng) {
  return rng.uniform(suite.first_w, suite.last_w);
}

Noticed stream_with_change(const Place& place, const std::string& kind, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "drift stream/" + kind);
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto& workload = kind == "crossed" ? draw_crossed(rng) : draw_workload(place, rng);
    Stream stream(place, place.conditions(workload), draw_budget(place.suite, rng), rng.bits());
    if (!fastest(place, stream.conditions, stream.budget_w)) continue;
    const auto settled = kSettleFrom + rng.below(kSettleTo - kSettleFrom);
    for (std::size_t i = 0; i < settled; ++i) stream.measure();
    const auto other = place.changed(stream.conditions, kind, stream.mode, rng);
    const auto best = fastest(place, other, stream.budget_w);
    const auto before = place.truth(stream.conditions, stream.mode);
    if (!best || !counts(before, place.truth(other, stream.mode))) continue;
    stream.conditions = other;
    Noticed noticed;
    for (std::size_t i = 0; i < kRecoveredIn; ++i) {
      const bool alarm = stream.measure();
      noticed.in_time |= alarm && i < kNoticedIn;
    }
    // With one window left, the governor does not try anything out: it names the best mode that it knows.
    const auto there = place.truth(other, stream.governor.next(stream.budget_w, 1).mode);
    noticed.recovered =
        there.power_w <= kInside * stream.budget_w && there.time_ms <= kNearFastest * best->time_ms;
    return noticed;
  }
  throw std::runtime_error("suite " + place.suite.name + ": no change of kind " + kind +
                           " is of 10 % or more");
}

bool false_alarm(const Place& place, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "drift stream/none");
  const auto& workload = draw_workload(place, rng);
  Stream stream(place, place.conditions(workload), draw_budget(place.suite, rng), rng.bits());
  bool alarm = false;
  for (std::size_t i = 0; i < place.suite.measurements; ++i) alarm |= stream.measure();
  return alarm;
}

// ---- an hour ----

struct Change {
  double at_s;
  bool of_budget;
};

struct Governed {
  double inside_s = 0;  // power was within the budget
  double done_s = 0;  // sum of seconds times the rate of work over that of the fastest mode within the budget
  double over_s = 0, longest_over_s = 0;                // without a break: now, and at most
  std::size_t windows_over = 0, most_windows_over = 0;  // in a row, by their mean power: now, and at most
};

// An hour of simulated time under one governor.
class Hour {
 public:
  Hour(const Place& place, std::uint64_t seed)
      : place_(place),
        rng_(hw::Rng::stream(seed, "drift hour")),
        noise_(hw::Rng::stream(seed, "drift hour noise")),
        governor_(place.at.space, place.learner, place.governing(seed)),
        conditions_(place.conditions(draw_workload(place, rng_))) {
    draw_feasible_budget();
    std::vector<double> times;
    for (std::size_t i = 0; i < place.suite.changes; ++i)
      times.push_back(rng_.uniform(0, place.suite.hour_s));
    std::sort(times.begin(), times.end());
    for (std::size_t i = 0; i < times.size(); ++i) changes_.push_back({times[i], i % 2 == 1});
  }

  Governed run() {
    const auto& suite = place_.suite;
    while (now_s_ < suite.hour_s) {
      const auto mode = governor_.next(budget_w_, (suite.hour_s - now_s_) / suite.window_s).mode;
      const double until_s = std::min(suite.hour_s, now_s_ + suite.window_s);
      const bool moves = mode != mode_;
      mode_ = mode;
      if (moves && !pass(mode, std::min(until_s, now_s_ + suite.switch_s), false)) continue;
      if (moves) governor_.moved(suite.switch_s / suite.window_s);
      // A new budget ends the window early; the measurement is then of the shorter time.
      steps_ = joules_ = 0;
      const double from_s = now_s_;
      const bool whole = pass(mode, until_s, true);
      const double seconds = now_s_ - from_s;
      governed_.windows_over =
          whole && joules_ > kInside * budget_w_ * seconds ? governed_.windows_over + 1 : 0;
      governed_.most_windows_over = std::max(governed_.most_windows_over, governed_.windows_over);
      if (whole && seconds > 0)
        governor_.tell(mode, with_noise({1000 * seconds / steps_, joules_ / seconds}, suite, noise_));
    }
    return governed_;
  }

 private:
  void draw_feasible_budget() {
    for (int draw = 0; draw < kBudgetDraws; ++draw) {
      budget_w_ = draw_budget(place_.suite, rng_);
      if (const auto best = fastest(place_, conditions_, budget_w_)) {
        fastest_ms_ = best->time_ms;
        return;
      }
    }
    throw std::runtime_error("suite " + place_.suite.name + ": no budget fits " + conditions_.workload.name);
  }

  // Lets time pass until until_s. Returns false when the budget changed before that.
  bool pass(const hw::PowerMode& mode, double until_s, bool works) {
    while (now_s_ < until_s) {
      const bool change = next_change_ < changes_.size() && changes_[next_change_].at_s < until_s;
      const double to_s = change ? changes_[next_change_].at_s : until_s;
      const auto cost = place_.truth(conditions_, mode);
      const double seconds = to_s - now_s_;
      if (works) {
        steps_ += 1000 * seconds / cost.time_ms;
        joules_ += seconds * cost.power_w;
        // A mode over the budget may be faster than the fastest one inside; that gain does not count.
        governed_.done_s += seconds * std::min(1.0, fastest_ms_ / cost.time_ms);
      }
      if (cost.power_w <= kInside * budget_w_) {
        governed_.inside_s += seconds;
        governed_.over_s = 0;
      } else {
        governed_.over_s += seconds;
        governed_.longest_over_s = std::max(governed_.longest_over_s, governed_.over_s);
      }
      now_s_ = to_s;
      if (change && make(changes_[next_change_++], mode)) return false;
    }
    return true;
  }

  // Makes a change. Returns whether the budget changed.
  bool make(const Change& change, const hw::PowerMode& mode) {
    if (change.of_budget) {
      draw_feasible_budget();
      return true;
    }
    // A change of the workload removes a cap.
    const auto kinds = tasks::change_kinds();
    conditions_ = place_.changed(conditions_, kinds[rng_.below(kinds.size())], mode, rng_);
    const auto best = fastest(place_, conditions_, budget_w_);
    if (!best) {
      draw_feasible_budget();
      return true;
    }
    fastest_ms_ = best->time_ms;
    return false;
  }

  const Place& place_;
  hw::Rng rng_, noise_;
  learners::Governor governor_;
  Conditions conditions_;
  std::vector<Change> changes_;
  std::size_t next_change_ = 0;
  hw::PowerMode mode_;
  double budget_w_ = 0, fastest_ms_ = 0, now_s_ = 0, steps_ = 0, joules_ = 0;
  Governed governed_;
};

}  // namespace

DriftSuite read_drift_suite(const std::string& path, const learners::Registry& registry) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name", "kind", "simulate", "grid", "workloads", "learners", "budgets", "time_noise",
                   "power_noise", "seeds", "streams", "measurements", "hour_s", "window_s", "switch_s",
                   "changes"});
  for (const auto& section : file.sections)
    if (section.name != "suite") throw DataError(section.where + ": expected [suite] alone");
  DriftSuite suite;
  suite.path = path;
  suite.name = head.text("name");
  suite.board = head.text("simulate");
  suite.grid = head.text_or("grid", "full");
  parse_key(head, "simulate", [&](const auto&) { hw::find_simulated_board(suite.board); });
  parse_key(head, "grid", [&](const auto&) { hw::module_space(suite.board, suite.grid); });
  suite.workloads = parse_key(head, "workloads", parse_list);
  for (const auto& workload : suite.workloads)
    parse_key(head, "workloads", [&](const auto&) { hw::find_simulated_workload(workload); });
  suite.learners = parse_key(head, "learners", parse_list);
  for (const auto& learner : suite.learners)
    parse_key(head, "learners", [&](const auto&) { check_drift_learner(learner, registry); });
  const auto budgets = cut(head.text("budgets"), ':');
  if (budgets.size() != 2 || !datasets::parse_number(budgets[0], suite.first_w) ||
      !datasets::parse_number(budgets[1], suite.last_w) || !(suite.first_w > 0) ||
      !(suite.last_w >= suite.first_w))
    refuse(head, "budgets", "first:last in W");
  suite.time_noise = positive(head, "time_noise");
  suite.power_noise = positive(head, "power_noise");
  suite.seeds = count_of(head, "seeds");
  suite.streams = count_of(head, "streams");
  suite.measurements = count_of(head, "measurements");
  suite.hour_s = positive(head, "hour_s");
  suite.window_s = positive(head, "window_s");
  suite.switch_s = positive(head, "switch_s");
  if (!(suite.switch_s < suite.window_s)) refuse(head, "switch_s", "less than window_s");
  suite.changes = count_of(head, "changes");
  return suite;
}

void check_drift_learner(const std::string& name, const learners::Registry& registry) {
  const auto& facts = registry.learners.find(name);
  if (facts.needs_checkpoint || !facts.gives_uncertainty)
    throw std::invalid_argument("learner " + name + " needs a checkpoint, or gives no uncertainty");
}

std::vector<std::string> drift_kinds() {
  auto kinds = tasks::change_kinds();
  std::erase(kinds, "workload");
  return kinds;
}

std::vector<Row> run_drift(const DriftSuite& suite, const RunOptions& options, const Progress& progress,
                           const learners::Registry& registry) {
  const auto space = std::make_shared<const hw::PowerModeSpace>(hw::module_space(suite.board, suite.grid));
  std::vector<hw::SimulatedWorkload> workloads;
  for (const auto& name : suite.workloads) workloads.push_back(hw::find_simulated_workload(name));
  std::vector<Place> places;
  for (const auto& learner : suite.learners)
    places.push_back({suite,
                      {hw::find_simulated_board(suite.board), space},
                      workloads,
                      learners::make_learner(learner, {}, registry),
                      registry.learners.find(learner).weighs_rows});
  auto kinds = drift_kinds();
  kinds.emplace_back("none");
  kinds.emplace_back("mixed");

  struct Job {
    std::size_t learner, seed;
    std::string kind;
    std::vector<Row> rows;
  };
  std::vector<Job> jobs;
  for (std::size_t l = 0; l < places.size(); ++l)
    for (std::size_t seed = 0; seed < suite.seeds; ++seed)
      for (const auto& kind : kinds) jobs.push_back({l, seed, kind, {}});
  std::mutex mutex;
  std::size_t done = 0;
  hw::run_jobs(jobs.size(), hw::thread_count(options.threads), [&](std::size_t i) {
    auto& job = jobs[i];
    const auto& place = places[job.learner];
    const auto add = [&](const std::string& metric, double value) {
      job.rows.push_back({.suite = suite.name,
                          .device = suite.board,
                          .workload = job.kind,
                          .learner = suite.learners[job.learner],
                          .sampler = "none",
                          .shots = 0,
                          .seed = job.seed,
                          .metric = metric,
                          .value = value,
                          .seconds = 0,
                          .split = "all"});
    };
    // Seeded by the seed and the kind and not by the learner, so that all learners meet the same changes.
    auto seeds = hw::Rng::stream(options.seed, "drift/" + job.kind, job.seed);
    if (job.kind == "mixed") {
      const auto governed = Hour(place, seeds.bits()).run();
      add("govern_inside", 100 * governed.inside_s / suite.hour_s);
      add("govern_throughput", 100 * governed.done_s / suite.hour_s);
      add("govern_longest_over_s", governed.longest_over_s);
      add("govern_windows_over", static_cast<double>(governed.most_windows_over));
    } else {
      std::size_t noticed = 0, recovered = 0, alarms = 0;
      for (std::size_t s = 0; s < suite.streams; ++s) {
        if (job.kind == "none") {
          alarms += false_alarm(place, seeds.bits()) ? 1 : 0;
          continue;
        }
        const auto one = stream_with_change(place, job.kind, seeds.bits());
        noticed += one.in_time ? 1 : 0;
        recovered += one.recovered ? 1 : 0;
      }
      const auto percent = [&](std::size_t n) {
        return 100 * static_cast<double>(n) / static_cast<double>(suite.streams);
      };
      if (job.kind == "none") {
        add("drift_false_alarms", percent(alarms));
      } else {
        add("drift_noticed", percent(noticed));
        add("drift_recovered", percent(recovered));
      }
    }
    if (progress.jobs) {
      const std::lock_guard lock(mutex);
      progress.jobs(++done, jobs.size());
    }
  });
  std::vector<Row> rows;
  for (auto& job : jobs) rows.insert(rows.end(), job.rows.begin(), job.rows.end());
  return rows;
}

}  // namespace fewwatt::benchmarks
