// Measures ten modes of a board, learns the workload from them, and chooses the fastest mode within 30 W.
#include <fewwatt/hw/simulated_device.hpp>
#include <fewwatt/learners/optimize/choose.hpp>
#include <fewwatt/learners/registry.hpp>
#include <fewwatt/tasks/collect.hpp>
#include <iostream>

using namespace fewwatt;

int main() {
  hw::SimulatedDevice board(hw::find_simulated_board("orin-agx-64"), hw::find_simulated_workload("yolov8n"),
                            hw::module_space("orin-agx-64", "powertrain"));
  const auto sampler = tasks::make_sampler("random", board.space(), 10, /*seed=*/1);
  const auto support = tasks::collect(board, *sampler, 10);

  const auto predictor = learners::make_learner("auto")->adapt(support);
  const auto modes = board.space().modes();
  const auto prediction = predictor->predict(modes);

  // A probability of 0.9 that a measurement of the mode is within the budget.
  const auto choice = learners::choose_fastest(prediction, {.max_power_w = 30, .confidence = 0.9});
  if (!choice) return 1;
  const auto row = static_cast<Eigen::Index>(*choice);
  const auto measured = board.measure(modes[*choice]);
  std::cout << hw::describe(board.space(), modes[*choice]) << "\n  predicted "
            << prediction.median(row, tasks::kTimeMs) << " ms, " << prediction.median(row, tasks::kPowerW)
            << " W\n  measured " << measured.time_ms << " ms, " << measured.power_w << " W\n";
}
