#include "meta/rl/agent_training.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fewwatt::meta {
namespace {

// What is told of how training goes on; nothing of it goes into a state.
class Reporter {
 public:
  Reporter(const AgentTrainHooks& hooks, const AgentTrainOptions& options, const AgentTrainState& at)
      : hooks_(hooks), first_update_(at.update), first_step_(at.steps) {
    now_.updates = options.updates;
  }

  void updated(const UpdateReport& report, const AgentTrainState& at) {
    now_.loss = report.loss;
    now_.validation_return = std::numeric_limits<double>::quiet_NaN();
    recent_.insert(recent_.end(), report.returns.begin(), report.returns.end());
    while (recent_.size() > kRecentEpisodes) recent_.pop_front();
    tell(at);
  }
  void validated(double found, const AgentTrainState& at) {
    now_.validation_return = found;
    tell(at);
  }

 private:
  void tell(const AgentTrainState& at) {
    if (!hooks_.progress) return;
    now_.update = at.update;
    now_.steps = at.steps;
    now_.episodes = at.episodes;
    if (!recent_.empty())
      now_.mean_return =
          std::accumulate(recent_.begin(), recent_.end(), 0.0) / static_cast<double>(recent_.size());
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count() + 1e-9;
    now_.steps_per_second = static_cast<double>(at.steps - first_step_) / seconds;
    now_.seconds_left = seconds / std::max(1, at.update - first_update_) * (now_.updates - at.update);
    hooks_.progress(now_);
  }

  const AgentTrainHooks& hooks_;
  int first_update_;
  std::int64_t first_step_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::deque<double> recent_;
  AgentProgress now_;
};

void keep(AgentTrainState& at, learners::Checkpoint snapshot, double found) {
  at.best = std::move(snapshot);
  at.best_update = at.update;
  at.best_return = found;
  at.not_better = 0;
}

// Validates, and keeps the snapshot if it is the best. Throws Interrupted.
void look_at(const AgentTrainer& agent, const ReturnOf& validate, const StopCheck& interrupted,
             Reporter& reporter, AgentTrainState& at) {
  auto snapshot = agent.snapshot();
  if (!validate) {
    keep(at, std::move(snapshot), -std::numeric_limits<double>::infinity());
  } else {
    const double found = validate(snapshot, interrupted);
    if (std::isfinite(found) && found > at.best_return)
      keep(at, std::move(snapshot), found);
    else
      ++at.not_better;
    reporter.validated(found, at);
  }
  at.validated = at.update;
}

}  // namespace

std::string AgentTrainOptions::error() const {
  if (updates < 0) return "AgentTrainOptions: updates must be >= 0, got " + std::to_string(updates);
  if (validate_every < 1)
    return "AgentTrainOptions: validate_every must be >= 1, got " + std::to_string(validate_every);
  if (patience < 0) return "AgentTrainOptions: patience must be >= 0, got " + std::to_string(patience);
  if (std::isnan(enough)) return "AgentTrainOptions: enough must be a number, got nan";
  return "";
}

AgentTrainSummary train_agent(AgentTrainer& agent, const ReturnOf& validate, const AgentTrainOptions& options,
                              const AgentTrainHooks& hooks, const AgentTrainState* from) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  AgentTrainState at;
  if (from != nullptr) {
    at = *from;
    agent.set_state(at.agent);
  }
  Reporter reporter(hooks, options, at);
  const auto save = [&] {
    if (!hooks.save) return;
    at.agent = agent.state();
    hooks.save(at);
  };
  AgentTrainSummary summary;
  const auto run = [&] {
    for (;;) {
      const bool due = at.update == options.updates || at.update % options.validate_every == 0;
      if (at.update > at.validated && due) {
        look_at(agent, validate, hooks.interrupted, reporter, at);
        save();
      }
      if (at.update >= options.updates || at.best_return >= options.enough) return Stop::finished;
      if (options.patience > 0 && at.not_better >= options.patience) return Stop::patience;
      throw_if_told(hooks.interrupted);
      const auto report = agent.update();
      ++at.update;
      at.steps += static_cast<std::int64_t>(report.steps);
      at.episodes += static_cast<std::int64_t>(report.returns.size());
      reporter.updated(report, at);
    }
  };
  try {
    summary.stop = run();
  } catch (const Interrupted&) {
    summary.stop = Stop::interrupted;
    save();
  } catch (const Diverged& e) {
    if (at.best_update < 0) throw;
    summary.stop = Stop::diverged;
    summary.message = e.what();
  }
  summary.updates = at.update;
  summary.steps = at.steps;
  summary.episodes = at.episodes;
  if (at.best_update < 0 && at.not_better > 0)
    throw Diverged("no snapshot has a finite validation return, after " + std::to_string(at.update) +
                   " updates");
  const bool last_counts = summary.stop == Stop::interrupted && (at.best_update < 0 || !validate);
  if (at.update > 0 && last_counts) keep(at, agent.snapshot(), at.best_return);
  summary.best_update = at.best_update;
  summary.best_return = at.best_return;
  summary.best = std::move(at.best);
  return summary;
}

}  // namespace fewwatt::meta
