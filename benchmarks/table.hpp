#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"

namespace fewwatt::benchmarks {

// Over the draws of one workload: median and quartiles. Over workloads: the mean of each of the three.
struct Cell {
  double median = 0, lower = 0, upper = 0;
};

// A line of a table: a learner with the sampler that chose its modes.
struct Series {
  std::string learner, sampler;
  bool operator==(const Series&) const = default;
};

// What measured modes are nothing to: the cost of training, a board's presets. Their sampler is "none".
bool without_modes(const Series& series);

// One metric of a suite. Series without modes stand in every column; where there are no others, in the
// only column, 0.
struct Table {
  std::string metric;
  std::vector<Series> series;
  std::vector<std::size_t> shots;
  std::vector<std::string> workloads;                                // "tx2/xception_200x200"
  std::vector<std::vector<std::vector<std::optional<Cell>>>> cells;  // [workload][series][shots]
  std::vector<std::vector<std::optional<Cell>>>
      mean;  // [series][shots]; none unless every workload has one, those aside that no
             // series has with so many modes
};

// The table of every metric that has rows, in the order of metric_facts(); series by their first row.
std::vector<Table> make_tables(std::span<const Row> rows);

// "10 modes"; "" where no series has modes.
std::string title_of(const Table& table, std::size_t shots);
// "gp", or "gp, maximin" where the tables have more than one sampler.
std::string label(const Series& series, std::span<const Table> tables);
// "5.31 [4.80, 6.02]"; "–" for none, "∞" for infinity.
std::string to_text(const std::optional<Cell>& cell);
std::string to_text(double value);

// For people. Per metric: the suite's table, then one per workload.
std::string to_markdown(const std::string& suite, std::span<const Table> tables,
                        const Provenance& provenance);
// metric,unit,workload,learner,sampler,shots,median,lower,upper; workload "all" is the suite's figure; inf as
// "inf".
std::string to_csv(std::span<const Table> tables);

}  // namespace fewwatt::benchmarks
