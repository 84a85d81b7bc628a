#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "datasets/profile_io.hpp"
#include "learners/checkpoint_io.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::meta {
namespace {

class MetaTrainProgram : public testing::Test {
 protected:
  void SetUp() override {
    datasets::ProfileStore store;
    store.profiles = tests::family(3);
    store.devices["board"];
    datasets::write_profiles(profiles, store);
  }
  tests::ProgramResult run(const std::string& more) {
    return tests::run_program("meta-train",
                              "--profiles " + profiles + " --out " + out + " --steps 2 --shots 5 " + more);
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
  for (const char* steps : {"-1", "1e3", "99999999999"}) {
    const auto result = tests::run_program(
        "meta-train", "--profiles " + profiles + " --out " + out + " --steps " + std::string(steps));
    EXPECT_EQ(result.code, 2) << steps;
    EXPECT_NE(result.err.find("steps"), std::string::npos) << result.err;
  }
  EXPECT_EQ(tests::run_program("meta-train", "--out " + out).code, 2);
}

TEST_F(MetaTrainProgram, FileThatIsNoProfileStoreIsNamed) {
  tests::write_text(profiles, "hello");
  const auto result = run("");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("p.h5"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MetaTrainProgram, QuietPrintsNothing) {
  const auto result = run("--learner transfer --quiet");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_TRUE(std::filesystem::exists(out));
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

}  // namespace
}  // namespace fewwatt::meta
