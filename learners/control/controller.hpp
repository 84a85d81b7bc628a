#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "hw/device.hpp"
#include "learners/control/policy.hpp"
#include "learners/control/policy_net.hpp"
#include "learners/control/shield.hpp"
#include "learners/govern.hpp"
#include "learners/optimize/search.hpp"
#include "tasks/mode_mdp.hpp"
#include "tasks/world.hpp"

namespace fewwatt::learners {

// What is the case when a mode is asked for.
struct Context {
  double budget_w = tasks::kNoBudget;  // now; > 0
  double left =
      std::numeric_limits<double>::infinity();  // measurements that can be made, the next one included
};

// What proposes the mode of the next measurement: a search, the governor, a bandit or a trained policy. They compete as controllers.
class Controller {
 public:
  virtual ~Controller() = default;
  // The mode to measure next, one of the space; nullopt where none is left to try, or context.left < 1. Throws std::invalid_argument
  // unless context.budget_w > 0.
  virtual std::optional<hw::PowerMode> next(const Context& context) = 0;
  // What a mode of the space cost. A measurement that was throttled, or has neither time nor power, was rejected. Values that are not
  // positive and finite are not known. Calls may come in any order, also for modes that were not asked for. Throws std::invalid_argument for
  // a mode that the space lacks.
  virtual void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) = 0;
  // The mode that it recommends for the budget of the last next(): the fastest inside, as far as it knows; nullopt where it knows none.
  virtual std::optional<Answer> answer() = 0;
};

// Throws std::invalid_argument unless context.budget_w > 0.
void check_context(const Context& context);
// The measurement as controllers take it: NaN for what is not known, both NaN where it was rejected.
hw::Measurement known_part(const hw::Measurement& measurement);

// Keeps measurements, for controllers that have no learner to do so.
class MeasuredModes {
 public:
  // Throws std::invalid_argument for a mode that the space lacks.
  void add(const hw::PowerModeSpace& space, const hw::PowerMode& mode, const hw::Measurement& measurement);
  // The mode of least mean time whose mean power is inside the budget.
  std::optional<Answer> fastest(double budget_w) const;
  // The means of all modes with a known time or power, for a learner.
  Samples samples(std::shared_ptr<const hw::PowerModeSpace> space,
                  const tasks::Characteristics& characteristics) const;

 private:
  struct Mean {
    double sum = 0, count = 0;
    void add(double value);  // NaN: not
    double value() const { return sum / count; }
  };
  struct Means {
    Mean time_ms, power_w;
  };
  std::map<hw::PowerMode, Means> modes_;
};

// A search. Where the budget changes, it aims at the new one.
class SearchController final : public Controller {
 public:
  // `goal`: what the search was made for; its limit of power is replaced by the context's budget. stays: when the search has ended,
  // next() gives what it recommends, or else what is nearest to the limits, or else `space`'s lowest mode, again and again.
  SearchController(std::shared_ptr<const hw::PowerModeSpace> space, std::unique_ptr<Search> search, Goal goal,
                   bool stays = false);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return search_->answer(); }

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::unique_ptr<Search> search_;
  Goal goal_;
  bool stays_;
};

// The governor; each measurement is a window.
class GovernorController final : public Controller {
 public:
  // switch_share: as ModeMdpOptions has it. Throws as Governor().
  GovernorController(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
                     GovernorOptions options = {}, double switch_share = 0);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  // The fastest mode inside among those measured of the present workload.
  std::optional<Answer> answer() override;

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  Governor governor_;
  double switch_share_, budget_w_ = tasks::kNoBudget;
  std::optional<hw::PowerMode> mode_;  // that was measured last
};

// A policy that acts as in a tasks::ModeEnvironment: it measures the reference mode first.
class PolicyController final : public Controller {
 public:
  // `shield`, where there is one, says which actions are allowed. In the task find, it ends after options.measurements. Throws
  // std::invalid_argument for bad options, and for actions that the policy is not made for.
  PolicyController(std::shared_ptr<const hw::PowerModeSpace> space, std::unique_ptr<Policy> policy,
                   const tasks::ModeMdpOptions& options, const tasks::Characteristics& characteristics,
                   std::uint64_t seed, std::unique_ptr<Shield> shield = nullptr);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return measured_.fastest(budget_w_); }

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::unique_ptr<Policy> policy_;
  tasks::ModeMdpOptions options_;
  tasks::ModeActions actions_;
  tasks::ModeObserver observer_;
  tasks::SpentActions spent_;
  std::unique_ptr<Shield> shield_;
  MeasuredModes measured_;
  hw::PowerMode lowest_;
  std::vector<hw::PowerMode> targets_;
  double budget_w_ = tasks::kNoBudget, reward_ = 0;
};

// The agent of a checkpoint, with the options that it was trained with. Throws as PolicyController() and check_policy().
std::unique_ptr<Controller> policy_controller(const PolicyModel& model,
                                              std::shared_ptr<const hw::PowerModeSpace> space,
                                              const tasks::Characteristics& characteristics,
                                              std::uint64_t seed, std::unique_ptr<Shield> shield = nullptr);

// One measurement that a controller asked for.
struct Visit {
  hw::PowerMode mode;                  // that was measured
  hw::Measurement measured;            // its time and power, with noise; both NaN: rejected
  double budget_w = tasks::kNoBudget;  // W, of that step
};
// Runs a controller in a world, whose episode has begun, for at most so many measurements. `each` is called after every measurement,
// before the world's next step. Throws std::logic_error where the controller asks for a mode that the world lacks.
void run_controller(Controller& controller, tasks::World& world, std::size_t measurements,
                    const std::function<void(const Visit&)>& each = {});

}  // namespace fewwatt::learners
