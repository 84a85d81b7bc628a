#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "meta/registry.hpp"

namespace fewwatt::benchmarks {

// How a suite is run.
struct RunOptions {
  std::uint64_t seed = 0;        // of the draws and of training
  std::size_t threads = 0;       // number of threads; 0 = as many as the machine has cores
  std::size_t shown_shots = 10;  // of tables: figures show the number of shots that is nearest to this
  std::string data_root = ".";   // folder of the measured profiles; see Suite::needs_data()
};

// What is told while a suite runs; each may be empty.
struct Progress {
  // Called from the running threads, one call at a time.
  std::function<void(std::size_t done, std::size_t all)> jobs;
  std::function<void(const std::string&)> log;  // lines for people
  // Lines for people who want to read nothing but results and errors, too.
  std::function<void(const std::string&)> warn = {};
};

// What a run gives.
struct Outputs {
  std::string rows;                    // rows.jsonl: a line for each row, as to_jsonl() writes it
  std::string csv;                     // table.csv
  std::string markdown;                // table.md
  std::string html;                    // report.html
  std::vector<Failure> failures = {};  // of learners; the others went on
};

// A key of a suite that can be set after the suite was read.
struct SuiteKey {
  std::string name;  // as in the file: "learners"
  // Takes a value as the file has it. Throws std::invalid_argument saying what was expected and what was found.
  std::function<void(const std::string& text)> set;
};

// A benchmark that was read from a file: what all kinds of suites have in common.
class Suite {
 public:
  virtual ~Suite() = default;
  virtual const std::string& name() const = 0;  // in rows and reports
  // The keys that can be set. They refer to this suite.
  virtual std::vector<SuiteKey> keys() = 0;
  // Called once all keys are set. Throws where they do not go together: std::invalid_argument, "KEY: what is wrong", or
  // datasets::DataError naming the file.
  virtual void check() const {}
  virtual bool needs_data() const { return false; }  // whether RunOptions::data_root is used
  // Runs the suite. The same suite and seed give the same rows, but for clocks, with any number of threads. Provenance::options_json is
  // filled in here. Throws std::runtime_error, or datasets::DataError for bad profiles.
  virtual Outputs run(const RunOptions& options, Provenance provenance,
                      const Progress& progress = {}) const = 0;
};

// Reads a suite of any kind: that of its key `kind`, or `tables` without one. Learners, samplers and searches are the registry's, which
// must outlive the suite. Throws datasets::DataError naming the file, section and key, what is expected and what stands there.
std::unique_ptr<Suite> read_suite(const std::string& path, const meta::Registry& registry = meta::builtin());

}  // namespace fewwatt::benchmarks
