#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::benchmarks {

// One measured number of a benchmark. Where the answer needs no measured modes (training, the fastest mode,
// the vendor's presets), sampler is "none" and shots and seed are 0.
struct Row {
  std::string suite, device, workload, learner, sampler;  // names
  std::size_t shots = 0;                                  // number of measured modes
  std::uint64_t seed = 0;                                 // the draw of the support
  std::string metric;                                     // an id of metric_facts()
  double value = 0;                                       // may be +inf, never NaN
  double seconds = 0;  // wall time of adapting and predicting, or of training, that the number comes from
  std::string split;   // what was held out
};

// What a metric is, for tables and people.
struct MetricFacts {
  std::string_view id;     // "time_mape"; docs/metrics.md lists all
  std::string_view unit;   // "%", "W", "s", "nat"
  std::string_view title;  // "Time error"
  std::string_view about;  // one plain sentence
};
// A learner that failed. Where it did, it has no figures but its share of failures.
struct Failure {
  std::string learner;  // its name, or the search's
  // Where it failed first, and how: "workload tx2/lstm, sampler random, 5 modes, draw 0: ...".
  std::string first;
  std::size_t times = 1;  // how often
};
std::string to_text(const Failure& failure);  // "mine failed 3 times, first: ..."

std::span<const MetricFacts> metric_facts();          // of all metrics, in the order of the tables
const MetricFacts& find_metric(std::string_view id);  // throws std::invalid_argument for an unknown id

// Where the rows of a run come from.
struct Provenance {
  std::string command;              // that makes them again
  std::string git, host, cpu;       // revision of the program, and the machine
  std::uint64_t seed = 0;           // of draws and training
  std::string options_json = "{}";  // a flat object: what the run was asked for beyond the row's keys
};
Provenance provenance_of_this_machine();  // with git, host and cpu filled in

// The rows as text, one JSON object per line. Keys: suite device workload learner sampler shots seed metric value unit seconds
// options git host cpu. JSON has no infinity: an infinite value is the text "inf".
std::string to_jsonl(std::span<const Row> rows, const Provenance& provenance);

}  // namespace fewwatt::benchmarks
