#include "meta/rl/agent_training.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

namespace fewwatt::meta {
namespace rl_training_test {

// Counts its updates, of two steps and one episode each. Diverges in update `diverges`.
class Counter final : public AgentTrainer {
 public:
  explicit Counter(int diverges = 0) : diverges_(diverges) {}
  UpdateReport update() override {
    if (updates_ + 1 == diverges_) throw Diverged("counter: update " + std::to_string(diverges_));
    ++updates_;
    return {0.5, 2, {static_cast<double>(updates_)}};
  }
  learners::Checkpoint snapshot() const override { return state(); }
  learners::Checkpoint state() const override {
    learners::Checkpoint state;
    state.numbers["updates"] = {static_cast<double>(updates_)};
    return state;
  }
  void set_state(const learners::Checkpoint& state) override { updates_ = state.integer("updates", 0, 1000); }

 private:
  int diverges_, updates_ = 0;
};

double updates_of(const learners::Checkpoint& snapshot) {
  return snapshot.number("updates");
}
// Best after 6 updates.
double best_at_6(const learners::Checkpoint& snapshot, const StopCheck&) {
  return -std::abs(updates_of(snapshot) - 6);
}

TEST(TrainAgent, KeepsTheBestSnapshot) {
  Counter counter;
  const auto summary = train_agent(counter, best_at_6, {.updates = 11, .validate_every = 2});
  EXPECT_EQ(summary.stop, Stop::finished);
  EXPECT_EQ(summary.updates, 11);
  EXPECT_EQ(summary.steps, 22);
  EXPECT_EQ(summary.episodes, 11);
  EXPECT_EQ(summary.best_update, 6);
  EXPECT_EQ(summary.best_return, 0);
  EXPECT_EQ(updates_of(summary.best), 6);
}

TEST(TrainAgent, WithoutValidationTheLastSnapshotIsKept) {
  Counter counter;
  EXPECT_EQ(updates_of(train_agent(counter, {}, {.updates = 7, .validate_every = 5}).best), 7);
}

TEST(TrainAgent, StopsWhenPatienceIsOver) {
  Counter counter;
  const auto summary = train_agent(counter, best_at_6, {.updates = 100, .validate_every = 2, .patience = 3});
  EXPECT_EQ(summary.stop, Stop::patience);
  EXPECT_EQ(summary.updates, 12);
}

TEST(TrainAgent, StopsWhenAValidationIsEnough) {
  Counter counter;
  const auto summary = train_agent(counter, best_at_6, {.updates = 100, .validate_every = 1, .enough = -2});
  EXPECT_EQ(summary.stop, Stop::finished);
  EXPECT_EQ(summary.updates, 4);
}

TEST(TrainAgent, DivergedKeepsTheBestSoFar) {
  for (const bool validated : {true, false}) {
    Counter counter(6);
    const auto summary = train_agent(counter, validated ? ReturnOf(best_at_6) : ReturnOf(),
                                     {.updates = 100, .validate_every = 2});
    EXPECT_EQ(summary.stop, Stop::diverged);
    EXPECT_EQ(summary.message, "counter: update 6");
    EXPECT_EQ(updates_of(summary.best), 4);
  }
}

TEST(TrainAgent, DivergedBeforeThereIsAnythingToKeepIsAnError) {
  Counter counter(2);
  EXPECT_THROW(train_agent(counter, best_at_6, {.updates = 100, .validate_every = 2}), Diverged);
}

TEST(TrainAgent, ReturnsThatAreNotFiniteAreNotKept) {
  Counter counter, other;
  const auto late = [](const learners::Checkpoint& snapshot, const StopCheck&) {
    return updates_of(snapshot) < 5 ? std::numeric_limits<double>::quiet_NaN() : updates_of(snapshot);
  };
  EXPECT_EQ(train_agent(counter, late, {.updates = 8, .validate_every = 2}).best_update, 8);
  const auto never = [](const learners::Checkpoint&, const StopCheck&) {
    return std::numeric_limits<double>::infinity();
  };
  EXPECT_THROW(train_agent(other, never, {.updates = 8, .validate_every = 2}), Diverged);
}

TEST(TrainAgent, InterruptedKeepsTheBestSoFar) {
  Counter counter;
  int asked = 0;
  const auto summary = train_agent(counter, best_at_6, {.updates = 100, .validate_every = 2},
                                   {.interrupted = [&] { return ++asked > 9; }});
  EXPECT_EQ(summary.stop, Stop::interrupted);
  EXPECT_EQ(summary.updates, 9);
  EXPECT_EQ(summary.best_update, 6);
}

TEST(TrainAgent, InterruptedAtOnceHasNothing) {
  Counter counter;
  const auto summary = train_agent(counter, best_at_6, {.updates = 5}, {.interrupted = [] { return true; }});
  EXPECT_EQ(summary.best_update, -1);
  EXPECT_EQ(summary.updates, 0);
}

TEST(TrainAgent, ResumedEqualsUninterruptedAlsoWithinAValidation) {
  const ReturnOf validate = [](const learners::Checkpoint& snapshot, const StopCheck& interrupted) {
    throw_if_told(interrupted);
    return std::sin(updates_of(snapshot));
  };
  const AgentTrainOptions options{.updates = 20, .validate_every = 2};
  Counter whole;
  const auto expected = train_agent(whole, validate, options);
  for (int stop_after = 1; stop_after < 30; ++stop_after) {
    Counter first, second;
    std::optional<AgentTrainState> state;
    int asked = 0;
    const auto part = train_agent(first, validate, options,
                                  {.interrupted = [&] { return ++asked > stop_after; },
                                   .save = [&](const AgentTrainState& now) { state = now; }});
    ASSERT_EQ(part.stop, Stop::interrupted);
    ASSERT_TRUE(state);
    int validations = 0;
    const auto rest = train_agent(second, validate, options,
                                  {.progress =
                                       [&](const AgentProgress& now) {
                                         if (!std::isnan(now.validation_return)) ++validations;
                                       }},
                                  &*state);
    EXPECT_EQ(rest.best_update, expected.best_update);
    EXPECT_EQ(rest.best_return, expected.best_return);
    EXPECT_EQ(rest.steps, expected.steps);
    EXPECT_EQ(validations, 10 - state->validated / 2);
  }
}

TEST(TrainAgent, TellsHowFarItIs) {
  Counter counter;
  std::vector<AgentProgress> told;
  train_agent(counter, best_at_6, {.updates = 4, .validate_every = 2},
              {.progress = [&](const AgentProgress& now) { told.push_back(now); }});
  ASSERT_EQ(told.size(), 6U);
  EXPECT_TRUE(std::isnan(told[1].validation_return));
  EXPECT_EQ(told[2].validation_return, -4);
  EXPECT_EQ(told[5].update, 4);
  EXPECT_EQ(told[5].updates, 4);
  EXPECT_EQ(told[5].steps, 8);
  EXPECT_EQ(told[5].episodes, 4);
  EXPECT_EQ(told[5].mean_return, 2.5);
  EXPECT_GT(told[5].steps_per_second, 0);
  EXPECT_EQ(told[5].seconds_left, 0);
}

TEST(TrainAgent, RefusesBadOptions) {
  Counter counter;
  for (const AgentTrainOptions& options :
       {AgentTrainOptions{.updates = -1}, AgentTrainOptions{.validate_every = 0},
        AgentTrainOptions{.patience = -1}, AgentTrainOptions{.enough = std::nan("")}})
    EXPECT_THROW(train_agent(counter, {}, options), std::invalid_argument);
}

}  // namespace rl_training_test
}  // namespace fewwatt::meta
