#include "learners/control/agent_search.hpp"

#include <utility>

#include "learners/control/controller.hpp"
#include "learners/optimize/measured_search.hpp"

namespace fewwatt::learners {
namespace {

class ControllerSearch final : public MeasuredSearch {
 public:
  ControllerSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::unique_ptr<Controller> controller,
                   Goal goal, SearchOptions options)
      : MeasuredSearch(std::move(space), std::move(goal), std::move(options)),
        controller_(std::move(controller)) {}

  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override {
    if (!awaited_.contains(mode)) next();
    MeasuredSearch::tell(mode, measurement);
    controller_->tell(mode, measurement);
  }

 protected:
  std::optional<hw::PowerMode> next() override {
    return controller_->next({goal_.limits.max_power_w, static_cast<double>(left())});
  }

 private:
  std::unique_ptr<Controller> controller_;
};

}  // namespace

SearchEntry agent_search(const PolicyModel& model) {
  SearchEntry entry{.name = kAgentSearch, .about = "a trained agent, with a shield", .needs_learner = true};
  entry.make = [model](std::shared_ptr<const hw::PowerModeSpace> space,
                       std::shared_ptr<const Learner> learner, const Goal& goal,
                       const SearchOptions& options) -> std::unique_ptr<Search> {
    auto shield = std::make_unique<Shield>(space, std::move(learner), goal.limits.confidence);
    auto agent = policy_controller(model, space, options.characteristics, options.seed, std::move(shield));
    return std::make_unique<ControllerSearch>(std::move(space), std::move(agent), goal, options);
  };
  return entry;
}

}  // namespace fewwatt::learners
