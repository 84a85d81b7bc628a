#include "learners/auto.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "learners/registry.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

// How many standard deviations rows are from what would be predicted of them from the others.
Vector off(const Predictor& predictor, tasks::Target target) {
  const auto left_out = predictor.left_out(target);
  return left_out.error.array().abs() / left_out.variance.array().sqrt();
}

void forget(Samples& support, const Doubted& doubted) {
  for (std::size_t i = 0; i < support.modes.size(); ++i)
    if (support.modes[i] == doubted.mode)
      support.targets(static_cast<Eigen::Index>(i), doubted.target) = std::nan("");
}

}  // namespace

std::string AutoOptions::error() const {
  for (const double value : {fitted, doubt, untrained, calm_elsewhere})
    if (!(value > 0) || !std::isfinite(value))
      return "AutoOptions: fitted, doubt, untrained and calm_elsewhere must be > 0";
  return ensemble.error();
}

Auto::Auto(const Checkpoint* checkpoint, AutoOptions options)
    : trained_(checkpoint != nullptr),
      sim_only_(std::make_shared<SimPrior>()),
      doubter_(std::make_shared<SimPrior>(
          std::nullopt,
          SimPriorOptions{
              .population = 1000, .kept = 200, .effective = 50, .family = false, .fitted = false})),
      options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (!trained_) {
    sim_prior_ = sim_only_;
    members_.push_back({"sim_only", sim_only_});
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
        members_.push_back({name, member_learner(*checkpoint, name), name == "factor" ? 0 : options_.fitted});
      }
    }
  }
  const double prior = trained_ ? options_.untrained : 1;
  if (trained_) members_.push_back({"sim_only", sim_only_, 0, 0, prior});
  members_.push_back({"gp", make_learner("gp"), options_.fitted, trained_ ? options_.gp_from : 0, prior});
}

// A wrong value makes its neighbours suspect too, as it is what they are predicted from: of the rows that are off most, the one without
// which the others are most likely.
std::size_t Auto::most_suspect(const Samples& support, tasks::Target target, const Vector& z,
                               const SimulatedSupport& simulated) const {
  constexpr std::size_t kSuspects = 4;
  std::vector<std::size_t> suspects(static_cast<std::size_t>(z.size()));
  std::iota(suspects.begin(), suspects.end(), std::size_t{0});
  std::stable_sort(suspects.begin(), suspects.end(), [&](std::size_t a, std::size_t b) {
    return z[static_cast<Eigen::Index>(a)] > z[static_cast<Eigen::Index>(b)];
  });
  suspects.resize(std::min(kSuspects, suspects.size()));
  const auto modes = rows_of(support, target).modes;
  std::pair<double, std::size_t> best{-std::numeric_limits<double>::infinity(), suspects.front()};
  for (const auto suspect : suspects) {
    auto others = support;
    forget(others, {modes[suspect], target});
    const auto left_out = doubter_->adapt(others, simulated)->left_out(target);
    const double log_density =
        -(left_out.error.array().square() / left_out.variance.array() + left_out.variance.array().log())
             .sum();
    if (log_density > best.first) best = {log_density, suspect};
  }
  return best.second;
}

Auto::Believed Auto::believed(const Samples& given, const SimulatedSupport& simulated) const {
  Believed found{given, {}};
  auto& support = found.support;
  for (bool again = true; again;) {
    again = false;
    std::unique_ptr<const Predictor> by_doubter;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto rows = rows_of(support, target).modes;
      const auto had = rows_of(given, target).modes.size();
      if (rows.size() < options_.doubt_from || had - rows.size() >= std::max<std::size_t>(1, had / 10))
        continue;
      if (!by_doubter) by_doubter = doubter_->adapt(support, simulated);
      const Vector z = off(*by_doubter, target);
      if (z.maxCoeff() < options_.doubt) continue;
      found.doubted.push_back({rows[most_suspect(support, target, z, simulated)], target});
      forget(support, found.doubted.back());
      again = true;
    }
  }
  return found;
}

std::unique_ptr<const Predictor> Auto::update(const Samples& given, const Fitted& fitted) const {
  check_support("auto", given, 0);
  if (given.modes.empty()) return sim_prior_->adapt(given);
  const auto support = spread_support(given);
  const auto simulated = sim_prior_->simulate(support);
  auto [believed, doubted] = this->believed(support, simulated);
  std::vector<std::unique_ptr<const Predictor>> adapted(members_.size());
  adapted.front() = sim_prior_->adapt(believed, simulated);
  auto options = options_.ensemble;
  if (trained_) {
    adapted[adapted.size() - 2] = sim_only_->adapt(believed, simulated);
    if (!sim_prior_->trained_in(*support.space))
      options.calm = std::min(options.calm, options_.calm_elsewhere);
  }
  return combine(members_, believed, options, fitted, std::move(adapted), std::move(doubted));
}

}  // namespace fewwatt::learners
