#pragma once

#include <string>
#include <vector>

#include "datasets/profile.hpp"

namespace fewwatt::tasks {

// What training must never see. With workloads only: those workloads on every device. With devices only: those devices with every
// workload. With both: training sees neither, and the test is the held-out workloads on the held-out devices, new in both ways.
struct HoldOut {
  std::vector<std::string> workloads;  // names
  std::vector<std::string> devices;    // names
};

// Profiles to train on and to test on.
struct Split {
  std::vector<datasets::Profile> train, test;  // in the order of the given profiles
};

// Splits profiles. Throws std::invalid_argument naming the workload or device, and what there is, when a held-out one does not exist or
// nothing is left to test.
Split split_profiles(const std::vector<datasets::Profile>& profiles, const HoldOut& hold_out);

}  // namespace fewwatt::tasks
