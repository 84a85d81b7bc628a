// fewwatt bench: a table of learners on recorded profiles, from a suite file.

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>

#include "benchmarks/drift.hpp"
#include "benchmarks/literature.hpp"
#include "benchmarks/report.hpp"
#include "benchmarks/runner.hpp"
#include "benchmarks/sinusoid.hpp"
#include "benchmarks/suite.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/svg.hpp"
#include "benchmarks/table.hpp"
#include "datasets/atomic_file.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"

namespace {

using namespace fewwatt;
namespace po = program::po;
namespace fs = std::filesystem;

struct Options {
  std::string suite, out, data_root, learners, samplers, shots, searches, measured, splits;
  std::optional<std::uint64_t> seeds;
  std::size_t threads = 0;
  program::CommonOptions common;
};

// parse(text), whose std::invalid_argument becomes a UsageError that names the option.
template <class Parse>
auto parse_option(const std::string& option, const std::string& text, Parse parse) try {
  return parse(text);
} catch (const std::invalid_argument& e) {
  throw program::UsageError(option + ": " + e.what());
}

// Removes all splits but those of these names.
void keep_splits(const std::string& text, benchmarks::Suite& suite) {
  const auto names = parse_option("--splits", text, benchmarks::parse_list);
  std::string known;
  for (const auto& split : suite.splits) known += (known.empty() ? "" : ", ") + split.name;
  for (const auto& name : names)
    program::require(std::any_of(suite.splits.begin(), suite.splits.end(),
                                 [&](const auto& split) { return split.name == name; }),
                     "--splits: unknown split '" + name + "', known are: " + known);
  std::erase_if(suite.splits, [&](const auto& split) {
    return std::find(names.begin(), names.end(), split.name) == names.end();
  });
}

// What the command line changes of the suite.
void apply(const Options& options, benchmarks::Suite& suite) {
  const auto replace_names = [](const std::string& option, const std::string& text, auto& names, auto check) {
    if (text.empty()) return;
    names = parse_option(option, text, benchmarks::parse_list);
    for (const auto& name : names) parse_option(option, name, check);
  };
  replace_names("--learners", options.learners, suite.learners,
                [](const std::string& name) { benchmarks::check_learner(name); });
  benchmarks::check_learners(suite);
  replace_names("--samplers", options.samplers, suite.samplers,
                [](const std::string& name) { benchmarks::check_sampler(name); });
  if (!options.shots.empty()) suite.shots = parse_option("--shots", options.shots, benchmarks::parse_shots);
  if (!options.searches.empty()) {
    if (!suite.budgets) throw program::UsageError("--searches: the suite has no budgets");
    suite.searches.clear();
    for (const auto& text : parse_option("--searches", options.searches, benchmarks::parse_list))
      suite.searches.push_back(parse_option(
          "--searches", text, [](const std::string& name) { return benchmarks::parse_search(name); }));
  }
  if (!options.measured.empty())
    suite.measured = parse_option("--measured", options.measured, benchmarks::parse_counts);
  if (suite.measured.empty() && std::any_of(suite.searches.begin(), suite.searches.end(),
                                            [](const auto& search) { return !search.measured; }))
    throw program::UsageError("--searches: say with --measured how many modes they measure");
  benchmarks::check_searches(suite);
  if (options.seeds == 0u) throw program::UsageError("--seeds: expected a whole number from 1, found 0");
  suite.seeds = options.seeds.value_or(suite.seeds);
  if (!options.splits.empty()) keep_splits(options.splits, suite);
}

std::string data_root(const Options& options) {
  if (!options.data_root.empty()) return options.data_root;
  if (const char* set = std::getenv("FEWWATT_DATA"); set != nullptr && *set != '\0') return set;
  throw program::UsageError(
      "--data-root or the environment variable FEWWATT_DATA must name the folder of the measured profiles");
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

// "5, 10"
template <class T>
std::string join(const std::vector<T>& values) {
  std::ostringstream text;
  for (std::size_t i = 0; i < values.size(); ++i) text << (i > 0 ? ", " : "") << values[i];
  return text.str();
}

// Everything that the rows depend on besides their own keys. The numbers of shots are among it, because fine-tuning is chosen for all of
// them together.
nlohmann::ordered_json options_of(const benchmarks::Suite& suite, std::uint64_t seed, std::size_t threads) {
  std::vector<std::string> targets;
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (suite.targets[target]) targets.push_back(tasks::kTargetNames[target]);
  nlohmann::ordered_json options{{"suite_file", fs::path(suite.path).filename().string()},
                                 {"targets", join(targets)},
                                 {"shots", join(suite.shots)},
                                 {"seeds", suite.seeds},
                                 {"seed", seed},
                                 {"threads", threads}};
  if (suite.budgets) {
    options["budgets"] = suite.budgets_text;
    options["confidence"] = suite.confidence;
    if (!suite.searches.empty()) options["measured"] = join(suite.measured);
    options["excess_margin"] = suite.excess_margin_text;
    if (!suite.module.empty()) options["module"] = suite.module;
  }
  if (suite.train_steps > 0) options["train_steps"] = suite.train_steps;
  if (suite.population > 0) options["population"] = suite.population;
  for (const auto& [name, settings] : suite.settings)
    options["learner " + name] = learners::to_text(settings);
  if (suite.simulation) {
    options["simulate"] = join(suite.simulation->devices);
    options["grid"] = suite.simulation->grid;
  }
  return options;
}

benchmarks::Progress progress(const program::CommonOptions& common, const std::string& of = "draws") {
  if (common.quiet) return {};
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto jobs = [terminal, of](std::size_t done, std::size_t all) {
    const std::size_t percent = 100 * done / all;
    if (terminal) {
      const std::size_t filled = 40 * done / all;
      std::cerr << "\r[" << std::string(filled, '#') << std::string(40 - filled, ' ') << "] " << done << '/'
                << all << (done == all ? "\n" : "") << std::flush;
    } else if (percent / 10 != 100 * (done - 1) / all / 10) {
      std::cerr << done << " of " << all << ' ' << of << " done\n";
    }
  };
  return {.jobs = jobs, .log = [](const std::string& text) { std::cerr << text << '\n'; }};
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

benchmarks::Provenance provenance_of(const Options& options, const std::string& command,
                                     const nlohmann::ordered_json& used) {
  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = command;
  provenance.seed = options.common.seed;
  provenance.options_json = hw::json_text(used);
  return provenance;
}

struct Files {
  std::string rows, csv, markdown, html;
};

// A file that a run writes, and how to tell whether an existing file comes from an earlier run and may be replaced.
struct OutputFile {
  const char* name;
  std::string Files::*bytes;
  bool (*is_earlier)(std::string_view start);
};
constexpr OutputFile kOutputFiles[] = {
    {"rows.jsonl", &Files::rows, [](std::string_view start) { return start.starts_with("{\"suite\":"); }},
    {"table.csv", &Files::csv,
     [](std::string_view start) {
       return datasets::first_line(start).find("learner,") != std::string_view::npos;
     }},
    {"table.md", &Files::markdown,
     [](std::string_view start) {
       return start.starts_with("# ") && start.find("`, revision ") != std::string_view::npos;
     }},
    {"report.html", &Files::html, [](std::string_view start) {
       return start.starts_with("<!DOCTYPE html>") && start.find("<h1>") != std::string_view::npos;
     }}};

datasets::Replaceable earlier_run(const OutputFile& file) {
  return datasets::text_file(std::string("the ") + file.name + " of an earlier run", file.is_earlier);
}

void make_output_folder(const std::string& folder) {
  make_writable_folder(folder);
  for (const auto& file : kOutputFiles)
    datasets::check_output(fs::path(folder) / file.name, earlier_run(file));
}

int write(const Options& options, const std::string& suite, const Files& files, Clock::time_point start) {
  for (const auto& file : kOutputFiles)
    datasets::write_file(fs::path(options.out) / file.name, files.*file.bytes, earlier_run(file));
  say_where(options, suite, static_cast<std::size_t>(std::count(files.rows.begin(), files.rows.end(), '\n')),
            start);
  return program::kDone;
}

// Refuses options that do nothing for a kind of suite.
void refuse_options(const std::string& kind, const std::vector<std::pair<const char*, bool>>& given) {
  std::string names;
  for (const auto& [name, is_given] : given) names += (names.empty() ? "--" : ", --") + std::string(name);
  for (const auto& [name, is_given] : given)
    program::require(!is_given, names + ": a suite of kind " + kind + " has none");
}

int bench_sinusoid(const Options& options, const std::string& command) {
  const auto start = Clock::now();
  auto suite = benchmarks::read_sinusoid_suite(options.suite);
  refuse_options("sinusoid", {{"samplers", !options.samplers.empty()},
                              {"seeds", options.seeds.has_value()},
                              {"searches", !options.searches.empty()},
                              {"measured", !options.measured.empty()},
                              {"splits", !options.splits.empty()}});
  if (!options.learners.empty()) {
    suite.learners = parse_option("--learners", options.learners, benchmarks::parse_list);
    for (const auto& name : suite.learners)
      parse_option("--learners", name, benchmarks::check_sinusoid_learner);
  }
  if (!options.shots.empty()) suite.shots = parse_option("--shots", options.shots, benchmarks::parse_shots);
  make_output_folder(options.out);
  const auto scores = benchmarks::run_sinusoid(
      suite, {.seed = options.common.seed, .threads = options.threads}, progress(options.common, "parts"));

  const nlohmann::ordered_json used{{"suite_file", fs::path(suite.path).filename().string()},
                                    {"seed", options.common.seed},
                                    {"test_tasks", suite.test_tasks},
                                    {"train_steps", suite.train_steps},
                                    {"meta_batch", suite.meta_batch},
                                    {"inner_rate", suite.inner.rate},
                                    {"outer_rate", suite.outer_rate}};
  const auto provenance = provenance_of(options, command, used);
  return write(options, suite.name,
               {benchmarks::sinusoid_jsonl(suite, scores, provenance), benchmarks::sinusoid_csv(scores),
                benchmarks::sinusoid_markdown(suite, scores, provenance),
                benchmarks::sinusoid_html(suite, scores, provenance)},
               start);
}

int bench_literature(const Options& options, const std::string& command) {
  const auto start = Clock::now();
  auto suite = benchmarks::read_literature_suite(options.suite);
  refuse_options("literature", {{"samplers", !options.samplers.empty()},
                                {"seeds", options.seeds.has_value()},
                                {"shots", !options.shots.empty()},
                                {"searches", !options.searches.empty()},
                                {"measured", !options.measured.empty()},
                                {"splits", !options.splits.empty()}});
  if (!options.learners.empty())
    parse_option("--learners", options.learners, [&](const std::string& text) {
      benchmarks::keep_experiments(suite, benchmarks::parse_list(text));
      return 0;
    });
  make_output_folder(options.out);
  const auto scores = benchmarks::run_literature(
      suite, {.seed = options.common.seed, .threads = options.threads}, progress(options.common, "parts"));
  const nlohmann::ordered_json used{{"suite_file", fs::path(suite.path).filename().string()},
                                    {"seed", options.common.seed}};
  const auto provenance = provenance_of(options, command, used);
  return write(options, suite.name,
               {benchmarks::literature_jsonl(suite, scores, provenance), benchmarks::literature_csv(scores),
                benchmarks::literature_markdown(suite, scores, provenance),
                benchmarks::literature_html(suite, scores, provenance)},
               start);
}

int bench_drift(const Options& options, const std::string& command) {
  const auto start = Clock::now();
  auto suite = benchmarks::read_drift_suite(options.suite);
  refuse_options("drift", {{"samplers", !options.samplers.empty()},
                           {"shots", !options.shots.empty()},
                           {"searches", !options.searches.empty()},
                           {"measured", !options.measured.empty()},
                           {"splits", !options.splits.empty()}});
  if (!options.learners.empty()) {
    suite.learners = parse_option("--learners", options.learners, benchmarks::parse_list);
    for (const auto& name : suite.learners)
      parse_option("--learners", name,
                   [](const std::string& learner) { benchmarks::check_drift_learner(learner); });
  }
  if (options.seeds == 0u) throw program::UsageError("--seeds: expected a whole number from 1, found 0");
  suite.seeds = options.seeds.value_or(suite.seeds);
  make_output_folder(options.out);
  const auto rows = benchmarks::run_drift(suite, {.seed = options.common.seed, .threads = options.threads},
                                          progress(options.common, "parts"));

  const nlohmann::ordered_json used{{"suite_file", fs::path(suite.path).filename().string()},
                                    {"seeds", suite.seeds},
                                    {"seed", options.common.seed},
                                    {"streams", suite.streams},
                                    {"measurements", suite.measurements},
                                    {"window_s", suite.window_s},
                                    {"changes", suite.changes}};
  const auto provenance = provenance_of(options, command, used);
  const auto tables = benchmarks::make_tables(rows);
  const auto markdown = benchmarks::to_markdown(suite.name, tables, provenance);
  const auto html =
      benchmarks::html_page(suite.name, "<h1>" + benchmarks::svg::escape(suite.name) + "</h1>\n<pre>" +
                                            benchmarks::svg::escape(markdown) + "</pre>\n");
  return write(options, suite.name,
               {benchmarks::to_jsonl(rows, provenance), benchmarks::to_csv(tables), markdown, html}, start);
}

int bench(const Options& options, const std::string& command) {
  if (benchmarks::is_drift_suite(options.suite)) return bench_drift(options, command);
  if (benchmarks::is_sinusoid_suite(options.suite)) return bench_sinusoid(options, command);
  if (benchmarks::is_literature_suite(options.suite)) return bench_literature(options, command);
  const auto start = Clock::now();
  auto suite = benchmarks::read_suite(options.suite);
  const auto all_learners = suite.learners;
  apply(options, suite);
  const std::string root = suite.simulation ? "" : data_root(options);
  make_output_folder(options.out);
  std::vector<std::string> notices;
  const auto store = benchmarks::load_profiles(suite, root, &notices);
  for (const auto& notice : notices) std::cerr << "fewwatt bench: " << fewwatt::hw::printable(notice) << '\n';
  const auto result = benchmarks::run_suite(
      suite, store, {.seed = options.common.seed, .threads = options.threads}, progress(options.common));

  const auto provenance =
      provenance_of(options, command, options_of(suite, options.common.seed, result.threads));
  const auto tables = benchmarks::make_tables(result.rows);
  write(options, suite.name,
        {benchmarks::to_jsonl(result.rows, provenance), benchmarks::to_csv(tables),
         benchmarks::to_markdown(suite.name, tables, provenance, result.failures),
         benchmarks::to_html(suite, all_learners, tables, result, provenance)},
        start);
  for (const auto& failure : result.failures)
    std::cerr << "fewwatt bench: " << hw::printable(benchmarks::to_text(failure)) << '\n';
  return result.failures.empty() ? program::kDone : program::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("bench", [&] {
    Options options;
    program::Count seeds, threads;
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
    add("learners", po::value(&options.learners)->value_name("a,b"), "these learners instead of the suite's");
    add("samplers", po::value(&options.samplers)->value_name("a,b"), "these samplers instead of the suite's");
    add("searches", po::value(&options.searches)->value_name("'a b,c -'"),
        "these searches instead of the suite's, each as SEARCH LEARNER");
    add("measured", po::value(&options.measured)->value_name("10,15"),
        "these numbers of measurements per search instead of the suite's");
    add("shots", po::value(&options.shots)->value_name("5,10"),
        "these numbers of measured modes instead of the suite's");
    add("splits", po::value(&options.splits)->value_name("a,b"),
        "these splits only; their figures are those of a full run, except for searches, which are pooled "
        "over all workloads");
    add("seeds", po::value(&seeds)->value_name("N"), "number of draws instead of the suite's");
    add("threads", po::value(&threads)->value_name("N"), "number of worker threads; all cores if not given");
    const auto given = program::parse(argc, argv, manual, options.common);
    if (!given) return static_cast<int>(program::kDone);
    if (given->count("seeds") > 0) options.seeds = seeds.value;
    options.threads = threads.value;
    return bench(options, command_of(argc, argv));
  });
}
