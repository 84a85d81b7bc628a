#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/fine_tune.hpp"
#include "learners/options.hpp"
#include "meta/mode_episodes.hpp"
#include "meta/outer_learner.hpp"

// What meta-learners of nets that the learner fine_tune adapts have in common.
namespace fewwatt::meta {

// A net, and how it is fitted to a new task.
struct NetOptions {
  std::vector<int> hidden = {64, 64};                            // widths of the hidden layers
  learners::Activation activation = learners::Activation::silu;  // of the hidden layers
  // How the snapshot is fitted to a support set at test time, per target.
  std::array<learners::FineTuneOptions, tasks::kNumTargets> fine_tune;
  std::string error() const;  // "" when valid
};

// Visit the options that most meta-learners of nets have: steps and outer_rate; hidden and activation.
void each_of_updates(learners::OptionVisitor& on, int& max_steps, double& outer_rate);
void each_of_net(learners::OptionVisitor& on, std::vector<int>& hidden, learners::Activation& activation);

// The shape of a net with these inputs, hidden layers and outputs.
learners::MlpShape net_shape(Eigen::Index inputs, const std::vector<int>& hidden, int outputs,
                             learners::Activation activation);

// The same of a net that a kernel acts on; without a layer where it is to have no outputs.
learners::MlpShape kernel_net_shape(Eigen::Index inputs, const std::vector<int>& hidden, int outputs,
                                    learners::Activation activation);

// What training of a target's net starts from.
Vector initial_weights(const learners::MlpShape& shape, std::uint64_t seed, int target);

// A meta-learner that gives weights of a net to take gradient steps from.
class NetLearner : public OuterLearner {
 public:
  virtual const Vector& weights() const = 0;  // in the order of learners::Mlp
  // Rates of the steps, [r, parameters] as learners::Initializer has them; [0,0] = one for all, which is not learned.
  virtual Matrix rates() const { return {}; }
};

// model_on_modes() of FineTuneModel, with one untrained net for each target; make(name, shape, start) gives its learner.
using MakeNet = std::function<std::unique_ptr<NetLearner>(const std::string& name, const learners::MlpShape&,
                                                          const learners::Initializer& start)>;
OnModes nets_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                      const NetOptions& options, std::uint64_t seed, const learners::Checkpoint* init,
                      const MakeNet& make);

}  // namespace fewwatt::meta
