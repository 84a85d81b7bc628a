#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "benchmarks/runner.hpp"
#include "benchmarks/svg.hpp"
#include "benchmarks/table.hpp"

// The figures of a report, as HTML with SVG.
namespace fewwatt::benchmarks::figures {

using Colour = std::function<std::string(const std::string& learner)>;  // "#rrggbb"

// A metric against the number of measured modes: medians and quartiles, averaged over workloads; "" where there is nothing to draw. `all`
// are the tables of the report, for label().
std::string against_shots(const Table& table, std::span<const Table> all, bool log, const Colour& colour);

// Where a panel is drawn: its upper left corner, and its size.
struct Place {
  double x, y, width, height;  // in the units of the drawing
};

// A figure of n panels, up to four to a row, rows as equal as can be: panel(i, Place) draws one. The figure is left open, for a
// caption.
template <class Panel>
std::string panels(std::size_t n, double height, std::string_view title, Panel panel) {
  constexpr double kWidth = 1060;
  const std::size_t rows = (n + 3) / 4;
  const std::size_t columns = (n + rows - 1) / rows;
  const double width = std::min(kWidth / static_cast<double>(columns), 360.0);
  std::string body;
  for (std::size_t i = 0; i < n; ++i)
    body += panel(i, Place{static_cast<double>(i % columns) * width,
                           static_cast<double>(i / columns) * height, width, height});
  return "<figure>\n" + svg::document(kWidth, static_cast<double>(rows) * height, title, body);
}

// A panel with the share of values that lie inside central intervals against the share that should; of the calibrations with so many
// measured modes.
std::string coverage(std::span<const Calibration* const> all, std::size_t shots, const Colour& colour,
                     const Place& place);
// A panel with a learner's predictions against the measured values. `hue` is its colour.
std::string scatter(const Showcase& show, tasks::Target target, const std::string& hue, const Place& place);
// A panel with time against power, the Pareto front, and the modes that the learner chose.
std::string front(const Showcase& show, const std::string& hue, const Place& place);

}  // namespace fewwatt::benchmarks::figures
