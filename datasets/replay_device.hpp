#pragma once

#include "datasets/profile.hpp"

namespace fewwatt::datasets {

// A device that answers from a recorded profile. Its space has the recorded modes only.
class ReplayDevice final : public hw::Device {
 public:
  // Throws DataError unless validate() accepts the profile.
  explicit ReplayDevice(const Profile& profile);
  const hw::PowerModeSpace& space() const override { return space_; }
  hw::Measurement measure(const hw::PowerMode& mode) override;

 private:
  hw::PowerModeSpace space_;
  std::vector<hw::Measurement> measurements_;  // of space_.at(i)
};

}  // namespace fewwatt::datasets
