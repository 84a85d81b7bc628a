#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/power_mode.hpp"
#include "tasks/episode.hpp"

namespace fewwatt::tasks {

// The columns of targets and predictions.
enum Target : int { kTimeMs = 0, kPowerW = 1 };
inline constexpr int kNumTargets = 2;
inline constexpr const char* kTargetNames[kNumTargets] = {"time", "power"};

// What is known of a workload without measuring it; nullopt = not known.
struct Characteristics {
  // As in datasets::WorkloadAttributes.
  std::optional<double> batch_size = {}, layers = {}, parameters = {}, flops = {};
  datasets::TimeOf time_of = datasets::TimeOf::run;  // what one time is

  bool operator==(const Characteristics&) const = default;
};
inline constexpr std::pair<const char*, std::optional<double> Characteristics::*> kCharacteristics[] = {
    {"batch_size", &Characteristics::batch_size},
    {"layers", &Characteristics::layers},
    {"parameters", &Characteristics::parameters},
    {"flops", &Characteristics::flops}};
// Those of these attributes that are characteristics.
Characteristics characteristics_of(const datasets::WorkloadAttributes& attributes);

// Standard deviation of the log of repeated measurements in one mode, where nothing else is known of it.
inline constexpr double kUsualNoise = 0.015;
// The noise factor (Samples::noise_factors) of a mean of `repeats` = r measurements, whose standard deviation is `spread` times the mean:
//   max(u^2, ((r - 1) spread^2 + u^2) / r) / (u^2 r),  u = kUsualNoise
// This is as if one more measurement had spread as usual, and none spread less. spread NaN = not known: 1 / r.
double noise_factor(double repeats, double spread);

// Measured modes of one workload on one device.
struct Samples {
  std::shared_ptr<const hw::PowerModeSpace> space;  // of the device
  std::vector<hw::PowerMode> modes;                 // [n]
  Matrix targets;                                   // [n,2] ms, W; NaN = unknown
  Characteristics characteristics = {};             // of the workload
  // [n,2] > 0, the variance of each value's noise over that of one fresh measurement: 1 / r for a mean of r, more for an old one or for
  // one that spread more than usual (noise_factor). [0,0] = all 1. Learners with LearnerEntry::weighs_rows use it.
  Matrix noise_factors = {};

  std::size_t size() const { return modes.size(); }         // n
  Samples subset(std::span<const std::size_t> rows) const;  // these rows, in this order
  bool has(Target target) const;                            // whether at least one value is known

  // The numbers may come from people: throws std::invalid_argument naming the row or characteristic unless each mode is in the space, no
  // mode is there twice, and known values and noise factors are positive and finite.
  void check() const;
};

// A few-shot problem: learn from the support, predict the query.
struct Task {
  std::string name;        // "tx2/xception_200x200"
  Samples support, query;  // never share a mode
};

// Every row of a profile, or the given ones. Where repeated measurements spread so much that their mean is no surer than one usual
// measurement, the value gets its noise factor. Otherwise it counts as one measurement, since repeats of one run err together.
Samples samples_of(const datasets::Profile& profile);
Samples samples_of(const datasets::Profile& profile, std::span<const std::size_t> rows);

}  // namespace fewwatt::tasks
