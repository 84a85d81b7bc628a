#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "datasets/hdf5_file.hpp"
#include "datasets/profile_io.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::learners {
namespace model_io_test {

using datasets::DataError;
using tests::example_model;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Equal, where NaN equals NaN.
bool same(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         ((a.array() == b.array()) || (a.array().isNaN() && b.array().isNaN())).all();
}

// The same but for the last bits: files hold medians, and their logs are what is kept.
bool near(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         ((a - b).array().abs() < 1e-12 || (a.array().isNaN() && b.array().isNaN())).all();
}

void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.workload, b.workload);
  EXPECT_EQ(a.learner, b.learner);
  EXPECT_EQ(a.attributes, b.attributes);
  EXPECT_EQ(*a.space, *b.space);
  EXPECT_TRUE(near(a.prediction.log_mean, b.prediction.log_mean));
  EXPECT_TRUE(same(a.prediction.log_variance, b.prediction.log_variance));
  EXPECT_TRUE(same(a.prediction.latent_log_variance, b.prediction.latent_log_variance));
  EXPECT_EQ(a.support.modes, b.support.modes);
  EXPECT_TRUE(same(a.support.targets, b.support.targets));
  EXPECT_EQ(*a.support.space, *b.support.space);
  EXPECT_EQ(a.origin, b.origin);
}

std::string refusal(const std::string& path) {
  try {
    read_model(path);
  } catch (const DataError& e) {
    EXPECT_TRUE(holds(e.what(), path)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << path << " was read";
  return "";
}

TEST(ModelIo, WriteThenReadIsIdentity) {
  const tests::TempDir dir;
  Model model = example_model();
  write_model(dir / "a.h5", model);
  expect_equal(read_model(dir / "a.h5"), model);

  model.attributes = {};  // nothing known
  model.prediction.log_mean.col(tasks::kTimeMs).setConstant(std::numeric_limits<double>::quiet_NaN());
  tests::forget_uncertainty(model.prediction);
  model.support.targets(0, tasks::kPowerW) = std::numeric_limits<double>::quiet_NaN();
  write_model(dir / "a.h5", model);
  expect_equal(read_model(dir / "a.h5"), model);
}

TEST(ModelIo, ListOfModesStaysAList) {
  const tests::TempDir dir;
  Model model = example_model();
  auto modes = model.space->modes();  // all combinations, yet a list: not equal to the grid
  model.space = model.support.space =
      std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::list(model.space->knobs(), modes));
  write_model(dir / "a.h5", model);
  expect_equal(read_model(dir / "a.h5"), model);
  EXPECT_FALSE(read_model(dir / "a.h5").space->is_grid());
}

TEST(ModelIo, SameModelGivesSameBytes) {
  const tests::TempDir dir;
  write_model(dir / "a.h5", example_model());
  write_model(dir / "b.h5", example_model());
  EXPECT_EQ(tests::read_text(dir / "a.h5"), tests::read_text(dir / "b.h5"));
}

TEST(ModelIo, OtherFilesAreRefused) {
  const tests::TempDir dir;
  refusal(dir / "none.h5");
  write_checkpoint(dir / "checkpoint.h5", {});
  const auto message = refusal(dir / "checkpoint.h5");
  EXPECT_TRUE(holds(message, "fewwatt-model") && holds(message, "fewwatt-checkpoint")) << message;
  datasets::Hdf5Writer(dir / "new.h5", "fewwatt-model", kModelVersion + 1).commit();
  EXPECT_TRUE(holds(refusal(dir / "new.h5"), "version 3"));
}

// The example, written object by object; `skip` leaves one out, `replace` puts another there.
void write_spoiled(const std::string& path, const std::string& skip,
                   const std::function<void(datasets::Hdf5Writer&)>& replace = {},
                   int version = kModelVersion) {
  datasets::Hdf5Writer file(path, "fewwatt-model", version);
  for (const char* name : {"device", "workload", "learner"}) {
    if (skip != name) file.text("/", name, "x");
  }
  file.group("/attributes");
  if (skip != "kind") file.text("/attributes", "kind", "non-dnn");
  if (skip != "time_of") file.text("/attributes", "time_of", "run");
  if (skip != "/knobs") {
    file.group("/knobs");
    file.text("/knobs", "roles", "cpu_khz gpu_khz");
    file.integer("/knobs", "grid", 1);
    if (skip != "/knobs/cpu_khz") file.write("/knobs/cpu_khz", std::vector<int>{1, 2});
    file.write("/knobs/gpu_khz", std::vector<int>{5});
  }
  if (skip != "/modes") file.write_table("/modes", 2, 2, std::vector<int>{1, 5, 2, 5});
  if (skip != "/median") file.write_table("/median", 2, 2, std::vector<double>{4, 3, 2, 5});
  if (skip != "/support/modes") file.write_table("/support/modes", 1, 2, std::vector<int>{1, 5});
  if (skip != "/support/targets") file.write_table("/support/targets", 1, 2, std::vector<double>{4, 3});
  if (skip != "/origin") write_origin(file, {});
  if (replace) replace(file);
  file.commit();
}

// Its deviations were those of medians: s times the median, with s^2 = exp(log variance) - 1.
TEST(ModelIo, AModelOfVersionOneIsRead) {
  const tests::TempDir dir;
  const std::string path = dir / "a.h5";
  write_spoiled(
      path, "/median",
      [](auto& file) {
        file.write_table("/mean", 2, 2, std::vector<double>{4, 3, 2, 5});
        file.write_table("/stddev", 2, 2, std::vector<double>{0.4, 0.3, 0.4, 0.5});
        file.write_table("/latent_stddev", 2, 2, std::vector<double>{0.2, 0.15, 0.2, 0.25});
      },
      1);
  const auto p = read_model(path).prediction;
  EXPECT_NEAR(p.median(1, tasks::kPowerW), 5, 1e-12);
  EXPECT_NEAR(p.log_variance(0, tasks::kTimeMs), std::log1p(0.01), 1e-15);
  EXPECT_NEAR(p.log_variance(1, tasks::kTimeMs), std::log1p(0.04), 1e-15);
  EXPECT_NEAR(p.latent_log_variance(0, tasks::kPowerW), std::log1p(0.0025), 1e-15);
}

TEST(ModelIo, MissingObjectIsNamed) {
  const tests::TempDir dir;
  const std::string path = dir / "a.h5";
  write_spoiled(path, "nothing");
  EXPECT_EQ(read_model(path).space->size(), 2U);
  for (const char* object : {"device", "workload", "learner", "kind", "time_of", "/knobs", "/knobs/cpu_khz",
                             "/modes", "/median", "/support/modes", "/support/targets", "/origin"}) {
    write_spoiled(path, object);
    EXPECT_TRUE(holds(refusal(path), object)) << object << ": " << refusal(path);
  }
}

TEST(ModelIo, WrongContentIsNamed) {
  const tests::TempDir dir;
  const std::string path = dir / "a.h5";
  const auto message = [&](const std::string& object, auto... values) {
    write_spoiled(path, object, [&](auto& file) { file.write_table(object, values...); });
    const auto text = refusal(path);
    EXPECT_TRUE(holds(text, object)) << text;
    return text;
  };
  using Doubles = std::vector<double>;
  using Ints = std::vector<int>;
  EXPECT_TRUE(holds(message("/median", 1, 2, Doubles{4, 3}), "[2,2]"));         // a row too few
  EXPECT_TRUE(holds(message("/median", 2, 2, Doubles{4, 3, -2, 5}), "row 1"));  // a negative time
  EXPECT_TRUE(holds(message("/median", 2, 2, Doubles{4, 0, 2, 5}), "row 0"));   // no power at all
  message("/median", 2, 2, Ints{4, 3, 2, 5});                                   // integers
  message("/modes", 2, 1, Ints{1, 2});                                          // a column too few
  message("/modes", 2, 2, Ints{2, 5, 1, 5});                                    // descending
  message("/support/targets", 2, 2, Doubles{4, 3, 2, 1});                       // more targets than modes
  write_spoiled(path, "/support/modes", [](auto& file) {
    file.write_table("/support/modes", 1, 2, Ints{9, 5});
  });
  EXPECT_TRUE(holds(refusal(path), "support"));  // a mode that the device lacks
  write_spoiled(path, "time_of", [](auto& file) { file.text("/attributes", "time_of", "century"); });
  EXPECT_TRUE(holds(refusal(path), "century"));
}

TEST(ModelIo, ModelThatIsNotWholeIsNotWritten) {
  const tests::TempDir dir;
  Model model = example_model();
  model.prediction.log_mean(3, 0) = -INFINITY;
  EXPECT_THROW(write_model(dir / "a.h5", model), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(dir / "a.h5"));
  EXPECT_THROW(write_model(dir / "no/such/folder/a.h5", example_model()), DataError);
}

TEST(ModelIo, NoiseAndDoubtsAreReadBack) {
  const tests::TempDir dir;
  Model model = example_model();
  model.support.noise_factors = Matrix::Constant(2, 2, 0.5);
  model.support.noise_factors(1, tasks::kPowerW) = 40;
  model.doubted = {{model.support.modes[1], tasks::kPowerW}, {model.support.modes[0], tasks::kTimeMs}};
  write_model(dir / "a.h5", model);
  const auto again = read_model(dir / "a.h5");
  EXPECT_EQ(again.support.noise_factors, model.support.noise_factors);
  EXPECT_EQ(again.doubted, model.doubted);
  write_spoiled(dir / "b.h5", "/support/doubted", [](auto& file) {
    file.write_table("/support/doubted", 1, 2, std::vector<int>{2, 0});
  });
  EXPECT_TRUE(holds(refusal(dir / "b.h5"), "/support/doubted"));
  model.doubted = {{model.space->at(3), tasks::kTimeMs}};
  EXPECT_TRUE(holds(model.error(), "support/doubted"));
}

TEST(Model, MeasurementsStandForPredictions) {
  Model model = example_model();
  model.support.targets(0, tasks::kTimeMs) = 30;
  model.support.targets(0, tasks::kPowerW) = std::numeric_limits<double>::quiet_NaN();  // not measured
  const auto known = model.with_measurements();
  const auto row = static_cast<Eigen::Index>(*model.space->index_of(model.support.modes[0]));
  const auto exact = static_cast<Eigen::Index>(*model.space->index_of(model.support.modes[1]));
  Prediction expected = model.prediction;
  expected.log_mean(row, tasks::kTimeMs) = std::log(30);
  EXPECT_LT((known.log_mean - expected.log_mean).cwiseAbs().maxCoeff(), 1e-12);
  // The noise is what a measurement varies beyond what many would average to.
  const auto& p = model.prediction;
  for (const auto& [at, target] : {std::pair(row, 0), {exact, 0}, {exact, 1}})
    expected.log_variance(at, target) = expected.latent_log_variance(at, target) =
        p.log_variance(at, target) - p.latent_log_variance(at, target);
  EXPECT_TRUE(same(known.log_variance, expected.log_variance));
  EXPECT_TRUE(same(known.latent_log_variance, expected.latent_log_variance));
}

TEST(Model, MeasurementsDoNotMakeAColumnThatIsNotPredicted) {
  Model model = example_model();
  model.prediction.log_mean.col(tasks::kPowerW).setConstant(std::numeric_limits<double>::quiet_NaN());
  tests::forget_uncertainty(model.prediction);
  const auto known = model.with_measurements();
  EXPECT_TRUE(known.log_mean.col(tasks::kPowerW).array().isNaN().all());
  EXPECT_FALSE(known.uncertain());
}

TEST(Model, PredictionOfNothingIsAnError) {
  Model model = example_model();
  model.prediction.log_mean(0, tasks::kTimeMs) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(model.error(), "");
  model.prediction.log_mean(1, tasks::kPowerW) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(holds(model.error(), "time or the power")) << model.error();
}

TEST(Model, EpochTimeIsKnownWhereTimeOfSaysSo) {
  Model model;
  EXPECT_EQ(model.epoch_s(10), std::nullopt);
  model.attributes.time_of = datasets::TimeOf::epoch;
  EXPECT_EQ(model.epoch_s(1500), 1.5);
  model.attributes.time_of = datasets::TimeOf::minibatch;
  EXPECT_EQ(model.epoch_s(10), std::nullopt);
  model.attributes.minibatches_per_epoch = 300;
  EXPECT_EQ(model.epoch_s(10), 3);
}

}  // namespace model_io_test
}  // namespace fewwatt::learners
