#pragma once

// The files that fewwatt view shows, as parts of a page.

#include <cstddef>
#include <string>

#include "hw/power_mode.hpp"
#include "learners/programs/page.hpp"

namespace fewwatt::view {

// How files are read.
struct ReadAs {
  std::string board;  // whose presets are shown; "": those of a known board of the device's name
  std::size_t max_modes = hw::kMostModes;  // greatest number of modes of a device
};

// Adds what a file holds: a model, each profile of a file of profiles, a log of profile or govern, rows of bench. Throws
// datasets::DataError naming the file where it is none of these, or damaged.
void add_file(Page& page, const std::string& path, const ReadAs& as);

}  // namespace fewwatt::view
