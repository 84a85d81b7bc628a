#include "learners/mixtures.hpp"

#include <algorithm>
#include <cmath>

#include "hw/random.hpp"

namespace fewwatt::learners {

using Index = Eigen::Index;
using Rows = SimPopulation::Rows;

constexpr double kMostOverlap = 20;  // two of the same length then take 4 % longer than one

Mixtures::Mixtures(const std::array<Matrix, tasks::kNumTargets>& logs, std::size_t count,
                   std::uint64_t seed) {
  const auto w = std::max(logs[tasks::kTimeMs].rows(), logs[tasks::kPowerW].rows());
  if (w < 2) return;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    if (logs[t].rows() != w) continue;
    // How long a workload took says nothing of how much of it is in another.
    const Vector level = t == tasks::kTimeMs ? Vector(logs[t].rowwise().mean()) : Vector::Zero(w);
    values_[t] = (logs[t].colwise() - level).array().exp().cast<float>();
  }
  auto rng = hw::Rng::stream(seed, "sim_prior mixtures");
  for (Index i = 0; i < w; ++i) pairs_.push_back({i, i, 1, 1});
  while (pairs_.size() < count) {
    const auto i = static_cast<Index>(rng.below(static_cast<std::uint64_t>(w))),
               j = static_cast<Index>(rng.below(static_cast<std::uint64_t>(w)));
    const auto share = static_cast<float>(rng.uniform());
    const double overlap = rng.uniform() < 0.5 ? 1 : std::exp(rng.uniform() * std::log(kMostOverlap));
    pairs_.push_back({i, j, share, static_cast<float>(overlap)});
  }
}

SimPopulation::Logs Mixtures::simulate(std::span<const Index> modes,
                                       std::span<const std::size_t> which) const {
  std::array<Rows, tasks::kNumTargets> here;
  const std::vector<Index> at(modes.begin(), modes.end());
  for (int t = 0; t < tasks::kNumTargets; ++t)
    if (values_[t].size() > 0) here[t] = values_[t](Eigen::all, at);
  const auto rows = static_cast<Index>(which.size()), n = static_cast<Index>(modes.size());
  const auto &time = here[tasks::kTimeMs], &power = here[tasks::kPowerW];
  SimPopulation::Logs logs{time.size() > 0 ? Rows(rows, n) : Rows(),
                           power.size() > 0 ? Rows(rows, n) : Rows()};
  // Row by row, so that what one takes stays in the cache.
  using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
  const Row least = power.size() > 0 ? Row(power.colwise().minCoeff()) : Row();
  Row first(n), second(n), both(n);
  for (Index row = 0; row < rows; ++row) {
    const auto& [i, j, share, overlap] = pairs_[which[static_cast<std::size_t>(row)]];
    first.setConstant(share);
    second.setConstant(1 - share);
    if (time.size() > 0) {
      first *= time.row(i).array();
      second *= time.row(j).array();
    }
    if (overlap > 1)
      both = p_norm(overlap, first, second);
    else
      both = first + second;
    if (time.size() > 0) logs.time.row(row) = both.log();
    if (power.size() > 0)
      logs.power.row(row) =
          (least + (first * (power.row(i).array() - least) + second * (power.row(j).array() - least)) / both)
              .log();
  }
  return logs;
}

}  // namespace fewwatt::learners
