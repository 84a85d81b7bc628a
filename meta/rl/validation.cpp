#include "meta/rl/validation.hpp"

#include <limits>
#include <utility>

#include "hw/random.hpp"
#include "learners/control/policy_net.hpp"

namespace fewwatt::meta {

double mean_return(learners::Policy& policy, const MakeEnvironment& make, int episodes, std::uint64_t seed,
                   const StopCheck& interrupted) {
  double sum = 0;
  for (int i = 0; i < episodes; ++i) {
    throw_if_told(interrupted);
    auto draws = hw::Rng::stream(seed, "validation", static_cast<std::uint64_t>(i));
    const auto environment = make(draws.bits());
    auto observation = environment->reset(draws.bits());
    policy.begin(environment->actions(), draws.bits());
    tasks::Step step;
    do {
      step = environment->step(policy.act(observation, step.reward, learners::allowed_in(*environment)));
      observation = step.observation;
      sum += step.reward;
    } while (!step.ended());
  }
  return sum / episodes;
}

ReturnOf return_in(MakeEnvironment make, int episodes, std::uint64_t seed) {
  return [make = std::move(make), episodes, seed](const learners::Checkpoint& snapshot,
                                                  const StopCheck& interrupted) {
    throw_if_told(interrupted);
    for (const auto& [name, tensor] : snapshot.tensors)
      if (!(tensor.array().abs() <= learners::kMostFactor).all())
        return -std::numeric_limits<double>::infinity();
    learners::NetPolicy policy(learners::PolicyModel::from_checkpoint(snapshot));
    return mean_return(policy, make, episodes, seed, interrupted);
  };
}

}  // namespace fewwatt::meta
