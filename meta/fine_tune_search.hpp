#pragma once

#include <span>
#include <string>
#include <vector>

#include "learners/fine_tune.hpp"
#include "tasks/task.hpp"

namespace fewwatt::meta {

// What fine-tuning at test time is chosen from: every combination, with Adam; and where inner rates were
// learned, gradient steps with these.
struct FineTuneGrid {
  std::vector<int> steps = {50, 100, 200, 400};    // ascending
  std::vector<double> rates = {1e-3, 3e-3, 1e-2};  // of Adam
  std::vector<double> stop_rms = {0.02, 0.01, 0};  // FineTuneOptions::stop_rms
  std::vector<int> learned_rate_steps = {};        // ascending

  // rates outermost, stop_rms innermost, learned rates last
  std::vector<learners::FineTuneOptions> settings() const;
};

// Mean absolute percentage error of one target on the task's query, for each of grid.settings(): what the
// learner fine_tune would reach with it, found in one run of Adam per rate. Infinite where training diverges.
std::vector<double> try_fine_tuning(const learners::FineTuneModel& model, tasks::Target target,
                                    const tasks::Task& task, const FineTuneGrid& grid);

// The options in a few words, for a log line.
std::string describe(const learners::FineTuneOptions& options);

}  // namespace fewwatt::meta
