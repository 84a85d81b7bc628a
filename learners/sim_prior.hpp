#pragma once

#include <memory>
#include <optional>

#include "learners/learner.hpp"
#include "learners/mixtures.hpp"
#include "learners/sim_prior/model.hpp"
#include "learners/sim_prior/options.hpp"
#include "learners/sim_prior/retrieve.hpp"

namespace fewwatt::learners {

// A Gaussian process around simulated workloads that are like the new one. Those that fit the support in time and power together are
// weighted; their mean and covariance are its prior, beside a residual. Other hypotheses compete with that one. All are averaged, over
// scales of covariances and noise too, by tempered evidence.
// Without training, they are: time as Physics has it; power that no knob changes; from eight rows on other fixed residuals; and from 20
// rows on one that is fitted to the support (fit_to_support).
// With training, which gives the residual, they are: time with a residual that knows nothing of the training workloads; the mean of these;
// power that no knob changes; Mixtures of the training workloads, those that fit the support and all of them, and blends of one of them
// and a simulated one (where two training workloads or more were measured in the same modes); and the training workloads by what is
// stated of them (StatedWorkloads), which is all there is for a support without rows.
// With uncertainty. The parts: sim_prior/retrieve, hypotheses, evidence, predictor.
class SimPrior final : public Learner {
 public:
  // Without a model: what needs no training, sim_only. Throws std::invalid_argument for a bad model or bad options.
  explicit SimPrior(std::optional<SimPriorModel> model = std::nullopt, SimPriorOptions options = {});
  // A trained one takes a support without rows too; throws std::invalid_argument saying what is missing for that.
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;
  // adapt() in two steps, simulate() and the next one. What one SimPrior simulates does for others whose population is as large or
  // smaller, of the same seed, and for supports with fewer values.
  SimulatedSupport simulate(const Samples& support) const;
  // The second step; throws as adapt(support). simulated: of this support, or one with more values.
  std::unique_ptr<const Predictor> adapt(const Samples& support, const SimulatedSupport& simulated) const;
  // Number of workloads that it was trained on; 0 without training.
  int workloads() const { return sources_.model ? sources_.model->workloads : 0; }

 private:
  void check(const Samples& support) const;
  // Whether all training workloads were measured in all modes of the space.
  bool trained_in(const hw::PowerModeSpace& space) const;

  SimPriorOptions options_;
  Sources sources_;
};

}  // namespace fewwatt::learners
