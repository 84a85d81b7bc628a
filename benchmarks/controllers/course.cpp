#include "benchmarks/controllers/course.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "benchmarks/metrics.hpp"
#include "hw/modules.hpp"
#include "hw/simulated_device.hpp"
#include "hw/text.hpp"
#include "tasks/mode_environment.hpp"

namespace fewwatt::benchmarks {
namespace {

constexpr int kDraws = 1000;                           // attempts to draw a budget that counts
constexpr double kLeastPower = 0.1, kMostPower = 0.9;  // percentiles between which budgets of profiles lie

// Whether choosing is of use: a mode keeps the budget, and the fastest of all does not.
bool counts(const tasks::World& world) {
  const auto space = world.space();
  bool any = false;
  double least_ms = std::numeric_limits<double>::infinity(), power_w = 0;  // of the fastest
  for (std::size_t i = 0; i < space->size(); ++i) {
    const auto truth = world.truth(space->at(i));
    if (!truth) continue;
    any = any || truth->power_w <= world.budget_w();
    if (!(truth->time_ms < least_ms)) continue;
    least_ms = truth->time_ms;
    power_w = truth->power_w;
  }
  return any && power_w > world.budget_w();
}

// A training episode's length.
std::size_t draw_length(const ControllerSuite& suite, hw::Rng& rng) {
  return suite.train_measurements[rng.below(suite.train_measurements.size())];
}

std::unique_ptr<tasks::Environment> training_environment(std::unique_ptr<tasks::World> world,
                                                         const ControllerSuite& suite, const AgentPlan& plan,
                                                         std::size_t length) {
  auto options = suite.mdp(length);
  options.actions = plan.actions;
  options.reward = plan.reward;
  options.candidates = plan.candidates;
  return std::make_unique<tasks::ModeEnvironment>(std::move(world), options, /*random_start=*/false,
                                                  plan.shielded);
}

}  // namespace

Course::Course(const ControllerSuite& suite, std::vector<datasets::Profile> profiles, std::uint64_t seed)
    : suite_(suite), profiles_(std::move(profiles)), seed_(seed) {
  if (suite.simulated()) {
    device_ = suite.board;
    splits_ = {"all"};
    space_ = std::make_shared<const hw::PowerModeSpace>(hw::module_space(suite.board, suite.grid));
    return;
  }
  std::erase_if(profiles_, [](const auto& profile) { return !profile.has_time() || !profile.has_power(); });
  if (profiles_.empty()) throw datasets::DataError(suite.path + ": inputs: no profile has time and power");
  const bool trains = std::any_of(suite.contestants.begin(), suite.contestants.end(), [](const auto& text) {
    const auto one = parse_rival(text);
    return one.kind == Rival::Kind::agent && !one.alone;
  });
  for (std::size_t split = 0; trains && split < profiles_.size(); ++split)
    if (others(split).empty())
      throw datasets::DataError(suite.path + ": inputs: beside " + profiles_[split].workload +
                                " there is no workload to train agents on");
  device_ = profiles_.front().device;
  space_ = profiles_.front().space;
  for (const auto& profile : profiles_) splits_.push_back(profile.workload);
}

tasks::SimulatedWorldOptions Course::simulated_options() const {
  tasks::SimulatedWorldOptions options;
  options.time_noise = suite_.time_noise;
  options.power_noise = suite_.power_noise;
  return options;
}

std::vector<std::size_t> Course::others(std::size_t split) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < profiles_.size(); ++i)
    if (profiles_[i].workload != profiles_[split].workload) found.push_back(i);
  return found;
}

std::unique_ptr<tasks::World> Course::replayed(std::size_t profile, double budget_w) const {
  return std::make_unique<tasks::ReplayWorld>(profiles_[profile], tasks::ReplayOptions{.budget_w = budget_w});
}

double Course::draw_budget(std::size_t profile, hw::Rng& rng) const {
  std::vector<double> powers;
  for (const auto& one : profiles_[profile].measurements)
    if (std::isfinite(one.power_w)) powers.push_back(one.power_w);
  return quantile(powers, rng.uniform(kLeastPower, kMostPower));
}

std::unique_ptr<tasks::World> Course::begin(const ControlEpisode& episode) const {
  std::unique_ptr<tasks::World> world;
  if (suite_.simulated()) {
    auto options = simulated_options();
    options.places = {{hw::find_simulated_board(suite_.board), space_}};
    for (const auto& name : suite_.workloads) options.workloads.push_back(hw::find_simulated_workload(name));
    options.first_w = suite_.first_w;
    options.last_w = suite_.last_w;
    options.steps = suite_.measurements.front();
    options.changes = suite_.changes;
    world = std::make_unique<tasks::SimulatedWorld>(std::move(options));
  } else {
    world = replayed(episode.split, episode.budget_w);
  }
  world->reset(episode.seed);
  return world;
}

ControlEpisode Course::draw_episode(std::size_t split, hw::Rng& rng) const {
  for (int draw = 0; draw < kDraws; ++draw) {
    ControlEpisode episode{split, rng.bits(), 0};
    if (!suite_.simulated()) episode.budget_w = draw_budget(split, rng);
    if (suite_.task == tasks::ModeTask::run || counts(*begin(episode))) return episode;
  }
  throw std::runtime_error("suite " + suite_.name + ": no budget counts, with workload " + splits_[split]);
}

std::vector<ControlEpisode> Course::episodes() const {
  std::vector<ControlEpisode> all;
  for (std::size_t split = 0; split < splits_.size(); ++split) {
    auto rng = hw::Rng::stream(seed_, "controllers/episodes", split);
    for (std::size_t i = 0; i < suite_.seeds; ++i) all.push_back(draw_episode(split, rng));
  }
  return all;
}

meta::MakeEnvironment Course::population(std::size_t split, const AgentPlan& plan,
                                         const std::string& purpose) const {
  const auto base = hw::Rng::stream(seed_, "controllers/" + purpose, split).bits();
  if (suite_.simulated()) {
    const auto drawn = std::make_shared<const tasks::SimulatedWorldOptions>(
        tasks::random_population(space_, suite_.boards, suite_.population, base));
    return [this, plan, base, drawn](std::uint64_t seed) -> std::unique_ptr<tasks::Environment> {
      auto rng = hw::Rng::stream(seed ^ base, "controllers/environment");
      const auto length = draw_length(suite_, rng);
      auto options = simulated_options();
      options.places = {drawn->places[rng.below(drawn->places.size())]};
      options.steps = length;
      options.changes = suite_.train_changes;
      if (options.changes > 0)
        options.workloads = drawn->workloads;
      else
        options.workloads = {drawn->workloads[rng.below(drawn->workloads.size())]};
      return training_environment(std::make_unique<tasks::SimulatedWorld>(std::move(options)), suite_, plan,
                                  length);
    };
  }
  return [this, plan, base, all = others(split)](std::uint64_t seed) -> std::unique_ptr<tasks::Environment> {
    auto rng = hw::Rng::stream(seed ^ base, "controllers/environment");
    const auto length = draw_length(suite_, rng);
    const auto profile = all[rng.below(all.size())];
    return training_environment(replayed(profile, draw_budget(profile, rng)), suite_, plan, length);
  };
}

meta::MakeEnvironment Course::alone(const ControlEpisode& episode, const AgentPlan& plan,
                                    std::size_t length) const {
  return [this, episode, plan, length](std::uint64_t) -> std::unique_ptr<tasks::Environment> {
    std::unique_ptr<tasks::World> world;
    if (suite_.simulated()) {
      const auto tested = begin(episode);
      auto options = simulated_options();
      options.places = {{hw::find_simulated_board(suite_.board), space_}};
      options.workloads = {static_cast<const tasks::SimulatedWorld&>(*tested).conditions().workload};
      options.first_w = options.last_w = tested->budget_w();
      world = std::make_unique<tasks::SimulatedWorld>(std::move(options));
    } else {
      world = replayed(episode.split, episode.budget_w);
    }
    return training_environment(std::move(world), suite_, plan, length);
  };
}

std::string Course::knobs() const {
  return hw::join(tasks::knob_slots(*space_), " ");
}

FastestNow::Step FastestNow::step() const {
  Step now{std::nullopt, world_->budget_w()};
  if (const auto* simulated = dynamic_cast<const tasks::SimulatedWorld*>(world_))
    now.conditions = simulated->conditions();
  return now;
}

const std::optional<tasks::FastestMode>& FastestNow::operator()() {
  const auto same = [](const Step& a, const Step& b) {
    if (a.budget_w != b.budget_w || a.conditions.has_value() != b.conditions.has_value()) return false;
    if (!a.conditions) return true;
    // The workloads of a suite have different names, and only a change makes another batch size.
    return a.conditions->workload.name == b.conditions->workload.name &&
           a.conditions->workload.batch_size == b.conditions->workload.batch_size &&
           a.conditions->caps == b.conditions->caps;
  };
  auto now = step();
  if (!last_ || !same(*last_, now)) fastest_ = tasks::fastest_inside(*world_);
  last_ = std::move(now);
  return fastest_;
}

}  // namespace fewwatt::benchmarks
