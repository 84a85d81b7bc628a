#pragma once

#include "hw/simulated_device.hpp"
#include "learners/model.hpp"

namespace fewwatt::tests {

// A model that is sure of a table [n,2] of all modes.
inline learners::Model model_of(const std::string& workload, std::shared_ptr<const hw::PowerModeSpace> space,
                                const tasks::Matrix& table) {
  learners::Model model;
  model.device = "board";
  model.workload = workload;
  model.learner = "exact";
  model.space = std::move(space);
  model.prediction = learners::Prediction::of_medians(table);
  model.support = {model.space, {}, tasks::Matrix(0, 2)};
  return model;
}

// One that knows a simulated workload exactly.
inline learners::Model simulated_model(const hw::SimulatedBoard& board, const hw::SimulatedWorkload& workload,
                                       const std::shared_ptr<const hw::PowerModeSpace>& space) {
  const auto modes = space->modes();
  tasks::Matrix table(modes.size(), 2);
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto cost = hw::simulate(board, workload, hw::settings_of(board, *space, modes[i]));
    table.row(static_cast<Eigen::Index>(i)) << cost.time_ms, cost.power_w;
  }
  return model_of(workload.name, space, table);
}

}  // namespace fewwatt::tests
