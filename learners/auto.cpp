#include "learners/auto.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/registry.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

void forget(Samples& support, const Doubted& doubted) {
  for (std::size_t i = 0; i < support.modes.size(); ++i)
    if (support.modes[i] == doubted.mode)
      support.targets(static_cast<Eigen::Index>(i), doubted.target) = std::nan("");
}

}  // namespace

std::string AutoOptions::error() const {
  for (const double value : {fitted, doubt, calm_elsewhere})
    if (!(value > 0) || !std::isfinite(value))
      return "AutoOptions: fitted, doubt and calm_elsewhere must be > 0";
  return ensemble.error();
}

Auto::Auto(const Checkpoint* checkpoint, AutoOptions options)
    : sim_only_(std::make_shared<SimPrior>()),
      doubter_(std::nullopt, {.population = 1000, .kept = 200, .effective = 50, .family = false}),
      options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (checkpoint != nullptr) {
    for (const auto& name : member_names(*checkpoint)) {
      const bool first = members_.empty();
      if (first != (name == "sim_prior"))
        throw std::invalid_argument("checkpoint of auto: the first candidate must be sim_prior, found " +
                                    checkpoint->text("candidates"));
      if (first) {
        sim_prior_ =
            std::make_shared<SimPrior>(SimPriorModel::from_checkpoint(member_checkpoint(*checkpoint, name)));
        members_.push_back({name, sim_prior_});
      } else {
        members_.push_back(
            {name, member_learner(*checkpoint, name), name == "factor" ? 0 : options_.fitted});
      }
    }
  }
  members_.push_back({"sim_only", sim_only_});
  members_.push_back({"gp", make_learner("gp"), options_.fitted, options_.gp_from});
}

std::vector<Doubted> Auto::doubtful(const Samples& given, const SimulatedSupport& simulated) const {
  Samples support = given;
  std::vector<Doubted> found;
  for (bool again = true; again;) {
    again = false;
    std::unique_ptr<const Predictor> predictor;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto rows = rows_of(support, target).modes;
      const auto had = rows_of(given, target).modes.size();
      if (rows.size() < options_.doubt_from || had - rows.size() >= std::max<std::size_t>(1, had / 10)) continue;
      if (!predictor) predictor = doubter_.adapt(support, simulated);
      const auto left_out = predictor->left_out(target);
      Eigen::Index worst = 0;
      const double z = (left_out.error.array().abs() / left_out.variance.array().sqrt()).maxCoeff(&worst);
      if (z < options_.doubt) continue;
      found.push_back({rows[static_cast<std::size_t>(worst)], target});
      forget(support, found.back());
      again = true;
    }
  }
  return found;
}

std::unique_ptr<const Predictor> Auto::update(const Samples& given, const Fitted& fitted) const {
  check_support("auto", given, 0);
  if (given.modes.empty()) return (sim_prior_ ? sim_prior_ : sim_only_)->adapt(given);
  const auto support = spread_support(given);
  const auto simulated = sim_only_->simulate(support);
  auto doubted = doubtful(support, simulated);
  auto believed = support;
  for (const auto& one : doubted) forget(believed, one);
  std::vector<std::unique_ptr<const Predictor>> adapted(members_.size());
  auto options = options_.ensemble;
  if (sim_prior_) {
    adapted.front() = sim_prior_->adapt(believed, simulated);
    if (!sim_prior_->trained_in(*support.space)) options.calm = std::min(options.calm, options_.calm_elsewhere);
  }
  adapted[adapted.size() - 2] = sim_only_->adapt(believed, simulated);
  return combine(members_, believed, options, fitted, std::move(adapted), std::move(doubted));
}

}  // namespace fewwatt::learners
