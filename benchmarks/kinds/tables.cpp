#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/report.hpp"
#include "benchmarks/runner.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/table.hpp"
#include "benchmarks/table_suite.hpp"
#include "hw/json_text.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

// What a row's figure depends on and its other keys do not say. The numbers of shots are there because fine-tuning is chosen for all of
// them together.
nlohmann::ordered_json options_of(const TableSuite& suite, std::uint64_t seed, std::size_t threads) {
  std::vector<std::string> targets;
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (suite.targets[target]) targets.push_back(tasks::kTargetNames[target]);
  nlohmann::ordered_json options{{"suite_file", file_name(suite.path)},
                                 {"targets", hw::join(targets)},
                                 {"shots", hw::join(suite.shots)},
                                 {"seeds", suite.seeds},
                                 {"seed", seed},
                                 {"threads", threads}};
  if (suite.budgets) {
    options["budgets"] = suite.budgets_text;
    options["confidence"] = suite.confidence;
    if (!suite.searches.empty()) options["measured"] = hw::join(suite.measured);
    options["excess_margin"] = suite.excess_margin_text;
    if (!suite.module.empty()) options["module"] = suite.module;
  }
  if (suite.train_steps > 0) options["train_steps"] = suite.train_steps;
  if (suite.population > 0) options["population"] = suite.population;
  for (const auto& [name, settings] : suite.settings)
    options["learner " + name] = learners::to_text(settings);
  for (const auto& external : suite.externals)
    options["external " + external.name] = hw::join(external.command.words, " ");
  if (suite.simulation) {
    options["simulate"] = hw::join(suite.simulation->devices);
    options["grid"] = suite.simulation->grid;
  }
  return options;
}

class Tables final : public Suite {
 public:
  Tables(TableSuite suite, const meta::Registry& registry)
      : suite_(std::move(suite)),
        all_learners_(suite_.learners),
        registry_(with_externals(suite_.externals, registry)) {}

  const std::string& name() const override { return suite_.name; }

  std::vector<SuiteKey> keys() override {
    return {key_of_names("learners", suite_.learners,
                         [this](const std::string& name) { check_learner(name, registry_); }),
            key_of_names("samplers", suite_.samplers,
                         [this](const std::string& name) { check_sampler(name, registry_); }),
            {"shots", [this](const std::string& text) { suite_.shots = parse_shots(text); }},
            {"searches", [this](const std::string& text) { set_searches(suite_, text, registry_); }},
            {"measured", [this](const std::string& text) { suite_.measured = parse_counts(text); }},
            {"seeds", [this](const std::string& text) { suite_.seeds = parse_count(text); }},
            {"splits", [this](const std::string& text) { keep_splits(suite_, parse_list(text)); }}};
  }

  void check() const override {
    check_learners(suite_);
    check_searches(suite_);
  }

  bool needs_data() const override { return !suite_.simulation; }

  Outputs run(const RunOptions& options, Provenance provenance, const Progress& progress) const override {
    std::vector<std::string> notices;
    const auto store = load_profiles(suite_, options.data_root, &notices);
    for (const auto& notice : notices)
      if (progress.warn) progress.warn(notice);
    auto result = run_tables(suite_, store, options, progress, registry_);
    provenance.seed = options.seed;
    provenance.options_json = hw::json_text(options_of(suite_, options.seed, result.threads));
    const auto tables = make_tables(result.rows);
    auto html = to_html(suite_, all_learners_, tables, result, provenance);
    return {to_jsonl(result.rows, provenance), to_csv(tables),
            to_markdown(suite_.name, tables, provenance, result.failures), std::move(html),
            std::move(result.failures)};
  }

 private:
  TableSuite suite_;
  std::vector<std::string> all_learners_;  // of the file: each keeps its colour when others are left out
  const meta::Registry registry_;          // with the suite's externals
};

}  // namespace

std::unique_ptr<Suite> open_tables(const std::string& path, const meta::Registry& registry) {
  return std::make_unique<Tables>(read_table_suite(path, registry), registry);
}

}  // namespace fewwatt::benchmarks
