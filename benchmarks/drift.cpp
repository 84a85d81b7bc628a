#include "benchmarks/drift.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>

#include "benchmarks/jobs.hpp"
#include "benchmarks/suite_keys.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/modules.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using hw::KnobRole;

// A change counts when it changes time or power of the running mode by this part at least.
constexpr double kLeastChange = 0.1;
constexpr double kInside = 1.01;  // power up to this times the budget counts as inside
// After a change, a mode of at most this times the fastest one's time counts as recovered.
constexpr double kNearFastest = 1.05;
constexpr std::size_t kNoticedIn = 5, kRecoveredIn = 10;  // measurements after a change
constexpr std::size_t kSettleFrom = 20, kSettleTo = 60;   // measurements before a change
constexpr int kBudgetDraws = 1000;                        // attempts to draw a budget that some mode keeps
constexpr int kDraws = 50;                                // attempts to draw a change that counts
const char* const kCrossed[] = {"resnet18-gld23k", "mobilenetv3-imagenet"};

// The board on which a suite runs.
struct Place {
  const DriftSuite& suite;
  const hw::SimulatedBoard& board;
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::shared_ptr<const learners::Learner> learner;
  bool inherits;

  learners::GovernorOptions governing(std::uint64_t seed) const {
    return {.inherits = inherits, .seed = seed};
  }
};

World world_of(const Place& place, const hw::SimulatedWorkload& workload) {
  World world{workload, {}};
  for (std::size_t k = 0; k < place.space->knobs().size(); ++k)
    world.caps.push_back(place.space->max_level(k));
  return world;
}

const hw::SimulatedWorkload& draw_workload(const Place& place, hw::Rng& rng) {
  return hw::find_simulated_workload(place.suite.workloads[rng.below(place.suite.workloads.size())]);
}

// The world with a clock capped below what `mode` sets; the same world where there is no lower level.
World capped(const Place& place, World world, KnobRole role, const hw::PowerMode& mode, hw::Rng& rng) {
  const auto knob = place.space->knob_with(role);
  if (!knob) return world;
  const auto& levels = place.space->knobs()[*knob].levels;
  const auto below = static_cast<std::size_t>(
      std::lower_bound(levels.begin(), levels.end(), std::min(mode[*knob], world.caps[*knob])) -
      levels.begin());
  if (below > 0) world.caps[*knob] = levels[rng.below(below)];
  return world;
}

World changed(const Place& place, const World& from, const std::string& kind, const hw::PowerMode& mode,
              hw::Rng& rng) {
  World to = from;
  if (kind == "batch-half") {
    to.workload.batch_size /= 2;
  } else if (kind == "batch-double") {
    to.workload.batch_size *= 2;
  } else if (kind == "crossed") {
    to.workload = hw::find_simulated_workload(kCrossed[from.workload.name == kCrossed[0] ? 1 : 0]);
  } else if (kind == "workload") {
    to = world_of(place, draw_workload(place, rng));
  } else {
    const auto role = kind == "cpu-capped"   ? KnobRole::cpu_khz
                      : kind == "gpu-capped" ? KnobRole::gpu_khz
                                             : KnobRole::mem_khz;
    to = capped(place, from, role, mode, rng);
  }
  return to;
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
  Stream(const Place& of, World in, double budget, std::uint64_t seed)
      : place(of),
        world(std::move(in)),
        truth(place.board, place.space, world),
        budget_w(budget),
        governor(place.space, place.learner, place.governing(seed)),
        noise(hw::Rng::stream(seed, "drift noise")) {}

  bool measure() {  // true: an alarm
    mode = governor.next(budget_w).mode;
    return governor.tell(mode, with_noise(truth.truth(mode), place.suite, noise));
  }
  void become(World other) {
    world = std::move(other);
    truth = WorldOnBoard(place.board, place.space, world);
  }

  const Place& place;
  World world;
  WorldOnBoard truth;
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
    const auto& workload =
        kind == "crossed" ? hw::find_simulated_workload(kCrossed[rng.below(2)]) : draw_workload(place, rng);
    Stream stream(place, world_of(place, workload), draw_budget(place.suite, rng), rng.bits());
    if (!stream.truth.fastest(stream.budget_w)) continue;
    const auto settled = kSettleFrom + rng.below(kSettleTo - kSettleFrom);
    for (std::size_t i = 0; i < settled; ++i) stream.measure();
    const auto other = changed(place, stream.world, kind, stream.mode, rng);
    const WorldOnBoard then(place.board, place.space, other);
    const auto fastest = then.fastest(stream.budget_w);
    if (!fastest || !counts(stream.truth.truth(stream.mode), then.truth(stream.mode))) continue;
    stream.become(other);
    Noticed noticed;
    for (std::size_t i = 0; i < kRecoveredIn; ++i) {
      const bool alarm = stream.measure();
      noticed.in_time |= alarm && i < kNoticedIn;
    }
    // With one window left, the governor does not try anything out: it names the best mode that it knows.
    const auto there = then.truth(stream.governor.next(stream.budget_w, 1).mode);
    noticed.recovered =
        there.power_w <= kInside * stream.budget_w && there.time_ms <= kNearFastest * fastest->time_ms;
    return noticed;
  }
  throw std::runtime_error("suite " + place.suite.name + ": no change of kind " + kind +
                           " is of 10 % or more");
}

bool false_alarm(const Place& place, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "drift stream/none");
  const auto& workload = draw_workload(place, rng);
  Stream stream(place, world_of(place, workload), draw_budget(place.suite, rng), rng.bits());
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
        governor_(place.space, place.learner, place.governing(seed)),
        world_(world_of(place, draw_workload(place, rng_))),
        truth_(place.board, place.space, world_) {
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
      if (const auto fastest = truth_.fastest(budget_w_)) {
        fastest_ms_ = fastest->time_ms;
        return;
      }
    }
    throw std::runtime_error("suite " + place_.suite.name + ": no budget fits " + world_.workload.name);
  }

  // Lets time pass until until_s. Returns false when the budget changed before that.
  bool pass(const hw::PowerMode& mode, double until_s, bool works) {
    while (now_s_ < until_s) {
      const bool change = next_change_ < changes_.size() && changes_[next_change_].at_s < until_s;
      const double to_s = change ? changes_[next_change_].at_s : until_s;
      const auto cost = truth_.truth(mode);
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
    auto kinds = drift_kinds();
    kinds.emplace_back("workload");
    // A change of the workload removes a cap.
    world_ = changed(place_, world_, kinds[rng_.below(kinds.size())], mode, rng_);
    truth_ = WorldOnBoard(place_.board, place_.space, world_);
    const auto fastest = truth_.fastest(budget_w_);
    if (!fastest) {
      draw_feasible_budget();
      return true;
    }
    fastest_ms_ = fastest->time_ms;
    return false;
  }

  const Place& place_;
  hw::Rng rng_, noise_;
  learners::Governor governor_;
  World world_;
  WorldOnBoard truth_;
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

WorldOnBoard::WorldOnBoard(const hw::SimulatedBoard& board, std::shared_ptr<const hw::PowerModeSpace> space,
                           World world)
    : board_(&board), space_(std::move(space)), world_(std::move(world)) {
  for (const auto& mode : space_->modes()) all_.push_back(truth(mode));
}

hw::Measurement WorldOnBoard::truth(const hw::PowerMode& mode) const {
  auto real = mode;
  for (std::size_t k = 0; k < real.size(); ++k) real[k] = std::min(real[k], world_.caps[k]);
  const auto cost = hw::simulate(*board_, world_.workload, hw::settings_of(*board_, *space_, real));
  return {cost.time_ms, cost.power_w};
}

std::optional<hw::Measurement> WorldOnBoard::fastest(double budget_w) const {
  std::optional<hw::Measurement> best;
  for (const auto& one : all_)
    if (one.power_w <= budget_w && (!best || one.time_ms < best->time_ms)) best = one;
  return best;
}

std::vector<std::string> drift_kinds() {
  return {"batch-half", "batch-double", "crossed", "cpu-capped", "gpu-capped", "memory-capped"};
}

std::vector<Row> run_drift(const DriftSuite& suite, const RunOptions& options, const Progress& progress,
                           const learners::Registry& registry) {
  const auto space = std::make_shared<const hw::PowerModeSpace>(hw::module_space(suite.board, suite.grid));
  std::vector<Place> places;
  for (const auto& learner : suite.learners)
    places.push_back({suite, hw::find_simulated_board(suite.board), space,
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
  run_jobs(jobs.size(), thread_count(options.threads), [&](std::size_t i) {
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
