#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>

#include "hw/random.hpp"
#include "tasks/environment.hpp"

namespace fewwatt::tests {

// Five states in a row. An action goes one to the left or to the right; the right end gives 1 and terminates the episode, every other
// step costs 0.1, and the episode is cut off after 12 steps. What is observed is the state, as 1 among zeros.
class Chain final : public tasks::Environment {
 public:
  static constexpr int kStates = 5, kMostSteps = 12;
  // The mean return of going right, from each of the first four states alike.
  static constexpr double kBest = 1 - 0.1 * (0 + 1 + 2 + 3) / 4;

  explicit Chain(bool fixed) : fixed_(fixed) {}
  std::size_t observation_size() const override { return kStates; }
  const tasks::Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return fixed_; }
  tasks::Vector reset(std::uint64_t seed) override {
    at_ = static_cast<int>(hw::Rng::stream(seed, "chain").below(kStates - 1));
    steps_ = 0;
    return observed();
  }
  tasks::Step step(std::size_t action) override {
    at_ = std::max(0, at_ + (action == 1 ? 1 : -1));
    tasks::Step step{.observation = observed(), .reward = -0.1};
    if (at_ == kStates - 1) step.reward = 1;
    step.terminated = at_ == kStates - 1;
    step.truncated = !step.terminated && ++steps_ == kMostSteps;
    return step;
  }

 private:
  tasks::Vector observed() const { return tasks::Vector::Unit(kStates, at_); }

  bool fixed_;
  tasks::Matrix actions_ = (tasks::Matrix(2, 1) << -1, 1).finished();
  int at_ = 0, steps_ = 0;
};

// Some numbers in [-1, 1], of which one is to be chosen that is near the one observed; each environment has other numbers, from 2 to 5
// of them. The reward is minus the distance. Four choices are an episode, which is then cut off.
class Nearest final : public tasks::Environment {
 public:
  explicit Nearest(std::uint64_t seed) {
    auto rng = hw::Rng::stream(seed, "numbers");
    actions_.resize(2 + static_cast<Eigen::Index>(rng.below(4)), 1);
    for (Eigen::Index i = 0; i < actions_.rows(); ++i) actions_(i, 0) = rng.uniform(-1, 1);
  }
  std::size_t observation_size() const override { return 1; }
  const tasks::Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return false; }
  tasks::Vector reset(std::uint64_t seed) override {
    rng_ = hw::Rng::stream(seed, "wanted");
    steps_ = 0;
    return wanted_ = draw();
  }
  tasks::Step step(std::size_t action) override {
    tasks::Step step;
    step.reward = -std::abs(actions_(static_cast<Eigen::Index>(action), 0) - wanted_[0]);
    step.truncated = ++steps_ == 4;
    step.observation = wanted_ = draw();
    return step;
  }
  // The reward of the best action.
  double best() const { return -(actions_.array() - wanted_[0]).abs().minCoeff(); }

 private:
  tasks::Vector draw() { return tasks::Vector::Constant(1, rng_.uniform(-1, 1)); }

  tasks::Matrix actions_;
  hw::Rng rng_{0};
  tasks::Vector wanted_;
  int steps_ = 0;
};

// Two arms, one of which gives 1 with probability 0.9, the other with 0.1: which one is a matter of the environment, and nothing that is
// observed tells. An episode is `pulls` choices.
class Arms final : public tasks::Environment {
 public:
  Arms(std::uint64_t seed, int pulls) : good_(hw::Rng::stream(seed, "arm").below(2)), pulls_(pulls) {}
  std::size_t observation_size() const override { return 1; }
  const tasks::Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return true; }
  tasks::Vector reset(std::uint64_t seed) override {
    rng_ = hw::Rng::stream(seed, "luck");
    steps_ = 0;
    return tasks::Vector::Ones(1);
  }
  tasks::Step step(std::size_t action) override {
    tasks::Step step{.observation = tasks::Vector::Ones(1)};
    step.reward = rng_.uniform() < (action == good_ ? 0.9 : 0.1) ? 1 : 0;
    step.terminated = ++steps_ == pulls_;
    return step;
  }

 private:
  std::size_t good_;
  int pulls_, steps_ = 0;
  tasks::Matrix actions_ = tasks::Matrix::Identity(2, 2);
  hw::Rng rng_{0};
};

}  // namespace fewwatt::tests
