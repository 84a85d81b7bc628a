#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "meta/meta_learner.hpp"
#include "meta/net_state.hpp"

namespace fewwatt::meta {

// Inner rates that are trained with the initial weights, from inner.rate.
enum class LearnedRates {
  none,
  per_parameter,      // Meta-SGD, Li et al. 2017
  per_layer_and_step  // LSLR of MAML++, Antoniou et al. 2019
};

struct MamlOptions {
  NetOptions net;
  InnerLoop inner;  // its rates and step_weights are set in training
  LearnedRates learned_rates = LearnedRates::none;
  // Learned rates stay in [inner.rate / rate_clamp, inner.rate * rate_clamp]; >= 1.
  double rate_clamp = 10;
  // Until this outer step the query losses after all S inner steps count: with t = outer steps done, those
  // before the last weigh  max(1 - t / multi_step_until, 0.03) / S,  the last what is left of 1 (MAML++, eq. 3).
  int multi_step_until = 0;
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 3e-3;
  int max_steps = 300;
  // The outer gradient g becomes g * min(1, clip_norm / |g|).
  double clip_norm = 1.0;
  std::string error() const;  // "" when valid
};

// MAML, Finn et al. 2017: one net for each target that the training profiles have. Without inner steps it is
// joint pre-training: the same net fitted to all training workloads at once.
class Maml final : public MetaLearner {
 public:
  // `name` stands in the snapshot as what trained it; `init` is a snapshot to start from. Throws std::invalid_argument when
  // options are bad, there is no profile, the profiles' knobs differ in role, or init is of another learner, or of other knobs.
  Maml(std::string name, std::span<const datasets::Profile> training, MamlOptions options, std::uint64_t seed,
       const learners::Checkpoint* init = nullptr);

  StepReport step(std::span<const tasks::Task> batch) override;
  learners::Checkpoint snapshot() const override;
  learners::Checkpoint state() const override;
  void set_state(const learners::Checkpoint& state) override;

  const learners::FineTuneModel& model() const { return model_; }

 private:
  struct Trained {
    learners::Adam<double> adam;  // of weights, then rates
    Matrix rates;                 // [1, parameters], [inner steps, layers] or [0,0]
  };
  InnerLoop inner_loop(const Trained& trained) const;  // of the next outer step

  MamlOptions options_;
  learners::FineTuneModel model_;
  std::array<std::optional<Trained>, tasks::kNumTargets> trained_;  // of the targets of model_
  int step_ = 0;
};

}  // namespace fewwatt::meta
