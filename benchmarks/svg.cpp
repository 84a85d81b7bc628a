#include "benchmarks/svg.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "hw/printable.hpp"

namespace fewwatt::benchmarks::svg {
namespace {

// 1, 2 or 5 times a power of ten, at least `step`.
double round_up(double step) {
  const double unit = std::pow(10, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * unit >= step * (1 - 1e-9)) return factor * unit;
  return 10 * unit;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : hw::printable_lines(text)) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else if (c == '\'')
      safe += "&#39;";
    else
      safe += c;
  }
  return safe;
}

std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", value);
  return buffer;
}

std::string text(double x, double y, std::string_view words, std::string_view attributes) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + std::string(attributes) + '>' +
         escape(words) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, std::string_view attributes) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
         number(y2) + "\" " + std::string(attributes) + "/>\n";
}

double Axis::part(double value) const {
  if (log) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

std::vector<double> Axis::ticks() const {
  std::vector<double> ticks;
  if (!names.empty()) {
    for (std::size_t i = 0; i < names.size(); ++i) ticks.push_back(static_cast<double>(i));
    return ticks;
  }
  if (!log) {
    const double step = round_up((high - low) / 6);
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
      ticks.push_back(i * step);
    return ticks;
  }
  // Thinner marks the more decades there are.
  const double decades = std::log10(high / low);
  const std::vector<double> factors = decades < 0.7   ? std::vector{1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0}
                                      : decades < 2.2 ? std::vector{1.0, 2.0, 5.0}
                                                      : std::vector{1.0};
  for (double unit = std::pow(10, std::floor(std::log10(low))); unit <= high; unit *= 10)
    for (const double factor : factors)
      if (factor * unit >= low && factor * unit <= high) ticks.push_back(factor * unit);
  return ticks;
}

std::string Axis::tick_text(double value) const {
  if (!names.empty()) return names[static_cast<std::size_t>(value)];
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", std::abs(value) < 1e-9 * (high - low) ? 0.0 : value);
  return buffer;
}

Axis covering(std::span<const double> values, bool log, std::string title) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (values.empty()) return {log ? 1.0 : 0.0, log ? 10.0 : 1.0, log, std::move(title)};
  if (log) {
    const double room = *least == *most ? 1.5 : std::pow(*most / *least, 0.06);
    return {*least / room, *most * room, true, std::move(title)};
  }
  const double room = *least == *most ? std::max(1.0, std::abs(*least) * 0.1) : 0.05 * (*most - *least);
  return {*least - room, *most + room, false, std::move(title)};
}

std::string Frame::draw() const {
  std::string body;
  for (const double tick : across.ticks()) {
    body += line(px(tick), y, px(tick), y + height, "class=\"grid\"");
    body += text(px(tick), y + height + 15, across.tick_text(tick), "class=\"tick\" text-anchor=\"middle\"");
  }
  for (const double tick : up.ticks()) {
    body += line(x, py(tick), x + width, py(tick), "class=\"grid\"");
    body += text(x - 6, py(tick) + 4, up.tick_text(tick), "class=\"tick\" text-anchor=\"end\"");
  }
  body += line(x, y + height, x + width, y + height, "class=\"axis\"") +
          line(x, y, x, y + height, "class=\"axis\"");
  if (!across.title.empty())
    body += text(x + width / 2, y + height + 32, across.title, "class=\"title\" text-anchor=\"middle\"");
  if (!up.title.empty()) {
    const std::string at = number(x - 44) + ' ' + number(y + height / 2);
    body += text(x - 44, y + height / 2, up.title,
                 "class=\"title\" text-anchor=\"middle\" transform=\"rotate(-90 " + at + ")\"");
  }
  return body;
}

std::string dots(const Frame& frame, std::span<const std::array<double, 2>> points) {
  std::string path;
  for (const auto& [x, y] : points) path += 'M' + number(frame.px(x)) + ' ' + number(frame.py(y)) + "h0";
  return path;
}

std::vector<double> spread(std::vector<double> positions, double gap, double low, double high) {
  std::vector<std::size_t> order(positions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return positions[a] < positions[b]; });
  double next = low;
  for (const auto i : order) {
    positions[i] = std::max(positions[i], next);
    next = positions[i] + gap;
  }
  next = high;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    positions[*i] = std::min(positions[*i], next);
    next = positions[*i] - gap;
  }
  return positions;
}

std::string document(double width, double height, std::string_view title, std::string_view body) {
  return "<svg viewBox=\"0 0 " + number(width) + ' ' + number(height) + "\" role=\"img\"><title>" +
         escape(title) + "</title>\n" + std::string(body) + "</svg>\n";
}

}  // namespace fewwatt::benchmarks::svg
