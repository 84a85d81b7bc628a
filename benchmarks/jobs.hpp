#pragma once

#include <cstddef>
#include <functional>

namespace fewwatt::benchmarks {

// Runs job(i) for i < n on so many threads, this one among them; afterwards throws what the lowest failing job
// threw. After a failure no higher job is started.
void run_jobs(std::size_t n, std::size_t threads, const std::function<void(std::size_t)>& job);

}  // namespace fewwatt::benchmarks
