// calibrate_simulator: fits the constants of hw/simulated_device.cpp to measurements and published figures,
// and says how far the simulator is from both. Exit code 1 when a limit is exceeded. Started by scripts/calibrate.
//
// Fitted together, by Levenberg-Marquardt on log ratios: the measured modes of three trainings on an AGX Xavier
// (doi 10.1145/3570604; epoch time and mean power), and what PowerTrain (doi 10.1016/j.future.2024.07.001) says
// of five trainings on an AGX Orin. Board constants are shared by all workloads; six constants of time and four
// of power belong to a workload.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <numeric>
#include <set>
#include <unsupported/Eigen/NonLinearOptimization>

#include "datasets/generate.hpp"
#include "datasets/import.hpp"
#include "hw/program.hpp"
#include "hw/simulated_device.hpp"

namespace {

namespace program = fewwatt::program;
namespace po = fewwatt::program::po;
namespace fs = std::filesystem;
using namespace fewwatt;
using Eigen::VectorXd;

// ---- Limits ----

constexpr double kTimeLimit = 5, kPowerLimit = 6;  // mean absolute error of the fit, %
constexpr double kLeftOutLimit = 8;                // of modes left out of the fit, time and power, %
constexpr double kFrontLimit = 20;                 // ends of the Orin fronts against the published ones, %
constexpr double kDriftLimit = 2;  // shipped constants against fitted ones, mean difference, %

constexpr double kConstantDrift = 0.01;  // that is worth a remark: relative

// ---- What is fitted to ----

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
constexpr Published kPublished[] = {
    {"resnet18", 3.0, 51.2, 6700, 12, 180, 51},
    {"mobilenetv3", 2.3, 43.7, 4650, 11.5, 140, 44},
    {"yolov8n", 4.9, 24.3, 4300, 11.4, 290, 23.8},
    {"bert-base", 68.6, 56.5, 0, 0, 0, 0},
    {"lstm", 0.4, 41.8, 0, 0, 0, 0},
    {"resnet18-gld23k", 0, 48.5, 0, 0, 0, 0},
    {"mobilenetv3-imagenet", 0, 43.3, 0, 0, 0, 0},
};
// How far a figure may be off before the fit cares, as a log ratio.
constexpr double kMeasuredSpread = 0.02, kTableSpread = 0.03, kReadOffSpread = 0.06;

constexpr const char* kMeasured[][2] = {
    {"LeNet", "lenet-mnist"}, {"ResNet", "resnet18-cifar10"}, {"MobileNet", "mobilenetv3"}};

std::string simulated_name(const std::string& measured) {
  for (const auto& [part, name] : kMeasured)
    if (measured.find(part) != std::string::npos) return name;
  throw std::runtime_error("no simulated workload for the measured " + measured);
}

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

// ---- What is fitted ----

struct Model {
  hw::SimulatedBoard xavier, orin;
  std::map<std::string, hw::SimulatedNetwork> networks;    // by name of the first workload that has it
  std::map<std::string, hw::SimulatedPipeline> pipelines;  // by dataset
};

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

// How work overlaps is a matter of the software, the same on both boards.
void share_overlaps(Model& model) {
  model.orin.kernel_overlap = model.xavier.kernel_overlap;
  model.orin.launch_overlap = model.xavier.launch_overlap;
  model.orin.handoff_crowding = model.xavier.handoff_crowding;
}

enum class Scale { positive, above_one, share };

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

// One number that is fitted. What the measurements leave open stays near `expected`.
struct Parameter {
  std::string name;
  double* value;
  double expected, spread;  // of the logarithm (of value, value - 1 or value / (1 - value))
  Scale scale = Scale::positive;
};

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

// ---- The fit ----

hw::SimulatedSettings top_of(const hw::SimulatedBoard& board) {
  return {board.cores, board.cpu_top_ghz, board.gpu_top_ghz, board.mem_top_ghz};
}

const hw::PowerModeSpace& powertrain_space() {
  static const auto space = hw::module_space("orin-agx-64", "powertrain");
  return space;
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

// ---- How far off ----

struct Errors {
  double time = 0, power = 0;  // sums of absolute relative errors
  int count = 0;
  void add(const hw::SimulatedCost& cost, const Point& point) {
    time += std::abs(cost.time_ms / point.time_ms - 1);
    power += std::abs(cost.power_w / point.power_w - 1);
    ++count;
  }
  double time_mape() const { return 100 * time / count; }
  double power_mape() const { return 100 * power / count; }
};

using ErrorsByWorkload = std::map<std::string, Errors>;

void add_errors(ErrorsByWorkload& errors, const Model& model, const std::vector<Point>& points) {
  for (const auto& point : points)
    errors[point.workload].add(simulate(model.xavier, workload_of(model, point.workload), point.settings),
                               point);
}

struct FrontEnd {
  double seconds = 0, watts = 0;
};
struct Front {
  FrontEnd slow, fast, at_30w;
};

// Of the epochs of a workload on the published grid, without noise.
Front front_of(const Model& model, const hw::SimulatedWorkload& workload) {
  std::vector<FrontEnd> all;
  for (const auto& mode : powertrain_space().modes()) {
    const auto cost = simulate(model.orin, workload, settings_of(model.orin, powertrain_space(), mode));
    all.push_back({cost.time_ms * workload.minibatches_per_epoch() * 1e-3, cost.power_w});
  }
  const auto faster = [](const FrontEnd& a, const FrontEnd& b) {
    return std::pair(a.seconds, a.watts) < std::pair(b.seconds, b.watts);
  };
  const auto leaner = [](const FrontEnd& a, const FrontEnd& b) {
    return std::pair(a.watts, a.seconds) < std::pair(b.watts, b.seconds);
  };
  Front front{*std::min_element(all.begin(), all.end(), leaner),
              *std::min_element(all.begin(), all.end(), faster),
              {}};
  std::erase_if(all, [](const auto& end) { return end.watts > 30; });
  front.at_30w = *std::min_element(all.begin(), all.end(), faster);
  return front;
}

double off_percent(double simulated, double published) {
  return 100 * (simulated / published - 1);
}

// Standard deviation of a profile's log times or log powers.
std::optional<double> log_spread(const datasets::Profile& profile, double hw::Measurement::*value) {
  double sum = 0, squares = 0;
  int n = 0;
  for (const auto& measurement : profile.measurements) {
    if (std::isnan(measurement.*value)) continue;
    const double y = std::log(measurement.*value);
    sum += y;
    squares += y * y;
    ++n;
  }
  if (n < 2) return std::nullopt;
  return std::sqrt(std::max(0.0, squares / n - sum / n * sum / n));
}

class Report {
 public:
  void check(bool good, const std::string& what) {
    if (good) return;
    std::printf("LIMIT EXCEEDED: %s\n", what.c_str());
    failed_ = true;
  }
  void check_below(const char* what, double value, double limit) {
    char text[200];
    std::snprintf(text, sizeof text, "%s is %.2f %%, expected at most %.0f %%", what, value, limit);
    check(value <= limit, text);
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

void print_errors(const char* title, const ErrorsByWorkload& errors, double time_limit, double power_limit,
                  Report& report) {
  std::printf("%s\n", title);
  for (const auto& [workload, e] : errors) {
    std::printf("  %-18s epoch time %5.2f %%   mean power %5.2f %%   (%d points)\n", workload.c_str(),
                e.time_mape(), e.power_mape(), e.count);
    report.check_below((workload + ", " + title + ", epoch time").c_str(), e.time_mape(), time_limit);
    report.check_below((workload + ", " + title + ", mean power").c_str(), e.power_mape(), power_limit);
  }
}

void print_points(const Model& model, const std::vector<Point>& points) {
  std::printf("AGX Xavier, simulated / measured per minibatch\n");
  for (const auto& point : points) {
    const auto cost = simulate(model.xavier, workload_of(model, point.workload), point.settings);
    std::printf("  %-18s %-66s %7.2f / %7.2f ms %+5.1f %%   %5.2f / %5.2f W %+5.1f %%\n",
                point.workload.c_str(), point.mode.c_str(), cost.time_ms, point.time_ms,
                off_percent(cost.time_ms, point.time_ms), cost.power_w, point.power_w,
                off_percent(cost.power_w, point.power_w));
  }
}

void print_fronts(const char* title, const Model& model, Report& report) {
  std::printf("AGX Orin, %s: fronts on PowerTrain's grid, simulated / published, per epoch\n", title);
  for (const auto& published : kPublished) {
    const auto workload = workload_of(model, published.workload);
    const auto fast = simulate(model.orin, workload, top_of(model.orin));
    const double minutes = fast.time_ms * workload.minibatches_per_epoch() / 60e3;
    const auto front = front_of(model, workload);
    std::printf("  %-20s fastest mode %.2f / %.2f min, %.1f / %.1f W; %.0f s at 30 W\n", published.workload,
                minutes, published.fastest_min, fast.power_w, published.fastest_w, front.at_30w.seconds);
    if (published.slow_end_s <= 0) continue;
    std::printf("  %-20s slow end %.0f / %.0f s, %.1f / %.1f W; fast end %.0f / %.0f s, %.1f / %.1f W\n", "",
                front.slow.seconds, published.slow_end_s, front.slow.watts, published.slow_end_w,
                front.fast.seconds, published.fast_end_s, front.fast.watts, published.fast_end_w);
    for (const auto& [what, simulated, wanted] :
         {std::tuple{"slow end, time", front.slow.seconds, published.slow_end_s},
          {"slow end, power", front.slow.watts, published.slow_end_w},
          {"fast end, time", front.fast.seconds, published.fast_end_s},
          {"fast end, power", front.fast.watts, published.fast_end_w}})
      report.check_below((std::string(published.workload) + ", " + title + ", " + what).c_str(),
                         std::abs(off_percent(simulated, wanted)), kFrontLimit);
  }
}

void print_constants(Model fitted) {
  Model shipped = shipped_model();
  const auto now = parameters_of(fitted), then = parameters_of(shipped);
  std::printf(
      "fitted constants, in the form of hw/simulated_device.cpp, and the value there where it differs\n");
  for (std::size_t i = 0; i < now.size(); ++i) {
    std::printf("  %s = %.4g;", now[i].name.c_str(), *now[i].value);
    if (std::abs(*now[i].value / *then[i].value - 1) > kConstantDrift)
      std::printf("  // shipped: %.4g", *then[i].value);
    std::printf("\n");
  }
}

// The spread of log time and log power over the modes of real profiles against that of a population.
void print_spreads(const std::vector<datasets::ProfileStore>& real, Report& report) {
  datasets::SimulationRequest request;
  request.random_devices = 150;
  request.random_workloads = 40;
  const auto population = datasets::generate_profiles(request);
  std::printf("spread over modes, standard deviation of logarithms; a population of %zu profiles\n",
              population.profiles.size());
  const std::pair<const char*, double hw::Measurement::*> columns[] = {{"time", &hw::Measurement::time_ms},
                                                                       {"power", &hw::Measurement::power_w}};
  for (const auto& [name, value] : columns) {
    std::map<std::string, std::vector<double>> spreads;  // by roles
    for (const auto& profile : population.profiles)
      spreads[describe_roles(*profile.space)].push_back(*log_spread(profile, value));
    for (auto& [roles, values] : spreads) std::sort(values.begin(), values.end());
    const auto print_range = [&](const std::string& roles) {
      const auto& v = spreads.at(roles);
      const auto at = [&](double share) { return v[static_cast<std::size_t>(share * (v.size() - 1.0))]; };
      std::printf("  %-5s simulated, %-38s 0/5/50/95/100 %%: %.3f %.3f %.3f %.3f %.3f\n", name, roles.c_str(),
                  at(0), at(0.05), at(0.5), at(0.95), at(1));
    };
    for (const auto& [roles, values] : spreads) print_range(roles);
    for (const auto& store : real) {
      std::map<std::string, std::pair<double, double>> ranges;  // of real profiles, by device and roles
      for (const auto& profile : store.profiles) {
        const auto spread = log_spread(profile, value);
        if (!spread) continue;
        const auto roles = describe_roles(*profile.space);
        auto& range = ranges.try_emplace(profile.device + ", " + roles, *spread, *spread).first->second;
        range = {std::min(range.first, *spread), std::max(range.second, *spread)};
        const auto& v = spreads.at(roles);
        report.check(*spread >= v.front() && *spread <= v.back(),
                     std::string(name) + " of " + profile.device + "/" + profile.workload + " spreads by " +
                         std::to_string(*spread) + ", outside the population's " + std::to_string(v.front()) +
                         " .. " + std::to_string(v.back()));
      }
      for (const auto& [where, range] : ranges)
        std::printf("  %-5s measured,  %-38s %.3f .. %.3f\n", name, where.c_str(), range.first, range.second);
    }
  }
}

void check_drift(const Model& fitted, const Model& shipped, const std::vector<Point>& points,
                 Report& report) {
  Errors drift;
  for (const auto& point : points) {
    const auto a = simulate(fitted.xavier, workload_of(fitted, point.workload), point.settings);
    const auto b = simulate(shipped.xavier, workload_of(shipped, point.workload), point.settings);
    drift.add(b, {"", "", {}, a.time_ms, a.power_w});
  }
  std::printf("shipped constants against fitted ones: time %.2f %%, power %.2f %%\n", drift.time_mape(),
              drift.power_mape());
  report.check_below("drift of time", drift.time_mape(), kDriftLimit);
  report.check_below("drift of power", drift.power_mape(), kDriftLimit);
}

int verdict(const Report& report) {
  std::printf(report.failed() ? "calibration FAILED\n" : "calibration holds\n");
  return report.failed() ? program::kFailed : program::kDone;
}

int calibrate(int argc, char** argv) {
  program::Manual manual;
  manual.verb = "calibrate";
  manual.synopsis = "--data-root DIR --mappings DIR";
  manual.about =
      "Fits the simulator to measurements and prints how far it is from them. Fails when a limit is "
      "exceeded.";
  program::CommonOptions common;
  std::string data_root, mappings;
  bool drift_only = false;
  auto add = manual.options.add_options();
  add("data-root", po::value(&data_root)->required()->value_name("DIR"), "folder of measured profiles");
  add("mappings", po::value(&mappings)->required()->value_name("DIR"), "folder of their import mappings");
  add("drift-only", po::bool_switch(&drift_only),
      "only check how far the shipped constants are from the fitted ones");
  if (!program::parse(argc, argv, manual, common)) return program::kDone;

  const auto import = [&](const std::string& source) {
    return datasets::import_profiles(
        datasets::read_mapping((fs::path(mappings) / (source + ".ini")).string()),
        {(fs::path(data_root) / source).string()});
  };
  const auto xavier = import("xavier-sigmetrics22");
  const auto points = measured_points(xavier, hw::find_simulated_board("xavier-agx"));

  Report report;
  const Model fitted = fit(points), shipped = shipped_model();
  check_drift(fitted, shipped, points, report);
  if (drift_only) return verdict(report);
  print_points(fitted, points);
  ErrorsByWorkload in_fit, left_out, as_shipped;
  add_errors(in_fit, fitted, points);
  add_errors(as_shipped, shipped, points);
  std::set<std::string> modes;
  for (const auto& point : points) modes.insert(point.mode);
  for (const auto& mode : modes) {
    std::vector<Point> kept, held;
    for (const auto& point : points) (point.mode == mode ? held : kept).push_back(point);
    add_errors(left_out, fit(kept), held);
  }
  print_errors("fitted", in_fit, kTimeLimit, kPowerLimit, report);
  print_errors("each mode left out of the fit in turn, of all workloads", left_out, kLeftOutLimit,
               kLeftOutLimit, report);
  print_errors("as shipped", as_shipped, kTimeLimit, kPowerLimit, report);
  print_fronts("fitted", fitted, report);
  print_fronts("as shipped", shipped, report);

  print_spreads(
      {xavier, import("tx2-flexibo"), import("tx2-osldvfs"), import("gpu-zeus"), import("titanx-ulisboa")},
      report);
  print_constants(fitted);
  return verdict(report);
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("calibrate", [&] { return calibrate(argc, argv); });
}
