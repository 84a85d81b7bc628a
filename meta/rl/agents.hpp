#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "learners/options.hpp"
#include "learners/registry.hpp"
#include "meta/rl/agent_trainer.hpp"

namespace fewwatt::meta {

// An algorithm that trains agents with nets.
struct AgentEntry {
  std::string name;                   // "ppo"
  std::string about;                  // one line
  learners::EachOption options = {};  // as they are by default
  // Throws std::invalid_argument for an unknown option or a bad one, and for environments that cannot be acted in.
  std::function<std::unique_ptr<NetTrainer>(const MakeEnvironment&, const learners::Settings&,
                                            std::uint64_t seed)>
      make = {};
  std::string error() const { return make ? "" : "it makes no agent"; }  // "" when valid
};

// What this library brings.
const learners::Named<AgentEntry>& builtin_agents();

}  // namespace fewwatt::meta
