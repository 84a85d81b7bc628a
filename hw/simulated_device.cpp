#include "hw/simulated_device.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include "hw/random.hpp"

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

template <class Known>
const Known& find_named(std::span<const Known> known, std::string_view name, const std::string& what) {
  std::vector<std::string> names;
  for (const auto& one : known) {
    if (one.name == name) return one;
    names.push_back(one.name);
  }
  std::string nearest;
  for (const auto& other : nearest_names(name, names)) nearest += (nearest.empty() ? "" : ", ") + other;
  throw std::invalid_argument("no simulated " + what + " \"" + std::string(name) + "\"; the nearest are " +
                              nearest);
}

// ---- Boards and workloads that are known ----

SimulatedBoard with_tops_of(SimulatedBoard board) {
  const auto& knobs = find_module(board.name).knobs;
  board.cores = knobs[0].levels.back();
  board.cpu_top_ghz = knobs[1].levels.back() * 1e-6;
  board.gpu_top_ghz = knobs[2].levels.back() * 1e-6;
  board.mem_top_ghz = knobs[3].levels.back() * 1e-6;
  return board;
}

// The numbers of the Xavier, of the Orin and of the workloads are fitted: benchmarks/calibrate_main.cpp says to what,
// and scripts/calibrate prints them anew and fails when those that stand here have drifted from them.
std::vector<SimulatedBoard> make_boards() {
  SimulatedBoard xavier;
  xavier.name = "xavier-agx";
  xavier.cpu_memory = 0.3565;
  xavier.kernel_overlap = 1.681;
  xavier.launch_overlap = 1.458;
  xavier.handoff_crowding = 0.5983;
  xavier.static_w = 1.64;
  xavier.mem_w = 1.882;
  xavier.traffic_w = 11.43;
  xavier.core_idle_w = 0.1136;
  xavier.core_busy_w = 0.9305;
  xavier.gpu_idle_w = 0.4765;
  xavier.gpu_busy_w = 11.71;
  xavier.gpu_voltage_floor = 0.5493;
  xavier.gpu_voltage_knee = 0.5851;

  SimulatedBoard orin = xavier;
  orin.name = "orin-agx-64";
  orin.cpu_speed = 2.014;
  orin.gpu_speed = 5.151;
  orin.mem_speed = 1.117;
  orin.cpu_memory = 1.114;
  orin.static_w = 10.77;
  orin.mem_w = 0.8991;
  orin.traffic_w = 3.664;
  orin.core_idle_w = 0.2217;
  orin.core_busy_w = 1.425;
  orin.gpu_idle_w = 2.329;
  orin.gpu_busy_w = 29.08;
  orin.gpu_voltage_floor = 0.6116;
  orin.gpu_voltage_knee = 0.4;

  // Half the GPU and half the memory bus of its larger sister, and the rest within its 7 to 15 W.
  SimulatedBoard nano = orin;
  nano.name = "orin-nano-8";
  nano.gpu_speed = orin.gpu_speed / 2;
  nano.mem_speed = orin.mem_speed / 2;
  nano.static_w = 3;
  nano.mem_w = 0.5;
  nano.traffic_w = orin.traffic_w / 2;
  nano.core_idle_w = 0.05;
  nano.core_busy_w = 0.4;
  nano.gpu_idle_w = 0.3;
  nano.gpu_busy_w = 5;

  // Half the GPU of the Xavier, of an older kind, and less than half its memory bandwidth; 4 to 15 W.
  SimulatedBoard tx2 = xavier;
  tx2.name = "tx2";
  tx2.cpu_speed = 0.6;
  tx2.gpu_speed = 0.4;
  tx2.mem_speed = 0.45;
  tx2.static_w = 1.5;
  tx2.mem_w = 0.8;
  tx2.traffic_w = xavier.traffic_w * 0.45;
  tx2.core_idle_w = 0.1;
  tx2.core_busy_w = 0.8;
  tx2.gpu_idle_w = 0.4;
  tx2.gpu_busy_w = 6;

  std::vector<SimulatedBoard> boards;
  for (auto& board : {xavier, orin, nano, tx2}) boards.push_back(with_tops_of(board));
  return boards;
}

std::vector<SimulatedWorkload> make_workloads() {
  SimulatedNetwork resnet18{.model = "resnet18", .layers = 18, .parameters = 11.7e6, .flops = 1.8e9};
  resnet18.fixed_share = 0.4;
  resnet18.compute = 214.8;
  resnet18.traffic = 84.05;
  resnet18.launch = 23.48;
  resnet18.crowding = 0.2;
  resnet18.compute_activity = 1.16;
  resnet18.traffic_activity = 0.3279;
  resnet18.traffic_power = 1.023;
  SimulatedNetwork mobilenetv3{.model = "mobilenetv3", .layers = 20, .parameters = 5.5e6, .flops = 225.4e6};
  mobilenetv3.fixed_share = 0.2;
  mobilenetv3.compute = 181.3;
  mobilenetv3.traffic = 212.3;
  mobilenetv3.launch = 85.83;
  mobilenetv3.crowding = 0.2227;
  mobilenetv3.compute_activity = 1.075;
  mobilenetv3.traffic_activity = 0.1994;
  mobilenetv3.traffic_power = 0.9331;
  SimulatedNetwork yolov8n{.model = "yolov8n", .layers = 53, .parameters = 3.2e6, .flops = 8.7e9};
  yolov8n.compute = 109.8;
  yolov8n.traffic = 86.63;
  yolov8n.launch = 61.14;
  yolov8n.crowding = 0.2;
  yolov8n.compute_activity = 0.8754;
  yolov8n.traffic_activity = 0.2558;
  yolov8n.traffic_power = 0.9582;
  SimulatedNetwork bert{.model = "bert-base", .layers = 12, .parameters = 110e6, .flops = 11.5e12};
  bert.compute = 5918;
  bert.traffic = 796.9;
  bert.launch = 40.01;
  bert.crowding = 0.2;
  bert.compute_activity = 1.135;
  bert.traffic_activity = 0.3073;
  bert.traffic_power = 1.006;
  SimulatedNetwork lstm{.model = "lstm", .layers = 2, .parameters = 8.6e6, .flops = 3.9e9};
  lstm.compute = 32.97;
  lstm.traffic = 11.81;
  lstm.launch = 10.2;
  lstm.crowding = 0.2;
  lstm.compute_activity = 1.077;
  lstm.traffic_activity = 0.3122;
  lstm.traffic_power = 1.009;
  SimulatedNetwork lenet{.model = "lenet", .layers = 5};
  lenet.compute = 0.4002;
  lenet.traffic = 2.137;
  lenet.launch = 11.35;
  lenet.crowding = 0.2388;
  lenet.compute_activity = 0.9045;
  lenet.traffic_activity = 0.2198;
  lenet.traffic_power = 1.089;
  SimulatedNetwork resnet18_cifar10{.model = "resnet18", .layers = 18, .parameters = 11.7e6};
  resnet18_cifar10.fixed_share = resnet18.fixed_share;
  resnet18_cifar10.compute = 114.4;
  resnet18_cifar10.traffic = 105.9;
  resnet18_cifar10.launch = 19.39;
  resnet18_cifar10.crowding = 0.2073;
  resnet18_cifar10.compute_activity = 1.127;
  resnet18_cifar10.traffic_activity = 0.1998;
  resnet18_cifar10.traffic_power = 0.9965;

  SimulatedPipeline imagenet{.dataset = "imagenet-val", .samples = 50000};
  imagenet.fetch = 398.4;
  imagenet.handoff = 5.691;
  imagenet.core_activity = 0.9296;
  SimulatedPipeline gld23k{.dataset = "gld23k", .samples = 23080};
  gld23k.fetch = 551.1;
  gld23k.handoff = 8.931;
  gld23k.core_activity = 1.153;
  SimulatedPipeline coco{.dataset = "coco-minitrain", .samples = 25000, .workers = 0};
  coco.fetch = 258.2;
  coco.handoff = 6.036;
  coco.core_activity = 0.9632;
  SimulatedPipeline squad{.dataset = "squad-v2", .samples = 70000};
  squad.fetch = 10;
  squad.handoff = 4.001;
  squad.core_activity = 1.003;
  SimulatedPipeline wikitext{.dataset = "wikitext", .samples = 36000};
  wikitext.fetch = 3.009;
  wikitext.handoff = 2.135;
  wikitext.core_activity = 1.004;
  SimulatedPipeline mnist{.dataset = "mnist", .samples = 60000};
  mnist.fetch = 5.038;
  mnist.handoff = 4.682;
  mnist.core_activity = 0.9921;
  SimulatedPipeline cifar10{.dataset = "cifar10", .samples = 50000};
  cifar10.fetch = 14.94;
  cifar10.handoff = 5.55;
  cifar10.core_activity = 0.9862;

  std::vector<SimulatedWorkload> workloads = {
      {"resnet18", resnet18, imagenet},
      {"mobilenetv3", mobilenetv3, gld23k},
      {"yolov8n", yolov8n, coco},
      {"bert-base", bert, squad},
      {"lstm", lstm, wikitext},
      {"resnet18-gld23k", resnet18, gld23k},
      {"mobilenetv3-imagenet", mobilenetv3, imagenet},
      {"lenet-mnist", lenet, mnist},
      {"resnet18-cifar10", resnet18_cifar10, cifar10},
  };
  for (const double batch : {8.0, 32.0}) {
    const auto suffix = "-b" + std::to_string(static_cast<int>(batch));
    workloads.push_back({"resnet18" + suffix, resnet18, imagenet, batch});
    workloads.push_back({"mobilenetv3" + suffix, mobilenetv3, gld23k, batch});
  }
  return workloads;
}

// ---- Random ones ----

double log_uniform(Rng& rng, double low, double high) {
  return std::exp(rng.uniform(std::log(low), std::log(high)));
}

// exp of a normal with standard deviation `sd`, cut at two of them.
double log_normal(Rng& rng, double median, double sd) {
  return median * std::exp(sd * std::clamp(rng.normal(), -2.0, 2.0));
}

// Between `least` and `most` of a knob's levels, the last among them; the lowest ones may be cut off.
std::vector<int> some_levels(Rng& rng, const std::vector<int>& levels, std::size_t least, std::size_t most) {
  const std::size_t count = std::min(levels.size(), least + rng.below(most - least + 1));
  const std::size_t first = rng.uniform() < 0.3 ? rng.below(levels.size() - count + 1) : 0;
  std::vector<int> kept = {levels[first], levels.back()};
  if (count > 2) {
    for (const auto i : rng.sample(levels.size() - first - 2, count - 2))
      kept.push_back(levels[first + 1 + i]);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

// `count` levels from low * top to top.
std::vector<int> spread_levels(double low, double top, int count) {
  std::vector<int> levels;
  for (int i = 0; i < count; ++i)
    levels.push_back(static_cast<int>(std::lround(top * (low + (1 - low) * i / (count - 1)))));
  return levels;
}

int between(Rng& rng, int low, int high) {
  return low + static_cast<int>(rng.below(static_cast<std::size_t>(high - low + 1)));
}

// Constants of a board whose clocks are known; returns what it draws busy, with all knobs at their top. A card's power
// is measured without the host's.
double draw_constants(SimulatedBoard& board, bool card, Rng& rng) {
  board.cpu_speed = log_uniform(rng, 0.4, 2.5);
  board.gpu_speed = log_uniform(rng, 0.25, 6);
  board.mem_speed = log_uniform(rng, 0.3, 3);
  board.cpu_memory = log_uniform(rng, 0.02, 0.8);
  board.kernel_overlap = log_uniform(rng, 1, 6);
  board.launch_overlap = log_uniform(rng, 1, 6);
  board.handoff_crowding = rng.uniform(0.1, 0.8);
  board.parallel = rng.uniform(0.6, 0.99);
  board.host_slowdown = log_uniform(rng, 3, 20);

  // Where the power of a busy device goes, with all knobs at their top.
  const double top_w = card ? log_uniform(rng, 50, 400) : log_uniform(rng, 6, 80);
  const double static_share = log_uniform(rng, 0.03, 0.85);
  std::array<double, 6> shares = {log_normal(rng, 0.15, 0.8), log_normal(rng, 0.12, 0.8),
                                  log_normal(rng, 0.08, 0.8), log_normal(rng, 0.1, 0.8),
                                  log_normal(rng, 0.06, 0.8), log_normal(rng, 0.5, 0.6)};
  if (card) shares = {shares[0] / 2, shares[1], 0, 0, shares[4] / 2, shares[5] * 1.5};
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (auto& share : shares) share *= top_w * (1 - static_share) / sum;
  board.static_w = top_w * static_share;
  board.mem_w = shares[0] / board.mem_top_ghz;
  board.traffic_w = shares[1] / (0.5 * board.mem_top_ghz * board.mem_speed);  // half busy
  board.core_idle_w = shares[2] / board.cores;
  board.core_busy_w = shares[3] / 2;  // two cores
  board.gpu_idle_w = shares[4];
  board.gpu_busy_w = shares[5];
  board.cpu_voltage_floor = rng.uniform(0.5, 0.9);
  board.cpu_voltage_knee = rng.uniform(0, 0.6);
  board.gpu_voltage_floor = rng.uniform(0.5, 0.9);
  board.gpu_voltage_knee = rng.uniform(0, 0.6);
  return top_w;
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

std::span<const SimulatedBoard> simulated_boards() {
  static const std::vector<SimulatedBoard> table = make_boards();
  return table;
}

std::span<const SimulatedWorkload> simulated_workloads() {
  static const std::vector<SimulatedWorkload> table = make_workloads();
  return table;
}

const SimulatedBoard& find_simulated_board(std::string_view name) {
  return find_named(simulated_boards(), name, "board");
}

const SimulatedWorkload& find_simulated_workload(std::string_view name) {
  return find_named(simulated_workloads(), name, "workload");
}

std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> names,
                                       std::size_t count) {
  const auto distance = [&](std::string_view other) {  // Levenshtein, one row at a time
    std::vector<std::size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= other.size(); ++j) {
        const std::size_t substituted = diagonal + (name[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
      }
    }
    return row.back();
  };
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const auto& other : names) ranked.emplace_back(distance(other), other);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

RandomBoard random_board(std::uint64_t seed, std::uint64_t index) {
  auto rng = Rng::stream(seed, "random board", index);
  const auto& module = modules()[rng.below(modules().size())];
  SimulatedBoard board;
  board.name = module.name;
  board = with_tops_of(board);
  board.name = "random-board-" + std::to_string(index);

  // What kind of device it is; see random_board() in the header.
  const bool jetson = index % 2 == 0;
  const auto kind = jetson ? 0 : 1 + index / 2 % 5;
  const bool card = kind == 1 || kind == 2 || kind == 5;
  if (kind == 3) board.gpu_top_ghz = 0;
  const double top_w = draw_constants(board, card, rng);

  const auto& levels = module.knobs;
  const Knob cores{KnobRole::cpu_cores, some_levels(rng, levels[0].levels, 2, 4)};
  const Knob cpu{KnobRole::cpu_khz, some_levels(rng, levels[1].levels, 4, 7)};
  const Knob gpu{KnobRole::gpu_khz, some_levels(rng, levels[2].levels, 4, 7)};
  const Knob mem{KnobRole::mem_khz, some_levels(rng, levels[3].levels, 2, 4)};
  const Knob limit{KnobRole::power_limit_mw,
                   spread_levels(rng.uniform(0.3, 0.6), 1000 * top_w, between(rng, 5, 9))};
  std::vector<int> batches = {between(rng, 4, 64)};
  const int batch_step = rng.uniform() < 0.5 ? 2 : 4;
  const int num_batches = batch_step == 2 ? between(rng, 2, 12) : between(rng, 2, 8);
  while (static_cast<int>(batches.size()) < num_batches) batches.push_back(batches.back() * batch_step);
  const Knob batch{KnobRole::batch_size, batches};

  const std::array<std::vector<Knob>, 6> kinds = {
      {{cores, cpu, gpu, mem}, {limit, batch}, {limit, gpu, mem}, {cores, cpu}, {cpu, gpu, mem}, {gpu, mem}}};
  return {std::move(board), PowerModeSpace::grid(kinds[kind])};
}

SimulatedBoard random_board_with(const PowerModeSpace& space, std::uint64_t seed, std::uint64_t index) {
  auto rng = Rng::stream(seed, "random board with knobs", index);
  SimulatedBoard board;
  board.name = modules()[rng.below(modules().size())].name;
  board = with_tops_of(board);
  board.name = "random-board-" + std::to_string(index);
  const auto highest = [&](KnobRole role) -> std::optional<int> {
    for (std::size_t k = 0; k < space.knobs().size(); ++k)
      if (space.knobs()[k].role == role) return space.max_level(k);
    return std::nullopt;
  };
  const auto cores = highest(KnobRole::cpu_cores), cpu = highest(KnobRole::cpu_khz),
             gpu = highest(KnobRole::gpu_khz), mem = highest(KnobRole::mem_khz);
  const bool host = cores || cpu, card = !host;
  if (cores) board.cores = *cores;
  if (cpu) board.cpu_top_ghz = *cpu * 1e-6;
  if (gpu) board.gpu_top_ghz = *gpu * 1e-6;
  if (mem) board.mem_top_ghz = *mem * 1e-6;
  if (host && !gpu) board.gpu_top_ghz = 0;
  const double top_w = draw_constants(board, card, rng);
  // A limit above what the board can draw would do nothing.
  if (const auto limit = highest(KnobRole::power_limit_mw)) {
    const double scale = *limit * 1e-3 / top_w;
    for (double* power : {&board.static_w, &board.mem_w, &board.traffic_w, &board.core_idle_w,
                          &board.core_busy_w, &board.gpu_idle_w, &board.gpu_busy_w})
      *power *= scale;
  }
  return board;
}

SimulatedWorkload random_workload(std::uint64_t seed, std::uint64_t index) {
  auto rng = Rng::stream(seed, "random workload", index);
  SimulatedWorkload workload;
  workload.name = "random-" + std::to_string(index);
  const double scale = log_uniform(rng, 3, 600);  // ms
  auto& network = workload.network;
  auto& pipeline = workload.pipeline;
  const bool tiny = rng.uniform() < 0.3;  // launches are all one sees, until the batch is large
  const double size = tiny ? log_uniform(rng, 0.0001, 0.2) : 1;
  network.compute = scale * size * 1.3 * log_normal(rng, 1, 0.8);
  network.traffic = scale * size * 2 * log_normal(rng, 0.5, 1);
  network.launch = scale * 2 * (tiny ? 1 : log_normal(rng, 0.25, 1));
  network.crowding = rng.uniform(0, 0.6);
  network.fixed_share = rng.uniform(0, 0.5);
  network.compute_activity = log_normal(rng, 1, 0.4);
  network.traffic_activity = network.compute_activity * rng.uniform(0.1, 0.7);
  network.traffic_power = log_normal(rng, 1, 0.3);
  pipeline.workers = between(rng, 0, 4);
  const bool heavy = rng.uniform() < 0.4;  // decodes as long as the GPU computes
  pipeline.fetch =
      scale * size * 2 * log_normal(rng, heavy ? 1 : 0.05, 1) * std::max(1, pipeline.workers) / 4;
  pipeline.handoff = scale * log_normal(rng, 0.04, 1.2);
  pipeline.core_activity = log_normal(rng, 1, 0.3);

  // Medians are those of the known networks, 0.4 GFLOP of three passes per ms GHz being what resnet18 does.
  auto stated = Rng::stream(seed, "random workload characteristics", index);
  network.flops = std::round(network.compute * 0.4e9 / (3 * kSimulatedBatch) * log_normal(stated, 1, 0.7));
  network.layers = std::round(std::max(1.0, network.launch / 2.5 * log_normal(stated, 1, 0.7)));
  network.parameters = std::round(network.flops / 300 * log_normal(stated, 1, 1.1));
  return workload;
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
