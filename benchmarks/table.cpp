#include "benchmarks/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "benchmarks/metrics.hpp"

namespace fewwatt::benchmarks {
namespace {

std::string workload_of(const Row& row) {
  return row.device + '/' + row.workload;
}

template <class T>
std::size_t position(std::vector<T>& values, const T& value) {
  const auto found = std::find(values.begin(), values.end(), value);
  if (found != values.end()) return static_cast<std::size_t>(found - values.begin());
  values.push_back(value);
  return values.size() - 1;
}

Cell cell_of(const std::vector<double>& values) {
  return {.median = median(values), .lower = quantile(values, 0.25), .upper = quantile(values, 0.75)};
}

Series series_of(const Row& row) {
  return {row.learner, row.sampler};
}

Table make_table(std::string_view metric, std::span<const Row> rows) {
  Table table;
  table.metric = metric;
  std::set<std::size_t> shots;
  std::map<std::array<std::size_t, 3>, std::vector<double>> values;  // workload, series, shots
  for (const Row& row : rows) {
    if (row.metric != metric) continue;
    const auto workload = position(table.workloads, workload_of(row));
    const auto series = position(table.series, series_of(row));
    if (!without_modes(series_of(row))) shots.insert(row.shots);
    values[{workload, series, row.shots}].push_back(row.value);
  }
  if (shots.empty()) shots.insert(0);
  table.shots.assign(shots.begin(), shots.end());

  const std::vector<std::optional<Cell>> none(table.shots.size());
  const std::vector<std::vector<std::optional<Cell>>> no_cells(table.series.size(), none);
  table.cells.assign(table.workloads.size(), no_cells);
  table.mean = no_cells;
  for (std::size_t w = 0; w < table.workloads.size(); ++w)
    for (std::size_t s = 0; s < table.series.size(); ++s)
      for (std::size_t k = 0; k < table.shots.size(); ++k) {
        auto draws = values.find({w, s, table.shots[k]});
        if (draws == values.end() && without_modes(table.series[s])) draws = values.find({w, s, 0});
        if (draws != values.end()) table.cells[w][s][k] = cell_of(draws->second);
      }
  // A workload that has too few modes for a column does not count there.
  const auto counts = [&](std::size_t w, std::size_t k) {
    bool measured = false, any = false;
    for (std::size_t s = 0; s < table.series.size(); ++s) {
      if (without_modes(table.series[s])) continue;
      any = true;
      measured = measured || table.cells[w][s][k];
    }
    return measured || !any;
  };
  for (std::size_t s = 0; s < table.series.size(); ++s)
    for (std::size_t k = 0; k < table.shots.size(); ++k) {
      Cell sum;
      std::size_t found = 0, all = 0;
      for (std::size_t w = 0; w < table.workloads.size(); ++w) {
        if (!counts(w, k)) continue;
        ++all;
        const auto& cell = table.cells[w][s][k];
        if (!cell) continue;
        sum.median += cell->median;
        sum.lower += cell->lower;
        sum.upper += cell->upper;
        ++found;
      }
      if (found == 0 || found != all) continue;
      const auto n = static_cast<double>(found);
      table.mean[s][k] = Cell{sum.median / n, sum.lower / n, sum.upper / n};
    }
  return table;
}

std::string markdown_table(const Table& table, std::span<const Table> all,
                           const std::vector<std::vector<std::optional<Cell>>>& cells) {
  std::string text = "| learner |";
  std::string line = "|---|";
  for (const auto shots : table.shots) {
    text += ' ' + title_of(table, shots) + " |";
    line += "---:|";
  }
  text += '\n' + line + '\n';
  for (std::size_t s = 0; s < table.series.size(); ++s) {
    text += "| " + label(table.series[s], all) + " |";
    for (const auto& cell : cells[s]) text += ' ' + to_text(cell) + " |";
    text += '\n';
  }
  return text + '\n';
}

// A message on one line, so that no part of it can begin a heading or a list.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text;
}

std::string csv_number(double value) {
  if (std::isinf(value)) return "inf";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

void append_csv(std::string& text, const Table& table, const std::string& workload,
                const std::vector<std::vector<std::optional<Cell>>>& cells) {
  for (std::size_t s = 0; s < table.series.size(); ++s)
    for (std::size_t k = 0; k < table.shots.size(); ++k) {
      const auto& cell = cells[s][k];
      if (!cell) continue;
      text += table.metric + ',' + std::string(find_metric(table.metric).unit) + ',' + workload + ',' +
              table.series[s].learner + ',' + table.series[s].sampler + ',' + std::to_string(table.shots[k]) +
              ',' + csv_number(cell->median) + ',' + csv_number(cell->lower) + ',' + csv_number(cell->upper) +
              '\n';
    }
}

}  // namespace

std::vector<Table> make_tables(std::span<const Row> rows) {
  std::vector<Table> tables;
  for (const auto& facts : metric_facts()) {
    Table table = make_table(facts.id, rows);
    if (!table.series.empty()) tables.push_back(std::move(table));
  }
  return tables;
}

bool without_modes(const Series& series) {
  return series.sampler == "none";
}

std::string title_of(const Table& table, std::size_t shots) {
  const bool any = std::any_of(table.series.begin(), table.series.end(),
                               [](const Series& series) { return !without_modes(series); });
  return any ? std::to_string(shots) + " modes" : "";
}

std::string label(const Series& series, std::span<const Table> tables) {
  std::set<std::string> samplers;
  for (const auto& table : tables)
    for (const auto& other : table.series)
      if (other.sampler != "none") samplers.insert(other.sampler);
  return samplers.size() < 2 || series.sampler == "none" ? series.learner
                                                         : series.learner + ", " + series.sampler;
}

std::string to_text(double value) {
  if (std::isinf(value)) return "∞";
  char text[32];
  const double size = std::abs(value);
  std::snprintf(text, sizeof text,
                size >= 100              ? "%.0f"
                : size >= 10             ? "%.1f"
                : size >= 1 || size == 0 ? "%.2f"
                                         : "%#.2g",
                value);
  return text;
}

std::string to_text(const std::optional<Cell>& cell) {
  if (!cell) return "–";
  if (cell->lower == cell->median && cell->upper == cell->median) return to_text(cell->median);
  return to_text(cell->median) + " [" + to_text(cell->lower) + ", " + to_text(cell->upper) + "]";
}

std::string to_markdown(const std::string& suite, std::span<const Table> tables, const Provenance& provenance,
                        std::span<const Failure> failures) {
  std::string text =
      "# " + suite + "\n\n`" + provenance.command + "`, revision " + provenance.git + ", " + provenance.host +
      ", " + provenance.cpu +
      ".\n\nOver workloads: mean of the medians over draws [mean of the lower quartiles, mean of the "
      "upper quartiles]. Per workload: median over draws [quartiles].\n";
  for (const auto& failure : failures) text += "\n- " + one_line(to_text(failure));
  if (!failures.empty()) text += '\n';
  for (const auto& table : tables) {
    const auto& facts = find_metric(table.metric);
    text += "\n## " + std::string(facts.title) + ", " + std::string(facts.unit) + " (" + table.metric +
            ")\n\n" + std::string(facts.about) + "\n\n### All " + std::to_string(table.workloads.size()) +
            " workloads\n\n" + markdown_table(table, tables, table.mean);
    for (std::size_t w = 0; w < table.workloads.size(); ++w)
      text += "### " + table.workloads[w] + "\n\n" + markdown_table(table, tables, table.cells[w]);
  }
  return text;
}

std::string to_csv(std::span<const Table> tables) {
  std::string text = "metric,unit,workload,learner,sampler,shots,median,lower,upper\n";
  for (const auto& table : tables) {
    append_csv(text, table, "all", table.mean);
    for (std::size_t w = 0; w < table.workloads.size(); ++w)
      append_csv(text, table, table.workloads[w], table.cells[w]);
  }
  return text;
}

}  // namespace fewwatt::benchmarks
