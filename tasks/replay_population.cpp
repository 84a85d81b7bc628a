#include "tasks/replay_population.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "hw/random.hpp"

namespace fewwatt::tasks {
namespace {

constexpr double kLowShare = 0.1, kHighShare = 0.9;  // of powers, between which budgets lie

// Of sorted values, linear between two of them.
double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

ReplayPopulation::ReplayPopulation(std::span<const datasets::Profile> profiles,
                                   std::span<const datasets::Profile> also, const ReplayOptions& options)
    : members_(members_of(profiles, options)), also_(members_of(also, options)) {
  if (members_.empty()) throw std::invalid_argument("ReplayPopulation: expected a profile, found none");
}

std::vector<ReplayPopulation::Member> ReplayPopulation::members_of(
    std::span<const datasets::Profile> profiles, const ReplayOptions& options) {
  std::vector<Member> members;
  for (const auto& profile : profiles) {
    const auto name = profile.device + '/' + profile.workload;
    if (!profile.has_time() || !profile.has_power())
      throw std::invalid_argument("agents need profiles with time and power, " + name + " has no " +
                                  (profile.has_time() ? "power" : "time"));
    if (profile.modes.size() < 2)
      throw std::invalid_argument("agents need profiles with at least 2 modes, " + name + " has " +
                                  std::to_string(profile.modes.size()));
    auto table = std::make_shared<const ReplayTable>(profile, options);
    std::vector<double> powers;
    for (const auto& row : table->rows())
      if (std::isfinite(row.truth.power_w)) powers.push_back(row.truth.power_w);
    std::sort(powers.begin(), powers.end());
    const double least = percentile(powers, kLowShare), most = percentile(powers, kHighShare);
    members.push_back({std::move(table), least, most});
  }
  return members;
}

std::unique_ptr<World> ReplayPopulation::draw(std::uint64_t seed) const {
  auto draws = hw::Rng::stream(seed, "replay population");
  const auto& from = !also_.empty() && draws.below(2) == 1 ? also_ : members_;
  const auto& member = from[draws.below(from.size())];
  return std::make_unique<ReplayWorld>(member.table, draws.uniform(member.least_w, member.most_w));
}

}  // namespace fewwatt::tasks
