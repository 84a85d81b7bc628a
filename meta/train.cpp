#include "meta/train.hpp"

#include <cmath>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/registry.hpp"

namespace fewwatt::meta {

std::string TrainOptions::error() const {
  const auto below = [](const char* field, int value, int least) {
    return value >= least ? std::string()
                          : "TrainOptions: " + std::string(field) + " must be >= " + std::to_string(least) +
                                ", got " + std::to_string(value);
  };
  for (const auto& error : {below("steps", steps, 0), below("meta_batch", meta_batch, 1),
                            below("validate_every", validate_every, 1)}) {
    if (!error.empty()) return error;
  }
  return "";
}

double validation_error(const learners::Learner& learner, std::span<const tasks::Task> tasks) {
  double sum_log = 0;
  int count = 0;
  for (const auto& task : tasks) {
    const auto predicted = learner.adapt(task.support)->predict(task.query.modes).mean;
    for (int t = 0; t < tasks::kNumTargets; ++t) {
      if (!task.support.has(static_cast<tasks::Target>(t))) continue;
      double sum = 0;
      int known = 0;
      for (Eigen::Index i = 0; i < predicted.rows(); ++i) {
        const double measured = task.query.targets(i, t);
        if (std::isnan(measured)) continue;
        const double error = std::abs(predicted(i, t) - measured) / measured;
        sum += std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
        ++known;
      }
      if (known == 0) continue;
      sum_log += std::log(100 * sum / known + 1e-9);
      ++count;
    }
  }
  if (count == 0) throw std::invalid_argument("validation_error: no task has a known value to predict");
  return std::exp(sum_log / count);
}

TrainSummary train(MetaLearner& learner, const tasks::TaskSource& source,
                   std::span<const tasks::Task> validation, const TrainOptions& options,
                   const std::function<void(const Progress&)>& progress) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  TrainSummary summary;
  summary.steps = 0;
  while (summary.steps < options.steps) {
    auto rng = hw::Rng::stream(options.seed, "training tasks", static_cast<std::uint64_t>(summary.steps));
    const auto batch = source.next(static_cast<std::size_t>(options.meta_batch), rng);
    Progress now;
    now.loss = learner.step(batch).loss;
    now.step = ++summary.steps;
    const bool last = summary.steps == options.steps;
    if (!validation.empty() && (last || summary.steps % options.validate_every == 0)) {
      auto snapshot = learner.snapshot();
      now.validation_error = validation_error(*learners::make_learner(snapshot), validation);
      if (summary.best_step < 0 || now.validation_error < summary.best_error) {
        summary.best_step = summary.steps;
        summary.best_error = now.validation_error;
        summary.best = std::move(snapshot);
      }
    }
    if (progress) progress(now);
  }
  if (summary.best_step < 0) {
    summary.best_step = summary.steps;
    summary.best = learner.snapshot();
  }
  return summary;
}

}  // namespace fewwatt::meta
