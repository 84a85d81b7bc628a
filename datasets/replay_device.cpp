#include "datasets/replay_device.hpp"

namespace fewwatt::datasets {
namespace {

hw::PowerModeSpace recorded_modes(const Profile& profile) {
  validate(profile, "ReplayDevice");
  if (profile.modes.size() == profile.space->size()) return *profile.space;
  return hw::PowerModeSpace::list(profile.space->knobs(), profile.modes);
}

}  // namespace

// A profile's modes are ascending and so are a space's: row i is at(i).
ReplayDevice::ReplayDevice(const Profile& profile)
    : space_(recorded_modes(profile)), measurements_(profile.measurements) {}

hw::Measurement ReplayDevice::measure(const hw::PowerMode& mode) {
  const auto index = space_.index_of(mode);
  if (!index) throw hw::DeviceError("replayed device: no recorded mode " + hw::describe(space_, mode));
  return measurements_[*index];
}

}  // namespace fewwatt::datasets
