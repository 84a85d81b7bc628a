#include "tasks/split.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/tasks/made_up_profiles.hpp"

namespace fewwatt::tasks {
namespace split_test {

using Names = std::set<std::string>;

Names names(const std::vector<datasets::Profile>& profiles) {
  Names all;
  for (const auto& profile : profiles) all.insert(profile.device + "/" + profile.workload);
  return all;
}

void expect_error(const HoldOut& hold_out, const std::vector<std::string>& parts) {
  try {
    split_profiles(tests::made_up_profiles(), hold_out);
    FAIL() << "no error";
  } catch (const std::invalid_argument& e) {
    for (const auto& part : parts) EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Split, ByWorkloadHoldsItOutOnEveryDevice) {
  const auto split = split_profiles(tests::made_up_profiles(), {.workloads = {"bert"}, .devices = {}});
  EXPECT_EQ(names(split.test), (Names{"board-a/bert", "board-b/bert"}));
  EXPECT_EQ(names(split.train), (Names{"board-a/lstm", "board-a/resnet", "board-b/lstm", "board-b/resnet"}));
}

TEST(Split, ByDeviceHoldsOutItsEveryWorkload) {
  const auto split = split_profiles(tests::made_up_profiles(), {.workloads = {}, .devices = {"board-b"}});
  EXPECT_EQ(names(split.test), (Names{"board-b/bert", "board-b/lstm", "board-b/resnet"}));
  EXPECT_EQ(names(split.train), (Names{"board-a/bert", "board-a/lstm", "board-a/resnet"}));
}

TEST(Split, ByBothTestsOnlyWhatIsNewInBothWays) {
  const auto split =
      split_profiles(tests::made_up_profiles(), {.workloads = {"bert"}, .devices = {"board-b"}});
  EXPECT_EQ(names(split.test), (Names{"board-b/bert"}));
  EXPECT_EQ(names(split.train), (Names{"board-a/lstm", "board-a/resnet"}));
}

TEST(Split, UnknownNamesListWhatThereIs) {
  expect_error({.workloads = {"bert", "vgg"}, .devices = {}}, {"workload vgg", "bert, lstm, resnet"});
  expect_error({.workloads = {}, .devices = {"board-c"}}, {"device board-c", "board-a, board-b"});
}

TEST(Split, NothingToTestIsAnError) {
  expect_error({}, {"nothing is left to test", "bert, lstm, resnet", "board-a, board-b"});
  std::vector<datasets::Profile> diagonal = {tests::made_up_profile("board-a", "bert"),
                                             tests::made_up_profile("board-b", "lstm")};
  EXPECT_THROW(split_profiles(diagonal, {.workloads = {"bert"}, .devices = {"board-b"}}),
               std::invalid_argument);
}

}  // namespace split_test
}  // namespace fewwatt::tasks
