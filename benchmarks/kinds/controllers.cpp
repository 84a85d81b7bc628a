#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "benchmarks/controllers/controller_suite.hpp"
#include "benchmarks/controllers/report.hpp"
#include "benchmarks/controllers/run.hpp"
#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/table.hpp"
#include "benchmarks/table_suite.hpp"
#include "hw/jobs.hpp"
#include "hw/json_text.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

// The measured profiles that the suite replays.
std::vector<datasets::Profile> profiles_of(const ControllerSuite& suite, const std::string& data_root) {
  TableSuite source;
  source.path = suite.path;
  source.name = suite.name;
  source.mapping = suite.mapping;
  source.inputs = suite.inputs;
  source.targets = {true, true};
  source.module = suite.module;
  return load_profiles(source, data_root).profiles;
}

// What a row's figure depends on and its other keys do not say.
nlohmann::ordered_json options_of(const ControllerSuite& suite, const RunOptions& options) {
  nlohmann::ordered_json used{{"suite_file", file_name(suite.path)},
                              {"seeds", suite.seeds},
                              {"seed", options.seed},
                              {"threads", hw::thread_count(options.threads)},
                              {"measurements", hw::join(suite.measurements)},
                              {"lambda", suite.lambda},
                              {"model", suite.learner}};
  if (suite.task == tasks::ModeTask::run) {
    used["switch_share"] = suite.switch_share;
    used["changes"] = suite.changes;
  }
  if (suite.alone_measurements > 0) used["alone_measurements"] = suite.alone_measurements;
  for (const auto& [name, plan] : suite.agents) used["agent " + name] = learners::to_text(plan.algorithm);
  return used;
}

class Controllers final : public Suite {
 public:
  Controllers(ControllerSuite suite, const meta::Registry& registry)
      : suite_(std::move(suite)), all_contestants_(suite_.contestants), registry_(registry) {}

  const std::string& name() const override { return suite_.name; }

  // What rows call a learner is a contestant, and a number of shots one of measurements.
  std::vector<SuiteKey> keys() override {
    return {{"learners",
             [this](const std::string& text) {
               auto changed = suite_;
               changed.contestants = parse_list(text);
               check_contestants(changed, registry_);
               suite_ = std::move(changed);
             }},
            {"measured", [this](const std::string& text) { set_measured(text); }},
            {"seeds", [this](const std::string& text) { suite_.seeds = parse_count(text); }}};
  }

  bool needs_data() const override { return !suite_.simulated(); }

  Outputs run(const RunOptions& options, Provenance provenance, const Progress& progress) const override {
    auto profiles =
        suite_.simulated() ? std::vector<datasets::Profile>() : profiles_of(suite_, options.data_root);
    const auto result = run_controllers(suite_, std::move(profiles), options, progress, registry_);
    provenance.seed = options.seed;
    provenance.options_json = hw::json_text(options_of(suite_, options));
    const auto tables = make_tables(result.rows);
    auto markdown = to_markdown(suite_.name, tables, provenance);
    auto html = controllers_html(suite_, all_contestants_, tables, result, markdown);
    return {to_jsonl(result.rows, provenance), to_csv(tables), std::move(markdown), std::move(html)};
  }

 private:
  void set_measured(const std::string& text) {
    auto found = parse_counts(text);
    for (const auto length : found)
      if (length < 2 || length > tasks::kMostMeasurements)
        throw std::invalid_argument("expected numbers from 2 to " + std::to_string(tasks::kMostMeasurements) +
                                    ", found '" + text + "'");
    if (suite_.task == tasks::ModeTask::run && found.size() != 1)
      throw std::invalid_argument("expected one number, with task = run, found '" + text + "'");
    suite_.measurements = std::move(found);
  }

  ControllerSuite suite_;
  std::vector<std::string> all_contestants_;  // of the file: each keeps its colour when others are left out
  const meta::Registry& registry_;
};

}  // namespace

std::unique_ptr<Suite> open_controllers(const std::string& path, const meta::Registry& registry) {
  return std::make_unique<Controllers>(read_controller_suite(path, registry), registry);
}

}  // namespace fewwatt::benchmarks
