#include "meta/prototypes.hpp"

#include <stdexcept>

#include "meta/net_state.hpp"
#include "meta/options_error.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

// Log probabilities [b,q,n] of classes: support_x [b,k,d], classes [b,k,n], query_x [b,q,d].
at::Tensor log_probabilities(const learners::MlpShape& shape, const at::Tensor& weights,
                             const at::Tensor& support_x, const at::Tensor& classes,
                             const at::Tensor& query_x) {
  const auto of_class = classes.transpose(1, 2);  // [b,n,k]
  const auto means = at::matmul(of_class, forward(shape, weights, support_x)) / of_class.sum(2, true);
  const auto apart = forward(shape, weights, query_x).unsqueeze(2) - means.unsqueeze(1);  // [b,q,n,e]
  return at::log_softmax(-apart.square().sum(-1), -1);
}

void check_classes(const Episode& episode) {
  for (Eigen::Index c = 0; c < episode.support_y.cols(); ++c)
    if (!(episode.support_y.col(c).sum() > 0))
      throw std::invalid_argument("episode " + episode.name +
                                  ": expected a support row of each class, found none of class " +
                                  std::to_string(c));
}

}  // namespace

void PrototypesOptions::each(learners::OptionVisitor& on) {
  each_of_updates(on, max_steps, outer_rate);
  on.whole("embedding", embedding, 1, learners::kMostWidth, "dimensions of the embedding");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, hidden, activation);
}

std::string PrototypesOptions::error() const {
  return OptionsError("PrototypesOptions")
      .sizes("hidden", hidden)
      .at_least("embedding", embedding, 1)
      .finite_above_0("outer_rate", outer_rate)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm)
      .text();
}

Prototypes::Prototypes(std::string name, Eigen::Index inputs, Eigen::Index classes, PrototypesOptions options,
                       std::uint64_t seed)
    : options_(std::move(options)) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  auto net = net_shape(inputs, options_.hidden, options_.embedding, options_.activation);
  weights_ = initial_weights(net, seed, 0);
  start({.name = std::move(name),
         .kind = "prototypes",
         .shape = std::move(net),
         .inputs = inputs,
         .targets = classes,
         .even = true,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        {{weights_.size(), options_.outer_rate}});
}

BatchGradient Prototypes::gradient(std::span<const Episode> batch) const {
  for (const auto& episode : batch) check_classes(episode);
  use_one_thread();
  const auto weights = to_tensor(weights_).set_requires_grad(true);
  const auto log_p =
      log_probabilities(shape(), weights, stack(batch, [](const Episode& e) { return e.support_x; }),
                        stack(batch, [](const Episode& e) { return e.support_y; }),
                        stack(batch, [](const Episode& e) { return e.query_x; }));
  const auto classes = stack(batch, [](const Episode& e) { return e.query_y; });
  const auto task_losses = -(log_p * classes).sum(-1).mean(1);
  return gradient_of(task_losses.mean(), task_losses, weights);
}

Matrix Prototypes::predict(const Episode& episode) const {
  check_fits(episode);
  check_classes(episode);
  use_one_thread();
  return to_matrix(log_probabilities(shape(), to_tensor(weights_), to_tensor(episode.support_x).unsqueeze(0),
                                     to_tensor(episode.support_y).unsqueeze(0),
                                     to_tensor(episode.query_x).unsqueeze(0))[0])
      .array()
      .exp();
}

}  // namespace fewwatt::meta
