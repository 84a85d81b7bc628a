#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "meta/meta_learner.hpp"
#include "meta/net_state.hpp"

namespace fewwatt::meta {

struct ReptileOptions {
  NetOptions net;
  // The inner loop: `inner_steps` steps of the optimizer on the mean squared error of `inner_batch` rows of the
  // task, drawn anew for each step (all rows where it has no more).
  learners::Optimizer inner_optimizer = learners::Optimizer::sgd;
  int inner_steps = 10;
  double inner_rate = 0.2;
  int inner_batch = 20;
  double inner_clip = 1;  // an inner gradient g becomes g * min(1, inner_clip / |g|)
  // In outer step t:  theta += outer_rate (1 - t / max_steps) * mean over tasks of (adapted - theta)
  double outer_rate = 1.0;
  int max_steps = 600;
  std::string error() const;  // "" when valid
};

// What one task's inner loop adds to `start`, and its mean loss over the steps. `rng` draws the rows.
struct Displacement {
  Vector value;  // adapted - start
  double loss = 0;
};
Displacement reptile_displacement(const learners::MlpShape& shape, const Vector& start, const Matrix& x,
                                  const Matrix& y, const ReptileOptions& options, hw::Rng rng);

// Reptile, Nichol et al. 2018, algorithm 2, on all rows of a task, support and query. There is no gradient of
// an outer loss: the initial weights move towards what the tasks' inner loops reach, in Eigen's nets.
class Reptile final : public MetaLearner {
 public:
  // `init` and what is thrown as with Maml.
  Reptile(std::span<const datasets::Profile> training, ReptileOptions options, std::uint64_t seed,
          const learners::Checkpoint* init = nullptr);

  StepReport step(std::span<const tasks::Task> batch) override;
  learners::Checkpoint snapshot() const override { return model_.to_checkpoint(); }
  learners::Checkpoint state() const override;
  void set_state(const learners::Checkpoint& state) override;

  const learners::FineTuneModel& model() const { return model_; }

 private:
  ReptileOptions options_;
  learners::FineTuneModel model_;
  std::uint64_t seed_;
  int step_ = 0;
};

}  // namespace fewwatt::meta
