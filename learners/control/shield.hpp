#pragma once

#include <memory>
#include <span>
#include <vector>

#include "hw/device.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// Masks actions that are likely to break the power budget, by what a learner predicts from the measurements so far:
//   allowed where P(power <= budget) >= confidence
// with the power of a new measurement. Before the first measurement with a power, and with no budget, all are allowed. Where no action is
// allowed by that, the one is that is most likely to keep the budget, the first of several.
class Shield {
 public:
  // The learner gives uncertainty. Throws std::invalid_argument without a learner, and unless 0 < confidence < 1.
  Shield(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
         double confidence = 0.9);
  // A measurement, as Controller::tell() takes it; of several of one mode the last counts.
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement);
  // Whether each mode may be measured, [n]. Throws std::invalid_argument where the learner gives no uncertainty.
  std::vector<char> allowed(std::span<const hw::PowerMode> modes, double budget_w);

 private:
  std::shared_ptr<const Learner> learner_;
  double confidence_;
  Samples measured_;
  std::unique_ptr<const Predictor> predictor_;  // adapted to measured_; nullptr where that has changed
};

}  // namespace fewwatt::learners
