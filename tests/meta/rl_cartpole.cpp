// Trains agents on CartPole-v1, and prints a line for each agent and seed:
//   rl_cartpole [AGENT...]      dqn, a2c, ppo, reinforce; all of them where none is named
// The mean return is over 100 episodes that were neither trained nor validated on, with the best action in each step; 500 is the most that
// there is, and 475 counts as solved. Exit code 1 when an agent stays below its mark. No test: it takes minutes.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "meta/rl/agent_training.hpp"
#include "meta/rl/dqn.hpp"
#include "meta/rl/policy_gradients.hpp"
#include "meta/rl/validation.hpp"
#include "tests/meta/cartpole.hpp"

namespace {

using namespace fewwatt;

struct Contestant {
  std::string name;
  double mark;  // mean return to reach
  int updates, validate_every;
  std::function<std::unique_ptr<meta::AgentTrainer>(std::uint64_t seed)> make;
};

// Settings of rl-baselines3-zoo for CartPole-v1 where it has them, with two hidden layers of 64 in all nets.
std::vector<Contestant> contestants() {
  const meta::MakeEnvironment cartpole = tests::make_cartpole;
  return {
      {"dqn", 475, 400, 5,
       [=](std::uint64_t seed) {
         return std::make_unique<meta::Dqn>(cartpole,
                                            meta::DqnOptions{.net = {.activation = learners::Activation::relu,
                                                                     .rate = 2.3e-3,
                                                                     .updates = 400,
                                                                     .clip_norm = 10},
                                                             .target_every = 128,
                                                             .explore_last = 0.04,
                                                             .explore_steps = 8000},
                                            seed);
       }},
      {"a2c", 475, 4000, 50,
       [=](std::uint64_t seed) {
         return std::make_unique<meta::A2c>(
             cartpole, meta::A2cOptions{.net = {.rate = 2e-3, .updates = 4000}, .steps = 16}, seed);
       }},
      {"ppo", 475, 400, 10,
       [=](std::uint64_t seed) {
         return std::make_unique<meta::Ppo>(
             cartpole,
             meta::PpoOptions{.net = {.rate = 1e-3, .updates = 400, .discount = 0.98},
                              .ppo = {.epochs = 20, .minibatches = 1, .clip = 0.2, .trace = 0.8},
                              .steps = 32},
             seed);
       }},
      {"reinforce", 400, 500, 10,
       [=](std::uint64_t seed) {
         return std::make_unique<meta::Reinforce>(
             cartpole, meta::ReinforceOptions{.net = {.rate = 3e-3, .updates = 500}}, seed);
       }},
  };
}

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

bool run(const Contestant& one, std::uint64_t seed) {
  const auto begun = std::chrono::steady_clock::now();
  const double cpu_before = cpu_seconds();
  const auto agent = one.make(seed);
  const auto summary =
      meta::train_agent(*agent, meta::return_in(tests::make_cartpole, 30, seed + 1000),
                        {.updates = one.updates, .validate_every = one.validate_every, .enough = 500});
  const double cpu = cpu_seconds() - cpu_before,
               wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const double found = meta::return_in(tests::make_cartpole, 100, seed + 2000)(summary.best, {});
  std::printf("%-10s %4d %8d %9lld %8lld %8.1f %8.1f %9.0f %8.1f\n", one.name.c_str(), static_cast<int>(seed),
              summary.updates, static_cast<long long>(summary.steps),
              static_cast<long long>(summary.episodes), wall, cpu, static_cast<double>(summary.steps) / cpu,
              found);
  std::fflush(stdout);
  return found >= one.mark;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  std::printf("%-10s %4s %8s %9s %8s %8s %8s %9s %8s\n", "agent", "seed", "updates", "steps", "episodes",
              "wall s", "cpu s", "steps/s", "return");
  bool all = true;
  for (const auto& one : contestants()) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), one.name) == wanted.end()) continue;
    for (std::uint64_t seed = 0; seed < 3; ++seed) all = run(one, seed) && all;
  }
  return all ? 0 : 1;
}
