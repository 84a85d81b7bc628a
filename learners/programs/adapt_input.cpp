#include "learners/programs/adapt_input.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "datasets/csv.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/replay_device.hpp"
#include "hw/counted.hpp"
#include "hw/text.hpp"
#include "learners/samplers/sampler.hpp"
#include "tasks/collect.hpp"

namespace fewwatt::adapt {
namespace {

constexpr std::size_t kMostNamed = 10;  // columns that are not used, by name

// The profile that the options name, if the store has it and no other fits as well.
datasets::Profile pick(datasets::ProfileStore store, const std::string& path, const std::string& device,
                       const std::string& workload) {
  std::vector<const datasets::Profile*> fitting;
  for (const auto& profile : store.profiles)
    if ((device.empty() || profile.device == device) && (workload.empty() || profile.workload == workload))
      fitting.push_back(&profile);
  const auto name_of = [](const auto& profile) { return profile.device + "/" + profile.workload; };
  const auto known = hw::join(store.profiles, ", ", name_of);
  const std::string wanted = (device.empty() ? "*" : device) + "/" + (workload.empty() ? "*" : workload);
  if (fitting.empty())
    throw datasets::DataError(path + ": no profile " + wanted +
                              "; there are: " + (known.empty() ? "none" : known) +
                              hw::did_you_mean(wanted, store.profiles, name_of));
  if (fitting.size() > 1)
    throw datasets::DataError(path + ": more than one profile " + wanted +
                              ", choose by --device and --workload: " + known);
  return *fitting.front();
}

Input draw_from_profile(const Source& source, std::shared_ptr<const learners::Learner> learner) {
  Input input;
  input.profile =
      pick(datasets::read_profiles(source.profiles), source.profiles, source.device, source.workload);
  const auto& profile = input.profile;
  const auto shots = source.shots.value;
  if (profile.modes.size() < shots) {
    throw datasets::DataError(source.profiles + ": " + profile.device + "/" + profile.workload + " has " +
                              hw::counted(profile.modes.size(), "mode") + ", fewer than the " +
                              hw::counted(shots, "shot") + " asked for");
  }
  if (shots == 0) {
    input.support = tasks::samples_of(profile, {});
    return input;
  }
  datasets::ReplayDevice device(profile);
  learners::SamplerOptions sampling;
  sampling.planned = shots;
  sampling.seed = source.seed;
  sampling.characteristics = tasks::characteristics_of(profile.attributes);
  const auto sampler =
      learners::make_sampler(source.sampler, std::make_shared<const hw::PowerModeSpace>(device.space()),
                             std::move(learner), sampling);
  std::vector<std::size_t> rows;
  const auto drawn = tasks::collect(device, *sampler, shots);
  for (const auto& mode : drawn.modes)
    rows.push_back(static_cast<std::size_t>(
        std::lower_bound(profile.modes.begin(), profile.modes.end(), mode) - profile.modes.begin()));
  input.support = tasks::samples_of(profile, rows);
  return input;
}

// Columns called as knob roles and metrics are. The others go to `unused`: one may be misspelt.
datasets::Mapping standard_mapping(const Source& source, std::vector<std::string>& unused) {
  datasets::Mapping mapping;
  mapping.path = source.measurements;
  mapping.decimal = source.decimal;
  mapping.device.text = !source.device.empty() ? source.device : source.space ? source.board() : "from-data";
  mapping.workload.text =
      !source.workload.empty() ? source.workload : std::filesystem::path(source.measurements).stem().string();
  mapping.time_of = datasets::parse_time_of(source.time_of).value_or(datasets::TimeOf::run);
  mapping.repeated = datasets::Average::mean;
  mapping.files.push_back(
      datasets::standard_columns(datasets::read_csv(source.measurements, source.decimal), &unused));
  return mapping;
}

// What the user says of a workload. Throws DataError where it contradicts the space.
void state_attributes(datasets::Profile& profile, const Source& source) {
  for (const auto& [name, member] : datasets::kNumberAttributes)
    profile.attributes.*member = source.stated.*member;
  const auto& space = source.space ? *source.space : *profile.space;
  if (const auto error = datasets::attributes_error(profile.attributes, space); !error.empty())
    throw datasets::DataError(profile.device + "/" + profile.workload + ": " + error);
}

Input take_nothing(const Source& source) {
  Input input;
  auto& profile = input.profile;
  const auto board = source.board();
  profile.device = source.device.empty() ? board : source.device;
  profile.workload = source.workload.empty() ? "not-measured" : source.workload;
  profile.attributes.time_of = datasets::parse_time_of(source.time_of).value_or(datasets::TimeOf::run);
  profile.space = std::make_shared<const hw::PowerModeSpace>(*source.space);
  state_attributes(profile, source);
  input.support = tasks::samples_of(profile);
  return input;
}

// Several rows of one mode become one row, their mean. It is more certain than a single measurement, the more so the less they spread.
void count_repeats(Input& input) {
  const auto& measured = input.profile.measurements;
  if (std::none_of(measured.begin(), measured.end(), [](const auto& m) { return m.repeats > 1; })) return;
  auto& support = input.support;
  support.noise_factors.resize(support.targets.rows(), tasks::kNumTargets);
  for (std::size_t i = 0; i < measured.size(); ++i)
    for (const auto& [target, stddevs] : {std::pair(tasks::kTimeMs, &input.profile.time_std_ms),
                                          {tasks::kPowerW, &input.profile.power_std_w}}) {
      const auto row = static_cast<Eigen::Index>(i);
      const double stddev = stddevs->empty() ? std::nan("") : (*stddevs)[i];
      support.noise_factors(row, target) =
          tasks::noise_factor(measured[i].repeats, stddev / support.targets(row, target));
    }
}

// leaves_out: whether the learner ignores a value that contradicts the others. before: the model to update, or nullptr.
Input take_measurements(const Source& source, bool leaves_out, const learners::Model* before) {
  Input input;
  const bool own = source.mapping.empty();
  std::vector<std::string> unused;
  auto mapping = own ? standard_mapping(source, unused) : datasets::read_mapping(source.mapping);
  if (source.decimal != datasets::DecimalSign::unsaid) mapping.decimal = source.decimal;
  mapping.trust_units = mapping.trust_units || source.trust_units;
  for (std::size_t i = 0; i < std::min(unused.size(), kMostNamed); ++i)
    input.notices.push_back(source.measurements + ": column " + unused[i] + " was not used");
  if (unused.size() > kMostNamed)
    input.notices.push_back(source.measurements + ": " + std::to_string(unused.size() - kMostNamed) +
                            " more columns were not used");
  datasets::ImportOptions known;
  known.leave_odd = leaves_out;
  if (source.space) {
    known.levels = std::make_shared<const hw::PowerModeSpace>(*source.space);
    known.levels_of = source.space_name;
  }
  if (before != nullptr)
    known.expected = [before](const hw::PowerMode& mode, datasets::Metric metric) {
      const auto at = before->space->index_of(mode);
      const auto target = metric == datasets::Metric::time_ms ? tasks::kTimeMs : tasks::kPowerW;
      return at ? before->prediction.median(static_cast<Eigen::Index>(*at), target) : std::nan("");
    };
  datasets::ImportReport report;
  auto store = datasets::import_profiles(mapping, {source.measurements}, &report, known);
  input.notices.insert(input.notices.end(), report.notices.begin(), report.notices.end());
  input.profile =
      pick(std::move(store), source.measurements, own ? "" : source.device, own ? "" : source.workload);
  for (auto& one : report.odd)
    if (one.device == input.profile.device && one.workload == input.profile.workload)
      input.odd.push_back(std::move(one));
  if (own) state_attributes(input.profile, source);
  const auto& knobs = input.profile.space->knobs();
  const auto most = source.max_modes.value_or(kMostFromData);
  if (hw::combinations(knobs, most)) {
    input.profile.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(knobs, most));
  } else if (!source.space) {
    const auto& largest = *std::max_element(
        knobs.begin(), knobs.end(),
        [](const hw::Knob& a, const hw::Knob& b) { return a.levels.size() < b.levels.size(); });
    input.notices.push_back(source.measurements + ": the levels have more than " + std::to_string(most) +
                            " combinations (" + std::string(to_string(largest.role)) + " alone has " +
                            std::to_string(largest.levels.size()) + "): only the " +
                            std::to_string(input.profile.space->size()) + " measured modes are predicted");
  }
  input.support = tasks::samples_of(input.profile);
  if (mapping.repeated) count_repeats(input);
  return input;
}

// The support in the space to predict. Throws DataError for a mode that is not there.
void move_to_space(Input& input, const Source& source) {
  auto& support = input.support;
  const auto& path = source.path();
  support.space = input.profile.space;
  if (!source.space) return;
  const auto roles = hw::describe_roles(*source.space), found = hw::describe_roles(*support.space);
  if (roles != found)
    throw datasets::DataError(path + ": " + source.space_name + " has the knobs " + roles + ", found " +
                              found);
  for (const auto& mode : support.modes) {
    if (!source.space->index_of(mode)) {
      throw datasets::DataError(path + ": " + hw::describe(*support.space, mode) + " is no mode of " +
                                source.space_name);
    }
  }
  support.space = std::make_shared<const hw::PowerModeSpace>(*source.space);
}

}  // namespace

Input read_input(const Source& source, std::shared_ptr<const learners::Learner> learner, bool leaves_out,
                 const learners::Model* before) {
  auto input = !source.profiles.empty()       ? draw_from_profile(source, std::move(learner))
               : !source.measurements.empty() ? take_measurements(source, leaves_out, before)
                                              : take_nothing(source);
  move_to_space(input, source);
  return input;
}

void add_rows_of(const learners::Model& before, const learners::UpdateOptions& updating, Input& input) {
  input.profile.device = before.device;
  input.profile.workload = before.workload;
  input.profile.attributes = before.attributes;
  input.support = learners::with_fresh_rows(before.support, input.support, updating);
}

}  // namespace fewwatt::adapt
