#pragma once

#include <Eigen/Core>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hw/random.hpp"
#include "learners/checkpoint.hpp"
#include "learners/control/policy.hpp"
#include "learners/encode.hpp"
#include "learners/mlp.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::learners {

// ---- An agent as a checkpoint: trained in meta/rl, run here ----
//
// Checkpoint::learner is "policy". o: size of an observation; f: of an action's row; i: of the input of a step; h: units of memory;
// s: size of the state that the nets see.
//
//   texts     trained_by      the algorithm, for people: "ppo"
//             environment     what it acts in: tasks::kModeMdp for power modes, any other name for others
//             knobs           power modes: the slots (tasks::knob_slots) of all knobs it was trained with, with spaces between; else ""
//             activation      relu, silu or tanh, of all hidden layers
//             scores          preferences: the policy is softmax(scores); values: they are action values, and the largest is taken
//   numbers   observation     o
//             action          f
//             outputs         0: actions are scored by their rows; n >= 1: the score net has an output for each of n actions
//             embedding       d, where outputs is 0; else 0
//             memory          h; 0: none
//             duelling        0 or 1
//             score/hidden    sizes of the hidden layers; 0: none
//             embed/hidden    the same, where outputs is 0
//             value/hidden    the same, where there is the tensor value/weights
//   tensors   input_mean, input_stddev   [1,i]
//             score/weights              [1,n], all parameters as in MlpShape: layer by layer, weights [in,out] row-major, then bias
//             embed/weights              the same, where outputs is 0
//             value/weights              the same; may be missing, but not where duelling is 1
//             memory/weight_ih [3h,i], memory/weight_hh [3h,h], memory/bias_ih [1,3h], memory/bias_hh [1,3h]   where h > 0: as
//                                        PyTorch's GRU has them, rows in the order r, z, n
//   and the options of the problem, where environment is tasks::kModeMdp: texts mdp/task, mdp/actions, mdp/reward; numbers mdp/lambda,
//   mdp/measurements, mdp/candidates, mdp/switch_share
//
// A step, with the observation b and the actions' rows a_1 ... a_n:
//   x = b without memory, i = o;   with memory  x = [b, row of the action before, its reward, 1],  i = o + f + 2, in an episode's first
//       step [b, 0, 0, 0]
//   y = (x - input_mean) / input_stddev, 0 where input_stddev is 0
//   state = y without memory, s = i;   with memory  state = [h', first o of y], s = h + o, with h' from h of the step before, 0 at first:
//       r = sigmoid(W_ir y + b_ir + W_hr h + b_hr)      z = sigmoid(W_iz y + b_iz + W_hz h + b_hz)
//       n = tanh(W_in y + b_in + r (W_hn h + b_hn))     h' = (1 - z) n + z h
//   scores_k = score(state) . embed(a_k) / sqrt(d), nets of sizes {s, hidden, d} and {f, hidden, d} (Vaswani et al. 2017, eq. 1);
//       with outputs  scores = score(state), {s, hidden, outputs}
//   value = value(state), {s, hidden, 1}
//   with duelling  scores_k = value + scores_k - mean of the scores (Wang et al. 2016, eq. 9)

inline constexpr const char* kPolicy = "policy";  // Checkpoint::learner of agents

// What the scores of actions are.
enum class Scores {
  preferences,  // logarithms of probabilities, but for a constant
  values        // action values
};
std::string_view to_string(Scores scores);
Scores parse_scores(std::string_view name);  // throws std::invalid_argument

// A net's hidden layers and parameters.
struct PolicyHead {
  std::vector<int> hidden;  // sizes
  Vector weights;           // all parameters, in the order of MlpShape
};

// A gated recurrent unit (Cho et al. 2014), in PyTorch's form and order.
struct GruWeights {
  Matrix weight_ih, weight_hh;  // [3h,i], [3h,h]
  Vector bias_ih, bias_hh;      // [3h]
};

// See above.
struct PolicyModel {
  std::string trained_by, environment, knobs;  // texts
  Activation activation = Activation::tanh;    // of all hidden layers
  Scores scores = Scores::preferences;         // what the net of scores gives
  int observation = 1;                         // o
  int action = 1;                              // f
  int outputs = 0;                             // n; 0: actions are scored by their rows
  int embedding = 0;                           // d; 0 with outputs
  bool duelling = false;                       // a score is value + score - mean of the scores
  Scaler inputs;                               // [i]
  std::optional<GruWeights> gru;               // the memory
  PolicyHead score;                            // the net of scores
  std::optional<PolicyHead> embed;             // the net of actions' rows; none with outputs
  std::optional<PolicyHead> value;             // the net of values
  std::optional<tasks::ModeMdpOptions> mdp;    // where environment is tasks::kModeMdp

  int memory() const;            // h
  int input_size() const;        // i
  int state_size() const;        // s
  MlpShape score_shape() const;  // {s, hidden, d}; with outputs {s, hidden, outputs}
  MlpShape embed_shape() const;  // {f, hidden, d}; needs a net of actions' rows
  MlpShape value_shape() const;  // {s, hidden, 1}; needs a value
  std::string error() const;     // "" when valid

  Checkpoint to_checkpoint() const;  // with the entries listed above, not checked by error()
  // Throws std::invalid_argument for a checkpoint of a learner, a missing entry, or what is not valid.
  static PolicyModel from_checkpoint(const Checkpoint& checkpoint);
};

// Throws std::invalid_argument unless the policy acts in tasks::kModeMdp, and was trained with knobs in all slots that the space has.
void check_policy(const PolicyModel& model, const hw::PowerModeSpace& space);

// A PolicyModel that runs: float on the board, double to be compared with LibTorch. After begin() it allocates no memory.
template <class T>
class PolicyNet {
 public:
  using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // a matrix, row by row
  using Row = Eigen::Matrix<T, 1, Eigen::Dynamic>;                                 // one row

  explicit PolicyNet(const PolicyModel& model);  // throws std::invalid_argument for model.error()
  // An episode begins: the memory is empty. actions [n,f], any n; with outputs, as many. Throws std::invalid_argument.
  void begin(const Matrix& actions);
  // The scores of the actions, [n], which stay valid until the next call. `reward`: of the action before. With memory, each step calls
  // this once. Throws as Policy::act().
  const Row& scores(const Vector& observation, double reward);
  // The value of what scores() was given; NaN where there is no value head.
  T value() const { return value_; }
  // The action that was taken after scores(), for the memory. Throws std::out_of_range.
  void took(std::size_t action);

 private:
  struct Layer {
    Rows weights;  // [in,out]
    Row bias;      // [out]
  };
  struct Head {
    std::vector<Layer> layers;
    std::vector<Rows> z;  // of each layer, [rows,out]
  };
  Head head(const MlpShape& shape, const Vector& weights) const;
  void activate(Rows& z) const;
  template <class Inputs>
  void forward(Head& head, const Inputs& inputs) const;  // inputs [rows,in]
  void remember();

  PolicyModel model_;
  Row mean_, inverse_;                // of the inputs
  Layer input_gates_, memory_gates_;  // of the GRU
  Row x_, scaled_, state_, gates_i_, gates_h_;
  Head score_, embed_, value_head_;
  Rows rows_, embedded_;  // the actions, and what the net of them makes of them, over sqrt(d)
  Row scores_;
  T value_;
  bool begun_ = false;
};

// A PolicyModel as a policy, as it was trained. With preferences, an action is drawn with probability softmax(scores); with values, it is the
// action of the largest score, the first of several.
class NetPolicy final : public Policy {
 public:
  explicit NetPolicy(const PolicyModel& model);  // throws std::invalid_argument
  void begin(const tasks::Matrix& actions, std::uint64_t seed) override;
  std::size_t act(const tasks::Vector& observation, double reward,
                  std::span<const char> allowed = {}) override;

 private:
  PolicyNet<float> net_;
  bool samples_;
  hw::Rng rng_{0};
};

}  // namespace fewwatt::learners
