#include "benchmarks/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "benchmarks/metrics.hpp"

namespace fewwatt::benchmarks::figures {

using svg::dots;
using svg::number;

std::string against_shots(const Table& t, std::span<const Table> all, bool log, const Colour& colour) {
  std::vector<double> seen;
  const auto drawable = [&](double value) { return std::isfinite(value) && (!log || value > 0); };
  for (const auto& series : t.mean)
    for (const auto& cell : series)
      if (cell)
        for (const double value : {cell->lower, cell->median, cell->upper})
          if (drawable(value)) seen.push_back(value);
  if (seen.empty()) return "";
  const auto& facts = find_metric(t.metric);
  constexpr double kWidth = 1060, kHeight = 470, kLetter = 7.4;
  double labels = 150;
  for (const auto& series : t.series)
    labels = std::max(labels, 20 + kLetter * static_cast<double>(label(series, all).size()));
  const double last = static_cast<double>(t.shots.size()) - 1;
  svg::Axis across{-0.35, last + 0.35, false, "measured modes"};
  for (const auto shots : t.shots) across.names.push_back(std::to_string(shots));
  const svg::Frame frame{64,
                         14,
                         kWidth - 64 - labels,
                         kHeight - 60,
                         across,
                         svg::covering(seen, log, std::string(facts.title) + ", " + std::string(facts.unit))};

  std::string body = frame.draw();
  std::vector<double> ends;
  std::vector<std::size_t> ended;
  std::vector<double> end_x;
  for (std::size_t s = 0; s < t.series.size(); ++s) {
    const std::string name = label(t.series[s], all);
    const std::string hue = colour(t.series[s].learner);
    const double dodge = (static_cast<double>(s) - 0.5 * static_cast<double>(t.series.size() - 1)) * 0.028;
    const std::string dash = t.series[s].sampler == "none" ? " stroke-dasharray=\"2 4\"" : "";
    std::string path, marks;
    double x = 0, y = 0;
    for (std::size_t k = 0; k < t.shots.size(); ++k) {
      const auto& cell = t.mean[s][k];
      if (!cell || !drawable(cell->median)) continue;
      x = frame.px(static_cast<double>(k) + dodge);
      y = frame.py(cell->median);
      path += (path.empty() ? "M" : "L") + number(x) + ' ' + number(y);
      std::string mark;
      if (drawable(cell->lower) && drawable(cell->upper) && cell->lower < cell->upper)
        mark += svg::line(x, frame.py(cell->lower), x, frame.py(cell->upper),
                          "stroke=\"" + hue + "\" stroke-width=\"2.2\" stroke-opacity=\"0.45\"");
      mark += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"3.6\" fill=\"" + hue + "\"/>";
      marks += "<g><title>" +
               svg::escape(name + ", " + std::to_string(t.shots[k]) + " modes: " + to_text(cell) + ' ' +
                           std::string(facts.unit)) +
               "</title>" + mark + "</g>\n";
    }
    if (path.empty()) continue;
    body += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + hue + "\" stroke-width=\"1.7\"" + dash +
            "/>\n" + marks;
    ends.push_back(y);
    end_x.push_back(x);
    ended.push_back(s);
  }
  const auto label_y = svg::spread(ends, 15, frame.y + 4, frame.y + frame.height - 2);
  const double label_x = frame.x + frame.width + 14;
  for (std::size_t i = 0; i < ended.size(); ++i) {
    const auto& series = t.series[ended[i]];
    const std::string hue = colour(series.learner);
    body += svg::line(end_x[i] + 5, ends[i], label_x - 3, label_y[i],
                      "stroke=\"" + hue + "\" stroke-opacity=\"0.5\" stroke-width=\"0.8\"");
    body +=
        svg::text(label_x, label_y[i] + 4, label(series, all), "fill=\"" + hue + "\" font-weight=\"600\"");
  }
  return "<figure>\n" + svg::document(kWidth, kHeight, facts.title, body) + "</figure>\n";
}

std::string coverage(std::span<const Calibration* const> all, std::size_t shots, const Colour& colour,
                     const Place& place) {
  const auto [x, y, width, height] = place;
  const svg::Frame frame{x + 60,
                         y + 24,
                         std::min(width, height + 40) - 74,
                         height - 66,
                         {0, 1, false, "asked for"},
                         {0, 1, false, "observed"}};
  std::string body =
      frame.draw() + svg::text(frame.x, y + 15, std::to_string(shots) + " modes", "class=\"panel\"");
  body += svg::line(frame.px(0), frame.py(0), frame.px(1), frame.py(1),
                    "stroke=\"#8a949d\" stroke-dasharray=\"4 3\"");
  double row = frame.y + frame.height - 8;
  for (const auto* one : all) {
    if (one->shots != shots) continue;
    const std::string hue = colour(one->learner);
    const auto most = static_cast<double>(one->inside.back());
    std::string path = 'M' + number(frame.px(0)) + ' ' + number(frame.py(0));
    for (std::size_t bin = 0; bin < kCalibrationBins; ++bin)
      path += 'L' + number(frame.px(static_cast<double>(bin + 1) / kCalibrationBins)) + ' ' +
              number(frame.py(static_cast<double>(one->inside[bin]) / most));
    body += "<g><title>" + svg::escape(one->learner) + "</title><path d=\"" + path +
            "\" fill=\"none\" stroke=\"" + hue + "\" stroke-width=\"1.6\"/></g>\n";
    body += svg::text(frame.x + frame.width - 6, row, one->learner,
                      "text-anchor=\"end\" fill=\"" + hue + "\" font-weight=\"600\"");
    row -= 14;
  }
  return body;
}

std::string scatter(const Showcase& show, tasks::Target target, const std::string& hue, const Place& place) {
  const auto [x, y, width, height] = place;
  const double scale = target == tasks::kTimeMs && show.measured.col(target).maxCoeff() > 1e4 ? 1e-3 : 1;
  const std::string unit = target == tasks::kPowerW ? "W" : scale < 1 ? "s" : "ms";
  std::vector<bool> in_support(static_cast<std::size_t>(show.measured.rows()), false);
  for (const auto row : show.support) in_support[row] = true;
  std::vector<std::array<double, 2>> query, support;
  std::vector<double> measured, predicted, seen;
  for (Eigen::Index i = 0; i < show.measured.rows(); ++i)
    if (!std::isnan(show.measured(i, target))) seen.push_back(show.measured(i, target) * scale);
  // The same for all learners; what is predicted beyond it stands at its edge.
  const auto [least, most] = std::minmax_element(seen.begin(), seen.end());
  const svg::Axis axis{*least / 1.3, *most * 1.3, true, ""};
  for (Eigen::Index i = 0; i < show.measured.rows(); ++i) {
    const double m = show.measured(i, target), p = show.predicted(i, target);
    if (std::isnan(m)) continue;
    const std::array point{m * scale, std::clamp(p * scale, axis.low, axis.high)};
    if (in_support[static_cast<std::size_t>(i)]) {
      support.push_back(point);
      continue;
    }
    measured.push_back(m);
    predicted.push_back(p);
    query.push_back(point);
  }
  svg::Frame frame{x + 60, y + 24, width - 74, height - 66, axis, axis};
  frame.across.title = "measured, " + unit;
  frame.up.title = "predicted, " + unit;
  const std::string error = to_text(mape(predicted, measured));
  std::string body = frame.draw();
  body += svg::line(frame.px(axis.low), frame.py(axis.low), frame.px(axis.high), frame.py(axis.high),
                    "stroke=\"#8a949d\" stroke-dasharray=\"4 3\"");
  body += "<path d=\"" + dots(frame, query) + "\" fill=\"none\" stroke=\"" + hue +
          "\" stroke-width=\"3.2\" stroke-linecap=\"round\" stroke-opacity=\"0.4\"/>\n";
  body += "<path d=\"" + dots(frame, support) +
          "\" fill=\"none\" stroke=\"#1d2329\" stroke-width=\"5\" stroke-linecap=\"round\"/>\n";
  body +=
      svg::text(frame.x, y + 15, show.learner + "  " + error + " %", "class=\"panel\" fill=\"" + hue + '"');
  return body;
}

std::string front(const Showcase& show, const std::string& hue, const Place& place) {
  const auto [x, y, width, height] = place;
  std::vector<Eigen::Index> known;
  for (Eigen::Index i = 0; i < show.measured.rows(); ++i)
    if (show.measured.row(i).allFinite()) known.push_back(i);
  Matrix measured(static_cast<Eigen::Index>(known.size()), tasks::kNumTargets);
  for (std::size_t i = 0; i < known.size(); ++i)
    measured.row(static_cast<Eigen::Index>(i)) = show.measured.row(known[i]);
  const double scale = measured.col(tasks::kTimeMs).maxCoeff() > 1e4 ? 1e-3 : 1;
  const std::string unit = scale < 1 ? "s" : "ms";
  const auto point = [&](Eigen::Index row) {
    return std::array{show.measured(row, tasks::kPowerW), show.measured(row, tasks::kTimeMs) * scale};
  };

  std::vector<double> watts, times;
  std::vector<std::array<double, 2>> cloud;
  for (const auto row : known) {
    cloud.push_back(point(row));
    watts.push_back(cloud.back()[0]);
    times.push_back(cloud.back()[1]);
  }
  const auto truth = Prediction::of_medians(measured);
  const svg::Frame frame{x + 60,
                         y + 24,
                         width - 76,
                         height - 66,
                         svg::covering(watts, false, "power, W"),
                         svg::covering(times, true, "time, " + unit)};
  std::string body = frame.draw();
  body += "<path d=\"" + dots(frame, cloud) +
          "\" fill=\"none\" stroke=\"#b3bbc2\" stroke-width=\"2\" stroke-linecap=\"round\" "
          "stroke-opacity=\"0.6\"/>\n";
  std::string steps;
  double previous_y = 0;
  for (const auto row : learners::pareto(truth)) {
    const auto [power, time] = point(known[row]);
    const double px = frame.px(power), py = frame.py(time);
    steps += steps.empty()
                 ? 'M' + number(px) + ' ' + number(py)
                 : 'L' + number(px) + ' ' + number(previous_y) + 'L' + number(px) + ' ' + number(py);
    previous_y = py;
  }
  body += "<path d=\"" + steps + "\" fill=\"none\" stroke=\"#1d2329\" stroke-width=\"1.4\"/>\n";

  std::size_t over = 0;
  for (const auto& [budget_w, choice] : show.decisions) {
    std::string hover = "budget " + to_text(budget_w) + " W: ";
    if (!choice) continue;
    const auto [power, time] = point(static_cast<Eigen::Index>(*choice));
    hover += "chose " + to_text(power) + " W, " + to_text(time) + ' ' + unit;
    if (const auto best = learners::choose_fastest(truth, {.max_power_w = budget_w}))
      hover += "; the fastest inside takes " + to_text(point(known[*best])[1]) + ' ' + unit;
    const double px = frame.px(power), py = frame.py(time);
    body += "<g><title>" + svg::escape(hover) + "</title>";
    if (power > budget_w) {
      ++over;
      const std::string pen = "stroke=\"#c81e1e\" stroke-width=\"2.2\"";
      body += svg::line(px - 4, py - 4, px + 4, py + 4, pen) + svg::line(px - 4, py + 4, px + 4, py - 4, pen);
    } else {
      body += "<circle cx=\"" + number(px) + "\" cy=\"" + number(py) + "\" r=\"4\" fill=\"" + hue +
              "\" stroke=\"#fff\" stroke-width=\"0.8\"/>";
    }
    body += "</g>\n";
  }
  body += svg::text(
      frame.x, y + 15,
      show.learner + "  " + std::to_string(over) + " of " + std::to_string(show.decisions.size()) + " over",
      "class=\"panel\" fill=\"" + hue + '"');
  return body;
}

}  // namespace fewwatt::benchmarks::figures
