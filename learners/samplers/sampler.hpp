#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learners/learner.hpp"
#include "tasks/samplers/sampler.hpp"

namespace fewwatt::learners {

// Wall seconds that measuring a mode takes:
//   settle_s + units time_ms / 1000, and cores_s or memory_s where these knobs differ from the mode before.
struct MeasuringCost {
  double settle_s = 2, units = 40, cores_s = 1, memory_s = 1;
  std::string error() const;  // "" when valid: all >= 0, and settle_s or units > 0
  double seconds(const hw::PowerModeSpace& space, const hw::PowerMode& before, const hw::PowerMode& mode,
                 double time_ms) const;
};

struct SamplerOptions {
  std::size_t planned = 50;  // how many modes will be asked for
  std::uint64_t seed = 0;
  // Modes that are told from the start, as those asked for: fewer need no learner, more would be wasted on what is already
  // known of the workload.
  std::size_t designed = 3;
  // At most so many modes, drawn at random, are considered and stand for the whole space.
  std::size_t pool = 1500;
  MeasuringCost cost;                           // of alc-cost
  tasks::Characteristics characteristics = {};  // of the workload
  std::string error() const;                    // "" when valid
};

// Greedy reduction of a normal vector's summed variance by measuring one entry after the other: active learning Cohn, Seo et
// al. 2000. With posterior covariances P_t of targets t:
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

// Those of tasks::sampler_names(), which need no learner, and
//   alc          modes that most reduce the predicted variance of all modes (VarianceReduction): a start that is designed with
//                a smooth function of the log settings in mind, then with the learner adapted anew as measurements arrive
//   alc-cost     the same per second of measuring
//   alc-front    the variance of those modes above all that may be the fastest within some power limit: with t_i the predicted time of
//                mode i and f_i the least of modes that draw no more than it, w_i = 0.05 + (f_i / t_i)^10
//   uncertainty  the largest predicted variance
//   diversity    greedy maximum of the determinant of the modes' similarity in the features that nets take (Kulesza & Taskar
//                2012; Chen et al. 2018)
//   error-based  the largest error that is expected: of support rows left out, near them, and where learners disagree
// After a designed start, all but diversity adapt the learner to what was told; one that gives no covariance is replaced by gp.
std::span<const std::string_view> sampler_names();
// Whether what is asked for depends on the learner.
bool learns(std::string_view sampler);

// `learner` may be nullptr unless learns(name). A measurement without time and power, or a throttled one, teaches nothing, and
// is not asked for again. Throws std::invalid_argument listing the known names, or naming a bad option.
std::unique_ptr<tasks::ModeSampler> make_sampler(std::string_view name,
                                                 std::shared_ptr<const hw::PowerModeSpace> space,
                                                 std::shared_ptr<const Learner> learner,
                                                 const SamplerOptions& options);

// The posterior covariance of the predictor's targets among modes; those it does not know are left out.
std::vector<LogCovariance> covariances(const Predictor& predictor, std::span<const hw::PowerMode> modes);
// What a designed start has in mind: k(z, z') = exp(-|z - z'|^2 / 2) of log settings standardised over the space, with a
// standard deviation of noise of kDesignNoise.
LogCovariance design_covariance(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes);
inline constexpr double kDesignNoise = 0.03;

}  // namespace fewwatt::learners
