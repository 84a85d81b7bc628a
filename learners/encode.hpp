#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// Which features a mode becomes. x = setting / the knob's highest level in the space, so that one initializer serves several devices.
enum class FeatureSet {
  raw,      // x                                              [roles]
  physical  // x, 1/x, log x per knob, and 1/(cores cpu_khz)  [3 roles + 1 where both are knobs]
};
std::string_view to_string(FeatureSet features);
FeatureSet parse_feature_set(std::string_view name);  // throws std::invalid_argument

// The features of modes, [n,f].
Matrix encode(FeatureSet features, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);
// The logs of the raw features, [n,roles].
Matrix log_settings(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);

// Standardises columns: z = (x - mean) / stddev; a constant column gives 0.
struct Scaler {
  Vector mean, stddev;  // [f]

  static Scaler fit(const Matrix& rows);        // of the columns of [n,f]
  Matrix operator()(const Matrix& rows) const;  // [n,f] -> [n,f]
};

// The scaler in two tensors [1,f] of a checkpoint. Throws std::invalid_argument naming them when they differ in size, have more than
// kMostWidth values, one that is not finite, or a negative standard deviation.
Scaler read_scaler(const Checkpoint& checkpoint, const std::string& mean, const std::string& stddev);

// Modes as a checkpoint holds them, [n,d], and back. The way back throws std::invalid_argument naming entry and row unless all settings
// are whole numbers above 0.
Matrix settings_of(std::span<const hw::PowerMode> modes);
std::vector<hw::PowerMode> modes_of(const Checkpoint& checkpoint, const std::string& name);
// Whether every mode of the space is among `modes`, which ascend.
bool covers(const std::vector<hw::PowerMode>& modes, const hw::PowerModeSpace& space);

// The roles of the space's knobs, in their order: "cpu_khz gpu_khz mem_khz". A checkpoint says so what it was trained for.
std::string roles_text(const hw::PowerModeSpace& space);

// Throws std::invalid_argument naming both unless the space's knobs are those of the text.
void check_roles(const std::string& learner, const std::string& trained_for, const hw::PowerModeSpace& space);

}  // namespace fewwatt::learners
