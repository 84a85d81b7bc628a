#include "datasets/replay_device.hpp"

#include "tests/datasets/example_profile.hpp"

namespace fewwatt::tests {
namespace replay_device_test {

TEST(ReplayDevice, MeasuresEveryModeOfItsSpaceAsRecorded) {
  auto profile = example_profile();
  profile.modes.erase(profile.modes.begin() + 1);
  profile.measurements.erase(profile.measurements.begin() + 1);
  datasets::ReplayDevice device(profile);
  ASSERT_EQ(device.space().size(), profile.modes.size());
  for (std::size_t i = 0; i < device.space().size(); ++i) {
    EXPECT_EQ(device.space().at(i), profile.modes[i]);
    EXPECT_EQ(device.measure(device.space().at(i)).time_ms, profile.measurements[i].time_ms);
    EXPECT_EQ(device.measure(device.space().at(i)).power_w, profile.measurements[i].power_w);
  }
}

TEST(ReplayDevice, AModeThatWasNotRecordedThrows) {
  auto profile = example_profile();
  const auto missing = profile.modes[1];
  profile.modes.erase(profile.modes.begin() + 1);
  profile.measurements.erase(profile.measurements.begin() + 1);
  datasets::ReplayDevice device(profile);
  EXPECT_THROW(device.measure(missing), hw::DeviceError);
  EXPECT_THROW(device.measure({1, 2}), hw::DeviceError);
  EXPECT_THROW(device.measure({1}), hw::DeviceError);
}

TEST(ReplayDevice, AFullGridStaysAGrid) {
  const datasets::ReplayDevice device(example_profile());
  EXPECT_EQ(device.space(), *example_profile().space);
}

TEST(ReplayDevice, ABadProfileIsRefused) {
  auto profile = example_profile();
  profile.measurements.pop_back();
  EXPECT_THROW(datasets::ReplayDevice device(profile), datasets::DataError);
}

}  // namespace replay_device_test
}  // namespace fewwatt::tests
