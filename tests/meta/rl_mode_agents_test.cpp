// Training of agents on profiles, from a request to a checkpoint that a board runs.

#include "meta/rl/mode_agents.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "learners/checkpoint_io.hpp"
#include "learners/control/controller.hpp"
#include "meta/registry.hpp"
#include "meta/rl/agent_state.hpp"
#include "meta/rl/validation.hpp"
#include "tests/learners/made_policies.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::meta {
namespace rl_mode_agents_test {

using Profiles = std::vector<datasets::Profile>;
using tests::family;

// The least that still has updates and validations to tell apart.
InitializerRequest quick(const std::string& name) {
  InitializerRequest request{.name = name, .seed = 3};
  request.settings = {{"measurements", "4"},        {"candidates", "8"},     {"board_candidates", "10"},
                      {"validation_episodes", "3"}, {"validate_every", "1"}, {"patience", "0"}};
  const learners::Settings small = {{"updates", "3"},     {"environments", "2"},   {"hidden", "6"},
                                    {"steps", "8"},       {"gradient_steps", "2"}, {"batch", "4"},
                                    {"warm_up", "4"},     {"capacity", "50"},      {"epochs", "2"},
                                    {"minibatches", "2"}, {"memory", "4"},         {"episodes", "2"}};
  for (const auto& option : learners::options_of(builtin().agents.find(name).options))
    if (small.contains(option.name)) request.settings[option.name] = small.at(option.name);
  return request;
}

// The agent of the quick request and three workloads, trained once for all tests that look at it.
const learners::Checkpoint& trained(const std::string& name) {
  static std::map<std::string, learners::Checkpoint> all;
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  return all[name] = train_initializer(quick(name), family(3));
}

// The state of a quick run that was stopped within it.
learners::Checkpoint stopped(const InitializerRequest& request, const Profiles& profiles) {
  learners::Checkpoint state;
  int asked = 0;
  run_training(request, profiles,
               {.interrupted = [&] { return ++asked > 7; },
                .save = [&](const learners::Checkpoint& s) { state = s; }});
  return state;
}

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

class EveryModeAgent : public testing::TestWithParam<std::string> {};

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto name : builtin().agents.names()) all.emplace_back(name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryModeAgent, testing::ValuesIn(names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_P(EveryModeAgent, SameRequestGivesTheSameFile) {
  const tests::TempDir dir;
  auto profiles = family(3);
  std::swap(profiles[0], profiles[2]);
  learners::write_checkpoint(dir / "a.h5", trained(GetParam()));
  learners::write_checkpoint(dir / "b.h5", train_initializer(quick(GetParam()), profiles));
  EXPECT_EQ(tests::read_text(dir / "a.h5"), tests::read_text(dir / "b.h5"));
  auto other = quick(GetParam());
  other.seed = 4;
  EXPECT_NE(train_initializer(other, profiles).tensors, trained(GetParam()).tensors);
}

// Stopped again and again, ever later, and each time resumed from a file.
TEST_P(EveryModeAgent, InterruptedAndResumedGivesTheSameFile) {
  const tests::TempDir dir;
  const auto profiles = family(3);
  std::optional<learners::Checkpoint> state;
  TrainedInitializer result;
  int stops = 0;
  for (int stop_after = 0;; stop_after = std::max(1, 2 * stop_after)) {
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
    learners::write_checkpoint(dir / "state.h5", *state);
    state = learners::read_checkpoint(dir / "state.h5");
  }
  EXPECT_EQ(result.checkpoint.tensors, trained(GetParam()).tensors);
  EXPECT_EQ(result.checkpoint.numbers, trained(GetParam()).numbers);
  EXPECT_EQ(result.checkpoint.texts, trained(GetParam()).texts);
  EXPECT_EQ(result.checkpoint.origin, trained(GetParam()).origin);
  EXPECT_GE(stops, 4);
}

TEST_P(EveryModeAgent, ItsCheckpointRunsOnABoard) {
  const auto& checkpoint = trained(GetParam());
  const auto agent = learners::PolicyModel::from_checkpoint(checkpoint);
  EXPECT_EQ(agent.trained_by, GetParam());
  EXPECT_EQ(agent.knobs, "clock/cpu clock/gpu clock/mem");
  ASSERT_TRUE(agent.mdp);
  EXPECT_EQ(agent.mdp->candidates, 10U);
  EXPECT_EQ(agent.mdp->measurements, 4U);
  EXPECT_EQ(checkpoint.origin.seed, 3U);
  EXPECT_EQ(checkpoint.origin.data_hash, hash_of(family(3)));
  tasks::ReplayWorld world(tests::family_profile(7), {.budget_w = 5});
  world.reset(1);
  EXPECT_NO_THROW(learners::check_policy(agent, *world.space()));
  const auto controller = learners::policy_controller(agent, world.space(), world.characteristics(), 1);
  int measured = 0;
  learners::run_controller(*controller, world, 10, [&](const learners::Visit&) { ++measured; });
  EXPECT_EQ(measured, 4);
}

TEST_P(EveryModeAgent, IsNoLearnerAndGoesOnFromNone) {
  EXPECT_NE(error_of([&] { learners::make_learner(trained(GetParam())); }).find("policy"), std::string::npos);
  auto request = quick(GetParam());
  request.init = trained(GetParam());
  EXPECT_NE(error_of([&] { train_initializer(request, family(3)); }).find("--init: "), std::string::npos);
}

TEST(ModeAgents, MoveAndRunAreTrainedToo) {
  auto request = quick("ppo");
  request.settings["actions"] = "move";
  request.settings["task"] = "run";
  request.settings["reward"] = "posed";
  request.settings["lambda"] = "3";
  const auto agent = learners::PolicyModel::from_checkpoint(train_initializer(request, family(2)));
  EXPECT_EQ(agent.mdp->actions, tasks::ModeActionKind::move);
  EXPECT_EQ(agent.mdp->task, tasks::ModeTask::run);
  EXPECT_EQ(agent.mdp->reward, tasks::RewardForm::posed);
  EXPECT_EQ(agent.mdp->lambda, 3);
}

TEST(ModeAgents, AlsoIsTrainedOn) {
  auto request = quick("a2c");
  auto other = tests::family_profile(8);
  other.device = "other";
  request.also = {other};
  const auto with = train_initializer(request, family(3));
  EXPECT_NE(with.tensors, trained("a2c").tensors);
  EXPECT_NE(with.origin.data_hash, trained("a2c").origin.data_hash);
}

TEST(ModeAgents, OneProfileIsEnough) {
  std::string log;
  train_initializer(quick("ppo"), family(1), [&](const std::string& line) { log += line + '\n'; });
  EXPECT_NE(log.find("validated on the same profile"), std::string::npos) << log;
  EXPECT_NE(log.find("best after "), std::string::npos) << log;
  EXPECT_FALSE(std::regex_search(log, std::regex("[.][0-9]{6}"))) << "not a number for people: " << log;
}

TEST(ModeAgents, TellHowFarTheyAre) {
  std::vector<RunProgress> told;
  run_training(quick("ppo"), family(3), {.progress = [&](const RunProgress& now) { told.push_back(now); }});
  ASSERT_EQ(told.size(), 6U);  // three updates, and a validation after each
  for (std::size_t i = 0; i < told.size(); ++i) {
    ASSERT_TRUE(told[i].agent);
    EXPECT_EQ(told[i].progress.step, static_cast<int>(i / 2) + 1);
    EXPECT_EQ(told[i].progress.steps, 3);
    EXPECT_EQ(told[i].agent->training.steps, 16 * told[i].progress.step);  // 8 in each of two environments
    const bool validated = i % 2 == 1;
    EXPECT_EQ(!std::isnan(told[i].agent->training.validation_return), validated);
    EXPECT_EQ(!std::isnan(told[i].agent->regret), validated);
  }
  EXPECT_EQ(told.back().done, 1);
}

TEST(ModeAgents, InterruptedAtOnceLeavesAStateAlone) {
  std::optional<learners::Checkpoint> state;
  const auto result = run_training(
      quick("ppo"), family(3),
      {.interrupted = [] { return true; }, .save = [&](const learners::Checkpoint& s) { state = s; }});
  EXPECT_EQ(result.stop, Stop::interrupted);
  EXPECT_EQ(result.checkpoint.learner, "");
  EXPECT_EQ(result.message, "interrupted before the first update");
  EXPECT_TRUE(state);
}

TEST(ModeAgents, AStateOfAnotherRunIsRefused) {
  const auto state = stopped(quick("ppo"), family(3));
  const auto refusal = [&](const InitializerRequest& request, const Profiles& profiles,
                           const learners::Checkpoint& resume) {
    return error_of([&] { run_training(request, profiles, {}, &resume); });
  };
  EXPECT_EQ(refusal(quick("ppo"), family(3), state), "");
  EXPECT_EQ(refusal(quick("a2c"), family(3), state), "--resume: the run has --learner ppo, asked for is a2c");
  auto other = quick("ppo");
  other.seed = 8;
  EXPECT_EQ(refusal(other, family(3), state), "--resume: the run has --seed 3, asked for is 8");
  other = quick("ppo");
  other.settings["lambda"] = "11";
  EXPECT_NE(refusal(other, family(3), state).find("--resume: the run has --set "), std::string::npos);
  EXPECT_EQ(refusal(quick("ppo"), family(2), state),
            "--resume: the run was trained on other profiles, or held out others");
  EXPECT_EQ(refusal(quick("ppo"), family(3), trained("ppo")),
            "--resume must name the state of a training run, is a checkpoint of policy");
}

TEST(ModeAgents, SettingsThatMakeNoSenseAreRefused) {
  const auto refusal = [](const std::string& name, const std::string& value) {
    auto request = quick("ppo");
    request.settings[name] = value;
    return error_of([&] { train_initializer(request, family(3)); });
  };
  for (const auto& [name, value] : {std::pair("lambda", "-1"),
                                    {"lambda", "nan"},
                                    {"measurements", "1"},
                                    {"switch_share", "1"},
                                    {"validation_share", "0"},
                                    {"rate", "0"}})
    EXPECT_EQ(refusal(name, value).find(std::string("ppo: ") + name + " must be"), 0U)
        << refusal(name, value);
  EXPECT_NE(refusal("no_such", "1").find("ppo has no option no_such; it has hidden"), std::string::npos);
}

TEST(ModeAgents, ProfilesThatTeachNothingAreNamed) {
  const auto refusal = [](const datasets::Profile& profile) {
    auto profiles = family(2);
    profiles.push_back(profile);
    return error_of([&] { train_initializer(quick("ppo"), profiles); });
  };
  EXPECT_EQ(refusal(tests::family_profile(5, /*with_power=*/false)),
            "agents need profiles with time and power, board/w5 has no power");
  auto late = tests::family_profile(5);
  for (auto& m : late.measurements) m.time_ms = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(refusal(late), "agents need profiles with time and power, board/w5 has no time");
  auto still = tests::family_profile(5);
  still.modes.resize(1);
  still.measurements.resize(1);
  EXPECT_EQ(refusal(still), "agents need profiles with at least 2 modes, board/w5 has 1");
}

// Its loss is finite until an update.
class Wild final : public NetTrainer {
 public:
  Wild(const MakeEnvironment& make, int diverges)
      : NetTrainer("wild", "preferences",
                   policy_shape(*example_of(make), {4}, learners::Activation::tanh, /*memory=*/0, true),
                   NetTrainOptions{.updates = 10}, 1),
        diverges_(diverges) {}

 private:
  UpdateReport act_and_learn() override {
    const double loss = updates_done() + 1 == diverges_ ? std::numeric_limits<double>::quiet_NaN() : 1.0;
    descend({loss, Vector::Ones(parameters().size())});
    return {loss, 1, {}};
  }
  void save(learners::Checkpoint&) const override {}
  void load(const learners::Checkpoint&) override {}

  int diverges_;
};

TrainedInitializer train_wild(int diverges) {
  auto registry = builtin();
  registry.agents.add({.name = "wild",
                       .about = "diverges",
                       .make = [=](const MakeEnvironment& make, const learners::Settings&, std::uint64_t) {
                         return std::make_unique<Wild>(make, diverges);
                       }});
  InitializerRequest request{.name = "wild"};
  request.settings = {{"validate_every", "2"}, {"validation_episodes", "2"}, {"measurements", "3"}};
  return run_training(request, family(3), {}, nullptr, registry);
}

TEST(ModeAgents, ThatDivergeSayWhereAndKeepTheBest) {
  const auto result = train_wild(6);
  EXPECT_EQ(result.stop, Stop::diverged);
  const std::string where = "wild: the loss or its gradient is not finite in update 6; ";
  EXPECT_EQ(result.message.find(where + "the result is that of update "), 0U) << result.message;
  EXPECT_EQ(learners::PolicyModel::from_checkpoint(result.checkpoint).trained_by, "wild");
  EXPECT_THROW(train_wild(1), Diverged);
  EXPECT_EQ(train_wild(100).stop, Stop::finished);
}

TEST(SplitForValidation, LeavesOutWholeWorkloads) {
  Profiles profiles;
  for (const char* device : {"a", "b"})
    for (int i = 0; i < 5; ++i) {
      profiles.push_back(tests::family_profile(i));
      profiles.back().device = device;
    }
  for (const double share : {0.01, 0.4, 0.9}) {
    const auto split = split_for_validation(profiles, share, 1);
    EXPECT_EQ(split.validate.size(), share < 0.1 ? 2U : share < 0.5 ? 4U : 8U);
    EXPECT_EQ(split.train.size() + split.validate.size(), profiles.size());
    for (const auto& out : split.validate)
      for (const auto& kept : split.train) EXPECT_NE(out.workload, kept.workload);
  }
}

TEST(SplitForValidation, OfOneWorkloadLeavesOutProfiles) {
  Profiles profiles = {tests::family_profile(1), tests::family_profile(1), tests::family_profile(1)};
  profiles[1].device = "other";
  profiles[2].device = "third";
  const auto split = split_for_validation(profiles, 0.2, 1);
  EXPECT_EQ(split.validate.size(), 1U);
  EXPECT_EQ(split.train.size(), 2U);
  const auto one = split_for_validation({profiles[0]}, 0.2, 1);
  EXPECT_EQ(one.train.size(), 1U);
  EXPECT_EQ(one.validate.size(), 1U);
}

// The lower mode and the higher one.
datasets::Profile two_modes(hw::Measurement low, hw::Measurement high) {
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "net";
  profile.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {100000, 200000}}}));
  profile.modes = profile.space->modes();
  profile.measurements = {low, high};
  return profile;
}

// Of an agent that takes the first action always, a step down: the lowest mode.
ModeValidation of_the_lowest_mode(const datasets::Profile& profile, tasks::ModeTask task) {
  auto agent = tests::made_mode_policy(*profile.space, /*memory=*/0);
  agent.score.weights.setZero();
  agent.scores = learners::Scores::values;  // the first of equal values is taken
  const Profiles profiles = {profile};
  const tasks::ModeMdpOptions mdp{.task = task, .actions = tasks::ModeActionKind::move, .measurements = 5};
  return validate_mode_agent(agent, tasks::ReplayPopulation(profiles), mdp, /*episodes=*/7, /*seed=*/1);
}

TEST(ValidateModeAgent, RegretIsTheTimeOverThatOfTheFastestModeInside) {
  using enum tasks::ModeTask;
  const auto inside = two_modes({20, 4}, {10, 8}), over = two_modes({5, 8}, {10, 4});
  EXPECT_EQ(of_the_lowest_mode(inside, find).regret, 0);
  EXPECT_EQ(of_the_lowest_mode(inside, run).regret, 0);
  EXPECT_EQ(of_the_lowest_mode(over, find).regret, std::numeric_limits<double>::infinity());
  EXPECT_NEAR(of_the_lowest_mode(over, run).regret, -50, 1e-9);
  const auto slow = two_modes({20, 4}, {10, 4});
  EXPECT_NEAR(of_the_lowest_mode(slow, find).regret, 100, 1e-9);
}

TEST(ValidateModeAgent, ReturnIsThatOfTheEnvironments) {
  const auto profiles = family(3);
  const auto population = std::make_shared<const tasks::ReplayPopulation>(profiles);
  const auto agent = tests::made_mode_policy(*profiles[0].space);
  const tasks::ModeMdpOptions mdp{.measurements = 6, .candidates = 20};
  learners::NetPolicy policy(agent);
  const auto found = validate_mode_agent(agent, *population, mdp, 9, 5);
  EXPECT_EQ(found.mean_return, mean_return(policy, mode_environments(population, mdp), 9, 5));
  EXPECT_GE(found.regret, 0);
  EXPECT_THROW(validate_mode_agent(agent, *population, mdp, 9, 5, [] { return true; }), Interrupted);
}

TEST(ModeEnvironments, EpisodesDifferInLength) {
  const auto profiles = family(3);
  const auto population = std::make_shared<const tasks::ReplayPopulation>(profiles);
  const auto make = mode_environments(population, {.measurements = 6}, {.least_measurements = 3});
  std::set<std::size_t> lengths;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto environment = make(seed);
    environment->reset(seed);
    std::size_t told = 1;
    for (bool ended = false; !ended; ++told) ended = environment->step(0).ended();
    lengths.insert(told);
  }
  EXPECT_EQ(lengths, (std::set<std::size_t>{3, 4, 5, 6}));
}

TEST(ModeEnvironments, AShieldBarsWhatIsTrulyOverTheBudget) {
  const auto population = std::make_shared<const tasks::ReplayPopulation>(family(3));
  for (const bool shielded : {false, true}) {
    const auto make = mode_environments(population, {.task = tasks::ModeTask::run, .measurements = 6},
                                        {.shielded = shielded});
    const auto environment = make(1);
    environment->reset(1);
    EXPECT_EQ(!environment->spent().empty(), shielded);
  }
}

TEST(ValidateModeAgent, OfAChangingWorldRegretIsAgainstTheFastestModeOfEachStep) {
  // The lower mode is the fastest inside of the first profile, the higher one, half as slow, of the second.
  auto first = two_modes({20, 4}, {10, 9}), second = two_modes({40, 4}, {20, 4});
  second.workload = "other";
  const Profiles profiles = {first, second};
  auto agent = tests::made_mode_policy(*first.space, /*memory=*/0);
  agent.score.weights.setZero();
  agent.scores = learners::Scores::values;  // the lower mode always
  const tasks::ReplayPopulation population(profiles);
  const tasks::ModeMdpOptions mdp{.task = tasks::ModeTask::run, .measurements = 30};
  std::set<double> found;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    found.insert(validate_mode_agent(agent, population, mdp, 1, seed, {}, {.changes = 1}).regret);
  // From 0 to 100 % by the share of steps in the second profile.
  EXPECT_GT(found.size(), 5u);
  EXPECT_GE(*found.begin(), 0);
  EXPECT_LE(*found.rbegin(), 100 + 1e-9);
}

TEST(EpisodeVariety, IsChecked) {
  const tasks::ModeMdpOptions find{.measurements = 6}, run{.task = tasks::ModeTask::run, .measurements = 6};
  EXPECT_EQ((EpisodeVariety{.least_measurements = 6}.error(find)), "");
  EXPECT_EQ((EpisodeVariety{.changes = 2}.error(run)), "");
  EXPECT_NE((EpisodeVariety{.least_measurements = 7}.error(find)).find("got 7"), std::string::npos);
  EXPECT_NE((EpisodeVariety{.least_measurements = 1}.error(find)).find("got 1"), std::string::npos);
  EXPECT_NE((EpisodeVariety{.changes = 1}.error(find)).find("task=run"), std::string::npos);
}

TEST(AgentState, IsReadBack) {
  AgentTrainState state;
  state.update = 7;
  state.validated = 5;
  state.steps = 700;
  state.episodes = 60;
  state.best_update = 5;
  state.best_return = -0.25;
  state.not_better = 1;
  state.best.learner = "policy";
  state.best.numbers["a/b"] = {1, 2};
  state.agent.learner = "ppo-state";
  state.agent.tensors["parameters"] = Matrix::Ones(1, 3);
  learners::Checkpoint file;
  put_state(state, file);
  const auto found = take_state(file);
  EXPECT_EQ(found.update, 7);
  EXPECT_EQ(found.validated, 5);
  EXPECT_EQ(found.steps, 700);
  EXPECT_EQ(found.episodes, 60);
  EXPECT_EQ(found.best_update, 5);
  EXPECT_EQ(found.best_return, -0.25);
  EXPECT_EQ(found.not_better, 1);
  EXPECT_EQ(found.best.learner, "policy");
  EXPECT_EQ(found.best.numbers, state.best.numbers);
  EXPECT_EQ(found.agent.learner, "ppo-state");
  EXPECT_EQ(found.agent.tensors, state.agent.tensors);
}

TEST(AgentState, WithoutABestOneHasNone) {
  AgentTrainState state;
  state.agent.learner = "ppo-state";
  learners::Checkpoint file;
  put_state(state, file);
  const auto found = take_state(file);
  EXPECT_EQ(found.best_update, -1);
  EXPECT_EQ(found.best_return, -std::numeric_limits<double>::infinity());
}

TEST(AgentState, NumbersOutOfBoundsAreNamed) {
  const auto good = stopped(quick("ppo"), family(3));
  EXPECT_NO_THROW(take_state(good));
  for (const auto& [name, value] : {std::pair("update", -1.0),
                                    {"update", 0.5},
                                    {"update", std::nan("")},
                                    {"validated", 1e6},
                                    {"steps", -1.0},
                                    {"steps", 0.5},
                                    {"episodes", 1e300},
                                    {"best_update", 1e6},
                                    {"not_better", -1.0},
                                    {"best_return", std::nan("")},
                                    {"best_return", std::numeric_limits<double>::infinity()}}) {
    auto bad = good;
    bad.numbers[name] = {value};
    EXPECT_NE(error_of([&] { take_state(bad); }).find(name), std::string::npos) << name << ' ' << value;
  }
  for (const char* name : {"update", "validated", "steps", "episodes", "best_update", "not_better"}) {
    auto bad = good;
    bad.numbers.erase(name);
    EXPECT_NE(error_of([&] { take_state(bad); }).find(name), std::string::npos) << name;
  }
  auto bad = good;
  bad.texts.erase("agent/learner");
  EXPECT_NE(error_of([&] { take_state(bad); }).find("agent/learner"), std::string::npos);
}

TEST(Registry, NoAgentHasTheNameOfAMetaLearner) {
  for (const auto& agent : builtin().agents) EXPECT_EQ(builtin().meta_learners.look_up(agent.name), nullptr);
  EXPECT_TRUE(training_facts("rl2").is_agent);
  EXPECT_TRUE(training_facts("rl2").has_outer_loop);
  EXPECT_FALSE(training_facts("maml").is_agent);
  const auto unknown = error_of([] { training_facts("rl3"); });
  EXPECT_NE(unknown.find("fomaml"), std::string::npos);
  EXPECT_NE(unknown.find("maml-policy"), std::string::npos);
}

}  // namespace rl_mode_agents_test
}  // namespace fewwatt::meta
