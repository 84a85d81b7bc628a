#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/encode.hpp"
#include "learners/mlp.hpp"

namespace fewwatt::learners {

// The fields of a model, gone through once for both ways: written into a checkpoint, or read from one within the bounds that are
// given. A model has one function
//   void visit(CheckpointFields& fields) { fields.text("knobs", knobs); fields.real("log_noise", log_noise, -kMostLog, kMostLog); }
// and write_fields() and read_fields() do the rest. Reading throws std::invalid_argument as Checkpoint's members do.
class CheckpointFields {
 public:
  // Writes into `to`.
  static CheckpointFields writer(Checkpoint& to) { return CheckpointFields(&to, nullptr); }
  // Reads from `from`.
  static CheckpointFields reader(const Checkpoint& from) { return CheckpointFields(nullptr, &from); }
  bool reads() const { return from_ != nullptr; }      // false where it writes
  const Checkpoint& source() const { return *from_; }  // where it reads

  void text(const std::string& name, std::string& value);                        // a text
  void row(const std::string& name, tasks::Vector& values);                      // a tensor [1,n]
  void matrix(const std::string& name, tasks::Matrix& values);                   // a tensor
  void optional_matrix(const std::string& name, tasks::Matrix& values);          // [0,0]: no entry
  void real(const std::string& name, double& value, double least, double most);  // a number in [least, most]
  void integer(const std::string& name, int& value, int least, int most);        // a whole one
  // An enumerator by its name. parse: from std::string, throws std::invalid_argument.
  template <class E, class Parse>
  void choice(const std::string& name, E& value, const Parse& parse) {
    std::string named = reads() ? "" : std::string(to_string(value));
    text(name, named);
    if (reads()) value = parse(named);
  }
  void modes(const std::string& name,
             std::vector<hw::PowerMode>& values);  // a tensor [n,d] of their settings
  void scaler(const std::string& mean, const std::string& stddev, Scaler& scaler);  // two tensors [1,f]
  // A net that takes features: feature_mean, feature_stddev, hidden, activation. output: of the last layer, nullopt where the last
  // hidden layer is what it gives; no layers at all are hidden 0.
  void net(Scaler& scaler, MlpShape& shape, std::optional<int> output);

  // The targets that there are, their fields below "time/" and "power/". Of a checkpoint those are there that have the tensor `mark`.
  template <class Target, class Visit>
  void targets(std::array<std::optional<Target>, tasks::kNumTargets>& all, const std::string& mark,
               const Visit& visit) {
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      const auto outside = std::exchange(prefix_, prefix_ + tasks::kTargetNames[t] + "/");
      auto& one = all[static_cast<std::size_t>(t)];
      if (reads() && source().tensors.contains(prefix_ + mark)) one.emplace();
      if (one) visit(*this, *one);
      prefix_ = outside;
    }
  }

 private:
  CheckpointFields(Checkpoint* to, const Checkpoint* from) : to_(to), from_(from) {}

  Checkpoint* to_;
  const Checkpoint* from_;
  std::string prefix_;
};

// A copy, because visit() serves both ways.
template <class Model>
Checkpoint write_fields(std::string_view learner, Model model) {
  Checkpoint checkpoint;
  checkpoint.learner = learner;
  auto fields = CheckpointFields::writer(checkpoint);
  model.visit(fields);
  return checkpoint;
}
template <class Model>
Model read_fields(const Checkpoint& checkpoint) {
  Model model;
  auto fields = CheckpointFields::reader(checkpoint);
  model.visit(fields);
  return model;
}

}  // namespace fewwatt::learners
