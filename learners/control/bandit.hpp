#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/random.hpp"
#include "learners/control/controller.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

// How a bandit chooses.
enum class BanditRule {
  linucb,  // the largest  theta' x + alpha sqrt(x' A^-1 x)   (Li et al. 2010, algorithm 1, with one theta for all arms)
  thompson  // the largest  w' x,  w ~ N(theta, spread^2 A^-1)   (Agrawal & Goyal 2013, algorithm 1)
};
inline constexpr std::array<std::pair<std::string_view, BanditRule>, 2> kBanditRules = {
    {{"linucb", BanditRule::linucb}, {"thompson", BanditRule::thompson}}};

// How a LinearBandit learns and chooses.
struct BanditOptions {
  BanditRule rule = BanditRule::linucb;  // linucb goes by alpha, thompson by spread
  // Rewards are O(1), in units of the reference mode's time: 1 explores as far as they reach.
  double alpha = 1;
  double spread = 0.25;  // thompson: factor of the standard deviations of w
  double l2 = 1;         // A = l2 I + sum x x'
  double lambda = 10;    // of the reward, tasks::ModeMdpOptions
  // Modes that it chooses among, drawn at random where the space has more.
  std::size_t pool = 2000;
  std::uint64_t seed = 0;        // of the pool and of what is drawn
  void each(OptionVisitor& on);  // all but rule and seed
  std::string error() const;     // "" when valid
};

// What a linear bandit knows of a mode, [n,d]: 1, the log settings z of all knobs, each scaled to [-1, 1] over its levels, and all z_i z_j.
Matrix bandit_features(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);

// A contextual bandit whose arms are modes. The reward r of a measurement, tasks::mode_worth() in its scaled form, is taken as linear in the
// features x of the mode: theta = A^-1 sum r x over all measurements. Rewards of earlier measurements are those under the present budget.
// It measures the lowest mode first, whose time is the unit of time, and ends when no measurement is left.
class LinearBandit final : public Controller {
 public:
  // Throws std::invalid_argument for options.error().
  LinearBandit(std::shared_ptr<const hw::PowerModeSpace> space, BanditOptions options);
  std::optional<hw::PowerMode> next(const Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<Answer> answer() override { return measured_.fastest(budget_w_); }

 private:
  struct Row {
    Vector x;
    hw::Measurement known;
  };
  std::shared_ptr<const hw::PowerModeSpace> space_;
  BanditOptions options_;
  hw::Rng rng_;
  std::vector<hw::PowerMode> modes_;  // the arms
  Matrix arms_;                       // [n,d]
  std::vector<Row> rows_;             // what was measured
  Matrix a_;                          // A
  MeasuredModes measured_;
  double reference_ms_, budget_w_ = tasks::kNoBudget;
};

}  // namespace fewwatt::learners
