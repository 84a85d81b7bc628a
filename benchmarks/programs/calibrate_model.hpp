#pragma once

// What calibrate_simulator fits: the constants of hw/simulated_device.cpp, to measurements and published figures.
//
// Fitted together, by Levenberg-Marquardt on log ratios: the measured modes of three trainings on an AGX Xavier
// (doi 10.1145/3570604; epoch time and mean power), and what PowerTrain (doi 10.1016/j.future.2024.07.001) says
// of five trainings on an AGX Orin. Board constants are shared by all workloads; six constants of time and four
// of power belong to a workload.

#include <map>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/simulated_device.hpp"

namespace fewwatt::calibration {

struct Point {  // one measured training
  std::string workload;
  std::string mode;  // as text, to leave it out
  hw::SimulatedSettings settings;
  double time_ms, power_w;  // of one minibatch
};

// PowerTrain's table 3 (epoch at the fastest mode), figure 10 (ends of the fronts, read off), and powers of the
// fastest mode that follow from the excess over budgets of 17 to 50 W in figure 13. 0 = not known.
struct Published {
  const char* workload;
  double fastest_min;  // minutes per epoch in the fastest mode
  double fastest_w;
  double slow_end_s, slow_end_w, fast_end_s, fast_end_w;  // per epoch
};
inline constexpr Published kPublished[] = {
    {"resnet18", 3.0, 51.2, 6700, 12, 180, 51},
    {"mobilenetv3", 2.3, 43.7, 4650, 11.5, 140, 44},
    {"yolov8n", 4.9, 24.3, 4300, 11.4, 290, 23.8},
    {"bert-base", 68.6, 56.5, 0, 0, 0, 0},
    {"lstm", 0.4, 41.8, 0, 0, 0, 0},
    {"resnet18-gld23k", 0, 48.5, 0, 0, 0, 0},
    {"mobilenetv3-imagenet", 0, 43.3, 0, 0, 0, 0},
};

std::vector<Point> measured_points(const datasets::ProfileStore& store, const hw::SimulatedBoard& board);

struct Model {
  hw::SimulatedBoard xavier, orin;
  std::map<std::string, hw::SimulatedNetwork> networks;    // by name of the first workload that has it
  std::map<std::string, hw::SimulatedPipeline> pipelines;  // by dataset
};

Model shipped_model();                        // as hw/simulated_device.cpp has it
Model fit(const std::vector<Point>& points);  // to these and to kPublished
hw::SimulatedWorkload workload_of(const Model& model, const std::string& name);

enum class Scale { positive, above_one, share };

// One number that is fitted. What the measurements leave open stays near `expected`.
struct Parameter {
  std::string name;
  double* value;
  double expected, spread;  // of the logarithm (of value, value - 1 or value / (1 - value))
  Scale scale = Scale::positive;
};
// All that is fitted. They point into the model.
std::vector<Parameter> parameters_of(Model& model);

hw::SimulatedSettings top_of(const hw::SimulatedBoard& board);  // all clocks at their highest
const hw::PowerModeSpace& powertrain_space();                   // PowerTrain's grid on the Orin

}  // namespace fewwatt::calibration
