#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tasks/environment.hpp"

namespace fewwatt::learners {

// What chooses the actions in a tasks::Environment.
class Policy {
 public:
  virtual ~Policy() = default;
  // An episode begins in which these are the actions, [n,f], as in Environment::actions(). The seed is of random choices. Throws
  // std::invalid_argument for actions that the policy is not made for.
  virtual void begin(const tasks::Matrix& actions, std::uint64_t seed) = 0;
  // The action for what is observed. `reward`: of the action before, 0 in the first step. allowed [n]: the actions that may be taken;
  // empty: all. At least one must be allowed. Throws std::invalid_argument for sizes that do not fit, std::logic_error before begin().
  virtual std::size_t act(const tasks::Vector& observation, double reward,
                          std::span<const char> allowed = {}) = 0;
};

// Policy::act()'s `allowed` for an environment: what is not spent.
inline std::vector<char> allowed_in(const tasks::Environment& environment) {
  std::vector<char> allowed(static_cast<std::size_t>(environment.actions().rows()), 1);
  for (const auto action : environment.spent()) allowed[action] = 0;
  return allowed;
}

}  // namespace fewwatt::learners
