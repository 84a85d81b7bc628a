#pragma once

#include <span>

#include "learners/mlp.hpp"
#include "meta/outer_learner.hpp"
#include "meta/torch.hpp"
#include "tasks/task.hpp"

// What meta-learners that LibTorch differentiates have in common. For .cpp files of this folder only. All in double.
namespace fewwatt::meta {

// LibTorch and its BLAS, from now on and for the whole process: results must not depend on the machine's cores.
void use_one_thread();

at::Tensor to_tensor(const tasks::Matrix& m);  // [n,m]
at::Tensor to_tensor(const tasks::Vector& v);  // [n]
tasks::Matrix to_matrix(const at::Tensor& t);

// rows [...,in] -> [...,out], with the parameters flat in the order of learners::Mlp.
at::Tensor forward(const learners::MlpShape& shape, const at::Tensor& parameters, at::Tensor rows);

// [b,n,m] from part(e), [n,m] or [n], of each of b items.
template <class Item, class Part>
at::Tensor stack(std::span<const Item> items, const Part& part) {
  std::vector<at::Tensor> all;
  for (const auto& item : items) all.push_back(to_tensor(part(item)));
  return at::stack(all);
}

// Of a loss by flat parameters, and the losses [b] of the episodes that it is made of.
BatchGradient gradient_of(const at::Tensor& loss, const at::Tensor& task_losses,
                          const at::Tensor& parameters);

// matrix [b,n,m], vector [b,m] -> [b,n]
at::Tensor times(const at::Tensor& matrix, const at::Tensor& vector);

// learners::TermKernel of d knobs, from its flat().
struct TorchKernel {
  at::Tensor log_signal, log_lengths, log_amplitudes, log_widths, log_noise, log_spreads;

  TorchKernel(const at::Tensor& flat, std::int64_t d);
  at::Tensor noise_variance() const;
  at::Tensor knob_variance() const;
  at::Tensor knob_covariance(const at::Tensor& a, const at::Tensor& c) const;  // [b,n,d], [b,m,d] -> [b,n,m]
};

}  // namespace fewwatt::meta
