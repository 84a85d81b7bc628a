#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/device.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::datasets {

// A file, or its content, is not as it must be. The message names the file and the object, row or column.
class DataError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What kind of program a workload is.
enum class WorkloadKind {
  dnn_training,   // trains a neural network
  dnn_inference,  // runs a trained one
  non_dnn         // anything else
};
// What one time_ms is the time of.
enum class TimeOf {
  minibatch,  // one minibatch
  epoch,      // one pass over the data
  run         // the whole program
};

std::string_view to_string(WorkloadKind kind);                           // "dnn-training", ...
std::string_view to_string(TimeOf time_of);                              // "minibatch", ...
std::optional<WorkloadKind> parse_workload_kind(std::string_view name);  // nullopt for an unknown name
std::optional<TimeOf> parse_time_of(std::string_view name);              // nullopt for an unknown name

// What is known of a workload beside its measurements; "" and nullopt = not known.
struct WorkloadAttributes {
  WorkloadKind kind = WorkloadKind::non_dnn;  // what kind of program it is
  TimeOf time_of = TimeOf::run;               // what one time is
  std::string source, licence;                // of the measurements
  std::string model, dataset;                 // names of the network and of what it is trained on
  // Samples in a minibatch; minibatches in an epoch; layers and parameters of the network; flops of one forward pass of one sample, a
  // multiplication with its addition being one.
  std::optional<double> batch_size, minibatches_per_epoch, layers, parameters, flops;

  bool operator==(const WorkloadAttributes&) const = default;
};

// The names of these attributes in files, besides kind and time_of.
inline constexpr std::pair<const char*, std::string WorkloadAttributes::*> kTextAttributes[] = {
    {"source", &WorkloadAttributes::source},
    {"licence", &WorkloadAttributes::licence},
    {"model", &WorkloadAttributes::model},
    {"dataset", &WorkloadAttributes::dataset}};
inline constexpr std::pair<const char*, std::optional<double> WorkloadAttributes::*> kNumberAttributes[] = {
    {"batch_size", &WorkloadAttributes::batch_size},
    {"minibatches_per_epoch", &WorkloadAttributes::minibatches_per_epoch},
    {"layers", &WorkloadAttributes::layers},
    {"parameters", &WorkloadAttributes::parameters},
    {"flops", &WorkloadAttributes::flops}};

// What is wrong with the attributes, "batch_size: expected ..., found ...": a number that is not positive and finite, or a batch_size where
// the space has that knob with other levels. "" for nothing.
std::string attributes_error(const WorkloadAttributes& attributes, const hw::PowerModeSpace& space);

// Whether a device or workload may be called so: letters, digits and . _ + - only, at least one.
bool is_profile_name(std::string_view name);

// What one workload cost on one device, mode by mode.
struct Profile {
  std::string device;                               // is_profile_name(device): it names a group of a file
  std::string workload;                             // is_profile_name(workload), for the same reason
  WorkloadAttributes attributes;                    // of the workload
  std::shared_ptr<const hw::PowerModeSpace> space;  // what the device can be set to
  std::vector<hw::PowerMode> modes;  // those that were measured: each in *space, no two alike, ascending
  std::vector<hw::Measurement> measurements;  // of modes[i]. time_ms is NaN for all modes or for none

  // Optional columns: empty, or one value per mode.
  std::vector<double> time_std_ms, power_std_w;    // spread of the repeats
  std::vector<double> time_true_ms, power_true_w;  // of a simulated device, without noise

  bool has_time() const;   // every mode has a time
  bool has_power() const;  // at least one mode has a power
};

// Throws DataError, naming `where`, the profile and the row or attribute, unless everything said above holds, every number
// is positive where it is known, the attributes fit the space, and there is at least one mode with a time or a power.
void validate(const Profile& profile, const std::string& where);

// The given rows, ascending, of a profile.
Profile subset(const Profile& profile, std::span<const std::size_t> rows);

// Attributes of a device as free text: board, jetpack, rails summed in power_w, idle power where known.
using DeviceAttributes = std::map<std::string, std::string>;

// The content of a file of profiles.
struct ProfileStore {
  std::map<std::string, DeviceAttributes> devices;  // by the device's name
  std::vector<Profile> profiles;                    // by device, then by workload

  const Profile* find(std::string_view device, std::string_view workload) const;  // nullptr for none
};

}  // namespace fewwatt::datasets
