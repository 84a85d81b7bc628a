#pragma once

#include <cmath>
#include <memory>
#include <numbers>
#include <stdexcept>

#include "hw/random.hpp"
#include "tasks/environment.hpp"

namespace fewwatt::tests {

// CartPole-v1 of Gymnasium: a pole on a cart that is pushed to the left (0) or to the right (1) 50 times a second (Barto, Sutton and
// Anderson 1983). Each step gives 1. An episode is terminated when the pole leans by more than 12 degrees or the cart is more than
// 2.4 m away, and cut off after 500 steps.
class CartPole final : public tasks::Environment {
 public:
  static constexpr int kMostSteps = 500;

  std::size_t observation_size() const override { return 4; }
  const tasks::Matrix& actions() const override { return actions_; }
  bool fixed_actions() const override { return true; }

  tasks::Vector reset(std::uint64_t seed) override {
    auto rng = hw::Rng::stream(seed, "cartpole");
    for (auto& value : state_) value = rng.uniform(-0.05, 0.05);
    steps_ = 0;
    running_ = true;
    return state_;
  }

  // Goes to where position and velocity of the cart, angle and angular velocity of the pole are these: m, m/s, rad, rad/s.
  void place(const Eigen::Vector4d& state) { state_ = state; }

  tasks::Step step(std::size_t action) override {
    if (!running_) throw std::logic_error("CartPole: step() without an episode");
    if (action > 1) throw std::out_of_range("CartPole: no such action");
    constexpr double kGravity = 9.8, kCart = 1.0, kPole = 0.1, kTotal = kCart + kPole;  // m/s^2, kg
    constexpr double kLength = 0.5, kForce = 10, kSeconds = 0.02;  // half the pole's, m; N; s
    constexpr double kFarthest = 2.4, kLargest = 12 * std::numbers::pi / 180;
    const double force = action == 1 ? kForce : -kForce;
    const double sine = std::sin(state_[2]), cosine = std::cos(state_[2]);
    const double push = (force + kPole * kLength * state_[3] * state_[3] * sine) / kTotal;
    const double of_pole =
        (kGravity * sine - cosine * push) / (kLength * (4.0 / 3.0 - kPole * cosine * cosine / kTotal));
    const double of_cart = push - kPole * kLength * of_pole * cosine / kTotal;
    state_ += kSeconds * Eigen::Vector4d(state_[1], of_cart, state_[3], of_pole);
    tasks::Step step{.observation = state_, .reward = 1};
    step.terminated = std::abs(state_[0]) > kFarthest || std::abs(state_[2]) > kLargest;
    step.truncated = !step.terminated && ++steps_ >= kMostSteps;
    running_ = !step.ended();
    return step;
  }

 private:
  tasks::Matrix actions_ = (tasks::Matrix(2, 1) << -1, 1).finished();
  Eigen::Vector4d state_ = Eigen::Vector4d::Zero();
  int steps_ = 0;
  bool running_ = false;
};

inline std::unique_ptr<tasks::Environment> make_cartpole(std::uint64_t) {
  return std::make_unique<CartPole>();
}

}  // namespace fewwatt::tests
