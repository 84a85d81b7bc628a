#include "benchmarks/sinusoid.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/suite_keys.hpp"
#include "hw/json_text.hpp"

namespace fewwatt::benchmarks {
namespace {

class Sinusoid final : public Suite {
 public:
  explicit Sinusoid(SinusoidSuite suite) : suite_(std::move(suite)) {}

  const std::string& name() const override { return suite_.name; }

  std::vector<SuiteKey> keys() override {
    return {key_of_names("learners", suite_.learners, check_sinusoid_learner),
            {"shots", [this](const std::string& text) { suite_.shots = parse_counts(text); }}};
  }

  Outputs run(const RunOptions& options, Provenance provenance, const Progress& progress) const override {
    const auto scores = run_sinusoid(suite_, options, progress);
    const nlohmann::ordered_json used{
        {"suite_file", file_name(suite_.path)}, {"seed", options.seed},
        {"test_tasks", suite_.test_tasks},      {"train_steps", suite_.train_steps},
        {"meta_batch", suite_.meta_batch},      {"inner_rate", suite_.inner.rate},
        {"outer_rate", suite_.outer_rate}};
    provenance.seed = options.seed;
    provenance.options_json = hw::json_text(used);
    return {sinusoid_jsonl(suite_, scores, provenance), sinusoid_csv(scores),
            sinusoid_markdown(suite_, scores, provenance), sinusoid_html(suite_, scores, provenance)};
  }

 private:
  SinusoidSuite suite_;
};

}  // namespace

std::unique_ptr<Suite> open_sinusoid(const std::string& path, const meta::Registry&) {
  return std::make_unique<Sinusoid>(read_sinusoid_suite(path));
}

}  // namespace fewwatt::benchmarks
