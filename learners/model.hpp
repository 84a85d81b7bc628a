#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/read_options.hpp"
#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

// The result of adapting to a workload on a device: the predicted table of all modes, and what it rests on.
struct Model {
  std::string device, workload;                     // their names
  std::string learner;                              // that adapted: "fine_tune"
  Settings settings;                                // options of the learner that were set
  datasets::WorkloadAttributes attributes;          // time_of and minibatches_per_epoch give epoch times
  std::shared_ptr<const hw::PowerModeSpace> space;  // all modes of the device
  Prediction prediction;                            // of space->modes()
  Samples support;                                  // what was measured; its space is `space`
  std::vector<Doubted> doubted;                     // values of the support that were left out
  Fitted fitted;                                    // hyper-parameters of the learner, for Learner::update
  Origin origin;                                    // of the checkpoint that was adapted, or empty

  // Predicted time of one epoch in seconds; nullopt where time_of does not say what an epoch is.
  std::optional<double> epoch_s(double time_ms) const;

  // What decisions are made with: see with_measurements() in optimize/choose.hpp. Needs error() to be "".
  Prediction with_measurements() const;

  // The first fault, "mean: expected ...", or "" when the parts fit each other, all known values are positive
  // and time or power is known of every mode.
  std::string error() const;
};

inline constexpr int kModelVersion = 2;  // of files that write_model() writes

// HDF5, "fewwatt-model": attributes device, workload, learner and, where options were set, settings ("a=1 b=2"); a group attributes
// and a group knobs as a profile has them; modes [n,k] int32; median [n,2] (columns: ms, W) and, where known, log_variance and
// latent_log_variance [n,2], as Prediction has them, float64; support/modes, support/targets and, where values differ in noise,
// support/noise_factors [n,2]; where values are doubted, support/doubted [m,2] int32 (row of the support, column); fitted, where there
// are any, one dataset each; origin. Version 1 had the medians as mean, and s median as stddev and latent_stddev, with s^2 = exp(log
// variance) - 1. Errors and atomic writing as for profiles: datasets::DataError, also for a grid of more than options.max_modes.
// ReadOptions says what a file made to break its reader can do.
Model read_model(const std::string& path, const datasets::ReadOptions& options = {});
void write_model(const std::string& path, const Model& model);  // std::invalid_argument when model.error()

// Throws the DataError that write_model() would throw for what is at `path` now.
void check_model_output(const std::string& path);

}  // namespace fewwatt::learners
