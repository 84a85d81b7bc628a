#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "learners/options.hpp"
#include "meta/net_state.hpp"

namespace fewwatt::meta {

// How Reptile trains a net.
struct ReptileOptions {
  NetOptions net;  // the net, and how it is fitted at test time
  // The inner loop: `inner_steps` steps of the optimizer on the mean squared error of `inner_batch` rows of the
  // task, drawn anew for each step (all rows where it has no more).
  learners::Optimizer inner_optimizer = learners::Optimizer::sgd;
  int inner_steps = 10;     // steps of the inner loop
  double inner_rate = 0.2;  // of each step
  int inner_batch = 20;     // rows in each step
  double inner_clip = 1;    // an inner gradient g becomes g * min(1, inner_clip / |g|)
  // In outer step t:  theta += outer_rate (1 - t / max_steps) * mean over tasks of (adapted - theta)
  double outer_rate = 1.0;
  int max_steps = 600;                     // number of outer steps; rates fall to 0 until then
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// What one task's inner loop adds to `start`, and its mean loss over the steps. `rng` draws the rows.
struct Displacement {
  Vector value;     // adapted - start
  double loss = 0;  // mean loss over the steps
};
Displacement reptile_displacement(const learners::MlpShape& shape, const Vector& start, const Matrix& x,
                                  const Matrix& y, const ReptileOptions& options, hw::Rng rng);

// Reptile, Nichol et al. 2018, algorithm 2, on all rows of an episode, support and query, with a net of any number of inputs and
// outputs. There is no gradient of an outer loss: the initial weights move towards what the episodes' inner loops reach, in Eigen's
// nets.
class Reptile final : public NetLearner {
 public:
  // As Maml; `seed` draws the rows of inner steps.
  Reptile(std::string name, learners::MlpShape shape, Vector weights, ReptileOptions options,
          std::uint64_t seed);

  const Vector& weights() const override { return weights_; }

 private:
  Vector parameters() const override { return weights_; }
  void set_parameters(const Vector& parameters) override { weights_ = parameters; }
  BatchGradient gradient(std::span<const Episode> batch) const override;

  std::string name_;
  ReptileOptions options_;
  Vector weights_;
  std::uint64_t seed_;
};

// As maml_on_modes().
OnModes reptile_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                         const ReptileOptions& options, std::uint64_t seed,
                         const learners::Checkpoint* init = nullptr);

}  // namespace fewwatt::meta
