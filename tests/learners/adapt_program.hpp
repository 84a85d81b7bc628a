#pragma once

// What the tests of fewwatt adapt share.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "datasets/profile_io.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/fine_tune.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// All 12 modes of the example board with two workloads, "net" and "other"; power is known for "net" only.
inline datasets::ProfileStore example_profiles() {
  datasets::ProfileStore store;
  for (const char* workload : {"net", "other"}) {
    datasets::Profile profile;
    profile.device = "board";
    profile.workload = workload;
    profile.attributes = tests::example_model().attributes;
    profile.space = tests::example_space();
    profile.modes = profile.space->modes();
    for (const auto& mode : profile.modes) {
      hw::Measurement measured;
      measured.time_ms = tests::example_time_ms(mode);
      if (profile.workload == "net") measured.power_w = tests::example_power_w(mode);
      profile.measurements.push_back(measured);
    }
    store.profiles.push_back(profile);
  }
  return store;
}

// An untrained initializer for the knobs given.
inline learners::Checkpoint example_checkpoint(const std::string& knobs) {
  learners::FineTuneModel model;
  model.trained_by = "nobody";
  model.knobs = knobs;
  model.scaler = {learners::Vector::Zero(6), learners::Vector::Ones(6)};
  model.shape = {{6, 8, 1}, learners::Activation::silu, {}};
  hw::Rng rng(1);
  for (auto& target : model.targets)
    target = learners::Initializer{learners::random_parameters(model.shape, rng), 0.5, {}};
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = {.seed = 3, .git_revision = "abc", .data_hash = "0f"};
  return checkpoint;
}

class AdaptProgram : public testing::Test {
 protected:
  AdaptProgram() { datasets::write_profiles(profiles_, example_profiles()); }

  tests::ProgramResult adapt(const std::string& arguments) const {
    return tests::run_program("adapt", "--out " + out_ + " " + arguments);
  }
  tests::ProgramResult adapt_profile(const std::string& arguments) const {
    return adapt("--profiles " + profiles_ + " --device board --workload net " + arguments);
  }
  tests::ProgramResult adapt_csv(const std::string& text, const std::string& arguments = "") const {
    tests::write_text(csv_, text);
    return adapt("--learner physics --measurements " + csv_ + " " + arguments);
  }
  void expect_failure(const tests::ProgramResult& result, int code, const std::string& part) const {
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(holds(result.err, part)) << "no '" << part << "' in " << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_FALSE(std::filesystem::exists(out_));
  }

  tests::TempDir dir_;
  std::string profiles_ = dir_ / "profiles.h5", csv_ = dir_ / "m.csv", out_ = dir_ / "model.h5";
};

}  // namespace fewwatt
