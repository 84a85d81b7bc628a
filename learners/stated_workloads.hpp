#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "learners/learner.hpp"
#include "learners/sim_population.hpp"
#include "learners/sim_prior/cloud.hpp"

namespace fewwatt::learners {

// Least number of training workloads that state what they are: fewer say nothing of how workloads depend on that.
inline constexpr Eigen::Index kFewestStated = 3;
// Greatest number: what they say of a new workload costs the cube of it in time, and the square in memory.
inline constexpr Eigen::Index kMostStated = 1000;

// Log y is linear in these, x = setting / the space's highest level: 1; x, 1 / x and log x of each knob; products of two
// log x; 1 / (n c) where cores and their clock are knobs. Below the `lowest` x of a knob, [d], they go on as straight lines
// of log x, as powers of x do. [n,q] of n modes.
Matrix curve_features(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
                      const Vector& lowest);

// Log y of a workload as a linear function of curve_features().
struct Curve {
  Vector coefficients;  // [q]
  double error = 0;     // root mean square, log units
};
// By least squares, slightly shrunk where rows do not determine the coefficients. features [n,q], logs [n].
Curve fit_curve(const Matrix& features, const Vector& logs);

// Training workloads of which it is stated what they are.
struct StatedWorkloads {
  Matrix characteristics;                         // [w,4] as tasks::kCharacteristics; NaN = not known
  std::vector<int> time_of;                       // [w] datasets::TimeOf
  std::vector<int> highest;                       // [d] levels of the knobs of all their spaces
  Vector lowest;                                  // [d] x of the modes that they were measured in
  std::array<Matrix, tasks::kNumTargets> curves;  // [w,q] of curve_features(); [0,0]: not all have the target
  // Root mean square of Curve::error over the workloads, log units; for each target.
  std::array<double, tasks::kNumTargets> curve_errors{};

  std::string error() const;  // "" when valid

  // Why nothing can be said of a workload without measuring it: "expected ..., found ..."; "" when something can.
  std::string missing(const hw::PowerModeSpace& space, const tasks::Characteristics& stated) const;

  // Logs of the workloads `which` at n modes, [which,n]. Throws std::invalid_argument when curves do not fit the space's knobs.
  SimPopulation::Rows logs(int target, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
                           std::span<const std::size_t> which) const;

  // Bayesian regression of log y on the logs of the characteristics that the workload and at least kFewestStated of the
  // training workloads state, in all modes at once (Dawid 1981, matrix-t): with centred Y [w,n] and X [w,f],
  //   Y ~ MN(X B, I, S),  B ~ MN(0, slope^2 I, S),  S ~ IW of one degree of freedom at the covariance of Y's rows
  // averaged over slopes by their evidence. `with_level`: of log y itself; otherwise of log y less its mean over modes.
  // nullopt when no characteristic that differs is stated by enough of them, or they lack the target.
  std::optional<Cloud> prior(int target, const hw::PowerModeSpace& space,
                             const tasks::Characteristics& stated, bool with_level) const;
};

}  // namespace fewwatt::learners
