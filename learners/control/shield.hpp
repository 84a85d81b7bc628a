#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "hw/device.hpp"
#include "learners/change.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// Masks actions that are likely to break the power budget, by what a learner predicts from the measurements so far:
//   allowed where P(power <= budget) >= confidence
// with the power of the mode itself, without the noise of a new measurement. Before the first measurement with a power, and with no budget, all are allowed. Where no action is
// allowed by that, the one is that is most likely to keep the budget, the first of several.
//
// Where the workload may change, a ChangeDetector looks at how far each measurement is from what was predicted of it. When it raises an
// alarm, what was measured before the change is forgotten.
class Shield {
 public:
  // The learner gives uncertainty. Throws std::invalid_argument without a learner, and unless 0 < confidence < 1.
  // changes: how changes of the workload are noticed; nullopt: it is the same all the time.
  Shield(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
         double confidence = 0.9, std::optional<ChangeOptions> changes = std::nullopt);
  // A measurement, as Controller::tell() takes it; several of one mode are averaged.
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement);
  // Whether each mode may be measured, [n]. Throws std::invalid_argument where the learner gives no uncertainty.
  std::vector<char> allowed(std::span<const hw::PowerMode> modes, double budget_w);

 private:
  bool has_changed(const hw::PowerMode& mode, const Vector& logs);
  void forget();  // all before the change
  void keep(const hw::PowerMode& mode, const Vector& logs);

  std::shared_ptr<const Learner> learner_;
  double confidence_;
  std::optional<ChangeDetector> detector_;
  Samples measured_;  // the last of each mode
  std::vector<std::pair<hw::PowerMode, Vector>>
      told_;                                    // with a detector: all since the last change, [2] each
  std::unique_ptr<const Predictor> predictor_;  // adapted to measured_; nullptr where that has changed
};

}  // namespace fewwatt::learners
