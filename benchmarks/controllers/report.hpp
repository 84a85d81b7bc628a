#pragma once

#include <span>
#include <string>

#include "benchmarks/controllers/run.hpp"
#include "benchmarks/rows.hpp"
#include "benchmarks/table.hpp"

namespace fewwatt::benchmarks {

// report.html of a suite of kind `controllers`: curves of regret with quartiles, what each contestant visited in one episode, and
// `markdown`, which has all tables. `labels`: all contestants of the suite, each of which has its colour by position.
std::string controllers_html(const ControllerSuite& suite, std::span<const std::string> labels,
                             std::span<const Table> tables, const ControlResult& result,
                             const std::string& markdown);

}  // namespace fewwatt::benchmarks
