#include "hw/simulated_device.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include "hw/random.hpp"
#include "hw/text.hpp"

namespace fewwatt::hw {
namespace {

// The first number that is not above `least` (or not at least `least`, with or_equal), as an error message.
struct Bound {
  const char* name;
  double value, least;
  bool or_equal;
};
std::string first_error(const char* what, std::initializer_list<Bound> bounds) {
  for (const auto& bound : bounds) {
    const bool good = std::isfinite(bound.value) &&
                      (bound.or_equal ? bound.value >= bound.least : bound.value > bound.least);
    if (!good)
      return std::string(what) + ": " + bound.name + " must be " + (bound.or_equal ? ">= " : "> ") +
             std::to_string(bound.least) + ", got " + std::to_string(bound.value);
  }
  return "";
}

double norm(double p, double a, double b) {
  const double largest = std::max(a, b);
  if (largest <= 0) return 0;
  return largest * std::pow(std::pow(a / largest, p) + std::pow(b / largest, p), 1 / p);
}

double voltage(double floor, double knee, double x) {
  return std::max(floor, floor + (1 - floor) * (x - knee) / (1 - knee));
}

// Prefetching hides what is fetched up to the time of the GPU; queues are short, so the corner is rounded.
constexpr double kPrefetchCorner = 8;
// Threads beside the workers: the one that launches, and the logger.
constexpr double kOtherThreads = 2;
// GPUs do not clock lower, whatever their power limit, relative to the top.
constexpr double kLowestLimitedClock = 0.1;

// What workloads beside one take: threads, the share of time in which their kernels run or wait, the share of the
// memory's bandwidth.
struct Others {
  double threads = 0, held = 0, bandwidth = 0;
};

// What a workload asks of the board, and what its power follows from.
struct Use {
  double traffic = 0;    // work per time [GHz]
  double traffic_w = 0;  // of it
  double busy = 0;       // cores, at most all
  double load = 0;       // of them, times core_activity
  double activity = 0;   // of the GPU
  double held = 0;       // share of time in which its kernels run or wait
};

SimulatedCost time_at(const SimulatedBoard& board, const SimulatedWorkload& workload,
                      const SimulatedSettings& settings, double gpu_ghz, const Others& others, Use& use) {
  const auto& network = workload.network;
  const auto& pipeline = workload.pipeline;
  const double batch = settings.batch_size > 0 ? settings.batch_size : workload.batch_size;
  const double growth = batch / kSimulatedBatch;
  const double gpu_growth = network.fixed_share + (1 - network.fixed_share) * growth;
  const double mem_rate = board.mem_speed * settings.mem_ghz;
  const double core =
      1 / (board.cpu_speed * settings.cpu_ghz) + board.cpu_memory / mem_rate * (1 + others.bandwidth);
  const double cores = settings.cores;
  const double threads = pipeline.workers + kOtherThreads + others.threads;
  const double crowding = std::max(0.0, threads / cores - 1);
  const bool has_gpu = board.gpu_top_ghz > 0;

  SimulatedCost cost;
  cost.gpu_ghz = gpu_ghz;
  const double host_share = 1 - board.parallel + board.parallel / cores;
  const double compute =
      network.compute * gpu_growth *
      (has_gpu ? 1 / (board.gpu_speed * gpu_ghz) : host_share * core * board.host_slowdown);
  const double traffic = network.traffic * gpu_growth / mem_rate;
  cost.kernels_ms = norm(board.kernel_overlap, compute, traffic) * (1 + (1 + kSliceLoss) * others.held);
  cost.launches_ms = network.launch * core * (1 + network.crowding * crowding);
  cost.gpu_ms = norm(board.launch_overlap, cost.kernels_ms, cost.launches_ms);
  const double fetch_work = pipeline.fetch * growth * core;
  const double handoff = pipeline.handoff * core * (1 + board.handoff_crowding * crowding);
  if (pipeline.workers > 0) {
    const double helpers = pipeline.workers * std::min(1.0, cores / threads);  // threads share the cores
    cost.fetch_ms = fetch_work / helpers;
    cost.stall_ms = norm(kPrefetchCorner, cost.gpu_ms, cost.fetch_ms) - cost.gpu_ms + handoff;
  } else {
    cost.fetch_ms = fetch_work;
    cost.stall_ms = fetch_work + handoff;
  }
  const double time_ms = cost.gpu_ms + cost.stall_ms;

  // The launching thread waits actively, so it keeps a core busy.
  double load = 1 + (pipeline.workers > 0 ? fetch_work / time_ms : 0);
  if (!has_gpu) load += compute / time_ms * (cores - 1) * board.parallel;
  use.busy = std::min(load, cores);
  use.load = use.busy * pipeline.core_activity;
  use.traffic = network.traffic * gpu_growth / time_ms;
  use.traffic_w = board.traffic_w * network.traffic_power * network.traffic * gpu_growth / time_ms;
  use.activity = (network.compute_activity * compute + network.traffic_activity * traffic) / time_ms;
  use.held = std::min(1.0, cost.kernels_ms / time_ms);
  cost.time_ms = time_ms * workload.batch_size / batch;
  return cost;
}

double power_at(const SimulatedBoard& board, const SimulatedSettings& settings, double gpu_ghz,
                const Use& use) {
  const double x_cpu = settings.cpu_ghz / board.cpu_top_ghz;
  const double v_cpu = voltage(board.cpu_voltage_floor, board.cpu_voltage_knee, x_cpu);
  double power_w =
      board.static_w + board.mem_w * settings.mem_ghz + use.traffic_w +
      v_cpu * v_cpu * x_cpu * (board.core_idle_w * settings.cores + board.core_busy_w * use.load);
  if (board.gpu_top_ghz > 0) {
    const double x_gpu = gpu_ghz / board.gpu_top_ghz;
    const double v_gpu = voltage(board.gpu_voltage_floor, board.gpu_voltage_knee, x_gpu);
    power_w += v_gpu * v_gpu * x_gpu * (board.gpu_idle_w + board.gpu_busy_w * use.activity);
  }
  return power_w;
}

SimulatedCost cost_at(const SimulatedBoard& board, const SimulatedWorkload& workload,
                      const SimulatedSettings& settings, double gpu_ghz) {
  Use use;
  auto cost = time_at(board, workload, settings, gpu_ghz, {}, use);
  cost.power_w = power_at(board, settings, gpu_ghz, use);
  return cost;
}

std::vector<SimulatedCost> costs_at(const SimulatedBoard& board, std::span<const SimulatedWorkload> workloads,
                                    const SimulatedSettings& settings, double gpu_ghz) {
  std::vector<SimulatedCost> costs(workloads.size());
  std::vector<Use> uses(workloads.size());
  const double mem_rate = board.mem_speed * settings.mem_ghz;
  // What each leaves the others depends on what they leave it; half steps settle in some dozens.
  for (int step = 0; step < 200; ++step) {
    double change = 0;
    for (std::size_t i = 0; i < workloads.size(); ++i) {
      Others others;
      for (std::size_t j = 0; j < workloads.size(); ++j) {
        if (j == i) continue;
        others.threads += workloads[j].pipeline.workers + kOtherThreads;
        others.held += uses[j].held;
        others.bandwidth += std::min(1.0, uses[j].traffic / mem_rate);
      }
      Use use;
      costs[i] = time_at(board, workloads[i], settings, gpu_ghz, others, use);
      const double held = step == 0 ? use.held : (uses[i].held + use.held) / 2;
      change = std::max({change, std::abs(held - uses[i].held), std::abs(use.traffic / uses[i].traffic - 1)});
      uses[i] = use;
      uses[i].held = held;
    }
    if (change < 1e-12) break;
  }
  Use all;
  for (const auto& use : uses) {
    all.traffic_w += use.traffic_w;
    all.busy += use.busy;
    all.load += use.load;
    all.activity += use.activity;
  }
  all.load *= std::min(1.0, settings.cores / all.busy);
  for (auto& cost : costs) cost.power_w = power_at(board, settings, gpu_ghz, all);
  return costs;
}

// The GPU takes the highest clock that keeps the power limit; costs(gpu_ghz) with their power from power_of.
template <class Costs, class PowerOf>
auto within_limit(const SimulatedBoard& board, const SimulatedSettings& settings, const Costs& costs,
                  const PowerOf& power_of) {
  auto free = costs(settings.gpu_ghz);
  if (power_of(free) <= settings.power_limit_w || board.gpu_top_ghz <= 0) return free;
  double low = std::min(settings.gpu_ghz, kLowestLimitedClock * board.gpu_top_ghz), high = settings.gpu_ghz;
  for (int step = 0; step < 40; ++step) {
    const double middle = (low + high) / 2;
    (power_of(costs(middle)) <= settings.power_limit_w ? low : high) = middle;
  }
  return costs(low);
}

}  // namespace

std::string SimulatedBoard::error() const {
  auto text = first_error("SimulatedBoard", {{"cores", cores, 1, true},
                                             {"cpu_top_ghz", cpu_top_ghz, 0, false},
                                             {"gpu_top_ghz", gpu_top_ghz, 0, true},
                                             {"mem_top_ghz", mem_top_ghz, 0, false},
                                             {"cpu_speed", cpu_speed, 0, false},
                                             {"gpu_speed", gpu_speed, 0, false},
                                             {"mem_speed", mem_speed, 0, false},
                                             {"cpu_memory", cpu_memory, 0, true},
                                             {"kernel_overlap", kernel_overlap, 1, true},
                                             {"launch_overlap", launch_overlap, 1, true},
                                             {"handoff_crowding", handoff_crowding, 0, true},
                                             {"parallel", parallel, 0, true},
                                             {"host_slowdown", host_slowdown, 0, false},
                                             {"static_w", static_w, 0, false},
                                             {"mem_w", mem_w, 0, true},
                                             {"traffic_w", traffic_w, 0, true},
                                             {"core_idle_w", core_idle_w, 0, true},
                                             {"core_busy_w", core_busy_w, 0, true},
                                             {"gpu_idle_w", gpu_idle_w, 0, true},
                                             {"gpu_busy_w", gpu_busy_w, 0, true},
                                             {"cpu_voltage_floor", cpu_voltage_floor, 0, false},
                                             {"cpu_voltage_knee", cpu_voltage_knee, 0, true},
                                             {"gpu_voltage_floor", gpu_voltage_floor, 0, false},
                                             {"gpu_voltage_knee", gpu_voltage_knee, 0, true}});
  if (!text.empty()) return text;
  for (const auto& [what, value] : {std::pair{"parallel", parallel},
                                    {"cpu_voltage_floor", cpu_voltage_floor},
                                    {"cpu_voltage_knee", cpu_voltage_knee},
                                    {"gpu_voltage_floor", gpu_voltage_floor},
                                    {"gpu_voltage_knee", gpu_voltage_knee}}) {
    if (value >= 1)
      return std::string("SimulatedBoard: ") + what + " must be < 1, got " + std::to_string(value);
  }
  return "";
}

double SimulatedWorkload::minibatches_per_epoch() const {
  return std::ceil(pipeline.samples / batch_size);
}

std::string SimulatedWorkload::error() const {
  auto text = first_error("SimulatedWorkload", {{"compute", network.compute, 0, false},
                                                {"traffic", network.traffic, 0, false},
                                                {"launch", network.launch, 0, true},
                                                {"crowding", network.crowding, 0, true},
                                                {"fixed_share", network.fixed_share, 0, true},
                                                {"compute_activity", network.compute_activity, 0, true},
                                                {"traffic_activity", network.traffic_activity, 0, true},
                                                {"traffic_power", network.traffic_power, 0, true},
                                                {"samples", pipeline.samples, 0, true},
                                                {"workers", static_cast<double>(pipeline.workers), 0, true},
                                                {"fetch", pipeline.fetch, 0, true},
                                                {"handoff", pipeline.handoff, 0, true},
                                                {"core_activity", pipeline.core_activity, 0, true},
                                                {"batch_size", batch_size, 0, false}});
  if (text.empty() && network.fixed_share > 1)
    text = "SimulatedWorkload: fixed_share must be <= 1, got " + std::to_string(network.fixed_share);
  return text;
}

std::string SimulatedNoise::error() const {
  return first_error("SimulatedNoise", {{"time", time, 0, true}, {"power", power, 0, true}});
}

SimulatedCost simulate(const SimulatedBoard& board, const SimulatedWorkload& workload,
                       const SimulatedSettings& settings) {
  return within_limit(
      board, settings, [&](double gpu_ghz) { return cost_at(board, workload, settings, gpu_ghz); },
      [](const SimulatedCost& cost) { return cost.power_w; });
}

std::vector<SimulatedCost> simulate_together(const SimulatedBoard& board,
                                             std::span<const SimulatedWorkload> workloads,
                                             const SimulatedSettings& settings) {
  if (workloads.empty()) throw std::invalid_argument("simulate_together: expected at least one workload");
  return within_limit(
      board, settings, [&](double gpu_ghz) { return costs_at(board, workloads, settings, gpu_ghz); },
      [](const std::vector<SimulatedCost>& costs) { return costs[0].power_w; });
}

SimulatedSettings settings_of(const SimulatedBoard& board, const PowerModeSpace& space,
                              const PowerMode& mode) {
  SimulatedSettings settings{board.cores, board.cpu_top_ghz, board.gpu_top_ghz, board.mem_top_ghz};
  for (std::size_t k = 0; k < space.knobs().size(); ++k) {
    switch (space.knobs()[k].role) {
      case KnobRole::cpu_cores:
        settings.cores = mode[k];
        break;
      case KnobRole::cpu_khz:
        settings.cpu_ghz = mode[k] * 1e-6;
        break;
      case KnobRole::gpu_khz:
        settings.gpu_ghz = mode[k] * 1e-6;
        break;
      case KnobRole::mem_khz:
        settings.mem_ghz = mode[k] * 1e-6;
        break;
      case KnobRole::power_limit_mw:
        settings.power_limit_w = mode[k] * 1e-3;
        break;
      case KnobRole::batch_size:
        settings.batch_size = mode[k];
        break;
    }
  }
  return settings;
}

SimulatedDevice::SimulatedDevice(SimulatedBoard board, SimulatedWorkload workload, PowerModeSpace space,
                                 SimulatedNoise noise, const std::vector<SimulatedWorkload>& beside)
    : board_(std::move(board)), workloads_{std::move(workload)}, space_(std::move(space)), noise_(noise) {
  workloads_.insert(workloads_.end(), beside.begin(), beside.end());
  for (const auto& error : {board_.error(), noise_.error()})
    if (!error.empty()) throw std::invalid_argument(error);
  for (const auto& one : workloads_)
    if (const auto error = one.error(); !error.empty()) throw std::invalid_argument(error);
}

Measurement SimulatedDevice::measure_without_noise(const PowerMode& mode) const {
  if (!space_.index_of(mode))
    throw DeviceError("simulated " + board_.name + " has no mode " + describe(space_, mode));
  const auto settings = settings_of(board_, space_, mode);
  const auto cost = workloads_.size() == 1 ? simulate(board_, workloads_[0], settings)
                                           : simulate_together(board_, workloads_, settings)[0];
  return {.time_ms = cost.time_ms, .power_w = cost.power_w};
}

Measurement SimulatedDevice::measure(const PowerMode& mode) {
  auto measured = measure_without_noise(mode);
  std::string names;
  for (const auto& one : workloads_) names += (names.empty() ? "" : "+") + one.name;
  auto rng = Rng::stream(noise_.seed, "measure " + board_.name + '/' + names + ' ' + describe(space_, mode));
  measured.time_ms *= std::exp(noise_.time * rng.normal());
  measured.power_w *= std::exp(noise_.power * rng.normal());
  return measured;
}

}  // namespace fewwatt::hw
