#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::benchmarks::svg {

std::string escape(std::string_view text);  // text for HTML and SVG, attributes included
std::string number(double value);           // a coordinate with one decimal
// A text element and a line element.
std::string text(double x, double y, std::string_view words, std::string_view attributes = "");
std::string line(double x1, double y1, double x2, double y2, std::string_view attributes);

// A range of values, linear or logarithmic.
struct Axis {
  double low = 0, high = 1;             // its ends
  bool log = false;                     // whether it is logarithmic
  std::string title;                    // text beside it
  std::vector<std::string> names = {};  // ticks at 0, 1, 2, ... with these names instead of numbers

  double part(double value) const;            // 0 at low, 1 at high
  std::vector<double> ticks() const;          // round numbers inside the range
  std::string tick_text(double value) const;  // the number, or the name
};
// An axis that covers the values with some room; never empty, even when all values are alike. With `log`, values must be > 0.
Axis covering(std::span<const double> values, bool log, std::string title);

// A rectangle of the drawing with a scale on each side; its corner (x, y) is the upper left one.
struct Frame {
  double x, y, width, height;  // of the rectangle
  Axis across, up;             // its scales

  double px(double value) const { return x + across.part(value) * width; }     // where a value is across
  double py(double value) const { return y + (1 - up.part(value)) * height; }  // where a value is upwards
  // Grid lines, tick labels and titles of both axes.
  std::string draw() const;
};

// Dots at (across, up) as the data of one path: many hundreds of them stay small. Drawn with round line caps.
std::string dots(const Frame& frame, std::span<const std::array<double, 2>> points);

// Moves label positions apart, down the page, to at least `gap` between neighbours and inside [low, high]
// where they fit.
std::vector<double> spread(std::vector<double> positions, double gap, double low, double high);

// Drawing of the given size that scales with the page. `title` is read aloud and shown on hover.
std::string document(double width, double height, std::string_view title, std::string_view body);

}  // namespace fewwatt::benchmarks::svg
