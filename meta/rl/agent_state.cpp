#include "meta/rl/agent_state.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "hw/numbers.hpp"
#include "meta/meta_learner.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {
namespace {

constexpr double kMostCount = 9e15;  // whole numbers that a double holds

std::int64_t count_in(const learners::Checkpoint& from, const std::string& name) {
  const double value = from.real(name, 0, kMostCount);
  if (value != std::floor(value))
    throw std::invalid_argument(from.learner + ": " + name + " must be a whole number, found " +
                                hw::number_text(value));
  return static_cast<std::int64_t>(value);
}

}  // namespace

void put_state(const AgentTrainState& state, learners::Checkpoint& into) {
  const auto put = [&](const char* name, auto value) { into.numbers[name] = {static_cast<double>(value)}; };
  put("update", state.update);
  put("validated", state.validated);
  put("steps", state.steps);
  put("episodes", state.episodes);
  put("best_update", state.best_update);
  put("not_better", state.not_better);
  if (std::isfinite(state.best_return)) put("best_return", state.best_return);
  insert(into, "agent/", state.agent);
  if (state.best_update >= 0) insert(into, "best/", state.best);
}

AgentTrainState take_state(const learners::Checkpoint& from) {
  AgentTrainState state;
  state.update = from.integer("update", 0, kMostSteps);
  state.validated = from.integer("validated", 0, state.update);
  state.steps = count_in(from, "steps");
  state.episodes = count_in(from, "episodes");
  state.best_update = from.integer("best_update", -1, state.update);
  state.not_better = from.integer("not_better", 0, state.update);
  if (from.has_number("best_return"))
    state.best_return =
        from.real("best_return", std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max());
  state.agent = extract(from, "agent/");
  if (state.best_update >= 0) state.best = extract(from, "best/");
  return state;
}

}  // namespace fewwatt::meta
