#include "datasets/profile_io.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "datasets/hdf5_file.hpp"
#include "datasets/schema_io.hpp"
#include "hw/numbers.hpp"
#include "hw/version.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::string_view kFormat = "fewwatt-profiles";
using hw::kNan;

constexpr std::pair<const char*, std::vector<double> Profile::*> kColumns[] = {
    {"time_std_ms", &Profile::time_std_ms},
    {"power_std_w", &Profile::power_std_w},
    {"time_true_ms", &Profile::time_true_ms},
    {"power_true_w", &Profile::power_true_w}};

// Throws DataError unless a column has one value per mode.
template <class T>
std::vector<T> checked(std::vector<T> column, std::size_t modes, const Hdf5Reader& file,
                       const std::string& dataset) {
  if (column.size() == modes) return column;
  throw DataError(file.path() + ": " + dataset + ": expected " + std::to_string(modes) + " values, found " +
                  std::to_string(column.size()));
}

Profile read_profile(const Hdf5Reader& file, const std::string& device, const std::string& workload,
                     std::size_t max_modes) {
  const std::string group = "/profiles/" + device + "/" + workload;
  Profile profile;
  profile.device = device;
  profile.workload = workload;
  profile.attributes = read_attributes(file, group);
  const std::string modes = group + "/modes", listed = group + "/knobs/listed_modes";
  profile.space = std::make_shared<const hw::PowerModeSpace>(
      read_space(file, group + "/knobs", file.exists(listed) ? listed : modes, max_modes));
  profile.modes = read_modes(file, modes, profile.space->knobs().size());

  const std::size_t n = profile.modes.size();
  const auto doubles = [&](const char* name) {
    const std::string dataset = group + "/" + name;
    return file.exists(dataset) ? checked(file.numbers(dataset), n, file, dataset) : std::vector<double>();
  };
  const auto ints = [&](const char* name) {
    const std::string dataset = group + "/" + name;
    return file.exists(dataset) ? checked(file.ints(dataset), n, file, dataset) : std::vector<int>();
  };
  const auto time_ms = doubles("time_ms"), power_w = doubles("power_w");
  const auto repeats = ints("repeats"), throttled = ints("throttled");
  if (time_ms.empty() && power_w.empty()) {
    throw DataError(file.path() + ": " + group + ": neither of the datasets time_ms and power_w is there");
  }
  profile.measurements.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    auto& measured = profile.measurements[i];
    measured.time_ms = time_ms.empty() ? kNan : time_ms[i];
    measured.power_w = power_w.empty() ? kNan : power_w[i];
    measured.repeats = repeats.empty() ? 1 : repeats[i];
    measured.throttled = !throttled.empty() && throttled[i] != 0;
  }
  for (const auto& [name, member] : kColumns) profile.*member = doubles(name);
  validate(profile, file.path());
  return profile;
}

void write_profile(Hdf5Writer& file, const Profile& profile) {
  const std::string group = "/profiles/" + profile.device + "/" + profile.workload;
  const auto& space = *profile.space;
  const std::size_t knobs = space.knobs().size();
  write_attributes(file, group, profile.attributes);
  write_space(file, group + "/knobs", space);
  if (!space.is_grid()) {
    const auto listed = space.modes();
    if (listed != profile.modes) write_modes(file, group + "/knobs/listed_modes", knobs, listed);
  }
  write_modes(file, group + "/modes", knobs, profile.modes);

  std::vector<double> time_ms, power_w;
  std::vector<int> repeats;
  std::vector<std::uint8_t> throttled;
  for (const auto& measured : profile.measurements) {
    time_ms.push_back(measured.time_ms);
    power_w.push_back(measured.power_w);
    repeats.push_back(measured.repeats);
    throttled.push_back(measured.throttled ? 1 : 0);
  }
  if (profile.has_time()) file.write(group + "/time_ms", time_ms);
  if (profile.has_power()) file.write(group + "/power_w", power_w);
  if (std::any_of(repeats.begin(), repeats.end(), [](int r) { return r != 1; }))
    file.write(group + "/repeats", repeats);
  if (std::count(throttled.begin(), throttled.end(), 1) > 0) file.write(group + "/throttled", throttled);
  for (const auto& [name, member] : kColumns) {
    if (!(profile.*member).empty()) file.write(group + "/" + name, profile.*member);
  }
}

}  // namespace

ProfileStore read_profiles(const std::string& path, const ReadOptions& options) {
  const Hdf5Reader file(path, options);
  file.require_format(kFormat, kProfilesVersion);
  ProfileStore store;
  if (file.exists("/devices")) {
    for (const auto& device : file.children("/devices")) {
      auto& attributes = store.devices[device];
      for (const auto& name : file.attributes("/devices/" + device)) {
        attributes[name] = file.text("/devices/" + device, name);
      }
    }
  }
  for (const auto& device : file.children("/profiles")) {
    for (const auto& workload : file.children("/profiles/" + device)) {
      store.profiles.push_back(read_profile(file, device, workload, options.max_modes));
    }
  }
  return store;
}

void write_profiles(const std::string& path, const ProfileStore& store) {
  std::vector<const Profile*> sorted;
  for (const auto& profile : store.profiles) {
    validate(profile, path);
    sorted.push_back(&profile);
  }
  const auto name = [](const Profile* p) { return std::tie(p->device, p->workload); };
  std::sort(sorted.begin(), sorted.end(), [&](auto* a, auto* b) { return name(a) < name(b); });
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(), [&](auto* a, auto* b) { return name(a) == name(b); });
  if (twice != sorted.end()) {
    throw DataError(path + ": profile " + (*twice)->device + "/" + (*twice)->workload + " is there twice");
  }

  Hdf5Writer file(path, std::string(kFormat), kProfilesVersion);
  file.text("/", "generator", "fewwatt " + std::string(hw::version()));
  file.group("/devices");
  file.group("/profiles");
  for (const auto& [device, attributes] : store.devices) {
    if (!is_profile_name(device))
      throw DataError(path + ": device '" + device + "' has characters that a name cannot have");
    file.group("/devices/" + device);
    for (const auto& [key, value] : attributes) file.text("/devices/" + device, key, value);
  }
  for (const auto* profile : sorted) write_profile(file, *profile);
  file.commit();
}

void check_profiles_output(const std::string& path) {
  check_output(path, hdf5_file_of(std::string(kFormat)));
}

}  // namespace fewwatt::datasets
