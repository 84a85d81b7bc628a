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

  bool has_number(const std::string& name) const { return numbers.contains(name); }
};

}  // namespace fewwatt::learners
