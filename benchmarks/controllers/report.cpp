#include "benchmarks/controllers/report.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "benchmarks/figures.hpp"
#include "benchmarks/report.hpp"
#include "benchmarks/svg.hpp"

namespace fewwatt::benchmarks {
namespace {

using figures::Place;
using svg::number;

// What a panel shows: so many of all modes, evenly, and so many measurements, the first ones.
constexpr std::size_t kMostDots = 1000, kMostVisits = 100;

// Power across, time upwards.
struct Scales {
  svg::Axis watts, time;
  double of_ms = 1;  // drawn per ms
  std::array<double, 2> point(const hw::Measurement& truth) const {
    return {truth.power_w, truth.time_ms * of_ms};
  }
};

Scales scales_of(const ControlResult& result) {
  std::vector<double> watts, times;
  for (const auto& one : result.cloud) {
    if (!(one.time_ms > 0 && one.power_w > 0)) continue;
    watts.push_back(one.power_w);
    times.push_back(one.time_ms);
  }
  const bool long_ones = !times.empty() && *std::max_element(times.begin(), times.end()) > 1e4;
  Scales scales;
  scales.of_ms = long_ones ? 1e-3 : 1;
  for (auto& time : times) time *= scales.of_ms;
  scales.watts = svg::covering(watts, false, "power, W");
  scales.time = svg::covering(times, true, long_ones ? "time, s" : "time, ms");
  return scales;
}

std::string path_of_dots(const svg::Frame& frame, const std::vector<std::array<double, 2>>& points,
                         const std::string& pen) {
  return "<path d=\"" + svg::dots(frame, points) + "\" fill=\"none\" stroke-linecap=\"round\" " + pen +
         "/>\n";
}

// Lines from one measurement to the next, and a dot at each, darker the later it was made.
std::string way(const svg::Frame& frame, const Scales& scales, const ControlPicture& picture,
                const std::string& hue) {
  std::string line, marks;
  const auto shown = std::min(picture.visits.size(), kMostVisits);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& visit = picture.visits[i];
    const auto [watts, time] = scales.point(visit.truth);
    const auto x = number(frame.px(watts)), y = number(frame.py(time));
    line += (i == 0 ? 'M' : 'L') + x + ' ' + y;
    const double opacity = 0.3 + 0.7 * static_cast<double>(i + 1) / static_cast<double>(shown);
    marks += "<g><title>" +
             svg::escape("measurement " + std::to_string(i + 1) + ": " + to_text(visit.truth.power_w) +
                         " W, budget " + to_text(visit.budget_w) + " W") +
             "</title><circle cx=\"" + x + "\" cy=\"" + y + "\" r=\"3.4\" fill=\"" +
             (visit.truth.power_w > visit.budget_w * (1 + kControlMargin) ? std::string("#c81e1e") : hue) +
             "\" fill-opacity=\"" + number(opacity) + "\"/></g>\n";
  }
  return "<path d=\"" + line + "\" fill=\"none\" stroke=\"" + hue +
         "\" stroke-width=\"0.9\" stroke-opacity=\"0.5\"/>\n" + marks;
}

std::string panel(const ControlResult& result, const ControlPicture& picture, const Scales& scales,
                  const std::string& hue, const Place& place) {
  const svg::Frame frame{place.x + 60,      place.y + 24, place.width - 76,
                         place.height - 66, scales.watts, scales.time};
  std::string body = frame.draw();
  std::vector<std::array<double, 2>> cloud;
  const auto every = result.cloud.size() / kMostDots + 1;
  for (std::size_t i = 0; i < result.cloud.size(); i += every)
    if (const auto& one = result.cloud[i]; one.time_ms > 0 && one.power_w > 0)
      cloud.push_back(scales.point(one));
  body += path_of_dots(frame, cloud, "stroke=\"#b3bbc2\" stroke-width=\"2\" stroke-opacity=\"0.6\"");
  if (!picture.visits.empty()) {
    const double budget =
        frame.px(std::clamp(picture.visits.front().budget_w, scales.watts.low, scales.watts.high));
    body += svg::line(budget, frame.y, budget, frame.y + frame.height,
                      "stroke=\"#1d2329\" stroke-dasharray=\"4 3\"");
  }
  body += way(frame, scales, picture, hue);
  if (picture.answer) {
    const auto [watts, time] = scales.point(*picture.answer);
    body += "<circle cx=\"" + number(frame.px(watts)) + "\" cy=\"" + number(frame.py(time)) +
            "\" r=\"7\" fill=\"none\" stroke=\"#1d2329\" stroke-width=\"1.6\"/>\n";
  }
  return body + svg::text(frame.x, place.y + 15, picture.contestant, "class=\"panel\" fill=\"" + hue + '"');
}

std::string pictures(const ControllerSuite& suite, const ControlResult& result,
                     const figures::Colour& colour) {
  if (result.pictures.empty() || result.cloud.empty()) return "";
  const auto scales = scales_of(result);
  return "<h2>What they visited</h2>\n" +
         figures::panels(result.pictures.size(), 300, "Time against power of what was measured",
                         [&](std::size_t i, const Place& place) {
                           const auto& picture = result.pictures[i];
                           return panel(result, picture, scales, colour(picture.contestant), place);
                         }) +
         "<figcaption>One episode" +
         (result.workload.empty() ? std::string() : " of " + svg::escape(result.workload)) +
         ". Grey: modes of the board. Dashed: the budget" +
         (suite.task == tasks::ModeTask::run
              ? std::string(" at the beginning; later ones, and other workloads, are not shown")
              : std::string()) +
         ". Dots: the first " + std::to_string(kMostVisits) +
         " measurements, in true time and power, the later the darker; red: over the budget. "
         "Circle: what is recommended in the end.</figcaption>\n</figure>\n";
}

}  // namespace

std::string controllers_html(const ControllerSuite& suite, std::span<const std::string> labels,
                             std::span<const Table> tables, const ControlResult& result,
                             const std::string& markdown) {
  const figures::Colour colour = [labels](const std::string& label) {
    const auto at = std::find(labels.begin(), labels.end(), label);
    return colour_of(static_cast<std::size_t>(at - labels.begin()));
  };
  std::string body = "<h1>" + svg::escape(suite.name) + "</h1>\n";
  for (const auto& table : tables) {
    if (table.metric != "find_regret" && table.metric != "find_inside") continue;
    const auto& facts = find_metric(table.metric);
    body += "<h2>" + std::string(facts.title) + "</h2>\n<p>" + svg::escape(facts.about) +
            " Dots: median over the episodes; bars: quartiles. What is infinite is not shown.</p>\n" +
            figures::against_shots(table, tables, false, colour);
  }
  body += pictures(suite, result, colour);
  body += "<h2>Tables</h2>\n<pre>" + svg::escape(markdown) + "</pre>\n";
  return html_page(suite.name, body);
}

}  // namespace fewwatt::benchmarks
