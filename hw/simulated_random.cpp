// Boards and workloads drawn at random.

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "hw/simulated_catalog.hpp"

namespace fewwatt::hw {
namespace {

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

}  // namespace fewwatt::hw
