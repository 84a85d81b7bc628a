#include "hw/jetson/measured_boards.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <utility>

#include "hw/jetson/dry_run.hpp"
#include "hw/modules.hpp"
#include "hw/random.hpp"

namespace fewwatt::hw {
namespace {

// "" where there are such a board, grid and workload.
std::string simulation_error(const MeasuringOptions& options) {
  const std::pair<std::string, std::function<void()>> looks[] = {
      {"--device", [&] { find_simulated_board(options.simulated_board()); }},
      {"--grid",
       [&] { module_space(options.simulated_board(), options.grid.empty() ? "full" : options.grid); }},
      {"--workload", [&] { find_simulated_workload(options.workload); }}};
  for (const auto& [option, look] : looks) {
    try {
      look();
    } catch (const std::invalid_argument& e) {
      return option + ": " + e.what();
    }
  }
  return "";
}

}  // namespace

std::string MeasuringOptions::error() const {
  const bool here = device == "jetson", replay = device == "replay";
  if (!here && !replay && !simulated())
    return "--device must be jetson, simulated:BOARD or replay, found \"" + device + "\"";
  if (!simulated() && !grid.empty()) return "--grid goes with --device simulated:BOARD";
  if (!(simulated_speed > 0) || !std::isfinite(simulated_speed)) return "--simulated-speed must be > 0";
  if (!simulated() && simulated_speed != 1) return "--simulated-speed goes with --device simulated:BOARD";
  if (!command.empty() && command.front().empty()) return "-- CMD: expected a program, found an empty name";
  if (here && command.empty()) return "--device jetson needs a program to measure: -- CMD...";
  if (!here && workload.empty()) return "--device " + device + " needs --workload";
  if (replay && (profiles.empty() || profiled_device.empty()))
    return "--device replay needs --profiles and --profiled-device";
  if (replay && !command.empty()) return "--device replay runs no program";
  if (profiler.minibatches < 2) return "--minibatches must be >= 2";
  if (!(profiler.window_s > 0) || !std::isfinite(profiler.window_s)) return "--window-s must be > 0";
  if (!(stop_grace_s >= 0) || !std::isfinite(stop_grace_s)) return "--stop-grace-s must be >= 0";
  if (simulated())
    if (auto wrong = simulation_error(*this); !wrong.empty()) return wrong;
  return profiler.error();
}

JetsonBoard::JetsonBoard(const JetsonOptions& options, Monotonic& time) : files_(options.root) {
  auto board = find_board(files_);
  const auto compatible = board.compatible;
  check_may_set(files_, time, board);
  if (options.rails_only) {
    try {
      power_ = std::make_unique<RailPower>(files_, total_of(find_channels(files_), compatible));
    } catch (const DeviceError& e) {
      no_power_ = e.what();
    }
  } else {
    power_ = find_power_source(files_, time, compatible, options.tegrastats);
  }
  session_ = std::make_unique<ClockSession>(files_, options.state_folder());
  if (session_->replayed() > 0)
    board = find_board(files_);  // a crash may have left controls that could not be read
  clocks_ = std::make_unique<Clocks>(session_->files(), time, std::move(board));
  session_->files().save(clocks_->controls());
}

std::map<std::string, std::string> JetsonBoard::setting() const {
  std::map<std::string, std::string> found;
  const auto add = [&](const std::string& name, const std::string& path) {
    if (files_.exists(path)) found[name] = files_.read(path);
  };
  add("nvpmodel", "/var/lib/nvpmodel/status");
  if (board().gpu)
    for (const std::string mask : {"tpc_pg_mask", "fbp_pg_mask"}) add(mask, board().gpu->device + '/' + mask);
  return found;
}

void check_may_set(const Sysfs& files, Monotonic& time, const Board& board) {
  DryRunSysfs unchanged(files);
  for (const auto& path : Clocks(unchanged, time, board).controls()) {
    if (board.memory && path == board.memory->cap) continue;
    if (const int code = files.write_error(path); code != 0)
      throw DeviceError(
          "the board's clocks may not be set: " + path + ": " + std::strerror(code) +
          (code == EACCES || code == EPERM || code == EROFS ? "; run as root, outside of containers" : ""));
  }
}

PowerSource& JetsonBoard::power() {
  if (!power_) throw DeviceError(no_power_);
  return *power_;
}

BoardState JetsonBoard::state() const {
  return read_board_state(files_, clocks_->watched());
}

class SimulatedBoardAtWork::Power final : public PowerSource {
 public:
  Power(double speed, std::uint64_t seed) : speed_(speed), rng_(seed) {}
  void set(double watt) { watt_ = watt; }
  double power_w() override { return watt_ * std::exp(0.01 * rng_.normal()); }
  double averaging_s() const override { return kSensorAveraging_s / speed_; }
  std::string describe() const override { return "simulated"; }

 private:
  double speed_;
  Rng rng_;
  std::atomic<double> watt_{1};
};

SimulatedBoardAtWork::SimulatedBoardAtWork(SimulatedDevice device, std::string step_file, double speed,
                                           std::uint64_t seed)
    : device_(std::move(device)),
      step_file_(std::move(step_file)),
      speed_(speed),
      power_(std::make_unique<Power>(speed, seed)) {
  apply(device_.space().at(0));
}

SimulatedBoardAtWork::~SimulatedBoardAtWork() {
  std::error_code ignored;
  std::filesystem::remove(step_file_, ignored);
}

PowerSource& SimulatedBoardAtWork::power() {
  return *power_;
}

void SimulatedBoardAtWork::apply(const PowerMode& mode) {
  const auto cost = device_.measure(mode);
  const auto temporary = step_file_ + ".new";  // the program reads it at any moment
  std::ofstream file(temporary);
  file << cost.time_ms / speed_ << '\n';
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, step_file_, error);
  if (!file || error) throw DeviceError(step_file_ + ": cannot write");
  power_->set(cost.power_w);
}

}  // namespace fewwatt::hw
