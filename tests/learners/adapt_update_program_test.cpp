#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "learners/registry.hpp"
#include "tests/learners/adapt_program.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace adapt_update_program_test {

using tests::run_program;

// Measurements of modes of the example board as a table.
std::string table_of(const tasks::Samples& samples) {
  std::ostringstream text;
  text.precision(17);
  text << "cpu_khz,gpu_khz,time_ms,power_w\n";
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    text << samples.modes[i][0] << ',' << samples.modes[i][1] << ',' << samples.targets(row, 0) << ','
         << samples.targets(row, 1) << '\n';
  }
  return text.str();
}

class UpdateProgram : public AdaptProgram {
 protected:
  UpdateProgram() { tests::write_text(csv_, table_of(all_.subset(std::vector<std::size_t>{6, 7, 8}))); }
  // Of the first six rows, as the program would make it.
  void make_model(const std::string& name, const learners::Learner& learner,
                  const learners::Origin& origin = {}) const {
    auto model = tests::example_model();
    model.learner = name;
    model.support = all_.subset(std::vector<std::size_t>{0, 1, 2, 3, 4, 5});
    model.support.space = model.space;
    model.support.characteristics = tasks::characteristics_of(model.attributes);
    const auto predictor = learner.adapt(model.support);
    model.prediction = predictor->predict(model.space->modes());
    model.fitted = predictor->fitted();
    model.origin = origin;
    learners::write_model(model_, model);
  }
  void make_model(const std::string& name) const { make_model(name, *learners::make_learner(name)); }
  tests::ProgramResult update(const std::string& arguments = "") const {
    return adapt("--update " + model_ + " --measurements " + csv_ + arguments);
  }

  tasks::Samples all_ = tests::example_support(9, 4);
  std::string model_ = dir_ / "before.h5";
};

TEST_F(UpdateProgram, EqualsAdaptingToAllRows) {
  const auto modes = all_.space->modes();
  for (const auto* learner : {"physics", "gp", "sim_only", "auto"}) {
    make_model(learner);
    const bool searched = !learners::read_model(model_).fitted.empty();
    EXPECT_EQ(searched, std::string(learner) == "gp");  // of so few rows auto needs no gp
    const auto made = learners::make_learner(learner);
    for (const bool refit : {false, true}) {
      const auto result = update(refit ? " --refit" : "");
      ASSERT_EQ(result.code, 0) << result.err;
      EXPECT_TRUE(holds(result.out, "adapted to 9 measured modes, 3 of them new,")) << result.out;
      const auto model = learners::read_model(out_);
      auto support = all_;
      support.characteristics = tasks::characteristics_of(model.attributes);
      const auto batch =
          made->update(support, refit ? learners::Fitted{} : learners::read_model(model_).fitted)
              ->predict(modes);
      EXPECT_LE((model.prediction.median().array() / batch.median().array() - 1).abs().maxCoeff(), 1e-9)
          << learner;
      EXPECT_EQ(model.support.size(), 9U);
      EXPECT_EQ(model.device, "board");
      EXPECT_EQ(model.attributes, learners::read_model(model_).attributes);
    }
  }
}

TEST_F(UpdateProgram, AModeMeasuredAgainCountsWithTheMean) {
  make_model("gp");
  const auto again = all_.subset(std::vector<std::size_t>{2});
  tests::write_text(csv_, table_of(again));
  ASSERT_EQ(update().code, 0);
  const auto once = learners::read_model(out_);
  EXPECT_EQ(once.support.size(), 6U);
  EXPECT_DOUBLE_EQ(once.support.noise_factors.minCoeff(), 0.5);
  EXPECT_DOUBLE_EQ(once.support.noise_factors.maxCoeff(), 1);
  ASSERT_EQ(update(" --forget 0.5").code, 0);
  EXPECT_DOUBLE_EQ(learners::read_model(out_).support.noise_factors.maxCoeff(), 2);
}

TEST_F(UpdateProgram, ModesOfAnotherBoardAreRefused) {
  make_model("physics");
  tests::write_text(csv_, "cpu_khz,gpu_khz,time_ms,power_w\n300000,250000,5,5\n");
  expect_failure(update(), 1, "cpu_khz=300000 is no level of board");
  tests::write_text(csv_, "cpu_khz,mem_khz,time_ms,power_w\n250000,250000,5,5\n");
  expect_failure(update(), 1, "board has the knobs cpu_khz, gpu_khz, found cpu_khz, mem_khz");
}

TEST_F(UpdateProgram, AValueInAnotherUnitThanTheModelExpectsIsRefused) {
  const auto one = [&](double time_factor, double power_factor) {
    auto fresh = all_.subset(std::vector<std::size_t>{7});
    fresh.targets(0, tasks::kTimeMs) *= time_factor;
    fresh.targets(0, tasks::kPowerW) *= power_factor;
    tests::write_text(csv_, table_of(fresh));
  };
  make_model("physics");
  one(1e-3, 1);
  expect_failure(update(), 1, "is expected there: looks like s");
  one(1e3, 1);
  expect_failure(update(), 1, "is expected there: looks like us");
  one(1, 1e3);
  expect_failure(update(), 1, "looks like mW");
  EXPECT_EQ(update(" --trust-units").code, 0);
  std::filesystem::remove(out_);
  // What auto leaves out it names; in a mode that the model has it is part of a mean.
  make_model("auto");
  one(1e-3, 1);
  const auto result = update();
  EXPECT_TRUE(result.code == 0 ? holds(result.err, "left out: the time") : holds(result.err, "looks like s"))
      << result.err;
  std::filesystem::remove(out_);
  auto again = all_.subset(std::vector<std::size_t>{2});
  again.targets(0, tasks::kTimeMs) *= 1e-3;
  tests::write_text(csv_, table_of(again));
  expect_failure(update(), 1, "is expected there: looks like s");
}

TEST_F(UpdateProgram, NeedsTheModelsCheckpoint) {
  auto checkpoint = example_checkpoint("cpu_khz gpu_khz");
  learners::write_checkpoint(dir_ / "init.h5", checkpoint);
  make_model("fine_tune", *learners::make_learner(checkpoint), checkpoint.origin);
  EXPECT_EQ(update(" --init " + (dir_ / "init.h5")).code, 0);
  std::filesystem::remove(out_);
  expect_failure(update(), 2, "must be trained first");
  checkpoint.origin.seed = 99;
  learners::write_checkpoint(dir_ / "other.h5", checkpoint);
  expect_failure(update(" --init " + (dir_ / "other.h5")), 1, "before.h5: was adapted from fine_tune");
}

TEST_F(UpdateProgram, NothingIsForgottenWhereAllRowsAreEquallySure) {
  make_model("physics");
  expect_failure(update(" --forget 0.5"), 2, "--forget: physics takes all rows for equally sure");
  EXPECT_EQ(update(" --forget 1").code, 0);
}

TEST_F(UpdateProgram, WrongUsageExits2) {
  make_model("physics");
  expect_failure(adapt("--update " + model_), 2, "--update needs --measurements");
  expect_failure(update(" --learner gp"), 2, "--learner");
  expect_failure(update(" --forget 0"), 2, "--forget");
  expect_failure(update(" --space tx2"), 2, "--space");
  expect_failure(update(" --shots 5"), 2, "--shots");
  expect_failure(adapt("--refit --measurements " + csv_), 2, "--refit");
  std::filesystem::copy(model_, out_);
  EXPECT_EQ(run_program("adapt", "--update " + out_ + " --measurements " + csv_ + " --out " + out_).code, 2);
}

}  // namespace adapt_update_program_test
}  // namespace fewwatt
