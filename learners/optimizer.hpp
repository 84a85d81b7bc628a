#pragma once

#include <Eigen/Core>
#include <cmath>

namespace fewwatt::learners {

// Adam, Kingma & Ba 2015, algorithm 1, on flat parameters.
template <class T>
class Adam {
 public:
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  Adam(Eigen::Index size, T rate) : rate_(rate), m_(Flat::Zero(size)), v_(Flat::Zero(size)) {}

  // parameters and gradient: the same part of the flat vectors each time, [size].
  template <class P, class G>
  void step(P&& parameters, const G& gradient) {
    ++t_;
    m_ = kBeta1 * m_ + (T(1) - kBeta1) * gradient;
    v_.array() = kBeta2 * v_.array() + (T(1) - kBeta2) * gradient.array().square();
    const T m_scale = rate_ / (T(1) - std::pow(kBeta1, T(t_)));
    const T v_scale = T(1) / (T(1) - std::pow(kBeta2, T(t_)));
    parameters.array() -= m_scale * m_.array() / ((v_.array() * v_scale).sqrt() + T(1e-8));
  }

 private:
  static constexpr T kBeta1 = T(0.9), kBeta2 = T(0.999);
  T rate_;
  Flat m_, v_;
  int t_ = 0;
};

}  // namespace fewwatt::learners
