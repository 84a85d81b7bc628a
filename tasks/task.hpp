#pragma once

#include <Eigen/Core>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::tasks {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // row = sample
using Vector = Eigen::VectorXd;

// The columns of targets and predictions.
enum Target : int { kTimeMs = 0, kPowerW = 1 };
inline constexpr int kNumTargets = 2;
inline constexpr const char* kTargetNames[kNumTargets] = {"time", "power"};

// What is known of a workload without measuring it; nullopt = not known.
struct Characteristics {
  std::optional<double> batch_size = {}, layers = {}, parameters = {}, flops = {};
  datasets::TimeOf time_of = datasets::TimeOf::run;  // what one time is

  bool operator==(const Characteristics&) const = default;
};
inline constexpr std::pair<const char*, std::optional<double> Characteristics::*> kCharacteristics[] = {
    {"batch_size", &Characteristics::batch_size},
    {"layers", &Characteristics::layers},
    {"parameters", &Characteristics::parameters},
    {"flops", &Characteristics::flops}};
Characteristics characteristics_of(const datasets::WorkloadAttributes& attributes);

// Standard deviation of the log of a measurement that is made again in the same mode, where nothing else is known of it.
inline constexpr double kUsualNoise = 0.015;
// What the noise of a mean of `repeats` measurements is in Samples::noise_factors, when one of them spreads by `spread` of the mean:
//   max(u^2, ((r - 1) spread^2 + u^2) / r) / (u^2 r),  u = kUsualNoise
// as if one more measurement had spread as usual, and none spread less. spread NaN = not known: 1 / r.
double noise_factor(double repeats, double spread);

// Measured modes of one workload on one device.
struct Samples {
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::vector<hw::PowerMode> modes;  // n
  Matrix targets;                    // [n,2] ms, W; NaN = unknown
  Characteristics characteristics = {};
  // [n,2] > 0, variance of each value's noise over that of one fresh measurement: 1/r of a mean of r, more of an old one or of
  // one that spread more than usual (noise_factor); [0,0] = all 1. Learners that weigh_rows go by it (learners/registry.hpp).
  Matrix noise_factors = {};

  std::size_t size() const { return modes.size(); }
  Samples subset(std::span<const std::size_t> rows) const;
  bool has(Target target) const;  // at least one known value

  // A support's numbers come from people too: throws std::invalid_argument naming the row or characteristic unless each
  // mode is in the space, no mode stands twice, and known values and noise factors are positive and finite.
  void check() const;
};

// What a predictor says of modes; same rows as it was asked for.
struct Prediction {
  Matrix mean;    // [n,2] ms, W; NaN in the column of a target that the support did not have
  Matrix stddev;  // [n,2] ms, W of a new measurement; or [0,0] = unknown
  // [n,2] ms, W of what many measurements would average to, without the measurement's own noise; [0,0] where stddev is
  Matrix latent_stddev = {};
};

struct Task {
  std::string name;        // "tx2/xception_200x200"
  Samples support, query;  // never share a mode
};

// Every row of a profile, or the given ones. A value whose repeats spread so much that their mean is surer of nothing than a usual
// measurement has its noise factor; what spreads less counts as one measurement, since repeats of one run err together.
Samples samples_of(const datasets::Profile& profile);
Samples samples_of(const datasets::Profile& profile, std::span<const std::size_t> rows);

}  // namespace fewwatt::tasks
