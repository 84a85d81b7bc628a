#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/suite.hpp"
#include "benchmarks/table_suite.hpp"
#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

// The learners of a run, trained for each split. A part of run_tables().
namespace fewwatt::benchmarks {

using Clock = std::chrono::steady_clock;        // of all times in rows
double seconds_since(Clock::time_point start);  // wall time

// Runs work(), which may be anybody's code. Returns what it throws as text, never "", or "" when it throws nothing.
template <class Work>
std::string failure_of(const Work& work) {
  try {
    work();
    return "";
  } catch (const std::exception& e) {
    return *e.what() != '\0' ? e.what() : "an exception without a message";
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

// What all parts of a run share.
struct TableRun {
  const TableSuite& suite;         // what is run
  const RunOptions& options;       // how
  const meta::Registry& registry;  // what makes learners, samplers and searches
};

// A learner of one split, ready to adapt, or what it failed with before.
struct Contestant {
  std::string name;                                  // as the suite has it
  std::shared_ptr<const learners::Learner> learner;  // nullptr where it failed
  std::optional<learners::Checkpoint> checkpoint;    // of one that needs training
  std::optional<double> train_seconds;               // of one that was trained here
  bool takes_no_rows = false;                        // learners::needs_no_rows()
  std::string failure = {};                          // "" where it did not fail
};

// A split and its learners.
struct SplitRun {
  const SplitRule* rule;                      // what is trained on and tested
  tasks::Split profiles;                      // the same as profiles
  std::vector<datasets::Profile> population;  // simulated
  std::vector<Contestant> contestants;        // of each learner of the suite, in that order
};

// Throws std::runtime_error naming a learner that is trained on more workloads than the split has.
void check_corpus(const TableRun& run, const SplitRun& split);

// Trains the contestants of all splits, or notes what they failed with. `log` gets lines for people, from any thread.
void train_all(const TableRun& run, std::vector<SplitRun>& splits, std::size_t threads,
               const std::function<void(const std::string&)>& log);

}  // namespace fewwatt::benchmarks
