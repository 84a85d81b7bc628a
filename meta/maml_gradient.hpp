#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "learners/mlp.hpp"
#include "tasks/episode.hpp"

namespace fewwatt::meta {

using tasks::Episode;
using tasks::Matrix;
using tasks::Vector;

// What inner and outer loop make small, as a mean over rows.
enum class EpisodeLoss {
  squared,  // (net(x) - y)^2, as a mean over targets too
  cross_entropy  // -sum_c y_c log p_c,   p = softmax(net(x)); a row's targets are the probabilities of its classes, as 0, 1, 0
};
// All of them, with their names.
inline constexpr std::array<std::pair<std::string_view, EpisodeLoss>, 2> kEpisodeLosses = {
    {{"squared", EpisodeLoss::squared}, {"cross-entropy", EpisodeLoss::cross_entropy}}};

// The inner loop of training: gradient steps on the loss L of a task's support rows,
//   theta <- theta - rate * grad L_support(theta),   `steps` times.
struct InnerLoop {
  int steps = 5;             // number of gradient steps
  double rate = 0.1;         // of each step
  bool first_order = false;  // inner gradients are constants to the outer one: FOMAML
  // Instead of `rate`: a rate for each parameter, in step s those of row min(s, rows - 1), [rows, parameters].
  // One row: Meta-SGD, Li et al. 2017, eq. 3; a row per step: MAML++, Antoniou et al. 2019, section 4.
  Matrix rates = {};
  // Weight of the query loss after step s + 1, [steps]: the multi-step loss of MAML++, eq. 3. Empty: only that
  // after the last step counts, with weight 1.
  std::vector<double> step_weights = {};
  EpisodeLoss loss = EpisodeLoss::squared;  // L, and that of the query
  std::string error() const;                // "" when valid
};

// What maml_gradient() computes.
struct OuterGradient {
  double loss = 0;                  // mean over tasks of task_losses
  std::vector<double> task_losses;  // weighted loss on the query rows, per task
  Vector gradient;                  // d loss / d parameters, in the order of learners::Mlp
  Matrix rate_gradient;             // d loss / d InnerLoop::rates, of their size
};

// In what maml_gradient() computes.
enum class Precision { float32, float64 };

// The gradient of MAML, Finn et al. 2017, eq. 1 and algorithm 2, at initial `parameters`; exact, through all
// inner steps, unless inner.first_order. Written out instead of recorded: back through the unrolled inner loop
// with products of Hessian and vector, one task after the other, so that a task's intermediate results stay in
// the cache. Episodes, in the net's own units, may differ in their numbers of rows. One thread, whatever the machine; may be called from
// several. Throws std::invalid_argument when sizes do not fit, or targets are no probabilities where the loss is of classes.
OuterGradient maml_gradient(const learners::MlpShape& shape, const Vector& parameters,
                            std::span<const Episode> episodes, const InnerLoop& inner,
                            Precision precision = Precision::float64);

// `parameters` after the inner loop on one episode's support, in double; inner.first_order and step_weights do not matter. Throws as
// maml_gradient().
Vector adapted(const learners::MlpShape& shape, const Vector& parameters, const Episode& episode,
               const InnerLoop& inner);

// The BLAS, from now on and for the whole process: results must not depend on the machine's cores.
void use_one_blas_thread();

// "" or, when the BLAS is a slow one, a sentence that says so and what to install.
std::string blas_warning();

}  // namespace fewwatt::meta
