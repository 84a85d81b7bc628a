#include "datasets/measured_workload.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <stdexcept>

#include "datasets/generate.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/replay_device.hpp"
#include "hw/modules.hpp"
#include "hw/printable.hpp"
#include "hw/private_folder.hpp"
#include "hw/random.hpp"
#include "hw/simulated_device.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

hw::ProfilerOptions profiler_options(const hw::MeasuringOptions& options) {
  auto profiler = options.profiler;
  profiler.meter_interval_s = std::min(0.1, profiler.window_s / 20) / options.simulated_speed;
  return profiler;
}

hw::WorkloadOptions workload_options(const hw::MeasuringOptions& options) {
  hw::WorkloadOptions workload;
  workload.command = options.command;
  workload.stop_grace_s = options.stop_grace_s;
  workload.quiet = !options.program_output;
  workload.signals = options.signals;
  return workload;
}

class ProgramOnBoard final : public MeasuredWorkload {
 public:
  ProgramOnBoard(std::unique_ptr<hw::MeasuredBoard> board, const hw::MeasuringOptions& options,
                 std::map<std::string, std::string> environment, hw::Monotonic& time,
                 std::function<bool()> stop, std::unique_ptr<hw::PrivateFolder> folder = nullptr)
      : folder_(std::move(folder)),
        board_(std::move(board)),
        time_(time),
        stop_(std::move(stop)),
        start_s_(time.now_s()) {
    auto workload = workload_options(options);
    workload.environment.merge(environment);
    profiler_ =
        std::make_unique<hw::Profiler>(*board_, std::move(workload), time, profiler_options(options), stop_);
  }
  const hw::PowerModeSpace& space() const override { return board_->space(); }
  hw::Attempt attempt(const hw::PowerMode& mode) override { return profiler_->attempt(mode); }
  double now_s() override { return (time_.now_s() - start_s_) * board_->speed(); }
  void wait_s(double seconds) override {
    constexpr double kPatience_s = 0.1;
    for (double left_s = seconds / board_->speed(); left_s > 0 && !stop_(); left_s -= kPatience_s)
      time_.wait_s(std::min(left_s, kPatience_s));
  }
  std::vector<std::string> finish() override {
    constexpr std::size_t kFew = 16;
    if (const auto garbage = profiler_->garbage_bytes(); garbage > kFew)
      notices.push_back("the program wrote " + std::to_string(garbage) +
                        " bytes that are no newlines as steps");
    profiler_.reset();  // the program ends before the clocks are put back
    auto* jetson = dynamic_cast<hw::LiveBoard*>(board_.get());
    return jetson != nullptr ? jetson->restore() : std::vector<std::string>();
  }

 private:
  std::unique_ptr<hw::PrivateFolder> folder_;  // that the board writes to
  std::unique_ptr<hw::MeasuredBoard> board_;
  hw::Monotonic& time_;
  std::function<bool()> stop_;
  double start_s_;
  std::unique_ptr<hw::Profiler> profiler_;
};

class KnownAnswers final : public MeasuredWorkload {
 public:
  KnownAnswers(std::unique_ptr<hw::Device> of, const MeasuredWorkloadOptions& options,
               std::function<bool()> stop)
      : device_(std::move(of)),
        stop_(std::move(stop)),
        window_s_(options.measuring.profiler.window_s),
        noise_(options.noise),
        rng_(hw::Rng::stream(options.seed, "measurements")) {}
  const hw::PowerModeSpace& space() const override { return device_->space(); }
  hw::Attempt attempt(const hw::PowerMode& mode) override {
    hw::Attempt attempt;
    if (stop_()) {
      attempt.status = hw::AttemptStatus::interrupted;
      return attempt;
    }
    attempt.measured = device_->measure(mode);
    attempt.measured.time_ms *= std::exp(noise_ * rng_.normal());
    attempt.measured.power_w *= std::exp(noise_ * rng_.normal());
    attempt.took_s = window_s_;
    now_s_ += window_s_;
    return attempt;
  }
  double now_s() override { return now_s_; }
  void wait_s(double seconds) override { now_s_ += seconds; }

 private:
  std::unique_ptr<hw::Device> device_;
  std::function<bool()> stop_;
  double window_s_, noise_, now_s_ = 0;
  hw::Rng rng_;
};

std::unique_ptr<MeasuredWorkload> open_simulated(const MeasuredWorkloadOptions& options, hw::Monotonic& time,
                                                 std::function<bool()> stop) {
  const auto& measuring = options.measuring;
  const auto name = measuring.simulated_board();
  const auto& workload = hw::find_simulated_workload(measuring.workload);
  hw::SimulatedNoise noise{.seed = options.seed};
  if (options.noise > 0) noise.time = noise.power = 0;
  auto device = std::make_unique<hw::SimulatedDevice>(
      hw::find_simulated_board(name), workload,
      hw::module_space(name, measuring.grid.empty() ? "full" : measuring.grid), noise);
  std::unique_ptr<MeasuredWorkload> opened;
  if (measuring.command.empty()) {
    opened = std::make_unique<KnownAnswers>(std::move(device), options, std::move(stop));
  } else {
    auto folder = std::make_unique<hw::PrivateFolder>();
    const auto file = folder->path() + "/step";
    opened = std::make_unique<ProgramOnBoard>(
        std::make_unique<hw::SimulatedBoardAtWork>(std::move(*device), file, measuring.simulated_speed,
                                                   options.seed),
        measuring, std::map<std::string, std::string>{{hw::kSimulatedStepVariable, file}}, time,
        std::move(stop), std::move(folder));
  }
  opened->device = name;
  opened->device_attributes = {{"board", hw::find_module(name).title}, {"simulated", "yes"}};
  opened->attributes = attributes_of(workload, "fewwatt profile, simulated");
  return opened;
}

std::unique_ptr<MeasuredWorkload> open_recorded(const MeasuredWorkloadOptions& options,
                                                std::function<bool()> stop) {
  const auto& measuring = options.measuring;
  const auto store = read_profiles(measuring.profiles);
  const auto* profile = store.find(measuring.profiled_device, measuring.workload);
  if (profile == nullptr) {
    const auto wanted = measuring.profiled_device + '/' + measuring.workload;
    throw DataError(measuring.profiles + ": has no profile " + wanted +
                    hw::did_you_mean(wanted, store.profiles,
                                     [](const Profile& one) { return one.device + '/' + one.workload; }));
  }
  auto opened =
      std::make_unique<KnownAnswers>(std::make_unique<ReplayDevice>(*profile), options, std::move(stop));
  opened->device = measuring.profiled_device;
  opened->attributes = profile->attributes;
  if (const auto found = store.devices.find(measuring.profiled_device); found != store.devices.end())
    opened->device_attributes = found->second;
  return opened;
}

// "NVIDIA Jetson AGX Orin Developer Kit" as a name in a file of profiles.
std::string plain_name(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    c = std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : '-';
  }
  return text.empty() ? "jetson" : text;
}

std::unique_ptr<MeasuredWorkload> open_jetson(const hw::MeasuringOptions& options, hw::Monotonic& time,
                                              std::function<bool()> stop) {
  hw::DirectAccess direct;
  auto board = (options.access ? *options.access : direct).open(options.jetson, time);
  const auto& found = board->board();
  const auto device = plain_name(found.model);
  DeviceAttributes attributes = {{"board", found.model},
                                 {"jetpack", found.jetpack},
                                 {"l4t", found.release},
                                 {"power", board->power().describe()}};
  std::erase_if(attributes, [](const auto& entry) { return entry.second.empty(); });
  std::vector<std::string> notices;
  for (const auto& [what, why] : found.missing) notices.push_back(what + " is missing: " + why);
  notices.insert(notices.end(), found.notes.begin(), found.notes.end());
  if (board->replayed() > 0)
    notices.push_back("a run before this one did not end: " + std::to_string(board->replayed()) +
                      " controls are put back");
  attributes.merge(board->setting());
  for (auto& [name, value] : attributes) value = hw::printable(value);  // a file of profiles holds UTF-8
  const auto boot = board->state().boot_id;
  auto opened = std::make_unique<ProgramOnBoard>(std::move(board), options,
                                                 std::map<std::string, std::string>(), time, std::move(stop));
  opened->device = device;
  opened->device_attributes = std::move(attributes);
  opened->run_attributes = {{"boot_id", boot}};
  opened->notices = std::move(notices);
  return opened;
}

}  // namespace

std::unique_ptr<MeasuredWorkload> open_measured_workload(const MeasuredWorkloadOptions& options,
                                                         hw::Monotonic& time, std::function<bool()> stop) {
  if (auto error = options.measuring.error(); !error.empty()) throw std::invalid_argument(error);
  if (!(options.noise >= 0) || !std::isfinite(options.noise))
    throw std::invalid_argument("MeasuredWorkloadOptions: noise must be >= 0");
  if (options.measuring.simulated()) return open_simulated(options, time, std::move(stop));
  if (options.measuring.device == "replay") return open_recorded(options, std::move(stop));
  return open_jetson(options.measuring, time, std::move(stop));
}

}  // namespace fewwatt::datasets
