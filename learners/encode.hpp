#pragma once

#include <span>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// Settings of a mode as features. x = setting / the knob's highest level in the space, so that one
// initializer serves several devices.
//   raw       x                                              [roles]
//   physical  x, 1/x, log x per knob, and 1/(cores cpu_khz)  [3 roles + 1 where both are knobs]
enum class FeatureSet { raw, physical };

Matrix encode(FeatureSet features, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);

// z = (x - mean) / stddev per column; a constant column gives 0.
struct Scaler {
  Vector mean, stddev;

  static Scaler fit(const Matrix& rows);
  Matrix operator()(const Matrix& rows) const;
};

// Of two tensors [1,f] of a checkpoint. Throws std::invalid_argument naming them when they differ in size, have more than
// kMostWidth values, or one is not finite or a negative standard deviation.
Scaler read_scaler(const Checkpoint& checkpoint, const std::string& mean, const std::string& stddev);

// Settings of modes as a checkpoint holds them, [n,d], and back. Throws std::invalid_argument naming entry and row unless they are
// whole numbers above 0.
Matrix settings_of(std::span<const hw::PowerMode> modes);
std::vector<hw::PowerMode> modes_of(const Checkpoint& checkpoint, const std::string& name);
// Whether every mode of the space is among `modes`, ascending.
bool covers(const std::vector<hw::PowerMode>& modes, const hw::PowerModeSpace& space);

// "cpu_khz gpu_khz mem_khz", in the order of the space's knobs: what a checkpoint says it was trained for.
std::string roles_text(const hw::PowerModeSpace& space);

// Throws std::invalid_argument naming both unless the space's knobs are those of the text.
void check_roles(const std::string& learner, const std::string& trained_for, const hw::PowerModeSpace& space);

}  // namespace fewwatt::learners
