#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "learners/log_gaussian.hpp"
#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Samples;
using Prediction = LogGaussian;  // of n modes, [n,2]: kTimeMs, kPowerW

// A workload that a learner was trained on, and how much the new one is like it.
struct Similarity {
  std::string workload;  // "device/workload"
  double weight = 0;     // in [0,1]; all of them sum to 1
};

// The weight that a combination of learners gives to one of them.
struct Chosen {
  std::string learner;  // its name
  std::array<double, tasks::kNumTargets>
      weights{};  // per target, in [0,1]; NaN where the target is not predicted
};

// How each row of the support would have been predicted from the other rows, in logs, [k]. Rows are those of rows_of().
struct LeftOut {
  Vector error;     // log y less the predicted mean
  Vector variance;  // predicted, of a new measurement
};

// A value of the support that a learner left out, because it is far from what the other values suggest.
struct Doubted {
  hw::PowerMode mode;    // where it was measured
  tasks::Target target;  // time or power
  bool operator==(const Doubted&) const = default;
};

// The joint uncertainty of the predicted logs of n modes, without the noise of a new measurement, whose variance comes on top.
struct LogCovariance {
  Matrix latent;              // [n,n]; [0,0] = unknown
  double noise_variance = 0;  // of a new measurement
};

// Hyper-parameters that a learner searched for on a support, by name: "time/gp".
using Fitted = std::map<std::string, std::vector<double>>;

using Wanted = std::array<bool, tasks::kNumTargets>;  // per target: whether it is needed

// The result of adapting to a workload. Immutable; one object serves many threads.
class Predictor {
 public:
  virtual ~Predictor() = default;
  // Predicts modes, row by row. They may have any settings of the space's knobs. A target that the support lacks is not predicted.
  virtual Prediction predict(std::span<const hw::PowerMode> modes) const = 0;
  // The same; a target that is not wanted may be NaN, where that is quicker.
  virtual Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted&) const {
    return predict(modes);
  }
  // The training workloads that the new one is like, by falling weight; empty when the learner does not compare workloads.
  virtual std::vector<Similarity> behaves_like() const { return {}; }
  // How the rows of the support are predicted from each other (Rasmussen & Williams 2006, eq. 5.12), with the hyper-parameters of all
  // rows. Empty when the target is not predicted, or the learner does not know.
  virtual LeftOut left_out(tasks::Target) const { return {}; }
  // The joint uncertainty of modes. Its diagonal is latent_log_variance of predict(). Unknown when the target is not predicted, or the
  // learner does not know.
  virtual LogCovariance covariance(tasks::Target, std::span<const hw::PowerMode>) const { return {}; }
  // The weights of the learners that this one combines; empty when it combines none.
  virtual std::vector<Chosen> chosen() const { return {}; }
  // The values of the support that were left out; empty when all are believed.
  virtual std::vector<Doubted> doubted() const { return {}; }
  // The hyper-parameters that were searched for, for Learner::update(). Empty when there is nothing to search for, or the learner has to
  // start anew anyway.
  virtual Fitted fitted() const { return {}; }
};

// A way of learning a workload from few measured modes. Immutable; one object serves many threads.
class Learner {
 public:
  virtual ~Learner() = default;
  // Learns a workload from its measured modes. The order of the rows does not matter. A target without any known value is not predicted
  // (NaN), unless there is no row at all. Throws std::invalid_argument when the support is bad (Samples::check), has fewer
  // rows than the learner needs, or has other knobs than the learner was trained for.
  virtual std::unique_ptr<const Predictor> adapt(const Samples& support) const = 0;
  // The same with given hyper-parameters, those of a predictor for some of the rows. Hyper-parameters that are missing are searched for,
  // so update(support, {}) is adapt(support). Throws as adapt(), and where a hyper-parameter has the wrong size.
  virtual std::unique_ptr<const Predictor> update(const Samples& support, const Fitted&) const {
    return adapt(support);
  }
};

// The rows of `support` with a known value of `target`, ascending by mode: what every learner works on, and
// why the order of rows does not matter.
struct TargetRows {
  std::shared_ptr<const hw::PowerModeSpace> space;  // of the device
  std::vector<hw::PowerMode> modes;                 // [n]
  Vector values;                                    // [n] ms or W
  Vector noise_factors;                             // [n], as in Samples
};
TargetRows rows_of(const Samples& support, tasks::Target target);  // see TargetRows

// Samples::check, and std::invalid_argument naming the learner when there are fewer than `min_shots` rows.
void check_support(const std::string& learner, const Samples& support, std::size_t min_shots);

}  // namespace fewwatt::learners
