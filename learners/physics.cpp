#include "learners/physics.hpp"

#include <Eigen/QR>
#include <array>
#include <cmath>
#include <limits>

namespace fewwatt::learners {
namespace {

using hw::KnobRole;

// Penalty on the weights, of columns with norm 1. It is small, and decides only between weights that fit the support equally well.
constexpr double kRidge = 1e-3;
constexpr double kVoltageFloor = 0.5;  // V(0) / V(1)

// The least prediction: one must be positive, even where nothing was fitted.
constexpr double kSmallest = 1e-9;

class PhysicsPredictor final : public Predictor {
 public:
  explicit PhysicsPredictor(std::shared_ptr<const hw::PowerModeSpace> space) : space_(std::move(space)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    Matrix medians =
        Matrix::Constant(static_cast<Eigen::Index>(modes.size()), tasks::kNumTargets, std::nan(""));
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      if (weights[t].size() == 0) continue;
      medians.col(t) =
          (physics_features(static_cast<tasks::Target>(t), *space_, modes) * weights[t]).cwiseMax(kSmallest);
    }
    return Prediction::of_medians(medians);
  }

  std::array<Vector, tasks::kNumTargets> weights;  // empty = not fitted

 private:
  std::shared_ptr<const hw::PowerModeSpace> space_;
};

Vector fit_relative(const Matrix& features, const Vector& values) {
  Matrix a = values.cwiseInverse().asDiagonal() * features;
  const Vector norms = a.colwise().norm().transpose();
  const Eigen::Index n = a.rows(), k = a.cols();
  Matrix stacked(n + k, k);
  stacked << a * norms.cwiseInverse().asDiagonal(), std::sqrt(kRidge) * Matrix::Identity(k, k);
  Vector target = Vector::Zero(n + k);
  target.head(n).setOnes();
  return nonnegative_least_squares(stacked, target).cwiseQuotient(norms);
}

}  // namespace

Vector nonnegative_least_squares(const Matrix& a, const Vector& b) {
  const auto n = static_cast<std::size_t>(a.cols());
  Vector x = Vector::Zero(a.cols());
  std::vector<bool> passive(n, false);
  const double tolerance = 1e-12 * a.norm() * b.norm();

  // Least squares over the passive columns, zero elsewhere.
  const auto solve_passive = [&] {
    std::vector<Eigen::Index> columns;
    for (std::size_t j = 0; j < n; ++j) {
      if (passive[j]) columns.push_back(static_cast<Eigen::Index>(j));
    }
    Vector s = Vector::Zero(a.cols());
    const Matrix part = a(Eigen::all, columns);
    s(columns) = part.colPivHouseholderQr().solve(b);
    return s;
  };

  for (std::size_t round = 0; round < 3 * n; ++round) {
    const Vector gradient = a.transpose() * (b - a * x);
    std::size_t entering = n;
    for (std::size_t j = 0; j < n; ++j) {
      const auto col = static_cast<Eigen::Index>(j);
      if (!passive[j] && gradient[col] > tolerance &&
          (entering == n || gradient[col] > gradient[static_cast<Eigen::Index>(entering)])) {
        entering = j;
      }
    }
    if (entering == n) break;
    passive[entering] = true;
    Vector s = solve_passive();
    while (true) {  // step from x towards s, as far as everything stays >= 0
      double alpha = 1;
      std::size_t stops = n;  // the one that gets to 0 there
      for (std::size_t j = 0; j < n; ++j) {
        const auto col = static_cast<Eigen::Index>(j);
        if (!passive[j] || s[col] > 0) continue;
        if (const double share = x[col] / (x[col] - s[col]); share < alpha) {
          alpha = share;
          stops = j;
        }
      }
      if (alpha >= 1) break;
      x += alpha * (s - x);
      for (std::size_t j = 0; j < n; ++j) {
        const auto col = static_cast<Eigen::Index>(j);
        if (passive[j] && s[col] <= 0 && (j == stops || x[col] <= 1e-15)) {
          passive[j] = false;
          x[col] = 0;
        }
      }
      s = solve_passive();
    }
    x = s;
  }
  return x;
}

Matrix physics_features(tasks::Target target, const hw::PowerModeSpace& space,
                        std::span<const hw::PowerMode> modes) {
  const auto n = static_cast<Eigen::Index>(modes.size());
  const auto setting = [&](std::size_t knob) {
    Vector x(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      x[i] = static_cast<double>(modes[static_cast<std::size_t>(i)][knob]) / space.max_level(knob);
    }
    return x;
  };
  const auto switching = [](const Vector& x) {
    const Eigen::ArrayXd volts = kVoltageFloor + (1 - kVoltageFloor) * x.array();
    return Vector(x.array() * volts.square());
  };
  const auto cpu = space.knob_with(KnobRole::cpu_khz);

  std::vector<Vector> columns = {Vector::Ones(n)};
  for (std::size_t k = 0; k < space.knobs().size(); ++k) {
    const Vector x = setting(k);
    switch (space.knobs()[k].role) {
      case KnobRole::cpu_cores: {
        const Vector clock = cpu ? setting(*cpu) : Vector(Vector::Ones(n));
        if (target == tasks::kTimeMs) {
          columns.push_back(x.cwiseProduct(clock).cwiseInverse());
        } else {
          columns.push_back(x.cwiseProduct(clock));
          columns.push_back(x.cwiseProduct(switching(clock)));
        }
        break;
      }
      case KnobRole::cpu_khz:
      case KnobRole::gpu_khz:
      case KnobRole::mem_khz:
        if (target == tasks::kTimeMs) {
          columns.push_back(x.cwiseInverse());
        } else {
          columns.push_back(x);
          columns.push_back(switching(x));
        }
        break;
      case KnobRole::power_limit_mw:
        columns.push_back(target == tasks::kTimeMs ? Vector(x.cwiseInverse()) : x);
        break;
      case KnobRole::batch_size:
        columns.push_back(x);
        if (target == tasks::kTimeMs) columns.push_back(x.cwiseInverse());
        break;
    }
  }
  Matrix features(n, static_cast<Eigen::Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j) features.col(static_cast<Eigen::Index>(j)) = columns[j];
  return features;
}

std::unique_ptr<const Predictor> Physics::adapt(const Samples& support) const {
  check_support("physics", support, 1);
  auto predictor = std::make_unique<PhysicsPredictor>(support.space);
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    const auto target = static_cast<tasks::Target>(t);
    const auto rows = rows_of(support, target);
    if (rows.modes.empty()) continue;
    predictor->weights[t] = fit_relative(physics_features(target, *support.space, rows.modes), rows.values);
  }
  return predictor;
}

}  // namespace fewwatt::learners
