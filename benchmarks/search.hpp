#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "learners/optimize/search.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {

// A search as a suite names it: "SEARCH LEARNER [MEASURED [CONFIDENCE]]". "random -" is one without a learner; "predict transfer 50" makes 50
// measurements, whatever the suite says of others.
struct SearchName {
  std::string search, learner;          // learner "" = none
  std::optional<std::size_t> measured;  // number of measurements; nullopt: those of the suite
  double confidence = 0.5;              // of Goal::limits
  std::string label;                    // as it was written
};
// The search is the registry's. Throws std::invalid_argument.
SearchName parse_search(const std::string& text, const learners::Registry& registry = learners::builtin());

// A workload to search, with its true times and powers.
struct SearchSubject {
  std::shared_ptr<const hw::PowerModeSpace> space;  // modes that may be measured
  tasks::Matrix truth;                              // [space->size(), 2] ms, W, without noise
  tasks::Characteristics characteristics;           // of the workload
  std::vector<double> budgets_w;                    // those that a mode keeps and the fastest mode does not
  std::vector<double> optima_ms;  // for each budget, the time of the fastest mode that keeps it
};
// The subject with these budgets, but for those that no mode keeps, or that the fastest mode keeps.
SearchSubject search_subject(std::shared_ptr<const hw::PowerModeSpace> space, tasks::Matrix truth,
                             const std::vector<double>& budgets_w);

// Standard deviation of the log of a measurement's error, which is drawn anew for each measurement.
inline constexpr double kSearchNoise = 0.01;
// A mode breaks a budget when its true power is above it by more than this fraction.
inline constexpr double kSearchMargin = 0.01;

// The end of one search for the fastest mode within one budget.
struct SearchOutcome {
  double budget_w = 0;  // the budget
  // True time of the answer over that of the optimum, less 1, at least 0; infinite where the budget is broken or there is no answer.
  double regret = std::numeric_limits<double>::infinity();
  bool answered = false, broken = false;  // whether there is an answer; whether it breaks the budget
  std::size_t measured = 0;               // number of measurements
  std::size_t over = 0;                   // number of measured modes whose true power breaks the budget
};

// Runs a search once for each budget of the subject. Measurements that do not depend on the budget are made once for all, as on a board.
std::vector<SearchOutcome> run_search(const SearchName& name,
                                      std::shared_ptr<const learners::Learner> learner,
                                      const SearchSubject& subject, std::size_t measured, std::uint64_t seed,
                                      std::uint64_t draw,
                                      const learners::Registry& registry = learners::builtin());

// The outcomes of one who does not search, but knows the true costs of these rows: for each budget, the fastest of them inside it.
std::vector<SearchOutcome> answer_among(const SearchSubject& subject, const std::vector<std::size_t>& rows);

}  // namespace fewwatt::benchmarks
