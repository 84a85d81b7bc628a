#include "benchmarks/controllers/report.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "benchmarks/blocks.hpp"
#include "benchmarks/figures.hpp"

namespace fewwatt::benchmarks {
namespace {

using blocks::Json;

// What a figure shows: so many of all modes, evenly, and so many measurements, the first ones.
constexpr std::size_t kMostDots = 1000, kMostVisits = 100;
constexpr double kLeastRegret = 0.01;  // %, on the logarithmic axis: 0 is where the best mode was found

// What is drawn per ms: 1, or 0.001 where times are long.
double scale_of(const ControlResult& result) {
  double most = 0;
  for (const auto& one : result.cloud)
    if (one.time_ms > 0 && one.power_w > 0) most = std::max(most, one.time_ms);
  return most > 1e4 ? 1e-3 : 1;
}

Json modes_of(const ControlResult& result, double of_ms) {
  Json cloud = blocks::dots("", "point");
  cloud["size"] = 1;
  cloud["alpha"] = 0.6;
  const auto every = result.cloud.size() / kMostDots + 1;
  for (std::size_t i = 0; i < result.cloud.size(); i += every)
    if (const auto& one = result.cloud[i]; one.time_ms > 0 && one.power_w > 0)
      blocks::add_point(cloud, one.power_w, one.time_ms * of_ms);
  return cloud;
}

// Power across, time upwards: the modes of the board, and on them the measurements of one contestant, stronger the later they were made.
Json picture_of(const ControlResult& result, const ControlPicture& picture, double of_ms,
                const Json& colour) {
  Json figure = blocks::figure(picture.contestant, blocks::axis("power, W"),
                               blocks::axis(of_ms < 1 ? "time, s" : "time, ms", true));
  Json cloud = modes_of(result, of_ms), way = blocks::line("", colour), inside = blocks::dots("", colour),
       over = blocks::dots("", "limit");
  way["width"] = 1;
  way["alpha"] = 0.5;
  inside["size"] = over["size"] = 3.4;
  const auto shown = std::min(picture.visits.size(), kMostVisits);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& visit = picture.visits[i];
    const double watts = visit.truth.power_w, time = visit.truth.time_ms * of_ms;
    blocks::add_point(way, watts, time);
    auto& marks = watts > visit.budget_w * (1 + kControlMargin) ? over : inside;
    marks["alpha"].push_back(0.3 + 0.7 * static_cast<double>(i + 1) / static_cast<double>(shown));
    blocks::add_point(marks, watts, time,
                      "measurement " + std::to_string(i + 1) + ": " + to_text(watts) + " W, budget " +
                          to_text(visit.budget_w) + " W");
  }
  if (!picture.visits.empty() && !cloud["y"].empty()) {
    const auto [least, most] = std::minmax_element(cloud["y"].begin(), cloud["y"].end());
    Json budget = blocks::line("", "text");
    budget["isDashed"] = true;
    blocks::add_point(budget, picture.visits.front().budget_w, *least);
    blocks::add_point(budget, picture.visits.front().budget_w, *most);
    figure["lines"].push_back(std::move(budget));
  }
  figure["lines"].push_back(std::move(way));
  figure["dots"] = {std::move(cloud), std::move(inside), std::move(over)};
  if (picture.answer) {
    Json answer = blocks::dots("", "text");
    answer["shape"] = "ring";
    answer["size"] = 7;
    blocks::add_point(answer, picture.answer->power_w, picture.answer->time_ms * of_ms);
    figure["dots"].push_back(std::move(answer));
  }
  return figure;
}

void add_pictures(Json& all, const ControllerSuite& suite, const ControlResult& result,
                  const figures::Colour& colour) {
  if (result.pictures.empty() || result.cloud.empty()) return;
  const double of_ms = scale_of(result);
  Json each = Json::array();
  for (const auto& picture : result.pictures)
    each.push_back(picture_of(result, picture, of_ms, colour(picture.contestant)));
  all.push_back(blocks::heading(2, "What they visited"));
  all.push_back(blocks::figures(
      std::move(each),
      "One episode" + (result.workload.empty() ? std::string() : " of " + result.workload) +
          ". Small dots: modes of the board. Dashed: the budget" +
          (suite.task == tasks::ModeTask::run
               ? std::string(" at the beginning; later ones, and other workloads, are not shown")
               : std::string()) +
          ". Large dots: the first " + std::to_string(kMostVisits) +
          " measurements, in true time and power, the later the stronger; red: over the budget. "
          "Circle: what is recommended in the end."));
}

}  // namespace

std::string controllers_html(const ControllerSuite& suite, std::span<const std::string> labels,
                             std::span<const Table> tables, const ControlResult& result,
                             const std::string& markdown) {
  const figures::Colour colour = [labels](const std::string& label) -> Json {
    return std::find(labels.begin(), labels.end(), label) - labels.begin();
  };
  Json all = Json::array({blocks::heading(2, suite.name)});
  for (const auto& table : tables) {
    if (table.metric != "find_regret" && table.metric != "find_inside") continue;
    const auto& facts = find_metric(table.metric);
    all.push_back(blocks::heading(2, facts.title));
    all.push_back(
        blocks::text(std::string(facts.about) +
                     " Dots: median over the episodes; bars: quartiles. What is infinite is not shown."));
    const auto scale =
        table.metric == "find_regret" ? figures::Scale{.log = true, .floor = kLeastRegret} : figures::Scale{};
    if (auto figure = figures::against_shots(table, tables, scale, colour); !figure.is_null())
      all.push_back(std::move(figure));
  }
  add_pictures(all, suite, result, colour);
  all.push_back(blocks::heading(2, "Tables"));
  all.push_back(blocks::pre(markdown));
  return blocks::page(suite.name, std::move(all));
}

}  // namespace fewwatt::benchmarks
