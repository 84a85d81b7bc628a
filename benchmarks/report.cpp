#include "benchmarks/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "benchmarks/svg.hpp"

namespace fewwatt::benchmarks {
namespace {

using svg::number;

constexpr const char* kStyle = R"css(
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1d2329; background: #fff;
       max-width: 1120px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 27px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 40px 0 6px; padding-top: 14px; border-top: 1px solid #d9dee3; }
h3 { font-size: 16px; margin: 26px 0 4px; } h4 { font-size: 14px; margin: 14px 0 4px; color: #4d5761; }
p { margin: 6px 0 10px; max-width: 86ch; } .lead { color: #4d5761; }
svg { width: 100%; height: auto; display: block; font: 12px system-ui, "Segoe UI", Arial, sans-serif; }
figure { margin: 14px 0 22px; } figcaption { color: #4d5761; font-size: 13px; max-width: 96ch; }
.grid { stroke: #e7ebee; } .axis { stroke: #8a949d; } .tick { fill: #4d5761; font-size: 11px; } .title { fill: #1d2329; }
.panel { font-weight: 600; font-size: 12.5px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 3px 12px; text-align: right; border-bottom: 1px solid #e7ebee; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 1.5px solid #8a949d; font-weight: 600; }
td small { color: #66717b; } td.best { font-weight: 700; background: #eef6ee; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 7px; }
details { margin: 6px 0; } summary { cursor: pointer; color: #2b5d8c; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; max-width: 110ch; } dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
code { font-size: 13px; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } figure, tr { break-inside: avoid; } h2, h3, h4 { break-after: avoid; } }
)css";

// Chosen to be told apart on white, also with the common kinds of colour blindness. A dozen is too many for that, so labels help.
constexpr std::array kColours = {"#7f7f7f", "#b8860b", "#4477aa", "#17a2b8", "#228833", "#8c3fa8",
                                 "#e07b39", "#cc3311", "#e0529c", "#5b4b3a", "#88a617", "#2e2e9e"};

class Report {
 public:
  Report(const Suite& suite, std::span<const std::string> learners, std::span<const Table> tables,
         const Result& result, const Provenance& provenance)
      : suite_(suite), learners_(learners), tables_(tables), result_(result), provenance_(provenance) {}

  std::string html() const {
    return html_page(suite_.name, header() + errors() + decisions() + searches() + calibration() +
                                      combinations() + scatters() + fronts() + all_tables() + explanations() +
                                      provenance());
  }

 private:
  std::string colour(const std::string& learner) const {
    const auto at = std::find(learners_.begin(), learners_.end(), learner);
    if (at != learners_.end()) return colour_of(static_cast<std::size_t>(at - learners_.begin()));
    const auto search = std::find_if(suite_.searches.begin(), suite_.searches.end(),
                                     [&](const SearchName& name) { return name.label == learner; });
    if (search != suite_.searches.end())
      return colour_of(static_cast<std::size_t>(search - suite_.searches.begin()));
    return "#4d5761";  // baselines, which are in no list of the suite
  }

  // The series for which keep() holds, and the numbers of modes that any of them was measured with.
  template <class Keep>
  static Table only(const Table& t, Keep keep) {
    Table some{t.metric, {}, {}, t.workloads, {}, {}};
    std::vector<std::size_t> rows, columns;
    for (std::size_t s = 0; s < t.series.size(); ++s)
      if (keep(t.series[s])) rows.push_back(s);
    for (std::size_t k = 0; k < t.shots.size(); ++k)
      if (std::any_of(rows.begin(), rows.end(),
                      [&](std::size_t s) { return !without_modes(t.series[s]) && t.mean[s][k]; }))
        columns.push_back(k);
    for (const auto k : columns) some.shots.push_back(t.shots[k]);
    const auto pick = [&](const auto& from) {
      std::vector<std::vector<std::optional<Cell>>> cells;
      for (const auto s : rows) {
        cells.emplace_back();
        for (const auto k : columns) cells.back().push_back(from[s][k]);
      }
      return cells;
    };
    for (const auto s : rows) some.series.push_back(t.series[s]);
    for (const auto& cells : t.cells) some.cells.push_back(pick(cells));
    some.mean = pick(t.mean);
    return some;
  }

  const Table* table(std::string_view metric) const {
    const auto at =
        std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) { return t.metric == metric; });
    return at == tables_.end() ? nullptr : &*at;
  }

  std::string header() const {
    std::string text = "<h1>" + svg::escape(suite_.name) + "</h1>\n<p class=\"lead\">";
    if (!tables_.empty()) {
      const auto& first = tables_.front();
      const auto count = [](std::size_t n, const char* noun) {
        return std::to_string(n) + ' ' + noun + (n == 1 ? "" : "s");
      };
      text += count(first.workloads.size(), "workload") + " that nothing was trained on, " +
              count(suite_.seeds, "draw") + " of the measured modes for each number of modes. ";
    }
    return text + "A few modes of a workload are measured; time" +
           (suite_.targets[tasks::kPowerW] ? std::string(" and power") : std::string()) +
           " of all its other modes are predicted from them.</p>\n";
  }

  // A metric against the number of measured modes: medians and quartiles, averaged over workloads.
  std::string against_shots(const Table& t, bool log) const {
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
      labels = std::max(labels, 20 + kLetter * static_cast<double>(label(series, tables_).size()));
    const double last = static_cast<double>(t.shots.size()) - 1;
    svg::Axis across{-0.35, last + 0.35, false, "measured modes"};
    for (const auto shots : t.shots) across.names.push_back(std::to_string(shots));
    const svg::Frame frame{
        64,
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
      const std::string name = label(t.series[s], tables_);
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
      body += svg::text(label_x, label_y[i] + 4, label(series, tables_),
                        "fill=\"" + hue + "\" font-weight=\"600\"");
    }
    return "<figure>\n" + svg::document(kWidth, kHeight, facts.title, body) + "</figure>\n";
  }

  std::string errors() const {
    std::string text =
        "<h2>Error against measured modes</h2>\n<p>Dots: median over the draws; bars: quartiles; both "
        "averaged over workloads. Lower is better.</p>\n";
    for (const char* metric : {"time_mape", "power_mape"})
      if (const Table* t = table(metric))
        text += "<h3>" + std::string(find_metric(metric).title) + "</h3>\n" + against_shots(*t, true);
    return text;
  }

  std::string decisions() const {
    const Table* violations = table("violations");
    if (violations == nullptr) return "";
    std::string text =
        "<h2>Decisions under a watt budget</h2>\n<p>For each budget a learner picks the fastest mode it "
        "believes to be inside, taking its own mean at its word. A name with @0.9 is the same "
        "learner asking for a probability of 0.9, by its own uncertainty, that a mode is inside.</p>\n";
    const auto no_search = [](const Series& series) { return series.sampler != "search"; };
    text += "<h3>" + std::string(find_metric("violations").title) + "</h3>\n" +
            against_shots(only(*violations, no_search), false);
    if (const Table* t = table("strict_regret")) {
      const auto some = only(*t, no_search);
      text += "<h3>" + std::string(find_metric("strict_regret").title) + "</h3>\n<p>" +
              std::string(find_metric("strict_regret").about) + "</p>\n" + html_table(some, some.mean);
    }
    return text;
  }

  // What searches in a closed loop end with, per workload and draw over the budgets that count.
  std::string searches() const {
    if (suite_.searches.empty()) return "";
    std::string text =
        "<h2>Searches in a closed loop</h2>\n<p>For each budget a search measures one mode after the other "
        "and ends with one of them; <b>predict</b> with one that it did not measure. Medians over draws of "
        "the medians over budgets, with quartiles, averaged over workloads.</p>\n";
    for (const char* metric : {"violations", "strict_regret"}) {
      const Table* t = table(metric);
      if (t == nullptr) continue;
      const auto search = [](const Series& series) { return series.sampler == "search"; };
      const auto some =
          only(*t, [&](const Series& series) { return search(series) || without_modes(series); });
      text += "<h3>" + std::string(find_metric(metric).title) + "</h3>\n" +
              against_shots(only(*t, search), false) + html_table(some, some.mean);
    }
    return text;
  }

  // Dots as one path: many hundreds of them stay small.
  static std::string dots(const svg::Frame& frame, std::span<const std::array<double, 2>> points) {
    std::string path;
    for (const auto& [x, y] : points) path += 'M' + number(frame.px(x)) + ' ' + number(frame.py(y)) + "h0";
    return path;
  }

  // Up to four panels to a row, rows as equal as can be: panel(i, x, y, width, height) draws one into its
  // cell.
  template <class Panel>
  static std::string panels(std::size_t n, double cell_height, std::string_view title, Panel panel) {
    constexpr double kWidth = 1060;
    const std::size_t rows = (n + 3) / 4;
    const std::size_t columns = (n + rows - 1) / rows;
    const double width = std::min(kWidth / static_cast<double>(columns), 360.0);
    std::string body;
    for (std::size_t i = 0; i < n; ++i)
      body += panel(i, static_cast<double>(i % columns) * width,
                    static_cast<double>(i / columns) * cell_height, width, cell_height);
    return "<figure>\n" + svg::document(kWidth, static_cast<double>(rows) * cell_height, title, body);
  }

  // Observed against asked-for coverage of central intervals, a panel for each number of modes.
  std::string calibration() const {
    std::string text;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      std::vector<const Calibration*> of_target;
      for (const auto& one : result_.calibrations)
        if (one.target == target) of_target.push_back(&one);
      if (of_target.empty()) continue;
      const std::string what = tasks::kTargetNames[target];
      text += "<h3>" + what + "</h3>\n" +
              panels(suite_.shots.size(), 290, "Coverage of the intervals of " + what,
                     [&](std::size_t i, double x, double y, double width, double height) {
                       return coverage_panel(of_target, suite_.shots[i], x, y, width, height);
                     }) +
              "</figure>\n";
    }
    if (text.empty()) return text;
    return "<h2>Calibration</h2>\n<p>Share of the unmeasured modes that lie inside the predicted central "
           "interval, against the share that it should hold, over all draws and workloads. Dashed: as it "
           "should be. Above the line a learner is less sure than it could be, below the line it is too "
           "sure.</p>\n" +
           text;
  }

  std::string coverage_panel(const std::vector<const Calibration*>& all, std::size_t shots, double x,
                             double y, double width, double height) const {
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

  // Median error of a learner with the first sampler, of a workload in a table.
  static std::optional<double> median_error(const Table& t, const std::string& workload,
                                            const std::string& learner, const std::string& sampler,
                                            std::size_t shots) {
    const auto w = std::find(t.workloads.begin(), t.workloads.end(), workload) - t.workloads.begin();
    const auto k = std::find(t.shots.begin(), t.shots.end(), shots) - t.shots.begin();
    const auto s = std::find(t.series.begin(), t.series.end(), Series{learner, sampler}) - t.series.begin();
    if (w == std::ssize(t.workloads) || k == std::ssize(t.shots) || s == std::ssize(t.series))
      return std::nullopt;
    const auto& cell =
        t.cells[static_cast<std::size_t>(w)][static_cast<std::size_t>(s)][static_cast<std::size_t>(k)];
    return cell ? std::optional(cell->median) : std::nullopt;
  }

  // What combinations weigh, and how far their errors are above those of the best single learner of the suite.
  std::string combinations() const {
    if (result_.combinations.empty()) return "";
    const auto is_combination = [&](const std::string& learner) {
      return std::any_of(result_.combinations.begin(), result_.combinations.end(),
                         [&](const Combination& c) { return c.learner == learner; });
    };
    std::string text =
        "<h2>What combinations chose</h2>\n<p>Mean weights over the draws. Regret: how far the median error "
        "is above that of the other learner of this suite that, in hindsight, had the least for this "
        "workload and number of modes; negative where the combination is better than all of them.</p>\n"
        "<table><thead><tr><th>workload</th><th>learner</th><th>modes</th><th>target</th><th>weights</th>"
        "<th>error, %</th><th>best single</th><th>regret, %</th></tr></thead><tbody>\n";
    for (const auto& combination : result_.combinations) {
      for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
        const Table* t = table(std::string(tasks::kTargetNames[target]) + "_mape");
        if (t == nullptr || combination.chosen.empty() || std::isnan(combination.chosen[0].weights[target]))
          continue;
        std::string weights;
        for (const auto& chosen : combination.chosen)
          weights += (weights.empty() ? "" : ", ") + chosen.learner + ' ' +
                     std::to_string(std::lround(100 * chosen.weights[target])) + " %";
        const std::string workload = combination.device + '/' + combination.workload;
        const auto error_of = [&](const std::string& learner) {
          return median_error(*t, workload, learner, suite_.samplers.front(), combination.shots);
        };
        std::string best;
        std::optional<double> least;
        for (const auto& series : t->series) {
          const auto error = is_combination(series.learner) ? std::nullopt : error_of(series.learner);
          if (!error || (least && *least <= *error)) continue;
          least = error;
          best = series.learner + ' ' + to_text(*error);
        }
        const auto own = error_of(combination.learner);
        const auto cell = [](const std::string& value) { return "<td>" + svg::escape(value) + "</td>"; };
        text += "<tr>" + cell(workload) + cell(combination.learner) +
                cell(std::to_string(combination.shots)) + cell(tasks::kTargetNames[target]) + cell(weights) +
                cell(own ? to_text(*own) : "–") + cell(least ? best : "–") +
                cell(own && least ? to_text(100 * (*own / *least - 1)) : "–") + "</tr>\n";
      }
    }
    return text + "</tbody></table>\n";
  }

  // Showcases of one workload, in the order they ran.
  std::vector<std::vector<const Showcase*>> by_workload() const {
    std::vector<std::vector<const Showcase*>> groups;
    for (const auto& showcase : result_.showcases) {
      if (groups.empty() || groups.back().front()->workload != showcase.workload) groups.emplace_back();
      groups.back().push_back(&showcase);
    }
    return groups;
  }

  static std::string scatter(const Showcase& show, tasks::Target target, const std::string& hue, double x,
                             double y, double width, double height) {
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

  std::string scatters() const {
    const auto groups = by_workload();
    if (groups.empty()) return "";
    std::string text = "<h2>Predicted against measured</h2>\n";
    for (const auto& group : groups) {
      const Showcase& first = *group.front();
      for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
        if (!suite_.targets[target] || !first.measured.col(target).array().isFinite().any()) continue;
        const std::string what = tasks::kTargetNames[target];
        text += "<h3>" + svg::escape(first.workload) + ": " + what + " from " + std::to_string(first.shots) +
                " modes</h3>\n" +
                panels(group.size(), 270, "Predicted against measured " + what,
                       [&](std::size_t i, double x, double y, double width, double height) {
                         return scatter(*group[i], target, colour(group[i]->learner), x, y, width, height);
                       }) +
                "<figcaption>First draw. Black: the measured modes. Dashed: a perfect prediction. Points "
                "that lie far off are shown at the edge. The number is the mean error of the other "
                "modes.</figcaption>\n</figure>\n";
      }
    }
    return text;
  }

  static std::string front(const Showcase& show, const std::string& hue, double x, double y, double width,
                           double height) {
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
        body +=
            svg::line(px - 4, py - 4, px + 4, py + 4, pen) + svg::line(px - 4, py + 4, px + 4, py - 4, pen);
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

  std::string fronts() const {
    std::string text;
    for (const auto& group : by_workload()) {
      if (group.front()->decisions.empty()) continue;
      text += "<h3>" + svg::escape(group.front()->workload) + ", from " +
              std::to_string(group.front()->shots) + " modes</h3>\n" +
              panels(group.size(), 300, "Time against power, and the chosen modes",
                     [&](std::size_t i, double x, double y, double width, double height) {
                       return front(*group[i], colour(group[i]->learner), x, y, width, height);
                     }) +
              "<figcaption>Each mark is the mode chosen for one budget, where it was measured. Red crosses "
              "drew more than their budget.</figcaption>\n</figure>\n";
    }
    if (text.empty()) return text;
    return "<h2>Pareto front and chosen modes</h2>\n<p>Grey: every mode as measured. Black: the modes that "
           "no other beats in both time and power. A good learner's dots lie on that line.</p>\n" +
           text;
  }

  std::string html_table(const Table& t, const std::vector<std::vector<std::optional<Cell>>>& cells) const {
    const bool has_best = !t.metric.ends_with("coverage90") && !t.metric.ends_with("seconds") &&
                          t.metric != "time_penalty" && t.series.size() > 1;
    std::string text = "<div class=\"scroll\"><table>\n<tr><th>learner</th>";
    for (const auto shots : t.shots) text += "<th>" + title_of(t, shots) + "</th>";
    text += "</tr>\n";
    for (std::size_t s = 0; s < t.series.size(); ++s) {
      text += "<tr><td><span class=\"swatch\" style=\"background:" + colour(t.series[s].learner) +
              "\"></span>" + svg::escape(label(t.series[s], tables_)) + "</td>";
      for (std::size_t k = 0; k < t.shots.size(); ++k) {
        double best = std::numeric_limits<double>::infinity();
        for (const auto& other : cells)
          if (other[k]) best = std::min(best, other[k]->median);
        const auto& cell = cells[s][k];
        const bool is_best = has_best && cell && std::isfinite(best) && cell->median == best;
        text += is_best ? "<td class=\"best\">" : "<td>";
        const std::string words = to_text(cell);
        const auto quartiles = words.find(" [");
        text += quartiles == std::string::npos
                    ? words
                    : words.substr(0, quartiles) + " <small>" + words.substr(quartiles + 1) + "</small>";
        text += "</td>";
      }
      text += "</tr>\n";
    }
    return text + "</table></div>\n";
  }

  std::string all_tables() const {
    std::string text =
        "<h2>Tables</h2>\n<p>Over workloads: the mean of the medians over draws, and of the quartiles, in "
        "brackets. Shaded: the lowest of a column.</p>\n";
    for (const auto& t : tables_) {
      const auto& facts = find_metric(t.metric);
      text += "<h3>" + std::string(facts.title) + ", " + std::string(facts.unit) + "</h3>\n" +
              html_table(t, t.mean) + "<details><summary>per workload</summary>\n";
      for (std::size_t w = 0; w < t.workloads.size(); ++w)
        text += "<h4>" + svg::escape(t.workloads[w]) + "</h4>\n" + html_table(t, t.cells[w]);
      text += "</details>\n";
    }
    return text;
  }

  std::string explanations() const {
    std::string text = "<h2>What the metrics mean</h2>\n<dl>\n";
    for (const auto& t : tables_) {
      const auto& facts = find_metric(t.metric);
      text += "<dt>" + std::string(facts.title) + "</dt><dd>" + svg::escape(facts.about) + " <code>" +
              t.metric + "</code></dd>\n";
    }
    text += "</dl>\n";
    if (!suite_.budgets) return text;
    text += "<p>Baselines that predict nothing: <b>maxn</b>, every knob at its highest level; ";
    if (!suite_.module.empty())
      text += "<b>presets</b>, the fastest of the vendor's presets for " + svg::escape(suite_.module) +
              " that fits the budget, as measured; ";
    return text +
           "<b>best-measured</b>, the fastest of the measured modes inside the budget. The margin of A/L+1 "
           "is " +
           svg::escape(suite_.excess_margin_text) + ".</p>\n";
  }

  std::string provenance() const {
    const auto entry = [](std::string_view name, const std::string& value) {
      return "<dt>" + std::string(name) + "</dt><dd>" + svg::escape(value) + "</dd>\n";
    };
    std::string splits;
    for (const auto& split : suite_.splits) splits += (splits.empty() ? "" : ", ") + split.name;
    return "<h2>Where this comes from</h2>\n<dl>\n<dt>command</dt><dd><code>" +
           svg::escape(provenance_.command) + "</code></dd>\n" + entry("revision", provenance_.git) +
           entry("host", provenance_.host) + entry("processor", provenance_.cpu) +
           entry("seed", std::to_string(provenance_.seed)) +
           entry("draws", std::to_string(suite_.seeds) + " per workload and number of modes") +
           entry("splits", splits) +
           "</dl>\n<p>The numbers of the tables come from rows.jsonl "
           "in the same folder; the figures of single modes show predictions of the same run.</p>\n";
  }

  const Suite& suite_;
  std::span<const std::string> learners_;
  std::span<const Table> tables_;
  const Result& result_;
  const Provenance& provenance_;
};

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
         "content=\"width=device-width, initial-scale=1\">\n<title>" +
         svg::escape(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n" +
         std::string(body) + "</body>\n</html>\n";
}

std::string colour_of(std::size_t learner) {
  return kColours[learner % kColours.size()];
}

std::string to_html(const Suite& suite, std::span<const std::string> learners, std::span<const Table> tables,
                    const Result& result, const Provenance& provenance) {
  return Report(suite, learners, tables, result, provenance).html();
}

}  // namespace fewwatt::benchmarks
