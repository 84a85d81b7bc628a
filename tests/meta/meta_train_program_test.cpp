#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "datasets/profile_io.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/control/policy_net.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::meta {
namespace meta_train_program_test {

class MetaTrainProgram : public testing::Test {
 protected:
  void SetUp() override {
    datasets::ProfileStore store;
    store.profiles = tests::family(3);
    store.devices["board"];
    datasets::write_profiles(profiles, store);
  }
  // transfer, which trains in no time, unless another learner is named.
  tests::ProgramResult run(const std::string& more) {
    const std::string learner = more.find("--learner") == std::string::npos ? "--learner transfer " : "";
    return tests::run_program(
        "meta-train", "--profiles " + profiles + " --out " + out + " --steps 2 --shots 5 " + learner + more);
  }

  tests::TempDir dir;
  std::string profiles = dir / "p.h5", out = dir / "init.h5";
};

TEST_F(MetaTrainProgram, WritesAnInitializer) {
  const auto result = run("--learner maml --holdout-workloads w1 --seed 5 --json");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["training"], (std::vector<std::string>{"board/w0", "board/w2"}));
  const auto checkpoint = learners::read_checkpoint(out);
  EXPECT_EQ(checkpoint.learner, "fine_tune");
  EXPECT_EQ(checkpoint.texts.at("trained_by"), "maml");
  EXPECT_EQ(checkpoint.origin.seed, 5);
  EXPECT_EQ(checkpoint.origin.data_hash, json["data_hash"]);
}

TEST_F(MetaTrainProgram, TrainsOnEverythingWithoutAHoldOut) {
  EXPECT_EQ(run("--learner transfer").code, 0);
  EXPECT_EQ(learners::read_checkpoint(out).learner, "transfer");
}

TEST_F(MetaTrainProgram, UnknownHoldOutListsTheWorkloads) {
  const auto result = run("--holdout-workloads resnet18");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("--holdout-workloads"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("no workload resnet18"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("w0, w1, w2"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, UnknownLearnerListsTheKnownOnes) {
  const auto result = run("--learner mamml");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("fomaml"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, BadArgumentsAreWrongUsage) {
  EXPECT_EQ(run("--shots 5,x").code, 2);
  EXPECT_EQ(run("--nonsense").code, 2);
  for (const char* steps : {"-1", "99999999999"}) {
    const auto result = tests::run_program(
        "meta-train", "--profiles " + profiles + " --out " + out + " --steps " + std::string(steps));
    EXPECT_EQ(result.code, 2) << steps;
    EXPECT_NE(result.err.find("steps"), std::string::npos) << result.err;
  }
  EXPECT_EQ(tests::run_program("meta-train", "--out " + out).code, 2);
}

TEST_F(MetaTrainProgram, HoldingEverythingOutLeavesNothingToTrainOn) {
  const auto result = run("--holdout-workloads w0,w1,w2");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("--holdout-workloads"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, OneTrainingWorkloadIsEnough) {
  const auto result = run("--holdout-workloads w0,w1 --learner ridge");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("training ridge on 1 profile\n"), std::string::npos) << result.err;
  EXPECT_EQ(learners::read_checkpoint(out).texts.at("trained_by"), "ridge");
}

TEST_F(MetaTrainProgram, RateThatDivergesNamesStepAndTaskAndLeavesNothing) {
  for (const char* learner : {"maml", "reptile"}) {
    const auto result = run(std::string("--inner-rate 1e200 --learner ") + learner);
    EXPECT_EQ(result.code, 1) << learner;
    EXPECT_NE(result.err.find("is not finite in step 1, task board/w"), std::string::npos) << result.err;
    EXPECT_FALSE(std::filesystem::exists(out));
  }
}

TEST_F(MetaTrainProgram, RatesAndCountsThatMakeNoSenseAreWrongUsage) {
  for (const char* bad :
       {"--inner-rate 0", "--inner-rate nan", "--outer-rate -1", "--meta-batch 0", "--validate-every -1",
        "--inner-steps -1", "--patience x", "--set hidden=64,", "--set activation=step"}) {
    const auto result = run(std::string("--learner maml ") + bad);
    EXPECT_EQ(result.code, 2) << bad;
    EXPECT_NE(result.err.find("maml: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(" must be "), std::string::npos) << result.err;
  }
}

TEST_F(MetaTrainProgram, AnOptionThatTheLearnerDoesNotHaveIsWrongUsage) {
  for (const char* other : {"--set inner_rate=0.5", "--inner-rate 0.5"}) {
    const auto result = run(std::string("--learner proto ") + other);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find("proto has no option inner_rate; it has steps, outer_rate, kernel_rate"),
              std::string::npos)
        << result.err;
  }
  for (const char* bad : {"--set steps=3", "--set rate", "--set =1", "--set rate=1 --set rate=2"})
    EXPECT_EQ(run(bad).code, 2) << bad;  // --steps is given too
}

TEST_F(MetaTrainProgram, AHoldOutOfNothingIsWrongUsage) {
  for (const char* bad : {"--holdout-workloads ''", "--holdout-workloads ,", "--holdout-workloads w1,,w2",
                          "--holdout-devices ''", "--also ,"}) {
    const auto result = run(bad);
    EXPECT_EQ(result.code, 2) << bad;
    EXPECT_EQ(result.err.find("fewwatt meta-train: --"), 0U) << result.err;
    EXPECT_NE(result.err.find(": expected "), std::string::npos) << result.err;
    EXPECT_FALSE(std::filesystem::exists(out));
  }
}

TEST_F(MetaTrainProgram, WhatNoOuterLoopReadsIsWrongUsage) {
  const auto result = run("--learner transfer --log " + (dir / "log.jsonl"));
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("--log: training of transfer has no outer loop"), std::string::npos)
      << result.err;
  EXPECT_FALSE(std::filesystem::exists(dir / "log.jsonl"));
}

TEST_F(MetaTrainProgram, OptionsAreListed) {
  const auto result = tests::run_program("meta-train", "--list-options maml");
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* said :
       {"maml: MAML", "inner_rate = 0.1", "hidden = 64,64", "activation = silu", "meta_batch = 16"})
    EXPECT_NE(result.out.find(said), std::string::npos) << said << '\n' << result.out;
  EXPECT_NE(tests::run_program("meta-train", "--list-options stack").out.find("proto.kernel_rate = 0.05"),
            std::string::npos);
  EXPECT_EQ(tests::run_program("meta-train", "--list-options nobody").code, 2);
}

TEST_F(MetaTrainProgram, LogHasOneObjectPerStep) {
  const auto log = dir / "log.jsonl";
  ASSERT_EQ(run("--learner r2d2 --validate-every 1 --patience 0 --log " + log).code, 0);
  std::istringstream lines(tests::read_text(log));
  int steps = 0, validated = 0;
  double done = 0;
  for (std::string line; std::getline(lines, line); ++steps) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_GT(json["loss"], 0);
    EXPECT_GE(json["done"], done);
    done = json["done"];
    validated += json.contains("validation_error") ? 1 : 0;
  }
  EXPECT_GE(steps, 7);  // two in each of three folds, and at least one on all workloads
  EXPECT_EQ(validated, 6);
  EXPECT_EQ(done, 1);
}

// Trains much longer than the test waits.
class InterruptedMetaTrain : public MetaTrainProgram {
 protected:
  // SIGINT after `seconds`.
  tests::ProgramResult run_for(const std::string& seconds, const std::string& more) {
    const auto command = "timeout -s INT " + seconds + " " + tests::bin_dir() + "/fewwatt-meta-train " +
                         arguments + more + " >" + (dir / "o") + " 2>" + (dir / "e");
    const int status = std::system(command.c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return {code, tests::read_text(dir / "o"), tests::read_text(dir / "e")};
  }
  // SIGINT once there is a state.
  tests::ProgramResult run_until_saved(const std::string& more) {
    const auto command =
        tests::bin_dir() + "/fewwatt-meta-train " + arguments + more + " >" + (dir / "o") + " 2>" +
        (dir / "e") + " & pid=$!; while [ ! -e " + out +
        ".state ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done; kill -INT $pid; wait $pid";
    const int status = std::system(command.c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return {code, tests::read_text(dir / "o"), tests::read_text(dir / "e")};
  }
  std::string arguments = "--profiles " + profiles + " --out " + out + " --learner ridge --shots 5 ";
};

TEST_F(InterruptedMetaTrain, InTheFirstSecondLeavesAnInitializerOrNothing) {
  for (const char* seconds : {"0.05", "0.3", "0.9"}) {
    std::filesystem::remove(out);
    const auto result = run_for(seconds, "--steps 100000 --validate-every 5 --patience 0");
    // timeout's own exit code for a program that it had to stop
    EXPECT_EQ(result.code, 124) << result.err;
    if (std::filesystem::exists(out)) {
      EXPECT_EQ(learners::read_checkpoint(out).learner, "ridge");
      EXPECT_NE(result.err.find("--resume " + out + ".state"), std::string::npos) << result.err;
    } else if (result.err.find("interrupted") != std::string::npos) {  // else before it could say anything
      EXPECT_NE(result.err.find(out + " is not written"), std::string::npos) << result.err;
    }
    for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
      EXPECT_TRUE(std::set<std::string>({"p.h5", "init.h5", "init.h5.state", "o", "e"})
                      .contains(file.path().filename().string()))
          << file.path() << " is left over";
    }
  }
}

TEST_F(InterruptedMetaTrain, ResumedGivesTheSameFileAndRemovesTheState) {
  const std::string settings = "--steps 30 --meta-batch 4 --validate-every 5 --patience 0 ";
  ASSERT_EQ(tests::run_program("meta-train", arguments + settings).code, 0);
  const auto expected = tests::read_text(out);
  EXPECT_FALSE(std::filesystem::exists(out + ".state"));
  std::filesystem::remove(out);

  auto result = run_until_saved(settings);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("warning: interrupted"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("--resume " + out + ".state"), std::string::npos) << result.err;
  EXPECT_EQ(learners::read_checkpoint(out).learner, "ridge");
  ASSERT_TRUE(std::filesystem::exists(out + ".state"));
  const auto resume = [&](const std::string& more) {
    return tests::run_program("meta-train", arguments + settings + more + " --resume " + out + ".state");
  };
  result = resume("--seed 1");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("--seed 0, asked for is 1"), std::string::npos) << result.err;
  result = resume("--holdout-workloads w1");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("other profiles"), std::string::npos) << result.err;
  result = resume("");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(tests::read_text(out) == expected);
  EXPECT_FALSE(std::filesystem::exists(out + ".state"));
}

// An agent that is trained in no time.
class AgentMetaTrain : public InterruptedMetaTrain {
 protected:
  void SetUp() override {
    InterruptedMetaTrain::SetUp();
    arguments = "--profiles " + profiles + " --out " + out +
                " --learner ppo --set hidden=6 --set environments=2 --set steps=4 --set measurements=4"
                " --set candidates=8 --set board_candidates=10 --set validation_episodes=3 ";
  }
  tests::ProgramResult train(const std::string& more) {
    return tests::run_program("meta-train", arguments + more);
  }
};

TEST_F(AgentMetaTrain, WritesAnAgentAndSaysHowItWent) {
  const auto log = dir / "log.jsonl";
  const auto result = train("--steps 4 --validate-every 2 --seed 5 --json --log " + log);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["learner"], "ppo");
  EXPECT_EQ(json["adapted_by"], "policy");
  EXPECT_EQ(json["environment_steps"], 4 * 2 * 4);
  EXPECT_NE(result.err.find("best after "), std::string::npos) << result.err;
  const auto checkpoint = learners::read_checkpoint(out);
  EXPECT_EQ(checkpoint.origin.seed, 5);
  EXPECT_EQ(learners::PolicyModel::from_checkpoint(checkpoint).trained_by, "ppo");
  EXPECT_FALSE(std::filesystem::exists(out + ".state"));

  std::istringstream lines(tests::read_text(log));
  int updates = 0, validated = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto one = nlohmann::json::parse(line);
    if (one.contains("validation_return")) {
      EXPECT_TRUE(one.contains("regret")) << line;
      ++validated;
    } else {
      ++updates;
    }
    EXPECT_EQ(one["environment_steps"], one["step"].get<int>() * 8);
    EXPECT_TRUE(one.contains("steps_per_second") && one.contains("seconds_left")) << line;
  }
  EXPECT_EQ(updates, 4);
  EXPECT_EQ(validated, 2);
}

TEST_F(AgentMetaTrain, ResumedGivesTheSameFileAndRemovesTheState) {
  const std::string settings = "--steps 150 --validate-every 3 --patience 0 ";
  ASSERT_EQ(train(settings).code, 0);
  const auto expected = tests::read_text(out);
  std::filesystem::remove(out);

  auto result = run_until_saved(settings);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("warning: interrupted; the result is that of update "), std::string::npos)
      << result.err;
  EXPECT_NO_THROW(learners::PolicyModel::from_checkpoint(learners::read_checkpoint(out)));
  ASSERT_TRUE(std::filesystem::exists(out + ".state"));
  result = tests::run_program("inspect", out + ".state");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.find("  of/learner = ppo\n") != std::string::npos &&
              result.out.find("  update = ") != std::string::npos)
      << result.out;
  result = train(settings + "--set lambda=9 --resume " + out + ".state");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("--resume: the run has --set "), std::string::npos) << result.err;
  result = train(settings + "--resume " + out + ".state");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(tests::read_text(out) == expected);
  EXPECT_FALSE(std::filesystem::exists(out + ".state"));
}

TEST_F(AgentMetaTrain, WhatMakesNoSenseForAnAgentIsWrongUsage) {
  for (const auto& [option, said] : {std::pair("--set lambda=-1", "ppo: lambda must be"),
                                     {"--shots 5", "--shots: the agent ppo chooses its measurements"},
                                     {"--init old.h5", "--init: training of the agent ppo does not go on"},
                                     {"--meta-batch 4", "ppo has no option meta_batch; it has hidden"}}) {
    const auto result = train(option);
    EXPECT_EQ(result.code, 2) << option;
    EXPECT_NE(result.err.find(said), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST_F(AgentMetaTrain, AProfileWithoutPowerIsNamed) {
  datasets::ProfileStore store;
  store.profiles = tests::family(2, /*with_power=*/false);
  store.devices["board"];
  datasets::write_profiles(profiles, store);
  const auto result = train("--quiet");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err,
            "fewwatt meta-train: agents need profiles with time and power, board/w1 has no power\n");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(AgentMetaTrain, AnAgentIsNoInitializer) {
  ASSERT_EQ(train("--steps 1").code, 0);
  const auto adapted =
      tests::run_program("adapt", "--init " + out + " --profiles " + profiles +
                                      " --device board --workload w0 --shots 5 --out " + (dir / "model.h5"));
  EXPECT_NE(adapted.code, 0);
  EXPECT_NE(adapted.err.find("is an agent"), std::string::npos) << adapted.err;
  EXPECT_EQ(std::count(adapted.err.begin(), adapted.err.end(), '\n'), 1) << adapted.err;
  EXPECT_FALSE(std::filesystem::exists(dir / "model.h5"));
  const auto trained = tests::run_program(
      "meta-train", "--learner ridge --profiles " + profiles + " --init " + out + " --out " + (dir / "r.h5"));
  EXPECT_EQ(trained.code, 1);
  EXPECT_NE(trained.err.find("found one by ppo"), std::string::npos) << trained.err;
}

TEST_F(AgentMetaTrain, OptionsAreListed) {
  const auto result = tests::run_program("meta-train", "--list-options rl2");
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* said : {"rl2: RL^2", "memory = 64", "task = find", "candidates = 100", "lambda = 10"})
    EXPECT_NE(result.out.find(said), std::string::npos) << said << '\n' << result.out;
}

TEST_F(MetaTrainProgram, StateThatIsNoneIsNamed) {
  const auto result = run("--resume " + (dir / "nothing.h5"));
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("nothing.h5"), std::string::npos) << result.err;
  ASSERT_EQ(run("").code, 0);
  const auto other = run("--learner ridge --state " + (dir / "s.h5") + " --resume " + out);
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("must name the state"), std::string::npos) << other.err;
  EXPECT_TRUE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, FileThatIsNoProfileStoreIsNamed) {
  tests::write_text(profiles, "hello");
  const auto result = run("");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("p.h5"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, AddsToAnInitializer) {
  const std::string old = dir / "old.h5", two = "--learner ridge --holdout-workloads w2";
  ASSERT_EQ(run(two).code, 0);
  std::filesystem::rename(out, old);
  const auto result = run("--learner ridge --init " + old);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err.find("fold"), std::string::npos) << result.err;
  EXPECT_NE(learners::read_checkpoint(out).tensors, learners::read_checkpoint(old).tensors);

  EXPECT_NE(run("--learner maml --init " + old).err.find("found one by ridge"), std::string::npos);
  EXPECT_NE(run("--init " + profiles).err.find(profiles), std::string::npos);
  const auto same = tests::run_program(
      "meta-train", "--learner ridge --profiles " + profiles + " --init " + old + " --out " + old);
  EXPECT_NE(same.code, 0);
  EXPECT_NE(same.err.find(old), std::string::npos) << same.err;
}

TEST_F(MetaTrainProgram, QuietPrintsNothing) {
  const auto result = run("--learner transfer --quiet");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_TRUE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, OnlyACheckpointIsReplaced) {
  tests::write_text(out, "notes of years");
  const auto result = run("");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find(out + ": it is there already and is not a fewwatt-checkpoint file"),
            std::string::npos)
      << result.err;
  EXPECT_EQ(tests::read_text(out), "notes of years");
}

TEST_F(MetaTrainProgram, OutputThatCannotBeWrittenFailsBeforeTraining) {
  std::vector<std::string> bad = {dir / "nowhere/init.h5", dir.path().string()};
  const auto locked = dir.path() / "locked";
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(locked,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  if (access(locked.c_str(), W_OK) != 0) bad.push_back((locked / "init.h5").string());  // root may write
  for (const auto& path : bad) {
    out = path;
    const auto result = run("");
    EXPECT_EQ(result.code, 1) << path;
    EXPECT_NE(result.err.find(path), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.err.find("training"), std::string::npos) << result.err;
  }
}

}  // namespace meta_train_program_test
}  // namespace fewwatt::meta
