#include "learners/auto.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;

class AutoPredictor final : public Predictor {
 public:
  std::vector<std::string> names;
  std::vector<std::unique_ptr<const Predictor>> candidates;
  std::array<Vector, kNumTargets> weights;  // [candidates]; [0]: not predicted
  std::array<double, kNumTargets> variance_scale{};

  // Of the logs, which are normal; a mixture's first two moments.
  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const auto n = static_cast<Eigen::Index>(modes.size());
    Prediction out{Matrix::Constant(n, kNumTargets, std::nan("")),
                   Matrix::Constant(n, kNumTargets, std::nan(""))};
    std::vector<Prediction> all;
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const bool used = std::any_of(weights.begin(), weights.end(), [&](const Vector& w) {
        return w.size() > 0 && w[static_cast<Eigen::Index>(c)] > 0;
      });
      all.push_back(used ? candidates[c]->predict(modes) : Prediction{});
    }
    for (int t = 0; t < kNumTargets; ++t) {
      if (weights[t].size() == 0) continue;
      Eigen::ArrayXd mean = Eigen::ArrayXd::Zero(n), second = mean;
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        const double w = weights[t][static_cast<Eigen::Index>(c)];
        if (w == 0) continue;
        const Eigen::ArrayXd value = all[c].mean.col(t).array();
        const Eigen::ArrayXd variance = (1 + (all[c].stddev.col(t).array() / value).square()).log();
        mean += w * value.log();
        second += w * (variance + value.log().square());
      }
      const Eigen::ArrayXd variance = variance_scale[t] * (second - mean.square()).max(0.0);
      out.mean.col(t) = mean.exp();
      out.stddev.col(t) = mean.exp() * (variance.exp() - 1).sqrt();
    }
    return out;
  }

  std::vector<Similarity> behaves_like() const override {
    for (const auto& candidate : candidates)
      if (auto like = candidate->behaves_like(); !like.empty()) return like;
    return {};
  }

  std::vector<Chosen> chosen() const override {
    std::vector<Chosen> all;
    for (std::size_t c = 0; c < names.size(); ++c) {
      Chosen one{names[c], {}};
      for (int t = 0; t < kNumTargets; ++t)
        one.weights[t] = weights[t].size() > 0 ? weights[t][static_cast<Eigen::Index>(c)] : std::nan("");
      all.push_back(std::move(one));
    }
    return all;
  }
};

// Sum over rows of the log density of each row, predicted from the others.
double log_density(const LeftOut& left_out) {
  const Eigen::ArrayXd variance = left_out.variance.array();
  return -0.5 * (left_out.error.array().square() / variance + (2 * std::numbers::pi * variance).log()).sum();
}

// The support without row `row` of rows_of(support, target).
void forget(Samples& support, tasks::Target target, Eigen::Index row) {
  const auto mode = rows_of(support, target).modes[static_cast<std::size_t>(row)];
  for (std::size_t i = 0; i < support.modes.size(); ++i)
    if (support.modes[i] == mode) support.targets(static_cast<Eigen::Index>(i), target) = std::nan("");
}

Checkpoint part_of(const Checkpoint& whole, const std::string& name) {
  Checkpoint part;
  part.learner = name;
  part.origin = whole.origin;
  const auto copy = [&](const auto& entries, auto& into) {
    for (const auto& [key, value] : entries)
      if (key.starts_with(name + "/")) into[key.substr(name.size() + 1)] = value;
  };
  copy(whole.tensors, part.tensors);
  copy(whole.numbers, part.numbers);
  copy(whole.texts, part.texts);
  return part;
}

}  // namespace

std::string AutoOptions::error() const {
  for (const double value : {temper, trained_prior, gp_prior, doubt, calm}) {
    if (!(value > 0) || !std::isfinite(value))
      return "AutoOptions: temper, trained_prior, gp_prior, doubt and calm must be > 0";
  }
  return "";
}

Checkpoint auto_checkpoint(const std::vector<Checkpoint>& candidates) {
  Checkpoint whole;
  whole.learner = "auto";
  whole.texts["trained_by"] = "auto";
  for (const auto& part : candidates) {
    whole.texts["candidates"] += (whole.texts["candidates"].empty() ? "" : " ") + part.learner;
    for (const auto& [key, value] : part.tensors) whole.tensors[part.learner + "/" + key] = value;
    for (const auto& [key, value] : part.numbers) whole.numbers[part.learner + "/" + key] = value;
    for (const auto& [key, value] : part.texts) whole.texts[part.learner + "/" + key] = value;
  }
  return whole;
}

Auto::Auto(const Checkpoint* checkpoint, AutoOptions options)
    : doubter_(std::nullopt, {.population = 1000, .kept = 200, .effective = 50, .family = false}),
      options_(options) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (checkpoint == nullptr) {
    candidates_.push_back({"sim_only", make_learner("sim_only"), 1});
  } else {
    const auto& names = checkpoint->text("candidates");
    for (std::size_t start = 0; start <= names.size();) {
      const auto end = std::min(names.find(' ', start), names.size());
      const auto name = names.substr(start, end - start);
      start = end + 1;
      if (!find_learner(name).gives_uncertainty || name == "auto")
        throw std::invalid_argument("checkpoint of auto: " + name + " cannot be a candidate");
      const bool first = candidates_.empty();
      if (first != (name == "sim_prior"))
        throw std::invalid_argument("checkpoint of auto: the first candidate must be sim_prior, found " +
                                    names);
      candidates_.push_back(
          {name, make_learner(part_of(*checkpoint, name)), first ? 1 : options_.trained_prior});
    }
  }
  candidates_.push_back({"gp", make_learner("gp"), options_.gp_prior});
}

Samples Auto::without_doubtful_rows(const Samples& given) const {
  Samples support = given;
  for (bool again = true; again;) {
    again = false;
    std::unique_ptr<const Predictor> predictor;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto rows = rows_of(support, target).modes.size(), had = rows_of(given, target).modes.size();
      if (rows < options_.doubt_from || had - rows >= std::max<std::size_t>(1, had / 10)) continue;
      if (!predictor) predictor = doubter_.adapt(support);
      const auto left_out = predictor->left_out(target);
      Eigen::Index worst = 0;
      const double z = (left_out.error.array().abs() / left_out.variance.array().sqrt()).maxCoeff(&worst);
      if (z < options_.doubt) continue;
      forget(support, target, worst);
      again = true;
    }
  }
  return support;
}

std::unique_ptr<const Predictor> Auto::adapt(const Samples& given) const {
  check_support("auto", given, 0);
  if (given.modes.empty()) return candidates_.front().learner->adapt(given);
  const Samples support = without_doubtful_rows(given);
  auto predictor = std::make_unique<AutoPredictor>();
  for (const auto& candidate : candidates_)
    predictor->candidates.push_back(candidate.learner->adapt(support));
  for (const auto& candidate : candidates_) predictor->names.push_back(candidate.name);

  for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
    const auto rows = static_cast<Eigen::Index>(rows_of(support, target).modes.size());
    if (rows == 0) continue;
    std::vector<LeftOut> left_out;
    Vector scores(static_cast<Eigen::Index>(candidates_.size()));
    for (std::size_t c = 0; c < candidates_.size(); ++c) {
      left_out.push_back(predictor->candidates[c]->left_out(target));
      const bool predicts = left_out[c].error.size() == rows;  // a checkpoint may lack the target
      auto& score = scores[static_cast<Eigen::Index>(c)];
      score = predicts ? std::log(candidates_[c].prior) : -std::numeric_limits<double>::infinity();
      if (predicts && rows > 1) score += options_.temper * log_density(left_out[c]);
    }
    Vector weights = (scores.array() - scores.maxCoeff()).exp();
    weights = (weights.array() < 0.01 * weights.sum()).select(0.0, weights);
    weights /= weights.sum();

    Eigen::ArrayXd error = Eigen::ArrayXd::Zero(rows), second = error;
    for (std::size_t c = 0; c < candidates_.size(); ++c) {
      const double w = weights[static_cast<Eigen::Index>(c)];
      if (w == 0) continue;
      error += w * left_out[c].error.array();
      second += w * (left_out[c].variance.array() + left_out[c].error.array().square());
    }
    const Eigen::ArrayXd z_squared = error.square() / (second - error.square()).max(1e-12);
    predictor->variance_scale[target] =
        std::max(1.0, (options_.calm + z_squared.sum()) / (options_.calm + static_cast<double>(rows)));
    predictor->weights[target] = std::move(weights);
  }
  return predictor;
}

}  // namespace fewwatt::learners
