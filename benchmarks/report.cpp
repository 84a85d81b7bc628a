#include "benchmarks/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "benchmarks/figures.hpp"
#include "benchmarks/svg.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

using figures::Place;

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
  Report(const TableSuite& suite, std::span<const std::string> learners, std::span<const Table> tables,
         const Result& result, const Provenance& provenance)
      : suite_(suite),
        learners_(learners),
        tables_(tables),
        result_(result),
        provenance_(provenance),
        colour_([this](const std::string& learner) { return colour(learner); }) {}

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

  std::string against_shots(const Table& t, bool log) const {
    return figures::against_shots(t, tables_, log, colour_);
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

  // What searches in a closed loop end with.
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

  // How often central intervals hold, a panel for each number of modes.
  std::string calibration() const {
    std::string text;
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      std::vector<const Calibration*> of_target;
      for (const auto& one : result_.calibrations)
        if (one.target == target) of_target.push_back(&one);
      if (of_target.empty()) continue;
      const std::string what = tasks::kTargetNames[target];
      text += "<h3>" + what + "</h3>\n" +
              figures::panels(suite_.shots.size(), 290, "Coverage of the intervals of " + what,
                              [&](std::size_t i, const Place& place) {
                                return figures::coverage(of_target, suite_.shots[i], colour_, place);
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
  // The median error of a learner for one workload; nullopt where the table has none.
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

  // The weights that combinations give, and how far their errors are above those of the best other learner.
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
        const auto weights = hw::join(combination.chosen, ", ", [&](const learners::Chosen& chosen) {
          return chosen.learner + ' ' + std::to_string(std::lround(100 * chosen.weights[target])) + " %";
        });
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

  // The showcases by workload, in the order in which they ran.
  std::vector<std::vector<const Showcase*>> by_workload() const {
    std::vector<std::vector<const Showcase*>> groups;
    for (const auto& showcase : result_.showcases) {
      if (groups.empty() || groups.back().front()->workload != showcase.workload) groups.emplace_back();
      groups.back().push_back(&showcase);
    }
    return groups;
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
        text +=
            "<h3>" + svg::escape(first.workload) + ": " + what + " from " + std::to_string(first.shots) +
            " modes</h3>\n" +
            figures::panels(group.size(), 270, "Predicted against measured " + what,
                            [&](std::size_t i, const Place& place) {
                              return figures::scatter(*group[i], target, colour(group[i]->learner), place);
                            }) +
            "<figcaption>First draw. Black: the measured modes. Dashed: a perfect prediction. Points "
            "that lie far off are shown at the edge. The number is the mean error of the other "
            "modes.</figcaption>\n</figure>\n";
      }
    }
    return text;
  }
  std::string fronts() const {
    std::string text;
    for (const auto& group : by_workload()) {
      if (group.front()->decisions.empty()) continue;
      text += "<h3>" + svg::escape(group.front()->workload) + ", from " +
              std::to_string(group.front()->shots) + " modes</h3>\n" +
              figures::panels(group.size(), 300, "Time against power, and the chosen modes",
                              [&](std::size_t i, const Place& place) {
                                return figures::front(*group[i], colour(group[i]->learner), place);
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
    const auto splits = hw::join(suite_.splits, ", ", [](const SplitRule& split) { return split.name; });
    return "<h2>Where this comes from</h2>\n<dl>\n<dt>command</dt><dd><code>" +
           svg::escape(provenance_.command) + "</code></dd>\n" + entry("revision", provenance_.git) +
           entry("host", provenance_.host) + entry("processor", provenance_.cpu) +
           entry("seed", std::to_string(provenance_.seed)) +
           entry("draws", std::to_string(suite_.seeds) + " per workload and number of modes") +
           entry("splits", splits) +
           "</dl>\n<p>The numbers of the tables come from rows.jsonl "
           "in the same folder; the figures of single modes show predictions of the same run.</p>\n";
  }
  const TableSuite& suite_;
  std::span<const std::string> learners_;
  std::span<const Table> tables_;
  const Result& result_;
  const Provenance& provenance_;
  figures::Colour colour_;
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

std::string to_html(const TableSuite& suite, std::span<const std::string> learners,
                    std::span<const Table> tables, const Result& result, const Provenance& provenance) {
  return Report(suite, learners, tables, result, provenance).html();
}

}  // namespace fewwatt::benchmarks
