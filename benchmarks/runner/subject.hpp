#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/metrics.hpp"
#include "benchmarks/rows.hpp"
#include "benchmarks/runner/contestants.hpp"

// The workloads that are tested, the decisions that are made for them, and their rows. A part of run_tables().
namespace fewwatt::benchmarks {

// A workload under test, and what its decisions are compared with.
struct Subject {
  const SplitRun* split;                   // whose learners answer
  const datasets::Profile* profile;        // what was recorded of it
  tasks::Samples all;                      // the profile's modes and values
  bool decides = false;                    // there are budgets
  std::vector<std::size_t> deciding_rows;  // of `all`: time and power are known
  Matrix deciding;                         // their values, [n,2] ms, W
  std::vector<double> budgets_w;           // for which modes are chosen
};
// `split` and `profile` must outlive it.
Subject make_subject(const TableSuite& suite, const SplitRun& split, const datasets::Profile& profile);

// For each budget the fastest mode by `believed`, of the deciding rows, that is inside with this probability. Choices are positions among
// the deciding rows.
std::vector<Decision> decide(const Subject& subject, const Prediction& believed, double confidence = 0.5);
// The same where only some of the deciding rows may be chosen, by what was measured.
std::vector<Decision> decide_among(const Subject& subject, std::span<const std::size_t> deciding_rows);
// Of these rows of `all`, ascending, the positions of those that are among the deciding rows.
std::vector<std::size_t> deciding_among(const Subject& subject, std::span<const std::size_t> rows);

// The positions among the deciding rows, ascending, of the mode with every knob at its highest level, or of the presets of the
// suite's board.
std::vector<std::size_t> fastest_row(const Subject& subject);
std::vector<std::size_t> preset_rows(const TableSuite& suite, const Subject& subject);

// A row of the subject without metric and value.
Row row_of(const TableSuite& suite, const Subject& subject, const std::string& learner,
           const std::string& sampler, std::size_t shots, std::uint64_t draw, double seconds);

// Appends rows that share everything but metric and value.
class RowWriter {
 public:
  // `rows` must outlive it.
  RowWriter(std::vector<Row>& rows, Row common) : rows_(rows), common_(std::move(common)) {}
  void add(std::string metric, double value);  // one row
  void add(const DecisionScores& scores);      // a row for each score that there is

 private:
  std::vector<Row>& rows_;
  Row common_;
};

}  // namespace fewwatt::benchmarks
