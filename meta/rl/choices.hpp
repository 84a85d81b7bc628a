#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tasks/environment.hpp"

namespace fewwatt::meta {

// The actions of an environment, [a,f], shared by all that happens in it; null where each action has an output of the net.
using ActionSet = std::shared_ptr<const tasks::Matrix>;

// What may be chosen from in each of n situations, for a net that scores actions one by one.
struct Choices {
  std::vector<ActionSet> sets;  // each once, equal ones too; empty where each action has an output of the net
  std::vector<std::int64_t> set_of;  // [n], of each situation; empty like `sets`
  // [n] actions of each situation that may not be taken (Environment::spent()); empty: none at all.
  std::vector<std::vector<std::size_t>> spent;

  Choices() = default;
  // of_rows [n]; all of them null or none
  explicit Choices(std::span<const ActionSet> of_rows, std::vector<std::vector<std::size_t>> spent_of = {});
};

}  // namespace fewwatt::meta
