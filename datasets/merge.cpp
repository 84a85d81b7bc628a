#include "datasets/merge.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <span>

#include "datasets/average.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/run_log_text.hpp"
#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

using hw::kNan;

// One row of a profile.
struct Row {
  hw::Measurement measured;
  double time_std_ms = kNan, power_std_w = kNan, time_true_ms = kNan, power_true_w = kNan;
};
using Rows = std::map<hw::PowerMode, Row>;

struct Column {
  std::vector<double> Profile::*values;
  double Row::*value;
};
constexpr Column kColumns[] = {{&Profile::time_std_ms, &Row::time_std_ms},
                               {&Profile::power_std_w, &Row::power_std_w},
                               {&Profile::time_true_ms, &Row::time_true_ms},
                               {&Profile::power_true_w, &Row::power_true_w}};

Rows rows_of(const Profile& profile) {
  Rows rows;
  for (std::size_t i = 0; i < profile.modes.size(); ++i) {
    auto& row = rows[profile.modes[i]];
    row.measured = profile.measurements[i];
    for (const auto& [values, value] : kColumns) {
      if (!(profile.*values).empty()) row.*value = (profile.*values)[i];
    }
  }
  return rows;
}

void set_rows(Profile& profile, const Rows& rows) {
  profile.modes.clear();
  profile.measurements.clear();
  for (const auto& [mode, row] : rows) {
    profile.modes.push_back(mode);
    profile.measurements.push_back(row.measured);
  }
  for (const auto& [values, value] : kColumns) {
    auto& column = profile.*values;
    column.clear();
    for (const auto& [mode, row] : rows) column.push_back(row.*value);
    if (std::all_of(column.begin(), column.end(), [](double v) { return std::isnan(v); })) column.clear();
  }
}

// Of at least one row of the same mode. The true values are the first row's.
Row combined(std::span<const Row> rows) {
  Row row = rows.front();
  std::vector<Measured> times, powers;
  std::int64_t repeats = 0;
  for (const auto& one : rows) {
    const auto& measured = one.measured;
    const double count = measured.repeats;
    times.push_back({.value = measured.time_ms, .std = one.time_std_ms, .repeats = count});
    powers.push_back({.value = measured.power_w,
                      .std = one.power_std_w,
                      .repeats = count,
                      .duration = count * measured.time_ms});
    repeats += measured.repeats;
    row.measured.throttled = row.measured.throttled || measured.throttled;
  }
  const auto time = average(times), power = average(powers);
  row.measured.time_ms = time.value, row.time_std_ms = time.std;
  row.measured.power_w = power.value, row.power_std_w = power.std;
  row.measured.repeats = static_cast<int>(std::min<std::int64_t>(repeats, std::numeric_limits<int>::max()));
  return row;
}

[[noreturn]] void fail_to_unite(const std::string& what, std::string_view a, std::string_view b) {
  throw DataError(what + " differs: '" + std::string(a) + "' and '" + std::string(b) + "'");
}

// What is known in either. Throws DataError, as the others below, naming `what` is united and what differs.
WorkloadAttributes united(WorkloadAttributes a, const WorkloadAttributes& b, const std::string& what) {
  if (a.kind != b.kind) fail_to_unite(what + ": kind", to_string(a.kind), to_string(b.kind));
  if (a.time_of != b.time_of) fail_to_unite(what + ": time_of", to_string(a.time_of), to_string(b.time_of));
  for (const auto& [name, member] : kTextAttributes) {
    if ((a.*member).empty()) a.*member = b.*member;
    if (!(b.*member).empty() && a.*member != b.*member)
      fail_to_unite(what + ": " + name, a.*member, b.*member);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (!(a.*member)) a.*member = b.*member;
    if (b.*member && a.*member != b.*member)
      fail_to_unite(what + ": " + name, attribute_text(a.*member), attribute_text(b.*member));
  }
  return a;
}

DeviceAttributes united(DeviceAttributes a, const DeviceAttributes& b, const std::string& what) {
  for (const auto& [name, value] : b) {
    const auto& known = a.emplace(name, value).first->second;
    if (known != value) fail_to_unite(what + ": " + name, known, value);
  }
  return a;
}

std::shared_ptr<const hw::PowerModeSpace> united(const std::shared_ptr<const hw::PowerModeSpace>& a,
                                                 const std::shared_ptr<const hw::PowerModeSpace>& b,
                                                 const std::string& what) {
  if (!same_roles(*a, *b)) fail_to_unite(what + ": knobs", describe_roles(*a), describe_roles(*b));
  if (*a == *b) return a;
  const auto union_of = [](const auto& x, const auto& y) {
    auto all = x;
    all.clear();
    std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(all));
    return all;
  };
  auto knobs = a->knobs();
  for (std::size_t k = 0; k < knobs.size(); ++k)
    knobs[k].levels = union_of(knobs[k].levels, b->knobs()[k].levels);
  if (a->is_grid() && b->is_grid())
    return std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(std::move(knobs)));
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::list(std::move(knobs), union_of(a->modes(), b->modes())));
}

std::string profile_name(const Profile& profile, const std::string& where) {
  return where + ": profile " + profile.device + "/" + profile.workload;
}

// `a` without rows of its own yet, of the same device and workload as `b`.
Profile united_frame(const Profile& a, const Profile& b, const std::string& where) {
  const auto what = profile_name(a, where);
  Profile profile;
  profile.device = a.device;
  profile.workload = a.workload;
  profile.attributes = united(a.attributes, b.attributes, what);
  profile.space = united(a.space, b.space, what);
  const auto error = attributes_error(profile.attributes, *profile.space);
  if (!error.empty()) throw DataError(what + ": " + error);
  return profile;
}

Profile merged(const Profile& a, const Profile& b, const std::string& where) {
  auto profile = united_frame(a, b, where);
  auto rows = rows_of(a);
  for (const auto& [mode, row] : rows_of(b)) {
    const auto [known, is_new] = rows.emplace(mode, row);
    if (is_new) continue;
    std::array<Row, 2> both{known->second, row};
    for (const auto value : {&Row::time_true_ms, &Row::power_true_w}) {
      if (std::isnan(both[0].*value)) both[0].*value = row.*value;
      if (!std::isnan(row.*value) && both[0].*value != row.*value)
        fail_to_unite(profile_name(profile, where) + ": " + describe(*profile.space, mode) + ": true value",
                      hw::number_text(both[0].*value), hw::number_text(row.*value));
    }
    known->second = combined(both);
  }
  set_rows(profile, rows);
  validate(profile, where);
  return profile;
}

ProfileStore stored_profiles(const std::string& path) {
  std::error_code unknown;
  const auto status = std::filesystem::status(path, unknown);
  return status.type() == std::filesystem::file_type::not_found ? ProfileStore() : read_profiles(path);
}

Profile frame_of(const RunHeader& header) {
  Profile profile;
  profile.device = header.device;
  profile.workload = header.workload;
  profile.attributes = header.attributes;
  profile.space = header.space;
  return profile;
}

// Where `frame` belongs in the store; made without rows when it is not there.
Profile& add_frame(ProfileStore& store, const RunHeader& header, const std::string& where) {
  auto& attributes = store.devices[header.device];
  attributes = united(attributes, header.device_attributes, where + ": device " + header.device);
  const auto frame = frame_of(header);
  for (auto& profile : store.profiles) {
    if (profile.device != frame.device || profile.workload != frame.workload) continue;
    const auto rows = rows_of(profile);
    profile = united_frame(profile, frame, where);
    set_rows(profile, rows);
    return profile;
  }
  return store.profiles.emplace_back(frame);
}

}  // namespace

Profile to_profile(const RunRecords& run) {
  std::map<hw::PowerMode, std::vector<Row>> attempts;
  for (const auto& record : run.records) {
    if (record.status != hw::AttemptStatus::ok) continue;
    Row row;
    row.measured = record.measured;
    row.time_std_ms = record.time_std_ms;
    row.power_std_w = record.power_std_w;
    attempts[record.mode].push_back(row);
  }
  if (attempts.empty()) throw DataError(run.path + ": no mode has been measured yet");
  Rows rows;
  for (const auto& [mode, of_mode] : attempts) rows[mode] = combined(of_mode);
  auto profile = frame_of(run.header);
  set_rows(profile, rows);
  validate(profile, run.path);
  return profile;
}

void fold(const RunRecords& run, const std::string& profile_path) {
  const auto fresh = to_profile(run);
  auto store = stored_profiles(profile_path);
  auto& profile = add_frame(store, run.header, profile_path);
  auto rows = rows_of(fresh);
  rows.merge(rows_of(profile));
  set_rows(profile, rows);
  write_profiles(profile_path, store);
}

void fold(const std::string& log_path, const std::string& profile_path) {
  fold(read_run_log(log_path), profile_path);
}

void check_fold(const RunHeader& header, const std::string& profile_path) {
  check_profiles_output(profile_path);
  auto store = stored_profiles(profile_path);
  add_frame(store, header, profile_path);
}

ProfileStore merge_profiles(const ProfileStore& a, const ProfileStore& b, const std::string& where) {
  ProfileStore all;
  all.devices = a.devices;
  for (const auto& [device, attributes] : b.devices) {
    auto& known = all.devices[device];
    known = united(known, attributes, where + ": device " + device);
  }
  std::map<std::pair<std::string, std::string>, Profile> profiles;
  for (const auto& profile : a.profiles) profiles[{profile.device, profile.workload}] = profile;
  for (const auto& profile : b.profiles) {
    const auto [known, is_new] = profiles.try_emplace({profile.device, profile.workload}, profile);
    if (!is_new) known->second = merged(known->second, profile, where);
  }
  for (auto& [name, profile] : profiles) all.profiles.push_back(std::move(profile));
  return all;
}

}  // namespace fewwatt::datasets
