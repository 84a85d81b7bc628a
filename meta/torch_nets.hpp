#pragma once

#include <span>
#include <string>

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

at::Tensor activate(learners::Activation activation, const at::Tensor& z);  // element by element
// rows [...,in] -> [...,out], with the parameters flat in the order of learners::Mlp.
at::Tensor forward(const learners::MlpShape& shape, const at::Tensor& parameters, at::Tensor rows);

// [b,n,m] from part(e), [n,m] or [n], of each of b items.
template <class Item, class Part>
at::Tensor stack(std::span<const Item> items, const Part& part) {
  std::vector<at::Tensor> all;
  for (const auto& item : items) all.push_back(to_tensor(part(item)));
  return at::stack(all);
}

// Rows of support and query of each of b episodes, [b,k + q,n].
at::Tensor all_rows(std::span<const Episode> episodes, Matrix Episode::*support, Matrix Episode::*query);

// Throws std::invalid_argument naming the function unless there is an episode, and all have support and query rows, as many of each
// as the first one, with these inputs and as many targets as rows.
void check_even(const std::string& function, std::span<const Episode> episodes, Eigen::Index inputs);

// Per row -log N(values; 0, covariance), up to a constant: covariance [b,n,n], values [b,n,1] -> [b]. Throws Diverged when a covariance
// is not positive definite.
at::Tensor mean_nll(const at::Tensor& covariance, const at::Tensor& values);

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
