#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"

namespace fewwatt::benchmarks {

// A figure of a table. Of one workload: median and quartiles over draws. Of the suite: the mean over workloads of each of the three.
struct Cell {
  double median = 0, lower = 0, upper = 0;  // in the metric's unit
};

// A line of a table: a learner with the sampler that chose its modes.
struct Series {
  std::string learner, sampler;  // their names
  bool operator==(const Series&) const = default;
};

// Whether a series needs no measured modes, such as the cost of training or a board's presets. Its sampler is "none".
bool without_modes(const Series& series);

// One metric of a suite. Series that need no measured modes have the same figure in every column; where there are no others, the
// table has one column, 0.
struct Table {
  std::string metric;                                                // its id
  std::vector<Series> series;                                        // the lines
  std::vector<std::size_t> shots;                                    // the columns: numbers of measured modes
  std::vector<std::string> workloads;                                // "tx2/xception_200x200"
  std::vector<std::vector<std::vector<std::optional<Cell>>>> cells;  // [workload][series][shots]
  // [series][shots]: the mean over workloads; none unless every workload has a figure. Workloads that have too few modes for a
  // column do not count there.
  std::vector<std::vector<std::optional<Cell>>> mean;
};

// The table of every metric that has rows, in the order of metric_facts(); series by their first row.
std::vector<Table> make_tables(std::span<const Row> rows);

// The title of a column: "10 modes"; "" where no series has modes.
std::string title_of(const Table& table, std::size_t shots);
// The title of a line: "gp", or "gp, maximin" where the tables have more than one sampler.
std::string label(const Series& series, std::span<const Table> tables);
// A figure as text: "5.31 [4.80, 6.02]"; "–" for none, "∞" for infinity.
std::string to_text(const std::optional<Cell>& cell);
std::string to_text(double value);

// For people. What failed; per metric the suite's table, then one per workload.
std::string to_markdown(const std::string& suite, std::span<const Table> tables, const Provenance& provenance,
                        std::span<const Failure> failures = {});
// The tables as CSV: metric,unit,workload,learner,sampler,shots,median,lower,upper. Workload "all" is the suite's figure; infinity is
// "inf".
std::string to_csv(std::span<const Table> tables);

}  // namespace fewwatt::benchmarks
