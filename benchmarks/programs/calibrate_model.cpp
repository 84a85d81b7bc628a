#include "benchmarks/programs/calibrate_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <unsupported/Eigen/NonLinearOptimization>

#include "hw/modules.hpp"

namespace fewwatt::calibration {
namespace {

using Eigen::VectorXd;

// How far a figure may be off before the fit cares, as a log ratio.
constexpr double kMeasuredSpread = 0.02, kTableSpread = 0.03, kReadOffSpread = 0.06;

constexpr const char* kMeasured[][2] = {
    {"LeNet", "lenet-mnist"}, {"ResNet", "resnet18-cifar10"}, {"MobileNet", "mobilenetv3"}};

std::string simulated_name(const std::string& measured) {
  for (const auto& [part, name] : kMeasured)
    if (measured.find(part) != std::string::npos) return name;
  throw std::runtime_error("no simulated workload for the measured " + measured);
}

// How work overlaps is a matter of the software, the same on both boards.
void share_overlaps(Model& model) {
  model.orin.kernel_overlap = model.xavier.kernel_overlap;
  model.orin.launch_overlap = model.xavier.launch_overlap;
  model.orin.handoff_crowding = model.xavier.handoff_crowding;
}

double to_line(Scale scale, double value) {
  if (scale == Scale::positive) return std::log(value);
  if (scale == Scale::above_one) return std::log(value - 1);
  return std::log(value / (1 - value));
}
double from_line(Scale scale, double x) {
  if (scale == Scale::positive) return std::exp(x);
  if (scale == Scale::above_one) return 1 + std::exp(x);
  return 1 / (1 + std::exp(-x));
}

// The variable of hw/simulated_device.cpp that has the constants of a network or pipeline.
std::string identifier(const std::string& name) {
  if (name == "resnet18-cifar10") return "resnet18_cifar10";
  return name.substr(0, name.find('-'));
}

struct Residuals {
  using Scalar = double;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };
  using InputType = VectorXd;
  using ValueType = VectorXd;
  using JacobianType = Eigen::MatrixXd;

  const std::vector<Point>* points;
  Model* model;
  std::vector<Parameter> parameters;
  int num_values = 0;

  int inputs() const { return static_cast<int>(parameters.size()); }
  int values() const { return num_values; }

  VectorXd evaluate(const VectorXd& x) const {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      *parameters[i].value = from_line(parameters[i].scale, x[static_cast<Eigen::Index>(i)]);
    share_overlaps(*model);
    std::vector<double> r;
    const auto add = [&](double simulated, double wanted, double spread) {
      if (wanted > 0) r.push_back(std::log(simulated / wanted) / spread);
    };
    for (const auto& point : *points) {
      const auto cost = simulate(model->xavier, workload_of(*model, point.workload), point.settings);
      add(cost.time_ms, point.time_ms, kMeasuredSpread);
      add(cost.power_w, point.power_w, kMeasuredSpread);
    }
    const auto& slowest = powertrain_space().at(0);
    for (const auto& published : kPublished) {
      const auto workload = workload_of(*model, published.workload);
      const double to_s = workload.minibatches_per_epoch() * 1e-3;
      const auto fast = simulate(model->orin, workload, top_of(model->orin));
      const auto slow =
          simulate(model->orin, workload, settings_of(model->orin, powertrain_space(), slowest));
      add(fast.time_ms * to_s, 60 * published.fastest_min, kTableSpread);
      add(fast.power_w, published.fastest_w, kTableSpread);
      add(slow.time_ms * to_s, published.slow_end_s, kReadOffSpread);
      add(slow.power_w, published.slow_end_w, kReadOffSpread);
    }
    for (std::size_t i = 0; i < parameters.size(); ++i)
      r.push_back((x[static_cast<Eigen::Index>(i)] - to_line(parameters[i].scale, parameters[i].expected)) /
                  parameters[i].spread);
    return Eigen::Map<VectorXd>(r.data(), static_cast<Eigen::Index>(r.size()));
  }
  int operator()(const VectorXd& x, VectorXd& values_out) const {
    values_out = evaluate(x);
    return 0;
  }
  int df(const VectorXd& x, Eigen::MatrixXd& jacobian) const {
    constexpr double kStep = 1e-5;
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      VectorXd up = x, down = x;
      up[i] += kStep;
      down[i] -= kStep;
      jacobian.col(i) = (evaluate(up) - evaluate(down)) / (2 * kStep);
    }
    return 0;
  }
};

}  // namespace

std::vector<Point> measured_points(const datasets::ProfileStore& store, const hw::SimulatedBoard& board) {
  std::vector<Point> points;
  for (const auto& profile : store.profiles) {
    const auto name = simulated_name(profile.workload);
    const double minibatches = hw::find_simulated_workload(name).minibatches_per_epoch();
    for (std::size_t i = 0; i < profile.modes.size(); ++i)
      points.push_back({name, describe(*profile.space, profile.modes[i]),
                        settings_of(board, *profile.space, profile.modes[i]),
                        profile.measurements[i].time_ms / minibatches, profile.measurements[i].power_w});
  }
  return points;
}

Model shipped_model() {
  Model model{hw::find_simulated_board("xavier-agx"), hw::find_simulated_board("orin-agx-64"), {}, {}};
  for (const auto& workload : hw::simulated_workloads()) {
    model.pipelines.emplace(workload.pipeline.dataset, workload.pipeline);
    if (workload.name.find('-') == std::string::npos || workload.name == "bert-base" ||
        workload.name == "lenet-mnist" || workload.name == "resnet18-cifar10")
      model.networks.emplace(workload.name, workload.network);
  }
  return model;
}

hw::SimulatedWorkload workload_of(const Model& model, const std::string& name) {
  auto workload = hw::find_simulated_workload(name);
  const auto network = model.networks.find(name);
  workload.network =
      network != model.networks.end() ? network->second : model.networks.at(workload.network.model);
  workload.pipeline = model.pipelines.at(workload.pipeline.dataset);
  return workload;
}

std::vector<Parameter> parameters_of(Model& model) {
  std::vector<Parameter> all;
  const auto add = [&](const std::string& name, double& value, double expected, double spread,
                       Scale scale = Scale::positive) {
    all.push_back({name, &value, expected, spread, scale});
  };
  const auto add_board = [&](hw::SimulatedBoard& b, bool orin) {
    const std::string at = orin ? "orin." : "xavier.";
    if (orin) {  // speeds are relative to the Xavier; cores per GPU, bus widths and CPU generations
      add(at + "cpu_speed", b.cpu_speed, 1.3, 0.2);
      add(at + "gpu_speed", b.gpu_speed, 3, 0.4);
      add(at + "mem_speed", b.mem_speed, 1, 0.1);
    }
    add(at + "cpu_memory", b.cpu_memory, 0.3, 0.5);
    if (!orin) {
      add(at + "kernel_overlap", b.kernel_overlap, 1.3, 1, Scale::above_one);
      add(at + "launch_overlap", b.launch_overlap, 2, 1, Scale::above_one);
      add(at + "handoff_crowding", b.handoff_crowding, 0.5, 0.3);
    }
    add(at + "static_w", b.static_w, orin ? 8 : 1.5, 0.3);
    add(at + "mem_w", b.mem_w, orin ? 1 : 2, 0.3);
    add(at + "traffic_w", b.traffic_w, orin ? 5 : 8, 0.5);
    add(at + "core_idle_w", b.core_idle_w, orin ? 0.3 : 0.1, 0.5);
    add(at + "core_busy_w", b.core_busy_w, orin ? 1.2 : 1, 0.5);
    add(at + "gpu_idle_w", b.gpu_idle_w, orin ? 3 : 1, 0.5);
    add(at + "gpu_busy_w", b.gpu_busy_w, orin ? 25 : 18, 0.5);
    add(at + "gpu_voltage_floor", b.gpu_voltage_floor, 0.6, 0.5, Scale::share);
    add(at + "gpu_voltage_knee", b.gpu_voltage_knee, 0.4, 0.5, Scale::share);
  };
  add_board(model.xavier, false);
  add_board(model.orin, true);
  const std::map<std::string, std::array<double, 3>> expected = {// compute, traffic, launch
                                                                 {"resnet18", {150, 70, 25}},
                                                                 {"mobilenetv3", {120, 150, 60}},
                                                                 {"yolov8n", {250, 120, 60}},
                                                                 {"bert-base", {2600, 700, 40}},
                                                                 {"lstm", {15, 8, 8}},
                                                                 {"lenet-mnist", {1, 1, 10}},
                                                                 {"resnet18-cifar10", {100, 70, 25}}};
  for (auto& [name, n] : model.networks) {
    const auto& e = expected.at(name);
    const auto at = identifier(name) + ".";
    add(at + "compute", n.compute, e[0], 0.7);
    add(at + "traffic", n.traffic, e[1], 0.7);
    add(at + "launch", n.launch, e[2], 0.5);
    add(at + "crowding", n.crowding, 0.2, 0.5);
    add(at + "compute_activity", n.compute_activity, 1, 0.3);
    add(at + "traffic_activity", n.traffic_activity, 0.3, 0.5);
    add(at + "traffic_power", n.traffic_power, 1, 0.2);
  }
  const std::map<std::string, std::array<double, 2>> work = {
      // fetch, handoff
      {"imagenet-val", {350, 6}}, {"gld23k", {350, 8}}, {"coco-minitrain", {200, 6}}, {"squad-v2", {10, 4}},
      {"wikitext", {3, 2}},       {"mnist", {5, 4}},    {"cifar10", {15, 6}}};
  for (auto& [name, p] : model.pipelines) {
    const auto& e = work.at(name);
    const auto at = identifier(name) + ".";
    add(at + "fetch", p.fetch, e[0], 0.5);
    add(at + "handoff", p.handoff, e[1], 0.5);
    add(at + "core_activity", p.core_activity, 1, 0.2);
  }
  return all;
}

hw::SimulatedSettings top_of(const hw::SimulatedBoard& board) {
  return {board.cores, board.cpu_top_ghz, board.gpu_top_ghz, board.mem_top_ghz};
}

const hw::PowerModeSpace& powertrain_space() {
  static const auto space = hw::module_space("orin-agx-64", "powertrain");
  return space;
}

Model fit(const std::vector<Point>& points) {
  Model model = shipped_model();
  Residuals residuals{&points, &model, parameters_of(model)};
  VectorXd x(residuals.inputs());
  for (std::size_t i = 0; i < residuals.parameters.size(); ++i)
    x[static_cast<Eigen::Index>(i)] =
        to_line(residuals.parameters[i].scale, residuals.parameters[i].expected);
  residuals.num_values = static_cast<int>(residuals.evaluate(x).size());
  Eigen::LevenbergMarquardt<Residuals> search(residuals);
  search.parameters.maxfev = 4000;
  search.parameters.ftol = search.parameters.xtol = 1e-10;
  search.minimize(x);
  residuals.evaluate(x);
  return model;
}

}  // namespace fewwatt::calibration
