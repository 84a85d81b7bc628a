#pragma once

#include <string>
#include <vector>

#include "benchmarks/external/process.hpp"
#include "datasets/ini.hpp"
#include "meta/registry.hpp"

namespace fewwatt::benchmarks {

// A program of others that stands in the tables beside what this library brings: a section of a suite of tables,
//   [external forest]
//   kind = learner           or meta-learner, which is trained once per split, or search
//   command = python3 ../peers/peer.py forest
//                            program and arguments, without quotes; it runs in the suite's folder
//   timeout_s = 600          after so many seconds without an answer it is not asked any more, and has failed
// It is started when it is first needed, once for each thread that needs it. docs/peers.md says which lines it gets and answers.
struct External {
  // What it is among ours.
  enum class Kind { learner, meta_learner, search };
  std::string name;         // in the suite's learners or searches
  Kind kind;                // what it is
  ExternalCommand command;  // how it is started
};

// What the section [external NAME] of the suite file `suite` says. Throws datasets::DataError.
External parse_external(const datasets::IniSection& section, const std::string& suite);

// The registry and these. All copies of it share their processes, which end with the last one. Starts nothing. Throws
// std::invalid_argument for a name that is there already or cannot be one.
meta::Registry with_externals(const std::vector<External>& externals, const meta::Registry& registry);

}  // namespace fewwatt::benchmarks
