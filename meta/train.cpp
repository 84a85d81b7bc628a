#include "meta/train.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "learners/registry.hpp"
#include "meta/options_error.hpp"

namespace fewwatt::meta {

std::string TrainOptions::error() const {
  return OptionsError("TrainOptions")
      .at_least("steps", steps, 0)
      .at_least("meta_batch", meta_batch, 1)
      .at_least("validate_every", validate_every, 1)
      .at_least("patience", patience, 0)
      .text();
}

double validation_error(const learners::Learner& learner, std::span<const tasks::Task> tasks,
                        const StopCheck& interrupted) {
  double sum_log = 0;
  int count = 0;
  for (const auto& task : tasks) {
    throw_if_told(interrupted);
    const auto predicted = learner.adapt(task.support)->predict(task.query.modes).median();
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

double query_error(const learners::Learner& learner, tasks::Target target, const tasks::Task& task) {
  const auto query = learners::rows_of(task.query, target);
  const tasks::Vector predicted = learner.adapt(task.support)->predict(query.modes).median().col(target);
  const double error = 100 * ((predicted - query.values).cwiseAbs().array() / query.values.array()).mean();
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

Validation validation_on(std::vector<tasks::Task> tasks, const learners::Registry& registry) {
  if (tasks.empty()) return {};
  return [tasks = std::move(tasks), &registry](const learners::Checkpoint& snapshot,
                                               const StopCheck& interrupted) {
    return validation_error(*learners::make_learner(snapshot, {}, registry), tasks, interrupted);
  };
}

std::string_view to_string(Stop stop) {
  switch (stop) {
    case Stop::finished:
      return "finished";
    case Stop::patience:
      return "patience";
    case Stop::interrupted:
      return "interrupted";
    case Stop::diverged:
      return "diverged";
  }
  return "";
}

TrainSummary train(MetaLearner& learner, const tasks::EpisodeSource& source, const Validation& validate,
                   const TrainOptions& options, const TrainHooks& hooks, const TrainState* from) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  TrainState at;
  if (from != nullptr) {
    at = *from;
    learner.set_state(at.learner);
  }
  const auto save = [&] {
    if (!hooks.save) return;
    at.learner = learner.state();
    hooks.save(at);
  };
  const auto keep = [&](learners::Checkpoint snapshot, double error) {
    at.best = std::move(snapshot);
    at.best_step = at.step;
    at.best_error = error;
    at.not_better = 0;
  };

  TrainSummary summary;
  while (at.step < options.steps) {
    if (options.patience > 0 && at.not_better >= options.patience) {
      summary.stop = Stop::patience;
      break;
    }
    if (hooks.interrupted && hooks.interrupted()) {
      summary.stop = Stop::interrupted;
      save();
      break;
    }
    const auto batch =
        source.batch(static_cast<std::uint64_t>(at.step), static_cast<std::size_t>(options.meta_batch));
    // Where to go on when the validation is interrupted: before the update, which is then done again.
    const bool due = at.step + 1 == options.steps || (at.step + 1) % options.validate_every == 0;
    const auto before = due && validate ? learner.state() : learners::Checkpoint();
    Progress now;
    try {
      now.loss = learner.step(batch).loss;
    } catch (const Diverged& e) {
      if (at.best_step < 0) throw;
      summary.stop = Stop::diverged;
      summary.message = e.what();
      break;
    }
    now.step = ++at.step;
    now.steps = options.steps;
    if (due) {
      auto snapshot = learner.snapshot();
      if (!validate) {
        keep(std::move(snapshot), -1);
      } else {
        try {
          now.validation_error = validate(snapshot, hooks.interrupted);
        } catch (const Interrupted&) {
          learner.set_state(before);
          --at.step;
          summary.stop = Stop::interrupted;
          save();
          break;
        }
        if (now.validation_error <
            (at.best_step < 0 ? std::numeric_limits<double>::infinity() : at.best_error)) {
          keep(std::move(snapshot), now.validation_error);
        } else {
          ++at.not_better;
        }
      }
    }
    if (hooks.progress) hooks.progress(now);
    if (due) save();
  }
  summary.steps = at.step;
  if (at.best_step < 0 && at.not_better > 0)
    throw Diverged("no snapshot has a finite validation error, after " + std::to_string(at.step) + " steps");
  const bool trained = at.step > 0 || summary.stop != Stop::interrupted;
  const bool last_counts = !validate && summary.stop == Stop::interrupted;
  if (trained && (at.best_step < 0 || last_counts)) keep(learner.snapshot(), -1);
  summary.best_step = at.best_step;
  summary.best_error = at.best_error;
  summary.best = std::move(at.best);
  return summary;
}

}  // namespace fewwatt::meta
