#include "benchmarks/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "benchmarks/blocks.hpp"
#include "benchmarks/metrics.hpp"

namespace fewwatt::benchmarks::figures {

Json against_shots(const Table& t, std::span<const Table> all, const Scale& scale, const Colour& colour) {
  bool any_below = false;
  // Where a value is drawn; infinity where it is not.
  const auto place_of = [&](double value) {
    constexpr double kNowhere = std::numeric_limits<double>::infinity();
    if (!std::isfinite(value)) return kNowhere;
    if (!scale.log) return value;
    const double place = std::max(value, scale.floor);
    if (!(place > 0)) return kNowhere;
    any_below = any_below || value < scale.floor;
    return place;
  };
  const auto& facts = find_metric(t.metric);
  Json across = blocks::axis("measured modes"), lines = Json::array();
  for (const auto shots : t.shots) across["names"].push_back(std::to_string(shots));
  for (std::size_t s = 0; s < t.series.size(); ++s) {
    const std::string name = label(t.series[s], all);
    Json line = blocks::line(name, colour(t.series[s].learner));
    line["hasDots"] = true;
    line["isDashed"] = t.series[s].sampler == "none";
    // Beside each other, so that their bars can be told apart.
    const double dodge = (static_cast<double>(s) - 0.5 * static_cast<double>(t.series.size() - 1)) * 0.028;
    for (std::size_t k = 0; k < t.shots.size(); ++k) {
      const auto& cell = t.mean[s][k];
      if (!cell) continue;
      const double median = place_of(cell->median);
      if (!std::isfinite(median)) continue;
      blocks::add_point(line, static_cast<double>(k) + dodge, median,
                        name + ", " + std::to_string(t.shots[k]) + " modes: " + to_text(cell) + ' ' +
                            std::string(facts.unit));
      const double lower = place_of(cell->lower), upper = place_of(cell->upper);
      const bool has_bar = std::isfinite(lower) && std::isfinite(upper);
      line["low"].push_back(has_bar ? Json(lower) : Json());
      line["high"].push_back(has_bar ? Json(upper) : Json());
    }
    if (!line["x"].empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return nullptr;
  auto label_of_axis = std::string(facts.title) + ", " + std::string(facts.unit);
  if (any_below) label_of_axis += "; less than " + to_text(scale.floor) + " is at " + to_text(scale.floor);
  Json figure = blocks::figure(facts.title, std::move(across), blocks::axis(label_of_axis, scale.log));
  figure["lines"] = std::move(lines);
  return blocks::figures(Json::array({std::move(figure)}));
}

Json coverage(std::span<const Calibration* const> all, std::size_t shots, const Colour& colour) {
  Json asked = blocks::axis("asked for"), observed = blocks::axis("observed");
  asked["range"] = observed["range"] = {0, 1};
  Json figure = blocks::figure(std::to_string(shots) + " modes", std::move(asked), std::move(observed));
  Json right = blocks::line("", "point");
  right["isDashed"] = true;
  blocks::add_point(right, 0, 0);
  blocks::add_point(right, 1, 1);
  figure["lines"].push_back(std::move(right));
  for (const auto* one : all) {
    if (one->shots != shots) continue;
    const auto most = static_cast<double>(one->inside.back());
    Json line = blocks::line(one->learner, colour(one->learner));
    blocks::add_point(line, 0, 0);
    for (std::size_t bin = 0; bin < kCalibrationBins; ++bin)
      blocks::add_point(line, static_cast<double>(bin + 1) / kCalibrationBins,
                        static_cast<double>(one->inside[bin]) / most);
    figure["lines"].push_back(std::move(line));
  }
  return figure;
}

Json scatter(const Showcase& show, tasks::Target target, const Json& colour) {
  std::vector<bool> in_support(static_cast<std::size_t>(show.measured.rows()), false);
  for (const auto row : show.support) in_support[row] = true;
  std::vector<double> seen;
  for (Eigen::Index i = 0; i < show.measured.rows(); ++i)
    if (!std::isnan(show.measured(i, target))) seen.push_back(show.measured(i, target));
  const auto [least, most] = std::minmax_element(seen.begin(), seen.end());
  const double scale = target == tasks::kTimeMs && *most > 1e4 ? 1e-3 : 1;
  const std::string unit = target == tasks::kPowerW ? "W" : scale < 1 ? "s" : "ms";
  // The same for all learners; what is predicted beyond it stands at its edge.
  const double low = *least * scale / 1.3, high = *most * scale * 1.3;
  Json query = blocks::dots("", colour), support = blocks::dots("", "text");
  query["alpha"] = 0.4;
  query["size"] = 2;
  std::vector<double> measured, predicted;
  for (Eigen::Index i = 0; i < show.measured.rows(); ++i) {
    const double m = show.measured(i, target), p = show.predicted(i, target);
    if (std::isnan(m)) continue;
    const bool is_support = in_support[static_cast<std::size_t>(i)];
    blocks::add_point(is_support ? support : query, m * scale, std::clamp(p * scale, low, high));
    if (is_support) continue;
    measured.push_back(m);
    predicted.push_back(p);
  }
  Json across = blocks::axis("measured, " + unit, true), up = blocks::axis("predicted, " + unit, true);
  across["range"] = up["range"] = {low, high};
  Json perfect = blocks::line("", "point");
  perfect["isDashed"] = true;
  blocks::add_point(perfect, low, low);
  blocks::add_point(perfect, high, high);
  Json figure = blocks::figure(show.learner + "  " + to_text(mape(predicted, measured)) + " %",
                               std::move(across), std::move(up));
  figure["lines"].push_back(std::move(perfect));
  figure["dots"] = {std::move(query), std::move(support)};
  return figure;
}

Json front(const Showcase& show, const Json& colour) {
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

  Json cloud = blocks::dots("", "point"), inside = blocks::dots("", colour),
       outside = blocks::dots("", "limit");
  cloud["size"] = 1;
  cloud["alpha"] = 0.6;
  inside["size"] = outside["size"] = 4;
  outside["shape"] = "cross";
  for (const auto row : known) {
    const auto [power, time] = point(row);
    blocks::add_point(cloud, power, time);
  }
  const auto truth = Prediction::of_medians(measured);
  Json steps = blocks::line("", "text");
  steps["isSteps"] = true;
  steps["width"] = 1.4;
  for (const auto row : learners::pareto(truth)) {
    const auto [power, time] = point(known[row]);
    blocks::add_point(steps, power, time);
  }
  std::size_t over = 0;
  for (const auto& [budget_w, choice] : show.decisions) {
    if (!choice) continue;
    const auto [power, time] = point(static_cast<Eigen::Index>(*choice));
    std::string told =
        "budget " + to_text(budget_w) + " W: chose " + to_text(power) + " W, " + to_text(time) + ' ' + unit;
    if (const auto best = learners::choose_fastest(truth, {.max_power_w = budget_w}))
      told += "; the fastest inside takes " + to_text(point(known[*best])[1]) + ' ' + unit;
    if (power > budget_w) ++over;
    blocks::add_point(power > budget_w ? outside : inside, power, time, told);
  }
  Json figure = blocks::figure(
      show.learner + "  " + std::to_string(over) + " of " + std::to_string(show.decisions.size()) + " over",
      blocks::axis("power, W"), blocks::axis("time, " + unit, true));
  figure["lines"].push_back(std::move(steps));
  figure["dots"] = {std::move(cloud), std::move(inside), std::move(outside)};
  return figure;
}

}  // namespace fewwatt::benchmarks::figures
