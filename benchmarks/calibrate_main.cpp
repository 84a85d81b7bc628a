// calibrate_simulator: fits the constants of hw/simulated_device.cpp to measurements and published figures
// (programs/calibrate_model.hpp), and says how far the simulator is from both. Exit code 1 when a limit is exceeded. Started by
// scripts/calibrate.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "benchmarks/programs/calibrate_model.hpp"
#include "datasets/generate.hpp"
#include "datasets/import.hpp"
#include "hw/program.hpp"
#include "hw/simulated_device.hpp"

namespace {

namespace program = fewwatt::program;
namespace po = fewwatt::program::po;
namespace fs = std::filesystem;
using namespace fewwatt;
using namespace fewwatt::calibration;

// ---- Limits ----

constexpr double kTimeLimit = 5, kPowerLimit = 6;  // mean absolute error of the fit, %
constexpr double kLeftOutLimit = 8;                // of modes left out of the fit, time and power, %
constexpr double kFrontLimit = 20;                 // ends of the Orin fronts against the published ones, %
constexpr double kDriftLimit = 2;  // shipped constants against fitted ones, mean difference, %

constexpr double kConstantDrift = 0.01;  // that is worth a remark: relative

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
