#pragma once

// Measures one mode after the other for fewwatt profile.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/measured_workload.hpp"
#include "datasets/run_log.hpp"
#include "learners/programs/live_page.hpp"
#include "learners/programs/profile_goal.hpp"
#include "learners/programs/profile_options.hpp"

namespace fewwatt::profile {

// The result of a run.
struct Outcome {
  std::optional<Reached> reached;                    // with a goal
  std::size_t wanted = 0, measured = 0, before = 0;  // before: in the log already
  std::size_t rejected_attempts = 0;
  std::vector<std::pair<hw::PowerMode, std::string>> given_up;
  bool interrupted = false, out_of_time = false;
  std::string stopped;  // why it did not go on
};

// Measures the modes that the sampler or the search of the options asks for, until there are enough or something ends it. Each goes to the
// log and to the page of --live at once, and from time to time to the file of profiles. learner: what chooses them, where something does.
Outcome measure_modes(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const Options& options,
                      std::shared_ptr<const learners::Learner> learner, program::LivePage& live);

// The page of --live shows the run of this log, with what is in it already.
void show_run(program::LivePage& live, const datasets::RunLog& log);

}  // namespace fewwatt::profile
