#include "learners/proto.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "hw/random.hpp"
#include "hw/text.hpp"
#include "learners/checkpoint_fields.hpp"
#include "learners/cholesky.hpp"
#include "learners/optimizer.hpp"
#include "learners/physics.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using tasks::kTargetNames;

// The kernel is fitted to at most so many rows (cubic cost).
constexpr std::size_t kMaxKernelRows = 150;
constexpr double kMostShare = 100;  // of the curves and the heads; usual is about 1

// d head / d beta: the share of each term, [n,p].
Matrix shares(const Matrix& log_terms, const Vector& beta) {
  const Matrix terms = log_terms.rowwise() + beta.transpose();
  const Matrix shifted = (terms.colwise() - terms.rowwise().maxCoeff().eval()).array().exp();
  return shifted.array().colwise() / shifted.rowwise().sum().eval().array();
}

constexpr std::pair<std::string_view, bool ProtoParts::*> kParts[] = {{"embedding", &ProtoParts::embedding},
                                                                      {"heads", &ProtoParts::heads},
                                                                      {"residual", &ProtoParts::residual}};

class ProtoPredictor final : public Predictor {
 public:
  ProtoPredictor(std::shared_ptr<const ProtoModel> model, std::shared_ptr<const hw::PowerModeSpace> space)
      : model_(std::move(model)), space_(std::move(space)) {}

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return predict_targets(modes, {true, true});
  }
  Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted& wanted) const override {
    auto out = Prediction::unknown(static_cast<Eigen::Index>(modes.size()));
    for (int t = 0; t < kNumTargets; ++t) {
      if (!fits[t] || !wanted[t]) continue;
      const auto inputs = proto_inputs(*model_, static_cast<tasks::Target>(t), *space_, modes);
      auto [mean, variance] = fits[t]->posterior.predict(inputs);
      mean += curves(*model_->targets[t], inputs.knobs) * fits[t]->curve_weights;
      out.set(t, mean, variance, std::exp(2 * fits[t]->posterior.kernel().log_noise));
    }
    return out;
  }

  std::vector<Similarity> behaves_like() const override { return similarities; }
  LeftOut left_out(tasks::Target target) const override {
    return fits[target] ? fits[target]->posterior.left_out() : LeftOut{};
  }

  struct Fit {
    ProtoPosterior posterior;  // of log y less the curves
    Vector curve_weights;      // [w]
  };
  std::array<std::optional<Fit>, kNumTargets> fits;
  std::vector<Similarity> similarities;

 private:
  std::shared_ptr<const ProtoModel> model_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
};

}  // namespace

std::string ProtoFineTune::error() const {
  if (head_steps < 1 || head_steps > kMostHeadSteps)
    return "ProtoFineTune: head_steps must be in [1, " + std::to_string(kMostHeadSteps) + "], got " +
           std::to_string(head_steps);
  if (kernel_steps < 0 || kernel_steps > kMostProtoKernelSteps)
    return "ProtoFineTune: kernel_steps must be in [0, " + std::to_string(kMostProtoKernelSteps) + "], got " +
           std::to_string(kernel_steps);
  for (const double value : {kernel_rate, kernel_freedom}) {
    if (!(value > 0) || !std::isfinite(value))
      return "ProtoFineTune: kernel_rate and kernel_freedom must be > 0, got " + std::to_string(value);
  }
  return "";
}

ProtoInputs proto_inputs(const ProtoModel& model, tasks::Target target, const hw::PowerModeSpace& space,
                         std::span<const hw::PowerMode> modes) {
  return {model.features(encode(FeatureSet::physical, space, modes)),
          model.log_settings(encode(FeatureSet::raw, space, modes).array().log().matrix()),
          physics_features(target, space, modes).array().log().matrix()};
}

Vector head(const Matrix& log_terms, const Vector& beta) {
  const Matrix terms = log_terms.rowwise() + beta.transpose();
  const Vector greatest = terms.rowwise().maxCoeff();
  return greatest.array() + (terms.colwise() - greatest).array().exp().rowwise().sum().log();
}

Vector mix_heads(const Matrix& heads, const Vector& weights) {
  return head(heads.transpose(), weights.array().log().matrix());
}

HeadPrior head_prior(const ProtoTarget& target, const Vector& weights) {
  HeadPrior prior{mix_heads(target.heads, weights.cwiseMax(1e-300)), target.heads};
  prior.deviations.rowwise() -= prior.beta_0.transpose();
  prior.deviations.array().colwise() *= target.head_share * weights.array().sqrt();
  return prior;
}

Matrix curves(const ProtoTarget& target, const Matrix& knobs) {
  const auto medians = TermKernel::medians(knobs.cols(), target.heads.cols());
  return knob_covariance(medians, knobs, target.curve_knobs) * target.curve_weights;
}

Matrix embedding_inputs(const ProtoTarget& target, const ProtoInputs& inputs, const Vector& logs,
                        Eigen::Index level_rows) {
  const auto w = target.heads.rows();
  const Vector even = Vector::Constant(w, 1.0 / static_cast<double>(w));
  const Vector deviations = logs - head(inputs.log_terms, mix_heads(target.heads, even));
  const Vector u = (deviations.array() - deviations.head(level_rows).mean()) / target.deviation_scale;
  Matrix rows(logs.size(), 2 * inputs.features.cols() + 1);
  rows << inputs.features, u, u.asDiagonal() * inputs.features;
  return rows;
}

Vector prototype(const ProtoTarget& target, const Matrix& embedding_rows) {
  return Mlp<double>(target.shape, target.embedding).forward(embedding_rows).colwise().mean().transpose();
}

Vector prototype_weights(const ProtoTarget& target, const Vector& p) {
  const Vector logits =
      -std::exp(target.log_sharpness) * (target.prototypes.rowwise() - p.transpose()).rowwise().squaredNorm();
  const Vector unnormalised = (logits.array() - logits.maxCoeff()).exp();
  return unnormalised / unnormalised.sum();
}

// ---- the posterior ----

ProtoPosterior::ProtoPosterior(const ProtoParts& parts, const TermKernel& kernel,
                               const ProtoFineTune& fine_tune, HeadPrior prior, ProtoInputs support,
                               const Vector& logs)
    : parts_(parts),
      kernel_(kernel),
      trained_(kernel),
      fine_tune_(fine_tune),
      prior_(std::move(prior)),
      between_(prior_.deviations.transpose() * prior_.deviations),
      beta_(prior_.beta_0),
      support_(std::move(support)),
      mean_(logs.mean()),
      logs_(logs.array() - mean_) {
  // The iterated linearisation of a Gaussian model: Bell & Cathey 1993.
  const auto gauss_newton = [&] {
    const Vector to = prior_.beta_0 + times_head_covariance(slopes_).transpose() * alpha_;
    beta_ += (to - beta_).cwiseMax(-kProtoLongestStep).cwiseMin(kProtoLongestStep);
  };
  set_kernel(kernel);
  linearise();
  solve();
  for (int step = 1; parts_.heads && step < fine_tune_.head_steps; ++step) {
    gauss_newton();
    linearise();
    solve();
  }
  if (fine_tune_.kernel_steps == 0) return;
  Vector flat = kernel_.flat(), gradient;
  Adam<double> adam(flat.size(), fine_tune_.kernel_rate);
  for (int step = 0; step < fine_tune_.kernel_steps; ++step) {
    gradient = slope();
    adam.step(flat, gradient);
    set_kernel(TermKernel::from_flat(flat, support_.knobs.cols()));
    solve();
    if (parts_.heads) {
      gauss_newton();
      linearise();
      solve();
    }
  }
}

void ProtoPosterior::set_kernel(TermKernel kernel) {
  kernel_ = std::move(kernel);
  if (parts_.residual) residual_covariance_ = knob_covariance(kernel_, support_.knobs, support_.knobs);
}

void ProtoPosterior::linearise() {
  if (!parts_.heads) {
    slopes_ = Matrix::Zero(support_.log_terms.rows(), support_.log_terms.cols());
    residual_ = logs_;
    return;
  }
  slopes_ = shares(support_.log_terms, beta_);
  residual_ = logs_ - head(support_.log_terms, beta_) - slopes_ * (prior_.beta_0 - beta_);
}

Matrix ProtoPosterior::times_head_covariance(const Matrix& slopes) const {
  Matrix product = slopes * (2 * kernel_.log_spreads.array()).exp().matrix().asDiagonal();
  product += slopes * between_;
  return product;
}

void ProtoPosterior::solve() {
  const auto n = logs_.size();
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Constant(n, n, kProtoLevel * kProtoLevel);
  if (parts_.residual) covariance += residual_covariance_;
  covariance += times_head_covariance(slopes_) * slopes_.transpose();
  covariance.diagonal().array() += std::exp(2 * kernel_.log_noise) + kProtoJitter;
  const auto llt = cholesky(covariance, "proto: the covariance of " + std::to_string(n) + " support rows");
  lower_ = llt.matrixL();
  alpha_ = llt.solve(residual_);
}

Vector ProtoPosterior::kernel_spreads() const {
  return fine_tune_.kernel_freedom *
         TermKernel::prior_spreads(support_.knobs.cols(), kernel_.log_spreads.size()).flat();
}

double ProtoPosterior::objective(const TermKernel& kernel, Vector* gradient) const {
  auto at = *this;  // linearised where this one is
  at.set_kernel(kernel);
  at.solve();
  if (gradient != nullptr) *gradient = at.slope();
  const Vector z = (kernel.flat() - trained_.flat()).cwiseQuotient(kernel_spreads());
  return 0.5 * at.residual_.dot(at.alpha_) + at.lower_.diagonal().array().log().sum() + 0.5 * z.squaredNorm();
}

Vector ProtoPosterior::slope() const {
  const auto d = support_.knobs.cols();
  // d / d theta = 1/2 tr((A^-1 - alpha alpha') dA / d theta)
  const Eigen::MatrixXd weight = 0.5 * (inverse_of_squared(lower_) - alpha_ * alpha_.transpose());
  TermKernel slope;
  static_cast<KnobKernel&>(slope) = parts_.residual
                                        ? knob_slopes(kernel_, support_.knobs, weight)
                                        : KnobKernel{0, Vector::Zero(d), Vector::Zero(d), Vector::Zero(d)};
  slope.log_noise = 2 * std::exp(2 * kernel_.log_noise) * weight.trace();
  slope.log_spreads = 2 * (2 * kernel_.log_spreads.array()).exp() *
                      (weight * slopes_).cwiseProduct(slopes_).colwise().sum().transpose().array();
  return slope.flat() + (kernel_.flat() - trained_.flat()).cwiseQuotient(kernel_spreads().cwiseAbs2());
}

ProtoPosterior::LogPrediction ProtoPosterior::predict(const ProtoInputs& query) const {
  const auto m = query.knobs.rows(), n = support_.knobs.rows();
  Matrix cross = Matrix::Constant(m, n, kProtoLevel * kProtoLevel);
  Vector mean = Vector::Constant(m, mean_);
  Vector variance = Vector::Constant(m, kProtoLevel * kProtoLevel);
  if (parts_.residual) {
    cross += knob_covariance(kernel_, query.knobs, support_.knobs);
    variance.array() += knob_variance(kernel_);
  }
  if (parts_.heads) {
    const Matrix slopes = shares(query.log_terms, beta_);
    const Matrix scaled = times_head_covariance(slopes);
    mean += head(query.log_terms, beta_) + slopes * (prior_.beta_0 - beta_);
    cross += scaled * slopes_.transpose();
    variance += scaled.cwiseProduct(slopes).rowwise().sum();
  }
  mean += cross * alpha_;
  const Eigen::MatrixXd half = lower_.triangularView<Eigen::Lower>().solve(cross.transpose());
  variance -= half.colwise().squaredNorm().transpose();
  variance = variance.cwiseMax(0.0).array() + std::exp(2 * kernel_.log_noise);
  return {mean, variance};
}

LeftOut ProtoPosterior::left_out() const {
  const Vector precision = inverse_of_squared(lower_).diagonal();
  return {alpha_.cwiseQuotient(precision), precision.cwiseInverse()};
}

// ---- the model ----

std::string ProtoModel::error() const {
  if (features.stddev.size() != features.mean.size()) return "feature_mean and feature_stddev differ in size";
  if (log_settings.stddev.size() != log_settings.mean.size())
    return "knob_mean and knob_stddev differ in size";
  const auto d = log_settings.mean.size();
  for (int t = 0; t < kNumTargets; ++t) {
    if (!targets[t]) continue;
    const auto& target = *targets[t];
    const std::string prefix = std::string(kTargetNames[t]) + "/";
    const auto w = static_cast<Eigen::Index>(target.workloads.size());
    if (w == 0) return prefix + "workloads must name one at least";
    const auto& sizes = target.shape.sizes;
    if (sizes.size() < 2 || sizes.front() != 2 * features.mean.size() + 1 ||
        target.embedding.size() != static_cast<Eigen::Index>(target.shape.num_parameters()))
      return prefix + "embedding does not fit hidden and feature_mean";
    if (target.prototypes.rows() != w || target.prototypes.cols() != sizes.back())
      return prefix + "prototypes must be [" + std::to_string(w) + "," + std::to_string(sizes.back()) + "]";
    if (target.heads.rows() != w || target.heads.cols() == 0)
      return prefix + "heads must have " + std::to_string(w) + " rows";
    if (target.curve_knobs.cols() != d || target.curve_weights.rows() != target.curve_knobs.rows() ||
        target.curve_weights.cols() != w)
      return prefix + "curve_knobs and curve_weights do not fit knob_mean and workloads";
    if (target.curve_knobs.rows() > kMostCurveModes)
      return prefix + "curve_knobs must have at most " + std::to_string(kMostCurveModes) + " rows, found " +
             std::to_string(target.curve_knobs.rows());
    const auto& k = target.kernel;
    if (k.log_lengths.size() != d || k.log_amplitudes.size() != d || k.log_widths.size() != d ||
        k.log_spreads.size() != target.heads.cols())
      return prefix + "kernel does not fit knob_mean and heads";
    if (!target.embedding.allFinite() || !target.prototypes.allFinite() || !target.heads.allFinite() ||
        !k.flat().allFinite() || !std::isfinite(target.log_sharpness) || !target.curve_knobs.allFinite() ||
        !target.curve_weights.allFinite() || !std::isfinite(target.curve_share) ||
        !std::isfinite(target.head_share))
      return prefix + "embedding, prototypes, heads, curves, kernel and log_sharpness must be finite";
    if (k.flat().cwiseAbs().maxCoeff() > kMostLog)
      return prefix + "kernel must be at most " + std::to_string(kMostLog);
    if (!(target.deviation_scale > 0) || !std::isfinite(target.deviation_scale))
      return prefix + "deviation_scale must be > 0 and finite";
    if (auto bad = target.fine_tune.error(); !bad.empty()) return bad;
  }
  return "";
}

void ProtoModel::visit(CheckpointFields& fields) {
  fields.text("trained_by", trained_by);
  fields.text("knobs", knobs);
  std::vector<std::string> named;
  for (const auto& [name, part] : kParts)
    if (parts.*part) named.emplace_back(name);
  auto text = hw::join(named, " ");
  fields.text("parts", text);
  const auto found = hw::split(text, ' ');
  for (const auto& [name, part] : kParts)
    parts.*part = std::find(found.begin(), found.end(), name) != found.end();
  fields.scaler("feature_mean", "feature_stddev", features);
  fields.scaler("knob_mean", "knob_stddev", log_settings);
  Activation activation = Activation::silu;
  for (const auto& target : targets)
    if (target) activation = target->shape.activation;
  fields.choice("activation", activation, parse_activation);
  fields.targets(targets, "embedding", [&](CheckpointFields& of, ProtoTarget& target) {
    of.lines("workloads", target.workloads);
    of.row("embedding", target.embedding);
    of.matrix("prototypes", target.prototypes);
    of.matrix("heads", target.heads);
    if (target.prototypes.cols() > kMostWidth)
      of.refuse("prototypes", "must have at most " + std::to_string(kMostWidth) + " columns, found " +
                                  std::to_string(target.prototypes.cols()));
    target.shape.activation = activation;
    of.layers("hidden", target.shape.sizes, 2 * static_cast<int>(features.mean.size()) + 1,
              static_cast<int>(target.prototypes.cols()));
    of.matrix("curve_knobs", target.curve_knobs);
    of.matrix("curve_weights", target.curve_weights);
    of.real("curve_share", target.curve_share, -kMostShare, kMostShare);
    of.real("head_share", target.head_share, -kMostShare, kMostShare);
    const auto d = log_settings.mean.size(), size = 3 * d + 2 + target.heads.cols();
    Vector kernel = of.reads() ? Vector() : target.kernel.flat();
    of.row("kernel", kernel);
    if (of.reads() && kernel.size() != size)
      of.refuse("kernel",
                "must have " + std::to_string(size) + " values, found " + std::to_string(kernel.size()));
    if (of.reads()) target.kernel = TermKernel::from_flat(kernel, d);
    of.real("deviation_scale", target.deviation_scale, kLeastFactor, kMostTargetScale);
    of.real("log_sharpness", target.log_sharpness, -kMostLog, kMostLog);
    of.integer("fine_tune/head_steps", target.fine_tune.head_steps, 1, kMostHeadSteps);
    of.integer("fine_tune/kernel_steps", target.fine_tune.kernel_steps, 0, kMostProtoKernelSteps);
    of.real("fine_tune/kernel_rate", target.fine_tune.kernel_rate, kLeastFactor, kMostRate);
    of.real("fine_tune/kernel_freedom", target.fine_tune.kernel_freedom, kLeastFactor, kMostFreedom);
  });
}

Checkpoint ProtoModel::to_checkpoint() const {
  return write_fields("proto", *this);
}

ProtoModel ProtoModel::from_checkpoint(const Checkpoint& c) {
  return read_fields<ProtoModel>(c);
}

// ---- the learner ----

Proto::Proto(ProtoModel model) : model_(std::move(model)) {
  if (const auto error = model_.error(); !error.empty()) throw std::invalid_argument("proto: " + error);
}

std::unique_ptr<const Predictor> Proto::adapt(const Samples& given) const {
  check_support("proto", given, 1);
  const auto support = spread_support(given);
  check_roles("proto", model_.knobs, *support.space);
  auto predictor =
      std::make_unique<ProtoPredictor>(std::make_shared<const ProtoModel>(model_), support.space);
  std::map<std::string, double> similar;
  int explained = 0;
  for (int t = 0; t < kNumTargets; ++t) {
    const auto& target = model_.targets[t];
    const auto rows = rows_of(support, static_cast<tasks::Target>(t));
    if (!target || rows.modes.empty()) continue;
    const Vector logs = rows.values.array().log();
    auto inputs = proto_inputs(model_, static_cast<tasks::Target>(t), *support.space, rows.modes);
    if (inputs.log_terms.cols() != target->heads.cols()) {
      throw std::invalid_argument("proto: heads of " + std::string(kTargetNames[t]) + " must have " +
                                  std::to_string(inputs.log_terms.cols()) + " columns, found " +
                                  std::to_string(target->heads.cols()));
    }
    const auto w = static_cast<Eigen::Index>(target->workloads.size());
    Vector weights = Vector::Constant(w, 1.0 / static_cast<double>(w));
    if (model_.parts.embedding) {
      weights = prototype_weights(*target,
                                  prototype(*target, embedding_inputs(*target, inputs, logs, logs.size())));
    }
    for (Eigen::Index i = 0; i < w; ++i)
      similar[target->workloads[static_cast<std::size_t>(i)]] += weights[i];
    ++explained;
    const auto prior = head_prior(*target, weights);
    const Vector curve_weights = (model_.parts.heads ? target->curve_share : 0.0) * weights;
    const Vector left = logs - curves(*target, inputs.knobs) * curve_weights;
    auto kernel = target->kernel;
    auto fine_tune = target->fine_tune;
    if (rows.modes.size() > kMaxKernelRows && fine_tune.kernel_steps > 0) {
      auto rng = hw::Rng::stream(0, "proto rows", static_cast<std::uint64_t>(t));
      const auto some = rng.sample(rows.modes.size(), kMaxKernelRows);
      const ProtoInputs fewer{inputs.features(some, Eigen::all), inputs.knobs(some, Eigen::all),
                              inputs.log_terms(some, Eigen::all)};
      kernel = ProtoPosterior(model_.parts, kernel, fine_tune, prior, fewer, left(some)).kernel();
      fine_tune.kernel_steps = 0;
    }
    predictor->fits[t] = ProtoPredictor::Fit{
        ProtoPosterior(model_.parts, kernel, fine_tune, prior, std::move(inputs), left), curve_weights};
  }
  for (const auto& [workload, weight] : similar)
    predictor->similarities.push_back({workload, weight / explained});
  std::stable_sort(predictor->similarities.begin(), predictor->similarities.end(),
                   [](const Similarity& a, const Similarity& b) { return a.weight > b.weight; });
  return predictor;
}

}  // namespace fewwatt::learners
