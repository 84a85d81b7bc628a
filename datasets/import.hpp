#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/mapping.hpp"
#include "datasets/profile.hpp"

namespace fewwatt::datasets {

// What an import has read and left out.
struct ImportReport {
  // A profile that was made.
  struct Imported {
    std::string device, workload;  // its name
    std::size_t modes = 0;         // number of its modes
    std::size_t left_out =
        0;  // number of modes without a time in a profile that has times, or without any value
  };
  // A value that seems to be in another unit.
  struct Odd {
    std::string device, workload;     // name of the profile
    hw::PowerMode mode;               // where it was measured
    Metric metric = Metric::time_ms;  // what it is
    std::string why;                  // a sentence that says so
  };
  std::size_t files = 0;           // number of files that were read
  std::size_t skipped_files = 0;   // number of files in folders that no [file] section fits
  std::size_t rows = 0;            // number of rows that were read
  std::size_t duplicates = 0;      // number of rows that say the same as an earlier one
  std::size_t repeated = 0;        // number of rows that measure a mode of an earlier row again
  std::size_t comments = 0;        // number of comment lines of CSV files
  std::size_t skipped_lines = 0;   // number of lines of logs that are cut, torn, or not of tegrastats
  std::vector<Imported> profiles;  // in the order of the store
  std::vector<Odd> odd;            // with ImportOptions::leave_odd; otherwise odd values are refused
  std::vector<std::string>
      notices;  // sentences for the user: clocks taken for levels, names of the mapping that fit nothing
};

// Options besides the mapping.
struct ImportOptions {
  // Where the mapping names no board and the knobs are the same: clocks that are nearly levels of this space become these levels, and
  // others are refused.
  std::shared_ptr<const hw::PowerModeSpace> levels;
  std::string levels_of;  // name of that space
  // The expected time_ms or power_w of a mode, NaN where it is not known. Where it is known for all modes, values are compared with it
  // and not with each other.
  std::function<double(const hw::PowerMode&, Metric)> expected = nullptr;
  // Keep a mode's only value although it seems to be in another unit, and report it in ImportReport::odd.
  bool leave_odd = false;
};

// Makes profiles of files as the mapping says. An input is a file, which must fit a [file] section, or a folder, from which all fitting
// files are taken, at any depth. Throws DataError naming file, line and column.
ProfileStore import_profiles(const Mapping& mapping, const std::vector<std::string>& inputs,
                             ImportReport* report = nullptr, const ImportOptions& options = {});

}  // namespace fewwatt::datasets
