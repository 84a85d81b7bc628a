#include "datasets/schema_io.hpp"

#include <sstream>
#include <utility>

#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

[[noreturn]] void fail(const Hdf5Reader& file, const std::string& object, const std::string& what) {
  throw DataError(file.path() + ": " + object + ": " + what);
}

}  // namespace

WorkloadAttributes read_attributes(const Hdf5Reader& file, const std::string& group) {
  WorkloadAttributes attributes;
  const std::string kind = file.text(group, "kind"), time_of = file.text(group, "time_of");
  const auto known_kind = parse_workload_kind(kind);
  const auto known_time = parse_time_of(time_of);
  if (!known_kind) fail(file, group, "unknown kind '" + kind + "'");
  if (!known_time) fail(file, group, "unknown time_of '" + time_of + "'");
  attributes.kind = *known_kind;
  attributes.time_of = *known_time;
  for (const auto& [name, member] : kTextAttributes) {
    if (file.has_attribute(group, name)) attributes.*member = file.text(group, name);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (file.has_attribute(group, name)) attributes.*member = file.number(group, name);
  }
  return attributes;
}

void write_attributes(Hdf5Writer& file, const std::string& group, const WorkloadAttributes& attributes) {
  file.group(group);
  file.text(group, "kind", std::string(to_string(attributes.kind)));
  file.text(group, "time_of", std::string(to_string(attributes.time_of)));
  for (const auto& [name, member] : kTextAttributes) {
    if (!(attributes.*member).empty()) file.text(group, name, attributes.*member);
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (attributes.*member) file.number(group, name, *(attributes.*member));
  }
}

std::vector<hw::PowerMode> read_modes(const Hdf5Reader& file, const std::string& dataset, std::size_t knobs) {
  const auto table = file.int_table(dataset);
  if (table.cols != knobs || knobs > hw::PowerMode::kMaxKnobs) {
    fail(file, dataset,
         "expected one column for each of the " + std::to_string(knobs) + " knobs, found " +
             std::to_string(table.cols));
  }
  std::vector<hw::PowerMode> modes;
  modes.reserve(table.rows);
  for (std::size_t i = 0; i < table.rows; ++i) {
    modes.emplace_back(std::span<const int>(table.values).subspan(i * knobs, knobs));
  }
  return modes;
}

void write_modes(Hdf5Writer& file, const std::string& dataset, std::size_t knobs,
                 std::span<const hw::PowerMode> modes) {
  std::vector<int> values;
  values.reserve(modes.size() * knobs);
  for (const auto& mode : modes) values.insert(values.end(), mode.begin(), mode.end());
  file.write_table(dataset, modes.size(), knobs, values);
}

hw::PowerModeSpace read_space(const Hdf5Reader& file, const std::string& group,
                              const std::string& listed_modes, std::size_t max_modes) {
  std::vector<hw::Knob> knobs;
  std::istringstream roles(file.text(group, "roles"));
  for (std::string name; roles >> name;) {
    const auto role = hw::parse_knob_role(name);
    if (!role) fail(file, group, "unknown knob role '" + name + "'");
    knobs.push_back({*role, file.ints(group + "/" + name)});
  }
  const bool is_grid = file.integer(group, "grid") != 0;
  try {
    if (is_grid) return hw::PowerModeSpace::grid(std::move(knobs), max_modes);
    auto modes = read_modes(file, listed_modes, knobs.size());
    return hw::PowerModeSpace::list(std::move(knobs), std::move(modes));
  } catch (const std::invalid_argument& e) {
    fail(file, group, e.what());
  }
}

void write_space(Hdf5Writer& file, const std::string& group, const hw::PowerModeSpace& space) {
  file.group(group);
  const auto role_of = [](const hw::Knob& knob) { return std::string(to_string(knob.role)); };
  for (const auto& knob : space.knobs())
    file.write(group + "/" + role_of(knob), std::span<const int>(knob.levels));
  file.text(group, "roles", hw::join(space.knobs(), " ", role_of));
  file.integer(group, "grid", space.is_grid() ? 1 : 0);
}

}  // namespace fewwatt::datasets
