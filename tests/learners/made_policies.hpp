#pragma once

#include <cstdint>
#include <vector>

#include "learners/control/policy_net.hpp"

namespace fewwatt::tests {

// What a made-up policy looks like.
struct PolicyLook {
  int observation = 1, action = 1, outputs = 0, memory = 0;
  int embedding = 6;  // without outputs
  bool duelling = false;
  std::vector<int> hidden = {};
};

// A policy with random weights, and a value head with memory or duelling.
inline learners::PolicyModel made_policy(const PolicyLook& look, std::uint64_t seed = 1) {
  hw::Rng rng(seed);
  learners::PolicyModel model;
  model.trained_by = "chance";
  model.environment = "none";
  model.observation = look.observation;
  model.action = look.action;
  model.outputs = look.outputs;
  model.duelling = look.duelling;
  if (look.memory > 0) {
    const auto random = [&](Eigen::Index rows, Eigen::Index cols) {
      tasks::Matrix values(rows, cols);
      for (Eigen::Index k = 0; k < values.size(); ++k) values.data()[k] = rng.uniform(-1, 1);
      return values;
    };
    const Eigen::Index h = look.memory, i = look.observation + look.action + 2;
    model.gru = learners::GruWeights{random(3 * h, i), random(3 * h, h), random(3 * h, 1), random(3 * h, 1)};
  }
  model.inputs.mean = tasks::Vector::LinSpaced(model.input_size(), -0.5, 0.5);
  model.inputs.stddev = tasks::Vector::LinSpaced(model.input_size(), 0.5, 2);
  model.embedding = look.outputs > 0 ? 0 : look.embedding;
  model.score.hidden = look.hidden;
  model.score.weights = learners::random_parameters(model.score_shape(), rng);
  if (model.embedding > 0) {
    model.embed.emplace().hidden = look.hidden;
    model.embed->weights = learners::random_parameters(model.embed_shape(), rng);
  }
  if (look.duelling || look.memory > 0) {
    model.value.emplace().hidden = look.hidden;
    model.value->weights = learners::random_parameters(model.value_shape(), rng);
  }
  return model;
}

// One that acts in power modes, for the knobs of a space.
inline learners::PolicyModel made_mode_policy(const hw::PowerModeSpace& space, int memory = 5,
                                              std::uint64_t seed = 1) {
  auto model = made_policy({.observation = static_cast<int>(tasks::kObservation),
                            .action = static_cast<int>(tasks::kActionFeatures),
                            .memory = memory,
                            .hidden = {8}},
                           seed);
  model.environment = tasks::kModeMdp;
  for (const auto& slot : tasks::knob_slots(space)) model.knobs += (model.knobs.empty() ? "" : " ") + slot;
  model.mdp.emplace();
  return model;
}

}  // namespace fewwatt::tests
