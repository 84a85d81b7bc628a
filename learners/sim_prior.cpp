#include "learners/sim_prior.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "learners/sim_prior/evidence.hpp"
#include "learners/sim_prior/hypotheses.hpp"
#include "learners/sim_prior/predictor.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {

using tasks::kNumTargets;

SimPrior::SimPrior(std::optional<SimPriorModel> model, SimPriorOptions options) : options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (model)
    if (const auto error = model->error(); !error.empty()) throw std::invalid_argument("sim_prior: " + error);
  sources_.population = std::make_shared<const SimPopulation>(options_.population, options_.population_seed);
  if (!model) return;
  std::array<Matrix, kNumTargets> training;
  for (int t = 0; t < kNumTargets; ++t)
    if (model->targets[t]) training[t] = model->targets[t]->training;
  sources_.model = std::make_shared<const SimPriorModel>(std::move(*model));
  sources_.mixtures = std::make_shared<const Mixtures>(training, options_.mixtures, options_.population_seed);
  sources_.blends =
      std::make_shared<const Mixtures>(training, options_.blends, options_.population_seed,
                                       std::min(options_.unweighted, sources_.population->size()));
}

void SimPrior::check(const Samples& support) const {
  check_support("sim_prior", support, sources_.model ? 0 : 1);
  if (sources_.model) check_roles("sim_prior", sources_.model->knobs, *support.space);
}

bool SimPrior::trained_in(const hw::PowerModeSpace& space) const {
  return sources_.model && !sources_.model->modes.empty() && covers(sources_.model->modes, space);
}

SimulatedSupport SimPrior::simulate(const Samples& support) const {
  SimulatedSupport simulated{support.modes, {}};
  std::sort(simulated.modes.begin(), simulated.modes.end());
  if (simulated.modes.empty()) return simulated;
  std::vector<std::size_t> all(sources_.population->size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  simulated.logs = sources_.population->simulate(*support.space, simulated.modes, all);
  return simulated;
}

std::unique_ptr<const Predictor> SimPrior::adapt(const Samples& given) const {
  check(given);
  const auto support = spread_support(given);
  return adapt(support, simulate(support));
}

std::unique_ptr<const Predictor> SimPrior::adapt(const Samples& given,
                                                 const SimulatedSupport& simulated) const {
  check(given);
  if (given.modes.empty()) return predictor_by_statement(sources_.model, given);
  const auto support = spread_support(given);
  auto sources = sources_;
  const bool same_modes = trained_in(*support.space);
  if (!same_modes) sources.mixtures = sources.blends = nullptr;
  auto means = mean_functions_of(support, same_modes ? sources.model.get() : nullptr);
  const auto targets = targets_of(support);
  auto retrieved = retrieve(sources, options_, support.space, targets, simulated);
  const SimEncoder encoder(*support.space);
  std::array<std::optional<TargetFit>, kNumTargets> fits;
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    auto inputs = encoder(targets[t]->rows.modes);
    const auto hypotheses = hypotheses_of(t, support, *targets[t], inputs, retrieved, options_, means);
    fits[t] = fit_of(t, *targets[t], std::move(inputs), hypotheses, retrieved, means, options_);
  }
  return predictor_of(std::move(retrieved), std::move(means), std::move(fits));
}

}  // namespace fewwatt::learners
