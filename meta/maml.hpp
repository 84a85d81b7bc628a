#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learners/options.hpp"
#include "meta/maml_gradient.hpp"
#include "meta/net_state.hpp"

namespace fewwatt::meta {

// Inner rates that are trained with the initial weights, from inner.rate.
enum class LearnedRates {
  none,
  per_parameter,      // Meta-SGD, Li et al. 2017
  per_layer_and_step  // LSLR of MAML++, Antoniou et al. 2019
};

// How MAML and its variants train a net.
struct MamlOptions {
  NetOptions net;                                   // the net, and how it is fitted at test time
  InnerLoop inner;                                  // its rates and step_weights are set in training
  LearnedRates learned_rates = LearnedRates::none;  // which inner rates are trained
  // So many layers take the inner steps, the last ones of the net; 0: all. 1: ANIL, Raghu et al. 2020, section 4.1.
  int adapted_layers = 0;
  // Learned rates stay in [inner.rate / rate_clamp, inner.rate * rate_clamp]; >= 1.
  double rate_clamp = 10;
  // Until this outer step the query losses after all S inner steps count: with t = outer steps done, those
  // before the last weigh  max(1 - t / multi_step_until, 0.03) / S,  the last what is left of 1 (MAML++, eq. 3).
  int multi_step_until = 0;
  // Adam's rate in outer step t:  outer_rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 3e-3;
  int max_steps = 300;  // number of outer steps; rates fall to 0 until then
  // The outer gradient g becomes g * min(1, clip_norm / |g|).
  double clip_norm = 1.0;
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// MAML, Finn et al. 2017, on a net of any number of inputs and outputs. Without inner steps it is joint pre-training: the
// same net fitted to all episodes at once. With EpisodeLoss::cross_entropy the net's outputs are logits, one for each class.
class Maml final : public NetLearner {
 public:
  // From `weights` of a net of `shape`, and from `rates`, as rates() has them, where rates are learned. `name` is what messages
  // call it. Throws std::invalid_argument when options are bad or sizes do not fit.
  Maml(std::string name, learners::MlpShape shape, Vector weights, MamlOptions options,
       const Matrix& rates = {});

  const Vector& weights() const override { return weights_; }
  Matrix rates() const override;
  // The weights after gradient steps on the episode's support, of the rates and the loss that training has. Throws
  // std::invalid_argument when the episode does not fit.
  Vector adapted(const Episode& episode, int steps) const;

 private:
  Vector parameters() const override;  // weights, then rates
  void set_parameters(const Vector& parameters) override;
  BatchGradient gradient(std::span<const Episode> batch) const override;
  InnerLoop inner_loop() const;  // of the next outer step

  MamlOptions options_;
  Vector weights_;
  Matrix rates_;    // [1, parameters], [inner steps, layers] or, where none are learned, [0,0]
  Vector adapted_;  // [parameters] 1 = takes inner steps, 0 = does not
};

// For each target that the training profiles have; `name` stands in the snapshot as what trained it, and `init` is a snapshot to
// start from. Throws std::invalid_argument when options are bad, their loss is that of classes, there is no profile, the profiles'
// knobs differ in role, or init is of another learner, or of other knobs.
OnModes maml_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                      const MamlOptions& options, std::uint64_t seed,
                      const learners::Checkpoint* init = nullptr);

}  // namespace fewwatt::meta
