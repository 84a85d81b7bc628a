#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "learners/control/controller.hpp"
#include "learners/options.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::learners {

struct Registry;

// What a controller is made for.
struct ControllerRequest {
  std::shared_ptr<const hw::PowerModeSpace> space;  // the modes that it may measure
  // Predicts time and power, with uncertainty, for controllers that need it and for shields; nullptr: there is none.
  std::shared_ptr<const Learner> learner = {};
  tasks::ModeTask task = tasks::ModeTask::find;  // what counts
  std::size_t measurements = 15;                 // of the episode, the first one included
  double budget_w = tasks::kNoBudget;            // at the beginning
  double switch_share = 0;                       // as in tasks::ModeMdpOptions
  tasks::Characteristics characteristics = {};   // of the workload, as far as it states them
  std::uint64_t seed = 0;                        // of random choices
};

// A controller that needs no training beforehand, as a registry has it.
struct ControllerEntry {
  std::string name;            // "linucb"
  std::string about = {};      // one line
  bool needs_learner = false;  // whether the request must have one
  bool runs = true;            // whether it can be used for tasks::ModeTask::run
  EachOption options = {};     // as they are by default
  // Throws std::invalid_argument for settings that it does not have or that are bad, and for spaces that are too large for it.
  std::function<std::unique_ptr<Controller>(const ControllerRequest&, const Settings&)> make = {};
  std::string error() const { return make ? "" : "it has no function make"; }  // "" when valid
};

//   governor         learners/govern.hpp, on a learner
//   linucb           LinearBandit, BanditRule::linucb
//   linear-thompson  LinearBandit, BanditRule::thompson
//   q-learning       TabularController: a state is a mode, an action moves one knob; no planning unless it is set
//   dyna-table       TabularController with planning from what it has seen
//   dyna             DynaController: plans with a learner as its model
//   lowest           the lowest mode, again and again: no knob is raised
//   highest          the highest mode, again and again: MAXN on boards of NVIDIA
std::vector<ControllerEntry> builtin_controllers();

// The controller of that name: an entry of Registry::controllers or, as a SearchController, a search of the registry for time under the
// request's budget. In the task find, a search plans all of the request's measurements; in run it plans SearchOptions::planned as by default,
// at most, and then stays with what it recommends. Settings of a search are those of SearchOptions that it goes by. Throws
// std::invalid_argument listing the known names, for bad settings, a space without modes, a controller that cannot run where it should, and
// where a learner is needed and there is none, or the governor's gives no uncertainty.
std::unique_ptr<Controller> make_controller(std::string_view name, const ControllerRequest& request,
                                            const Settings& settings, const Registry& registry);

// Keeps another controller to actions that a shield allows. Where the shield forbids the mode that is asked for, the allowed mode nearest to it
// is measured instead: that of the least sum of differences in levels, the first of several. The other is told what was measured in place of
// its own. Of a space with thousands of modes it looks at 2000 drawn from it, the same each time, and the lowest.
class ShieldedController final : public Controller {
 public:
  // Throws std::invalid_argument without a controller or a shield.
  ShieldedController(std::shared_ptr<const hw::PowerModeSpace> space, std::unique_ptr<Controller> controller,
                     std::unique_ptr<Shield> shield);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return controller_->answer(); }

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<Shield> shield_;
  std::vector<hw::PowerMode> modes_;  // of the space, or so many drawn from it
};

}  // namespace fewwatt::learners
