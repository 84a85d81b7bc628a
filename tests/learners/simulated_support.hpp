#pragma once

#include <cmath>

#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "learners/sim_population.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tests {

inline std::shared_ptr<const hw::PowerModeSpace> simulated_space() {
  static const auto made =
      std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64", "coarse"));
  return made;
}

// A workload of a population that no learner has, measured with noise in some modes of the space.
struct SimulatedSupport {
  tasks::Samples support;
  std::vector<hw::PowerMode> modes;  // all
  tasks::Matrix truth;               // [n,2] without noise
};
inline SimulatedSupport simulated_workload(std::size_t workload, std::size_t rows, double noise = 0.01) {
  SimulatedSupport made;
  made.modes = simulated_space()->modes();
  const std::vector<std::size_t> which = {workload};
  const auto logs = learners::SimPopulation(workload + 1, 77).simulate(*simulated_space(), made.modes, which);
  made.truth.resize(static_cast<Eigen::Index>(made.modes.size()), 2);
  made.truth.col(0) = 20 * logs.time.row(0).transpose().cast<double>().array().exp();
  made.truth.col(1) = logs.power.row(0).transpose().cast<double>().array().exp();
  auto rng = hw::Rng::stream(9, "rows", workload);
  const auto drawn = rng.sample(made.modes.size(), rows);
  made.support.space = simulated_space();
  made.support.targets.resize(static_cast<Eigen::Index>(rows), 2);
  for (std::size_t i = 0; i < rows; ++i) {
    made.support.modes.push_back(made.modes[drawn[i]]);
    for (Eigen::Index t = 0; t < 2; ++t)
      made.support.targets(static_cast<Eigen::Index>(i), t) =
          made.truth(static_cast<Eigen::Index>(drawn[i]), t) * std::exp(noise * rng.normal());
  }
  return made;
}

}  // namespace fewwatt::tests
