#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "benchmarks/runner.hpp"
#include "benchmarks/runner/subject.hpp"

namespace fewwatt::benchmarks {

// Runs the searches of the suite, a part of run_tables(), and appends their rows and failures. `tick` is called after each, with the number
// of all.
void search_all(const TableRun& run, const std::vector<Subject>& subjects, std::size_t threads,
                const std::function<void(std::size_t all)>& tick, Result& result);

}  // namespace fewwatt::benchmarks
