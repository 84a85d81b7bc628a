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

// A file or what it holds is not as it must be. The message names the file and the object, row or column.
class DataError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class WorkloadKind { dnn_training, dnn_inference, non_dnn };  // "dnn-training", ...
enum class TimeOf { minibatch, epoch, run };                       // what one time_ms is

std::string_view to_string(WorkloadKind kind);
std::string_view to_string(TimeOf time_of);
std::optional<WorkloadKind> parse_workload_kind(std::string_view name);
std::optional<TimeOf> parse_time_of(std::string_view name);

// What is known of a workload beside its measurements; "" and nullopt = not known.
struct WorkloadAttributes {
  WorkloadKind kind = WorkloadKind::non_dnn;
  TimeOf time_of = TimeOf::run;
  std::string source, licence;
  std::string model, dataset;
  std::optional<double> batch_size, minibatches_per_epoch, layers, parameters, flops;

  bool operator==(const WorkloadAttributes&) const = default;
};

// Their names in files, beside kind and time_of.
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

// The first number that is not positive and finite, or a batch_size that the space's own levels exclude: "batch_size:
// expected ..., found ..."; "" for none.
std::string attributes_error(const WorkloadAttributes& attributes, const hw::PowerModeSpace& space);

// Letters, digits and . _ + - only, at least one: what a device or workload may be called.
bool is_profile_name(std::string_view name);

// What one workload cost on one device, mode by mode.
struct Profile {
  std::string device;  // letters, digits and . _ + - only, as in workload: both name groups of a file
  std::string workload;
  WorkloadAttributes attributes;
  std::shared_ptr<const hw::PowerModeSpace> space;  // what the device can be set to; modes may be fewer
  std::vector<hw::PowerMode> modes;                 // each in *space, no two alike, ascending
  std::vector<hw::Measurement> measurements;        // of modes[i]. time_ms is NaN for all modes or for none

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

// Attributes of a device: board, jetpack, rails summed in power_w, idle power where known. Free text.
using DeviceAttributes = std::map<std::string, std::string>;

struct ProfileStore {
  std::map<std::string, DeviceAttributes> devices;
  std::vector<Profile> profiles;  // by device, then by workload

  const Profile* find(std::string_view device, std::string_view workload) const;  // nullptr for none
};

}  // namespace fewwatt::datasets
