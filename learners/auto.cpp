#include "learners/auto.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/registry.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

// The support without row `row` of rows_of(support, target).
void forget(Samples& support, tasks::Target target, Eigen::Index row) {
  const auto mode = rows_of(support, target).modes[static_cast<std::size_t>(row)];
  for (std::size_t i = 0; i < support.modes.size(); ++i)
    if (support.modes[i] == mode) support.targets(static_cast<Eigen::Index>(i), target) = std::nan("");
}

}  // namespace

std::string AutoOptions::error() const {
  for (const double value : {fitted, doubt})
    if (!(value > 0) || !std::isfinite(value)) return "AutoOptions: fitted and doubt must be > 0";
  return ensemble.error();
}

Auto::Auto(const Checkpoint* checkpoint, AutoOptions options)
    : doubter_(std::nullopt, {.population = 1000, .kept = 200, .effective = 50, .family = false}),
      options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (checkpoint == nullptr) {
    sim_prior_ = std::make_shared<SimPrior>();
    members_.push_back({"sim_only", sim_prior_});
  } else {
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
        members_.push_back({name, member_learner(*checkpoint, name), options_.fitted});
      }
    }
  }
  members_.push_back({"gp", make_learner("gp"), options_.fitted});
}

Samples Auto::without_doubtful_rows(const Samples& given, const SimulatedSupport& simulated) const {
  Samples support = given;
  for (bool again = true; again;) {
    again = false;
    std::unique_ptr<const Predictor> predictor;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto rows = rows_of(support, target).modes.size(), had = rows_of(given, target).modes.size();
      if (rows < options_.doubt_from || had - rows >= std::max<std::size_t>(1, had / 10)) continue;
      if (!predictor) predictor = doubter_.adapt(support, simulated);
      const auto left_out = predictor->left_out(target);
      Eigen::Index worst = 0;
      const double z = (left_out.error.array().abs() / left_out.variance.array().sqrt()).maxCoeff(&worst);
      if (z < options_.doubt) continue;
      forget(support, target, worst);
      again = true;
    }
  }
  return support;
}

std::unique_ptr<const Predictor> Auto::update(const Samples& given, const Fitted& fitted) const {
  check_support("auto", given, 0);
  if (given.modes.empty()) return sim_prior_->adapt(given);
  const auto support = spread_support(given);
  const auto simulated = sim_prior_->simulate(support);
  const auto believed = without_doubtful_rows(support, simulated);
  std::vector<std::unique_ptr<const Predictor>> adapted(members_.size());
  adapted.front() = sim_prior_->adapt(believed, simulated);
  return combine(members_, believed, options_.ensemble, fitted, std::move(adapted));
}

}  // namespace fewwatt::learners
