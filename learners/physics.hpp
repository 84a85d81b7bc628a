#pragma once

#include "learners/learner.hpp"

namespace fewwatt::learners {

// Non-negative least squares: the x >= 0 of least ||A x - b||, by the active-set method of Lawson & Hanson 1974, chapter 23. A [m,n],
// b [m] -> [n].
Vector nonnegative_least_squares(const Matrix& a, const Vector& b);

// The terms of a minibatch's cost as functions of the settings, [n,p]; x = setting / highest level of the knob.
//   time   1, 1/x per clock, limit and batch size, 1/(cores cpu) [1/cores where the CPU clock is no knob], x of a
//          batch size
//   power  1, x and x V(x)^2 per clock, the CPU's times its cores as well, x of a power limit and of a batch size
// V(x) = 0.5 + 0.5 x, the supply voltage over its value at the highest clock.
Matrix physics_features(tasks::Target target, const hw::PowerModeSpace& space,
                        std::span<const hw::PowerMode> modes);

// A non-negative combination of physics_features, fitted to the relative error: minimises
//   sum_i (f_i w / y_i - 1)^2,   w >= 0,
// with a small ridge on the scaled weights. Needs no training, and extrapolates as the hardware does.
class Physics final : public Learner {
 public:
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;
};

}  // namespace fewwatt::learners
