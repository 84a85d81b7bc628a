#include <iostream>
#include <nlohmann/json.hpp>

#include "datasets/hdf5_file.hpp"
#include "datasets/inspect.hpp"
#include "datasets/profile_io.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "learners/programs/inspect_checkpoint.hpp"

namespace {

namespace hw = fewwatt::hw;
namespace program = fewwatt::program;
namespace po = fewwatt::program::po;
using namespace fewwatt::datasets;
using nlohmann::json;

json to_json(const std::optional<Range>& range) {
  if (!range) return nullptr;
  return {{"min", range->min}, {"median", range->median}, {"max", range->max}};
}

json to_json(const WorkloadAttributes& attributes) {
  json object{{"kind", to_string(attributes.kind)}, {"time_of", to_string(attributes.time_of)}};
  for (const auto& [name, member] : kTextAttributes) {
    if (!(attributes.*member).empty()) object[name] = attributes.*member;
  }
  for (const auto& [name, member] : kNumberAttributes) {
    if (attributes.*member) object[name] = *(attributes.*member);
  }
  return object;
}

json to_json(const Profile& profile) {
  const auto summary = summarize(profile);
  json knobs = json::array(), suspects = json::array();
  for (const auto& knob : profile.space->knobs()) {
    knobs.push_back({{"role", hw::to_string(knob.role)}, {"levels", knob.levels}});
  }
  for (const auto& suspect : summary.suspects) {
    suspects.push_back({{"mode", hw::describe(*profile.space, profile.modes[suspect.row])},
                        {"column", suspect.column},
                        {"value", suspect.value},
                        {"expected", suspect.expected}});
  }
  return {{"device", profile.device},
          {"workload", profile.workload},
          {"attributes", to_json(profile.attributes)},
          {"knobs", knobs},
          {"grid", profile.space->is_grid()},
          {"space_size", profile.space->size()},
          {"modes", profile.modes.size()},
          {"time_ms", to_json(summary.time_ms)},
          {"power_w", to_json(summary.power_w)},
          {"missing_power", summary.missing_power},
          {"throttled", summary.throttled},
          {"suspects", suspects}};
}

// What any file of ours says of itself, the profiles of a file of profiles, and what an agent or the state of a training run is.
json describe(const std::string& path) {
  const Hdf5Reader file(path);
  json object{{"file", path}, {"attributes", json::object()}};
  for (const auto& name : file.attributes("/")) {
    if (file.is_text_attribute("/", name)) {
      object["attributes"][name] = file.text("/", name);
    } else if (name == "version") {
      object["attributes"][name] = file.integer("/", name);
    } else {
      object["attributes"][name] = file.number("/", name);
    }
  }
  const std::string format = object["attributes"].value("format", "");
  if (!format.starts_with("fewwatt-")) throw DataError(path + " is an HDF5 file, but not one of fewwatt's");
  if (format != "fewwatt-profiles") {
    object["objects"] = file.children("/");
    if (format == "fewwatt-checkpoint")
      fewwatt::checkpoints::add_details(object, path, file.text("/", "learner"));
    return object;
  }
  const auto store = read_profiles(path);
  object["devices"] = store.devices;
  object["profiles"] = json::array();
  for (const auto& profile : store.profiles) object["profiles"].push_back(to_json(profile));
  return object;
}

void print_attributes(const json& attributes, const std::string& indent) {
  for (const auto& [name, value] : attributes.items()) {
    std::cout << indent << hw::printable(name) << " = "
              << (value.is_string() ? hw::printable(value.get<std::string>()) : hw::json_text(value)) << '\n';
  }
}

void print_range(const json& range, const char* what, const char* unit) {
  std::cout << "  " << what << ": ";
  if (range.is_null()) {
    std::cout << "not measured\n";
    return;
  }
  std::cout << range["min"].get<double>() << " .. " << range["max"].get<double>() << ' ' << unit
            << ", median " << range["median"].get<double>() << '\n';
}

void print_profile(const json& profile) {
  std::cout << '\n'
            << profile["device"].get<std::string>() << '/' << profile["workload"].get<std::string>() << '\n';
  print_attributes(profile["attributes"], "  ");
  for (const auto& knob : profile["knobs"]) {
    const auto& levels = knob["levels"];
    std::cout << "  " << knob["role"].get<std::string>() << ": " << hw::counted(levels.size(), "level")
              << ", " << levels.front() << " .. " << levels.back() << '\n';
  }
  std::cout << "  modes: " << profile["modes"] << " of " << profile["space_size"] << '\n';
  print_range(profile["time_ms"], "time", "ms");
  print_range(profile["power_w"], "power", "W");
  if (profile["missing_power"] != 0)
    std::cout << "  without a power: " << hw::counted(profile["missing_power"].get<std::size_t>(), "mode")
              << '\n';
  if (profile["throttled"] != 0)
    std::cout << "  throttled: " << hw::counted(profile["throttled"].get<std::size_t>(), "mode") << '\n';
  for (const auto& suspect : profile["suspects"]) {
    std::cout << "  suspicious: " << suspect["column"].get<std::string>() << ' '
              << suspect["value"].get<double>() << " where its neighbours suggest "
              << suspect["expected"].get<double>() << ", " << suspect["mode"].get<std::string>() << '\n';
  }
}

void print(const json& object) {
  std::cout << object["file"].get<std::string>() << '\n';
  print_attributes(object["attributes"], "  ");
  if (!object.contains("profiles")) {
    for (const auto& name : object["objects"])
      std::cout << "  /" << hw::printable(name.get<std::string>()) << '\n';
    for (const auto& [key, title] : fewwatt::checkpoints::kDetails) {
      if (!object.contains(key)) continue;
      std::cout << '\n' << title << '\n';
      print_attributes(object[key], "  ");
    }
    return;
  }
  for (const auto& [device, attributes] : object["devices"].items()) {
    std::cout << "\ndevice " << hw::printable(device) << '\n';
    print_attributes(attributes, "  ");
  }
  for (const auto& profile : object["profiles"]) print_profile(profile);
}

int inspect(int argc, char** argv) {
  program::Manual manual;
  manual.verb = "inspect";
  manual.synopsis = "FILE [--check]";
  manual.about =
      "Says what is in a file of profiles: knobs, ranges, missing and suspicious values. Of initializers\n"
      "and models it prints the attributes, of agents also what they were trained for, and of the state of "
      "a\n"
      "training run which run it is of.";
  program::CommonOptions common;
  std::string path;
  bool check = false;
  auto add = manual.options.add_options();
  add("file", po::value(&path)->required()->value_name("FILE"),
      "file to read; --file itself may be left out");
  add("check", po::bool_switch(&check), "also fail where the file has objects that no file of fewwatt has");
  manual.positional.add("file", 1);
  if (!program::parse(argc, argv, manual, common)) return program::kDone;

  if (check) Hdf5Reader(path).verify();
  const json object = describe(path);
  if (common.json) {
    std::cout << hw::json_text(object) << '\n';
  } else {
    print(object);
  }
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("inspect", [&] { return inspect(argc, argv); });
}
