#include "benchmarks/drift.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "benchmarks/blocks.hpp"
#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/table.hpp"
#include "hw/json_text.hpp"

namespace fewwatt::benchmarks {
namespace {

class Drift final : public Suite {
 public:
  Drift(DriftSuite suite, const meta::Registry& registry) : suite_(std::move(suite)), registry_(registry) {}

  const std::string& name() const override { return suite_.name; }

  std::vector<SuiteKey> keys() override {
    return {key_of_names("learners", suite_.learners,
                         [this](const std::string& name) { check_drift_learner(name, registry_); }),
            {"seeds", [this](const std::string& text) { suite_.seeds = parse_count(text); }}};
  }

  Outputs run(const RunOptions& options, Provenance provenance, const Progress& progress) const override {
    const auto rows = run_drift(suite_, options, progress, registry_);
    const nlohmann::ordered_json used{{"suite_file", file_name(suite_.path)},
                                      {"seeds", suite_.seeds},
                                      {"seed", options.seed},
                                      {"streams", suite_.streams},
                                      {"measurements", suite_.measurements},
                                      {"window_s", suite_.window_s},
                                      {"changes", suite_.changes}};
    provenance.seed = options.seed;
    provenance.options_json = hw::json_text(used);
    const auto tables = make_tables(rows);
    auto markdown = to_markdown(suite_.name, tables, provenance);
    auto html = blocks::page(suite_.name, blocks::text_report(markdown), to_jsonl(rows, provenance));
    return {to_jsonl(rows, provenance), to_csv(tables), std::move(markdown), std::move(html)};
  }

 private:
  DriftSuite suite_;
  const meta::Registry& registry_;
};

}  // namespace

std::unique_ptr<Suite> open_drift(const std::string& path, const meta::Registry& registry) {
  return std::make_unique<Drift>(read_drift_suite(path, registry), registry);
}

}  // namespace fewwatt::benchmarks
