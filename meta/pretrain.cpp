#include "meta/pretrain.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "hw/random.hpp"
#include "tasks/task_source.hpp"

namespace fewwatt::meta {
namespace {

using tasks::Matrix;
using tasks::Vector;
using Net = learners::Mlp<float>;
using Rows = std::vector<Eigen::Index>;

// max / min of a target; 0 when the profile lacks it.
double range_of(const datasets::Profile& profile, tasks::Target target) {
  const auto rows = learners::rows_of(tasks::samples_of(profile), target);
  return rows.modes.empty() ? 0 : rows.values.maxCoeff() / rows.values.minCoeff();
}

// nullptr when no profile has the target.
const datasets::Profile* widest(std::span<const datasets::Profile> training, tasks::Target target) {
  const datasets::Profile* found = nullptr;
  double range = 0;
  for (const auto& profile : training) {
    if (const double r = range_of(profile, target); r > range) {
      range = r;
      found = &profile;
    }
  }
  return found;
}

constexpr std::size_t kReferenceShots[] = {10, 50};
constexpr std::uint64_t kReferenceDraws = 3;
// So many profiles are tried as reference, and learned from each, so that the choice does not grow with the square of the profiles.
constexpr std::size_t kMostTried = 8;

// All, or kMostTried from the narrowest to the widest time range, evenly; the widest is one of them.
std::vector<const datasets::Profile*> tried(std::span<const datasets::Profile> training) {
  std::vector<const datasets::Profile*> all;
  for (const auto& profile : training) all.push_back(&profile);
  if (all.size() <= kMostTried) return all;
  std::stable_sort(all.begin(), all.end(), [](const auto* a, const auto* b) {
    return range_of(*a, tasks::kTimeMs) < range_of(*b, tasks::kTimeMs);
  });
  std::vector<const datasets::Profile*> some;
  for (std::size_t i = 0; i < kMostTried; ++i) some.push_back(all[i * (all.size() - 1) / (kMostTried - 1)]);
  return some;
}

// Mean log time error, over draws and shots, of learning `target` by transfer; nullopt when it has too few
// modes.
std::optional<double> transfer_error(const learners::Transfer& transfer, const datasets::Profile& target,
                                     std::uint64_t seed) {
  double sum = 0;
  int count = 0;
  for (const auto shots : kReferenceShots) {
    if (target.modes.size() <= shots) continue;
    for (std::uint64_t draw = 0; draw < kReferenceDraws; ++draw) {
      auto rng =
          hw::Rng::stream(seed, "reference " + target.device + "/" + target.workload, shots * 100 + draw);
      const auto task = tasks::sample_task(target, shots, rng);
      const Vector predicted =
          transfer.adapt(task.support)->predict(task.query.modes).median().col(tasks::kTimeMs);
      const Vector measured = task.query.targets.col(tasks::kTimeMs);
      sum += std::log(((predicted - measured).array().abs() / measured.array()).mean());
      ++count;
    }
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

Vector z_scores(const Vector& values) {
  const double mean = values.mean(), stddev = std::sqrt((values.array() - mean).square().mean());
  return (values.array() - mean) / (stddev > 0 ? stddev : 1.0);
}

// The weights after the epoch with the lowest loss on held-out rows.
Vector train_net(const Net::Matrix& x, const Net::Matrix& y, const PretrainOptions& options, hw::Rng& rng,
                 float& best_loss) {
  const auto& recipe = options.recipe;
  const auto shape = learners::published_shape(static_cast<int>(x.cols()));
  Net net(shape, learners::random_parameters(shape, rng).cast<float>());
  Rows order(static_cast<std::size_t>(x.rows()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  rng.shuffle(order);
  const auto split = order.begin() + std::max<std::ptrdiff_t>(1, x.rows() / 10);
  const Rows held(order.begin(), split);
  const Rows kept(split, order.end());
  const Net::Matrix held_x = x(held, Eigen::all), held_y = y(held, Eigen::all);

  const Net::Matrix kept_x = x(kept, Eigen::all), kept_y = y(kept, Eigen::all);
  Net::Flat best = net.parameters();
  best_loss = std::numeric_limits<float>::infinity();
  learners::Adam<float> adam(best.size(), static_cast<float>(recipe.rate));
  for (int epoch = 0; epoch < recipe.epochs; ++epoch) {
    throw_if_told(options.interrupted);
    learners::train_epoch(net, adam, 0, kept_x, kept_y, recipe.batch, rng);
    const float loss = (net.forward(held_x) - held_y).squaredNorm() / static_cast<float>(held_y.size());
    if (loss < best_loss) {
      best_loss = loss;
      best = net.parameters();
    }
  }
  return best.cast<double>();
}

}  // namespace

void PretrainOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", recipe.epochs, 1, kMostSteps, "number of epochs on the reference workload");
  on.real("rate", recipe.rate, 1e-9, 1e3, "learning rate of Adam");
  on.whole("batch", recipe.batch, 1, 1'000'000, "number of rows in a minibatch");
}

const datasets::Profile& choose_reference(std::span<const datasets::Profile> training,
                                          const PretrainOptions& options,
                                          const std::function<void(const std::string&)>& log) {
  if (training.empty()) throw std::invalid_argument("choose_reference: no profile to choose from");
  if (const auto* found = widest(training, tasks::kPowerW)) return *found;
  const auto* found = widest(training, tasks::kTimeMs);
  if (found == nullptr) throw std::invalid_argument("choose_reference: no profile has a time or a power");
  if (training.size() < 3) return *found;

  const auto some = tried(training);
  const auto n = static_cast<Eigen::Index>(some.size());
  Matrix errors = Matrix::Constant(n, n, std::nan(""));  // [reference, target]
  for (Eigen::Index r = 0; r < n; ++r) {
    const learners::Transfer transfer(pretrain(*some[static_cast<std::size_t>(r)], options));
    for (Eigen::Index t = 0; t < n; ++t) {
      if (t == r) continue;
      throw_if_told(options.interrupted);
      if (const auto error = transfer_error(transfer, *some[static_cast<std::size_t>(t)], options.seed)) {
        errors(r, t) = *error;
      }
    }
  }
  // Targets differ in how hard they are; what counts is how a reference does against the others on the same
  // target.
  Vector scores = Vector::Zero(n);
  for (Eigen::Index t = 0; t < n; ++t) {
    const auto known = !errors.col(t).array().isNaN();
    if (!known.any()) continue;
    const double mean = known.select(errors.col(t).array(), 0.0).sum() / static_cast<double>(known.count());
    scores += known.select(errors.col(t).array() - mean, 0.0).matrix();
  }
  Eigen::Index best = 0;
  scores.minCoeff(&best);
  if (log)
    log("reference chosen among " + std::to_string(n) +
        (some.size() < training.size() ? " of " + std::to_string(training.size()) : std::string()) +
        " training workloads: " + some[static_cast<std::size_t>(best)]->workload);
  return *some[static_cast<std::size_t>(best)];
}

learners::TransferModel pretrain(const datasets::Profile& reference, const PretrainOptions& options,
                                 const std::function<void(const std::string&)>& log) {
  learners::TransferModel model;
  model.log_targets = options.log_targets;
  model.knobs = learners::roles_text(*reference.space);
  model.reference = reference.device + "/" + reference.workload;
  const auto samples = tasks::samples_of(reference);
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    const auto rows = learners::rows_of(samples, static_cast<tasks::Target>(t));
    if (rows.modes.empty()) continue;
    if (rows.modes.size() < 2) {
      throw std::invalid_argument("pretrain: " + model.reference + " has one " + tasks::kTargetNames[t] +
                                  ", needs at least 2");
    }
    const Matrix raw = learners::encode(learners::FeatureSet::raw, *rows.space, rows.modes);
    const auto inputs = learners::Scaler::fit(raw);
    const Vector y = z_scores(options.log_targets ? Vector(rows.values.array().log()) : rows.values);
    auto rng = hw::Rng::stream(options.seed, "pretrain", static_cast<std::uint64_t>(t));
    float loss = 0;
    model.targets[t] = {train_net(inputs(raw).cast<float>(), y.cast<float>(), options, rng, loss), inputs};
    if (log) {
      log("reference " + model.reference + ", " + tasks::kTargetNames[t] + ": held-out loss " +
          std::to_string(loss) + " of the z-scored target");
    }
  }
  return model;
}

}  // namespace fewwatt::meta
