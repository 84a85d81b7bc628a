#pragma once

#include <span>
#include <string>

#include "benchmarks/runner.hpp"
#include "benchmarks/table.hpp"

namespace fewwatt::benchmarks {

// One HTML page without references to anything outside it: figures, tables, what each metric means, where it
// was made. `learners` gives each its colour by position, so that reports of one suite look alike whichever
// learners ran.
std::string to_html(const Suite& suite, std::span<const std::string> learners, std::span<const Table> tables,
                    std::span<const Showcase> showcases, const Provenance& provenance);

}  // namespace fewwatt::benchmarks
