#pragma once

#include <span>
#include <string>

#include "benchmarks/runner.hpp"
#include "benchmarks/table.hpp"

namespace fewwatt::benchmarks {

// The report of a run as one HTML page, without references to anything outside it: figures, tables, what each metric means, where it
// was made. `learners` are all of the suite: each has its colour by position, so that reports of one suite look alike whichever
// learners ran.
std::string to_html(const TableSuite& suite, std::span<const std::string> learners,
                    std::span<const Table> tables, const Result& result, const Provenance& provenance);

}  // namespace fewwatt::benchmarks
