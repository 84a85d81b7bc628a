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

const AutoOptions& checked(const AutoOptions& options) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  return options;
}

void forget(Samples& support, const Doubted& doubted) {
  for (std::size_t i = 0; i < support.modes.size(); ++i)
    if (support.modes[i] == doubted.mode)
      support.targets(static_cast<Eigen::Index>(i), doubted.target) = std::nan("");
}

}  // namespace

void AutoOptions::each(OptionVisitor& on) {
  ensemble.each(on);
  on.real("fitted", fitted, 1e-6, 100, "hyper-parameters that gp and proto fit to the support, about");
  on.real("doubt", doubt, 1e-3, 1e6, "standard deviations from which on a row is left out");
  on.whole("doubt_from", doubt_from, 2, 1'000'000, "rows from which on one is doubted");
  on.real("doubted_share", doubted_share, 0, 0.5, "share of the rows that is left out at most, or one row");
  on.whole("suspects", suspects, 1, 1000, "rows that are off most, one of which is left out");
  on.part("sim_prior.", [&](OptionVisitor& part) { sim_prior.each(part); });
  on.part("doubter.", [&](OptionVisitor& part) { doubter.each(part); });
}

std::string AutoOptions::error() const {
  for (const double value : {fitted, doubt})
    if (!(value > 0) || !std::isfinite(value)) return "AutoOptions: fitted and doubt must be > 0";
  if (!(doubted_share >= 0 && doubted_share <= 0.5) || suspects < 1)
    return "AutoOptions: doubted_share must be in [0, 0.5], and suspects at least 1";
  if (doubter.population > sim_prior.population)
    return "AutoOptions: doubter.population must be at most sim_prior.population, " +
           std::to_string(sim_prior.population) + ", got " + std::to_string(doubter.population);
  for (auto bad : {sim_prior.error(), doubter.error()})
    if (!bad.empty()) return bad;
  return ensemble.error();
}

Auto::Auto(const Checkpoint* checkpoint, AutoOptions options, const Registry& registry)
    : trained_(checkpoint != nullptr),
      sim_only_(std::make_shared<SimPrior>(std::nullopt, checked(options).sim_prior)),
      doubter_(std::make_shared<SimPrior>(std::nullopt, options.doubter)),
      options_(options) {
  if (trained_) {
    for (const auto& name : member_names(*checkpoint)) {
      const bool first = members_.empty();
      if (first != (name == "sim_prior"))
        throw std::invalid_argument("checkpoint of auto: the first candidate must be sim_prior, found " +
                                    checkpoint->text("candidates"));
      if (first) {
        sim_prior_ = std::make_shared<SimPrior>(
            SimPriorModel::from_checkpoint(member_checkpoint(*checkpoint, name)), options_.sim_prior);
        members_.push_back({name, sim_prior_});
      } else {
        const bool fits = find_learner(member_checkpoint(*checkpoint, name).learner, registry).fits_rows;
        members_.push_back({name, member_learner(*checkpoint, name, registry), fits ? options_.fitted : 0});
      }
    }
  } else {
    sim_prior_ = sim_only_;
  }
  const double prior = 1.0 / (1 + sim_prior_->workloads());
  members_.push_back({"sim_only", sim_only_, 0, prior});
  members_.push_back({"gp", make_learner("gp", {}, registry), options_.fitted, prior});
}

// A wrong value makes its neighbours suspect too, as it is what they are predicted from: of the rows that are off most, the one without
// which the others are most likely.
std::size_t Auto::most_suspect(const Samples& support, tasks::Target target, const Vector& z,
                               const SimulatedSupport& simulated) const {
  std::vector<std::size_t> suspects(static_cast<std::size_t>(z.size()));
  std::iota(suspects.begin(), suspects.end(), std::size_t{0});
  std::stable_sort(suspects.begin(), suspects.end(), [&](std::size_t a, std::size_t b) {
    return z[static_cast<Eigen::Index>(a)] > z[static_cast<Eigen::Index>(b)];
  });
  suspects.resize(std::min(options_.suspects, suspects.size()));
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
      const auto most = std::max(1.0, options_.doubted_share * static_cast<double>(had));
      if (rows.size() < options_.doubt_from || static_cast<double>(had - rows.size() + 1) > most) continue;
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
  adapted.front() = sim_prior_->adapt(believed, simulated);  // sim_only_ itself without training
  if (trained_) adapted[adapted.size() - 2] = sim_only_->adapt(believed, simulated);
  return combine(members_, believed, options_.ensemble, fitted, std::move(adapted), std::move(doubted));
}

}  // namespace fewwatt::learners
