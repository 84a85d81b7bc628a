#pragma once

// What fewwatt adapt learns from.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/import.hpp"
#include "datasets/profile.hpp"
#include "hw/program.hpp"
#include "learners/learner.hpp"
#include "learners/model.hpp"
#include "learners/update.hpp"
#include "tasks/task.hpp"

namespace fewwatt::adapt {

// Where the support comes from: rows that a sampler draws from a profile, measurements of the user's own, or nothing but what is
// stated of the workload.
struct Source {
  std::string profiles, measurements;  // files; one of them, or neither
  std::string mapping;                 // of the measurements; "": standard column names
  std::string device, workload;        // "": not said
  std::string time_of;  // "": not said; of measurements without a mapping, or of what is not measured
  datasets::DecimalSign decimal = datasets::DecimalSign::unsaid;  // of measurements
  bool trust_units = false;
  datasets::WorkloadAttributes stated;  // numbers, of a workload that is not a profile's
  program::Count shots{50};             // rows to draw from a profile
  std::string sampler;
  std::uint64_t seed = 0;                   // of the sampler
  std::optional<hw::PowerModeSpace> space;  // modes to predict; nullopt: those of the data
  std::string space_name;                   // BOARD[:GRID]
  std::optional<std::size_t> max_modes;     // nullopt: hw::kMostModes, and kMostFromData

  bool measures_nothing() const { return measurements.empty() && (profiles.empty() || shots.value == 0); }
  // The file that is read; "" for none.
  const std::string& path() const { return profiles.empty() ? measurements : profiles; }
  std::string board() const { return space_name.substr(0, space_name.find(':')); }
};

// Most combinations of the levels of measurements. No board has more, so more of them mean that the clocks jitter.
inline constexpr std::size_t kMostFromData = 100'000;

struct Input {
  datasets::Profile profile;         // what the support is of: the rows of a profile, or of measurements
  tasks::Samples support;            // in the space to predict
  std::vector<std::string> notices;  // for people
  std::vector<datasets::ImportReport::Odd> odd;  // values of the support that seem to be in another unit
};

// learner: what a sampler that learns goes by. leaves_out: the learner leaves out a value that the others speak against. before: a
// model of the same workload, whose predictions say what to expect of measurements, or nullptr. Throws datasets::DataError.
Input read_input(const Source& source, std::shared_ptr<const learners::Learner> learner, bool leaves_out,
                 const learners::Model* before);

// Adds the rows of the model before, and what else it says of the workload.
void add_rows_of(const learners::Model& before, const learners::UpdateOptions& updating, Input& input);

}  // namespace fewwatt::adapt
