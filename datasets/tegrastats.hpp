#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::datasets {

// One line of NVIDIA's tegrastats, of JetPack 4 to 7. A number that the line lacks is NaN or empty.
struct TegrastatsLine {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();  // not in the line

  std::map<std::string, double> rails_mw;  // by name: the present value, not the average beside it
  std::set<std::string> twice;             // rails that the line has more than once, which are ambiguous
  bool ends_in_rail = false;               // true for a whole line
  std::map<std::string, double> temperatures_c;  // by sensor; sensors that are off (-256 C) are left out
  std::vector<double> cpu_loads_pct;             // per core; NaN = core is off
  std::vector<double> gr3d_mhz;                  // one per GPC, or one
  double gr3d_pct = kUnknown;                    // load of the GPU
  double emc_pct = kUnknown;                     // load of the memory
  double emc_mhz = kUnknown;                     // clock of the memory
};

// What a line says; nullopt when it is no line of tegrastats, or made of pieces of two lines.
std::optional<TegrastatsLine> parse_tegrastats_line(std::string_view line);

// A log of tegrastats.
struct TegrastatsLog {
  std::size_t lines = 0;    // number of lines that count
  std::size_t skipped = 0;  // number of lines that are cut, torn or not of tegrastats; without blank ones
  std::map<std::string, double> rails_mw;         // mean of each rail over the lines that have it
  std::map<std::string, std::size_t> rail_lines;  // number of lines that have the rail
  std::set<std::string> twice;                    // rails that some line has more than once; not in rails_mw
};

// Reads a log. Its lines need not have the same rails. A line that does not end in a rail, where others do, is cut; so is a last line
// without a line end that lacks a rail of the line before, because tegrastats was killed. Throws DataError naming the file and the
// line: unreadable, no line at all, or more than half of the lines are not of tegrastats or have no rail.
TegrastatsLog read_tegrastats(const std::string& path);

}  // namespace fewwatt::datasets
