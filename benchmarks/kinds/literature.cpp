#include "benchmarks/literature.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/suite_keys.hpp"
#include "hw/json_text.hpp"

namespace fewwatt::benchmarks {
namespace {

class Literature final : public Suite {
 public:
  explicit Literature(LiteratureSuite suite) : suite_(std::move(suite)) {}

  const std::string& name() const override { return suite_.name; }

  // What rows call a learner is an experiment.
  std::vector<SuiteKey> keys() override {
    return {{"learners", [this](const std::string& text) { keep_experiments(suite_, parse_list(text)); }}};
  }

  Outputs run(const RunOptions& options, Provenance provenance, const Progress& progress) const override {
    const auto scores = run_literature(suite_, options, progress);
    const nlohmann::ordered_json used{{"suite_file", file_name(suite_.path)}, {"seed", options.seed}};
    provenance.seed = options.seed;
    provenance.options_json = hw::json_text(used);
    return {literature_jsonl(suite_, scores, provenance), literature_csv(scores),
            literature_markdown(suite_, scores, provenance), literature_html(suite_, scores, provenance)};
  }

 private:
  LiteratureSuite suite_;
};

}  // namespace

std::unique_ptr<Suite> open_literature(const std::string& path, const meta::Registry&) {
  return std::make_unique<Literature>(read_literature_suite(path));
}

}  // namespace fewwatt::benchmarks
