#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tasks/task.hpp"

namespace fewwatt::learners {

using tasks::Matrix;
using tasks::Prediction;
using tasks::Samples;
using tasks::Vector;

// A workload that a learner was trained on, and how much the new one is like it.
struct Similarity {
  std::string workload;  // "device/workload"
  double weight = 0;     // in [0,1]; all of them sum to 1
};

// What a combination of learners makes of one of them: its weight, per target; NaN where that is not predicted.
struct Chosen {
  std::string learner;
  std::array<double, tasks::kNumTargets> weights{};
};

// What would have been predicted of each row of the support from the others, rows as those of rows_of(), in logs: [k].
struct LeftOut {
  Vector error;     // log y less the predicted mean
  Vector variance;  // predicted, of a new measurement
};

// A value of the support that a learner did not go by, because the others speak against it.
struct Doubted {
  hw::PowerMode mode;
  tasks::Target target;
  bool operator==(const Doubted&) const = default;
};

// How far the predicted logs of n modes may be from the truth, all together. Without the noise of a new measurement, whose
// variance comes on top.
struct LogCovariance {
  Matrix latent;  // [n,n]; [0,0] = unknown
  double noise_variance = 0;
};

// Hyper-parameters that a learner searched for on a support, by name: "time/gp".
using Fitted = std::map<std::string, std::vector<double>>;

using Wanted = std::array<bool, tasks::kNumTargets>;

// The result of adapting to a workload. Immutable; one object serves many threads.
class Predictor {
 public:
  virtual ~Predictor() = default;
  // `modes` may be any settings of the space's knobs. Positive; [n,2].
  virtual Prediction predict(std::span<const hw::PowerMode> modes) const = 0;
  // The same, but a target that is not wanted may be NaN, where that is quicker.
  virtual Prediction predict_targets(std::span<const hw::PowerMode> modes, const Wanted&) const {
    return predict(modes);
  }
  // Falling by weight; empty when the learner has no such explanation.
  virtual std::vector<Similarity> behaves_like() const { return {}; }
  // Rasmussen & Williams 2006, eq. 5.12; hyper-parameters stay those of all rows. Empty when the target is not predicted, or
  // the learner does not know.
  virtual LeftOut left_out(tasks::Target) const { return {}; }
  // Its diagonal is what predict() makes latent_stddev of. Unknown when the target is not predicted, or the learner does not
  // know.
  virtual LogCovariance covariance(tasks::Target, std::span<const hw::PowerMode>) const { return {}; }
  // Empty when the learner is not a combination of others.
  virtual std::vector<Chosen> chosen() const { return {}; }
  // Empty when all of the support is believed.
  virtual std::vector<Doubted> doubted() const { return {}; }
  // What Learner::update() needs to do without the search. Empty when all follows from the rows in closed form, or the
  // learner has no other way than to start anew.
  virtual Fitted fitted() const { return {}; }
};

// A way of learning a workload from few measured modes. Immutable; one object serves many threads.
class Learner {
 public:
  virtual ~Learner() = default;
  // Does not depend on the order of the support rows. A target without any known value is not predicted
  // (NaN), unless there is no row at all. Throws std::invalid_argument when the support is bad (Samples::check), has fewer
  // rows than the learner needs, or its knobs are not those that the learner was trained for.
  virtual std::unique_ptr<const Predictor> adapt(const Samples& support) const = 0;
  // What adapt() makes of the rows with these hyper-parameters, of a predictor for some of the rows, in place of those it
  // would search for. Those that are missing are searched for: update(support, {}) is adapt(support). Throws as adapt(),
  // and where one has the wrong size.
  virtual std::unique_ptr<const Predictor> update(const Samples& support, const Fitted&) const {
    return adapt(support);
  }
};

// The rows of `support` with a known value of `target`, ascending by mode: what every learner works on, and
// why the order of rows does not matter.
struct TargetRows {
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::vector<hw::PowerMode> modes;
  Vector values;         // [n] ms or W
  Vector noise_factors;  // [n]
};
TargetRows rows_of(const Samples& support, tasks::Target target);

// A prediction of nothing, with uncertainty: NaN in [n,2].
Prediction nothing_predicted(Eigen::Index n);
// The target's column of a prediction with uncertainty, from logs that are normal: mean and variance [n] of a new measurement's
// log, of which `noise` is the measurement's own.
void set_log_normal(Prediction& prediction, int target, const Vector& mean, const Vector& variance,
                    double noise);

// Samples::check, and std::invalid_argument naming the learner when there are fewer than `min_shots` rows.
void check_support(const std::string& learner, const Samples& support, std::size_t min_shots);

}  // namespace fewwatt::learners
