#include "learners/mixtures.hpp"

#include <algorithm>
#include <cmath>

#include "hw/random.hpp"

namespace fewwatt::learners {

using Index = Eigen::Index;
using Rows = SimPopulation::Rows;

constexpr double kMostOverlap = 20;  // two of the same length then take 4 % longer than one

Mixtures::Mixtures(const std::array<Matrix, tasks::kNumTargets>& logs, std::size_t count, std::uint64_t seed,
                   std::size_t others) {
  const bool blends = others > 0;
  const auto w = std::max(logs[tasks::kTimeMs].rows(), logs[tasks::kPowerW].rows());
  if (w < 2) return;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    if (logs[t].rows() != w) continue;
    // How long a workload took says nothing of how much of it is in another.
    const Vector level = t == tasks::kTimeMs ? Vector(logs[t].rowwise().mean()) : Vector::Zero(w);
    const Matrix of_level = logs[t].colwise() - level;
    values_[t] = of_level.array().exp().cast<float>();
    if (t == tasks::kTimeMs) log_times_ = of_level.cast<float>();
  }
  auto rng = hw::Rng::stream(seed, blends ? "sim_prior blends" : "sim_prior mixtures");
  const auto draw = [&](std::size_t from) {
    return static_cast<Index>(rng.below(static_cast<std::uint64_t>(from)));
  };
  const auto measured = static_cast<std::size_t>(w);
  for (Index i = 0; i < w && !blends; ++i) pairs_.push_back({i, i, 1, 1});
  while (pairs_.size() < count) {
    const auto i = draw(measured), j = blends ? w + draw(others) : draw(measured);
    const auto share = static_cast<float>(rng.uniform());
    const double overlap = rng.uniform() < 0.5 ? 1 : std::exp(rng.uniform() * std::log(kMostOverlap));
    pairs_.push_back({i, j, share, static_cast<float>(overlap)});
  }
}

SimPopulation::Logs Mixtures::simulate(std::span<const Index> modes, std::span<const std::size_t> which,
                                       const SimPopulation::Logs& others) const {
  const auto rows = static_cast<Index>(which.size()), n = static_cast<Index>(modes.size());
  const std::vector<Index> at(modes.begin(), modes.end());
  std::array<Rows, tasks::kNumTargets> here;  // of the measured ones, then of the others
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    if (values_[t].size() == 0) continue;
    const auto& more = t == tasks::kTimeMs ? others.time : others.power;
    here[t].resize(values_[t].rows() + more.rows(), n);
    here[t].topRows(values_[t].rows()) = values_[t](Eigen::all, at);
    if (more.rows() > 0) here[t].bottomRows(more.rows()) = more.array().exp();
  }
  const auto &time = here[tasks::kTimeMs], &power = here[tasks::kPowerW];
  Rows log_time(time.rows(), time.cols());
  if (time.size() > 0) {
    log_time.topRows(log_times_.rows()) = log_times_(Eigen::all, at);
    if (others.time.rows() > 0) log_time.bottomRows(others.time.rows()) = others.time;
  }
  SimPopulation::Logs logs{time.size() > 0 ? Rows(rows, n) : Rows(),
                           power.size() > 0 ? Rows(rows, n) : Rows()};
  // Row by row, so that what one takes stays in the cache.
  using Row = Eigen::Array<float, 1, Eigen::Dynamic>;
  const auto measured = values_[tasks::kPowerW].rows();
  const Row least = power.size() > 0 ? Row(power.topRows(measured).colwise().minCoeff()) : Row();
  Row first(n), second(n), both(n), log_both(n);
  for (Index row = 0; row < rows; ++row) {
    const auto& [i, j, share, overlap] = pairs_[which[static_cast<std::size_t>(row)]];
    first.setConstant(share);
    second.setConstant(1 - share);
    if (time.size() > 0) {
      first *= time.row(i).array();
      second *= time.row(j).array();
    }
    if (overlap > 1) {
      // log (a^o + b^o)^(1/o) = max + log(1 + exp(-o |log a - log b|)) / o
      Row a = Row::Constant(n, std::log(share)), b = Row::Constant(n, std::log1p(-share));
      if (time.size() > 0) {
        a += log_time.row(i).array();
        b += log_time.row(j).array();
      }
      // where far from 0 the second part is 0, and slow where exp is denormal
      log_both = a.max(b) + (1 + (-overlap * (a - b).abs()).max(-60.0F).exp()).log() / overlap;
      both = log_both.exp();
    } else {
      both = first + second;
      log_both = both.log();
    }
    if (time.size() > 0) logs.time.row(row) = log_both;
    if (power.size() > 0)
      logs.power.row(row) = (least + (first * (power.row(i).array() - least) +
                                      second * (power.row(j).array() - least).max(0.0F)) /
                                         both)
                                .log();
  }
  return logs;
}

}  // namespace fewwatt::learners
