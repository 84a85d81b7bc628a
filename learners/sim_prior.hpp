#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"
#include "learners/mixtures.hpp"
#include "learners/sim_population.hpp"
#include "learners/sim_residual.hpp"
#include "learners/stated_workloads.hpp"

namespace fewwatt::learners {

struct SimPriorOptions {
  std::size_t population = 3000;  // simulated workloads
  std::uint64_t population_seed = 0;
  std::size_t mixtures = 3000;  // of training workloads
  std::size_t blends = 1000;    // of a training workload and a simulated one; 0: none
  std::size_t kept = 150;       // simulated workloads, those most like the support
  std::size_t kept_mixed = 75;  // mixtures, and blends
  double effective = 100;       // of each kind, by weight: 1 / sum w^2
  double time_error = 0.05,
         power_error = 0.04;  // log units, how far apart alike workloads are, one to the other
  // false: without a trained model, only the first of the fixed residuals that are averaged over
  bool family = true;
  bool fitted = true;   // without a trained model, from 20 rows on one that is fitted to the support too
  double temper = 0.6;  // weights ~ (evidence prior)^temper
  std::string error() const;  // "" when valid
};

// What there is of one target after training on other workloads.
struct SimPriorTarget : SimPriorFitted {
  Matrix training;  // [w,g] log y of the training workloads in the modes of SimPriorModel; [0,0]: none
  std::optional<SimPriorFitted> mixed;  // where there are two of them or more
  // Share of the training workloads, each left out, that mixtures of the others explain better than simulated workloads.
  double mixed_share = 0.5;
};

// A Checkpoint holds it as
//   texts    trained_by, knobs
//   numbers  t/log_noise, t/log_scale; t/mixed/log_noise, t/mixed/log_scale, t/mixed/share;
//            stated/time_of [s], stated/highest [d], t/stated/error
//   tensors  t/residual [1, 1 + 3 d + p], t/mixed/residual, t/training [w,g], modes [g,d] (settings);
//            stated/characteristics [s,4], stated/lowest [1,d], t/stated/curves [s,q]
struct SimPriorModel {
  std::string knobs;                 // roles_text() of the training spaces
  std::vector<hw::PowerMode> modes;  // [g] that all training profiles have, ascending
  std::array<std::optional<SimPriorTarget>, tasks::kNumTargets> targets;
  std::optional<StatedWorkloads> stated;  // where kFewestStated training workloads state what they are

  std::string error() const;  // "" when valid
  Checkpoint to_checkpoint() const;
  static SimPriorModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

// What simulated workloads, those of a population's first, take in the modes of a support.
struct SimulatedSupport {
  std::vector<hw::PowerMode> modes;  // ascending
  SimPopulation::Logs logs;          // [population, modes]
};

// Retrieval of simulated workloads. Those that fit the support in time and power together are weighted; their mean and
// covariance are the prior of a Gaussian process with a residual; other priors (all simulated workloads, what the
// training workloads have in common, physics) and scales compete, averaged by tempered evidence. Where there are two
// training workloads or more on the same grid, Mixtures of them compete too, those that fit the support and all, and
// blends of one of them and a simulated one, those that fit it; and where characteristics are stated, the training
// workloads by these (StatedWorkloads), which are all there is for a support without rows. Without a trained model the
// residual is averaged over a fixed family and, from 20 rows on, one fitted to the support (fit_to_support); with one, a
// residual that knows nothing of the training workloads competes for time. Physics is a prior of time alone, and that no knob
// changes it one of power alone. With uncertainty.
class SimPrior final : public Learner {
 public:
  explicit SimPrior(std::optional<SimPriorModel> model = std::nullopt, SimPriorOptions options = {});
  // A trained one takes a support without rows too; throws std::invalid_argument saying what is missing for that.
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;
  // The same in two steps. What one SimPrior simulates does for others whose population is as large or smaller, of the same
  // seed, and for supports with fewer values.
  SimulatedSupport simulate(const Samples& support) const;
  std::unique_ptr<const Predictor> adapt(const Samples& support, const SimulatedSupport& simulated) const;
  // Whether all training workloads were measured in all modes of the space.
  bool trained_in(const hw::PowerModeSpace& space) const;

 private:
  void check(const Samples& support) const;

  std::shared_ptr<const SimPriorModel> model_;
  SimPriorOptions options_;
  std::shared_ptr<const SimPopulation> population_;
  // Of training workloads; blends: of one of them and of the first simulated ones. nullptr without a model.
  std::shared_ptr<const Mixtures> mixtures_, blends_;
};

}  // namespace fewwatt::learners
