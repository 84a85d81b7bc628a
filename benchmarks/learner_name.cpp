#include "benchmarks/learner_name.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "benchmarks/suite_keys.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

constexpr std::string_view kBothSuffix = "+sim", kSimulatedSuffix = "-sim";
static_assert(kBothSuffix.size() == kSimulatedSuffix.size());

}  // namespace

LearnerName parse_learner(const std::string& name) {
  const std::string_view text = name;
  LearnerName learner;
  const auto cut_at = [&](std::size_t at) {
    learner.base = name.substr(0, at);
    learner.suffix = name.substr(at);
  };
  const auto colon = name.find(':');
  if (colon == std::string::npos) {
    const bool both = text.ends_with(kBothSuffix), simulated = text.ends_with(kSimulatedSuffix);
    cut_at(both || simulated ? name.size() - kBothSuffix.size() : name.size());
    if (both) learner.training = LearnerName::Training::both;
    if (simulated) learner.training = LearnerName::Training::simulated;
    return learner;
  }
  cut_at(colon);
  const auto part = name.substr(colon + 1);
  if (part == "0") {
    learner.training = LearnerName::Training::none;
    return learner;
  }
  const auto middle = std::min(part.find_first_of("+x"), part.size());
  try {
    learner.workloads = parse_count(part.substr(0, middle));
    if (middle < part.size())
      (part[middle] == '+' ? learner.added : learner.modes) = parse_count(part.substr(middle + 1));
  } catch (const std::invalid_argument&) {
    throw std::invalid_argument("learner '" + name + "': expected NAME:WORKLOADS, NAME:WORKLOADSxMODES, " +
                                "NAME:WORKLOADS+MORE or NAME:0");
  }
  return learner;
}

std::string LearnerName::with_base(std::string_view other) const {
  return std::string(other) + suffix;
}

std::string LearnerName::start() const {
  return added > 0 ? base + ':' + std::to_string(workloads) : "";
}

void check_learner(const std::string& name, const meta::Registry& registry) {
  const auto learner = parse_learner(name);
  const bool untrained = learner.training == LearnerName::Training::none;
  std::vector<std::string> known;
  if (learner.suffix.empty() || untrained)
    for (const auto& facts : registry.learners)
      if (!facts.needs_checkpoint) known.push_back(facts.name);
  for (const auto& facts : registry.meta_learners) {
    const bool can = !untrained &&
                     (learner.training == LearnerName::Training::profiles || facts.has_outer_loop()) &&
                     (learner.added == 0 || facts.goes_on);
    if (can) known.push_back(facts.name);
  }
  if (std::find(known.begin(), known.end(), learner.base) == known.end())
    throw std::invalid_argument("unknown learner '" + name + "', known are: " + hw::join(known) +
                                (learner.suffix.empty() ? "" : "; each with " + learner.suffix) +
                                hw::did_you_mean(learner.base, known));
}

}  // namespace fewwatt::benchmarks
