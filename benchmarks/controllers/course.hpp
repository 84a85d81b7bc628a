#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/controllers/controller_suite.hpp"
#include "datasets/profile.hpp"
#include "meta/rl/trial.hpp"
#include "tasks/simulated_world.hpp"
#include "tasks/world.hpp"

namespace fewwatt::benchmarks {

// A part of the tests: the same for all contestants.
struct ControlEpisode {
  std::size_t split = 0;   // workload, of Course::splits()
  std::uint64_t seed = 0;  // of the world's reset()
  double budget_w = 0;     // where profiles are replayed
};

// The worlds of a suite, for tests and for training.
class Course {
 public:
  // `profiles`: where the suite replays some; those without times or without powers are left out. Throws datasets::DataError where none is
  // left, or where one is and an agent is to be trained on others.
  Course(const ControllerSuite& suite, std::vector<datasets::Profile> profiles, std::uint64_t seed);

  const std::string& device() const { return device_; }  // in rows
  // What is left out of training in turn: the names of the workloads that are replayed; one, "all", where the suite is simulated.
  const std::vector<std::string>& splits() const { return splits_; }
  // The episodes of the tests. With task = find only those whose budget counts: a mode keeps it, and the fastest of all does not. Throws
  // std::runtime_error where there are none.
  std::vector<ControlEpisode> episodes() const;
  // The world of an episode, which has begun.
  std::unique_ptr<tasks::World> begin(const ControlEpisode& episode) const;

  // What agents are trained in: worlds of a population without the workload of the split. `purpose` says which: others for "training"
  // than for "validation".
  meta::MakeEnvironment population(std::size_t split, const AgentPlan& plan,
                                   const std::string& purpose) const;
  // The workload and the budget of an episode, with noise of their own; episodes of that length.
  meta::MakeEnvironment alone(const ControlEpisode& episode, const AgentPlan& plan, std::size_t length) const;
  // The roles of knobs, as agents state them: tasks::knob_slots() with spaces between.
  std::string knobs() const;

 private:
  tasks::SimulatedWorldOptions simulated_options() const;
  std::unique_ptr<tasks::World> replayed(std::size_t profile, double budget_w) const;
  double draw_budget(std::size_t profile, hw::Rng& rng) const;
  std::vector<std::size_t> others(std::size_t split) const;  // profiles of other workloads
  ControlEpisode draw_episode(std::size_t split, hw::Rng& rng) const;

  const ControllerSuite& suite_;
  std::vector<datasets::Profile> profiles_;
  std::uint64_t seed_;
  std::string device_;
  std::vector<std::string> splits_;
  std::shared_ptr<const hw::PowerModeSpace> space_;  // of the simulated board, or of the first profile
};

// The fastest mode inside the budget of a world's present step. Looks at all modes only where the step differs from the last one asked for.
class FastestNow {
 public:
  explicit FastestNow(const tasks::World& world) : world_(&world) {}  // which must outlive it
  // As tasks::fastest_inside(). Valid until the next call.
  const std::optional<tasks::FastestMode>& operator()();

 private:
  struct Step {
    std::optional<tasks::Conditions> conditions;  // of a simulated world
    double budget_w;
  };
  Step step() const;

  const tasks::World* world_;
  std::optional<Step> last_;
  std::optional<tasks::FastestMode> fastest_;
};

}  // namespace fewwatt::benchmarks
