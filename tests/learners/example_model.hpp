#pragma once

#include <cmath>

#include "hw/random.hpp"
#include "learners/model.hpp"
#include "tests/learners/stated.hpp"

namespace fewwatt::tests {

// time_ms = 4e6 / cpu_khz + 2e6 / gpu_khz: from 6 (fastest) to 24 ms. power_w = 3e-6 cpu_khz + 5e-6 gpu_khz:
// 2 to 8 W.
inline double example_time_ms(const hw::PowerMode& mode) {
  return 4e6 / mode[0] + 2e6 / mode[1];
}
inline double example_power_w(const hw::PowerMode& mode) {
  return 3e-6 * mode[0] + 5e-6 * mode[1];
}

inline std::shared_ptr<const hw::PowerModeSpace> example_space() {
  return std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::cpu_khz, {250'000, 500'000, 750'000, 1'000'000}},
                                {hw::KnobRole::gpu_khz, {250'000, 500'000, 1'000'000}}}));
}

// The exact targets of `rows` random modes.
inline tasks::Samples example_support(std::size_t rows, std::uint64_t seed) {
  const auto space = example_space();
  hw::Rng rng(seed);
  tasks::Samples support{space, {}, tasks::Matrix(static_cast<Eigen::Index>(rows), 2)};
  for (const auto i : rng.sample(space->size(), rows)) {
    const auto mode = space->at(i);
    support.targets.row(static_cast<Eigen::Index>(support.modes.size())) << example_time_ms(mode),
        example_power_w(mode);
    support.modes.push_back(mode);
  }
  return support;
}

// A model whose predictions are exact; its support is the slowest and the fastest mode.
inline learners::Model example_model() {
  learners::Model model;
  model.device = "board";
  model.workload = "net";
  model.learner = "physics";
  model.attributes = {.kind = datasets::WorkloadKind::dnn_training,
                      .time_of = datasets::TimeOf::minibatch,
                      .source = "made up",
                      .licence = "CC0",
                      .model = "net",
                      .dataset = "none",
                      .batch_size = 16,
                      .minibatches_per_epoch = 1000,
                      .layers = std::nullopt,
                      .parameters = 1e6,
                      .flops = std::nullopt};
  model.space = example_space();
  const auto modes = model.space->modes();
  Stated stated{tasks::Matrix(modes.size(), 2), tasks::Matrix(modes.size(), 2),
                tasks::Matrix(modes.size(), 2)};
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    stated.median.row(row) << example_time_ms(modes[i]), example_power_w(modes[i]);
    stated.stddev.row(row) << 0.1, 0.5;
    stated.latent_stddev.row(row) << 0.05, 0.4;
  }
  model.prediction = stated;
  model.support = {model.space, {modes.front(), modes.back()}, tasks::Matrix(2, 2)};
  model.support.targets.row(0) << example_time_ms(modes.front()), example_power_w(modes.front());
  model.support.targets.row(1) << example_time_ms(modes.back()), example_power_w(modes.back());
  model.origin = {.seed = 7, .git_revision = "abc", .data_hash = "0123"};
  return model;
}

}  // namespace fewwatt::tests
