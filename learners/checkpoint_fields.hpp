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

  // Throws std::invalid_argument, "checkpoint of gp: time/kernel must have 9 values, found 4". Where it reads.
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

  void text(const std::string& name, std::string& value);                 // a text
  void lines(const std::string& name, std::vector<std::string>& values);  // a text, one value in each line
  void row(const std::string& name, tasks::Vector& values);               // a tensor [1,n]
  void matrix(const std::string& name, tasks::Matrix& values);            // a tensor
  void optional_matrix(const std::string& name, tasks::Matrix& values);   // [0,0]: no entry
  void real(const std::string& name, double& value, double least, double most);  // a number in [least, most]
  void integer(const std::string& name, int& value, int least, int most);        // a whole one
  void integers(const std::string& name, std::vector<int>& values, int least,
                int most);  // several whole ones
  // An enumerator by its name. parse: from std::string, throws std::invalid_argument.
  template <class E, class Parse>
  void choice(const std::string& name, E& value, const Parse& parse) {
    std::string named = reads() ? "" : std::string(to_string(value));
    text(name, named);
    if (reads()) value = parse(named);
  }
  // Sizes of a net's layers, of which those between input and output are in the checkpoint.
  void layers(const std::string& name, std::vector<int>& sizes, int input, int output);
  void modes(const std::string& name,
             std::vector<hw::PowerMode>& values);  // a tensor [n,d] of their settings
  void scaler(const std::string& mean, const std::string& stddev, Scaler& scaler);  // two tensors [1,f]
  // A net that takes features: feature_mean, feature_stddev, hidden, activation. output: of the last layer, nullopt where the last
  // hidden layer is what it gives; no layers at all are hidden 0.
  void net(Scaler& scaler, MlpShape& shape, std::optional<int> output);

  // A part that may be lacking, its fields below "name/". visit(fields, part). A checkpoint has it where it has the tensor `mark`.
  template <class Part, class Visit>
  void part(const std::string& name, const std::string& mark, std::optional<Part>& one, const Visit& visit) {
    const auto outside = std::exchange(prefix_, prefix_ + name + "/");
    if (reads() && source().tensors.contains(prefix_ + mark)) one.emplace();
    if (one) visit(*this, *one);
    prefix_ = outside;
  }
  // The targets that there are, their fields below "time/" and "power/". Of a checkpoint those are there that have the tensor `mark`.
  template <class Target, class Visit>
  void targets(std::array<std::optional<Target>, tasks::kNumTargets>& all, const std::string& mark,
               const Visit& visit) {
    for (std::size_t t = 0; t < all.size(); ++t) part(tasks::kTargetNames[t], mark, all[t], visit);
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
