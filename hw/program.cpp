#include "hw/program.hpp"

#include <malloc.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "hw/printable.hpp"
#include "hw/version.hpp"

namespace fewwatt::program {
namespace {

volatile std::sig_atomic_t signalled = 0;

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

}  // namespace

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw UsageError(otherwise);
}

std::string join(std::span<const std::string_view> names) {
  std::string text;
  for (const auto name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

std::istream& operator>>(std::istream& in, Count& count) {
  std::string text;
  in >> text;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count.value);
  if (error != std::errc() || stop != end) in.setstate(std::ios::failbit);
  return in;
}

std::ostream& operator<<(std::ostream& out, const Count& count) {
  return out << count.value;
}

std::optional<po::variables_map> parse(int argc, char** argv, const Manual& manual, CommonOptions& common) {
  Count seed;
  po::options_description shared("Common options");
  auto add = shared.add_options();
  add("help,h", "print this text");
  add("version", "print the version");
  add("quiet,q", po::bool_switch(&common.quiet), "print results and errors only");
  add("json", po::bool_switch(&common.json), "print one JSON object on stdout");
  add("seed", po::value(&seed)->default_value(seed)->value_name("N"), "seed of every random draw");
  add("config", po::value<std::string>()->value_name("FILE"), "INI file of options; the command line wins");
  po::options_description all;
  all.add(manual.options).add(shared);

  po::variables_map values;
  po::store(po::command_line_parser(argc, argv)
                .options(all)
                .positional(manual.positional)
                .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                .run(),
            values);
  if (values.count("help") > 0) {
    std::cout << "fewwatt " << manual.verb << ' ' << manual.synopsis << "\n\n"
              << manual.about << "\n\n"
              << all;
    return std::nullopt;
  }
  if (values.count("version") > 0) {
    std::cout << "fewwatt " << hw::version() << " (" << hw::git_revision() << ")\n";
    return std::nullopt;
  }
  if (values.count("config") > 0) {
    const auto path = values["config"].as<std::string>();
    std::ifstream file(path);
    if (!file) throw UsageError("cannot read --config file " + path);
    po::store(po::parse_config_file(file, all), values);
  }
  po::notify(values);
  common.seed = seed.value;
  return values;
}

void refuse_overwriting(const std::string& out, const std::vector<std::string>& inputs) {
  for (const auto& input : inputs) {
    std::error_code ignored;  // of files that do not exist
    if (std::filesystem::equivalent(out, input, ignored)) {
      throw UsageError("--out " + out + " is a file to read from, it would be overwritten");
    }
  }
}

void add_measuring_options(Manual& manual, hw::MeasuringOptions& options) {
  auto add = manual.options.add_options();
  auto& how = options.profiler;
  const auto seconds = [&](const char* name, double& into, const char* what) {
    add(name, po::value(&into)->default_value(into), what);
  };
  auto* device = po::value(&options.device);
  if (!options.device.empty()) device->default_value(options.device);
  add("device", device, "jetson (this board), simulated:BOARD, or replay");
  add("grid", po::value(&options.grid), "of a simulated board: full, or a grid that fewwatt device lists");
  seconds("simulated-speed", options.simulated_speed, "how many times faster its time passes");
  add("profiles", po::value(&options.profiles), "file of the profile that is replayed");
  add("profiled-device", po::value(&options.profiled_device), "its device");
  add("minibatches",
      po::value<Count>()->default_value({how.minibatches})->notifier([&how](const Count& count) {
        how.minibatches = count.value;
      }),
      "steps in one measurement, at least");
  seconds("window-s", how.window_s, "of one measurement, at least");
  seconds("start-s", how.start_s, "of the program, until its first step, at most");
  seconds("warm-up-s", how.warm_up_s, "until time and power are steady, at most");
  seconds("step-timeout-s", how.step_timeout_s, "without a step, at most");
  seconds("stop-grace-s", options.stop_grace_s, "between SIGTERM and SIGKILL");
  add("as-root", po::bool_switch(&options.as_root),
      "run the program as root, not as the user who called sudo");
  add("root", po::value(&options.jetson.root),
      "folder in which the board's /sys, /proc and /etc lie; the board's own");
  add("state", po::value(&options.jetson.state), "folder of what is to be put back (/run/fewwatt)");
  add("command", po::value(&options.command), "the program and its arguments, after --");
  manual.positional.add("command", -1);
}

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { signalled = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &action, nullptr);
}

bool told_to_stop() {
  return signalled != 0;
}

int run(const std::string& verb, const std::function<int()>& body) {
  // Freed memory is kept: predicting all modes takes and gives back the same megabytes again and again.
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 26);
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout) throw std::runtime_error("cannot write to standard output");
    return code;
  } catch (const po::error& e) {
    std::cerr << "fewwatt " << verb << ": " << hw::printable_lines(e.what()) << " (see --help)\n";
    return kUsage;
  } catch (const UsageError& e) {
    std::cerr << "fewwatt " << verb << ": " << hw::printable_lines(e.what()) << '\n';
    return kUsage;
  } catch (const std::exception& e) {
    std::cerr << "fewwatt " << verb << ": " << hw::printable_lines(e.what()) << '\n';
    return kFailed;
  }
}

}  // namespace fewwatt::program
