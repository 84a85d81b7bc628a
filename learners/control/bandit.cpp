#include "learners/control/bandit.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;

constexpr std::size_t kMostPool = 100'000;

}  // namespace

void BanditOptions::each(OptionVisitor& on) {
  on.real("alpha", alpha, 0, kMostFactor, "linucb: standard deviations of theta' x that are added to it");
  on.real("spread", spread, 0, kMostFactor, "thompson: factor of the standard deviation of what is drawn");
  on.real("l2", l2, kLeastFactor, kMostFactor, "added to the diagonal of A");
  on.real("lambda", lambda, 0, tasks::kMostLambda, "what power over the budget costs, by its share of that");
  on.whole("pool", pool, 1, static_cast<std::int64_t>(kMostPool), "modes that it chooses among");
}

std::string BanditOptions::error() const {
  for (const auto& [name, value, least, most] : {std::tuple("alpha", alpha, 0.0, kMostFactor),
                                                 {"spread", spread, 0.0, kMostFactor},
                                                 {"l2", l2, kLeastFactor, kMostFactor},
                                                 {"lambda", lambda, 0.0, tasks::kMostLambda}})
    if (!(value >= least && value <= most))
      return std::string("BanditOptions: ") + name + " must be in [" + std::to_string(least) + ", " +
             std::to_string(most) + "], got " + std::to_string(value);
  if (pool == 0 || pool > kMostPool)
    return "BanditOptions: pool must be in [1, " + std::to_string(kMostPool) + "], got " +
           std::to_string(pool);
  return "";
}

Matrix bandit_features(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  const auto& knobs = space.knobs();
  const auto n = static_cast<Index>(modes.size()), k = static_cast<Index>(knobs.size());
  Matrix features(n, 1 + k + k * (k + 1) / 2);
  features.col(0).setOnes();
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < k; ++j) {
      const auto knob = static_cast<std::size_t>(j);
      const double low = std::log(knobs[knob].levels.front()), high = std::log(knobs[knob].levels.back());
      const double setting = std::log(modes[static_cast<std::size_t>(i)][knob]);
      features(i, 1 + j) = high > low ? 2 * (setting - low) / (high - low) - 1 : 0;
    }
  Index at = 1 + k;
  for (Index a = 0; a < k; ++a)
    for (Index b = a; b < k; ++b) features.col(at++) = features.col(1 + a).cwiseProduct(features.col(1 + b));
  return features;
}

LinearBandit::LinearBandit(std::shared_ptr<const hw::PowerModeSpace> space, BanditOptions options)
    : space_(std::move(space)),
      options_(options),
      rng_(hw::Rng::stream(options.seed, "bandit")),
      reference_ms_(std::nan("")) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  for (const auto i : rng_.sample(space_->size(), std::min(space_->size(), options_.pool)))
    modes_.push_back(space_->at(i));
  std::sort(modes_.begin(), modes_.end());
  arms_ = bandit_features(*space_, modes_);
  a_ = options_.l2 * Matrix::Identity(arms_.cols(), arms_.cols());
}

void LinearBandit::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  measured_.add(*space_, mode, measurement);
  const auto known = known_part(measurement);
  if (std::isnan(reference_ms_)) reference_ms_ = known.time_ms;
  const Vector x = bandit_features(*space_, std::span(&mode, 1)).row(0).transpose();
  a_ += x * x.transpose();
  rows_.push_back({x, known});
}

std::optional<hw::PowerMode> LinearBandit::next(const Context& context) {
  check_context(context);
  budget_w_ = context.budget_w;
  if (context.left < 1) return std::nullopt;
  if (rows_.empty()) return space_->lowest();
  tasks::ModeMdpOptions reward;
  reward.lambda = options_.lambda;
  Vector b = Vector::Zero(arms_.cols());
  for (const auto& row : rows_)
    b += tasks::mode_worth(reward, row.known, budget_w_, reference_ms_, false) * row.x;
  const Eigen::LLT<Eigen::MatrixXd> a(a_);
  const Vector theta = a.solve(b);
  Vector score;
  if (options_.rule == BanditRule::linucb) {
    const Eigen::MatrixXd of_widths = a.matrixL().solve(Eigen::MatrixXd(arms_.transpose()));  // L^-1 x
    score = arms_ * theta + options_.alpha * of_widths.colwise().norm().transpose();
  } else {
    Vector z(theta.size());
    for (auto& one : z) one = rng_.normal();
    score = arms_ * (theta + options_.spread * Vector(a.matrixU().solve(z)));
  }
  Index best = 0;
  score.maxCoeff(&best);
  return modes_[static_cast<std::size_t>(best)];
}

}  // namespace fewwatt::learners
