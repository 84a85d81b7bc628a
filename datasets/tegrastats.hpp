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

// One line of NVIDIA's tegrastats, of JetPack 4 to 7. What a line does not say is NaN or empty.
struct TegrastatsLine {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  std::map<std::string, double> rails_mw;  // by name; the momentary value, never tegrastats' own average
  std::set<std::string> twice;  // rails that stand there more than once: nobody knows which one is meant
  bool ends_in_rail = false;    // as whole lines do
  std::map<std::string, double> temperatures_c;  // by sensor; sensors that are off (-256 C) are left out
  std::vector<double> cpu_loads_pct;             // per core; NaN = core is off
  std::vector<double> gr3d_mhz;                  // one per GPC, or one
  double gr3d_pct = kUnknown;
  double emc_pct = kUnknown;
  double emc_mhz = kUnknown;
};

// nullopt when `line` is no tegrastats line, or made of pieces of two.
std::optional<TegrastatsLine> parse_tegrastats_line(std::string_view line);

// A log's mean per rail over the lines that have it.
struct TegrastatsLog {
  std::size_t lines = 0;    // that count
  std::size_t skipped = 0;  // cut, torn or no line of tegrastats, blank ones aside
  std::map<std::string, double> rails_mw;
  std::map<std::string, std::size_t> rail_lines;  // how many of the lines have the rail
  std::set<std::string> twice;                    // rails that a line has more than once, not in rails_mw
};

// Lines may differ by rails. One that does not end in a rail where another does is cut, and so is a last one without a line end
// that lacks a rail of the line before: tegrastats was killed. Throws DataError naming the file and the line: unreadable, no
// line at all, or where more than half of the lines are none of tegrastats or have no rail.
TegrastatsLog read_tegrastats(const std::string& path);

}  // namespace fewwatt::datasets
