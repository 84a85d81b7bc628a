#include "hw/program.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "hw/jetson/board_helper.hpp"
#include "hw/json_text.hpp"
#include "hw/manual_json.hpp"
#include "hw/modules.hpp"
#include "hw/numbers.hpp"
#include "hw/printable.hpp"
#include "hw/regular_file.hpp"
#include "hw/simulated_device.hpp"
#include "hw/text.hpp"
#include "hw/user.hpp"
#include "hw/version.hpp"

namespace fewwatt::program {
namespace {

// Set by whichever thread a signal reaches, read by others.
std::atomic<bool> signalled = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // else no signal handler may touch it

#ifdef __AVX2__
// Before anything else runs, and without AVX, which the compiler may use anywhere else.
[[gnu::constructor(101), gnu::target("no-avx")]] void refuse_older_processors() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return;
  std::fputs(
      "fewwatt: this program was compiled for processors with AVX2 (x86-64-v3), and this one has none: "
      "configure with -DFEWWATT_CPU=\n",
      stderr);
  std::_Exit(kFailed);
}
#endif

constexpr std::size_t kMostConfigBytes = 1 << 20;

// The user that the arguments ask to run as. Found before the other arguments are parsed.
struct RunAs {
  bool root = false;                // --as-root
  std::optional<std::string> user;  // --user NAME
};

RunAs run_as(int argc, char** argv) {
  RunAs found;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") break;
    if (argument == "--as-root") found.root = true;
    if (argument.starts_with("--user=")) found.user = argument.substr(7);
    if (argument == "--user" && i + 1 < argc) found.user = argv[++i];
  }
  return found;
}

// Becomes the user, where there is one to become.
void leave_root(const RunAs& as, const Manual& manual) {
  require(!as.user || !as.user->empty(), "--user: expected a value, found an empty one");
  require(!as.root || !as.user, "give one of --as-root and --user");
  require(!as.user || ::geteuid() == 0, "--user: only root can become another user");
  std::optional<hw::User> user;
  if (as.user)
    user = hw::find_user(*as.user);
  else if (!as.root)
    user = hw::user_of_sudo();
  if (user && user->uid != 0) {
    if (manual.access != nullptr) *manual.access = hw::access_by_helper();
    hw::become(*user);
  } else if (manual.access != nullptr) {
    *manual.access = std::make_shared<hw::DirectAccess>();
  }
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_empty_value(const po::option& option, const Manual& manual) {
  return is_among(option.value, "") && !is_among(manual.may_be_empty, option.string_key);
}

// Options in a file. An error names the line and does not quote it: the user may have named another file than he meant, with secrets in it.
po::parsed_options parse_config(const std::string& path, const po::options_description& options,
                                const Manual& manual) {
  constexpr const char* kOption = "OPTION = VALUE, with an option of this program";
  std::string text;
  try {
    text = hw::read_regular_file(path, kMostConfigBytes);
  } catch (const hw::FileError& e) {
    throw UsageError("--config " + path + ": " + e.why());
  }
  po::parsed_options all(&options);
  std::istringstream lines(hw::with_plain_line_ends(text));
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    const auto refuse = [&](const std::string& expected) {
      throw UsageError("--config " + path + ", line " + std::to_string(number) + ": expected " + expected);
    };
    try {
      std::istringstream one(line);
      auto parsed = po::parse_config_file(one, options);
      const auto first = line.find_first_not_of(" \t\r");
      const bool says_nothing = first == std::string::npos || line[first] == '#';
      if (parsed.options.empty() && !says_nothing) refuse(kOption);  // it is a section, "[x]"
      for (auto& option : parsed.options) {
        if (option.string_key == "as-root" || option.string_key == "user")
          refuse("no --" + option.string_key + " in a file: it belongs on the command line");
        if (has_empty_value(option, manual)) refuse("a value of " + option.string_key + ", found none");
        po::variables_map values;
        try {
          po::parsed_options alone(&options);
          alone.options.push_back(option);
          po::store(alone, values);
        } catch (const po::error&) {
          refuse("another value of " + option.string_key);
        }
        all.options.push_back(std::move(option));
      }
    } catch (const po::error&) {
      refuse(kOption);
    }
  }
  return all;
}

// The arguments, with "--live VALUE" as "--live=VALUE": where a value may be left out, Boost looks for it nowhere else.
std::vector<std::string> words_of(int argc, char** argv, const Manual& manual) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    words.emplace_back(argv[i]);
    if (words.back() == "--") {
      words.insert(words.end(), argv + i + 1, argv + argc);
      break;
    }
    if (!words.back().starts_with("--") || i + 1 == argc) continue;
    const auto found = manual.is_its_value.find(words.back().substr(2));
    if (found != manual.is_its_value.end() && found->second(argv[i + 1]))
      words.back() += std::string("=") + argv[++i];
  }
  return words;
}

// Throws po::error, and UsageError for an option that is not there, with the one that may have been meant.
po::parsed_options parse_arguments(const std::vector<std::string>& words,
                                   const po::options_description& options,
                                   const po::positional_options_description& positional) {
  try {
    return po::command_line_parser(words)
        .options(options)
        .positional(positional)
        .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
        .run();
  } catch (const po::unknown_option& e) {
    const auto typed = e.get_option_name();  // as it was: with its hyphens, and "=VALUE"
    const auto hint = hw::did_you_mean(typed.substr(0, typed.find('=')), options.options(),
                                       [](const auto& option) { return "--" + option->long_name(); });
    if (hint.empty()) throw;
    throw UsageError(e.what() + hint + " (see --help)");
  }
}

constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

using Json = nlohmann::ordered_json;

void print_version(bool json) {
  if (json)
    std::cout << hw::json_text(Json{{"version", hw::version()}, {"git", hw::git_revision()}}) << '\n';
  else
    std::cout << "fewwatt " << hw::version() << " (" << hw::git_revision() << ")\n";
}

void print(const OptionList& list, bool json) {
  if (!json) {
    std::cout << list.name << ": " << list.about << '\n';
    for (const auto& [name, value, about, allowed] : list.options)
      std::cout << "  " << name << " = " << value << "\n      " << about << "; " << allowed << '\n';
    return;
  }
  Json options = Json::array();
  for (const auto& [name, value, about, allowed] : list.options)
    options.push_back({{"name", name}, {"default", value}, {"about", about}, {"allowed", allowed}});
  std::cout << hw::json_text(Json{{"name", list.name}, {"about", list.about}, {"options", options}}) << '\n';
}

namespace fs = std::filesystem;

// By what they are called: a link that is written is not followed. Neither need exist.
bool is_same_name(const std::string& a, const std::string& b) {
  std::error_code ignored;
  const auto place = [&](const std::string& path) {
    const auto whole = fs::absolute(path, ignored).lexically_normal();
    return fs::weakly_canonical(whole.parent_path(), ignored) / whole.filename();
  };
  return !a.empty() && !b.empty() && !fs::is_character_file(a, ignored) && place(a) == place(b);
}

}  // namespace

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw UsageError(otherwise);
}

std::string of_option(const std::string& error) {
  const auto colon = error.find(": ");
  if (colon == std::string::npos || error.find_first_not_of(kLetters) != colon) return error;
  const auto field = error.substr(colon + 2, error.find(' ', colon + 2) - colon - 2);
  std::string option = "--" + field;
  std::replace(option.begin(), option.end(), '_', '-');
  return option + error.substr(colon + 2 + field.size());
}

std::istream& operator>>(std::istream& in, Count& count) {
  std::string text;
  in >> text;
  const auto value = hw::natural_number(text);
  if (value)
    count.value = *value;
  else
    in.setstate(std::ios::failbit);
  return in;
}

std::ostream& operator<<(std::ostream& out, const Count& count) {
  return out << count.value;
}

std::optional<po::variables_map> parse(int argc, char** argv, const Manual& manual, CommonOptions& common) {
  const std::string_view for_scripts = argc > 1 ? argv[1] : "";
  if (for_scripts == "--meant" && argc > 2) {
    std::cout << hw::meant_name(argv[2], {argv + 3, argv + argc}) << '\n';
    return std::nullopt;
  }
  Count seed;
  bool as_root = false;
  po::options_description shared("Common options");
  auto add = shared.add_options();
  add("help,h", "print this text");
  add("version", "print the version");
  add("quiet,q", po::bool_switch(&common.quiet), "print results and errors only");
  add("json", po::bool_switch(&common.json), "print one JSON object on stdout");
  add("seed", po::value(&seed)->default_value(seed)->value_name("N"), "seed of every random draw");
  add("config", po::value<std::string>()->value_name("FILE"),
      "INI file with further options; those of the command line win");
  add("as-root", po::bool_switch(&as_root),
      "under sudo: do everything as root, and not as the user who called sudo");
  add("user", po::value<std::string>()->value_name("NAME"),
      "as root: do everything but setting clocks as this user");
  po::options_description of_learners("Options of learners");
  if (manual.set != nullptr) {
    of_learners.add_options()(
        "set", po::value(manual.set)->composing()->value_name("KEY=VALUE"),
        ("set an option of the " + manual.with_options + "; may be given several times").c_str())(
        "list-options", po::value<std::string>()->value_name("NAME"),
        ("print the options of this " + manual.with_options + ", with defaults, and end").c_str());
  }
  po::options_description all;
  all.add(manual.options);
  if (manual.set != nullptr) all.add(of_learners);
  all.add(shared);
  if (for_scripts == "--manual-json") {
    std::vector<OptionGroup> groups{{"Options", &manual.options}, {"Common options", &shared}};
    if (manual.set != nullptr) groups.insert(groups.begin() + 1, {"Options of learners", &of_learners});
    std::cout << manual_json(manual, groups) << '\n';
    return std::nullopt;
  }
  const auto as = run_as(argc, argv);
  leave_root(as, manual);

  po::variables_map values;
  const auto parsed = parse_arguments(words_of(argc, argv, manual), all, manual.positional);
  for (const auto& option : parsed.options)
    require(!has_empty_value(option, manual),
            "--" + option.string_key + ": expected a value, found an empty one");
  po::store(parsed, values);
  const bool json = values["json"].as<bool>();
  if (values.count("help") > 0) {
    std::cout << "fewwatt " << manual.verb << ' ' << manual.synopsis << "\n\n"
              << manual.about << "\n\n"
              << all;
    return std::nullopt;
  }
  if (values.count("version") > 0) {
    print_version(json);
    return std::nullopt;
  }
  if (values.count("list-options") > 0) {
    try {
      print(manual.list_options(values["list-options"].as<std::string>()), json);
    } catch (const std::invalid_argument& e) {
      throw UsageError(std::string("--list-options: ") + e.what());
    }
    return std::nullopt;
  }
  if (values.count("config") > 0) {
    const auto options = parse_config(values["config"].as<std::string>(), all, manual);
    po::store(options, values);
  }
  po::notify(values);
  require(as_root == as.root && values.count("user") == (as.user ? 1U : 0U),
          "--as-root and --user must be written out, and stand before --");
  common.seed = seed.value;
  return values;
}

std::vector<std::string> known_spaces() {
  auto spaces = names_in(hw::modules());
  for (const auto& grid : hw::profiled_grids()) spaces.push_back(grid.module + ":" + grid.name);
  return spaces;
}

std::vector<std::string> known_grids() {
  std::vector<std::string> grids{"full"};
  for (const auto& grid : hw::profiled_grids())
    if (!is_among(grids, grid.name)) grids.push_back(grid.name);
  return grids;
}

bool is_given(const po::variables_map& values, const std::string& option) {
  return values.count(option) > 0 && !values[option].defaulted();
}

void refuse_without_effect(const po::variables_map& values, const std::vector<Effect>& effects) {
  for (const auto& effect : effects)
    for (const auto& option : effect.options)
      require(effect.has_effect || !is_given(values, option), "--" + option + ": " + effect.why_not);
}

std::vector<std::string> names_of(const Manual& manual, const std::vector<std::string>& but) {
  std::vector<std::string> names;
  for (const auto& option : manual.options.options())
    if (!is_among(but, option->long_name())) names.push_back(option->long_name());
  return names;
}

std::vector<std::string> list_in(const std::string& option, const std::string& value) {
  if (value.empty()) return {};
  const auto pieces = hw::split(value, ',');
  std::vector<std::string> list(pieces.begin(), pieces.end());
  require(!is_among(list, ""),
          "--" + option + ": expected one or more, with commas between them, found '" + value + "'");
  return list;
}

hw::Settings settings_in(const std::string& option, const std::string& value) {
  hw::Settings settings;
  std::string words = value;
  std::replace(words.begin(), words.end(), ',', ' ');
  std::istringstream parts(words);
  for (std::string part; parts >> part;) {
    const auto equals = part.find('=');
    const auto name = part.substr(0, equals);
    const auto role = hw::parse_knob_role(name);
    require(equals != std::string::npos && role,
            "--" + option + ": expected KNOB=SETTING with a knob of this board, found \"" + part + "\"" +
                hw::did_you_mean(name, hw::kKnobRoles,
                                 [](hw::KnobRole known) { return std::string(hw::to_string(known)); }));
    const auto setting = hw::whole_int(part.substr(equals + 1));
    require(setting.has_value(), "--" + option + " " + part +
                                     ": expected a whole number as the setting, clocks in kHz, of at most " +
                                     std::to_string(std::numeric_limits<int>::max()));
    for (const auto& [other, ignored] : settings)
      require(other != *role, "--" + option + " names " + std::string(hw::to_string(*role)) + " twice");
    settings.emplace_back(*role, *setting);
  }
  require(!settings.empty(), "--" + option + ": expected settings, such as cpu_cores=8,gpu_khz=918000");
  return settings;
}

po::typed_value<double>* real(double& into) {
  return po::value(&into)->default_value(into, hw::number_text(into))->value_name("N");
}

void refuse_overwriting(const std::vector<FileOption>& written, const std::vector<std::string>& read) {
  for (auto out = written.begin(); out != written.end(); ++out) {
    std::error_code ignored;  // of files that do not exist
    for (const auto& input : read)
      require(!is_same_name(out->path, input) && !fs::equivalent(out->path, input, ignored),
              out->option + ' ' + out->path + " is also a file to read from: it would be overwritten");
    for (auto other = written.begin(); other != out; ++other)
      require(!is_same_name(out->path, other->path), out->option + ' ' + out->path + " is the file of " +
                                                         other->option + " too: give it another name");
  }
}

void add_measuring_options(Manual& manual, hw::MeasuringOptions& options) {
  manual.access = &options.access;
  auto add = manual.options.add_options();
  auto& how = options.profiler;
  const auto seconds = [&](const char* name, double& into, const char* what) {
    add(name, real(into)->value_name("S"), what);
  };
  auto* device = po::value(&options.device)->value_name("DEVICE");
  if (!options.device.empty()) device->default_value(options.device);
  add("device", device,
      "where to measure: jetson (this board), simulated:BOARD, or replay (a profile answers)");
  add("grid", po::value(&options.grid)->value_name("GRID"),
      "modes of a simulated board: full, or a grid that fewwatt device list names");
  add("simulated-speed", real(options.simulated_speed),
      "how many times faster than ours the time of a simulated board passes");
  add("profiles", po::value(&options.profiles)->value_name("FILE"),
      "with replay: file of profiles that answers");
  add("profiled-device", po::value(&options.profiled_device)->value_name("NAME"),
      "with replay: device in that file");
  add("minibatches",
      po::value<Count>()
          ->default_value({how.minibatches})
          ->notifier([&how](const Count& count) { how.minibatches = count.value; })
          ->value_name("N"),
      "least number of steps in one measurement");
  seconds("window-s", how.window_s, "least duration of one measurement, in seconds");
  seconds("start-s", how.start_s, "seconds to wait for the program's first step, at most");
  seconds("warm-up-s", how.warm_up_s, "seconds to wait until time and power are steady, at most");
  seconds("step-timeout-s", how.step_timeout_s, "seconds without a step after which the attempt has failed");
  seconds("stop-grace-s", options.stop_grace_s,
          "seconds between SIGTERM and SIGKILL when the program is stopped");
  add("root", po::value(&options.jetson.root)->value_name("DIR"),
      "folder with the board's /sys, /proc and /etc, where that is not /");
  add("state", po::value(&options.jetson.state)->value_name("DIR"),
      "folder for the notes of what is to be put back, where that is not /run/fewwatt");
  add("command", po::value(&options.command)->value_name("PROGRAM"),
      "the program and its arguments, after --");
  manual.choices["device"] = {"jetson", "replay"};
  for (const auto& board : hw::simulated_boards())
    manual.choices["device"].push_back("simulated:" + board.name);
  manual.choices["grid"] = known_grids();
  manual.positional.add("command", -1);
  manual.may_be_empty.emplace_back("command");  // an argument of the program
}

std::vector<Effect> measuring_effects(const hw::MeasuringOptions& options) {
  return {{{"profiles", "profiled-device"}, options.device == "replay", "it goes with --device replay"},
          {{"root", "state"}, options.device == "jetson", "it goes with --device jetson"},
          {{"start-s", "warm-up-s", "step-timeout-s", "stop-grace-s", "simulated-speed", "timeout-s",
            "cool-s", "counters-s", "margin-c", "restart", "program-output", "go-on", "retries"},
           !options.command.empty(),
           "no program is run here, so it has no effect; a program comes after --"}};
}

hw::SignalState catch_signals() {
  const auto before = hw::SignalState::now();
  struct sigaction action = {};
  action.sa_handler = [](int) { signalled = true; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &action, nullptr);
  return before;
}

bool told_to_stop() {
  return signalled;
}

namespace {

// A message may quote text from outside, of any length.
std::string shown(std::string_view message) {
  constexpr std::size_t kLongest = 4000, kEnd = 500;
  if (message.size() <= kLongest) return hw::printable_lines(message);
  return hw::printable_lines(message.substr(0, kLongest - kEnd)) + " ... " +
         hw::printable_lines(message.substr(message.size() - kEnd));
}

}  // namespace

int run(const std::string& verb, const std::function<int()>& body) {
  // Freed memory is kept, because predicting all modes allocates and frees the same megabytes again and again.
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 26);
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout) throw std::runtime_error("cannot write to standard output");
    return code;
  } catch (const po::error& e) {
    std::cerr << "fewwatt " << verb << ": " << shown(e.what()) << " (see --help)\n";
    return kUsage;
  } catch (const UsageError& e) {
    std::cerr << "fewwatt " << verb << ": " << shown(e.what()) << '\n';
    return kUsage;
  } catch (const std::bad_alloc&) {
    std::cerr << "fewwatt " << verb << ": not enough memory\n";
    return kFailed;
  } catch (const std::system_error& e) {
    const bool no_thread = e.code() == std::errc::resource_unavailable_try_again;
    std::cerr << "fewwatt " << verb << ": " << (no_thread ? "cannot start a thread or a process: " : "")
              << shown(e.what()) << '\n';
    return kFailed;
  } catch (const std::exception& e) {
    std::cerr << "fewwatt " << verb << ": " << shown(e.what()) << '\n';
    return kFailed;
  }
}

}  // namespace fewwatt::program
