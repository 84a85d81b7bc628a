#pragma once

// Options of an algorithm as --list-options tells them. Include it from programs only.

#include <string>

#include "hw/program.hpp"
#include "learners/options.hpp"

namespace fewwatt::program {

inline OptionList option_list(const std::string& name, const std::string& about,
                              const learners::EachOption& each) {
  OptionList list{name, about, {}};
  for (const auto& option : learners::options_of(each))
    list.options.push_back({option.name, option.value, option.about, option.allowed});
  return list;
}

}  // namespace fewwatt::program
