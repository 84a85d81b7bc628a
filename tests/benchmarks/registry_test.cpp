// Learners and meta-learners of others in a table beside ours, among them some that fail.

#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include <gtest/gtest.h>

#include "benchmarks/report.hpp"
#include "benchmarks/runner.hpp"
#include "tests/benchmarks/made_up.hpp"

namespace fewwatt::benchmarks {
namespace registry_test {

using learners::Learner;
using learners::Predictor;
using tests::TempDir;
using Predict = std::function<Prediction(const tasks::Samples& support, std::span<const hw::PowerMode>)>;

// Predicts by a function.
class Functional final : public Learner {
 public:
  explicit Functional(Predict predict) : predict_(std::move(predict)) {}
  std::unique_ptr<const Predictor> adapt(const tasks::Samples& support) const override {
    class Adapted final : public Predictor {
     public:
      Adapted(Predict predict, tasks::Samples support)
          : predict_(std::move(predict)), support_(std::move(support)) {}
      Prediction predict(std::span<const hw::PowerMode> modes) const override {
        return predict_(support_, modes);
      }

     private:
      Predict predict_;
      tasks::Samples support_;
    };
    return std::make_unique<Adapted>(predict_, support);
  }

 private:
  Predict predict_;
};

learners::LearnerEntry functional(const std::string& name, Predict predict) {
  return {.name = name, .make = [predict](const auto&, const auto&, const auto&) {
            return std::make_unique<Functional>(predict);
          }};
}

Prediction all_of(double value, std::span<const hw::PowerMode> modes) {
  return Prediction::of_medians(tasks::Matrix::Constant(static_cast<Eigen::Index>(modes.size()), 2, value));
}

// The geometric mean of the support, for every mode.
Prediction mean_of_support(const tasks::Samples& support, std::span<const hw::PowerMode> modes) {
  tasks::Matrix medians(static_cast<Eigen::Index>(modes.size()), 2);
  for (int t = 0; t < 2; ++t)
    medians.col(t).setConstant(std::exp(support.targets.col(t).array().log().mean()));
  return Prediction::of_medians(medians);
}

// The made-up suite and a registry with what others bring.
struct Outside {
  TempDir dir;
  meta::Registry registry = meta::builtin();
  std::string path = tests::write_made_up_suite(dir);

  Result run(const std::vector<std::string>& learners, const std::function<void(TableSuite&)>& change = {}) {
    TableSuite suite = read_table_suite(path, registry);
    suite.splits.resize(1);
    suite.learners = learners;
    for (const auto& name : learners) check_learner(name, registry);
    if (change) change(suite);
    return run_tables(suite, load_profiles(suite, dir / "data"), {.threads = 2}, {}, registry);
  }
};

// Values but clocks of one learner, by metric, shots and draw.
std::map<std::tuple<std::string, std::size_t, std::uint64_t>, double> values_of(const Result& result,
                                                                                const std::string& learner) {
  std::map<std::tuple<std::string, std::size_t, std::uint64_t>, double> values;
  for (const auto& row : result.rows)
    if (row.learner == learner && find_metric(row.metric).unit != "s")
      values[{row.metric, row.shots, row.seed}] = row.value;
  return values;
}

TEST(OutsideRegistry, ItsLearnersStandInTheTableBesideOurs) {
  Outside outside;
  outside.registry.learners.add(functional("mean", mean_of_support));
  const auto result = outside.run({"physics", "mean"});
  EXPECT_TRUE(result.failures.empty());
  const auto ours = values_of(result, "physics"), theirs = values_of(result, "mean");
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [key, value] : ours) EXPECT_TRUE(theirs.contains(key)) << std::get<0>(key);
  EXPECT_GT(theirs.at({"time_mape", 8, 1}), ours.at({"time_mape", 8, 1}));
  const auto markdown = to_markdown("made-up", make_tables(result.rows), {}, result.failures);
  EXPECT_NE(markdown.find("| mean | "), std::string::npos);
  EXPECT_NE(markdown.find("| physics | "), std::string::npos);
  EXPECT_EQ(markdown.find("failed"), std::string::npos);
  EXPECT_THROW(check_learner("mean"), std::invalid_argument);  // not of what this library brings
}

// Trains a "mean" whose predictions are `factor` as large.
meta::MetaLearnerEntry scaled(const std::string& name) {
  return {.name = name,
          .adapted_by = "scaled-mean",
          .train = [](const meta::InitializerRequest& request, const std::vector<datasets::Profile>& profiles,
                      const auto&, const auto&) {
            learners::Checkpoint checkpoint;
            checkpoint.learner = "scaled-mean";
            checkpoint.texts["trained_by"] = request.name;
            checkpoint.numbers["factor"] = {static_cast<double>(profiles.size())};
            return checkpoint;
          }};
}

TEST(OutsideRegistry, ItsMetaLearnersAreTrainedOncePerSplit) {
  Outside outside;
  outside.registry.learners.add(functional("mean", mean_of_support));
  outside.registry.learners.add(
      {.name = "scaled-mean",
       .needs_checkpoint = true,
       .make = [](const learners::Checkpoint& checkpoint, const auto&, const auto&) {
         return std::make_unique<Functional>(
             [factor = checkpoint.number("factor")](const auto& support, auto modes) {
               return Prediction::of_medians(factor * mean_of_support(support, modes).median());
             });
       }});
  outside.registry.meta_learners.add(scaled("scale"));
  const auto result = outside.run({"mean", "scale", "scale:1"});
  EXPECT_TRUE(result.failures.empty());
  const auto error_of = [&](const std::string& learner) {
    return values_of(result, learner).at({"time_mape", 8, 0});
  };
  EXPECT_NEAR(error_of("scale:1"), error_of("mean"), 1e-9);  // of one training workload
  EXPECT_GT(error_of("scale"), error_of("mean") + 1);        // of two
  EXPECT_EQ(std::count_if(result.rows.begin(), result.rows.end(),
                          [](const Row& row) { return row.metric == "train_seconds"; }),
            2);
}

TEST(OutsideRegistry, OnesThatFailAreNamedAndTheOthersGoOn) {
  Outside outside;
  auto& all = outside.registry.learners;
  all.add(functional("throws",
                     [](const auto&, auto) -> Prediction { throw std::out_of_range("no such\nmode"); }));
  all.add(functional("throws-int", [](const auto&, auto) -> Prediction { throw 1; }));
  all.add(functional("nan", [](const auto&, auto modes) { return all_of(std::nan(""), modes); }));
  all.add(functional("infinite", [](const auto&, auto modes) { return all_of(INFINITY, modes); }));
  all.add(functional("short", [](const auto&, auto modes) { return all_of(1, modes.subspan(1)); }));
  all.add(functional("one-column", [](const auto&, auto modes) {
    return Prediction::of_medians(tasks::Matrix::Ones(static_cast<Eigen::Index>(modes.size()), 1));
  }));
  all.add(functional("narrow", [](const auto&, auto modes) {
    auto prediction = all_of(1, modes);
    prediction.log_variance = prediction.latent_log_variance =
        tasks::Matrix::Constant(prediction.rows(), 2, -1);
    return prediction;
  }));
  all.add({.name = "nobody", .make = [](const auto&, const auto&, const auto&) { return nullptr; }});
  outside.registry.meta_learners.add(
      {.name = "untrainable",
       .adapted_by = "throws",
       .train = [](const auto&, const auto&, const auto&, const auto&) -> learners::Checkpoint {
         throw std::runtime_error("no gradient");
       }});
  const std::map<std::string, std::string> said = {
      {"throws", "no such\nmode"},
      {"throws-int", "an exception that is not a std::exception"},
      {"nan", "predicted log_mean of time: expected finite values, found NaN"},
      {"infinite", "predicted log_mean of time: expected finite values, found inf"},
      {"short", "predicted log_mean: expected [36,2], found [35,2]"},
      {"one-column", "predicted log_mean: expected [36,2], found [36,1]"},
      {"narrow", "predicted log_variance of time: expected finite values, at least 0, found -1.000000"},
      {"nobody", "it could not be prepared: learner nobody was not made"},
      {"untrainable", "it could not be prepared: no gradient"}};
  std::vector<std::string> names = {"physics"};
  for (const auto& [name, what] : said) names.push_back(name);
  const auto result = outside.run(names);

  EXPECT_EQ(values_of(result, "physics"), values_of(outside.run({"physics"}), "physics"));
  ASSERT_EQ(result.failures.size(), said.size());
  const auto tables = make_tables(result.rows);
  ASSERT_EQ(tables.front().metric, "failed");
  EXPECT_EQ(tables.front().series.size(), said.size());
  const auto markdown = to_markdown("made-up", tables, {}, result.failures);
  for (const auto& failure : result.failures) {
    SCOPED_TRACE(failure.learner);
    EXPECT_EQ(failure.times, 4u);  // two draws of 4 and of 8 modes
    EXPECT_TRUE(failure.first.starts_with("workload toy/alpha, sampler random, 4 modes, draw 0: "))
        << failure.first;
    EXPECT_TRUE(failure.first.ends_with(said.at(failure.learner))) << failure.first;
    const auto values = values_of(result, failure.learner);
    EXPECT_EQ(values.size(), 2u);
    EXPECT_EQ(values.at({"failed", 8, 0}), 100);
    EXPECT_NE(markdown.find("- " + failure.learner + " failed 4 times, first: "), std::string::npos)
        << markdown;
  }
  EXPECT_NE(markdown.find("no such mode\n"), std::string::npos);
  const TableSuite suite = read_table_suite(outside.path);
  EXPECT_NE(to_html(suite, names, tables, result, {}).find("untrainable"), std::string::npos);
}

TEST(OutsideRegistry, AnAnswerThatIsMissingLeavesTheOtherDrawsOut) {
  Outside outside;
  outside.registry.learners.add(functional("sometimes", [](const auto& support, auto modes) {
    if (support.size() > 4 && support.modes.front()[2] == 500'000) throw std::runtime_error("not from here");
    return mean_of_support(support, modes);
  }));
  const auto result = outside.run({"sometimes"}, [](TableSuite& suite) { suite.seeds = 20; });
  const auto values = values_of(result, "sometimes");
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(values.at({"failed", 8, 0}), 100.0 * static_cast<double>(result.failures[0].times) / 20);
  EXPECT_LT(result.failures[0].times, 20u);
  EXPECT_TRUE(values.contains({"time_mape", 4, 0}));
  for (const auto& [key, value] : values) EXPECT_TRUE(std::get<1>(key) == 4 || std::get<0>(key) == "failed");
}

TEST(OutsideRegistry, ASearchWhoseLearnerFailsIsNamed) {
  Outside outside;
  outside.registry.learners.add(functional(
      "throws", [](const auto&, auto) -> Prediction { throw std::runtime_error("no such mode"); }));
  const auto result = outside.run({"throws"}, [&](TableSuite& suite) {
    suite.searches = {parse_search("predict throws", outside.registry),
                      parse_search("random -", outside.registry)};
    suite.measured = {6};
  });
  ASSERT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(result.failures[1].learner, "predict throws");
  EXPECT_EQ(values_of(result, "predict throws").size(), 1u);
  EXPECT_TRUE(values_of(result, "random").contains({"search_inside", 6, 0}));
}

}  // namespace registry_test
}  // namespace fewwatt::benchmarks
