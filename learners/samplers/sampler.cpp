#include "learners/samplers/sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/encode.hpp"
#include "learners/gp.hpp"
#include "learners/physics.hpp"
#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;

// Similarity exp(-|a_i - b_j|^2 / 2).
Matrix similarity(const Matrix& a, const Matrix& b) {
  Matrix squared = -2 * a * b.transpose();
  squared.colwise() += a.rowwise().squaredNorm();
  squared.rowwise() += b.rowwise().squaredNorm().transpose();
  return (-0.5 * squared.array().max(0.0)).exp().matrix();
}

// What a sampler chooses by: a score for each mode of the pool, which changes as modes are taken.
class Criterion {
 public:
  virtual ~Criterion() = default;
  virtual Vector scores() const = 0;
  virtual void take(Index) {}
};

// The score is a mode's variance, or how much measuring the mode reduces all variances.
class VarianceCriterion final : public Criterion {
 public:
  VarianceCriterion(std::vector<LogCovariance> targets, bool reduction, Vector weights = {})
      : of_(std::move(targets), std::move(weights)), reduction_(reduction) {}
  Vector scores() const override { return reduction_ ? of_.gains() : of_.variances(); }
  void take(Index j) override { of_.measure(j); }

 private:
  VarianceReduction of_;
  bool reduction_;
};

// The score is the expected squared error of the logs; it falls around modes that were taken.
class ErrorCriterion final : public Criterion {
 public:
  ErrorCriterion(Vector errors, Matrix similar) : errors_(std::move(errors)), similar_(std::move(similar)) {}
  Vector scores() const override { return errors_; }
  void take(Index j) override { errors_.array() *= 1 - similar_.col(j).array(); }

 private:
  Vector errors_;
  Matrix similar_;
};

// How much each mode matters to a search for the fastest mode within some power limit. cost [n, targets]: predicted time and power.
Vector front_weights(const Matrix& cost) {
  constexpr double kLeast = 0.05, kSharpness = 10;
  Vector weights = Vector::Ones(cost.rows());
  if (!cost.allFinite()) return weights;
  std::vector<Index> by_power(static_cast<std::size_t>(cost.rows()));
  std::iota(by_power.begin(), by_power.end(), Index{0});
  std::sort(by_power.begin(), by_power.end(), [&](Index a, Index b) {
    return std::pair(cost(a, tasks::kPowerW), cost(a, tasks::kTimeMs)) <
           std::pair(cost(b, tasks::kPowerW), cost(b, tasks::kTimeMs));
  });
  double front = std::numeric_limits<double>::infinity();
  for (const auto i : by_power) {
    const double time = cost(i, tasks::kTimeMs);
    front = std::min(front, time);
    weights[i] = kLeast + std::pow(front / time, kSharpness);
  }
  return weights;
}

// A sampler that chooses from a random part of the space, by what was measured so far.
class PoolSampler final : public tasks::ModeSampler {
 public:
  enum class Kind { alc, alc_cost, alc_front, uncertainty, diversity, error_based };

  PoolSampler(Kind kind, std::shared_ptr<const hw::PowerModeSpace> space,
              std::shared_ptr<const Learner> learner, SamplerOptions options)
      : kind_(kind), space_(std::move(space)), learner_(std::move(learner)), options_(std::move(options)) {
    order_ = hw::Rng::stream(options_.seed, "sampler/pool").sample(space_->size(), space_->size());
    const auto pool = std::min(options_.pool, order_.size());
    for (std::size_t i = 0; i < pool; ++i) pool_.push_back(space_->at(order_[i]));
    criterion_ = kind_ == Kind::diversity
                     ? std::make_unique<VarianceCriterion>(features_similarity(), false)
                     : std::make_unique<VarianceCriterion>(
                           std::vector<LogCovariance>{design_covariance(*space_, pool_)}, true);
  }

  std::optional<hw::PowerMode> ask() override {
    if (kind_ != Kind::diversity && told_.size() >= options_.designed && told_.size() >= next_adapt_) adapt();
    const Vector scores = criterion_->scores();
    std::optional<Index> best;
    double best_score = 0;
    for (Index i = 0; i < scores.size(); ++i) {
      const auto& mode = pool_[static_cast<std::size_t>(i)];
      if (asked_.contains(mode)) continue;
      const double score = kind_ == Kind::alc_cost && last_ ? scores[i] / seconds(i) : scores[i];
      if (!best || score > best_score) {
        best = i;
        best_score = score;
      }
    }
    if (!best) return beyond_the_pool();
    criterion_->take(*best);
    return asked(pool_[static_cast<std::size_t>(*best)]);
  }

  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override {
    asked_.insert(mode);
    const auto known = [](double value) { return std::isfinite(value) && value > 0; };
    if (m.throttled || (!known(m.time_ms) && !known(m.power_w)) || !space_->index_of(mode)) return;
    const double none = std::nan("");
    told_[mode] = {known(m.time_ms) ? m.time_ms : none, known(m.power_w) ? m.power_w : none};
  }

 private:
  std::optional<hw::PowerMode> asked(const hw::PowerMode& mode) {
    asked_.insert(mode);
    last_ = mode;
    return mode;
  }

  std::optional<hw::PowerMode> beyond_the_pool() {
    for (; next_beyond_ < order_.size(); ++next_beyond_)
      if (const auto mode = space_->at(order_[next_beyond_]); !asked_.contains(mode)) return asked(mode);
    return std::nullopt;
  }

  double seconds(Index i) const {
    return options_.cost.seconds(*space_, *last_, pool_[static_cast<std::size_t>(i)],
                                 times_ms_.size() > 0 ? times_ms_[i] : 0);
  }

  // Adapts the learner, and sets when to do so next: after a fifth more measurements.
  void adapt() {
    Samples support{
        space_, {}, Matrix(static_cast<Index>(told_.size()), tasks::kNumTargets), options_.characteristics};
    for (const auto& [mode, values] : told_) {
      support.targets.row(static_cast<Index>(support.modes.size())) << values[0], values[1];
      support.modes.push_back(mode);
    }
    next_adapt_ = told_.size() + std::max<std::size_t>(1, told_.size() / 5);
    auto predictor = learner_->adapt(support);
    auto covariance = covariances(*predictor, pool_);
    if (covariance.empty()) {
      predictor = Gp().adapt(support);
      covariance = covariances(*predictor, pool_);
    }
    if (kind_ == Kind::alc_cost) {
      times_ms_ = predictor->predict(pool_).median().col(tasks::kTimeMs);
      if (!times_ms_.allFinite()) times_ms_.setZero();
    }
    if (kind_ == Kind::error_based)
      criterion_ = std::make_unique<ErrorCriterion>(expected_errors(*predictor, support), pool_similarity());
    else
      criterion_ = std::make_unique<VarianceCriterion>(
          std::move(covariance), kind_ != Kind::uncertainty,
          kind_ == Kind::alc_front ? front_weights(predictor->predict(pool_).median()) : Vector());
  }

  Matrix pool_similarity() const {
    const auto scaler = Scaler::fit(log_settings(*space_, space_->modes()));
    const Matrix z = scaler(log_settings(*space_, pool_));
    return similarity(z, z);
  }

  std::vector<LogCovariance> features_similarity() const {
    const Matrix x = encode(FeatureSet::physical, *space_, pool_);
    Matrix z = Scaler::fit(x)(x);
    z /= std::sqrt(static_cast<double>(z.cols()) / static_cast<double>(space_->knobs().size()));
    return {{similarity(z, z), kDesignNoise * kDesignNoise}};
  }

  // For each mode of the pool, summed over targets: the squared errors with which measured modes are predicted from the others,
  // averaged by their similarity to the mode, and less where the mode is itself near a measured one; plus the variance among what
  // several learners predict.
  Vector expected_errors(const Predictor& predictor, const Samples& support) const {
    const auto scaler = Scaler::fit(log_settings(*space_, space_->modes()));
    const Matrix near =
        similarity(scaler(log_settings(*space_, pool_)), scaler(log_settings(*space_, support.modes)));
    const std::array<std::unique_ptr<const Predictor>, 2> others = {Gp().adapt(support),
                                                                    Physics().adapt(support)};
    Vector sum = Vector::Zero(near.rows());
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      if (!support.has(target)) continue;
      Matrix logs(near.rows(), 3);
      logs.col(0) = predictor.predict(pool_).log_mean.col(target);
      for (std::size_t i = 0; i < others.size(); ++i)
        logs.col(static_cast<Index>(i) + 1) = others[i]->predict(pool_).log_mean.col(target);
      sum += (logs.colwise() - logs.rowwise().mean().eval()).rowwise().squaredNorm() / 2;
      const auto left_out = predictor.left_out(target);
      if (left_out.error.size() != near.cols()) continue;
      const Vector weight = near.rowwise().sum().array() + 1e-6;
      const Vector distance = 1 - near.rowwise().maxCoeff().array();
      sum += (near * left_out.error.cwiseAbs2()).cwiseQuotient(weight).cwiseProduct(distance);
    }
    return sum;
  }

  Kind kind_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::shared_ptr<const Learner> learner_;
  SamplerOptions options_;
  std::vector<std::size_t> order_;  // all modes in random order; the pool comes first
  Modes pool_;
  std::map<hw::PowerMode, std::array<double, tasks::kNumTargets>> told_;
  std::set<hw::PowerMode> asked_;
  std::unique_ptr<Criterion> criterion_;
  Vector times_ms_;  // [pool], predicted; [0] before
  std::optional<hw::PowerMode> last_;
  std::size_t next_adapt_ = 0, next_beyond_ = 0;
};

using Kind = PoolSampler::Kind;
struct PoolEntry {
  std::string_view name, about;
  Kind kind;
  bool needs_learner = true;
};
constexpr std::array<PoolEntry, 6> kPoolEntries = {
    {{"alc", "modes that most reduce the predicted variance of all modes", Kind::alc},
     {"alc-cost", "the same per second of measuring", Kind::alc_cost},
     {"alc-front", "the same of modes that may be the fastest within some power limit", Kind::alc_front},
     {"uncertainty", "the largest predicted variance", Kind::uncertainty},
     {"diversity", "modes that are least like each other", Kind::diversity, false},
     {"error-based", "the largest error that is expected", Kind::error_based}}};

}  // namespace

std::string MeasuringCost::error() const {
  for (const double value : {settle_s, units, cores_s, memory_s})
    if (!(value >= 0) || !std::isfinite(value)) return "MeasuringCost: all numbers must be >= 0";
  return settle_s > 0 || units > 0 ? "" : "MeasuringCost: settle_s or units must be > 0";
}

double MeasuringCost::seconds(const hw::PowerModeSpace& space, const hw::PowerMode& before,
                              const hw::PowerMode& mode, double time_ms) const {
  double sum = settle_s + units * time_ms / 1000;
  for (const auto& [role, seconds] :
       {std::pair{hw::KnobRole::cpu_cores, cores_s}, std::pair{hw::KnobRole::mem_khz, memory_s}})
    if (const auto knob = space.knob_with(role); knob && before[*knob] != mode[*knob]) sum += seconds;
  return sum;
}

std::string SamplerOptions::error() const {
  if (designed == 0) return "SamplerOptions: designed must be > 0";
  if (pool == 0) return "SamplerOptions: pool must be > 0";
  return cost.error();
}

VarianceReduction::VarianceReduction(std::vector<LogCovariance> targets, Vector weights)
    : targets_(std::move(targets)), weights_(std::move(weights)) {
  if (targets_.empty()) throw std::invalid_argument("VarianceReduction: needs a covariance");
  if (weights_.size() == 0) weights_.setOnes(targets_.front().latent.rows());
}

Vector VarianceReduction::gains() const {
  Vector sum = Vector::Zero(targets_.front().latent.rows());
  for (const auto& [p, noise] : targets_) {
    const double total = weights_.dot(p.diagonal());
    if (!(total > 0)) continue;
    sum.array() +=
        (p.cwiseAbs2() * weights_).array() / ((p.diagonal().array().max(0.0) + noise + 1e-12) * total);
  }
  return sum;
}

Vector VarianceReduction::variances() const {
  Vector sum = Vector::Zero(targets_.front().latent.rows());
  for (const auto& target : targets_)
    if (const double trace = target.latent.trace(); trace > 0) sum += target.latent.diagonal() / trace;
  return sum;
}

void VarianceReduction::measure(Index j) {
  for (auto& [p, noise] : targets_) {
    const Vector column = p.col(j);
    p.noalias() -= column * (column / (std::max(column[j], 0.0) + noise + 1e-12)).transpose();
  }
}

std::vector<SamplerEntry> builtin_samplers() {
  std::vector<SamplerEntry> all;
  for (const auto& one : tasks::model_free_samplers())
    all.push_back({.name = std::string(one.name),
                   .about = std::string(one.about),
                   .make = [make = one.make](const auto& space, const auto&, const SamplerOptions& options) {
                     return make(*space, options.planned, options.seed);
                   }});
  for (const auto& entry : kPoolEntries)
    all.push_back({.name = std::string(entry.name),
                   .about = std::string(entry.about),
                   .needs_learner = entry.needs_learner,
                   .make = [kind = entry.kind](auto space, auto learner, const SamplerOptions& options) {
                     return std::make_unique<PoolSampler>(kind, std::move(space), std::move(learner),
                                                          options);
                   }});
  return all;
}

std::unique_ptr<tasks::ModeSampler> make_sampler(std::string_view name,
                                                 std::shared_ptr<const hw::PowerModeSpace> space,
                                                 std::shared_ptr<const Learner> learner,
                                                 const SamplerOptions& options, const Registry& registry) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  const auto& entry = registry.samplers.find(name);
  if (!learner && entry.needs_learner)
    throw std::invalid_argument("sampler " + entry.name + " needs a learner");
  auto sampler = entry.make(std::move(space), std::move(learner), options);
  if (!sampler) throw std::invalid_argument("sampler " + entry.name + " was not made");
  return sampler;
}

std::vector<LogCovariance> covariances(const Predictor& predictor, std::span<const hw::PowerMode> modes) {
  std::vector<LogCovariance> known;
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (auto one = predictor.covariance(target, modes); one.latent.size() > 0)
      known.push_back(std::move(one));
  return known;
}

LogCovariance design_covariance(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  const Matrix z = Scaler::fit(log_settings(space, space.modes()))(log_settings(space, modes));
  return {similarity(z, z), kDesignNoise * kDesignNoise};
}

}  // namespace fewwatt::learners
