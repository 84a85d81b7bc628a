// fewwatt device: the boards that are known, and the clocks of this one.

#include <array>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>

#include "hw/counted.hpp"
#include "hw/jetson/board_access.hpp"
#include "hw/jetson/clocks.hpp"
#include "hw/jetson/nvpmodel.hpp"
#include "hw/json_text.hpp"
#include "hw/modules.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "hw/text.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kActions = {"list", "show", "apply", "restore", "export-nvpmodel"};

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
  Json settings = Json::object();
  for (std::size_t k = 0; k < mode.size(); ++k) settings[std::string(hw::to_string(knobs[k].role))] = mode[k];
  return settings;
}

Json levels_to_json(const std::vector<hw::Knob>& knobs) {
  Json levels = Json::object();
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
    std::cout << hw::json_text(Json{{"boards", boards}}, 2) << '\n';
    return;
  }
  for (const auto& module : hw::modules()) {
    std::cout << module.name << "  " << module.title << ", " << hw::counted(num_modes(module.knobs), "mode");
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
    std::cout << hw::json_text(to_json(module), 2) << '\n';
    return;
  }
  const auto space = hw::PowerModeSpace::grid(module.knobs);
  std::cout << module.name << ": " << module.title << ", " << hw::counted(space.size(), "mode") << '\n';
  print_levels(module.knobs);
  for (const auto& preset : module.presets) {
    std::cout << "preset " << preset.name << ": "
              << hw::describe(space, hw::apply_limits(space, module.knobs, preset.limits)) << '\n';
  }
  for (const auto* grid : grids_of(module)) {
    std::cout << "grid " << grid->name << ": " << hw::counted(num_modes(grid->knobs), "mode") << " ("
              << grid->source << ")\n";
    print_levels(grid->knobs);
  }
}

// ---- this board ----

struct LiveOptions {
  hw::JetsonOptions board;
  std::string mode, name;
  bool dry_run = false, give_up = false;
  std::shared_ptr<hw::BoardAccess> access;
  program::CommonOptions common;
};

hw::BoardView view_of(const LiveOptions& options) {
  return program::during("reading this board", [&] { return options.access->view(options.board.root); });
}

hw::Settings settings_for(const std::string& action, const LiveOptions& options) {
  program::require(!options.mode.empty(), action + " needs --mode, such as cpu_cores=8,gpu_khz=918000");
  return program::settings_in("mode", options.mode);
}

std::string power_text(double watt) {
  std::ostringstream text;
  text.precision(3);
  text << std::fixed << watt << " W";
  return text.str();
}

// A remark about a sensor, beside its power or in its place; "" for none.
std::string problem_of(const hw::BoardView::Sensor& sensor) {
  if (!sensor.problem.empty() || !sensor.power_w || *sensor.power_w >= 0) return sensor.problem;
  return "slightly below 0, as the offset of a sensor without load";
}

// Sensors, and the sum that is the module's power, or why there is none.
Json sensors_to_json(const hw::BoardView& view) {
  Json sensors = {{"rails", Json::array()}};
  for (const auto& sensor : view.sensors) {
    Json row = {{"label", sensor.label}, {"sensor", sensor.bus_address}};
    if (sensor.power_w) row["power_w"] = *sensor.power_w;
    if (const auto problem = problem_of(sensor); !problem.empty()) row["problem"] = problem;
    sensors["rails"].push_back(row);
  }
  if (view.total_w) {
    sensors["total_w"] = *view.total_w;
    sensors["total_is"] = view.total;
  } else {
    sensors["problem"] = view.total;
  }
  return sensors;
}

void show_this(const LiveOptions& options) {
  const auto view = view_of(options);
  const auto& board = view.board;
  const auto space = hw::has_knobs(board) ? std::optional(hw::space_of(board)) : std::nullopt;
  const auto knobs = space ? space->knobs() : std::vector<hw::Knob>();
  if (options.common.json) {
    Json missing = Json::array(), refused = Json::object();
    for (const auto& [what, why] : board.missing) missing.push_back({{"what", what}, {"why", why}});
    for (const auto& [why, paths] : view.refused) refused[why] = paths;
    const Json report{{"model", board.model},
                      {"compatible", board.compatible},
                      {"l4t", board.release},
                      {"jetpack", board.jetpack},
                      {"modes", space ? space->size() : 0},
                      {"knobs", levels_to_json(knobs)},
                      {"now", settings_to_json(knobs, view.now)},
                      {"sensors", sensors_to_json(view)},
                      {"missing", missing},
                      {"notes", board.notes},
                      {"not_writable", refused}};
    std::cout << hw::json_text(report, 2) << '\n';
    return;
  }
  // Texts of the board's tree come from outside, like those of a file.
  const auto shown = [](const std::string& text) { return hw::printable(text); };
  std::cout << shown(board.model) << ", JetPack "
            << (board.jetpack.empty() ? "not known" : shown(board.jetpack)) << ", "
            << hw::counted(space ? space->size() : 0, "mode") << '\n';
  print_levels(knobs);
  if (space) std::cout << "now: " << hw::describe(*space, view.now) << '\n';
  for (const auto& sensor : view.sensors) {
    const auto problem = problem_of(sensor);
    std::cout << "sensor " << shown(sensor.bus_address) << ' ' << shown(sensor.label) << ": "
              << (sensor.power_w ? power_text(*sensor.power_w) : "")
              << (sensor.power_w && !problem.empty() ? ", " : "") << shown(problem) << '\n';
  }
  if (view.total_w)
    std::cout << "module: " << power_text(*view.total_w) << " (" << shown(view.total) << ")\n";
  else
    std::cout << "module: " << shown(view.total) << '\n';
  for (const auto& [what, why] : board.missing)
    std::cout << "missing " << shown(what) << ": " << shown(why) << '\n';
  for (const auto& note : board.notes) std::cout << "note: " << shown(note) << '\n';
  for (const auto& [why, paths] : view.refused)
    std::cout << "cannot be written (" << shown(why) << "): " << hw::counted(paths.size(), "control") << ", "
              << shown(paths.front()) << " the first; root may write them\n";
}

Json print_writes(const hw::ControlWrites& writes, bool json) {
  Json rows = Json::array();
  for (const auto& [path, value] : writes) {
    rows.push_back({{"path", path}, {"value", value}});
    if (!json) std::cout << "would write " << hw::printable(value + " to " + path) << '\n';
  }
  return rows;
}

void apply_here(const LiveOptions& options) {
  const auto settings = settings_for("apply", options);
  const auto space = hw::space_of(view_of(options).board);
  const auto change = program::during("setting this board's clocks", [&] {
    return options.access->change(options.board, settings, options.dry_run);
  });
  const auto writes = print_writes(change.writes, options.common.json);
  if (options.common.json) {
    Json report{{"mode", settings_to_json(space.knobs(), change.mode)}};
    if (options.dry_run) report["writes"] = writes;
    std::cout << hw::json_text(report, 2) << '\n';
  } else if (!options.dry_run && !options.common.quiet) {
    std::cout << "set " << hw::describe(space, change.mode)
              << "; fewwatt device restore puts back what was before\n";
  }
}

void restore_here(const LiveOptions& options) {
  const auto undone = program::during("putting back this board's clocks", [&] {
    return options.access->undo(options.board, options.give_up, options.dry_run);
  });
  const auto writes = print_writes(undone.writes, options.common.json);
  if (options.dry_run) {
    if (options.common.json) std::cout << hw::json_text(Json{{"writes", writes}}, 2) << '\n';
    return;
  }
  for (const auto& left : undone.left) std::cerr << "left as it is: " << hw::printable(left) << '\n';
  if (options.common.json)
    std::cout << hw::json_text(Json{{"controls", undone.controls}}, 2) << '\n';
  else if (!options.common.quiet)
    std::cout << (undone.controls == 0 ? std::string("nothing to put back")
                                       : "put back " + hw::counted(undone.controls, "control"))
              << '\n';
}

void export_here(const LiveOptions& options) {
  program::require(hw::is_nvpmodel_name(options.name),
                   "--name: letters, digits and . _ + - only, found \"" + hw::printable(options.name) + '"');
  const auto view = view_of(options);
  const auto settings = settings_for("export-nvpmodel", options);
  const auto space = hw::space_of(view.board);
  const auto [mode, roles] = hw::changed(space, view.now, settings);
  const hw::FileSysfs files(options.board.root);
  const std::string path = "/etc/nvpmodel.conf";
  const auto conf = hw::parse_nvpmodel(files.read(path), path);
  const auto stanza = hw::nvpmodel_stanza(files, conf, *conf.find(hw::nvpmodel_now(files, conf)), view.board,
                                          mode, roles, options.name);
  if (options.common.json)
    std::cout << hw::json_text(Json{{"mode", settings_to_json(space.knobs(), mode)},
                                    {"stanza", stanza.text},
                                    {"notes", stanza.notes}},
                               2)
              << '\n';
  else
    std::cout << hw::printable_lines(stanza.text);
  if (!options.common.quiet)
    for (const auto& note : stanza.notes) std::cerr << "note: " << hw::printable(note) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("device", [&] {
    namespace po = program::po;
    LiveOptions options;
    program::Manual manual;
    manual.verb = "device";
    manual.access = &options.access;
    manual.synopsis = "list | show [BOARD] | apply --mode KNOB=SETTING,... | restore | export-nvpmodel";
    manual.about =
        "list: prints the boards that fewwatt knows.\n"
        "show: prints the knobs, levels and presets of a board; without a name, those of this board, with\n"
        "  its mode, its power sensors and what is missing.\n"
        "apply: sets this board to a mode; knobs that are not named stay as they are.\n"
        "restore: puts back what was set before apply, also after a crash.\n"
        "export-nvpmodel: prints the mode as a stanza for /etc/nvpmodel.conf, so that it survives a restart.";
    manual.options.add_options()("action", po::value<std::string>()->value_name("ACTION"),
                                 hw::join(kActions).c_str())(
        "board", po::value<std::string>()->value_name("BOARD"), "show: name of a board, as list prints it")(
        "mode", po::value(&options.mode)->value_name("KNOB=SETTING,..."),
        "apply, export-nvpmodel: settings, such as cpu_cores=8,gpu_khz=918000")(
        "name", po::value(&options.name)->default_value("FEWWATT")->value_name("NAME"),
        "export-nvpmodel: name of the mode")(
        "give-up", po::bool_switch(&options.give_up),
        "restore: go on where something cannot be put back, and leave it as it is")(
        "dry-run", po::bool_switch(&options.dry_run),
        "apply, restore: print what would be written, and write nothing")(
        "root", po::value(&options.board.root)->value_name("DIR"),
        "folder with the board's /sys, /proc and /etc, where that is not /")(
        "state", po::value(&options.board.state)->value_name("DIR"),
        "folder for the notes of what is to be put back, where that is not /run/fewwatt");
    manual.choices = {{"action", {kActions.begin(), kActions.end()}},
                      {"board", program::names_in(hw::modules())}};
    manual.positional.add("action", 1).add("board", 1);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;

    if (values->count("action") == 0) throw program::UsageError("expected an action: " + hw::join(kActions));
    const auto action = (*values)["action"].as<std::string>();
    const bool has_board = values->count("board") > 0;
    if (has_board && action != "show") throw program::UsageError(action + " takes no board");
    const bool applies = action == "apply", restores = action == "restore",
               exports = action == "export-nvpmodel";
    program::refuse_without_effect(*values,
                                   {{{"mode"}, applies || exports, "it goes with apply and export-nvpmodel"},
                                    {{"name"}, exports, "it goes with export-nvpmodel"},
                                    {{"give-up"}, restores, "it goes with restore"},
                                    {{"dry-run"}, applies || restores, "it goes with apply and restore"}});
    if (action == "list") {
      list(options.common.json);
    } else if (action == "show" && has_board) {
      show(program::as_usage([&] { return hw::find_module((*values)["board"].as<std::string>()); }),
           options.common.json);
    } else if (action == "show") {
      show_this(options);
    } else if (applies) {
      apply_here(options);
    } else if (restores) {
      restore_here(options);
    } else if (exports) {
      export_here(options);
    } else {
      throw program::UsageError("no action \"" + action + "\"; there are " + hw::join(kActions) +
                                hw::did_you_mean(action, kActions));
    }
    return program::kDone;
  });
}
