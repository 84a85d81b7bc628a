#pragma once

#include <span>
#include <string>
#include <vector>

#include "learners/options.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {

// How the embedding is trained.
struct PrototypesOptions {
  std::vector<int> hidden = {32};                                // widths of the hidden layers
  int embedding = 16;                                            // dimensions
  learners::Activation activation = learners::Activation::relu;  // of the hidden layers
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 1e-3;
  int max_steps = 1000;                    // number of outer steps; rates fall to 0 until then
  double clip_norm = 10;                   // the outer gradient g becomes g * min(1, clip_norm / |g|)
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// Prototypical networks as published, Snell et al. 2017, for classification. The targets of an episode are its classes, one column
// each: 1 in that of the row's class, 0 in the others; each class has a support row. A query row's class has the probability
// softmax(-|e - c|^2) of its embedding e and the classes' mean embeddings c (eq. 2). What boards adapt is ProtoNet.
class Prototypes final : public OuterLearner {
 public:
  // `name` is what messages call it. Throws std::invalid_argument when options are bad.
  Prototypes(std::string name, Eigen::Index inputs, Eigen::Index classes, PrototypesOptions options,
             std::uint64_t seed);

  // Probability of each class for the episode's query rows, [q,classes].
  Matrix predict(const Episode& episode) const;

  // Mean over query rows of -log p(own class), and its gradient by the net's weights, in double. Episodes all have the same k and
  // q. Throws std::invalid_argument naming the episode where a class has no support row.
  BatchGradient gradient(std::span<const Episode> batch) const override;
  // Weights of the net, in the order of learners::Mlp.
  Vector parameters() const override { return weights_; }
  void set_parameters(const Vector& parameters) override { weights_ = parameters; }  // of the same size

 private:
  PrototypesOptions options_;
  Vector weights_;
};

}  // namespace fewwatt::meta
