#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "meta/rl/agent_trainer.hpp"
#include "meta/rl/agent_training.hpp"
#include "meta/rl/rollout.hpp"

namespace fewwatt::meta {

// How a policy adapts to an environment: by steps against the gradient of Surrogate (without clip) on episodes of its own there,
//   theta_s+1 = theta_s - rate d loss(theta_s) / d theta_s
struct PolicyAdaptation {
  int steps = 1;                                  // gradient steps, each on new episodes
  double rate = 0.1;                              // of each step
  int episodes = 10;                              // before each step, side by side
  double trace = 1;                               // lambda of generalised_advantages()
  double value_weight = 0.5, entropy_weight = 0;  // as in Surrogate
  void each(learners::OptionVisitor& on);         // names every option once
  // "" when valid, else "OWNER: inner_rate must be ..., got ..."
  std::string error(const std::string& owner) const;
};

// What was done in one environment.
struct AdaptedTask {
  std::vector<PolicyBatch> before;  // of each step, by the policy that took it
  PolicyBatch after;                // by the policy that came out
};
// Acts and adapts in one environment, from parameters theta_0. Its episodes follow from the seed and the number.
struct AdaptedPolicy {
  AdaptedTask task;             // what was done before each step and after the last
  Vector parameters;            // that came out
  std::size_t taken = 0;        // environment steps
  std::vector<double> returns;  // of the episodes after adaptation
};
AdaptedPolicy adapt_policy(const MakeEnvironment& make, const PolicyShape& shape, const Vector& parameters,
                           const PolicyAdaptation& how, double discount, std::uint64_t seed,
                           std::uint64_t number);

// The mean over tasks of the loss of what the adapted policies did, and its gradient by theta_0 (Finn et al. 2017, eq. 4 and algorithm 3);
// first_order: the inner gradients are constants to the outer one.
LossGradient maml_policy_gradient(const PolicyShape& shape, const Vector& parameters,
                                  std::span<const AdaptedTask> tasks, const PolicyAdaptation& how,
                                  bool first_order, std::size_t workers = 1);

// MAML over policy gradients (Finn et al. 2017, section 5.3), with Adam in place of trust regions for the outer steps.
struct MamlPolicyOptions {
  NetTrainOptions net = {.environments = 16};  // environments: tasks of an update
  PolicyAdaptation adaptation = {};            // the inner loop
  bool first_order = false;                    // inner gradients are constants to the outer one
  void each(learners::OptionVisitor& on);      // names every option once
  std::string error() const;                   // "" when valid
};
class MamlPolicy final : public NetTrainer {
 public:
  // Throws std::invalid_argument when options are bad or the environments cannot be acted in.
  MamlPolicy(MakeEnvironment make, const MamlPolicyOptions& options, std::uint64_t seed);

 private:
  UpdateReport act_and_learn() override;
  void save(learners::Checkpoint&) const override {}
  void load(const learners::Checkpoint&) override {}

  MakeEnvironment make_;
  MamlPolicyOptions options_;
};

// The mean return of the episodes that snapshots adapted to environments get there, with actions drawn: over so many environments.
ReturnOf adapted_return_in(MakeEnvironment make, const MamlPolicyOptions& options, int environments,
                           std::uint64_t seed);

}  // namespace fewwatt::meta
