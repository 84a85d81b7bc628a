#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/read_options.hpp"
#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"

namespace fewwatt::learners {

// The result of adapting to a workload on a device: the predicted table of all modes, and what it rests on.
struct Model {
  std::string device, workload;
  std::string learner;                      // "fine_tune"
  datasets::WorkloadAttributes attributes;  // time_of and minibatches_per_epoch give epoch times
  std::shared_ptr<const hw::PowerModeSpace> space;
  Prediction prediction;         // of space->modes()
  Samples support;               // what was measured; its space is `space`
  std::vector<Doubted> doubted;  // of the support
  Fitted fitted;                 // hyper-parameters of the learner, for Learner::update
  Origin origin;                 // of the checkpoint adapted, or empty

  // Predicted time of one epoch in seconds; nullopt where time_of does not say what an epoch is.
  std::optional<double> epoch_s(double time_ms) const;

  // What decisions go by: with_measurements() of optimize/choose.hpp. Needs error() to be "".
  Prediction with_measurements() const;

  // The first fault, "mean: expected ...", or "" when the parts fit each other, all known values are positive
  // and time or power is known of every mode.
  std::string error() const;
};

inline constexpr int kModelVersion = 1;

// HDF5, "fewwatt-model": attributes device, workload, learner; a group attributes and a group knobs as a
// profile has them; modes [n,k] int32, mean [n,2] and, where known, stddev and latent_stddev [n,2] float64 (columns: ms, W);
// support/modes, support/targets and, where values differ in noise, support/noise_factors [n,2]; where values are doubted,
// support/doubted [m,2] int32 (row of the support, column); fitted, where there are any, one dataset each; origin. Errors and atomic writing as for profiles: datasets::DataError, also for a grid of more than
// options.max_modes. ReadOptions says what a file made to break its reader can do.
Model read_model(const std::string& path, const datasets::ReadOptions& options = {});
void write_model(const std::string& path, const Model& model);  // std::invalid_argument when model.error()

// Throws the DataError that write_model() would for what is known of `path` before.
void check_model_output(const std::string& path);

}  // namespace fewwatt::learners
