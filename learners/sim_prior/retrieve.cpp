#include "learners/sim_prior/retrieve.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fewwatt::learners {
namespace {

using tasks::kNumTargets;
using Rows = SimPopulation::Rows;
using Index = Eigen::Index;

// Beside 0: nothing, but the squares of what is less are denormal, and slow.
constexpr float kLeastLogWeight = -30;

// Of modes that are all among others, ascending.
std::vector<Index> positions(std::span<const hw::PowerMode> modes, const std::vector<hw::PowerMode>& among) {
  std::vector<Index> at;
  for (const auto& mode : modes)
    at.push_back(std::lower_bound(among.begin(), among.end(), mode) - among.begin());
  return at;
}

std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// One retrieval after the other fills `retrieved`.
class Retrieval {
 public:
  Retrieval(const SimPriorOptions& options, const TargetSupports& targets,
            const std::vector<hw::PowerMode>& modes, Retrieved& retrieved)
      : options_(options), targets_(targets), retrieved_(retrieved) {
    for (int t = 0; t < kNumTargets; ++t)
      if (targets_[t]) among_[t] = positions(targets_[t]->rows.modes, modes);
  }

  // Of the first `count` workloads, those that fit best become the cloud `best`, and the first ones the cloud `all`. logs: at
  // the modes of the constructor.
  void add(const SimPopulation::Logs& logs, std::size_t count, std::size_t kept, CloudName best,
           std::optional<CloudName> all) {
    std::array<Rows, kNumTargets> of_target;
    Vector q = Vector::Zero(static_cast<Index>(count));
    for (int t = 0; t < kNumTargets; ++t) {
      const auto& of_all = t == tasks::kTimeMs ? logs.time : logs.power;
      if (!targets_[t] || of_all.size() == 0) continue;
      of_target[t] = of_all(Eigen::seqN(0, static_cast<Index>(count)), among_[t]);
      const double error = t == tasks::kTimeMs ? options_.time_error : options_.power_error;
      q += misfits(of_target[t], targets_[t]->logs, targets_[t]->rows.noise_factors) / (error * error);
    }
    const auto weights = retrieval_weights(q, options_.effective);
    auto ranked = first(count);
    std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
      return q[static_cast<Index>(a)] < q[static_cast<Index>(b)];
    });
    ranked.resize(std::min(count, kept));
    Eigen::VectorXf shares = weights(ranked);
    set(best, of_target, std::move(ranked), shares);
    if (!all) return;
    auto some = first(std::min(count, options_.unweighted));
    shares.setOnes(static_cast<Index>(some.size()));
    set(*all, of_target, std::move(some), shares);
  }

 private:
  void set(CloudName name, const std::array<Rows, kNumTargets>& of_target, std::vector<std::size_t> which,
           const Eigen::VectorXf& shares) {
    for (int t = 0; t < kNumTargets; ++t)
      if (of_target[t].size() > 0) retrieved_.logs[t][name] = of_target[t](which, Eigen::all);
    retrieved_.clouds[name] = {std::move(which), shares / shares.sum()};
  }

  const SimPriorOptions& options_;
  const TargetSupports& targets_;
  std::array<std::vector<Index>, kNumTargets> among_;  // rows among the modes
  Retrieved& retrieved_;
};

// What was simulated is in units of its own: its level on the support is taken off, and power is given that of the training
// workloads there.
std::array<Eigen::VectorXf, kNumTargets> levels_in_blends(const Retrieved& retrieved,
                                                          const TargetSupports& targets) {
  std::array<Eigen::VectorXf, kNumTargets> all_levels;
  const auto all = static_cast<Index>(retrieved.clouds[kAll].which.size());
  const auto& model = *retrieved.sources.model;
  for (int t = 0; t < kNumTargets; ++t) {
    auto& levels = all_levels[t];
    levels =
        targets[t] ? Eigen::VectorXf(retrieved.logs[t][kAll].rowwise().mean()) : Eigen::VectorXf::Zero(all);
    const auto& trained = model.targets[t];
    if (t == tasks::kPowerW && targets[t] && trained && trained->training.size() > 0)
      levels.array() -= static_cast<float>(
          trained->training(Eigen::all, positions(targets[t]->rows.modes, model.modes)).mean());
  }
  return all_levels;
}

}  // namespace

TargetSupports targets_of(const Samples& support) {
  TargetSupports targets;
  for (int t = 0; t < kNumTargets; ++t) {
    TargetSupport known{rows_of(support, static_cast<tasks::Target>(t)), {}, 0};
    if (known.rows.modes.empty()) continue;
    known.logs = known.rows.values.array().log();
    known.level = known.logs.mean();
    known.logs.array() -= known.level;
    targets[t] = std::move(known);
  }
  return targets;
}

Vector misfits(const Rows& logs, const Vector& centred, const Vector& noise_factors) {
  const Vector weights = noise_factors.cwiseMax(1).cwiseInverse();
  const Eigen::VectorXf share = (weights / weights.sum()).cast<float>(),
                        root = weights.cwiseSqrt().cast<float>();
  const auto centre = static_cast<float>(centred.dot(weights) / weights.sum());
  const Rows deviations = ((logs.colwise() - logs * share).rowwise() -
                           (centred.cast<float>().array() - centre).matrix().transpose()) *
                          root.asDiagonal();
  return deviations.rowwise().squaredNorm().cast<double>();
}

Eigen::VectorXf retrieval_weights(const Vector& q, double effective) {
  const Eigen::VectorXf above = (q.array() - q.minCoeff()).cast<float>();
  const auto weights = [&](float tau) {
    const Eigen::VectorXf w = (above.array() / (-2 * tau)).max(kLeastLogWeight).exp();
    return Eigen::VectorXf(w / w.sum());
  };
  float low = 1e-6F, high = 1e6F;
  for (int i = 0; i < 30; ++i) {
    const float middle = std::sqrt(low * high);
    (1 / weights(middle).squaredNorm() < effective ? low : high) = middle;
  }
  return weights(std::sqrt(low * high));
}

SimPopulation::Logs Retrieved::blend(std::span<const hw::PowerMode> modes, std::span<const std::size_t> which,
                                     SimPopulation::Logs all) const {
  all.time.colwise() -= levels_in_blends[tasks::kTimeMs];
  all.power.colwise() -= levels_in_blends[tasks::kPowerW];
  return sources.blends->simulate(positions(modes, sources.model->modes), which, all);
}

std::array<SimPopulation::Logs, kNumClouds> Retrieved::at(std::span<const hw::PowerMode> modes,
                                                          const std::array<bool, kNumClouds>& wanted) const {
  std::array<SimPopulation::Logs, kNumClouds> found;
  const auto simulate = [&](CloudName c) {
    found[c] = sources.population->simulate(*space, modes, clouds[c].which);
  };
  if (wanted[kRetrieved]) simulate(kRetrieved);
  if (wanted[kAll] || wanted[kRetrievedBlends]) simulate(kAll);
  for (const auto c : {kRetrievedMixtures, kAllMixtures})
    if (wanted[c])
      found[c] = sources.mixtures->simulate(positions(modes, sources.model->modes), clouds[c].which);
  if (wanted[kRetrievedBlends])
    found[kRetrievedBlends] = blend(modes, clouds[kRetrievedBlends].which, found[kAll]);
  return found;
}

Retrieved retrieve(const Sources& sources, const SimPriorOptions& options,
                   std::shared_ptr<const hw::PowerModeSpace> space, const TargetSupports& targets,
                   const SimulatedSupport& simulated) {
  Retrieved retrieved{std::move(space), sources, {}, {}, {}};
  Retrieval retrieval(options, targets, simulated.modes, retrieved);
  retrieval.add(simulated.logs, sources.population->size(), options.kept, kRetrieved, kAll);
  if (sources.mixtures && sources.mixtures->size() > 0) {
    const auto count = sources.mixtures->size();
    retrieval.add(sources.mixtures->simulate(positions(simulated.modes, sources.model->modes), first(count)),
                  count, options.kept_mixed, kRetrievedMixtures, kAllMixtures);
  }
  if (sources.blends && sources.blends->size() > 0) {
    retrieved.levels_in_blends = levels_in_blends(retrieved, targets);
    const auto all = static_cast<Index>(retrieved.clouds[kAll].which.size());
    const auto count = sources.blends->size();
    retrieval.add(retrieved.blend(simulated.modes, first(count),
                                  {simulated.logs.time.topRows(all), simulated.logs.power.topRows(all)}),
                  count, options.kept_mixed, kRetrievedBlends, std::nullopt);
  }
  return retrieved;
}

}  // namespace fewwatt::learners
