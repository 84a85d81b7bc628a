#include "benchmarks/runner/failures.hpp"

#include <algorithm>

namespace fewwatt::benchmarks {

void Failures::add(const DrawGroup& group, const std::string& where, const std::string& what) {
  auto& [failed, all] = draws_[group];
  ++all;
  if (what.empty()) return;
  ++failed;
  const auto found = std::find_if(failures_.begin(), failures_.end(),
                                  [&](const Failure& one) { return one.learner == group.learner; });
  if (found != failures_.end())
    ++found->times;
  else
    failures_.push_back({group.learner, where + ": " + what});
}

double Failures::percent(const DrawGroup& group) const {
  const auto& [failed, all] = draws_.at(group);
  return 100 * static_cast<double>(failed) / static_cast<double>(all);
}

std::string where_of(const Subject& subject, const std::string& what) {
  return "workload " + subject.profile->device + '/' + subject.profile->workload + ", " + what;
}

}  // namespace fewwatt::benchmarks
