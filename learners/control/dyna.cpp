#include "learners/control/dyna.hpp"

#include <cmath>
#include <stdexcept>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;

constexpr std::size_t kMostPlanning = 10'000'000;

tasks::ModeMdpOptions moving(double lambda) {
  tasks::ModeMdpOptions options;
  options.actions = tasks::ModeActionKind::move;
  options.lambda = lambda;
  return options;
}

}  // namespace

void DynaOptions::each(OptionVisitor& on) {
  on.real("discount", discount, 0, 0.9999, "gamma: what a reward one step later counts");
  on.real("epsilon", epsilon, 0, 1, "probability of a random action");
  on.real("lambda", lambda, 0, tasks::kMostLambda, "what power over the budget costs, by its share of that");
  on.whole("planning", planning, 0, static_cast<std::int64_t>(kMostPlanning),
           "simulated steps before each measurement");
  on.whole("horizon", horizon, 1, static_cast<std::int64_t>(kMostPlanning),
           "simulated steps that follow one another");
}

std::string DynaOptions::error() const {
  const std::string of = "DynaOptions: ";
  if (!(discount >= 0 && discount < 1))
    return of + "discount must be in [0, 1), got " + std::to_string(discount);
  if (!(epsilon >= 0 && epsilon <= 1))
    return of + "epsilon must be in [0, 1], got " + std::to_string(epsilon);
  if (!(lambda >= 0 && lambda <= tasks::kMostLambda))
    return of + "lambda must be in [0, 1e6], got " + std::to_string(lambda);
  if (planning > kMostPlanning)
    return of + "planning must be at most 10000000, got " + std::to_string(planning);
  if (horizon == 0) return of + "horizon must be > 0";
  return "";
}

DynaController::DynaController(std::shared_ptr<const hw::PowerModeSpace> space,
                               std::shared_ptr<const Learner> learner, DynaOptions options,
                               tasks::Characteristics characteristics)
    : space_(space),
      learner_(std::move(learner)),
      options_(options),
      characteristics_(characteristics),
      rng_(hw::Rng::stream(options.seed, "dyna")),
      actions_(space, moving(options.lambda), options.seed),
      reference_ms_(std::nan("")) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (learner_ == nullptr) throw std::invalid_argument("DynaController: expected a learner, found none");
  if (space_->size() > kMostDynaModes)
    throw std::invalid_argument("DynaController: expected at most " + std::to_string(kMostDynaModes) +
                                " modes, found " + std::to_string(space_->size()));
  modes_ = space_->modes();
  targets_.assign(modes_.size() * actions_.size(), modes_.size());
  values_ = Matrix::Zero(static_cast<Index>(modes_.size()), static_cast<Index>(actions_.size()));
}

std::size_t DynaController::target(std::size_t state, std::size_t action) {
  auto& known = targets_[state * actions_.size() + action];
  if (known == modes_.size()) known = space_->index_of(actions_.target(action, modes_[state])).value();
  return known;
}

std::size_t DynaController::best(std::size_t state) const {
  Index action = 0;
  values_.row(static_cast<Index>(state)).maxCoeff(&action);
  return static_cast<std::size_t>(action);
}

std::size_t DynaController::chosen(std::size_t state) {
  return rng_.uniform() < options_.epsilon ? rng_.below(actions_.size()) : best(state);
}

void DynaController::model() {
  const auto options = moving(options_.lambda);
  const auto samples = measured_.samples(space_, characteristics_);
  Matrix costs = Matrix::Constant(static_cast<Index>(modes_.size()), tasks::kNumTargets, std::nan(""));
  if (samples.size() > 0) costs = learner_->adapt(samples)->predict(modes_).median();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto row = static_cast<Index>(space_->index_of(samples.modes[i]).value());
    for (Index t = 0; t < costs.cols(); ++t)
      if (const double value = samples.targets(static_cast<Index>(i), t); !std::isnan(value))
        costs(row, t) = value;
  }
  rewards_.resize(costs.rows());
  for (Index i = 0; i < costs.rows(); ++i)
    rewards_[i] = tasks::mode_worth(options, {costs(i, tasks::kTimeMs), costs(i, tasks::kPowerW)}, budget_w_,
                                    reference_ms_, false);
}

void DynaController::plan() {
  auto state = *state_;
  for (std::size_t i = 0; i < options_.planning; ++i) {
    if (i % options_.horizon == 0) state = *state_;
    const auto action = chosen(state);
    const auto next = target(state, action);
    values_(static_cast<Index>(state), static_cast<Index>(action)) =
        rewards_[static_cast<Index>(next)] +
        options_.discount * values_.row(static_cast<Index>(next)).maxCoeff();
    state = next;
  }
}

std::optional<hw::PowerMode> DynaController::next(const Context& context) {
  check_context(context);
  if (context.budget_w != budget_w_) values_.setZero();
  budget_w_ = context.budget_w;
  if (context.left < 1) return std::nullopt;
  if (!state_) return space_->lowest();
  model();
  plan();
  return modes_[target(*state_, chosen(*state_))];
}

void DynaController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  measured_.add(*space_, mode, measurement);
  if (std::isnan(reference_ms_)) reference_ms_ = known_part(measurement).time_ms;
  state_ = space_->index_of(mode);
}

}  // namespace fewwatt::learners
