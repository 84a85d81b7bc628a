#include "learners/ensemble.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <stdexcept>
#include <utility>

#include "hw/text.hpp"
#include "learners/optimizer.hpp"
#include "learners/registry.hpp"
#include "learners/spread.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using Index = Eigen::Index;

constexpr std::size_t kMostMembers = 16;
// Searches for a maximum that is flat there: more steps change weights by less than 0.001.
constexpr int kStackingSteps = 200, kProductSteps = 200;
constexpr double kProductRate = 0.1;
constexpr std::pair<std::string_view, Combination> kCombinations[] = {{"evidence", Combination::evidence},
                                                                      {"stacking", Combination::stacking},
                                                                      {"product", Combination::product}};

// What members say of the same rows, in logs; [rows, members].
struct Said {
  Matrix mean, variance;
};
struct Combined {
  Vector mean, variance;
};

Combined combined(const Said& said, const Vector& weights, Combination combination) {
  if (combination == Combination::product) {
    const Matrix precision = said.variance.cwiseInverse() * weights.asDiagonal();
    const Vector whole = precision.rowwise().sum();
    return {precision.cwiseProduct(said.mean).rowwise().sum().cwiseQuotient(whole), whole.cwiseInverse()};
  }
  const Vector mean = said.mean * weights;
  const Vector second = (said.variance + said.mean.cwiseAbs2()) * weights;
  return {mean, (second - mean.cwiseAbs2()).cwiseMax(1e-12)};
}

// log N(0; mean, variance), where the means are errors.
Matrix log_densities(const Said& errors) {
  return -0.5 * (errors.mean.array().square() / errors.variance.array() +
                 (2 * std::numbers::pi * errors.variance.array()).log());
}

Vector stacking_weights(const Said& errors, const Vector& prior, double strength) {
  Matrix densities = log_densities(errors);
  densities.colwise() -= densities.rowwise().maxCoeff().eval();
  densities = densities.array().exp().eval();
  Vector weights = prior;
  const auto rows = static_cast<double>(densities.rows());
  for (int step = 0; step < kStackingSteps; ++step) {  // expectation maximisation
    Matrix shares = densities * weights.asDiagonal();
    shares.array().colwise() /= shares.rowwise().sum().eval().array();
    weights = (strength * prior + shares.colwise().sum().transpose()) / (strength + rows);
  }
  return weights;
}

// Weights as softmax of what Adam moves.
Vector product_weights(const Said& errors, const Vector& prior, double strength) {
  Vector logits = prior.array().log(), weights = prior;
  Adam<double> adam(logits.size(), kProductRate);
  for (int step = 0; step < kProductSteps; ++step) {
    const auto [mean, variance] = combined(errors, weights, Combination::product);
    // Of the log density at 0:  variance / 2 v_c - mean^2 / 2 v_c - mean (m_c - mean) / v_c
    Matrix slopes = -(mean.asDiagonal() * (errors.mean.colwise() - mean).eval());
    slopes.colwise() += 0.5 * (variance - mean.cwiseAbs2());
    const Vector slope = slopes.cwiseQuotient(errors.variance).colwise().sum().transpose() +
                         strength * prior.cwiseQuotient(weights);
    adam.step(logits, -weights.cwiseProduct(slope - Vector::Constant(slope.size(), weights.dot(slope))));
    weights = (logits.array() - logits.maxCoeff()).exp();
    weights /= weights.sum();
  }
  return weights;
}

double prior_of(const Member& member, Index rows, double temper) {
  const double room = static_cast<double>(rows) - member.fitted - 1;
  if (member.fitted == 0) return 1;
  return room > 0 ? std::exp(-temper * member.fitted * (1 + (member.fitted + 1) / room)) : 0;
}

Vector weights_of(const Said& errors, const Vector& prior, const EnsembleOptions& options) {
  switch (options.combination) {
    case Combination::evidence: {
      Vector scores = prior.array().log();
      if (errors.mean.rows() > 1)
        scores += options.temper * log_densities(errors).colwise().sum().transpose();
      const Vector weights = (scores.array() - scores.maxCoeff()).exp();
      return weights / weights.sum();
    }
    case Combination::stacking:
      return stacking_weights(errors, prior, options.strength);
    case Combination::product:
      return product_weights(errors, prior, options.strength);
  }
  throw std::logic_error("unknown combination");
}

class EnsemblePredictor final : public Predictor {
 public:
  Combination combination = Combination::evidence;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<const Predictor>> members;  // nullptr: without weight
  std::array<Vector, kNumTargets> weights;                // [members]; [0]: not predicted
  std::array<Vector, kNumTargets> scales;                 // [members], of variances
  std::array<LeftOut, kNumTargets> left;
  std::vector<Doubted> not_believed;

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Index>(modes.size());
    auto out = Prediction::unknown(n);
    std::vector<Prediction> all;
    for (std::size_t c = 0; c < members.size(); ++c) {
      Wanted used{};
      for (int t = 0; t < kNumTargets; ++t)
        used[t] = weights[t].size() > 0 && weights[t][static_cast<Index>(c)] > 0;
      all.push_back(used == Wanted{} ? Prediction{} : members[c]->predict_targets(modes, used));
    }
    for (int t = 0; t < kNumTargets; ++t) {
      if (weights[t].size() == 0) continue;
      std::vector<Index> used;
      for (Index c = 0; c < weights[t].size(); ++c)
        if (weights[t][c] > 0) used.push_back(c);
      Said said{Matrix(n, static_cast<Index>(used.size())), Matrix(n, static_cast<Index>(used.size()))};
      double noise = 0;  // the same in all modes, as that of members is
      for (std::size_t u = 0; u < used.size() && n > 0; ++u) {
        const auto& one = all[static_cast<std::size_t>(used[u])];
        const auto column = static_cast<Index>(u);
        const double scale = scales[t][used[u]];
        said.mean.col(column) = one.log_mean.col(t);
        said.variance.col(column) = scale * one.log_variance.col(t);
        noise += weights[t][used[u]] * scale * (one.log_variance(0, t) - one.latent_log_variance(0, t));
      }
      const auto [mean, variance] = combined(said, weights[t](used), combination);
      out.set(t, mean, variance, noise);
    }
    return out;
  }

  // Of a mixture, also how far the members are apart. Of a product of experts, the correlations of that mixture.
  LogCovariance covariance(tasks::Target t, std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Index>(modes.size());
    LogCovariance out;
    Vector mean = Vector::Zero(n);
    for (Index c = 0; c < weights[t].size(); ++c) {
      const double weight = weights[t][c];
      if (weight == 0) continue;
      const auto& member = *members[static_cast<std::size_t>(c)];
      auto one = member.covariance(t, modes);
      if (one.latent.size() == 0 && n > 0) return {};
      if (out.latent.size() == 0) out.latent = Matrix::Zero(n, n);
      Wanted wanted{};
      wanted[t] = true;
      const Vector logs = member.predict_targets(modes, wanted).log_mean.col(t);
      out.latent += weight * (scales[t][c] * one.latent + logs * logs.transpose());
      out.noise_variance += weight * scales[t][c] * one.noise_variance;
      mean += weight * logs;
    }
    if (out.latent.size() == 0) return out;
    out.latent -= mean * mean.transpose();
    if (combination == Combination::product) {
      const auto p = predict(modes);
      const Vector factor =
          (p.latent_log_variance.col(t).array() / out.latent.diagonal().array().max(1e-12)).sqrt();
      out.latent = factor.asDiagonal() * out.latent * factor.asDiagonal();
    }
    return out;
  }

  std::vector<Similarity> behaves_like() const override {
    for (const auto& member : members) {
      if (!member) continue;
      if (auto like = member->behaves_like(); !like.empty()) return like;
    }
    return {};
  }

  LeftOut left_out(tasks::Target target) const override { return left[target]; }

  std::vector<Doubted> doubted() const override { return not_believed; }

  Fitted fitted() const override {
    Fitted all;
    for (std::size_t c = 0; c < members.size(); ++c)
      if (members[c])
        for (const auto& [key, values] : members[c]->fitted()) all[names[c] + "/" + key] = values;
    return all;
  }

  std::vector<Chosen> chosen() const override {
    std::vector<Chosen> all;
    for (std::size_t c = 0; c < names.size(); ++c) {
      Chosen one{names[c], {}};
      for (int t = 0; t < kNumTargets; ++t)
        one.weights[t] = weights[t].size() > 0 ? weights[t][static_cast<Index>(c)] : std::nan("");
      all.push_back(std::move(one));
    }
    return all;
  }
};

// Entries "gp/..." without the member's name.
template <class Entries>
Entries of_member(const Entries& whole, const std::string& name) {
  Entries part;
  for (const auto& [key, value] : whole)
    if (key.starts_with(name + "/")) part[key.substr(name.size() + 1)] = value;
  return part;
}

}  // namespace

std::string_view to_string(Combination combination) {
  for (const auto& [name, one] : kCombinations)
    if (one == combination) return name;
  return "";
}

void EnsembleOptions::each(OptionVisitor& on) {
  on.real("temper", temper, 1e-6, 10, "exponent of the evidence in the weights of candidates");
  on.real("strength", strength, 1e-6, 1e6,
          "rows of support that the prior counts as, of stacks and products");
  on.real("calm", calm, 1e-6, 1e6, "rows of support that the predicted variances count as");
  on.real("smallest_weight", smallest_weight, 0, 0.06, "weight below which a candidate is left out");
}

std::string EnsembleOptions::error() const {
  for (const double value : {temper, strength, calm})
    if (!(value > 0) || !std::isfinite(value))
      return "EnsembleOptions: temper, strength and calm must be > 0";
  if (!(smallest_weight >= 0 && smallest_weight * kMostMembers < 1))  // or all might be left out
    return "EnsembleOptions: smallest_weight must be at least 0 and below 1 / " +
           std::to_string(kMostMembers);
  return "";
}

std::unique_ptr<const Predictor> combine(const std::vector<Member>& members, const Samples& support,
                                         const EnsembleOptions& options, const Fitted& fitted,
                                         std::vector<std::unique_ptr<const Predictor>> adapted,
                                         std::vector<Doubted> doubted) {
  auto predictor = std::make_unique<EnsemblePredictor>();
  predictor->combination = options.combination;
  predictor->members = std::move(adapted);
  predictor->not_believed = std::move(doubted);
  predictor->members.resize(members.size());
  for (const auto& member : members) predictor->names.push_back(member.name);
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto rows = static_cast<Index>(rows_of(support, target).modes.size());
    if (rows == 0) continue;
    std::vector<Index> predicting;
    std::vector<LeftOut> left_out;
    std::vector<double> priors;
    const auto gather = [&](bool of_prior) {
      for (std::size_t c = 0; c < members.size(); ++c) {
        const double prior = prior_of(members[c], rows, options.temper);
        if ((prior > 0) != of_prior) continue;
        auto& member = predictor->members[c];
        if (!member) member = members[c].learner->update(support, of_member(fitted, members[c].name));
        auto one = member->left_out(target);
        if (one.error.size() != rows) continue;  // a checkpoint may lack the target
        predicting.push_back(static_cast<Index>(c));
        left_out.push_back(std::move(one));
        priors.push_back((of_prior ? prior : 1) * members[c].prior);
      }
    };
    gather(true);
    if (predicting.empty()) gather(false);
    if (predicting.empty()) continue;
    const auto width = static_cast<Index>(predicting.size());
    Said errors{Matrix(rows, width), Matrix(rows, width)};
    Vector scales(width);
    for (Index u = 0; u < width; ++u) {
      const auto& [error, variance] = left_out[static_cast<std::size_t>(u)];
      const double z_squared = error.cwiseAbs2().cwiseQuotient(variance).sum();
      scales[u] = (options.calm + z_squared) / (options.calm + static_cast<double>(rows));
      errors.mean.col(u) = error;
      errors.variance.col(u) = scales[u] * variance;
    }
    Vector shares = Eigen::Map<const Vector>(priors.data(), width);
    shares /= shares.sum();
    Vector weights = weights_of(errors, shares, options);
    weights = (weights.array() < options.smallest_weight).select(0.0, weights);
    weights /= weights.sum();

    const Vector widened = scales.cwiseMax(1);
    errors.variance *= widened.cwiseQuotient(scales).asDiagonal();
    const auto [error, variance] = combined(errors, weights, options.combination);
    predictor->left[target] = {error, variance};
    predictor->weights[target] = Vector::Zero(static_cast<Index>(members.size()));
    predictor->weights[target](predicting) = weights;
    predictor->scales[target] = Vector::Ones(static_cast<Index>(members.size()));
    predictor->scales[target](predicting) = widened;
  }
  return predictor;
}

Checkpoint checkpoint_of_members(const std::string& learner, const std::vector<MemberCheckpoint>& members) {
  Checkpoint whole;
  whole.learner = learner;
  whole.texts["trained_by"] = learner;
  whole.texts["candidates"] = hw::join(members, " ", [](const auto& member) { return member.name; });
  for (const auto& [name, part] : members) {
    for (const auto& [key, value] : part.tensors) whole.tensors[name + "/" + key] = value;
    for (const auto& [key, value] : part.numbers) whole.numbers[name + "/" + key] = value;
    for (const auto& [key, value] : part.texts) whole.texts[name + "/" + key] = value;
  }
  return whole;
}

std::vector<std::string> member_names(const Checkpoint& whole) {
  const auto pieces = hw::split(whole.text("candidates"), ' ');
  if (pieces.size() > kMostMembers || std::set(pieces.begin(), pieces.end()).size() < pieces.size())
    throw std::invalid_argument("checkpoint of " + whole.learner + ": candidates: expected at most " +
                                std::to_string(kMostMembers) + ", none of them twice");
  return {pieces.begin(), pieces.end()};
}

Checkpoint member_checkpoint(const Checkpoint& whole, const std::string& name) {
  Checkpoint part;
  part.learner = name.substr(0, name.find('.'));
  part.origin = whole.origin;
  part.tensors = of_member(whole.tensors, name);
  part.numbers = of_member(whole.numbers, name);
  part.texts = of_member(whole.texts, name);
  return part;
}

std::shared_ptr<const Learner> member_learner(const Checkpoint& whole, const std::string& name,
                                              const Registry& registry) {
  const auto part = member_checkpoint(whole, name);
  const auto& entry = registry.learners.find(part.learner);
  if (!entry.gives_uncertainty || entry.combines)
    throw std::invalid_argument("checkpoint of " + whole.learner + ": " + name + " cannot be a candidate");
  return part.texts.empty() ? make_learner(part.learner, {}, registry) : make_learner(part, {}, registry);
}

Ensemble::Ensemble(const Checkpoint& checkpoint, EnsembleOptions options, const Registry& registry)
    : options_(options) {
  const auto& named = checkpoint.text("combination");
  const auto* found = std::find_if(std::begin(kCombinations), std::end(kCombinations),
                                   [&](const auto& one) { return one.first == named; });
  if (found == std::end(kCombinations))
    throw std::invalid_argument("checkpoint of ensemble: unknown combination " + named);
  options_.combination = found->second;
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  for (const auto& name : member_names(checkpoint))
    members_.push_back({name, member_learner(checkpoint, name, registry)});
}

std::unique_ptr<const Predictor> Ensemble::update(const Samples& support, const Fitted& fitted) const {
  check_support("ensemble", support, 1);
  return combine(members_, spread_support(support), options_, fitted);
}

}  // namespace fewwatt::learners
