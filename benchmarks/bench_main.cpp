// fewwatt bench: a table of learners on recorded profiles, from a suite file.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "benchmarks/report.hpp"
#include "benchmarks/runner.hpp"
#include "benchmarks/suite.hpp"
#include "benchmarks/table.hpp"
#include "datasets/atomic_file.hpp"
#include "datasets/csv.hpp"
#include "hw/program.hpp"

namespace {

using namespace fewwatt;
namespace po = program::po;
namespace fs = std::filesystem;

struct Options {
  std::string suite, out, data_root, learners, samplers, shots;
  std::size_t seeds = 0, threads = 0;
  program::CommonOptions common;
};

std::vector<std::string> cut(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

// What the command line changes of the suite.
void apply(const Options& options, benchmarks::Suite& suite) try {
  if (!options.learners.empty()) suite.learners = cut(options.learners);
  for (const auto& name : suite.learners) benchmarks::check_learner(name);
  if (!options.samplers.empty()) suite.samplers = cut(options.samplers);
  for (const auto& name : suite.samplers) benchmarks::check_sampler(name);
  if (!options.shots.empty()) {
    suite.shots.clear();
    for (const auto& text : cut(options.shots)) {
      double value = 0;
      if (!datasets::parse_number(text, value) || value < 1 || value > 1e6 ||
          value != static_cast<std::size_t>(value))
        throw program::UsageError("--shots: expected whole numbers from 1, as 5,10, found '" + text + "'");
      suite.shots.push_back(static_cast<std::size_t>(value));
    }
  }
  if (options.seeds > 0) suite.seeds = options.seeds;
} catch (const std::invalid_argument& e) {
  throw program::UsageError(e.what());
}

std::string data_root(const Options& options) {
  if (!options.data_root.empty()) return options.data_root;
  if (const char* set = std::getenv("FEWWATT_DATA"); set != nullptr && *set != '\0') return set;
  throw program::UsageError(
      "--data-root or the environment variable FEWWATT_DATA must name the folder of the measured profiles");
}

// Fails before hours of work rather than after.
void make_writable_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder))
    throw datasets::DataError("cannot make folder " + folder + ": " + error.message());
  if (access(folder.c_str(), W_OK) != 0) throw datasets::DataError("cannot write to folder " + folder);
}

std::string command_of(int argc, char** argv) {
  std::string command = "fewwatt bench";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  return command;
}

benchmarks::Progress progress(const program::CommonOptions& common) {
  if (common.quiet) return {};
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto jobs = [terminal](std::size_t done, std::size_t all) {
    const std::size_t percent = 100 * done / all;
    if (terminal) {
      const std::size_t filled = 40 * done / all;
      std::cerr << "\r[" << std::string(filled, '#') << std::string(40 - filled, ' ') << "] " << done << '/'
                << all << (done == all ? "\n" : "") << std::flush;
    } else if (percent / 10 != 100 * (done - 1) / all / 10) {
      std::cerr << done << " of " << all << " draws done\n";
    }
  };
  return {.jobs = jobs, .log = [](const std::string& text) { std::cerr << text << '\n'; }};
}

int bench(const Options& options, const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  auto suite = benchmarks::read_suite(options.suite);
  const auto all_learners = suite.learners;
  apply(options, suite);
  const std::string root = data_root(options);
  make_writable_folder(options.out);
  const auto store = benchmarks::load_profiles(suite, root);
  const auto result = benchmarks::run_suite(
      suite, store, {.seed = options.common.seed, .threads = options.threads}, progress(options.common));

  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = command;
  provenance.seed = options.common.seed;
  nlohmann::ordered_json run_options{{"seed", options.common.seed},
                                     {"excess_margin", suite.excess_margin_text}};
  provenance.options_json = run_options.dump();

  const auto tables = benchmarks::make_tables(result.rows);
  const fs::path out = options.out;
  datasets::write_file(out / "rows.jsonl", benchmarks::to_jsonl(result.rows, provenance));
  datasets::write_file(out / "table.csv", benchmarks::to_csv(tables));
  datasets::write_file(out / "table.md", benchmarks::to_markdown(suite.name, tables, provenance));
  datasets::write_file(out / "report.html",
                       benchmarks::to_html(suite, all_learners, tables, result.showcases, provenance));

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) {
    std::cout << nlohmann::ordered_json{{"suite", suite.name},
                                        {"out", options.out},
                                        {"rows", result.rows.size()},
                                        {"seconds", seconds},
                                        {"files", {"rows.jsonl", "table.csv", "table.md", "report.html"}}}
              << '\n';
  } else if (!options.common.quiet) {
    std::cout << result.rows.size() << " rows in " << static_cast<long>(seconds) << " s; see "
              << (out / "report.html").string() << " and " << (out / "table.md").string() << '\n';
  }
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("bench", [&] {
    Options options;
    program::Manual manual{
        .verb = "bench",
        .synopsis = "--suite S.ini --out DIR [options]",
        .about =
            "Trains and adapts the learners of a suite on recorded profiles, scores what they "
            "predict and decide, and writes rows.jsonl, table.md, table.csv and report.html.",
        .options = po::options_description("Options"),
        .positional = {}};
    auto add = manual.options.add_options();
    add("suite", po::value(&options.suite)->required()->value_name("S.ini"), "the suite");
    add("out", po::value(&options.out)->required()->value_name("DIR"),
        "folder for the results; made if there is none");
    add("data-root", po::value(&options.data_root)->value_name("DIR"),
        "folder that the suite's inputs lie below; else the environment variable FEWWATT_DATA");
    add("learners", po::value(&options.learners)->value_name("a,b"), "these learners instead of the suite's");
    add("samplers", po::value(&options.samplers)->value_name("a,b"), "these samplers instead of the suite's");
    add("shots", po::value(&options.shots)->value_name("5,10"),
        "these numbers of modes instead of the suite's");
    add("seeds", po::value(&options.seeds)->value_name("N"), "so many draws instead of the suite's");
    add("threads", po::value(&options.threads)->value_name("N"), "worker threads; all cores unless given");
    if (!program::parse(argc, argv, manual, options.common)) return static_cast<int>(program::kDone);
    return bench(options, command_of(argc, argv));
  });
}
