#pragma once

#include <string>

#include "learners/options.hpp"

namespace fewwatt::learners {

// Takes out those of a part, whose keys begin with its prefix: "search.pool" with "search.".
inline Settings take_part(Settings& settings, const std::string& prefix) {
  Settings part;
  for (const auto& [key, value] : settings)
    if (key.starts_with(prefix)) part[key] = value;
  std::erase_if(settings, [&](const auto& one) { return one.first.starts_with(prefix); });
  return part;
}

}  // namespace fewwatt::learners
