#include "tests/fuzz/targets.hpp"

#include <stdexcept>

namespace fewwatt::fuzz {
namespace {

constexpr Target kTargets[] = {
    {"csv", csv},         {"ini", ini},     {"import", import},     {"tegrastats", tegrastats},
    {"run_log", run_log}, {"board", board}, {"nvpmodel", nvpmodel}, {"requests", requests},
    {"journal", journal}, {"hdf5", hdf5},   {"flat", flat},         {"objects", objects}};

}  // namespace

std::span<const Target> targets() {
  return kTargets;
}

const Target& find_target(std::string_view name) {
  for (const auto& target : kTargets)
    if (target.name == name) return target;
  throw std::invalid_argument("no fuzz target " + std::string(name));
}

}  // namespace fewwatt::fuzz
