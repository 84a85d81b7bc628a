#include "meta/rl/trial.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace fewwatt::meta {

std::unique_ptr<tasks::Environment> example_of(const MakeEnvironment& make) {
  auto environment = make ? make(0) : nullptr;
  if (environment == nullptr) throw std::invalid_argument("an agent needs an environment, found none");
  environment->reset(0);
  if (environment->actions().rows() == 0)
    throw std::invalid_argument("an agent needs an environment with an action, found none");
  return environment;
}

Trial::Trial(const MakeEnvironment& make, const PolicyShape& shape, std::uint64_t seed, std::uint64_t number,
             int episodes)
    : Trial(make, shape, seed, number, episodes, number) {}

Trial::Trial(const MakeEnvironment& make, const PolicyShape& shape, std::uint64_t seed, std::uint64_t number,
             int episodes, std::uint64_t world)
    : shape_(&shape),
      environment_(make(hw::Rng::stream(seed, "environment", world).bits())),
      seed_(seed),
      number_(number),
      episodes_(episodes),
      last_action_(Vector::Zero(shape.action_features)) {
  begin_episode();
  const auto found =
      policy_shape(*environment_, shape.hidden, shape.activation, shape.memory, shape.with_values);
  const auto check = [](const char* what, int expected, int got) {
    if (expected != got)
      throw std::invalid_argument("environment: expected " + std::to_string(expected) + " " + what +
                                  ", found " + std::to_string(got));
  };
  check("entries of an observation", shape.observation, found.observation);
  check("features of an action", shape.action_features, found.action_features);
  check("fixed actions", shape.actions, found.actions);
}

void Trial::begin_episode() {
  constexpr std::uint64_t kMostEpisodes = std::uint64_t{1} << 20;  // of a trial
  const auto index = number_ * kMostEpisodes + static_cast<std::uint64_t>(episode_);
  observation_ = environment_->reset(hw::Rng::stream(seed_, "episode", index).bits());
  const auto& actions = environment_->actions();
  const bool same = actions_ != nullptr && actions_->rows() == actions.rows() && *actions_ == actions;
  if (!environment_->fixed_actions() && !same) actions_ = std::make_shared<const Matrix>(actions);
  taken_.clear();
  return_ = 0;
}

std::size_t Trial::num_actions() const {
  return static_cast<std::size_t>(environment_->actions().rows());
}

std::vector<std::size_t> Trial::spent() const {
  const auto now = environment_->spent();
  return {now.begin(), now.end()};
}

Vector Trial::memory_inputs() const {
  Vector all(shape_->memory_inputs());
  all << observation_, last_action_, last_reward_, goes_on_;
  return all;
}

tasks::Step Trial::step(std::size_t action) {
  if (over()) throw std::logic_error("Trial: step() after its end");
  if (action >= num_actions())
    throw std::out_of_range("Trial: action " + std::to_string(action) + " of " +
                            std::to_string(num_actions()));
  last_action_ = environment_->actions().row(static_cast<Eigen::Index>(action)).transpose();
  auto step = environment_->step(action);
  taken_.push_back(action);
  return_ += step.reward;
  last_reward_ = step.reward;
  goes_on_ = step.ended() ? 0 : 1;
  observation_ = step.observation;
  if (step.ended() && ++episode_ < episodes_) begin_episode();
  return step;
}

void Trial::go_to(int episode, std::span<const std::size_t> actions, const EachStep& each) {
  if (episode < 0 || episode >= episodes_)
    throw std::invalid_argument("Trial: episode must be in [0, " + std::to_string(episodes_ - 1) +
                                "], found " + std::to_string(episode));
  episode_ = episode;
  begin_episode();
  for (const auto action : actions) {
    const Vector before = observation_;
    if (action >= num_actions()) throw std::invalid_argument("Trial: the state is of another environment");
    const auto one = step(action);
    if (episode_ != episode) throw std::invalid_argument("Trial: the state is of another environment");
    each(before, action, one);
  }
}

}  // namespace fewwatt::meta
