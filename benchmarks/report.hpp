#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "benchmarks/runner.hpp"
#include "benchmarks/table.hpp"

namespace fewwatt::benchmarks {

// A page in the style of all reports, without references to anything outside it. `title` is text, `body` HTML.
std::string html_page(std::string_view title, std::string_view body);
// Of the i-th learner of a suite.
std::string colour_of(std::size_t learner);

// One HTML page without references to anything outside it: figures, tables, what each metric means, where it
// was made. `learners` gives each its colour by position, so that reports of one suite look alike whichever
// learners ran.
std::string to_html(const Suite& suite, std::span<const std::string> learners, std::span<const Table> tables,
                    const Result& result, const Provenance& provenance);

}  // namespace fewwatt::benchmarks
