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
namespace {

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

void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.workload, b.workload);
  EXPECT_EQ(a.learner, b.learner);
  EXPECT_EQ(a.attributes, b.attributes);
  EXPECT_EQ(*a.space, *b.space);
  EXPECT_TRUE(same(a.prediction.mean, b.prediction.mean));
  EXPECT_TRUE(same(a.prediction.stddev, b.prediction.stddev));
  EXPECT_TRUE(same(a.prediction.latent_stddev, b.prediction.latent_stddev));
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
  model.prediction.mean.col(tasks::kTimeMs).setConstant(std::numeric_limits<double>::quiet_NaN());
  model.prediction.stddev.resize(0, 0);
  model.prediction.latent_stddev.resize(0, 0);
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
  write_model(dir / "b.h5", read_model(dir / "a.h5"));
  EXPECT_EQ(tests::read_text(dir / "a.h5"), tests::read_text(dir / "b.h5"));
}

TEST(ModelIo, OtherFilesAreRefused) {
  const tests::TempDir dir;
  refusal(dir / "none.h5");
  write_checkpoint(dir / "checkpoint.h5", {});
  const auto message = refusal(dir / "checkpoint.h5");
  EXPECT_TRUE(holds(message, "fewwatt-model") && holds(message, "fewwatt-checkpoint")) << message;
  datasets::Hdf5Writer(dir / "new.h5", "fewwatt-model", 2).commit();
  EXPECT_TRUE(holds(refusal(dir / "new.h5"), "version 2"));
}

// The example, written object by object; `skip` leaves one out, `replace` puts another there.
void write_spoiled(const std::string& path, const std::string& skip,
                   const std::function<void(datasets::Hdf5Writer&)>& replace = {}) {
  datasets::Hdf5Writer file(path, "fewwatt-model", 1);
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
  if (skip != "/mean") file.write_table("/mean", 2, 2, std::vector<double>{4, 3, 2, 5});
  if (skip != "/support/modes") file.write_table("/support/modes", 1, 2, std::vector<int>{1, 5});
  if (skip != "/support/targets") file.write_table("/support/targets", 1, 2, std::vector<double>{4, 3});
  if (skip != "/origin") write_origin(file, {});
  if (replace) replace(file);
  file.commit();
}

TEST(ModelIo, MissingObjectIsNamed) {
  const tests::TempDir dir;
  const std::string path = dir / "a.h5";
  write_spoiled(path, "nothing");
  EXPECT_EQ(read_model(path).space->size(), 2U);
  for (const char* object : {"device", "workload", "learner", "kind", "time_of", "/knobs", "/knobs/cpu_khz",
                             "/modes", "/mean", "/support/modes", "/support/targets", "/origin"}) {
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
  EXPECT_TRUE(holds(message("/mean", 1, 2, Doubles{4, 3}), "[2,2]"));         // a row too few
  EXPECT_TRUE(holds(message("/mean", 2, 2, Doubles{4, 3, -2, 5}), "row 1"));  // a negative time
  EXPECT_TRUE(holds(message("/mean", 2, 2, Doubles{4, 0, 2, 5}), "row 0"));   // no power at all
  message("/mean", 2, 2, Ints{4, 3, 2, 5});                                   // integers
  message("/modes", 2, 1, Ints{1, 2});                                        // a column too few
  message("/modes", 2, 2, Ints{2, 5, 1, 5});                                  // descending
  message("/support/targets", 2, 2, Doubles{4, 3, 2, 1});                     // more targets than modes
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
  model.prediction.mean(3, 0) = -1;
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
  expected.mean(row, tasks::kTimeMs) = 30;
  EXPECT_TRUE(same(known.mean, expected.mean));
  // The noise is what the stddev of a measurement has beyond the latent one, in logs.
  const auto noise = [&](Eigen::Index at, int target) {
    const auto& p = model.prediction;
    const auto log_variance = [&](const Matrix& stddev) {
      return std::log1p(std::pow(stddev(at, target) / p.mean(at, target), 2));
    };
    return log_variance(p.stddev) - log_variance(p.latent_stddev);
  };
  for (const auto& [at, target] : {std::pair(row, 0), {exact, 0}, {exact, 1}}) {
    const double stddev = known.mean(at, target) * std::sqrt(std::expm1(noise(at, target)));
    EXPECT_NEAR(known.stddev(at, target), stddev, 1e-9);
    EXPECT_NEAR(known.latent_stddev(at, target), stddev, 1e-9);
    expected.stddev(at, target) = known.stddev(at, target);
    expected.latent_stddev(at, target) = known.latent_stddev(at, target);
  }
  EXPECT_TRUE(same(known.stddev, expected.stddev));  // of all others
  EXPECT_TRUE(same(known.latent_stddev, expected.latent_stddev));
}

TEST(Model, MeasurementsDoNotMakeAColumnThatIsNotPredicted) {
  Model model = example_model();
  model.prediction.mean.col(tasks::kPowerW).setConstant(std::numeric_limits<double>::quiet_NaN());
  model.prediction.stddev.resize(0, 0);
  model.prediction.latent_stddev.resize(0, 0);
  const auto known = model.with_measurements();
  EXPECT_TRUE(known.mean.col(tasks::kPowerW).array().isNaN().all());
  EXPECT_EQ(known.stddev.size(), 0);
}

TEST(Model, PredictionOfNothingIsAnError) {
  Model model = example_model();
  model.prediction.mean(0, tasks::kTimeMs) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(model.error(), "");
  model.prediction.mean(1, tasks::kPowerW) = std::numeric_limits<double>::quiet_NaN();
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

}  // namespace
}  // namespace fewwatt::learners
