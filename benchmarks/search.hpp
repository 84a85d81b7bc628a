#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "learners/optimize/search.hpp"

namespace fewwatt::benchmarks {

// A search as a suite names it: "SEARCH LEARNER [MEASURED [CONFIDENCE]]", as in "designed-ei auto", "random -" for one without a
// learner, "predict transfer 50" for one that is run with so many measurements alone.
struct SearchName {
  std::string search, learner;  // learner "" = none
  std::optional<std::size_t> measured;
  double confidence = 0.5;  // of Goal::limits
  std::string label;        // as it was written
};
SearchName parse_search(const std::string& text);  // throws std::invalid_argument

// A workload to search, and what is true of it.
struct SearchSubject {
  std::shared_ptr<const hw::PowerModeSpace> space;
  tasks::Matrix truth;  // [space->size(), 2] ms, W, without noise
  tasks::Characteristics characteristics;
  std::vector<double> budgets_w;  // those that a mode keeps and the fastest mode does not
  std::vector<double> optima_ms;  // of each, the fastest mode that keeps it
};
// Of all budgets, those that count.
SearchSubject search_subject(std::shared_ptr<const hw::PowerModeSpace> space, tasks::Matrix truth,
                             const std::vector<double>& budgets_w);

// Every measurement is the truth times a log-normal error of this size, drawn anew.
inline constexpr double kSearchNoise = 0.01;
// A budget is broken by a mode whose true power is above it by more than this fraction.
inline constexpr double kSearchMargin = 0.01;

// The end of one search for the fastest mode within one budget.
struct SearchOutcome {
  double budget_w = 0;
  double regret = std::numeric_limits<double>::
      infinity();  // true time / that of the optimum - 1, at least 0; inf where broken or without an answer
  bool answered = false, broken = false;
  std::size_t measured = 0;
  std::size_t over = 0;  // of the measured modes, whose true power breaks the budget
};

// One draw: what is measured before the budget matters is shared by all budgets, as on a board.
std::vector<SearchOutcome> run_search(const SearchName& name,
                                      std::shared_ptr<const learners::Learner> learner,
                                      const SearchSubject& subject, std::size_t measured, std::uint64_t seed,
                                      std::uint64_t draw);

// The fastest of `rows` of the truth inside each budget: the answers of one who knows these modes and measures no other.
std::vector<SearchOutcome> answer_among(const SearchSubject& subject, const std::vector<std::size_t>& rows);

}  // namespace fewwatt::benchmarks
