#include "benchmarks/report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "benchmarks/blocks.hpp"
#include "benchmarks/figures.hpp"
#include "hw/printable.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

using blocks::Json;

// Adds blocks to others.
void append(Json& to, Json blocks) {
  for (auto& block : blocks) to.push_back(std::move(block));
}

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
    Json all = header();
    for (auto part : {errors(), decisions(), searches(), calibration(), combinations(), scatters(), fronts(),
                      all_tables(), explanations(), provenance()})
      append(all, std::move(part));
    return blocks::page(suite_.name, std::move(all), to_jsonl(result_.rows, provenance_));
  }

 private:
  Json colour(const std::string& learner) const {
    const auto at = std::find(learners_.begin(), learners_.end(), learner);
    if (at != learners_.end()) return at - learners_.begin();
    const auto search = std::find_if(suite_.searches.begin(), suite_.searches.end(),
                                     [&](const SearchName& name) { return name.label == learner; });
    if (search != suite_.searches.end()) return search - suite_.searches.begin();
    return "quiet";  // baselines, which are in no list of the suite
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

  Json header() const {
    std::string text;
    if (!tables_.empty()) {
      const auto& first = tables_.front();
      const auto count = [](std::size_t n, const char* noun) {
        return std::to_string(n) + ' ' + noun + (n == 1 ? "" : "s");
      };
      text += count(first.workloads.size(), "workload") + " that nothing was trained on, " +
              count(suite_.seeds, "draw") + " of the measured modes for each number of modes. ";
    }
    return Json::array(
        {blocks::heading(2, suite_.name),
         blocks::text(text + "A few modes of a workload are measured; time" +
                      (suite_.targets[tasks::kPowerW] ? std::string(" and power") : std::string()) +
                      " of all its other modes are predicted from them.")});
  }

  // Adds the figure of a table, where it has one.
  void add_against_shots(Json& to, const Table& t, bool log) const {
    if (auto figure = figures::against_shots(t, tables_, {.log = log}, colour_); !figure.is_null())
      to.push_back(std::move(figure));
  }
  static Json title_of_metric(std::string_view metric) {
    return blocks::heading(3, find_metric(metric).title);
  }

  Json errors() const {
    Json all = {
        blocks::heading(2, "Error against measured modes"),
        blocks::text("Dots: median over the draws; bars: quartiles; both averaged over workloads. Lower is "
                     "better.")};
    for (const char* metric : {"time_mape", "power_mape"}) {
      const Table* t = table(metric);
      if (t == nullptr) continue;
      all.push_back(title_of_metric(metric));
      add_against_shots(all, *t, true);
    }
    return all;
  }

  Json decisions() const {
    const Table* violations = table("violations");
    if (violations == nullptr) return Json::array();
    Json all = {
        blocks::heading(2, "Decisions under a watt budget"),
        blocks::text("For each budget a learner picks the fastest mode it believes to be inside, taking its "
                     "own mean at its word. A name with @0.9 is the same learner asking for a probability of "
                     "0.9, by its own uncertainty, that a mode is inside.")};
    const auto no_search = [](const Series& series) { return series.sampler != "search"; };
    all.push_back(title_of_metric("violations"));
    add_against_shots(all, only(*violations, no_search), false);
    if (const Table* t = table("strict_regret")) {
      const auto some = only(*t, no_search);
      all.push_back(title_of_metric("strict_regret"));
      all.push_back(blocks::text(find_metric("strict_regret").about));
      all.push_back(table_block(some, some.mean));
    }
    return all;
  }

  // What searches in a closed loop end with.
  Json searches() const {
    if (suite_.searches.empty()) return Json::array();
    Json all = {
        blocks::heading(2, "Searches in a closed loop"),
        blocks::text("For each budget a search measures one mode after the other and ends with one of them; "
                     "predict with one that it did not measure. Medians over draws of the medians over "
                     "budgets, with quartiles, averaged over workloads.")};
    for (const char* metric : {"violations", "strict_regret"}) {
      const Table* t = table(metric);
      if (t == nullptr) continue;
      const auto search = [](const Series& series) { return series.sampler == "search"; };
      const auto some =
          only(*t, [&](const Series& series) { return search(series) || without_modes(series); });
      all.push_back(title_of_metric(metric));
      add_against_shots(all, only(*t, search), false);
      all.push_back(table_block(some, some.mean));
    }
    return all;
  }

  // How often central intervals hold, a figure for each number of modes.
  Json calibration() const {
    Json of_targets = Json::array();
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
      std::vector<const Calibration*> of_target;
      for (const auto& one : result_.calibrations)
        if (one.target == target) of_target.push_back(&one);
      if (of_target.empty()) continue;
      Json each = Json::array();
      for (const auto shots : suite_.shots) each.push_back(figures::coverage(of_target, shots, colour_));
      of_targets.push_back(blocks::heading(3, tasks::kTargetNames[target]));
      of_targets.push_back(blocks::figures(std::move(each)));
    }
    if (of_targets.empty()) return of_targets;
    Json all = {
        blocks::heading(2, "Calibration"),
        blocks::text("Share of the unmeasured modes that lie inside the predicted central interval, against "
                     "the share that it should hold, over all draws and workloads. Dashed: as it should be. "
                     "Above the line a learner is less sure than it could be, below the line it is too "
                     "sure.")};
    append(all, std::move(of_targets));
    return all;
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
  Json combinations() const {
    if (result_.combinations.empty()) return Json::array();
    const auto is_combination = [&](const std::string& learner) {
      return std::any_of(result_.combinations.begin(), result_.combinations.end(),
                         [&](const Combination& c) { return c.learner == learner; });
    };
    Json rows = Json::array();
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
        rows.push_back(Json::array(
            {hw::printable(workload), hw::printable(combination.learner), std::to_string(combination.shots),
             tasks::kTargetNames[target], hw::printable(weights), own ? to_text(*own) : "–",
             hw::printable(least ? best : "–"), own && least ? to_text(100 * (*own / *least - 1)) : "–"}));
      }
    }
    return Json::array({blocks::heading(2, "What combinations chose"),
                        blocks::text("Mean weights over the draws. Regret: how far the median error is above "
                                     "that of the other learner "
                                     "of this suite that, in hindsight, had the least for this workload and "
                                     "number of modes; negative "
                                     "where the combination is better than all of them."),
                        blocks::table({"workload", "learner", "modes", "target", "weights", "error, %",
                                       "best single", "regret, %"},
                                      std::move(rows))});
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

  Json scatters() const {
    const auto groups = by_workload();
    if (groups.empty()) return Json::array();
    Json all = Json::array({blocks::heading(2, "Predicted against measured")});
    for (const auto& group : groups) {
      const Showcase& first = *group.front();
      for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
        if (!suite_.targets[target] || !first.measured.col(target).array().isFinite().any()) continue;
        const std::string what = tasks::kTargetNames[target];
        Json each = Json::array();
        for (const auto* one : group) each.push_back(figures::scatter(*one, target, colour(one->learner)));
        all.push_back(blocks::heading(
            3, first.workload + ": " + what + " from " + std::to_string(first.shots) + " modes"));
        all.push_back(
            blocks::figures(std::move(each),
                            "First draw. In the colour of the text: the measured modes. Dashed: a perfect "
                            "prediction. Points that lie far off are shown at the edge. The number is the "
                            "mean error of the other modes."));
      }
    }
    return all;
  }
  Json fronts() const {
    Json of_workloads = Json::array();
    for (const auto& group : by_workload()) {
      if (group.front()->decisions.empty()) continue;
      Json each = Json::array();
      for (const auto* one : group) each.push_back(figures::front(*one, colour(one->learner)));
      of_workloads.push_back(blocks::heading(
          3, group.front()->workload + ", from " + std::to_string(group.front()->shots) + " modes"));
      of_workloads.push_back(blocks::figures(
          std::move(each),
          "Each mark is the mode chosen for one budget, where it was measured. Crosses drew more than "
          "their budget."));
    }
    if (of_workloads.empty()) return of_workloads;
    Json all = {
        blocks::heading(2, "Pareto front and chosen modes"),
        blocks::text(
            "Small dots: every mode as measured. The line: the modes that no other beats in both time "
            "and power. A good learner's dots lie on that line.")};
    append(all, std::move(of_workloads));
    return all;
  }

  Json table_block(const Table& t, const std::vector<std::vector<std::optional<Cell>>>& cells) const {
    const bool has_best = !t.metric.ends_with("coverage90") && !t.metric.ends_with("seconds") &&
                          t.metric != "time_penalty" && t.series.size() > 1;
    Json header = {"learner"}, rows = Json::array();
    for (const auto shots : t.shots) header.push_back(title_of(t, shots));
    for (std::size_t s = 0; s < t.series.size(); ++s) {
      Json row = Json::array();
      row.push_back(
          {{"text", hw::printable(label(t.series[s], tables_))}, {"colour", colour(t.series[s].learner)}});
      for (std::size_t k = 0; k < t.shots.size(); ++k) {
        double best = std::numeric_limits<double>::infinity();
        for (const auto& other : cells)
          if (other[k]) best = std::min(best, other[k]->median);
        const auto& cell = cells[s][k];
        const std::string words = to_text(cell);
        const auto quartiles = words.find(" [");
        row.push_back({{"text", words.substr(0, quartiles)},
                       {"small", quartiles == std::string::npos ? "" : words.substr(quartiles + 1)},
                       {"isBest", has_best && cell && std::isfinite(best) && cell->median == best}});
      }
      rows.push_back(std::move(row));
    }
    return blocks::table(std::move(header), std::move(rows));
  }

  Json all_tables() const {
    Json all = {
        blocks::heading(2, "Tables"),
        blocks::text("Over workloads: the mean of the medians over draws, and of the quartiles, in brackets. "
                     "Shaded: the lowest of a column.")};
    for (const auto& t : tables_) {
      const auto& facts = find_metric(t.metric);
      all.push_back(blocks::heading(3, std::string(facts.title) + ", " + std::string(facts.unit)));
      all.push_back(table_block(t, t.mean));
      Json each = Json::array();
      for (std::size_t w = 0; w < t.workloads.size(); ++w) {
        each.push_back(blocks::heading(4, t.workloads[w]));
        each.push_back(table_block(t, t.cells[w]));
      }
      all.push_back(blocks::fold("per workload", std::move(each)));
    }
    return all;
  }

  Json explanations() const {
    std::vector<std::pair<std::string, std::string>> meanings;
    for (const auto& t : tables_) {
      const auto& facts = find_metric(t.metric);
      meanings.emplace_back(facts.title, std::string(facts.about) + " (" + t.metric + ")");
    }
    Json all = {blocks::heading(2, "What the metrics mean"), blocks::terms(meanings)};
    if (!suite_.budgets) return all;
    std::string text = "Baselines that predict nothing: maxn, every knob at its highest level; ";
    if (!suite_.module.empty())
      text += "presets, the fastest of the vendor's presets for " + suite_.module +
              " that fits the budget, as measured; ";
    all.push_back(blocks::text(
        text + "best-measured, the fastest of the measured modes inside the budget. The margin of A/L+1 is " +
        suite_.excess_margin_text + "."));
    return all;
  }

  Json provenance() const {
    const std::pair<std::string, std::string> entries[] = {
        {"command", provenance_.command},
        {"revision", provenance_.git},
        {"host", provenance_.host},
        {"processor", provenance_.cpu},
        {"seed", std::to_string(provenance_.seed)},
        {"draws", std::to_string(suite_.seeds) + " per workload and number of modes"},
        {"splits", hw::join(suite_.splits, ", ", [](const SplitRule& split) { return split.name; })}};
    return Json::array(
        {blocks::heading(2, "Where this comes from"), blocks::terms(entries),
         blocks::text("The numbers of the tables come from rows.jsonl in the same folder, which is also "
                      "the second part of this page; the figures of single modes show predictions of the "
                      "same run.")});
  }
  const TableSuite& suite_;
  std::span<const std::string> learners_;
  std::span<const Table> tables_;
  const Result& result_;
  const Provenance& provenance_;
  figures::Colour colour_;
};

}  // namespace

std::string to_html(const TableSuite& suite, std::span<const std::string> learners,
                    std::span<const Table> tables, const Result& result, const Provenance& provenance) {
  return Report(suite, learners, tables, result, provenance).html();
}

}  // namespace fewwatt::benchmarks
