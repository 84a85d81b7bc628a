#pragma once

// What fewwatt profile measures, as fewwatt view and --live show it.

#include <vector>

#include "datasets/run_log.hpp"
#include "learners/programs/page.hpp"

namespace fewwatt::view {

Json known(double value);                             // a number, or null where it is not known
Json knobs_json(const std::vector<hw::Knob>& knobs);  // [{"role", "levels"}]

// A part of kind "run" of what a log's header says, without its space and steps.
Json run_part(const datasets::RunHeader& header);
// An attempt as a step of such a part, without its row in the space.
Json run_step(const datasets::RunRecord& record);
// The title of such a part.
std::string run_title(const datasets::RunHeader& header);

}  // namespace fewwatt::view
