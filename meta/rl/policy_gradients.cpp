#include "meta/rl/policy_gradients.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fewwatt::meta {
namespace {

// The nets for these environments; throws where options are bad.
template <class Options>
PolicyShape shape_for(const MakeEnvironment& make, const Options& options, int memory = 0) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return policy_shape(*example_of(make), options.net.hidden, options.net.activation, memory,
                      /*with_values=*/true);
}

void each_weight(learners::OptionVisitor& on, double& value_weight, double& entropy_weight) {
  on.real("value_weight", value_weight, 0, 1e6,
          "weight of the squared error of the net of values in the loss");
  on.real("entropy_weight", entropy_weight, 0, 1e6,
          "weight of the policy's entropy, which the loss falls with");
}

std::string weight_error(const std::string& owner, double value_weight, double entropy_weight) {
  if (auto bad = out_of_bounds(owner, "value_weight", value_weight, 0, 1e6); !bad.empty()) return bad;
  return out_of_bounds(owner, "entropy_weight", entropy_weight, 0, 1e6);
}

// The mean loss of epochs over minibatches of the columns of a batch; each is learned from by `descend`.
double go_over(const PolicyBatch& batch, const PolicyShape& shape, const Vector& parameters,
               const PpoEpochs& ppo, hw::Rng draws, std::size_t workers,
               const std::function<double(const LossGradient&)>& descend) {
  const Surrogate surrogate{ppo.clip, ppo.entropy_weight, ppo.value_weight};
  std::vector<std::size_t> order(static_cast<std::size_t>(batch.side_by_side));
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto parts = std::min(static_cast<std::size_t>(ppo.minibatches), order.size());
  double loss = 0;
  for (int epoch = 0; epoch < ppo.epochs; ++epoch) {
    draws.shuffle(order);
    for (std::size_t part = 0; part < parts; ++part) {
      const auto from = order.size() * part / parts, to = order.size() * (part + 1) / parts;
      const auto some = batch.part(std::span(order).subspan(from, to - from));
      loss += descend(surrogate_gradient(shape, parameters, some, surrogate, workers));
    }
  }
  return loss / static_cast<double>(parts * static_cast<std::size_t>(ppo.epochs));
}

}  // namespace

void ReinforceOptions::each(learners::OptionVisitor& on) {
  net.each(on);
  each_weight(on, value_weight, entropy_weight);
}

std::string ReinforceOptions::error() const {
  if (auto bad = net.error("ReinforceOptions"); !bad.empty()) return bad;
  return weight_error("ReinforceOptions", value_weight, entropy_weight);
}

Reinforce::Reinforce(MakeEnvironment make, const ReinforceOptions& options, std::uint64_t seed)
    : NetTrainer("reinforce", "preferences", shape_for(make, options), options.net, seed),
      make_(std::move(make)),
      options_(options) {}

UpdateReport Reinforce::act_and_learn() {
  auto draws = rng("actions");
  const auto b = options_.net.environments;
  const WholeTrials which{seed(), static_cast<std::uint64_t>(updates_done()) * static_cast<std::uint64_t>(b),
                          b, 1};
  auto rollout = play(make_, which, shape(), parameters(), draws, workers());
  set_advantages(rollout, options_.net.discount, /*trace=*/1);
  const double loss = descend(surrogate_gradient(
      shape(), parameters(), rollout.batch, {0, options_.entropy_weight, options_.value_weight}, workers()));
  return {loss, rollout.taken, std::move(rollout.returns)};
}

void A2cOptions::each(learners::OptionVisitor& on) {
  net.each(on);
  on.whole("steps", steps, 1, 1'000'000, "steps of an update, in each environment");
  on.real("trace", trace, 0, 1, "how far advantages look ahead: 0 one step, 1 the whole episode");
  each_weight(on, value_weight, entropy_weight);
}

std::string A2cOptions::error() const {
  if (auto bad = net.error("A2cOptions"); !bad.empty()) return bad;
  if (auto bad = out_of_bounds("A2cOptions", "steps", steps, 1, 1e6); !bad.empty()) return bad;
  if (auto bad = out_of_bounds("A2cOptions", "trace", trace, 0, 1); !bad.empty()) return bad;
  return weight_error("A2cOptions", value_weight, entropy_weight);
}

A2c::A2c(MakeEnvironment make, const A2cOptions& options, std::uint64_t seed)
    : NetTrainer("a2c", "preferences", shape_for(make, options), options.net, seed),
      options_(options),
      trials_(std::move(make), shape(), seed, options.net.environments, /*episodes=*/1) {}

UpdateReport A2c::act_and_learn() {
  auto draws = rng("actions");
  auto rollout = play(trials_, shape(), parameters(), options_.steps, draws);
  set_advantages(rollout, options_.net.discount, options_.trace);
  const double loss = descend(surrogate_gradient(
      shape(), parameters(), rollout.batch, {0, options_.entropy_weight, options_.value_weight}, workers()));
  return {loss, rollout.taken, std::move(rollout.returns)};
}

void PpoEpochs::each(learners::OptionVisitor& on) {
  on.whole("epochs", epochs, 1, 1000, "how often an update goes over its steps");
  on.whole("minibatches", minibatches, 1, 100'000, "gradient steps of an epoch");
  on.real("clip", clip, 1e-6, 1e6,
          "share by which an update may change an action's probability before it gains nothing more");
  on.real("trace", trace, 0, 1, "how far advantages look ahead: 0 one step, 1 the whole episode");
  each_weight(on, value_weight, entropy_weight);
}

std::string PpoEpochs::error(const std::string& owner) const {
  if (auto bad = out_of_bounds(owner, "epochs", epochs, 1, 1000); !bad.empty()) return bad;
  if (auto bad = out_of_bounds(owner, "minibatches", minibatches, 1, 100'000); !bad.empty()) return bad;
  if (auto bad = out_of_bounds(owner, "clip", clip, 1e-6, 1e6); !bad.empty()) return bad;
  if (auto bad = out_of_bounds(owner, "trace", trace, 0, 1); !bad.empty()) return bad;
  return weight_error(owner, value_weight, entropy_weight);
}

void PpoOptions::each(learners::OptionVisitor& on) {
  net.each(on);
  ppo.each(on);
  on.whole("steps", steps, 1, 1'000'000, "steps of an update, in each environment");
}

std::string PpoOptions::error() const {
  if (auto bad = net.error("PpoOptions"); !bad.empty()) return bad;
  if (auto bad = ppo.error("PpoOptions"); !bad.empty()) return bad;
  return out_of_bounds("PpoOptions", "steps", steps, 1, 1e6);
}

Ppo::Ppo(MakeEnvironment make, const PpoOptions& options, std::uint64_t seed)
    : NetTrainer("ppo", "preferences", shape_for(make, options), options.net, seed),
      options_(options),
      trials_(std::move(make), shape(), seed, options.net.environments, /*episodes=*/1) {}

UpdateReport Ppo::act_and_learn() {
  auto draws = rng("actions");
  auto rollout = play(trials_, shape(), parameters(), options_.steps, draws);
  set_advantages(rollout, options_.net.discount, options_.ppo.trace);
  // Without a memory rows are alone; but where actions are scored by their rows, those of an environment share the scoring.
  if (shape().actions > 0) rollout.batch.side_by_side = rollout.batch.size();
  const double loss = go_over(rollout.batch, shape(), parameters(), options_.ppo, rng("minibatches"),
                              workers(), [&](const LossGradient& found) { return descend(found); });
  return {loss, rollout.taken, std::move(rollout.returns)};
}

void Rl2Options::each(learners::OptionVisitor& on) {
  net.each(on);
  ppo.each(on);
  on.whole("memory", memory, 1, learners::kMostWidth, "units of the GRU");
  on.whole("trial_episodes", trial_episodes, 1, 1000,
           "episodes in one environment, over which the memory is kept");
  on.whole("in_one_world", in_one_world, 1, 4096,
           "so many trials of an update are in the same environment, and judged against each other");
}

std::string Rl2Options::error() const {
  if (auto bad = net.error("Rl2Options"); !bad.empty()) return bad;
  if (auto bad = ppo.error("Rl2Options"); !bad.empty()) return bad;
  if (auto bad = out_of_bounds("Rl2Options", "memory", memory, 1, learners::kMostWidth); !bad.empty())
    return bad;
  if (auto bad = out_of_bounds("Rl2Options", "in_one_world", in_one_world, 1, 4096); !bad.empty()) return bad;
  return out_of_bounds("Rl2Options", "trial_episodes", trial_episodes, 1, 1000);
}

Rl2::Rl2(MakeEnvironment make, const Rl2Options& options, std::uint64_t seed)
    : NetTrainer("rl2", "preferences", shape_for(make, options, options.memory), options.net, seed),
      make_(std::move(make)),
      options_(options) {}

UpdateReport Rl2::act_and_learn() {
  auto draws = rng("actions");
  const auto b = options_.net.environments;
  const WholeTrials which{seed(), static_cast<std::uint64_t>(updates_done()) * static_cast<std::uint64_t>(b),
                          b, options_.trial_episodes, options_.in_one_world};
  auto rollout = play(make_, which, shape(), parameters(), draws, workers());
  set_advantages(rollout, options_.net.discount, options_.ppo.trace, options_.in_one_world);
  const double loss = go_over(rollout.batch, shape(), parameters(), options_.ppo, rng("minibatches"),
                              workers(), [&](const LossGradient& found) { return descend(found); });
  return {loss, rollout.taken, std::move(rollout.returns)};
}

}  // namespace fewwatt::meta
