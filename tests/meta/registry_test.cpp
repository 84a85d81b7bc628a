#include "meta/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <regex>

#include "learners/checkpoint_io.hpp"
#include "learners/registry.hpp"
#include "meta/pretrain.hpp"
#include "tasks/split.hpp"
#include "tasks/task_source.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::meta {
namespace registry_test {

using tests::family;

// The least that still has updates to tell apart, and validation in every fold.
InitializerRequest quick(const std::string& name) {
  InitializerRequest request{.name = name, .seed = 3, .shots = {5}, .validation_draws = 1};
  for (const auto& option : learners::options_of(builtin().meta_learners.find(name).options)) {
    if (option.name == "steps") request.settings["steps"] = "2";
    if (option.name.ends_with("meta_batch")) request.settings[option.name] = "2";
  }
  return request;
}

// With 24 of the family's modes, all levels among them.
std::vector<datasets::Profile> small_family(int count) {
  auto profiles = family(count);
  for (auto& profile : profiles) {
    const auto all = profile;
    profile.modes.clear();
    profile.measurements.clear();
    for (std::size_t i = 0; i < all.modes.size(); ++i) {
      if (i * 7 % all.modes.size() >= 24) continue;
      profile.modes.push_back(all.modes[i]);
      profile.measurements.push_back(all.measurements[i]);
    }
  }
  return profiles;
}

// What a learner gives for the quick request and three workloads, trained once for all tests that look at it.
const learners::Checkpoint& trained(const std::string& name) {
  static std::map<std::string, learners::Checkpoint> all;
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  return all[name] = train_initializer(quick(name), small_family(3));
}

void expect_equal(const learners::Checkpoint& a, const learners::Checkpoint& b) {
  EXPECT_EQ(a.learner, b.learner);
  EXPECT_EQ(a.tensors, b.tensors);
  EXPECT_EQ(a.numbers, b.numbers);
  EXPECT_EQ(a.texts, b.texts);
  EXPECT_EQ(a.origin, b.origin);
}

const MetaLearnerEntry& facts_of(const std::string& name) {
  return builtin().meta_learners.find(name);
}

class EveryMetaLearner : public testing::TestWithParam<std::string> {};

TEST_P(EveryMetaLearner, GivesWhatItsLearnerAdapts) {
  const auto& checkpoint = trained(GetParam());
  EXPECT_EQ(checkpoint.learner, facts_of(GetParam()).adapted_by);
  hw::Rng rng(1);
  const auto task = tasks::sample_task(tests::family_profile(9), 8, rng);
  const auto predicted =
      learners::make_learner(checkpoint)->adapt(task.support)->predict(task.query.modes).median();
  EXPECT_TRUE((predicted.array() > 0).all());
  EXPECT_EQ(checkpoint.origin.seed, 3);
  EXPECT_EQ(checkpoint.origin.data_hash.size(), 16);
}

TEST_P(EveryMetaLearner, SameRequestGivesTheSameFile) {
  const tests::TempDir dir;
  auto profiles = small_family(3);
  learners::write_checkpoint(dir / "a.h5", trained(GetParam()));
  std::swap(profiles[0], profiles[2]);
  learners::write_checkpoint(dir / "b.h5", train_initializer(quick(GetParam()), profiles));
  EXPECT_EQ(tests::read_text(dir / "a.h5"), tests::read_text(dir / "b.h5"));
}

// Three workloads; the second one twice: as measured, and wrong in every mode that is not in the support.
struct HeldOut {
  std::vector<datasets::Profile> clean = small_family(3), corrupt = clean;
  tasks::HoldOut rule{.workloads = {"w1"}, .devices = {}};
  tasks::Task clean_task, corrupt_task;

  HeldOut() {
    hw::Rng rng(1), again(1);
    clean_task = tasks::sample_task(clean[1], 8, rng);
    for (std::size_t i = 0; i < corrupt[1].modes.size(); ++i) {
      if (std::count(clean_task.support.modes.begin(), clean_task.support.modes.end(), corrupt[1].modes[i]) >
          0)
        continue;
      corrupt[1].measurements[i].time_ms *= 1000;
      corrupt[1].measurements[i].power_w = 1 / corrupt[1].measurements[i].power_w;
    }
    corrupt_task = tasks::sample_task(corrupt[1], 8, again);
    EXPECT_EQ(clean_task.support.targets, corrupt_task.support.targets);
    EXPECT_NE(clean_task.query.targets, corrupt_task.query.targets);
  }

  void expect_same_predictions(const learners::Learner& of_clean, const learners::Learner& of_corrupt) const {
    const auto a = of_clean.adapt(clean_task.support)->predict(clean_task.query.modes);
    const auto b = of_corrupt.adapt(corrupt_task.support)->predict(corrupt_task.query.modes);
    EXPECT_EQ(a.log_mean, b.log_mean);
    EXPECT_EQ(a.log_variance, b.log_variance);
  }
};

TEST_P(EveryMetaLearner, SeesNothingOfWhatIsHeldOut) {
  const HeldOut held_out;
  const auto train_on = [&](const std::vector<datasets::Profile>& profiles) {
    return train_initializer(quick(GetParam()), tasks::split_profiles(profiles, held_out.rule).train);
  };
  const auto a = train_on(held_out.clean), b = train_on(held_out.corrupt);
  expect_equal(a, b);  // weights and settings, those of fine-tuning among them
  held_out.expect_same_predictions(*learners::make_learner(a), *learners::make_learner(b));
}

// Stopped again and again, ever later, in outer steps, validations and what lies between, and each time resumed.
TEST_P(EveryMetaLearner, InterruptedAndResumedGivesTheSameFile) {
  const auto profiles = small_family(3);
  if (!facts_of(GetParam()).has_outer_loop()) {
    EXPECT_THROW(run_training(quick(GetParam()), profiles, {}, &trained(GetParam())), std::invalid_argument);
    return;
  }
  std::optional<learners::Checkpoint> state;
  TrainedInitializer result;
  int stops = 0;
  for (int stop_after = 1;; stop_after *= 2) {
    ASSERT_LT(stop_after, 1 << 20);
    int asked = 0;
    const auto resume = state;
    result = run_training(quick(GetParam()), profiles,
                          {.interrupted = [&] { return ++asked > stop_after; },
                           .save = [&](const learners::Checkpoint& s) { state = s; }},
                          resume ? &*resume : nullptr);
    if (result.stop != Stop::interrupted) break;
    ++stops;
    ASSERT_TRUE(state);
  }
  expect_equal(result.checkpoint, trained(GetParam()));
  EXPECT_GE(stops, 3);
}

TEST_P(EveryMetaLearner, DependsOnWhatItTrainsOn) {
  auto other = small_family(3);
  for (auto& profile : other) {
    for (auto& m : profile.measurements) {
      m.time_ms += m.time_ms * m.time_ms;
      m.power_w += m.power_w * m.power_w;
    }
  }
  const auto& a = trained(GetParam());
  const auto b = train_initializer(quick(GetParam()), other);
  EXPECT_NE(a.origin.data_hash, b.origin.data_hash);
  EXPECT_TRUE(a.tensors != b.tensors || a.numbers != b.numbers);
}

TEST_P(EveryMetaLearner, GoesOnFromWhatItTrainedBefore) {
  const auto all = small_family(3);
  auto request = quick(GetParam());
  if (!facts_of(GetParam()).goes_on) {
    request.init = trained(GetParam());
    try {
      train_initializer(request, all);
      FAIL();
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find("does not go on"), std::string::npos) << e.what();
    }
    return;
  }
  request.settings["steps"] = "1";
  const auto anew = train_initializer(request, all);
  request.settings["steps"] = "8";
  for (const auto& option : learners::options_of(facts_of(GetParam()).options))
    if (option.name.ends_with("validate_every")) request.settings[option.name] = "8";
  request.init = train_initializer(request, {all[0], all[1]});
  request.settings["steps"] = "1";
  const auto added = train_initializer(request, all);
  expect_equal(added, train_initializer(request, all));
  EXPECT_EQ(added.origin.data_hash, anew.origin.data_hash);
  EXPECT_NE(added.tensors, anew.tensors);  // where it starts matters
  // A step does not go far.
  double from_init = 0, from_anew = 0;
  for (const auto& [name, values] : added.tensors) {
    const auto& was = request.init->tensors.at(name);
    if (was.rows() != values.rows() || was.cols() != values.cols()) continue;
    from_init += (values - was).squaredNorm();
    from_anew += (anew.tensors.at(name) - was).squaredNorm();
  }
  EXPECT_LT(from_init, from_anew);
  EXPECT_GT(from_init, 0);
  hw::Rng rng(1);
  const auto task = tasks::sample_task(tests::family_profile(9), 8, rng);
  const auto predicted =
      learners::make_learner(added)->adapt(task.support)->predict(task.query.modes).median();
  EXPECT_TRUE((predicted.array() > 0).all());
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto name : builtin().meta_learners.names()) all.emplace_back(name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMetaLearner, testing::ValuesIn(names()), [](const auto& test) {
  std::string name = test.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = c == '+' ? 'p' : '_';
  return name;
});

TEST(Registry, UnknownNameListsTheKnownOnes) {
  try {
    train_initializer(quick("mamml"), family(2));
    FAIL() << "no error";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("mamml"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("fomaml"), std::string::npos);
  }
}

TEST(Registry, NoProfileIsRefused) {
  EXPECT_THROW(train_initializer(quick("maml"), {}), std::invalid_argument);
}

TEST(Registry, OneTrainingWorkloadIsEnough) {
  EXPECT_EQ(train_initializer(quick("maml"), family(1)).learner, "fine_tune");
}

TEST(Registry, FoldWithoutValidationTasksIsSkipped) {
  auto profiles = family(3);
  profiles[1].modes.resize(5);  // no more than the support
  profiles[1].measurements.resize(5);
  std::string log;
  train_initializer(quick("maml"), profiles, [&](const std::string& line) { log += line + "\n"; });
  EXPECT_NE(log.find("fold 2/3: skipped"), std::string::npos) << log;
  EXPECT_NE(log.find("fold 3/3: best after"), std::string::npos) << log;
  EXPECT_NE(log.find("time: fine-tuning with"), std::string::npos) << log;
  EXPECT_FALSE(std::regex_search(log, std::regex("[.][0-9]{6}"))) << "not a number for people: " << log;
}

TEST(Registry, PowerOfOneWorkloadAloneIsNoReasonToFail) {
  auto profiles = family(3, false);
  profiles[1] = tests::family_profile(1);
  const auto checkpoint = train_initializer(quick("maml"), profiles);
  EXPECT_TRUE(checkpoint.tensors.contains("power/weights"));
  EXPECT_GT(checkpoint.number("time/fine_tune/steps"), 0);
}

TEST(Registry, ResumingAnotherRunNamesWhatDiffers) {
  const auto profiles = family(3);
  std::optional<learners::Checkpoint> state;
  int asked = 0;
  run_training(quick("maml"), profiles,
               {.interrupted = [&] { return ++asked > 1; },
                .save = [&](const learners::Checkpoint& s) { state = s; }});
  ASSERT_TRUE(state);
  const auto expect_refused = [&](const InitializerRequest& request,
                                  const std::vector<datasets::Profile>& training, const std::string& what) {
    try {
      run_training(request, training, {}, &*state);
      FAIL() << "no error: " << what;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  };
  auto request = quick("reptile");
  expect_refused(request, profiles, "--learner maml, asked for is reptile");
  request = quick("maml");
  request.seed = 4;
  expect_refused(request, profiles, "--seed 3, asked for is 4");
  request = quick("maml");
  request.settings["inner_rate"] = "0.25";
  expect_refused(request, profiles,
                 "--set meta_batch=2 steps=2, asked for is inner_rate=0.25 meta_batch=2 steps=2");
  expect_refused(quick("maml"), family(2), "other profiles");
  request = quick("maml");
  request.also = family(4);
  expect_refused(request, profiles, "other profiles");
  expect_refused(quick("transfer"), profiles, "no outer loop");
  *state = train_initializer(quick("maml"), family(1));
  expect_refused(quick("maml"), profiles, "--resume must name the state");
}

std::string refusal(const InitializerRequest& request, const std::vector<datasets::Profile>& training) {
  try {
    train_initializer(request, training);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(Registry, GoingOnFromAnotherLearnerOrOtherKnobsIsRefused) {
  auto request = quick("proto");
  request.init = train_initializer(quick("reptile"), small_family(2));
  EXPECT_EQ(refusal(request, small_family(3)),
            "--init: expected an initializer trained by proto, found one by reptile");
  for (const std::string name : {"maml", "reptile", "ridge", "proto", "sim_prior", "auto"}) {
    request = quick(name);
    request.init = train_initializer(request, small_family(1));
    auto other = small_family(2);
    for (auto& profile : other) {
      auto knobs = profile.space->knobs();
      knobs.back().role = hw::KnobRole::power_limit_mw;
      profile.space = std::make_shared<const hw::PowerModeSpace>(
          hw::PowerModeSpace::list(std::move(knobs), profile.modes));
    }
    EXPECT_NE(refusal(request, other).find("--init: was trained for the knobs"), std::string::npos) << name;
  }
}

TEST(Registry, StateOfAnotherStartIsRefused) {
  auto request = quick("reptile");
  std::optional<learners::Checkpoint> state;
  run_training(request, small_family(3), {.save = [&](const learners::Checkpoint& s) { state = s; }});
  request.init = train_initializer(request, small_family(2));
  ASSERT_TRUE(state);
  EXPECT_THROW(run_training(request, small_family(3), {}, &*state), std::invalid_argument);
}

TEST(Registry, OtherProfilesAreTrainedOnAndNotValidatedOn) {
  auto request = quick("proto");
  const auto all = small_family(4);
  const std::vector<datasets::Profile> training(all.begin(), all.begin() + 2);
  request.also = {all[2], all[3]};
  std::string log;
  const auto both =
      train_initializer(request, training, [&](const std::string& line) { log += line + "\n"; });
  EXPECT_NE(log.find("fold 2/2"), std::string::npos) << log;
  EXPECT_EQ(log.find("fold 3"), std::string::npos) << log;
  EXPECT_EQ(both.texts.at("time/workloads"), "board/w0\nboard/w1\nboard/w2\nboard/w3");
  EXPECT_NE(both.origin.data_hash, train_initializer(quick("proto"), training).origin.data_hash);
  std::swap(request.also[0], request.also[1]);
  expect_equal(both, train_initializer(request, training));
  request.name = "transfer";
  EXPECT_THROW(train_initializer(request, training), std::invalid_argument);
}

TEST(Registry, ProfileOfThreeRowsIsLeftOutOfTraining) {
  auto profiles = family(3);
  profiles[1].modes.resize(3);
  profiles[1].measurements.resize(3);
  std::string log;
  const auto checkpoint =
      train_initializer(quick("maml"), profiles, [&](const std::string& line) { log += line + "\n"; });
  EXPECT_NE(log.find("board/w1 is not trained on: it has 3 modes"), std::string::npos) << log;
  EXPECT_EQ(checkpoint.learner, "fine_tune");
}

TEST(Registry, DivergingRateNamesStepAndTask) {
  auto request = quick("maml");
  request.settings["inner_rate"] = "1e30";
  try {
    train_initializer(request, family(2));
    FAIL() << "no error";
  } catch (const Diverged& e) {
    EXPECT_NE(std::string(e.what()).find("in step 1, task board/"), std::string::npos) << e.what();
  }
}

TEST(Registry, UntrainedIsRandomInitOfTheSameRequest) {
  expect_equal(untrained(trained("maml")), trained("random-init"));
}

TEST(Registry, RandomInitHasMamlsSettingsAndOtherWeights) {
  const auto &maml = trained("maml"), &random = trained("random-init");
  EXPECT_EQ(maml.numbers, random.numbers);
  EXPECT_EQ(maml.tensors.at("feature_mean"), random.tensors.at("feature_mean"));
  EXPECT_NE(maml.tensors.at("time/weights"), random.tensors.at("time/weights"));
  EXPECT_EQ(random.texts.at("trained_by"), "random-init");
}

void forget_power(std::vector<datasets::Profile>& profiles) {
  for (auto& profile : profiles) {
    for (auto& m : profile.measurements) m.power_w = std::nan("");
  }
}

TEST(Pretrain, ReferenceHasTheWidestPowerRangeThatIsTheLargestRatio) {
  auto profiles = family(3);
  for (auto& profile : profiles) {
    for (auto& m : profile.measurements) m.power_w = 10;
  }
  profiles[0].measurements[0].power_w = 25;  // 15 W more, 2.5 times
  profiles[1].measurements[0].power_w = 2;   // 8 W less, 5 times
  profiles[2].measurements[0].time_ms = 1e6;
  EXPECT_EQ(choose_reference(profiles, {}).workload, "w1");
}

TEST(Pretrain, OfTwoWithoutPowerTheReferenceHasTheWidestTimeRange) {
  auto profiles = family(2);
  forget_power(profiles);
  profiles[1].measurements[0].time_ms = 1e6;
  EXPECT_EQ(choose_reference(profiles, {}).workload, "w1");
}

TEST(Pretrain, WithoutPowerTheReferenceIsOneThatTheOthersAreLearnedFrom) {
  // Two workloads alike, and one of the widest range of times that follows no clock at all.
  auto profiles = small_family(1);
  profiles.push_back(profiles[0]);
  profiles.push_back(profiles[0]);
  profiles[1].workload = "twin";
  profiles[2].workload = "noise";
  forget_power(profiles);
  hw::Rng rng(1);
  for (auto& m : profiles[2].measurements) m.time_ms = std::exp(rng.uniform(0, 8));
  PretrainOptions options;
  options.log_targets = true;
  options.recipe.epochs = 10;
  EXPECT_NE(choose_reference(profiles, options).workload, "noise");
}

TEST(Pretrain, LearnsTheReference) {
  const auto profile = tests::family_profile(0);
  PretrainOptions options{.log_targets = true, .recipe = {.epochs = 100}, .seed = 1};
  std::vector<std::string> lines;
  const auto model = pretrain(profile, options, [&](const std::string& line) { lines.push_back(line); });
  const auto all = tasks::samples_of(profile);
  const auto predicted = learners::Transfer(model).adapt(all)->predict(all.modes).median();
  EXPECT_LT(((predicted - all.targets).array() / all.targets.array()).abs().colwise().mean().maxCoeff(), 0.1);
  EXPECT_EQ(lines.size(), 2);
}

}  // namespace registry_test
}  // namespace fewwatt::meta
