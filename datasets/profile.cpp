#include "datasets/profile.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <utility>

#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::array<std::pair<WorkloadKind, std::string_view>, 3> kKinds{
    {{WorkloadKind::dnn_training, "dnn-training"},
     {WorkloadKind::dnn_inference, "dnn-inference"},
     {WorkloadKind::non_dnn, "non-dnn"}}};
constexpr std::array<std::pair<TimeOf, std::string_view>, 3> kTimes{
    {{TimeOf::minibatch, "minibatch"}, {TimeOf::epoch, "epoch"}, {TimeOf::run, "run"}}};

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) {
  for (const auto& [known, name] : table) {
    if (known == value) return name;
  }
  throw std::invalid_argument("unknown enumerator");
}

template <class Value, std::size_t N>
std::optional<Value> value_in(const std::array<std::pair<Value, std::string_view>, N>& table,
                              std::string_view name) {
  for (const auto& [value, known] : table) {
    if (known == name) return value;
  }
  return std::nullopt;
}

bool is_positive(double value) {
  return std::isfinite(value) && value > 0;
}

}  // namespace

std::string_view to_string(WorkloadKind kind) {
  return name_in(kKinds, kind);
}
std::string_view to_string(TimeOf time_of) {
  return name_in(kTimes, time_of);
}
std::optional<WorkloadKind> parse_workload_kind(std::string_view name) {
  return value_in(kKinds, name);
}
std::optional<TimeOf> parse_time_of(std::string_view name) {
  return value_in(kTimes, name);
}

std::string attributes_error(const WorkloadAttributes& attributes, const hw::PowerModeSpace& space) {
  const auto found = [](double value) {
    std::ostringstream text;
    text << ", found " << value;
    return text.str();
  };
  for (const auto& [name, member] : kNumberAttributes) {
    const auto& value = attributes.*member;
    if (value && !is_positive(*value))
      return std::string(name) + ": expected a positive, finite number" + found(*value);
  }
  const auto knob = space.knob_with(hw::KnobRole::batch_size);
  if (!knob || !attributes.batch_size) return "";
  const auto& levels = space.knobs()[*knob].levels;
  if (std::find(levels.begin(), levels.end(), *attributes.batch_size) != levels.end()) return "";
  return "batch_size: expected one of the knob's levels " + hw::join(levels) + found(*attributes.batch_size);
}

bool is_profile_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '-';
  };
  return !name.empty() && name != "." && name != ".." && std::all_of(name.begin(), name.end(), allowed);
}

bool Profile::has_time() const {
  return !measurements.empty() && std::none_of(measurements.begin(), measurements.end(),
                                               [](const auto& m) { return std::isnan(m.time_ms); });
}

bool Profile::has_power() const {
  return std::any_of(measurements.begin(), measurements.end(),
                     [](const auto& m) { return !std::isnan(m.power_w); });
}

void validate(const Profile& profile, const std::string& where) {
  const std::string name = where + ": profile " + profile.device + "/" + profile.workload;
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw DataError(name + ": " + what);
  };
  require(is_profile_name(profile.device) && is_profile_name(profile.workload),
          "names have letters, digits and . _ + - only");
  require(profile.space != nullptr, "no space");
  require(!profile.modes.empty(), "no modes");
  const auto bad_attribute = attributes_error(profile.attributes, *profile.space);
  require(bad_attribute.empty(), bad_attribute);
  const std::size_t n = profile.modes.size();
  require(profile.measurements.size() == n,
          std::to_string(n) + " modes, but " + std::to_string(profile.measurements.size()) + " measurements");
  const bool timed = !std::isnan(profile.measurements.front().time_ms);
  for (std::size_t i = 0; i < n; ++i) {
    const auto& mode = profile.modes[i];
    const auto& measured = profile.measurements[i];
    const auto require_row = [&](bool holds, const auto& what) {
      if (!holds) throw DataError(name + ": row " + std::to_string(i) + ": " + what());
    };
    require_row(profile.space->index_of(mode).has_value(),
                [&] { return "the space has no mode " + describe(*profile.space, mode); });
    require_row(i == 0 || profile.modes[i - 1] < mode, [&] {
      return (profile.modes[i - 1] == mode ? "the same mode as before, " : "modes are not ascending at ") +
             describe(*profile.space, mode);
    });
    require_row(std::isnan(measured.time_ms) || is_positive(measured.time_ms),
                [&] { return "time_ms must be positive, found " + std::to_string(measured.time_ms); });
    require_row(std::isnan(measured.time_ms) != timed,
                [&] { return std::string("time_ms is NaN for some modes and not for others"); });
    require_row(std::isnan(measured.power_w) || is_positive(measured.power_w),
                [&] { return "power_w must be positive, found " + std::to_string(measured.power_w); });
    require_row(measured.repeats >= 1,
                [&] { return "repeats must be at least 1, found " + std::to_string(measured.repeats); });
  }
  require(profile.has_time() || profile.has_power(), "neither times nor powers");
  const auto check_column = [&](const std::vector<double>& column, const char* what, bool zero_allowed) {
    require(column.empty() || column.size() == n, std::string(what) + " has " +
                                                      std::to_string(column.size()) + " values for " +
                                                      std::to_string(n) + " modes");
    for (std::size_t i = 0; i < column.size(); ++i) {
      require(
          std::isnan(column[i]) || is_positive(column[i]) || (zero_allowed && column[i] == 0),
          "row " + std::to_string(i) + ": " + what + " must be positive, found " + std::to_string(column[i]));
    }
  };
  check_column(profile.time_std_ms, "time_std_ms", true);
  check_column(profile.power_std_w, "power_std_w", true);
  check_column(profile.time_true_ms, "time_true_ms", false);
  check_column(profile.power_true_w, "power_true_w", false);
}

Profile subset(const Profile& profile, std::span<const std::size_t> rows) {
  Profile part = profile;
  const auto keep = [&](const auto& all, auto& kept) {
    if (all.empty()) return;
    kept.clear();
    for (const auto row : rows) kept.push_back(all[row]);
  };
  keep(profile.modes, part.modes);
  keep(profile.measurements, part.measurements);
  for (const auto column :
       {&Profile::time_std_ms, &Profile::power_std_w, &Profile::time_true_ms, &Profile::power_true_w})
    keep(profile.*column, part.*column);
  return part;
}

const Profile* ProfileStore::find(std::string_view device, std::string_view workload) const {
  for (const auto& profile : profiles) {
    if (profile.device == device && profile.workload == workload) return &profile;
  }
  return nullptr;
}

}  // namespace fewwatt::datasets
