// What others add to a registry, beside what this library brings.

#include "learners/registry.hpp"

#include <gtest/gtest.h>

#include "learners/ensemble.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/simulated_support.hpp"

namespace fewwatt::learners {
namespace registry_test {

// Predicts the same number of every mode, with what is set as its log.
struct ConstantOptions {
  double log_value = 0;
  void each(OptionVisitor& on) { on.real("log_value", log_value, -10, 10, "log of what is predicted"); }
};

class Constant final : public Learner {
 public:
  explicit Constant(double log_value) : log_value_(log_value) {}
  std::unique_ptr<const Predictor> adapt(const Samples&) const override {
    class Same final : public Predictor {
     public:
      explicit Same(double log_value) : log_value_(log_value) {}
      Prediction predict(std::span<const hw::PowerMode> modes) const override {
        const auto n = static_cast<Eigen::Index>(modes.size());
        return {Matrix::Constant(n, 2, log_value_), Matrix::Constant(n, 2, 0.04),
                Matrix::Constant(n, 2, 0.01)};
      }
      LeftOut left_out(tasks::Target) const override { return {Vector::Zero(6), Vector::Constant(6, 0.04)}; }

     private:
      double log_value_;
    };
    return std::make_unique<Same>(log_value_);
  }

 private:
  double log_value_;
};

LearnerEntry constant(const std::string& name) {
  return with_options<ConstantOptions>(
      {.name = name, .about = "the same for every mode", .gives_uncertainty = true},
      [](const Checkpoint& c, const ConstantOptions& options, const Registry&) {
        return std::make_unique<Constant>(c.learner.empty() ? options.log_value : c.number("log_value"));
      });
}

template <class Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

double first_of(const Learner& learner) {
  const auto support = tests::example_support(6, 1);
  return learner.adapt(support)->predict(support.modes).log_mean(0, 0);
}

TEST(Registry, MakesWhatOthersAddAndSetsItsOptions) {
  auto registry = builtin();
  registry.learners.add(constant("mine"));
  EXPECT_EQ(registry.learners.names().back(), "mine");
  EXPECT_EQ(first_of(*make_learner("mine", {}, registry)), 0);
  EXPECT_EQ(first_of(*make_learner("mine", {{"log_value", "2"}}, registry)), 2);
  EXPECT_EQ(refusal([&] {
              make_learner("mine", {{"temper", "2"}}, registry);
            }),
            "mine has no option temper; it has log_value");
  Checkpoint checkpoint;
  checkpoint.learner = "mine";
  checkpoint.numbers["log_value"] = {3};
  EXPECT_EQ(first_of(*make_learner(checkpoint, {}, registry)), 3);
  EXPECT_EQ(builtin().learners.look_up("mine"), nullptr);
}

TEST(Registry, RefusesASecondEntryOfAName) {
  auto registry = builtin();
  registry.learners.add(constant("mine"));
  EXPECT_EQ(refusal([&] { registry.learners.add(constant("mine")); }), "there is a learner mine already");
  EXPECT_EQ(refusal([&] { registry.learners.add(constant("gp")); }), "there is a learner gp already");
  EXPECT_EQ(refusal([&] { registry.samplers.add({.name = "random", .make = builtin_samplers()[0].make}); }),
            "there is a sampler random already");
}

TEST(Registry, RefusesNamesThatSuitesAndFilesWouldReadDifferently) {
  auto registry = builtin();
  for (const std::string bad :
       {"", "4gp", "my gp", "gp:4", "proto.1", "a,b", "a/b", "gp@0.9", "gp-sim", "gp+sim"})
    EXPECT_THROW(registry.learners.add(constant(bad)), std::invalid_argument) << bad;
  for (const std::string good : {"Mine", "maml++", "my-gp_2", "sim"})
    EXPECT_NO_THROW(registry.learners.add(constant(good))) << good;
}

TEST(Registry, RefusesAnEntryThatMakesNothing) {
  auto registry = builtin();
  EXPECT_EQ(refusal([&] { registry.learners.add({.name = "mine"}); }),
            "learner mine: it has no function make");
  registry.learners.add(
      {.name = "none", .make = [](const auto&, const auto&, const auto&) { return nullptr; }});
  EXPECT_EQ(refusal([&] { make_learner("none", {}, registry); }), "learner none was not made");
}

TEST(Registry, CombinationsMakeTheirMembersThroughTheirs) {
  auto registry = builtin();
  registry.learners.add(constant("mine"));
  Checkpoint part;
  part.learner = "mine";
  part.numbers["log_value"] = {1};
  part.texts["trained_by"] = "hand";
  auto whole = checkpoint_of_members("ensemble", {{"mine", part}});
  whole.texts["combination"] = "stacking";
  EXPECT_NEAR(first_of(*make_learner(whole, {}, registry)), 1, 1e-12);
  EXPECT_NE(refusal([&] { make_learner(whole); }).find("unknown learner mine"), std::string::npos);

  // A combination is no member of another.
  const auto nested = checkpoint_of_members("ensemble", {{"ensemble", whole}});
  auto outer = nested;
  outer.texts["combination"] = "stacking";
  EXPECT_NE(refusal([&] { make_learner(outer, {}, registry); }).find("ensemble cannot be a candidate"),
            std::string::npos);
}

TEST(Registry, SamplersAndSearchesOfOthersAreMadeToo) {
  auto registry = builtin();
  const auto first = [](const auto& space, const auto&, const SamplerOptions& options) {
    return tasks::make_sampler("random", *space, options.planned, options.seed);
  };
  registry.samplers.add({.name = "mine", .needs_learner = true, .make = first});
  const auto space = tests::example_space();
  EXPECT_EQ(refusal([&] { make_sampler("mine", space, nullptr, {}, registry); }),
            "sampler mine needs a learner");
  const std::shared_ptr<const Learner> gp = make_learner("gp");
  EXPECT_TRUE(make_sampler("mine", space, gp, {}, registry)->ask().has_value());

  registry.searches.add({.name = "mine",
                         .aims = SearchEntry::Aims::at_the_end,
                         .make = [](auto on, auto learner, const Goal& goal, const SearchOptions& options) {
                           return make_search("random", on, learner, goal, options);
                         }});
  EXPECT_TRUE(make_search("mine", space, nullptr, {}, {}, registry)->ask().has_value());
  EXPECT_EQ(refusal([&] { make_search("mine", space, nullptr, {}, {.stop_gain = 0.1}, registry); }),
            "search mine does not know what more measurements gain");
  EXPECT_EQ(registry.searches.find("mine").without_goal({.planned = 7}), 7u);
}

}  // namespace registry_test
}  // namespace fewwatt::learners
