#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::datasets {

// One line of NVIDIA's tegrastats, of JetPack 4 to 7. What a line does not say is NaN or empty.
struct TegrastatsLine {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  std::map<std::string, double> rails_mw;  // by name; the momentary value, never tegrastats' own average
  std::map<std::string, double> temperatures_c;  // by sensor; sensors that are off (-256 C) are left out
  std::vector<double> cpu_loads_pct;             // per core; NaN = core is off
  std::vector<double> gr3d_mhz;                  // one per GPC, or one
  double gr3d_pct = kUnknown;
  double emc_pct = kUnknown;
  double emc_mhz = kUnknown;
};

// nullopt when `line` is no tegrastats line.
std::optional<TegrastatsLine> parse_tegrastats_line(std::string_view line);

// A log's mean per rail over its lines.
struct TegrastatsLog {
  std::size_t lines = 0;
  std::map<std::string, double> rails_mw;
};

// A last line cut short (by killing tegrastats) does not count. Throws DataError naming the file and the
// line: unreadable, no line at all, a line that is not tegrastats', or that has other rails than the first.
TegrastatsLog read_tegrastats(const std::string& path);

}  // namespace fewwatt::datasets
