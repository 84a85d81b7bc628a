#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "benchmarks/rows.hpp"
#include "benchmarks/runner.hpp"

// What suites of made-up tasks have in common: sinusoid and literature.
namespace fewwatt::benchmarks {

// Of the errors of two test tasks or more.
struct MeanError {
  double mean = 0;  // over tasks
  double ci95 = 0;  // 1.96 standard errors of it; as the mean where that is not finite
};
MeanError mean_error(std::span<const double> errors);

std::string figure(const char* format, double value);         // one number as printf has it, or ∞
std::string csv_figure(double value);                         // with six digits, or inf
std::string counted(std::size_t n, const std::string& noun);  // "1 step", "5 steps"

// One figure of a suite.
struct EpisodeFigure {
  std::string suite, workload, learner;  // names
  std::size_t shots = 0;                 // support rows
  std::string metric;                    // its name
  double value = 0;                      // in `unit`
  std::string unit;                      // of the value
  double seconds = 0;                    // that training took
};
// Its line in rows.jsonl, as to_jsonl() has them; with the number of gradient steps among the options where there is one.
std::string to_jsonl(const EpisodeFigure& row, std::optional<std::size_t> steps,
                     const Provenance& provenance);

// What a job tells of itself while others run.
class JobReport {
 public:
  // Shared by the jobs of a run.
  struct Run {
    const Progress& progress;  // what is told
    std::size_t jobs = 0;      // that there are
    std::mutex mutex = {};     // of `done`, and of calls of progress
    std::size_t done = 0;      // parts of all jobs
  };
  explicit JobReport(Run& run) : run_(run) {}  // the run must outlive it
  void done(double share);                     // of the job, in [0, 1]; never less than before
  void log(const std::string& line);           // for people

 private:
  Run& run_;
  std::size_t parts_ = 0;
};
// Runs job(i) for i = 0 to n - 1 on options.threads threads. Throws what the first job that fails throws.
void run_reporting(std::size_t n, const RunOptions& options, const Progress& progress,
                   const std::function<void(std::size_t, JobReport&)>& job);

}  // namespace fewwatt::benchmarks
