#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/runner/subject.hpp"

// What failed in a run, and what is left out of the tables for it. A part of run_tables().
namespace fewwatt::benchmarks {

// Draws that are left out together when one of them fails.
struct DrawGroup {
  std::string learner, sampler;  // names
  const Subject* subject;        // nullptr: all of them
  std::size_t shots;             // number of measured modes
  auto operator<=>(const DrawGroup&) const = default;
};

// Which draws failed, and how.
class Failures {
 public:
  // Counts a draw. `where` says which it is; `what` is "" where it did not fail.
  void add(const DrawGroup& group, const std::string& where, const std::string& what);
  bool in(const DrawGroup& group) const { return draws_.at(group).failed > 0; }  // whether one failed
  double percent(const DrawGroup& group) const;                                  // share that failed, %
  const std::vector<Failure>& all() const { return failures_; }                  // as they failed first

 private:
  struct Draws {
    std::size_t failed = 0, all = 0;
  };
  std::map<DrawGroup, Draws> draws_;
  std::vector<Failure> failures_;
};

// "workload tx2/lstm, " and what.
std::string where_of(const Subject& subject, const std::string& what);

}  // namespace fewwatt::benchmarks
