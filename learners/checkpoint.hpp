#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tasks/task.hpp"

namespace fewwatt::learners {

// Where a checkpoint comes from; enough to train it again. No dates: the same training gives the same bytes.
struct Origin {
  std::uint64_t seed = 0;    // of training
  std::string git_revision;  // of the program that trained
  std::string data_hash;     // of the training profiles only

  bool operator==(const Origin&) const = default;
};

// What crosses from the workstation to the board: everything a learner needs to adapt.
struct Checkpoint {
  std::string learner;                                 // a name of the registry: "fine_tune"
  std::map<std::string, tasks::Matrix> tensors;        // "time/weights" [1,n]
  std::map<std::string, std::vector<double>> numbers;  // settings: "time/fine_tune/steps" {300}
  std::map<std::string, std::string> texts;  // settings: "trained_by" "maml", "knobs" "cpu_khz gpu_khz"
  Origin origin;                             // of its training

  // Each of these gives an entry. They throw std::invalid_argument naming the checkpoint's learner and the missing entry.
  const tasks::Matrix& tensor(const std::string& name) const;  // an entry of `tensors`
  tasks::Vector vector(const std::string& name) const;         // [n], of a tensor [1,n]
  double number(const std::string& name) const;                // an entry of `numbers` with one value
  const std::vector<double>& number_list(const std::string& name) const;  // an entry of `numbers`
  const std::string& text(const std::string& name) const;                 // an entry of `texts`
  // Numbers with bounds [least, most]. They also throw for a number out of bounds, NaN and infinity, naming the bounds.
  double real(const std::string& name, double least, double most) const;
  int integer(const std::string& name, int least, int most) const;                // a whole number
  std::vector<int> integers(const std::string& name, int least, int most) const;  // several
  // Sizes of a net's layers: at most kMostLayers of them, each in [1, kMostWidth].
  std::vector<int> layers(const std::string& name) const;

  // Whether there is such an entry of `numbers`.
  bool has_number(const std::string& name) const { return numbers.contains(name); }
};

// Checkpoint::learner of the state of a training run, and what its texts begin with that say which run it is of.
inline constexpr const char* kTrainingState = "training-state";
inline constexpr const char* kStateOf = "of/";

// Bounds of numbers in checkpoints: of logs (such as those of standard deviations), and of factors. No meaningful number is beyond them,
// and computations with such numbers overflow.
inline constexpr double kMostLog = 50, kLeastFactor = 1e-9, kMostFactor = 1e6;
// Bounds of a target's log units per unit of a net's output, and of Adam's learning rate.
inline constexpr double kMostTargetScale = 100, kMostRate = 10;
// Bound of the factor by which a prior of hyper-parameters may be wider than usual.
inline constexpr double kMostFreedom = 100;
// Bounds of a net: number of layers, and outputs of one layer.
inline constexpr int kMostLayers = 16, kMostWidth = 4096;

}  // namespace fewwatt::learners
