#pragma once

// What fewwatt profile says of a goal.

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "hw/power_mode.hpp"
#include "learners/optimize/search.hpp"

namespace fewwatt::profile {

// At the end, the gain is reported that measuring this many more modes would be expected to have.
inline constexpr std::size_t kMore = 10;

// A goal, and how near it is.
struct Reached {
  std::optional<learners::Answer> answer, nearest;  // nearest: where there is no answer
  double expected_gain = std::nan("");              // of kMore more
};

// For people. unit: of what one time is, "a step".
void print(std::ostream& out, const hw::PowerModeSpace& space, const learners::Goal& goal,
           const Reached& reached, const std::string& unit);
nlohmann::ordered_json to_json(const hw::PowerModeSpace& space, const learners::Goal& goal,
                               const Reached& reached);

}  // namespace fewwatt::profile
