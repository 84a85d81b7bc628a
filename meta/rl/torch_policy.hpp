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

// Choices with the smaller sets padded.
struct TorchChoices {
  at::Tensor sets;    // [s,a,f]; undefined where each action has an output of the net
  at::Tensor set_of;  // [n]
  at::Tensor absent;  // [n,a] true = padding; undefined where there is none

  TorchChoices() = default;
  // Padding is rows of 0. Empty where the shape has an output for each action.
  TorchChoices(const PolicyShape& shape, const Choices& choices);
};

// Score of padding: no policy takes it, and no sum over actions becomes NaN from it.
inline constexpr double kNoAction = -1e9;

// features [n,F] -> [n,a], kNoAction where there is none
at::Tensor scores(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                  const TorchChoices& choices);
// features [n,F] -> [n]
at::Tensor values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features);
// Action values. With a net of values they are Q = V + A - mean A, the mean over the actions that there are (Wang et al. 2016, eq. 9),
// else the scores. features [n,F] -> [n,a], kNoAction where there is none.
at::Tensor action_values(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                         const TorchChoices& choices);
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
