#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learners/learner.hpp"
#include "tasks/samplers/sampler.hpp"

namespace fewwatt::learners {

// How long measuring a mode takes, in seconds by the clock:
//   settle_s + units time_ms / 1000, plus cores_s or memory_s where the number of cores or the memory clock changes.
struct MeasuringCost {
  double settle_s = 2;        // until time and power are steady
  double units = 40;          // units of work that are timed
  double cores_s = 1;         // to change the number of cores
  double memory_s = 1;        // to change the memory clock
  std::string error() const;  // "" when valid: all >= 0, and settle_s or units > 0
  // That time for `mode`, if the board is in mode `before`, and a unit of work takes time_ms in `mode`.
  double seconds(const hw::PowerModeSpace& space, const hw::PowerMode& before, const hw::PowerMode& mode,
                 double time_ms) const;
};

// What a sampler is told before the first measurement.
struct SamplerOptions {
  std::size_t planned = 50;  // how many modes will be asked for
  std::uint64_t seed = 0;    // of random choices
  // Number of modes that are chosen before the learner is asked for the first time. A learner knows too little from fewer; with more,
  // measurements would be spent on what the learner already knows.
  std::size_t designed = 3;
  // Number of modes, drawn at random, that stand for the whole space where it has more.
  std::size_t pool = 1500;
  MeasuringCost cost;                           // of alc-cost
  tasks::Characteristics characteristics = {};  // of the workload
  std::string error() const;                    // "" when valid
};

// Active learning Cohn (Seo et al. 2000): chooses entries of a normal vector to measure, one after the other, each time the one that
// reduces the sum of all variances most. With posterior covariances P_t of targets t:
//   gain_j = sum_t sum_i w_i P_t,ij^2 / (P_t,jj + noise_t) / sum_i w_i P_t,ii
//   P_t <- P_t - P_t,j P_t,j' / (P_t,jj + noise_t)
class VarianceReduction {
 public:
  // At least one covariance [m,m], all of the same m; weights w [m], >= 0, or [0] where all are 1.
  explicit VarianceReduction(std::vector<LogCovariance> targets, Vector weights = {});
  Vector gains() const;          // [m], each between 0 and the number of targets
  Vector variances() const;      // [m], sum_t P_t,jj / trace P_t
  void measure(Eigen::Index j);  // takes j as measured
 private:
  std::vector<LogCovariance> targets_;
  Vector weights_;
};

struct Registry;
const Registry& builtin();  // learners/registry.hpp

// A sampler as a registry has it: what it is, asked before it is used, and how it is made.
struct SamplerEntry {
  std::string name;            // "alc"
  std::string about = {};      // one line
  bool needs_learner = false;  // what it asks for depends on the learner
  // The learner may be nullptr unless it is needed; the options are valid.
  std::function<std::unique_ptr<tasks::ModeSampler>(std::shared_ptr<const hw::PowerModeSpace>,
                                                    std::shared_ptr<const Learner>, const SamplerOptions&)>
      make = {};

  // "" when valid.
  std::string error() const { return make ? "" : "it has no function make"; }
};

// Those of tasks::model_free_samplers(), which need no learner, and
//   alc          modes that most reduce the predicted variance of all modes (VarianceReduction). The first ones suit any smooth
//                function of the log settings; after that the learner is adapted anew as measurements arrive
//   alc-cost     the same per second of measuring
//   alc-front    as alc, but modes that may be the fastest within some power limit count most: with t_i the predicted time of mode i,
//                and f_i the least time of all modes that draw no more power than i, the weight of i is w_i = 0.05 + (f_i / t_i)^10
//   uncertainty  the largest predicted variance
//   diversity    greedy maximum of the determinant of the modes' similarity in the features that nets take (Kulesza & Taskar
//                2012; Chen et al. 2018)
//   error-based  the largest expected error: near measured modes that the other ones predict badly, and where learners disagree
// After a designed start, all but diversity adapt the learner to what was told. A learner that gives no covariance is replaced by gp.
std::vector<SamplerEntry> builtin_samplers();

// `learner` may be nullptr unless the sampler needs one. A measurement without time and power, or a throttled one, teaches
// nothing, and is not asked for again. Throws std::invalid_argument listing the known names, or naming a bad option.
std::unique_ptr<tasks::ModeSampler> make_sampler(std::string_view name,
                                                 std::shared_ptr<const hw::PowerModeSpace> space,
                                                 std::shared_ptr<const Learner> learner,
                                                 const SamplerOptions& options,
                                                 const Registry& registry = builtin());

// The posterior covariance of the predictor's targets among modes; those it does not know are left out.
std::vector<LogCovariance> covariances(const Predictor& predictor, std::span<const hw::PowerMode> modes);
// The covariance that a designed start assumes: k(z, z') = exp(-|z - z'|^2 / 2) of log settings standardised over the space, with
// kDesignNoise as the standard deviation of the noise.
LogCovariance design_covariance(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);
inline constexpr double kDesignNoise = 0.03;

}  // namespace fewwatt::learners
