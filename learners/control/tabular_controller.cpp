#include "learners/control/tabular_controller.hpp"

#include <cmath>
#include <stdexcept>
#include <utility>

namespace fewwatt::learners {
namespace {

TabularControllerOptions checked(const TabularControllerOptions& options, const hw::PowerModeSpace& space) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  if (space.size() > kMostTabularModes)
    throw std::invalid_argument("TabularController: expected at most " + std::to_string(kMostTabularModes) +
                                " modes, found " + std::to_string(space.size()));
  return options;
}

tasks::ModeMdpOptions moving(double lambda) {
  tasks::ModeMdpOptions options;
  options.actions = tasks::ModeActionKind::move;
  options.lambda = lambda;
  return options;
}

}  // namespace

void TabularControllerOptions::each(OptionVisitor& on) {
  TabularOptions::each(on);
  on.real("lambda", lambda, 0, tasks::kMostLambda, "what power over the budget costs, by its share of that");
}

std::string TabularControllerOptions::error() const {
  if (!(lambda >= 0 && lambda <= tasks::kMostLambda))
    return "TabularControllerOptions: lambda must be in [0, 1e6], got " + std::to_string(lambda);
  return TabularOptions::error();
}

TabularController::TabularController(std::shared_ptr<const hw::PowerModeSpace> space,
                                     const TabularControllerOptions& options)
    : space_(std::move(space)),
      options_(checked(options, *space_)),
      reward_(moving(options.lambda)),
      actions_(space_, reward_, options.seed),
      agent_(new_agent()),
      reference_ms_(std::nan("")) {}

TabularAgent TabularController::new_agent() const {
  return {space_->size(), actions_.size(), options_};
}

std::optional<hw::PowerMode> TabularController::next(const Context& context) {
  check_context(context);
  if (state_ && context.budget_w != budget_w_) agent_ = new_agent();
  budget_w_ = context.budget_w;
  if (context.left < 1) return std::nullopt;
  if (!state_) return space_->lowest();
  action_ = agent_.explore(*state_);
  return actions_.target(*action_, space_->at(*state_));
}

void TabularController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  measured_.add(*space_, mode, measurement);
  const auto known = known_part(measurement);
  if (std::isnan(reference_ms_)) reference_ms_ = known.time_ms;
  const auto now = space_->index_of(mode);
  if (state_ && action_)
    agent_.learn(*state_, *action_, tasks::mode_worth(reward_, known, budget_w_, reference_ms_, false), *now,
                 false);
  state_ = now;
  action_.reset();
}

}  // namespace fewwatt::learners
