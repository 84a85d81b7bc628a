// fewwatt device: the boards that are known, and the clocks of this one.

#include <signal.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "hw/jetson/clocks.hpp"
#include "hw/jetson/dry_run.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/jetson/nvpmodel.hpp"
#include "hw/jetson/rails.hpp"
#include "hw/jetson/session.hpp"
#include "hw/modules.hpp"
#include "hw/numbers.hpp"
#include "hw/program.hpp"

namespace {

using namespace fewwatt;
using Json = nlohmann::ordered_json;

constexpr const char* kActions = "list, show, apply, restore, export-nvpmodel";

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

// ---- this board ----

struct LiveOptions {
  std::string root, state;  // "" = the board's own
  std::string mode, name;
  bool dry_run = false, give_up = false;
  program::CommonOptions common;
};

// Signals wait while clocks are set and put back, which takes seconds at most.
class Unhurried {
 public:
  Unhurried() {
    sigset_t all;
    sigemptyset(&all);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&all, signal);
    sigprocmask(SIG_BLOCK, &all, &before_);
  }
  ~Unhurried() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Unhurried(const Unhurried&) = delete;
  Unhurried& operator=(const Unhurried&) = delete;

 private:
  sigset_t before_{};
};

std::string state_folder(const LiveOptions& options) {
  return options.state.empty() ? options.root + "/run/fewwatt" : options.state;
}

// The present mode with some settings changed: "cpu_cores=8,gpu_khz=918000".
struct Change {
  hw::PowerMode mode;
  std::set<hw::KnobRole> roles;  // those that are named
};
Change changed(const hw::Clocks& clocks, const std::string& text) {
  const auto& space = clocks.space();
  Change change{clocks.current(), {}};
  std::string words = text;
  for (char& c : words)
    if (c == ',') c = ' ';
  std::istringstream parts(words);
  for (std::string part; parts >> part;) {
    const auto equals = part.find('=');
    const auto role = hw::parse_knob_role(part.substr(0, equals));
    const auto knob = role ? space.knob_with(*role) : std::nullopt;
    if (equals == std::string::npos || !knob)
      throw program::UsageError("--mode: expected KNOB=SETTING with a knob of this board, found \"" + part +
                                "\"");
    change.roles.insert(*role);
    const auto setting = hw::as_int(hw::parse_number(part.substr(equals + 1), "--mode " + part));
    if (!setting)
      throw program::UsageError("--mode " + part + ": expected a setting of at most " +
                                std::to_string(std::numeric_limits<int>::max()));
    change.mode[*knob] = *setting;
  }
  return change;
}

std::string power_text(double watt) {
  std::ostringstream text;
  text.precision(3);
  text << std::fixed << watt << " W";
  return text.str();
}

// Sensors, and the sum that is the module's power, or why there is none.
Json sensors_of(const hw::Sysfs& files, const hw::Board& board) {
  Json sensors = {{"rails", Json::array()}};
  const auto rails = hw::find_rails(files);
  for (const auto& rail : rails) {
    Json row = {{"label", rail.label}, {"sensor", rail.bus_address}};
    try {
      row["power_w"] = hw::read_power_w(files, rail);
    } catch (const hw::DeviceError& e) {
      row["problem"] = rail.problem.empty() ? e.what() : rail.problem;
    }
    sensors["rails"].push_back(row);
  }
  try {
    const auto total = hw::total_of(rails, board.compatible);
    double watt = 0;
    for (const auto& rail : total.rails) watt += hw::read_power_w(files, rail);
    sensors["total_w"] = watt;
    sensors["total_is"] = total.note;
  } catch (const hw::DeviceError& e) {
    sensors["problem"] = e.what();
  }
  return sensors;
}

// Controls that cannot be written, by reason.
Json refused_controls(const hw::Sysfs& files, const hw::Clocks& clocks) {
  Json refused = Json::object();
  for (const auto& path : clocks.controls())
    if (const int code = files.write_error(path); code != 0) refused[std::strerror(code)].push_back(path);
  return refused;
}

void show_this(const LiveOptions& options) {
  hw::FileSysfs files(options.root);
  hw::SystemMonotonic time;
  const auto board = hw::find_board(files);
  const hw::Clocks clocks(files, time, board);
  const auto& space = clocks.space();
  const auto now = clocks.current();
  const auto sensors = sensors_of(files, board);
  const auto refused = refused_controls(files, clocks);
  if (options.common.json) {
    Json missing = Json::array();
    for (const auto& [what, why] : board.missing) missing.push_back({{"what", what}, {"why", why}});
    std::cout << Json{{"model", board.model},
                      {"compatible", board.compatible},
                      {"l4t", board.release},
                      {"jetpack", board.jetpack},
                      {"modes", space.size()},
                      {"knobs", levels_to_json(space.knobs())},
                      {"now", settings_to_json(space.knobs(), now)},
                      {"sensors", sensors},
                      {"missing", missing},
                      {"not_writable", refused}}
                     .dump(2)
              << '\n';
    return;
  }
  std::cout << board.model << ", JetPack " << (board.jetpack.empty() ? "not known" : board.jetpack) << ", "
            << space.size() << " modes\n";
  print_levels(space.knobs());
  std::cout << "now: " << hw::describe(space, now) << '\n';
  for (const auto& rail : sensors["rails"]) {
    std::cout << "sensor " << rail["sensor"].get<std::string>() << ' ' << rail["label"].get<std::string>()
              << ": "
              << (rail.contains("power_w") ? power_text(rail["power_w"].get<double>())
                                           : rail["problem"].get<std::string>())
              << '\n';
  }
  if (sensors.contains("total_w"))
    std::cout << "module: " << power_text(sensors["total_w"].get<double>()) << " ("
              << sensors["total_is"].get<std::string>() << ")\n";
  else
    std::cout << "module: " << sensors["problem"].get<std::string>() << '\n';
  for (const auto& [what, why] : board.missing) std::cout << "missing " << what << ": " << why << '\n';
  for (const auto& [why, paths] : refused.items())
    std::cout << "cannot be written (" << why << "): " << paths.size() << " controls, "
              << paths.front().get<std::string>() << " the first; root may write them\n";
}

void apply_here(const LiveOptions& options) {
  if (options.mode.empty())
    throw program::UsageError("apply needs --mode, such as cpu_cores=8,gpu_khz=918000");
  hw::FileSysfs files(options.root);
  hw::SystemMonotonic time;
  const auto board = hw::find_board(files);
  if (options.dry_run) {
    hw::DryRunSysfs dry(files);
    hw::Clocks clocks(dry, time, board, {.wait_for_clocks = false});
    const auto [mode, roles] = changed(clocks, options.mode);
    clocks.apply(mode, roles);
    if (options.common.json) {
      Json writes = Json::array();
      for (const auto& [path, value] : dry.writes()) writes.push_back({{"path", path}, {"value", value}});
      std::cout << Json{{"mode", settings_to_json(clocks.space().knobs(), mode)}, {"writes", writes}}.dump(2)
                << '\n';
      return;
    }
    for (const auto& [path, value] : dry.writes())
      std::cout << "would write " << value << " to " << path << '\n';
    return;
  }
  hw::check_may_set(files, time, board);
  const Unhurried unhurried;
  hw::ClockSession session(files, state_folder(options));
  hw::Clocks clocks(session.files(), time, board);
  const auto [mode, roles] = changed(clocks, options.mode);
  session.files().save(clocks.controls());
  clocks.apply(mode, roles);
  session.keep();
  if (options.common.json)
    std::cout << Json{{"mode", settings_to_json(clocks.space().knobs(), mode)}}.dump(2) << '\n';
  else if (!options.common.quiet)
    std::cout << "set " << hw::describe(clocks.space(), mode)
              << "; fewwatt device restore puts back what was before\n";
}

void restore_here(const LiveOptions& options) {
  hw::FileSysfs files(options.root);
  if (options.dry_run) {
    Json writes = Json::array();
    for (const std::string name : {"/clocks.journal", "/clocks.kept"}) {
      const hw::Journal journal(state_folder(options) + name);
      if (!journal.exists()) continue;
      const auto content = journal.read();
      if (content.boot_id != hw::boot_id(files)) continue;
      hw::DryRunSysfs dry(files);
      hw::restore(dry, content.controls);
      for (const auto& [path, value] : dry.writes()) {
        writes.push_back({{"path", path}, {"value", value}});
        if (!options.common.json) std::cout << "would write " << value << " to " << path << '\n';
      }
    }
    if (options.common.json) std::cout << Json{{"writes", writes}}.dump(2) << '\n';
    return;
  }
  const Unhurried unhurried;
  hw::ClockSession session(files, state_folder(options), options.give_up);
  std::size_t kept = 0;
  const auto troubles = session.undo(kept);
  if (!troubles.empty()) throw hw::DeviceError("not all was put back: " + troubles.front());
  const auto count = session.replayed() + kept - session.left().size();
  for (const auto& left : session.left()) std::cerr << "left as it is: " << left << '\n';
  if (options.common.json)
    std::cout << Json{{"controls", count}}.dump(2) << '\n';
  else if (!options.common.quiet)
    std::cout << (count == 0 ? std::string("nothing to put back")
                             : "put back " + std::to_string(count) + " controls")
              << '\n';
}

void export_here(const LiveOptions& options) {
  hw::FileSysfs files(options.root);
  hw::SystemMonotonic time;
  const auto board = hw::find_board(files);
  const hw::Clocks clocks(files, time, board);
  const auto& space = clocks.space();
  if (options.mode.empty())
    throw program::UsageError("export-nvpmodel needs --mode, such as cpu_cores=8,gpu_khz=918000");
  const auto [mode, roles] = changed(clocks, options.mode);
  clocks.check(mode, roles);
  const std::string path = "/etc/nvpmodel.conf";
  const auto conf = hw::parse_nvpmodel(files.read(path), path);
  const auto stanza = hw::nvpmodel_stanza(files, conf, *conf.find(hw::nvpmodel_now(files, conf)), board, mode,
                                          roles, options.name);
  if (options.common.json)
    std::cout << Json{{"mode", settings_to_json(space.knobs(), mode)}, {"stanza", stanza}}.dump(2) << '\n';
  else
    std::cout << stanza;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("device", [&] {
    namespace po = program::po;
    LiveOptions options;
    program::Manual manual;
    manual.verb = "device";
    manual.synopsis = "list | show [BOARD] | apply --mode KNOB=SETTING,... | restore | export-nvpmodel";
    manual.about =
        "list: the boards that are known. show: the knobs, levels and presets of one; without a name, of "
        "this board, with "
        "its mode, its power sensors and what is missing. apply: sets this board to a mode; knobs that are "
        "not named stay. "
        "restore: puts back what was before, also after a crash. export-nvpmodel: the mode as a stanza for "
        "/etc/nvpmodel.conf, so that it survives a restart.";
    manual.options.add_options()("action", po::value<std::string>(), kActions)(
        "board", po::value<std::string>(), "name of a board, as listed")(
        "mode", po::value(&options.mode), "settings, such as cpu_cores=8,gpu_khz=918000")(
        "name", po::value(&options.name)->default_value("FEWWATT"), "of the exported mode")(
        "give-up", po::bool_switch(&options.give_up), "restore: leave what cannot be put back as it is")(
        "dry-run", po::bool_switch(&options.dry_run), "print what would be written, and write nothing")(
        "root", po::value(&options.root),
        "folder in which the board's /sys, /proc and /etc lie; the board's own")(
        "state", po::value(&options.state), "folder of what is to be put back (/run/fewwatt)");
    manual.positional.add("action", 1).add("board", 1);
    const auto values = program::parse(argc, argv, manual, options.common);
    if (!values) return program::kDone;

    if (values->count("action") == 0) throw program::UsageError(std::string("what to do? ") + kActions);
    const auto action = (*values)["action"].as<std::string>();
    const bool has_board = values->count("board") > 0;
    if (has_board && action != "show") throw program::UsageError(action + " takes no board");
    if (action == "list") {
      list(options.common.json);
    } else if (action == "show" && has_board) {
      show(hw::find_module((*values)["board"].as<std::string>()), options.common.json);
    } else if (action == "show") {
      show_this(options);
    } else if (action == "apply") {
      apply_here(options);
    } else if (action == "restore") {
      restore_here(options);
    } else if (action == "export-nvpmodel") {
      export_here(options);
    } else {
      throw program::UsageError("no action \"" + action + "\"; there are " + kActions);
    }
    return program::kDone;
  });
}
