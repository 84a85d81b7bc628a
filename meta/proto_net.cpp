#include "meta/proto_net.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "hw/random.hpp"
#include "meta/net_state.hpp"
#include "meta/options_error.hpp"
#include "meta/proto_heads.hpp"
#include "meta/torch_nets.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using learners::ProtoInputs;
using learners::ProtoParts;
using learners::ProtoTarget;
using learners::TermKernel;
using tasks::kNumTargets;

constexpr double kSmallestDeviation = 0.02;  // about the noise of measurements, log units

// log_terms [b,n,p], beta [b,p] -> [b,n]
at::Tensor head(const at::Tensor& log_terms, const at::Tensor& beta) {
  return at::logsumexp(log_terms + beta.unsqueeze(1), -1);
}

struct LogPrediction {
  at::Tensor mean, variance;  // [b,q]
};

// learners::ProtoPosterior, for all tasks at once.
LogPrediction predict(const ProtoParts& parts, const TorchKernel& kernel, int head_steps,
                      const at::Tensor& beta_0, const at::Tensor& deviations, const at::Tensor& curve_weights,
                      std::span<const ProtoEpisode> episodes) {
  const auto support_knobs = stack(episodes, [](const auto& e) { return e.support.knobs; });
  const auto query_knobs = stack(episodes, [](const auto& e) { return e.query.knobs; });
  const auto support_terms = stack(episodes, [](const auto& e) { return e.support.log_terms; });
  const auto query_terms = stack(episodes, [](const auto& e) { return e.query.log_terms; });
  auto logs = stack(episodes, [](const auto& e) { return e.support_logs; });
  if (parts.heads)
    logs = logs - times(stack(episodes, [](const auto& e) { return e.support_curves; }), curve_weights);
  const auto level = logs.mean(-1, /*keepdim=*/true);
  const auto centred = logs - level;
  const auto k = logs.size(1);
  constexpr double kLevelVariance = learners::kProtoLevel * learners::kProtoLevel;

  auto base = at::full({1, k, k}, kLevelVariance, at::kDouble) +
              (kernel.noise_variance() + learners::kProtoJitter) * at::eye(k, at::kDouble);
  if (parts.residual) base = base + kernel.knob_covariance(support_knobs, support_knobs);
  base = base.expand({logs.size(0), k, k});

  const auto head_covariance = at::diag((2 * kernel.log_spreads).exp()) +
                               at::matmul(deviations.transpose(1, 2), deviations);  // [b,p,p]
  auto beta = beta_0;
  at::Tensor slopes, lower, alpha;
  for (int step = 0;; ++step) {
    auto covariance = base;
    auto residual = centred;
    if (parts.heads) {
      slopes = at::softmax(support_terms + beta.unsqueeze(1), -1);
      residual = centred - head(support_terms, beta) - times(slopes, beta_0 - beta);
      covariance = base + at::matmul(at::matmul(slopes, head_covariance), slopes.transpose(1, 2));
    }
    lower = at::linalg_cholesky(covariance);
    alpha = at::cholesky_solve(residual.unsqueeze(-1), lower).squeeze(-1);
    if (!parts.heads || step + 1 >= head_steps) break;
    const auto to = beta_0 + times(head_covariance, times(slopes.transpose(1, 2), alpha));
    beta = beta + (to - beta).clamp(-learners::kProtoLongestStep, learners::kProtoLongestStep);
  }

  auto cross = at::full({1, query_knobs.size(1), k}, kLevelVariance, at::kDouble)
                   .expand({logs.size(0), query_knobs.size(1), k});
  auto mean = level.expand({logs.size(0), query_knobs.size(1)});
  auto variance = at::full({1, 1}, kLevelVariance, at::kDouble);
  if (parts.residual) {
    cross = cross + kernel.knob_covariance(query_knobs, support_knobs);
    variance = variance + kernel.knob_variance();
  }
  if (parts.heads) {
    const auto query_slopes = at::softmax(query_terms + beta.unsqueeze(1), -1);
    const auto scaled = at::matmul(query_slopes, head_covariance);
    mean = mean + head(query_terms, beta) + times(query_slopes, beta_0 - beta) +
           times(stack(episodes, [](const auto& e) { return e.query_curves; }), curve_weights);
    cross = cross + at::matmul(scaled, slopes.transpose(1, 2));
    variance = variance + (scaled * query_slopes).sum(-1);
  }
  mean = mean + times(cross, alpha);
  const auto half = at::linalg_solve_triangular(lower, cross.transpose(1, 2), /*upper=*/false);
  variance = (variance - half.square().sum(1)).clamp_min(0.0) + kernel.noise_variance();
  return {mean, variance};
}

// -|a - b|^2 for rows of a [n,e] and b [m,e]: [n,m].
at::Tensor negative_squared_distances(const at::Tensor& a, const at::Tensor& b) {
  return -(a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1);
}

void check_sizes(const ProtoTarget& target, std::span<const Matrix> rows,
                 std::span<const ProtoEpisode> episodes) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument("proto_gradient: " + std::string(what));
  };
  const auto w = target.heads.rows(), p = target.heads.cols(), d = target.kernel.log_lengths.size();
  const auto f1 = static_cast<Eigen::Index>(target.shape.sizes.front());
  require(!episodes.empty(), "needs at least one episode");
  require(static_cast<Eigen::Index>(rows.size()) == w, "needs rows of each workload that has a head");
  for (const auto& part : rows) require(part.rows() > 0 && part.cols() == f1, "rows must be [r,2f+1]");
  const auto k = episodes[0].support_logs.size(), q = episodes[0].query_logs.size();
  require(k > 0 && q > 0, "an episode needs support and query rows");
  for (const auto& e : episodes) {
    require(e.support_logs.size() == k && e.query_logs.size() == q, "episodes differ in size");
    for (const auto& [inputs, embedded, n] :
         {std::tie(e.support, e.support_rows, k), std::tie(e.query, e.query_rows, q)}) {
      require(embedded.rows() == n && embedded.cols() == f1, "embedding rows must be [n,2f+1]");
      require(inputs.knobs.rows() == n && inputs.knobs.cols() == d, "knobs must be [n,d]");
      require(inputs.log_terms.rows() == n && inputs.log_terms.cols() == p, "log_terms must be [n,p]");
    }
    require(e.support_curves.rows() == k && e.query_curves.rows() == q && e.support_curves.cols() == w &&
                e.query_curves.cols() == w,
            "curves must be [n,w]");
    require(e.usable.size() == w, "usable must be [w]");
  }
}

// "tx2/sssp" -> "sssp"
std::string workload_of(const std::string& name) {
  const auto slash = name.find('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

// What `encoded` makes of the modes of each profile, one below the other.
template <class Encoded>
Matrix stacked_modes(std::span<const datasets::Profile> profiles, const Encoded& encoded) {
  std::vector<Matrix> parts;
  for (const auto& profile : profiles) parts.push_back(encoded(profile));
  return stacked(parts);
}

}  // namespace

std::string ProtoLoss::error() const {
  return OptionsError("ProtoLoss")
      .at_least("classification", classification, 0)
      .at_least("prior", prior, 0)
      .text();
}

Vector proto_parameters(const ProtoTarget& target) {
  const Vector kernel = target.kernel.flat();
  Vector all(target.embedding.size() + kernel.size() + 3);
  all << target.embedding, kernel, target.log_sharpness, target.curve_share, target.head_share;
  return all;
}

void set_proto_parameters(ProtoTarget& target, const Vector& parameters) {
  const auto e = target.embedding.size(), k = parameters.size() - e - 3;
  target.embedding = parameters.head(e);
  target.kernel = TermKernel::from_flat(parameters.segment(e, k), target.kernel.log_lengths.size());
  target.log_sharpness = parameters[e + k];
  target.curve_share = parameters[e + k + 1];
  target.head_share = parameters[e + k + 2];
}

ProtoGradient proto_gradient(const ProtoTarget& target, const ProtoParts& parts, std::span<const Matrix> rows,
                             std::span<const ProtoEpisode> episodes, const ProtoLoss& loss) {
  check_sizes(target, rows, episodes);
  use_one_thread();
  const auto b = static_cast<std::int64_t>(episodes.size());
  const auto q = episodes[0].query_logs.size();
  const auto d = target.kernel.log_lengths.size(), p = target.heads.cols();
  const auto parameters = to_tensor(proto_parameters(target)).set_requires_grad(true);
  const auto embedding = parameters.narrow(0, 0, target.embedding.size());
  const auto kernel_size = target.kernel.flat().size();
  const auto flat_kernel = parameters.narrow(0, target.embedding.size(), kernel_size);
  const auto log_sharpness = parameters[target.embedding.size() + kernel_size];
  const auto curve_share = parameters[target.embedding.size() + kernel_size + 1];
  const auto head_share = parameters[target.embedding.size() + kernel_size + 2];

  // Eq. 1, of the tasks and of the training workloads.
  const auto support_rows = stack(episodes, [](const auto& e) { return e.support_rows; });
  const auto query_rows = stack(episodes, [](const auto& e) { return e.query_rows; });
  const auto own = forward(target.shape, embedding, support_rows).mean(1);  // [b,e]
  std::vector<at::Tensor> means;
  for (const auto& part : rows) means.push_back(forward(target.shape, embedding, to_tensor(part)).mean(0));
  const auto prototypes = at::stack(means);  // [w,e]

  // Eq. 2 over the tasks of the batch.
  const auto embedded = forward(target.shape, embedding, query_rows).reshape({b * q, -1});
  const auto log_p = at::log_softmax(log_sharpness.exp() * negative_squared_distances(embedded, own), -1);
  const auto labels = at::arange(b, at::kLong).repeat_interleave(q);
  const auto classification = -log_p.gather(1, labels.unsqueeze(1)).mean();

  // Weights of the usable heads, where an even head stands in for none.
  auto usable = stack(episodes, [](const auto& e) { return e.usable; });
  usable = at::cat({usable, usable.sum(1, true).eq(0).to(at::kDouble)}, 1);
  auto logits = parts.embedding ? log_sharpness.exp() * negative_squared_distances(own, prototypes)
                                : at::zeros({b, target.heads.rows()}, at::kDouble);
  logits = at::cat({logits, at::zeros({b, 1}, at::kDouble)}, 1).masked_fill(usable.eq(0), -1e300);
  const auto log_weights = at::log_softmax(logits, -1);  // [b,w+1]
  const auto heads = at::cat({to_tensor(target.heads), at::full({1, p}, -std::log(p), at::kDouble)});
  const auto beta_0 = at::logsumexp(log_weights.unsqueeze(-1) + heads, 1);  // [b,p]
  const auto deviations =
      head_share * (log_weights / 2).exp().unsqueeze(-1) * (heads - beta_0.unsqueeze(1));  // [b,w+1,p]

  const TorchKernel kernel(flat_kernel, d);
  LogPrediction predicted;
  try {
    const auto curve_weights = curve_share * log_weights.narrow(1, 0, target.heads.rows()).exp();
    predicted =
        predict(parts, kernel, target.fine_tune.head_steps, beta_0, deviations, curve_weights, episodes);
  } catch (const c10::Error& e) {
    throw Diverged("a covariance is not positive definite");
  }
  const auto query_logs = stack(episodes, [](const auto& e) { return e.query_logs; });
  const auto task_losses =
      (predicted.variance.log() / 2 + (query_logs - predicted.mean).square() / (2 * predicted.variance))
          .mean(1);
  const auto medians = to_tensor(TermKernel::medians(d, p).flat());
  const auto spreads = to_tensor(TermKernel::prior_spreads(d, p).flat());
  const auto prior = ((flat_kernel - medians) / spreads).square().sum() + (2 * curve_share - 1).square() +
                     (2 * (head_share - 1)).square();
  const auto whole = task_losses.mean() + loss.classification * classification + loss.prior * prior;

  ProtoGradient result;
  auto found = gradient_of(whole, task_losses, parameters);
  result.loss = found.loss;
  result.task_losses = std::move(found.task_losses);
  result.gradient = std::move(found.gradient);
  result.classification = classification.item<double>();
  result.accuracy = log_p.argmax(-1).eq(labels).to(at::kDouble).mean().item<double>();
  result.means = to_matrix(predicted.mean);
  result.variances = to_matrix(predicted.variance);
  return result;
}

void ProtoNetOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", max_steps, 1, kMostSteps, "greatest number of outer updates");
  on.real("outer_rate", outer_rate, 1e-9, 1e3,
          "initial learning rate of Adam for the embedding; it falls to 0 as a cosine");
  on.real("kernel_rate", kernel_rate, 1e-9, 1e3,
          "initial learning rate of Adam for the kernel, the sharpness and the shares");
  on.real("classification", loss.classification, 0, 1e6,
          "weight, in the loss, of telling the workloads apart");
  on.real("prior", loss.prior, 0, 1e6, "weight, in the loss, of the prior of kernel and shares");
  on.whole("embedding", embedding, 1, learners::kMostWidth, "number of dimensions of the embedding");
  on.whole("prototype_rows", prototype_rows, 1, 1'000'000,
           "greatest number of rows that a prototype is the mean of");
  on.whole("curve_rows", curve_rows, 1, 10'000,
           "greatest number of modes in which curves of training workloads are kept");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "outer gradients with a larger norm are scaled to this one");
  each_of_net(on, hidden, activation);
}

std::string ProtoNetOptions::error() const {
  OptionsError wrong("ProtoNetOptions");
  wrong.part(loss.error())
      .sizes("hidden", hidden)
      .at_least("embedding", embedding, 1)
      .finite_above_0("outer_rate", outer_rate)
      .finite_above_0("kernel_rate", kernel_rate)
      .at_least("max_steps", max_steps, 0)
      .above_0("clip_norm", clip_norm)
      .at_least("prototype_rows", prototype_rows, 1)
      .at_least("curve_rows", curve_rows, 1);
  for (const auto& options : fine_tune) wrong.part(options.error());
  return wrong.text();
}

ProtoInputs ProtoColumns::operator()(const Matrix& x) const {
  return {x.leftCols(features), x.middleCols(features, knobs), x.middleCols(first_term, terms)};
}

ProtoNet::ProtoNet(const std::string& name, int t, ProtoColumns columns,
                   std::span<const ProtoWorkload> workloads, ProtoNetOptions options, std::uint64_t seed,
                   const ProtoTarget* init)
    : options_(std::move(options)), columns_(columns) {
  if (const auto bad = options_.error(); !bad.empty()) throw std::invalid_argument(bad);
  if (workloads.empty()) throw std::invalid_argument(name + ": no workload to train on");
  std::vector<ProtoInputs> inputs;
  std::vector<Vector> logs;
  for (const auto& workload : workloads) {
    target_.workloads.push_back(workload.name);
    inputs.push_back(columns_(workload.x));
    logs.push_back(workload.logs);
  }
  fit_heads(target_, inputs, logs, options_.interrupted);
  fit_curves(target_, inputs, logs, options_.curve_rows, seed, options_.interrupted);
  const auto f = columns_.features;
  target_.shape = net_shape(2 * f + 1, options_.hidden, options_.embedding, options_.activation);
  auto rng = hw::Rng::stream(seed, "initial embedding", static_cast<std::uint64_t>(t));
  target_.embedding = learners::random_parameters(target_.shape, rng);
  target_.kernel = TermKernel::medians(columns_.knobs, columns_.terms);
  target_.fine_tune = options_.fine_tune[static_cast<std::size_t>(t)];
  if (init != nullptr) {
    check_start(name, init->shape, target_.shape);
    set_proto_parameters(target_, proto_parameters(*init));
    target_.fine_tune = init->fine_tune;
  }

  // Rows of the prototypes, and the spread of all deviations.
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    auto some =
        hw::Rng::stream(seed, "prototype rows " + target_.workloads[i], static_cast<std::uint64_t>(t));
    const auto n = static_cast<std::size_t>(logs[i].size());
    const auto drawn = some.sample(n, std::min(n, options_.prototype_rows));
    const ProtoInputs fewer{inputs[i].features(drawn, Eigen::all), inputs[i].knobs(drawn, Eigen::all),
                            inputs[i].log_terms(drawn, Eigen::all)};
    rows_.push_back(
        embedding_inputs(target_, fewer, logs[i](drawn), static_cast<Eigen::Index>(drawn.size())));
    sum += rows_.back().col(f).squaredNorm();
    count += static_cast<double>(drawn.size());
  }
  target_.deviation_scale =
      init != nullptr ? init->deviation_scale : std::max(kSmallestDeviation, std::sqrt(sum / count));
  for (auto& rows : rows_) rows.rightCols(f + 1) /= target_.deviation_scale;
  start({.name = name,
         .kind = "proto",
         .shape = target_.shape,
         .inputs = workloads[0].x.cols(),
         .even = true,
         .max_steps = options_.max_steps,
         .clip_norm = options_.clip_norm},
        {{target_.embedding.size(), options_.outer_rate},
         {target_.kernel.flat().size() + 3, options_.kernel_rate}});
}

std::vector<ProtoEpisode> ProtoNet::episodes(std::span<const tasks::Episode> even) const {
  std::vector<ProtoEpisode> episodes;
  for (const auto& episode : even) {
    ProtoEpisode e;
    e.support = columns_(episode.support_x);
    e.query = columns_(episode.query_x);
    e.support_logs = episode.support_y.col(0);
    e.query_logs = episode.query_y.col(0);
    const auto k = e.support_logs.size(), q = e.query_logs.size();
    ProtoInputs both;
    both.features = stacked({e.support.features, e.query.features});
    both.log_terms = stacked({e.support.log_terms, e.query.log_terms});
    Vector logs(k + q);
    logs << e.support_logs, e.query_logs;
    const Matrix rows = embedding_inputs(target_, both, logs, k);
    e.support_rows = rows.topRows(k);
    e.query_rows = rows.bottomRows(q);
    e.support_curves = learners::curves(target_, e.support.knobs);
    e.query_curves = learners::curves(target_, e.query.knobs);
    e.usable.resize(target_.heads.rows());
    for (Eigen::Index i = 0; i < e.usable.size(); ++i) {
      const auto& other = target_.workloads[static_cast<std::size_t>(i)];
      e.usable[i] = workload_of(other) != workload_of(episode.name) ? 1 : 0;
    }
    episodes.push_back(std::move(e));
  }
  return episodes;
}

BatchGradient ProtoNet::gradient(std::span<const tasks::Episode> batch) const {
  auto outer = proto_gradient(target_, options_.parts, rows_, episodes(batch), options_.loss);
  return {outer.loss, std::move(outer.task_losses), std::move(outer.gradient)};
}

ProtoTarget ProtoNet::with_prototypes() const {
  auto target = target_;
  target.prototypes.resize(target.heads.rows(), options_.embedding);
  for (Eigen::Index i = 0; i < target.heads.rows(); ++i)
    target.prototypes.row(i) = prototype(target, rows_[static_cast<std::size_t>(i)]).transpose();
  return target;
}

OnModes proto_on_modes(const std::string& name, std::span<const datasets::Profile> training,
                       const ProtoNetOptions& options, std::uint64_t seed, const learners::Checkpoint* init) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  std::optional<learners::ProtoModel> from;
  if (init != nullptr) from = learners::ProtoModel::from_checkpoint(*init);
  auto encoder = ModeEncoder::of(name, training);
  encoder.centred = false;
  learners::ProtoModel model;
  model.trained_by = name;
  model.knobs = encoder.knobs;
  model.parts = options.parts;
  if (from) {
    check_start(from->knobs, model.knobs);
    encoder.scaler = from->features;
  }
  model.features = encoder.scaler;
  model.log_settings =
      from ? from->log_settings : learners::Scaler::fit(stacked_modes(training, [](const auto& p) {
        return Matrix(encode(learners::FeatureSet::raw, *p.space, p.modes).array().log());
      }));
  encoder.more = [model](const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
    const auto time = proto_inputs(model, tasks::kTimeMs, space, modes);
    const auto power = proto_inputs(model, tasks::kPowerW, space, modes);
    Matrix all(time.knobs.rows(), time.knobs.cols() + time.log_terms.cols() + power.log_terms.cols());
    all << time.knobs, time.log_terms, power.log_terms;
    return all;
  };
  std::array<Eigen::Index, kNumTargets> terms{};
  for (int t = 0; t < kNumTargets; ++t)
    terms[t] = proto_inputs(model, static_cast<tasks::Target>(t), *training[0].space, {}).log_terms.cols();
  for (auto& scale : encoder.scales)
    if (scale) scale = 1;
  return on_modes<ProtoNet>(
      name, encoder,
      [&](const std::string& learner, int t) {
        std::vector<ProtoWorkload> workloads;
        for (const auto& profile : training) {
          throw_if_told(options.interrupted);
          const auto rows = learners::rows_of(tasks::samples_of(profile), static_cast<tasks::Target>(t));
          if (rows.modes.empty()) continue;
          workloads.push_back({profile.device + "/" + profile.workload,
                               encoder.inputs(*profile.space, rows.modes), rows.values.array().log()});
        }
        const auto f = model.features.mean.size(), d = model.log_settings.mean.size();
        return std::make_unique<ProtoNet>(
            learner, t, ProtoColumns{f, d, f + d + (t == 0 ? 0 : terms[0]), terms[t]}, workloads, options,
            seed, from && from->targets[t] ? &*from->targets[t] : nullptr);
      },
      [model](const auto& learners) {
        auto now = model;
        for (int t = 0; t < kNumTargets; ++t)
          if (learners[t] != nullptr) now.targets[t] = learners[t]->with_prototypes();
        return now.to_checkpoint();
      });
}

double try_proto(const learners::Checkpoint& proto, const learners::ProtoFineTune& setting, tasks::Target t,
                 const tasks::Task& task) {
  return error_with<learners::Proto>(learners::ProtoModel::from_checkpoint(proto), &ProtoTarget::fine_tune,
                                     setting, t, task);
}

learners::Checkpoint shuffled_prototypes(const learners::Checkpoint& proto) {
  auto model = learners::ProtoModel::from_checkpoint(proto);
  model.trained_by = "proto-shuffled";
  for (auto& target : model.targets) {
    if (!target) continue;
    const Matrix was = target->prototypes;
    for (Eigen::Index i = 0; i < was.rows(); ++i) target->prototypes.row((i + 1) % was.rows()) = was.row(i);
  }
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = proto.origin;
  return checkpoint;
}

}  // namespace fewwatt::meta
