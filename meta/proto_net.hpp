#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "learners/proto.hpp"
#include "meta/mode_episodes.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// One task of one target, as learners::Proto sees it.
struct ProtoEpisode {
  learners::ProtoInputs support, query;  // k and q rows
  Matrix support_rows, query_rows;       // embedding_inputs, [k,2f+1], [q,2f+1]; both at the support's level
  Matrix support_curves, query_curves;   // [k,w], [q,w]
  Vector support_logs, query_logs;       // [k], [q] of the target
  Vector usable;  // [w] 1 = may weigh, 0 = of the task's own workload. All 0: an even head stands in
};

// What training makes small.
struct ProtoLoss {
  // loss = mean over tasks and query rows of  log(variance) / 2 + (log y - mean)^2 / (2 variance)
  //      + classification * mean over query rows of -log p(own task)   Snell et al. 2017, eq. 2: each task of
  //                                                                    the batch is a class, and distances are
  //                                                                    those of learners::prototype_weights
  //      + prior * ( | (kernel - medians) / prior_spreads |^2 + |(curve_share - 1/2) / (1/2)|^2
  //                  + |(head_share - 1) / (1/2)|^2 )
  double classification = 1;
  double prior = 0.002;       // weight of the prior
  std::string error() const;  // "" when valid
};

// What proto_gradient() computes.
struct ProtoGradient {
  double loss = 0, classification = 0;  // the whole, and the mean of -log p
  double accuracy = 0;                  // share of query rows whose nearest prototype is their task's
  std::vector<double> task_losses;      // the first term, per task
  Matrix means, variances;              // [b,q] of the query's logs
  Vector gradient;                      // d loss / d parameters, in the order of proto_parameters
};

// What training changes: embedding, kernel, log_sharpness, curve_share, head_share.
Vector proto_parameters(const learners::ProtoTarget& target);
void set_proto_parameters(learners::ProtoTarget& target, const Vector& parameters);

// Loss of a batch and its exact gradient, in double. The prototypes of the training workloads are the mean
// embeddings of their `rows` [r,2f+1], not target.prototypes. All episodes have the same k and q. fine_tune's
// kernel_steps are not taken. One thread, whatever the machine. Throws std::invalid_argument when sizes do not
// fit, Diverged when a covariance is not positive definite.
ProtoGradient proto_gradient(const learners::ProtoTarget& target, const learners::ProtoParts& parts,
                             std::span<const Matrix> rows, std::span<const ProtoEpisode> episodes,
                             const ProtoLoss& loss);

// How the embedding and the regression are trained.
struct ProtoNetOptions {
  std::vector<int> hidden = {32};  // widths of the hidden layers of the embedding
  int embedding = 16;              // dimensions
  learners::Activation activation = learners::Activation::silu;  // of the hidden layers
  ProtoLoss loss;                                                // what is made small
  // Adam's rates of the embedding, and of kernel, log_sharpness and the shares, in outer step t:
  //   rate * (1 + cos(pi t / max_steps)) / 2
  double outer_rate = 1e-2, kernel_rate = 0.05;
  int max_steps = 150;               // number of outer steps; rates fall to 0 until then
  double clip_norm = 5;              // the outer gradient g becomes g * min(1, clip_norm / |g|)
  std::size_t prototype_rows = 256;  // a workload's prototype is the mean of at most so many of its rows
  std::size_t curve_rows = 128;      // modes that the curves are sums of kernels at, at most
  learners::ProtoParts parts;        // which parts of the learner there are
  // How it is fitted to a support set, per target.
  std::array<learners::ProtoFineTune, tasks::kNumTargets> fine_tune;
  StopCheck interrupted = {};  // asked while the heads and curves of the training workloads are fitted
  void each(learners::OptionVisitor& on);  // names every option once
  std::string error() const;               // "" when valid
};

// Where what learners::proto_inputs() gives stands among an episode's inputs: features, knobs, then the terms of each target.
struct ProtoColumns {
  Eigen::Index features = 0, knobs = 0;  // numbers of columns
  Eigen::Index first_term = 0;           // column of the first term
  Eigen::Index terms = 0;                // number of terms of each target
  // These columns of inputs x.
  learners::ProtoInputs operator()(const Matrix& x) const;
};

// All measured rows of a training workload; inputs as an episode's.
struct ProtoWorkload {
  std::string
      name;     // "tx2/sssp"; of two that end alike after the '/' an episode may use neither for the other
  Matrix x;     // [n,d]
  Vector logs;  // [n]
};

// Prototypical networks, Snell et al. 2017, on episodes of one target, a log: an embedding, trained to tell the tasks of a batch
// apart together with the regression that its prototypes serve, where no task may use what its own workload left.
class ProtoNet final : public OuterLearner {
 public:
  // Heads, prototypes and curves are those of the workloads, what is trained goes on from `init` where there is one. `target` is
  // the one that draws are made for; `name` what messages call it. Throws std::invalid_argument when options are bad, there is no
  // workload, or init is of another shape; Interrupted.
  ProtoNet(const std::string& name, int target, ProtoColumns columns,
           std::span<const ProtoWorkload> workloads, ProtoNetOptions options, std::uint64_t seed,
           const learners::ProtoTarget* init = nullptr);

  const learners::ProtoTarget& target() const { return target_; }  // without prototypes
  learners::ProtoTarget with_prototypes() const;  // target(), with the prototypes of the training workloads
  // Episodes with equal numbers of rows, as proto_gradient() takes them.
  std::vector<ProtoEpisode> episodes(std::span<const tasks::Episode> even) const;
  std::span<const Matrix> prototype_rows() const { return rows_; }  // embedding_inputs of each workload

 private:
  Vector parameters() const override { return proto_parameters(target_); }
  void set_parameters(const Vector& parameters) override { set_proto_parameters(target_, parameters); }
  BatchGradient gradient(std::span<const tasks::Episode> batch) const override;

  ProtoNetOptions options_;
  ProtoColumns columns_;
  learners::ProtoTarget target_;
  std::vector<Matrix> rows_;
};

// As maml_on_modes(). Targets are logs, and heads, prototypes and curves are always those of `training`.
OnModes proto_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const ProtoNetOptions& options, std::uint64_t seed,
                       const learners::Checkpoint* init = nullptr);

// Mean absolute percentage error of one target on the task's query, where `proto` is fitted with `setting`;
// infinite when it does not predict the target.
double try_proto(const learners::Checkpoint& proto, const learners::ProtoFineTune& setting,
                 tasks::Target target, const tasks::Task& task);

// What "proto" gives, each workload's prototype at its neighbour's place: a control, which must be worse where
// workloads differ.
learners::Checkpoint shuffled_prototypes(const learners::Checkpoint& proto);

}  // namespace fewwatt::meta
