#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "benchmarks/runner.hpp"
#include "benchmarks/table.hpp"

namespace fewwatt::benchmarks {

// An HTML page in the style of all reports, without references to anything outside it. `title` is text, `body` HTML.
std::string html_page(std::string_view title, std::string_view body);
// The colour of a learner in figures, by its position in the suite: "#rrggbb".
std::string colour_of(std::size_t learner);

// The report of a run as one HTML page, without references to anything outside it: figures, tables, what each metric means, where it
// was made. `learners` are all of the suite: each has its colour by position, so that reports of one suite look alike whichever
// learners ran.
std::string to_html(const TableSuite& suite, std::span<const std::string> learners,
                    std::span<const Table> tables, const Result& result, const Provenance& provenance);

}  // namespace fewwatt::benchmarks
