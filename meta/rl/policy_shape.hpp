#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/mlp.hpp"
#include "tasks/environment.hpp"

namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// The nets of an agent. A net of scores says how good each action is: logits of a policy, or action values. A net of values says how
// good the state is. Both take features: the observation and, with a memory, what a GRU has made of everything since the trial began.
// Where the environment's actions are fixed, scores have an output for each. Elsewhere the net of scores and a net of actions' rows give d
// numbers each, and the score of an action is their dot product over sqrt(d) (Vaswani et al. 2017, eq. 1). So environments may differ in
// the number of actions, and what an action's row becomes is computed once for all steps.
//
// Parameters, one after the other, matrices row by row:
//   GRU     (memory > 0) of inputs [i,3m], of the memory [m,3m], bias of inputs [3m], bias of the memory [3m]; the three parts of
//           3m are r, z, n of learners/control/policy_net.hpp
//   scores  in the order of learners::Mlp
//   rows    (actions = 0) the same, of the net of actions' rows
//   values  (with_values) the same
struct PolicyShape {
  int observation = 1;      // o, entries of an observation
  int actions = 0;          // outputs of the net of scores, 0 = actions are scored by their rows
  int action_features = 1;  // f, entries of a row of Environment::actions()
  int memory = 0;           // m, units of the GRU; 0 = none
  int embedding = 0;        // d, 0 where actions have outputs
  std::vector<int> hidden;  // widths of the hidden layers of all nets
  learners::Activation activation = learners::Activation::tanh;  // of the hidden layers
  bool with_values = true;                                       // whether there is a net of values

  // What the GRU takes, i: the observation, then what came before it in the trial, all 0 at its beginning: the row of the last
  // action, its reward, and 1, or 0 where an episode ended with it (Duan et al. 2016, section 2.2).
  int memory_inputs() const { return observation + action_features + 2; }
  // What the nets take, F: the memory, then the observation.
  int features() const { return memory + observation; }
  learners::MlpShape scores() const;    // features in, `actions` or d out
  learners::MlpShape rows() const;      // an action's row in, d out
  learners::MlpShape values() const;    // features in, 1 out
  Eigen::Index gru_parameters() const;  // number of the GRU's, 0 without
  Eigen::Index num_parameters() const;  // of all nets
};

// For environments like this one. d is the width of the last hidden layer, 32 without one.
PolicyShape policy_shape(const tasks::Environment& environment, const std::vector<int>& hidden,
                         learners::Activation activation, int memory, bool with_values);

// What training starts from: U(-1/sqrt(in), 1/sqrt(in)), and for the GRU U(-1/sqrt(m), 1/sqrt(m)), as LibTorch has them; but the last
// layer of scores is a hundredth of that, so that the first policy prefers hardly anything (Andrychowicz et al. 2021, section 3.2).
Vector random_policy(const PolicyShape& shape, std::uint64_t seed);

// What learners/control/policy_net.hpp runs. `scores`: "preferences", or "values" for action values, which are duelling where there is
// a net of values. Environments of power modes need entries of their own beside these.
learners::Checkpoint policy_checkpoint(const PolicyShape& shape, const Vector& parameters,
                                       const std::string& trained_by, const std::string& scores);
// The nets of such a checkpoint. Throws std::invalid_argument as learners::PolicyModel::from_checkpoint(), and for one whose nets are not
// of this form: they have the same hidden layers.
struct PolicyNets {
  PolicyShape shape;  // of all nets
  Vector parameters;  // in the order of PolicyShape
};
PolicyNets read_policy(const learners::Checkpoint& checkpoint);

}  // namespace fewwatt::meta
