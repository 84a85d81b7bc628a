#pragma once

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <utility>

namespace fewwatt::learners {

// Adam, Kingma & Ba 2015, algorithm 1, on flat parameters.
template <class T>
class Adam {
 public:
  // A column of parameters, or of anything that each of them has.
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  // Everything that a step changes besides the parameters.
  struct State {
    Flat first, second;  // moments of the gradient, [size]
    int steps = 0;       // done
  };

  // For `size` parameters, with zero moments.
  Adam(Eigen::Index size, T rate) : rate_(rate), state_{Flat::Zero(size), Flat::Zero(size), 0} {}

  // Moves the parameters by one step against the gradient. Both are [size], with the same parameter in the same place each time.
  template <class P, class G>
  void step(P&& parameters, const G& gradient) {
    auto& [m, v, steps] = state_;
    ++steps;
    m = kBeta1 * m + (T(1) - kBeta1) * gradient;
    v.array() = kBeta2 * v.array() + (T(1) - kBeta2) * gradient.array().square();
    const T m_scale = rate_ / (T(1) - std::pow(kBeta1, T(steps)));
    const T v_scale = T(1) / (T(1) - std::pow(kBeta2, T(steps)));
    parameters.array() -= m_scale * m.array() / ((v.array() * v_scale).sqrt() + T(1e-8));
  }

  void set_rate(T rate) { rate_ = rate; }                     // of the steps from now on
  const State& state() const { return state_; }               // to go on from later
  void set_state(State state) { state_ = std::move(state); }  // of the same size

 private:
  static constexpr T kBeta1 = T(0.9), kBeta2 = T(0.999);
  T rate_;
  State state_;
};

// With kManyRows rows or more a step is expensive. Then Adam stops as soon as the objective has fallen by less than kSettled in the
// last kSettledSteps steps.
inline constexpr Eigen::Index kManyRows = 20;
inline constexpr double kSettled = 1e-4;
inline constexpr int kSettledSteps = 15;

// The flat parameters with the lowest value of objective(flat, &gradient) that Adam finds in at most `steps` steps from `flat`. `rows`
// is the number of rows that the objective sums over.
template <class Objective>
Eigen::VectorXd minimise(Eigen::VectorXd flat, int steps, double rate, Eigen::Index rows,
                         const Objective& objective) {
  const int patience = rows >= kManyRows ? kSettledSteps : steps;
  Adam<double> adam(flat.size(), rate);
  Eigen::VectorXd best = flat, gradient;
  double lowest = std::numeric_limits<double>::infinity(), settled = lowest;
  for (int step = 0, since = 0; step < steps && since < patience; ++step, ++since) {
    const double value = objective(flat, &gradient);
    if (value < lowest) {
      lowest = value;
      best = flat;
    }
    if (lowest < settled - kSettled) {
      settled = lowest;
      since = 0;
    }
    adam.step(flat, gradient);
  }
  return best;
}

}  // namespace fewwatt::learners
