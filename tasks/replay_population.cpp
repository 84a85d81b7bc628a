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
    std::size_t group = members.size();
    for (const auto& one : members)
      if (*one.table->space() == *table->space()) group = std::min(group, one.group);
    members.push_back({std::move(table), least, most, group});
  }
  return members;
}

// A replayed profile that becomes another one, or gets another budget.
class ReplayPopulation::Changing final : public World {
 public:
  Changing(std::vector<Member> alike, std::size_t first, double budget_w, std::size_t steps,
           std::size_t changes)
      : alike_(std::move(alike)), first_(first), first_w_(budget_w), steps_(steps), changes_(changes) {
    become(first_, first_w_);
  }

  void reset(std::uint64_t seed) override {
    rng_ = hw::Rng::stream(seed, "changing world");
    become(first_, first_w_);
    step_ = next_ = 0;
    at_.clear();
    for (std::size_t i = 0; i < changes_; ++i) at_.push_back(1 + rng_.below(steps_ - 1));
    std::sort(at_.begin(), at_.end());
  }
  std::shared_ptr<const hw::PowerModeSpace> space() const override { return alike_[first_].table->space(); }
  Characteristics characteristics() const override { return now_->characteristics(); }
  double budget_w() const override { return now_->budget_w(); }
  hw::Measurement measure(const hw::PowerMode& mode) override { return now_->measure(mode); }
  std::optional<hw::Measurement> truth(const hw::PowerMode& mode) const override { return now_->truth(mode); }
  void advance() override {
    ++step_;
    for (; next_ < at_.size() && at_[next_] == step_; ++next_) {
      auto member = member_;
      if (next_ % 2 == 0 && alike_.size() > 1) {
        member = rng_.below(alike_.size() - 1);
        if (member >= member_) ++member;
      }
      const auto& [table, least_w, most_w, group] = alike_[member];
      const double budget = now_->budget_w();
      const bool stays = member != member_ && budget >= least_w && budget <= most_w;
      become(member, stays ? budget : rng_.uniform(least_w, most_w));
    }
  }

 private:
  void become(std::size_t member, double budget_w) {
    member_ = member;
    now_ = std::make_unique<ReplayWorld>(alike_[member].table, budget_w);
    now_->reset(rng_.bits());
  }

  std::vector<Member> alike_;
  std::size_t first_;
  double first_w_;
  std::size_t steps_, changes_, member_ = 0;
  std::unique_ptr<ReplayWorld> now_;
  hw::Rng rng_{0};
  std::vector<std::size_t> at_;  // steps of changes, ascending
  std::size_t step_ = 0, next_ = 0;
};

std::unique_ptr<World> ReplayPopulation::draw(std::uint64_t seed, std::size_t steps,
                                              std::size_t changes) const {
  if (changes > 0 && steps < 2)
    throw std::invalid_argument("ReplayPopulation: changes need at least 2 steps, got " +
                                std::to_string(steps));
  auto draws = hw::Rng::stream(seed, "replay population");
  const auto& from = !also_.empty() && draws.below(2) == 1 ? also_ : members_;
  const auto& member = from[draws.below(from.size())];
  const double budget_w = draws.uniform(member.least_w, member.most_w);
  if (changes == 0) return std::make_unique<ReplayWorld>(member.table, budget_w);
  std::vector<Member> alike;
  std::size_t first = 0;
  for (const auto& one : from) {
    if (one.group != member.group) continue;
    if (&one == &member) first = alike.size();
    alike.push_back(one);
  }
  return std::make_unique<Changing>(std::move(alike), first, budget_w, steps, changes);
}

}  // namespace fewwatt::tasks
