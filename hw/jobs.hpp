#pragma once

#include <cstddef>
#include <functional>

namespace fewwatt::hw {

std::size_t thread_count(std::size_t asked);  // as many as asked for, or, for 0, as the machine has cores

// Runs job(i) for all i < n on `threads` threads, the calling one among them. When jobs fail, no job of a higher number is started any more;
// at the end it throws what the lowest failing job threw.
void run_jobs(std::size_t n, std::size_t threads, const std::function<void(std::size_t)>& job);

}  // namespace fewwatt::hw
