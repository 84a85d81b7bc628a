#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "benchmarks/runner.hpp"
#include "benchmarks/table.hpp"

// The figures of a report, as blocks.hpp has them.
namespace fewwatt::benchmarks::figures {

using Json = nlohmann::ordered_json;  // of blocks.hpp
// The colour of a learner: the position of a line's colour, or a name of the page's.
using Colour = std::function<Json(const std::string& learner)>;

// The axis of a metric. A logarithmic one has no place for 0: values below `floor` are drawn there, and the axis says so; where floor is 0,
// values up to 0 are not drawn.
struct Scale {
  bool log = false;  // whether it is logarithmic
  double floor = 0;  // >= 0, in the metric's unit; of a logarithmic axis
};

// A block with a metric against the number of measured modes: medians and quartiles, averaged over workloads; null where there is nothing
// to draw. `all` are the tables of the report, for label().
Json against_shots(const Table& table, std::span<const Table> all, const Scale& scale, const Colour& colour);

// The share of values that lie inside central intervals against the share that should; of the calibrations with so many measured modes.
Json coverage(std::span<const Calibration* const> all, std::size_t shots, const Colour& colour);
// A learner's predictions against the measured values.
Json scatter(const Showcase& show, tasks::Target target, const Json& colour);
// Time against power, the Pareto front, and the modes that the learner chose.
Json front(const Showcase& show, const Json& colour);

}  // namespace fewwatt::benchmarks::figures
