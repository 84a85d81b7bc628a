#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tasks/task.hpp"

namespace fewwatt::learners {

// Where a checkpoint comes from; enough to train it again. No dates: the same training gives the same bytes.
struct Origin {
  std::uint64_t seed = 0;
  std::string git_revision;
  std::string data_hash;  // of the training profiles only

  bool operator==(const Origin&) const = default;
};

// What crosses from the workstation to the board: everything a learner needs to adapt.
struct Checkpoint {
  std::string learner;                                 // a name of the registry: "fine_tune"
  std::map<std::string, tasks::Matrix> tensors;        // "time/weights" [1,n]
  std::map<std::string, std::vector<double>> numbers;  // settings: "time/fine_tune/steps" {300}
  std::map<std::string, std::string> texts;  // settings: "trained_by" "maml", "knobs" "cpu_khz gpu_khz"
  Origin origin;

  // Throw std::invalid_argument naming the checkpoint's learner and the missing entry.
  const tasks::Matrix& tensor(const std::string& name) const;
  tasks::Vector vector(const std::string& name) const;  // of a tensor [1,n]
  double number(const std::string& name) const;         // of a single value
  const std::vector<double>& number_list(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  // The same of numbers that have bounds, which the message states too: [least, most]. NaN and infinity are within none.
  double real(const std::string& name, double least, double most) const;
  int integer(const std::string& name, int least, int most) const;
  std::vector<int> integers(const std::string& name, int least, int most) const;
  // Sizes of a net's layers, at most kMostLayers of them in [1, kMostWidth].
  std::vector<int> layers(const std::string& name) const;

  bool has_number(const std::string& name) const { return numbers.contains(name); }
};

// Bounds of settings that are logs of standard deviations, or other logs; and of factors. Beyond them there is no number that
// means anything, and what is computed from them overflows.
inline constexpr double kMostLog = 50, kLeastFactor = 1e-9, kMostFactor = 1e6;
// Log units of a target per unit of what a learner's net gives; what one step of Adam goes at most.
inline constexpr double kMostTargetScale = 100, kMostRate = 10;
// How many times as wide as usual a prior of hyper-parameters is at most.
inline constexpr double kMostFreedom = 100;
// Bounds of nets: layers, and outputs of one.
inline constexpr int kMostLayers = 16, kMostWidth = 4096;

}  // namespace fewwatt::learners
