#pragma once

#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// The result of adapting to a workload on a device: the predicted table of all its modes, and what it rests on.
struct Model {
  std::string device, workload;
  std::string learner;                          // "fine_tune"
  datasets::WorkloadAttributes attributes;      // time_of and minibatches_per_epoch give epoch times
  std::shared_ptr<const hw::PowerModeSpace> space;
  Prediction prediction;                        // of space->modes()
  Samples support;                              // what was measured
  Origin origin;                                // of the checkpoint adapted, or empty
};

inline constexpr int kModelVersion = 1;

// HDF5, "fewwatt-model". Errors and atomic writing as for profiles: datasets::DataError.
Model read_model(const std::string& path);
void write_model(const std::string& path, const Model& model);

}  // namespace fewwatt::learners
