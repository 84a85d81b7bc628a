#include "tasks/split.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "hw/text.hpp"

namespace fewwatt::tasks {
namespace {

void check_known(const std::string& what, const std::vector<std::string>& wanted,
                 const std::set<std::string>& known) {
  for (const auto& name : wanted) {
    if (!known.contains(name)) {
      throw std::invalid_argument("HoldOut: no " + what + " " + name + " in the profiles; there are " +
                                  hw::join(known) + hw::did_you_mean(name, known));
    }
  }
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Split split_profiles(const std::vector<datasets::Profile>& profiles, const HoldOut& hold_out) {
  std::set<std::string> workloads, devices;
  for (const auto& profile : profiles) {
    workloads.insert(profile.workload);
    devices.insert(profile.device);
  }
  check_known("workload", hold_out.workloads, workloads);
  check_known("device", hold_out.devices, devices);

  Split split;
  for (const auto& profile : profiles) {
    const bool workload_held = contains(hold_out.workloads, profile.workload);
    const bool device_held = contains(hold_out.devices, profile.device);
    if (!workload_held && !device_held) {
      split.train.push_back(profile);
    } else if ((workload_held || hold_out.workloads.empty()) && (device_held || hold_out.devices.empty())) {
      split.test.push_back(profile);
    }
  }
  if (split.test.empty()) {
    throw std::invalid_argument("HoldOut: nothing is left to test; there are the workloads " +
                                hw::join(workloads) + " and the devices " + hw::join(devices));
  }
  return split;
}

}  // namespace fewwatt::tasks
