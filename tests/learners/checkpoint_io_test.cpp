#include "learners/checkpoint_io.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "datasets/hdf5_file.hpp"
#include "datasets/profile_io.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::learners {
namespace checkpoint_io_test {

using datasets::DataError;

Checkpoint example() {
  Checkpoint checkpoint;
  checkpoint.learner = "fine_tune";
  checkpoint.tensors["time/weights"] = tasks::Matrix::Random(1, 37);
  checkpoint.tensors["feature_mean"] = tasks::Matrix::Random(3, 2);
  checkpoint.tensors["deep/er/name"] = tasks::Matrix::Constant(1, 1, 1e-300);
  checkpoint.numbers["hidden"] = {64, 64};
  checkpoint.numbers["time/fine_tune/steps"] = {300};
  checkpoint.numbers["no/values"] = {};
  checkpoint.texts["trained_by"] = "maml";
  checkpoint.texts["time/fine_tune/optimizer"] = "adam";
  checkpoint.texts["empty"] = "";
  checkpoint.origin = {
      .seed = std::numeric_limits<std::uint64_t>::max(), .git_revision = "abc", .data_hash = "0f"};
  return checkpoint;
}

void expect_equal(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(a.learner, b.learner);
  EXPECT_EQ(a.tensors, b.tensors);
  EXPECT_EQ(a.numbers, b.numbers);
  EXPECT_EQ(a.texts, b.texts);
  EXPECT_EQ(a.origin, b.origin);
}

// Reads and returns the message of the DataError that must come.
std::string refusal(const std::string& path) {
  try {
    read_checkpoint(path);
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find(path), std::string::npos) << e.what();
    return e.what();
  }
  ADD_FAILURE() << path << " was read";
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A checkpoint that lacks nothing, made object by object so that a test can spoil one.
struct Parts {
  std::string learner = "gp", format = "fewwatt-checkpoint";
  int version = 1;
  bool tensors = true, numbers = true, texts = true, origin = true;

  void write(const std::string& path, const std::function<void(datasets::Hdf5Writer&)>& spoil = {}) const {
    datasets::Hdf5Writer file(path, format, version);
    if (!learner.empty()) file.text("/", "learner", learner);
    if (tensors) file.group("/tensors");
    if (numbers) file.group("/numbers");
    if (texts) file.group("/texts");
    if (origin) write_origin(file, {});
    if (spoil) spoil(file);
    file.commit();
  }
};

TEST(CheckpointIo, WriteThenReadIsIdentity) {
  const tests::TempDir dir;
  const auto checkpoint = example();
  write_checkpoint(dir / "a.h5", checkpoint);
  expect_equal(read_checkpoint(dir / "a.h5"), checkpoint);
  write_checkpoint(dir / "empty.h5", {});
  expect_equal(read_checkpoint(dir / "empty.h5"), {});
}

TEST(CheckpointIo, SameCheckpointGivesSameBytes) {
  const tests::TempDir dir;
  const auto checkpoint = example();
  write_checkpoint(dir / "a.h5", checkpoint);
  write_checkpoint(dir / "b.h5", read_checkpoint(dir / "a.h5"));
  EXPECT_EQ(tests::read_text(dir / "a.h5"), tests::read_text(dir / "b.h5"));
}

TEST(CheckpointIo, WritingReplacesTheFileAndLeavesNothingBeside) {
  const tests::TempDir dir;
  const auto checkpoint = example();
  write_checkpoint(dir / "a.h5", {});
  write_checkpoint(dir / "a.h5", checkpoint);
  expect_equal(read_checkpoint(dir / "a.h5"), checkpoint);
  const auto files = std::filesystem::directory_iterator(dir.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(CheckpointIo, NamesThatAreNoPathAreRefused) {
  const tests::TempDir dir;
  for (const char* name : {"", "/a", "a/", "a//b", "./a"}) {
    Checkpoint checkpoint;
    checkpoint.tensors[name] = tasks::Matrix::Zero(1, 1);
    EXPECT_THROW(write_checkpoint(dir / "a.h5", checkpoint), std::invalid_argument) << name;
    EXPECT_FALSE(std::filesystem::exists(dir / "a.h5"));
  }
  Checkpoint clash;
  clash.tensors["time"] = clash.tensors["time/weights"] = tasks::Matrix::Zero(1, 1);
  EXPECT_THROW(write_checkpoint(dir / "a.h5", clash), DataError);
  EXPECT_FALSE(std::filesystem::exists(dir / "a.h5"));
}

TEST(CheckpointIo, OtherFilesAreRefused) {
  const tests::TempDir dir;
  EXPECT_THROW(read_checkpoint(dir / "none.h5"), DataError);
  tests::write_text(dir / "text.h5", "cpu_khz,time_ms\n");
  refusal(dir / "text.h5");

  write_checkpoint(dir / "whole.h5", example());
  const std::string bytes = tests::read_text(dir / "whole.h5");
  tests::write_text(dir / "cut.h5", bytes.substr(0, bytes.size() / 2));
  refusal(dir / "cut.h5");

  datasets::write_profiles(dir / "profiles.h5", {});
  const auto message = refusal(dir / "profiles.h5");
  EXPECT_TRUE(holds(message, "fewwatt-checkpoint") && holds(message, "fewwatt-profiles")) << message;
}

TEST(CheckpointIo, NewerVersionIsRefused) {
  const tests::TempDir dir;
  Parts{}.write(dir / "good.h5");
  EXPECT_EQ(read_checkpoint(dir / "good.h5").learner, "gp");
  Parts{.version = 2}.write(dir / "new.h5");
  const auto message = refusal(dir / "new.h5");
  EXPECT_TRUE(holds(message, "version 2") && holds(message, "1")) << message;
}

TEST(CheckpointIo, MissingObjectIsNamed) {
  const tests::TempDir dir;
  Parts{.learner = ""}.write(dir / "a.h5");
  EXPECT_TRUE(holds(refusal(dir / "a.h5"), "learner"));
  Parts{.tensors = false}.write(dir / "a.h5");
  EXPECT_TRUE(holds(refusal(dir / "a.h5"), "/tensors"));
  Parts{.numbers = false}.write(dir / "a.h5");
  EXPECT_TRUE(holds(refusal(dir / "a.h5"), "/numbers"));
  Parts{.texts = false}.write(dir / "a.h5");
  EXPECT_TRUE(holds(refusal(dir / "a.h5"), "/texts"));
  Parts{.origin = false}.write(dir / "a.h5");
  EXPECT_TRUE(holds(refusal(dir / "a.h5"), "/origin"));
}

TEST(CheckpointIo, WrongTypeOrShapeIsNamed) {
  const tests::TempDir dir;
  const std::string path = dir / "a.h5";
  Parts{}.write(path, [](auto& file) { file.write("/tensors/w", std::vector<double>{1, 2}); });
  EXPECT_TRUE(holds(refusal(path), "/tensors/w"));
  Parts{}.write(path, [](auto& file) { file.write_table("/tensors/w", 1, 1, std::vector<int>{1}); });
  EXPECT_TRUE(holds(refusal(path), "/tensors/w"));
  Parts{}.write(path, [](auto& file) { file.write_table("/numbers/n", 1, 1, std::vector<double>{1}); });
  EXPECT_TRUE(holds(refusal(path), "/numbers/n"));
  Parts{}.write(path, [](auto& file) { file.number("/texts", "t", 1); });
  EXPECT_TRUE(holds(refusal(path), "/texts") && holds(refusal(path), "'t'"));
}

TEST(Checkpoint, VectorIsATensorOfOneRow) {
  const auto checkpoint = example();
  EXPECT_EQ(checkpoint.vector("time/weights").transpose(), checkpoint.tensor("time/weights"));
  EXPECT_THROW(checkpoint.vector("feature_mean"), std::invalid_argument);  // three rows
  EXPECT_THROW(checkpoint.vector("nothing"), std::invalid_argument);
}

TEST(Checkpoint, MissingEntryIsNamedWithTheLearner) {
  const auto checkpoint = example();
  EXPECT_EQ(checkpoint.number("time/fine_tune/steps"), 300);
  EXPECT_EQ(checkpoint.number_list("hidden"), (std::vector<double>{64, 64}));
  EXPECT_EQ(checkpoint.text("trained_by"), "maml");
  EXPECT_EQ(checkpoint.tensor("feature_mean").rows(), 3);
  const auto message = [](const auto& access) -> std::string {
    try {
      access();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  for (const auto& text :
       {message([&] { checkpoint.tensor("absent"); }), message([&] { checkpoint.number("absent"); }),
        message([&] { checkpoint.number_list("absent"); }), message([&] { checkpoint.text("absent"); })}) {
    EXPECT_TRUE(holds(text, "absent") && holds(text, "fine_tune")) << text;
  }
  EXPECT_TRUE(holds(message([&] { checkpoint.number("hidden"); }), "hidden"));
}

}  // namespace checkpoint_io_test
}  // namespace fewwatt::learners
