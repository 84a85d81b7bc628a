#pragma once

#include <string>
#include <vector>

#include "datasets/profile.hpp"

namespace fewwatt::tasks {

// What training must never see. Only workloads: those workloads on every device. Only devices: those devices
// with every workload. Both: everything of either is kept from training, and the test is the held-out
// workloads on the held-out devices, new in both ways.
struct HoldOut {
  std::vector<std::string> workloads;
  std::vector<std::string> devices;
};

struct Split {
  std::vector<datasets::Profile> train, test;
};

// Throws std::invalid_argument naming the workload or device, and what there is, when a held-out one does not
// exist or nothing is left to test.
Split split_profiles(const std::vector<datasets::Profile>& profiles, const HoldOut& hold_out);

}  // namespace fewwatt::tasks
