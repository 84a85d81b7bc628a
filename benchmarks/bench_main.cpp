// fewwatt bench: runs a suite of any kind, and writes its rows, tables and report.

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/suite.hpp"
#include "datasets/atomic_file.hpp"
#include "datasets/profile.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"
#include "hw/text.hpp"
#include "learners/programs/page.hpp"
#include "meta/registry.hpp"

namespace {

using namespace fewwatt;
namespace po = program::po;
namespace fs = std::filesystem;

struct Options {
  std::string suite, out, data_root;
  std::vector<std::pair<std::string, std::string>> keys;  // of the suite, to be set anew
  std::size_t threads = 0;
  program::CommonOptions common;
};

// The options that set a key of the suite anew; some kinds of suites lack some of them.
struct KeyOption {
  const char *key, *value_name, *about;
};
constexpr KeyOption kKeyOptions[] = {
    {"learners", "a,b", "these learners instead of the suite's"},
    {"samplers", "a,b", "these samplers instead of the suite's"},
    {"searches", "'a b,c -'", "these searches instead of the suite's, each as SEARCH LEARNER"},
    {"measured", "10,15", "these numbers of measurements per search instead of the suite's"},
    {"shots", "5,10", "these numbers of measured modes instead of the suite's"},
    {"splits", "a,b",
     "these splits only; their figures are those of a full run, except for searches, which are pooled "
     "over all workloads"},
    {"seeds", "N", "number of draws instead of the suite's"}};

void set_keys(const Options& options, benchmarks::Suite& suite) {
  const auto known = suite.keys();
  for (const auto& [name, text] : options.keys) {
    const auto found =
        std::find_if(known.begin(), known.end(), [&key = name](const auto& one) { return one.name == key; });
    program::require(found != known.end(),
                     "--" + name + ": this kind of suite has none; it has " +
                         hw::join(known, ", ", [](const auto& one) { return "--" + one.name; }));
    try {
      found->set(text);
    } catch (const std::invalid_argument& e) {
      throw program::UsageError("--" + name + ": " + e.what());
    }
  }
  try {
    suite.check();
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(std::string("--") + e.what());
  }
}

std::string data_root(const Options& options) {
  if (!options.data_root.empty()) return options.data_root;
  if (const char* set = std::getenv("FEWWATT_DATA"); set != nullptr && *set != '\0') return set;
  throw program::UsageError(
      "--data-root or the environment variable FEWWATT_DATA must name the folder of the measured profiles, "
      "which scripts/fetch-data fetches");
}

// Fails now, not after hours of work.
void make_writable_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder))
    throw datasets::DataError("cannot make folder " + folder + ": " + error.message());
  if (access(folder.c_str(), W_OK) != 0) throw datasets::DataError("cannot write to folder " + folder);
}

// As a shell reads it: in quotes unless every character stands for itself.
std::string quoted(const std::string& argument) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_./,:=+@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!argument.empty() && std::all_of(argument.begin(), argument.end(), plain)) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string command_of(int argc, char** argv) {
  std::string command = "fewwatt bench";
  for (int i = 1; i < argc; ++i) command += ' ' + quoted(argv[i]);
  return command;
}

benchmarks::Progress progress(const program::CommonOptions& common) {
  benchmarks::Progress told;
  told.warn = [](const std::string& text) { std::cerr << "fewwatt bench: " << hw::printable(text) << '\n'; };
  if (common.quiet) return told;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  told.jobs = [terminal](std::size_t done, std::size_t all) {
    const std::size_t percent = 100 * done / all;
    if (terminal) {
      const std::size_t filled = 40 * done / all;
      std::cerr << "\r[" << std::string(filled, '#') << std::string(40 - filled, ' ') << "] " << done << '/'
                << all << (done == all ? "\n" : "") << std::flush;
    } else if (percent / 10 != 100 * (done - 1) / all / 10) {
      std::cerr << done << " of " << all << " parts done\n";
    }
  };
  told.log = [](const std::string& text) { std::cerr << text << '\n'; };
  return told;
}

using Clock = std::chrono::steady_clock;

void say_where(const Options& options, const std::string& suite, std::size_t rows, Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (options.common.json) {
    const nlohmann::ordered_json report{{"suite", suite},
                                        {"out", options.out},
                                        {"rows", rows},
                                        {"seconds", seconds},
                                        {"files", {"rows.jsonl", "table.csv", "table.md", "report.html"}}};
    std::cout << hw::json_text(report) << '\n';
  } else if (!options.common.quiet) {
    const fs::path out = options.out;
    std::cout << rows << " rows in " << static_cast<long>(seconds) << " s; see "
              << (out / "report.html").string() << " and " << (out / "table.md").string() << '\n';
  }
}

// One of the files that a run writes. An existing file of that name is replaced only if `is_earlier` says that a run wrote it.
struct OutputFile {
  const char* name;
  std::string benchmarks::Outputs::*bytes;
  bool (*is_earlier)(std::string_view start);
};
constexpr OutputFile kOutputFiles[] = {
    {"rows.jsonl", &benchmarks::Outputs::rows,
     [](std::string_view start) { return start.starts_with("{\"suite\":"); }},
    {"table.csv", &benchmarks::Outputs::csv,
     [](std::string_view start) {
       return datasets::first_line(start).find("learner,") != std::string_view::npos;
     }},
    {"table.md", &benchmarks::Outputs::markdown,
     [](std::string_view start) {
       return start.starts_with("# ") && start.find("`, revision ") != std::string_view::npos;
     }},
    {"report.html", &benchmarks::Outputs::html, [](std::string_view start) {
       // Those of earlier versions begin in capitals.
       return fewwatt::view::is_page(start) ||
              (start.starts_with("<!DOCTYPE html>") && start.find("<h1>") != std::string_view::npos);
     }}};

datasets::Replaceable earlier_run(const OutputFile& file) {
  return datasets::text_file(std::string("the ") + file.name + " of an earlier run", file.is_earlier);
}

void make_output_folder(const std::string& folder) {
  make_writable_folder(folder);
  for (const auto& file : kOutputFiles)
    datasets::check_output(fs::path(folder) / file.name, earlier_run(file));
}

// Throws DataError where there is no such file, but one beside it whose name may have been meant.
void check_is_there(const std::string& suite) {
  const fs::path path = suite;
  std::error_code ignored;
  if (fs::exists(path, ignored)) return;
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(fs::absolute(path).parent_path(), ignored))
    if (file.path().extension() == ".ini") names.push_back(file.path().filename().string());
  std::sort(names.begin(), names.end());
  if (const auto hint = hw::did_you_mean(path.filename().string(), names); !hint.empty())
    throw datasets::DataError(suite + ": there is no such file" + hint);
}

int bench(const Options& options, const std::string& command) {
  const auto start = Clock::now();
  check_is_there(options.suite);
  const auto suite = benchmarks::read_suite(options.suite);
  set_keys(options, *suite);
  benchmarks::RunOptions running{.seed = options.common.seed, .threads = options.threads};
  if (suite->needs_data()) running.data_root = data_root(options);
  make_output_folder(options.out);
  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = command;
  const auto told = progress(options.common);
  const auto outputs = suite->run(running, provenance, told);
  for (const auto& file : kOutputFiles)
    datasets::write_file(fs::path(options.out) / file.name, outputs.*file.bytes, earlier_run(file));
  say_where(options, suite->name(),
            static_cast<std::size_t>(std::count(outputs.rows.begin(), outputs.rows.end(), '\n')), start);
  for (const auto& failure : outputs.failures) told.warn(benchmarks::to_text(failure));
  return outputs.failures.empty() ? program::kDone : program::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("bench", [&] {
    Options options;
    program::Count threads;
    program::Manual manual{
        .verb = "bench",
        .synopsis = "--suite S.ini --out DIR [options]",
        .about =
            "Trains and adapts the learners of a suite, scores what they predict and decide, and writes "
            "rows.jsonl, table.md, table.csv and report.html. docs/metrics.md says what the figures mean.",
        .options = po::options_description("Options"),
        .positional = {}};
    auto add = manual.options.add_options();
    add("suite", po::value(&options.suite)->required()->value_name("S.ini"), "suite file");
    add("out", po::value(&options.out)->required()->value_name("DIR"),
        "folder for the results; made if there is none, and earlier results in it are replaced");
    add("data-root", po::value(&options.data_root)->value_name("DIR"),
        "folder with the suite's inputs; if not given, what the environment variable FEWWATT_DATA names");
    for (const auto& option : kKeyOptions)
      add(option.key, po::value<std::string>()->value_name(option.value_name), option.about);
    add("threads", po::value(&threads)->value_name("N"), "number of worker threads; all cores if not given");
    auto& learners = manual.choices["learners"] = program::names_in(meta::builtin().learners);
    for (const auto& name : program::names_in(meta::builtin().meta_learners))
      if (std::find(learners.begin(), learners.end(), name) == learners.end()) learners.push_back(name);
    manual.choices["samplers"] = program::names_in(meta::builtin().samplers);
    const auto given = program::parse(argc, argv, manual, options.common);
    if (!given) return static_cast<int>(program::kDone);
    for (const auto& option : kKeyOptions)
      if (given->count(option.key) > 0)
        options.keys.emplace_back(option.key, (*given)[option.key].as<std::string>());
    options.threads = threads.value;
    return bench(options, command_of(argc, argv));
  });
}
