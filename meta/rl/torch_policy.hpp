#pragma once

#include <vector>

#include "meta/rl/choices.hpp"
#include "meta/rl/policy_shape.hpp"
#include "meta/rl/surrogate.hpp"
#include "meta/torch.hpp"

// Nets of an agent in LibTorch. For .cpp files of meta/ only. All in double, on one thread. An operation costs microseconds however
// small the net is, so rows are taken together wherever they can be.
namespace fewwatt::meta {

// The parameters of a PolicyShape in its order, each [in,out] or [out].
using Weights = std::vector<at::Tensor>;

// They lie where the parameters do, which must outlive them and stay where they are.
Weights weights_on(const PolicyShape& shape, const Vector& parameters, bool differentiable);
// The gradient of a loss by them, in the order of the parameters. `again`: the gradient can be differentiated too.
Weights gradients(const at::Tensor& loss, const Weights& weights, bool again = false);
Vector flatten(const Weights& weights);

// The matrix itself, [n,m], which must outlive it.
at::Tensor view_of(const Matrix& m);
at::Tensor view_of(const Vector& v);                          // [n]
at::Tensor view_of(const std::vector<std::int64_t>& values);  // [n]

// Choices with the smaller sets padded. Without sets, of shape.actions actions.
struct TorchChoices {
  at::Tensor sets;        // [s,a,f]; undefined, as all others, where each action has an output of the net
  at::Tensor absent;      // [n,a] true = padding, or spent; undefined where there is none
  at::Tensor situations;  // [s,r] the situations of each set, r of the largest number of them, then 0
  at::Tensor place;       // [n] of a situation in `situations`

  TorchChoices() = default;
  // Padding is rows of 0.
  TorchChoices(const PolicyShape& shape, const Choices& choices);
};

// Score of padding and of what is spent: no policy takes it, and no sum over actions becomes NaN from it.
inline constexpr double kNoAction = -1e9;

// What the net of scores gives: features [n,F] -> [n,a], or [n,d] where actions are scored by their rows
at::Tensor of_state(const PolicyShape& shape, const Weights& weights, const at::Tensor& features);
// What the net of actions' rows gives, over sqrt(d): [r,f] -> [r,d]
at::Tensor embedded(const PolicyShape& shape, const Weights& weights, const at::Tensor& rows);
// features [n,F] -> [n,a], kNoAction where there is none
at::Tensor scores(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                  const TorchChoices& choices);
// features [n,F] -> [n]
at::Tensor values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features);
// Action values. With a net of values they are Q = V + A - mean A, the mean over the actions that there are (Wang et al. 2016, eq. 9),
// else the scores. features [n,F] -> [n,a], kNoAction where there is none.
at::Tensor action_values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                         const TorchChoices& choices);
// What the nets of scores and values take: memory [n,m], inputs [n,i] -> [n,F]; without a memory the inputs.
at::Tensor features_of(const PolicyShape& shape, const at::Tensor& memory, const at::Tensor& inputs);
// inputs [b,i], memory [b,m] -> the next memory [b,m] (Cho et al. 2014, as LibTorch has it):
//   r = sigmoid(x Wr + br + h Ur + cr),  z = sigmoid(x Wz + bz + h Uz + cz)
//   n = tanh(x Wn + bn + r (h Un + cn)),  h' = (1 - z) n + z h
at::Tensor remember(const PolicyShape& shape, const Weights& weights, const at::Tensor& inputs,
                    const at::Tensor& memory);
// The memory after each of t steps, from 0: inputs [t,b,i] -> [t,b,m]
at::Tensor memories(const PolicyShape& shape, const Weights& weights, const at::Tensor& inputs);

// The loss of Surrogate. The batch must outlive it.
at::Tensor surrogate_loss(const PolicyShape& shape, const Weights& weights, const PolicyBatch& batch,
                          const Surrogate& surrogate);

}  // namespace fewwatt::meta
