#include "meta/rl/agents.hpp"

#include <utility>

#include "meta/rl/dqn.hpp"
#include "meta/rl/maml_policy.hpp"
#include "meta/rl/policy_gradients.hpp"

namespace fewwatt::meta {
namespace {

template <class Agent, class Options>
AgentEntry entry(std::string name, std::string about, Options defaults) {
  return {.name = name,
          .about = std::move(about),
          .options =
              [defaults](learners::OptionVisitor& on) {
                auto options = defaults;
                options.each(on);
              },
          .make =
              [name, defaults](const MakeEnvironment& make, const learners::Settings& settings,
                               std::uint64_t seed) {
                auto options = defaults;
                learners::set_options(settings, name, [&](learners::OptionVisitor& on) { options.each(on); });
                return std::make_unique<Agent>(make, options, seed);
              }};
}

learners::Named<AgentEntry> make_builtin() {
  learners::Named<AgentEntry> all{"agent"};
  all.add(entry<Dqn>("dqn", "deep Q-network with replay and double targets; duelling and n-step as options",
                     DqnOptions()));
  all.add(entry<Reinforce>("reinforce", "policy gradient on whole episodes, with a baseline",
                           ReinforceOptions()));
  all.add(entry<A2c>("a2c", "advantage actor-critic with generalised advantages", A2cOptions()));
  all.add(entry<Ppo>("ppo", "proximal policy optimisation", PpoOptions()));
  all.add(
      entry<Rl2>("rl2", "RL^2: a policy with a memory, trained by PPO over many environments", Rl2Options()));
  all.add(entry<MamlPolicy>("maml-policy", "MAML over policy gradients", MamlPolicyOptions()));
  return all;
}

}  // namespace

const learners::Named<AgentEntry>& builtin_agents() {
  static const auto all = make_builtin();
  return all;
}

}  // namespace fewwatt::meta
