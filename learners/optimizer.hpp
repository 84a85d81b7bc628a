#pragma once

#include <Eigen/Core>
#include <cmath>
#include <utility>

namespace fewwatt::learners {

// Adam, Kingma & Ba 2015, algorithm 1, on flat parameters.
template <class T>
class Adam {
 public:
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  // All that a step changes besides the parameters.
  struct State {
    Flat first, second;  // moments of the gradient, [size]
    int steps = 0;       // done
  };

  Adam(Eigen::Index size, T rate) : rate_(rate), state_{Flat::Zero(size), Flat::Zero(size), 0} {}

  // parameters and gradient: the same part of the flat vectors each time, [size].
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

  void set_rate(T rate) { rate_ = rate; }
  const State& state() const { return state_; }
  void set_state(State state) { state_ = std::move(state); }  // of the same size

 private:
  static constexpr T kBeta1 = T(0.9), kBeta2 = T(0.999);
  T rate_;
  State state_;
};

}  // namespace fewwatt::learners
