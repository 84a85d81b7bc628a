#include "learners/control/tabular.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;

constexpr std::size_t kMostPlanning = 10'000;
// Of tables: some hundred MB.
constexpr std::size_t kMostPairs = 10'000'000;

double power_of_visits(std::size_t visits, double decay) {
  return std::pow(static_cast<double>(visits), -decay);
}

std::size_t states_of(const tasks::Environment& environment) {
  const auto states = environment.num_states();
  if (!states)
    throw std::invalid_argument("a table of values needs an environment whose states can be counted");
  return *states;
}

}  // namespace

void TabularOptions::each(OptionVisitor& on) {
  on.real("discount", discount, 0, 0.9999, "gamma: what a reward one step later counts");
  on.real("rate_decay", rate_decay, 0, 1, "d of the learning rate n^-d after n visits");
  on.real("epsilon", epsilon, 0, 1, "probability of a random action at first");
  on.real("epsilon_decay", epsilon_decay, 0, 1, "d of epsilon n^-d after n visits");
  on.real("least_epsilon", least_epsilon, 0, 1, "probability of a random action, at least");
  on.whole("planning", planning, 0, static_cast<std::int64_t>(kMostPlanning),
           "steps of Dyna-Q after each real one");
}

std::string TabularOptions::error() const {
  const auto out_of = [](const char* name, const char* bounds, double found) {
    return std::string("TabularOptions: ") + name + " must be in " + bounds + ", got " +
           std::to_string(found);
  };
  if (!(discount >= 0 && discount < 1)) return out_of("discount", "[0, 1)", discount);
  if (!(rate_decay >= 0 && rate_decay <= 1)) return out_of("rate_decay", "[0, 1]", rate_decay);
  if (!(epsilon >= 0 && epsilon <= 1)) return out_of("epsilon", "[0, 1]", epsilon);
  if (!(epsilon_decay >= 0 && epsilon_decay <= 1)) return out_of("epsilon_decay", "[0, 1]", epsilon_decay);
  if (!(least_epsilon >= 0 && least_epsilon <= 1)) return out_of("least_epsilon", "[0, 1]", least_epsilon);
  if (planning > kMostPlanning) return out_of("planning", "[0, 10000]", static_cast<double>(planning));
  return "";
}

TabularAgent::TabularAgent(std::size_t states, std::size_t actions, TabularOptions options)
    : options_(options), rng_(hw::Rng::stream(options.seed, "tabular agent")) {
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
  if (states == 0 || actions == 0)
    throw std::invalid_argument("TabularAgent: needs a state and an action at least");
  if (states > kMostPairs / actions)
    throw std::invalid_argument("TabularAgent: expected at most " + std::to_string(kMostPairs) +
                                " pairs of state and action, found " + std::to_string(states) + " x " +
                                std::to_string(actions));
  values_ = tasks::Matrix::Zero(static_cast<Index>(states), static_cast<Index>(actions));
  seen_.resize(states * actions);
  visits_.resize(states);
}

std::size_t TabularAgent::best(std::size_t state) const {
  Index action = 0;
  values_.row(static_cast<Index>(state)).maxCoeff(&action);
  return static_cast<std::size_t>(action);
}

std::size_t TabularAgent::explore(std::size_t state) {
  const auto visits = ++visits_[state];
  const double epsilon =
      std::max(options_.least_epsilon, options_.epsilon * power_of_visits(visits, options_.epsilon_decay));
  if (rng_.uniform() < epsilon) return rng_.below(static_cast<std::size_t>(values_.cols()));
  return best(state);
}

void TabularAgent::update(std::size_t state, std::size_t action, double reward, std::size_t next,
                          bool terminated, double rate) {
  auto& value = values_(static_cast<Index>(state), static_cast<Index>(action));
  const double after = terminated ? 0 : options_.discount * values_.row(static_cast<Index>(next)).maxCoeff();
  value += rate * (reward + after - value);
}

void TabularAgent::model(Seen& seen, double reward, std::size_t next, bool terminated) {
  seen.reward += (reward - seen.reward) / static_cast<double>(seen.count);
  const std::pair outcome(next, terminated);
  auto found =
      std::find_if(seen.next.begin(), seen.next.end(), [&](const auto& one) { return one.first == outcome; });
  if (found == seen.next.end()) found = seen.next.insert(found, {outcome, 0});
  ++found->second;
  if (found->second > seen.next.front().second) std::swap(*found, seen.next.front());
}

void TabularAgent::plan() {
  const auto actions = static_cast<std::size_t>(values_.cols());
  for (std::size_t i = 0; i < options_.planning; ++i) {
    const auto pair = tried_[rng_.below(tried_.size())];
    const auto& seen = seen_[pair];
    const auto& [next, terminated] = seen.next.front().first;
    update(pair / actions, pair % actions, seen.reward, next, terminated, 1);
  }
}

void TabularAgent::learn(std::size_t state, std::size_t action, double reward, std::size_t next,
                         bool terminated) {
  if (!std::isfinite(reward)) return;
  const auto pair = state * static_cast<std::size_t>(values_.cols()) + action;
  auto& seen = seen_[pair];
  if (++seen.count == 1 && options_.planning > 0) tried_.push_back(pair);
  update(state, action, reward, next, terminated, power_of_visits(seen.count, options_.rate_decay));
  if (options_.planning == 0) return;
  model(seen, reward, next, terminated);
  plan();
}

EpisodeReport learn_episode(TabularAgent& agent, tasks::Environment& environment, std::uint64_t seed) {
  environment.reset(seed);
  const auto states = states_of(environment);
  const auto& values = agent.values();
  if (values.rows() != static_cast<Index>(states) || values.cols() != environment.actions().rows())
    throw std::invalid_argument("TabularAgent: made for " + std::to_string(values.rows()) + " states and " +
                                std::to_string(values.cols()) + " actions, the environment has " +
                                std::to_string(states) + " and " +
                                std::to_string(environment.actions().rows()));
  EpisodeReport report;
  for (bool ended = false; !ended; ++report.steps) {
    const auto state = environment.state();
    const auto action = agent.explore(state);
    const auto step = environment.step(action);
    agent.learn(state, action, step.reward, environment.state(), step.terminated);
    report.undiscounted += step.reward;
    ended = step.ended();
  }
  return report;
}

TabularAgent tabular_agent(const tasks::Environment& environment, const TabularOptions& options) {
  return {states_of(environment), static_cast<std::size_t>(environment.actions().rows()), options};
}

}  // namespace fewwatt::learners
