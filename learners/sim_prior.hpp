#pragma once

#include <memory>
#include <optional>

#include "learners/learner.hpp"
#include "learners/mixtures.hpp"
#include "learners/sim_prior/model.hpp"
#include "learners/sim_prior/options.hpp"
#include "learners/sim_prior/retrieve.hpp"

namespace fewwatt::learners {

// Retrieval of simulated workloads. Those that fit the support in time and power together are weighted; their mean and
// covariance are the prior of a Gaussian process with a residual; other priors (all simulated workloads, what the
// training workloads have in common, physics) and scales compete, averaged by tempered evidence. Where there are two
// training workloads or more on the same grid, Mixtures of them compete too, those that fit the support and all, and
// blends of one of them and a simulated one, those that fit it; and where characteristics are stated, the training
// workloads by these (StatedWorkloads), which are all there is for a support without rows. Without a trained model the
// residual is averaged over a fixed family and, from 20 rows on, one fitted to the support (fit_to_support); with one, a
// residual that knows nothing of the training workloads competes for time. Physics is a prior of time alone, and that no knob
// changes it one of power alone. With uncertainty. The parts: sim_prior/retrieve, hypotheses, evidence, predictor.
class SimPrior final : public Learner {
 public:
  explicit SimPrior(std::optional<SimPriorModel> model = std::nullopt, SimPriorOptions options = {});
  // A trained one takes a support without rows too; throws std::invalid_argument saying what is missing for that.
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;
  // The same in two steps. What one SimPrior simulates does for others whose population is as large or smaller, of the same
  // seed, and for supports with fewer values.
  SimulatedSupport simulate(const Samples& support) const;
  std::unique_ptr<const Predictor> adapt(const Samples& support, const SimulatedSupport& simulated) const;
  int workloads() const { return sources_.model ? sources_.model->workloads : 0; }  // trained on
  // Whether all training workloads were measured in all modes of the space.
  bool trained_in(const hw::PowerModeSpace& space) const;

 private:
  void check(const Samples& support) const;

  SimPriorOptions options_;
  Sources sources_;
};

}  // namespace fewwatt::learners
