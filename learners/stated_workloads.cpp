#include "learners/stated_workloads.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "hw/text.hpp"
#include "learners/encode.hpp"

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Rows = SimPopulation::Rows;

constexpr double kShrinkage = 1e-4;  // of standardised coefficients, per row
// Of log y per log of a characteristic, in standard deviations of what characteristics leave open.
constexpr std::array kSlopes = {0.0, 0.1, 0.3, 1.0, 3.0};
constexpr double kSmallestWeight = 0.01;    // of a slope, to be kept
constexpr std::size_t kEvidenceModes = 64;  // of the space, evenly

Vector logs_of(const tasks::Characteristics& stated) {
  Vector logs(static_cast<Index>(std::size(tasks::kCharacteristics)));
  for (Index j = 0; j < logs.size(); ++j)
    logs[j] = std::log((stated.*tasks::kCharacteristics[j].second).value_or(std::nan("")));
  return logs;
}

// Which training workloads speak of a workload, and which characteristics count.
struct Relevant {
  std::vector<std::size_t> which;
  std::vector<Index> columns;
};

// A characteristic that too few training workloads state is left out, the rarest first. None when the training workloads
// do not differ in any that is left.
Relevant relevant(const StatedWorkloads& workloads, const tasks::Characteristics& stated) {
  const Vector asked = logs_of(stated);
  Relevant found;
  for (Index j = 0; j < asked.size(); ++j)
    if (!std::isnan(asked[j])) found.columns.push_back(j);
  while (!found.columns.empty()) {
    found.which.clear();
    std::vector<int> lacking(found.columns.size(), 0);
    for (std::size_t w = 0; w < workloads.time_of.size(); ++w) {
      if (workloads.time_of[w] != static_cast<int>(stated.time_of)) continue;
      bool all = true;
      for (std::size_t c = 0; c < found.columns.size(); ++c) {
        const bool states = !std::isnan(workloads.characteristics(static_cast<Index>(w), found.columns[c]));
        if (!states) ++lacking[c];
        all = all && states;
      }
      if (all) found.which.push_back(w);
    }
    if (static_cast<Index>(found.which.size()) >= kFewestStated) {
      const auto first = static_cast<Index>(found.which.front());
      for (const auto w : found.which)
        for (const auto column : found.columns)
          if (workloads.characteristics(static_cast<Index>(w), column) !=
              workloads.characteristics(first, column))
            return found;
      return {};
    }
    found.columns.erase(found.columns.begin() +
                        (std::max_element(lacking.begin(), lacking.end()) - lacking.begin()));
  }
  return {};
}

std::string names_of_characteristics() {
  return hw::join(tasks::kCharacteristics, ", ", [](const auto& one) { return one.first; });
}

}  // namespace

Matrix curve_features(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
                      const Vector& lowest) {
  const auto cores = space.knob_with(hw::KnobRole::cpu_cores), cpu = space.knob_with(hw::KnobRole::cpu_khz);
  const Matrix logs = encode(FeatureSet::raw, space, modes).array().log();
  const Index d = logs.cols();
  const auto features = [&](const Matrix& at) {
    Matrix all(at.rows(), 1 + 3 * d + d * (d + 1) / 2 + (cores && cpu ? 1 : 0));
    all.col(0).setOnes();
    all.middleCols(1, d) = at.array().exp();
    all.middleCols(1 + d, d) = (-at.array()).exp();
    all.middleCols(1 + 2 * d, d) = at;
    Index column = 1 + 3 * d;
    for (Index j = 0; j < d; ++j)
      for (Index k = j; k < d; ++k) all.col(column++) = at.col(j).cwiseProduct(at.col(k));
    if (cores && cpu)
      all.col(column) =
          (-at.col(static_cast<Index>(*cores)) - at.col(static_cast<Index>(*cpu))).array().exp();
    return all;
  };
  const Vector edge = lowest.array().log();
  const Matrix inside = logs.cwiseMax(edge.transpose().replicate(logs.rows(), 1));
  Matrix all = features(inside);
  constexpr double kStep = 1e-4;
  for (Index k = 0; k < d; ++k) {
    const Vector below = logs.col(k) - inside.col(k);
    if (below.isZero(0)) continue;
    Matrix beside = inside;
    beside.col(k).array() += kStep;
    all += below.asDiagonal() * (features(beside) - features(inside)) / kStep;
  }
  return all;
}

Curve fit_curve(const Matrix& features, const Vector& logs) {
  const auto scaler = Scaler::fit(features);
  const Matrix z = scaler(features);
  const double mean = logs.mean();
  Eigen::MatrixXd moment = z.transpose() * z;
  moment.diagonal().array() += kShrinkage * static_cast<double>(z.rows());
  const Vector standardised =
      Eigen::LDLT<Eigen::MatrixXd>(moment).solve(z.transpose() * (logs.array() - mean).matrix());
  Curve curve;
  curve.coefficients = (scaler.stddev.array() > 0).select(standardised.array() / scaler.stddev.array(), 0.0);
  curve.coefficients[0] = mean - scaler.mean.dot(curve.coefficients);  // of the column of ones
  curve.error =
      std::sqrt((logs - features * curve.coefficients).squaredNorm() / static_cast<double>(logs.size()));
  return curve;
}

std::string StatedWorkloads::error() const {
  const auto w = characteristics.rows();
  if (characteristics.cols() != static_cast<Index>(std::size(tasks::kCharacteristics)))
    return "characteristics must have a column for each of " + names_of_characteristics();
  if (w < kFewestStated || w > kMostStated || static_cast<Index>(time_of.size()) != w)
    return "characteristics and time_of must be of the same workloads, at least " +
           std::to_string(kFewestStated) + " and at most " + std::to_string(kMostStated);
  if ((characteristics.array() <= 0).any() || characteristics.array().isInf().any())
    return "characteristics must be positive and finite where they are known";
  for (const int of : time_of)
    if (of < 0 || of > static_cast<int>(datasets::TimeOf::run))
      return "time_of must be known, found " + std::to_string(of);
  if (lowest.size() != static_cast<Index>(highest.size()) || !(lowest.array() > 0).all() ||
      !(lowest.array() <= 1).all())
    return "lowest must be above 0 and at most 1, for each knob";
  for (std::size_t t = 0; t < curves.size(); ++t) {
    if (curves[t].size() == 0) continue;
    const std::string name = std::string(tasks::kTargetNames[t]) + "/curves";
    const auto d = static_cast<Index>(highest.size());
    const auto least = 1 + 3 * d + d * (d + 1) / 2;
    if (curves[t].rows() != w || curves[t].cols() < least || curves[t].cols() > least + 1)
      return name + " must have a row for each workload and a value for each feature";
    if (!curves[t].allFinite() || !(curve_errors[t] >= 0) || !std::isfinite(curve_errors[t]))
      return name + " and curve_error must be finite";
  }
  return "";
}

std::string StatedWorkloads::missing(const hw::PowerModeSpace& space,
                                     const tasks::Characteristics& stated) const {
  std::vector<std::string> expected, found;
  for (std::size_t k = 0; k < highest.size(); ++k) {
    if (space.max_level(k) == highest[k]) continue;
    const auto name = std::string(to_string(space.knobs()[k].role)) + " ";
    expected.push_back(name + std::to_string(highest[k]));
    found.push_back(name + std::to_string(space.max_level(k)));
  }
  if (!expected.empty())
    return "expected the board that was trained on, with at most " + hw::join(expected) + ", found " +
           hw::join(found);
  if (logs_of(stated).array().isNaN().all())
    return "expected at least one of " + names_of_characteristics() + " of the workload, found none";
  if (std::find(time_of.begin(), time_of.end(), static_cast<int>(stated.time_of)) == time_of.end())
    return "expected times of one " + std::string(to_string(static_cast<datasets::TimeOf>(time_of.front()))) +
           ", as those of the training workloads, found " + std::string(to_string(stated.time_of));
  if (relevant(*this, stated).which.empty())
    return "expected characteristics that differ between at least " + std::to_string(kFewestStated) +
           " training workloads whose times are of one " + std::string(to_string(stated.time_of)) +
           ", found none";
  return "";
}

Rows StatedWorkloads::logs(int target, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
                           std::span<const std::size_t> which) const {
  Matrix some(static_cast<Index>(which.size()), curves[target].cols());
  for (std::size_t i = 0; i < which.size(); ++i)
    some.row(static_cast<Index>(i)) = curves[target].row(static_cast<Index>(which[i]));
  const Matrix features = curve_features(space, modes, lowest);
  if (features.cols() != some.cols())
    throw std::invalid_argument("sim_prior: stated/curves must have " + std::to_string(features.cols()) +
                                " values for the knobs of the device, found " + std::to_string(some.cols()));
  return (some * features.transpose()).cast<float>();
}

std::optional<Cloud> StatedWorkloads::prior(int target, const hw::PowerModeSpace& space,
                                            const tasks::Characteristics& stated, bool with_level) const {
  const auto [which, columns] = relevant(*this, stated);
  if (which.empty() || curves[target].size() == 0) return std::nullopt;
  const auto w = static_cast<Index>(which.size());
  std::vector<hw::PowerMode> modes;
  const std::size_t count = std::min(space.size(), kEvidenceModes);
  for (std::size_t i = 0; i < count; ++i) modes.push_back(space.at(i * space.size() / count));
  Eigen::MatrixXd y = logs(target, space, modes, which).cast<double>();
  if (!with_level) y.colwise() -= y.rowwise().mean().eval();
  y.rowwise() -= y.colwise().mean().eval();
  Eigen::MatrixXd x(w, static_cast<Index>(columns.size()));
  for (Index i = 0; i < w; ++i)
    for (Index j = 0; j < x.cols(); ++j)
      x(i, j) = std::log(characteristics(static_cast<Index>(which[static_cast<std::size_t>(i)]), columns[j]));
  const Eigen::RowVectorXd centre = x.colwise().mean();
  x.rowwise() -= centre;
  const Vector asked = logs_of(stated)(columns) - centre.transpose();

  const auto count_w = static_cast<double>(w);
  const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(w, w),
                        centring = identity - Eigen::MatrixXd::Constant(w, w, 1 / count_w);
  const double scatter = y.squaredNorm() / static_cast<double>(y.cols()) + 1e-12;
  const std::size_t slopes = kSlopes.size();
  std::vector<Vector> weights;
  std::vector<Eigen::MatrixXd> spreads;
  Vector evidence(static_cast<Index>(slopes));
  for (std::size_t s = 0; s < slopes; ++s) {
    const double variance = kSlopes[s] * kSlopes[s];
    const Eigen::LLT<Eigen::MatrixXd> llt(identity + variance * x * x.transpose());
    const Vector towards = variance * x * asked;
    const Vector solved = llt.solve(towards);
    weights.emplace_back(1 / count_w + (centring * solved).array());
    const double leverage = variance * asked.squaredNorm() - towards.dot(solved) + 1 / count_w;
    // Of the inverse Wishart's 1 + (w - 1) degrees of freedom, two go to the mean of a t distribution's square.
    Eigen::MatrixXd spread(2 * w, w);
    spread << llt.matrixL().solve(centring), centring / std::sqrt(count_w - 1);
    spreads.push_back(spread * std::sqrt((1 + leverage) / (count_w - 2)));
    const double left = llt.matrixL().solve(y).squaredNorm() / static_cast<double>(y.cols());
    evidence[static_cast<Index>(s)] = -Eigen::MatrixXd(llt.matrixL()).diagonal().array().log().sum() -
                                      0.5 * count_w * std::log(left + scatter / (count_w - 1));
  }
  Vector shares = (evidence.array() - evidence.maxCoeff()).exp();
  shares = (shares.array() < kSmallestWeight * shares.sum()).select(0.0, shares);
  shares /= shares.sum();

  Vector mean = Vector::Zero(w);
  for (std::size_t s = 0; s < slopes; ++s) mean += shares[static_cast<Index>(s)] * weights[s];
  Cloud prior{which, mean.cast<float>()};
  const auto kept = (shares.array() > 0).count();
  prior.spread.resize(kept * (2 * w + 1), w);
  Index row = 0;
  for (std::size_t s = 0; s < slopes; ++s) {
    const double root = std::sqrt(shares[static_cast<Index>(s)]);
    if (root == 0) continue;
    prior.spread.middleRows(row, 2 * w) = (root * spreads[s]).cast<float>();
    prior.spread.row(row + 2 * w) = (root * (weights[s] - mean)).transpose().cast<float>();
    row += 2 * w + 1;
  }
  return prior;
}

}  // namespace fewwatt::learners
