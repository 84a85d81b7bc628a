// What fewwatt inspect says of agents and of states of training runs.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hw/modules.hpp"
#include "learners/checkpoint_io.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/made_policies.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace inspect_program_test {

using nlohmann::json;

class InspectCheckpoints : public testing::Test {
 protected:
  static hw::PowerModeSpace orin() { return hw::module_space("orin-agx-64", "coarse"); }
  static learners::Checkpoint agent() {
    auto model = made_mode_policy(orin());
    model.trained_by = "rl2";
    model.mdp->task = tasks::ModeTask::run;
    model.mdp->actions = tasks::ModeActionKind::move;
    model.mdp->reward = tasks::RewardForm::log;
    model.mdp->measurements = 12;
    model.mdp->candidates = 300;
    return model.to_checkpoint();
  }
  static learners::Checkpoint state() {
    learners::Checkpoint made;
    made.learner = learners::kTrainingState;
    made.texts = {{"of/learner", "ppo"}, {"of/seed", "3"}, {"agent/learner", "ppo-state"}};
    made.numbers = {{"update", {40}},      {"validated", {25}}, {"steps", {5e9}},       {"episodes", {700}},
                    {"best_update", {25}}, {"not_better", {0}}, {"best_return", {-2.5}}};
    made.tensors["agent/parameters"] = tasks::Matrix::Ones(1, 3);
    return made;
  }
  json inspected(const learners::Checkpoint& checkpoint) {
    learners::write_checkpoint(path_, checkpoint);
    const auto result = run_program("inspect", path_ + " --check --json");
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out);
  }
  std::string printed(const learners::Checkpoint& checkpoint) {
    learners::write_checkpoint(path_, checkpoint);
    const auto result = run_program("inspect", path_);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  // One sentence that names the file and says so.
  void expect_refused(const learners::Checkpoint& checkpoint, const std::string& says) {
    learners::write_checkpoint(path_, checkpoint);
    const auto result = run_program("inspect", path_);
    EXPECT_EQ(result.code, 1) << says;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(path_ + ": "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(says), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }

  TempDir dir_;
  std::string path_ = dir_ / "a.h5";
};

TEST_F(InspectCheckpoints, AnAgentSaysWhatItWasTrainedFor) {
  const auto object = inspected(agent());
  EXPECT_EQ(object.at("attributes").at("learner"), "policy");
  EXPECT_EQ(object.at("agent"), json::object({{"trained_by", "rl2"},
                                              {"environment", tasks::kModeMdp},
                                              {"knobs", agent().text("knobs")},
                                              {"memory", 5},
                                              {"task", "run"},
                                              {"actions", "move"},
                                              {"reward", "log"},
                                              {"measurements", 12},
                                              {"candidates", 300}}));
  const auto text = printed(agent());
  for (const auto* line : {"  learner = policy\n", "\nagent\n  actions = move\n", "  candidates = 300\n",
                           "  measurements = 12\n", "  memory = 5\n", "  reward = log\n", "  task = run\n",
                           "  trained_by = rl2\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(InspectCheckpoints, AnAgentOfAnotherEnvironmentHasNoTask) {
  const auto other = inspected(made_policy({.observation = 4, .action = 2}).to_checkpoint()).at("agent");
  EXPECT_EQ(other.at("environment"), "none");
  EXPECT_EQ(other.at("memory"), 0);
  EXPECT_FALSE(other.contains("task") || other.contains("measurements"));
}

TEST_F(InspectCheckpoints, TheStateOfAnAgentSaysWhichRunItIsOfAndWhereItStands) {
  EXPECT_EQ(inspected(state()).at("training_state"), json::object({{"of/learner", "ppo"},
                                                                   {"of/seed", "3"},
                                                                   {"update", 40},
                                                                   {"validated", 25},
                                                                   {"steps", 5'000'000'000},
                                                                   {"episodes", 700},
                                                                   {"best_update", 25},
                                                                   {"not_better", 0},
                                                                   {"best_return", -2.5}}));
  const auto text = printed(state());
  EXPECT_NE(text.find("\nstate of a training run\n  best_return = -2.5\n  best_update = 25\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  of/learner = ppo\n"), std::string::npos) << text;
  auto none_best = state();
  none_best.numbers["best_update"] = {-1};
  none_best.numbers.erase("best_return");
  EXPECT_EQ(inspected(none_best).at("training_state").at("best_update"), -1);
}

TEST_F(InspectCheckpoints, InitializersAndStatesOfOtherLearnersHaveNoAgent) {
  const auto initializer = inspected(random_fine_tune(orin()));
  EXPECT_FALSE(initializer.contains("agent") || initializer.contains("training_state"));
  learners::Checkpoint other;
  other.learner = learners::kTrainingState;
  other.texts = {{"of/learner", "reptile"}, {"state/learner", "reptile-state"}};
  EXPECT_EQ(inspected(other).at("training_state"), json::object({{"of/learner", "reptile"}}));
}

TEST_F(InspectCheckpoints, WhatIsDamagedIsNamed) {
  auto damaged = agent();
  damaged.texts.erase("mdp/task");
  expect_refused(damaged, "no text mdp/task");
  damaged = agent();
  damaged.texts["mdp/reward"] = "gold";
  expect_refused(damaged, "mdp/reward must be one of scaled, posed, log, found gold");
  damaged = agent();
  damaged.tensors["score/weights"] = tasks::Matrix::Ones(1, 3);
  expect_refused(damaged, "score/weights: expected ");
  damaged = state();
  damaged.numbers.erase("steps");
  expect_refused(damaged, "no number steps");
  damaged = state();
  damaged.numbers["update"] = {1.5};
  expect_refused(damaged, "update must be a whole number, found 1.5");
  damaged = state();
  damaged.texts.erase("of/learner");
  expect_refused(damaged, "no text of/learner");
}

TEST_F(InspectCheckpoints, AnAgentShowsNothingThatActsOnATerminal) {
  auto model = made_policy({.observation = 4, .action = 2});
  model.trained_by = "\x1b[2J";
  EXPECT_NE(printed(model.to_checkpoint()).find("trained_by = \\x1b[2J\n"), std::string::npos);
}

}  // namespace inspect_program_test
}  // namespace fewwatt::tests
