#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/mapping.hpp"
#include "datasets/profile.hpp"

namespace fewwatt::datasets {

struct ImportReport {
  struct Imported {
    std::string device, workload;
    std::size_t modes = 0;
    std::size_t left_out = 0;  // modes without a time in a profile that has times, or without any value
  };
  // A value that seems to be in another unit, and the sentence that says so.
  struct Odd {
    std::string device, workload;
    hw::PowerMode mode;
    Metric metric = Metric::time_ms;
    std::string why;
  };
  std::size_t files = 0;
  std::size_t skipped_files = 0;  // of folders: no [file] section fits
  std::size_t rows = 0;
  std::size_t duplicates = 0;     // rows that said again what an earlier one had said
  std::size_t repeated = 0;       // rows that measured a mode of an earlier one again
  std::size_t comments = 0;       // lines of CSV files that begin with # and the like
  std::size_t skipped_lines = 0;  // of logs: cut, torn, or none of tegrastats
  std::vector<Imported> profiles;
  std::vector<Odd> odd;  // with ImportOptions::leave_odd; else they are refused
  std::vector<std::string>
      notices;  // sentences for the user: clocks taken for levels, names of the mapping that nothing has
};

// What a mapping does not say.
struct ImportOptions {
  // Clocks that are nearly levels of this space become these, others are refused; where the mapping names no board and the
  // knobs are the same.
  std::shared_ptr<const hw::PowerModeSpace> levels;
  std::string levels_of;  // what it is called
  // What a mode's time_ms or power_w is expected to be, NaN where that is not known. Where all are known, values are judged by
  // that and not by one another.
  std::function<double(const hw::PowerMode&, Metric)> expected = nullptr;
  // Where a mode's only value seems to be in another unit, that is left to who reads the profile.
  bool leave_odd = false;
};

// Makes profiles of files as the mapping says. An input is a file, which a [file] section must fit, or a
// folder, of which those files are taken that one fits, at any depth. Throws DataError naming file, line and
// column.
ProfileStore import_profiles(const Mapping& mapping, const std::vector<std::string>& inputs,
                             ImportReport* report = nullptr, const ImportOptions& options = {});

}  // namespace fewwatt::datasets
