// fewwatt device: what is known of boards.

#include <iostream>
#include <nlohmann/json.hpp>

#include "hw/modules.hpp"
#include "hw/program.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

constexpr const char* kActions = "list, show";

std::vector<const hw::ProfiledGrid*> grids_of(const hw::Module& module) {
  std::vector<const hw::ProfiledGrid*> found;
  for (const auto& grid : hw::profiled_grids()) {
    if (grid.module == module.name) found.push_back(&grid);
  }
  return found;
}

std::size_t num_modes(const std::vector<hw::Knob>& knobs) {
  return hw::PowerModeSpace::grid(knobs).size();
}

Json settings_to_json(const std::vector<hw::Knob>& knobs, const hw::PowerMode& mode) {
  Json settings;
  for (std::size_t k = 0; k < mode.size(); ++k) settings[std::string(hw::to_string(knobs[k].role))] = mode[k];
  return settings;
}

Json levels_to_json(const std::vector<hw::Knob>& knobs) {
  Json levels;
  for (const auto& knob : knobs) levels[std::string(hw::to_string(knob.role))] = knob.levels;
  return levels;
}

Json grids_to_json(const hw::Module& module, bool with_levels) {
  Json grids = Json::array();
  for (const auto* grid : grids_of(module)) {
    Json row = {{"name", grid->name}, {"modes", num_modes(grid->knobs)}, {"source", grid->source}};
    if (with_levels) row["knobs"] = levels_to_json(grid->knobs);
    grids.push_back(row);
  }
  return grids;
}

Json to_json(const hw::Module& module) {
  Json presets = Json::array();
  for (const auto& preset : module.presets) {
    presets.push_back({{"name", preset.name}, {"limits", settings_to_json(module.knobs, preset.limits)}});
  }
  return {{"name", module.name},
          {"title", module.title},
          {"modes", num_modes(module.knobs)},
          {"knobs", levels_to_json(module.knobs)},
          {"presets", presets},
          {"grids", grids_to_json(module, true)}};
}

void list(bool json) {
  if (json) {
    Json boards = Json::array();
    for (const auto& module : hw::modules()) {
      boards.push_back({{"name", module.name},
                        {"title", module.title},
                        {"modes", num_modes(module.knobs)},
                        {"grids", grids_to_json(module, false)}});
    }
    std::cout << Json{{"boards", boards}}.dump(2) << '\n';
    return;
  }
  for (const auto& module : hw::modules()) {
    std::cout << module.name << "  " << module.title << ", " << num_modes(module.knobs) << " modes";
    for (const auto* grid : grids_of(module))
      std::cout << "; " << grid->name << ' ' << num_modes(grid->knobs);
    std::cout << '\n';
  }
}

void print_levels(const std::vector<hw::Knob>& knobs) {
  for (const auto& knob : knobs) {
    std::cout << "  " << hw::to_string(knob.role) << " (" << knob.levels.size() << "):";
    for (const int level : knob.levels) std::cout << ' ' << level;
    std::cout << '\n';
  }
}

void show(const hw::Module& module, bool json) {
  if (json) {
    std::cout << to_json(module).dump(2) << '\n';
    return;
  }
  const auto space = hw::PowerModeSpace::grid(module.knobs);
  std::cout << module.name << ": " << module.title << ", " << space.size() << " modes\n";
  print_levels(module.knobs);
  for (const auto& preset : module.presets) {
    std::cout << "preset " << preset.name << ": "
              << hw::describe(space, hw::apply_limits(space, module.knobs, preset.limits)) << '\n';
  }
  for (const auto* grid : grids_of(module)) {
    std::cout << "grid " << grid->name << ": " << num_modes(grid->knobs) << " modes (" << grid->source
              << ")\n";
    print_levels(grid->knobs);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("device", [&] {
    program::Manual manual;
    manual.verb = "device";
    manual.synopsis = "list | show BOARD";
    manual.about = "Known boards: their knobs, levels, presets, and the grids of published profiles.";
    manual.options.add_options()("action", program::po::value<std::string>(), "list or show")(
        "board", program::po::value<std::string>(), "name of a board, as listed");
    manual.positional.add("action", 1).add("board", 1);
    program::CommonOptions common;
    const auto values = program::parse(argc, argv, manual, common);
    if (!values) return program::kDone;

    if (values->count("action") == 0) throw program::UsageError(std::string("what to do? ") + kActions);
    const auto action = (*values)["action"].as<std::string>();
    const bool has_board = values->count("board") > 0;
    if (action == "list") {
      if (has_board) throw program::UsageError("list takes no board");
      list(common.json);
    } else if (action == "show") {
      if (!has_board) throw program::UsageError("show needs a board; see fewwatt device list");
      show(hw::find_module((*values)["board"].as<std::string>()), common.json);
    } else {
      throw program::UsageError("no action \"" + action + "\"; there are " + kActions);
    }
    return program::kDone;
  });
}
