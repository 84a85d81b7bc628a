#include "learners/sim_population.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>

#include "hw/random.hpp"

namespace fewwatt::learners {
namespace {

using Array = Eigen::ArrayXf;

float log_normal(hw::Rng& rng, double median, double spread) {
  return static_cast<float>(median * std::exp(spread * rng.normal()));
}
float uniform(hw::Rng& rng, double low, double high) {
  return static_cast<float>(rng.uniform(low, high));
}
float log_uniform(hw::Rng& rng, double low, double high) {
  return static_cast<float>(std::exp(rng.uniform(std::log(low), std::log(high))));
}
// 1 with this probability, else 0.
float chance(hw::Rng& rng, double probability) {
  return rng.uniform() < probability ? 1.0F : 0.0F;
}
float workers(hw::Rng& rng) {
  return static_cast<float>(1 + rng.below(4));
}

// x at index, which Eigen's own indexing would copy first.
Array taken(const Array& x, const std::vector<Eigen::Index>& index) {
  Array out(static_cast<Eigen::Index>(index.size()));
  for (std::size_t i = 0; i < index.size(); ++i) out[static_cast<Eigen::Index>(i)] = x[index[i]];
  return out;
}

// Logs of what modes share with others, each once.
struct Levels {
  Array log;
  std::vector<Eigen::Index> index;  // of each mode

  Levels() = default;
  explicit Levels(const Array& x) {
    std::vector<float> values(x.begin(), x.end());
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    for (const float value : x)
      index.push_back(std::lower_bound(values.begin(), values.end(), value) - values.begin());
    log = Eigen::Map<const Array>(values.data(), static_cast<Eigen::Index>(values.size())).log();
  }
  Array to_the(float power) const { return taken((power * log).exp(), index); }
};

// Settings of modes, and two more: half of everything, where stalls get their scale, and all of everything, where
// power limits get theirs. What a mode costs must not depend on the modes beside it.
struct Settings {
  Array cores;                     // in number
  Array c, g, e, n, limit, batch;  // x
  Levels c_levels, g_levels, e_levels;
  bool has_limit = false;

  void take_levels() {
    c_levels = Levels(c);
    g_levels = Levels(g);
    e_levels = Levels(e);
  }
};

Settings settings_of(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  const auto size = static_cast<Eigen::Index>(modes.size()) + 2;
  constexpr float kUsualCores = 4;
  Settings s;
  s.cores = Array::Constant(size, kUsualCores);
  for (auto* x : {&s.c, &s.g, &s.e, &s.n, &s.limit, &s.batch}) *x = Array::Ones(size);
  for (std::size_t k = 0; k < space.knobs().size(); ++k) {
    const auto highest = static_cast<float>(space.max_level(k));
    Array x(size);
    for (std::size_t i = 0; i < modes.size(); ++i)
      x[static_cast<Eigen::Index>(i)] = static_cast<float>(modes[i][k]) / highest;
    x[size - 2] = 0.5F;
    x[size - 1] = 1;
    switch (space.knobs()[k].role) {
      case hw::KnobRole::cpu_cores:
        s.n = x;
        s.cores = x * highest;
        break;
      case hw::KnobRole::cpu_khz:
        s.c = x;
        break;
      case hw::KnobRole::gpu_khz:
        s.g = x;
        break;
      case hw::KnobRole::mem_khz:
        s.e = x;
        break;
      case hw::KnobRole::power_limit_mw:
        s.limit = x;
        s.has_limit = true;
        break;
      case hw::KnobRole::batch_size:
        s.batch = x;
        break;
    }
  }
  return s;
}

// Modes share their clocks with others, and what is costly to compute depends on these and the batch alone: each
// combination once.
struct Distinct {
  Settings settings;                // c, g, e and batch
  std::vector<Eigen::Index> index;  // of each row of those it comes from

  template <typename Key>
  Distinct(const Settings& of, Key key) {
    std::map<decltype(key(Eigen::Index{0})), Eigen::Index> seen;
    std::vector<Eigen::Index> first;
    for (Eigen::Index i = 0; i < of.c.size(); ++i) {
      const auto [at, is_new] = seen.emplace(key(i), static_cast<Eigen::Index>(first.size()));
      if (is_new) first.push_back(i);
      index.push_back(at->second);
    }
    settings.c = of.c(first);
    settings.g = of.g(first);
    settings.e = of.e(first);
    settings.batch = of.batch(first);
    settings.take_levels();
  }
};

struct Grid {
  Settings modes;
  Distinct clocks;   // of modes
  Distinct kernels;  // of clocks; without the CPU's

  Grid(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> of)
      : modes(settings_of(space, of)),
        clocks(modes,
               [this](auto i) {
                 return std::array{modes.c[i], modes.g[i], modes.e[i], modes.batch[i]};
               }),
        kernels(clocks.settings, [this](auto i) {
          return std::array{clocks.settings.g[i], clocks.settings.e[i], clocks.settings.batch[i]};
        }) {
    modes.take_levels();
  }
};

// log(1 + exp(x)), x <= 0. Far below 0 that is 0; processors are slow where exp(x) is denormal.
Array log_1_plus_exp(const Array& x) {
  return (1 + x.max(-60.0F).exp()).log();
}

// |a, b|_p, a and b >= 0, one of them above 0.
Array p_norm(float p, const Array& a, const Array& b) {
  const Array greatest = a.max(b);
  const Array ratio = (a.min(b) / greatest).max(1e-20F);
  return greatest * (log_1_plus_exp(p * ratio.log()) / p).exp();
}

}  // namespace

struct SimPopulation::Workload {
  // time
  float gpu, gpu_power, mem, mem_power, mem_by_gpu, overlap;
  float launch, launch_power, launch_overlap, launch_kind;  // kind 0: hidden, 1: added, 2: overlapping
  float gpu_scale, fixed_share;
  float serial, serial_power, parallel, parallel_workers, mem_cpu;
  float fetch, fetch_workers, corner;
  float fixed, fixed_cpu, crowding;
  // power
  float gpu_floor, gpu_knee, cpu_floor, cpu_knee, launch_load;
  float base, mem_w, mem_w_power, traffic_w, traffic_power, gpu_idle, gpu_busy, core_idle, core_busy,
      gpu_leak, cpu_leak;
  float demand,
      limit_power;  // power without a limit over the highest limit; what the clock's power grows with

  explicit Workload(hw::Rng& rng) {
    gpu = log_normal(rng, 1, 0.6);
    gpu_power = uniform(rng, 0.85, 1.02);
    mem = log_normal(rng, 0.5, 1);
    mem_power = uniform(rng, 0.8, 1.05);
    mem_by_gpu = uniform(rng, 0, 1) * chance(rng, 0.5);
    overlap = log_uniform(rng, 1, 8);
    launch = log_normal(rng, 0.3, 1);
    launch_power = uniform(rng, 0.8, 1.05);
    launch_overlap = log_uniform(rng, 1, 8);
    launch_kind = chance(rng, 0.6) > 0 ? 2 : chance(rng, 0.5);
    gpu_scale = log_normal(rng, 1, 0.5) * chance(rng, 0.93);
    fixed_share = log_uniform(rng, 1e-3, 0.5);
    serial = log_normal(rng, 0.15, 1.2) * chance(rng, 0.8);
    serial_power = uniform(rng, 0.85, 1.05);
    parallel = log_normal(rng, 0.3, 1.2) * chance(rng, 0.6);
    parallel_workers = workers(rng);
    mem_cpu = log_normal(rng, 0.1, 1) * chance(rng, 0.5);
    fetch = log_normal(rng, 0.5, 1) * chance(rng, 0.4);
    fetch_workers = workers(rng);
    corner = uniform(rng, 0.02, 0.2);
    fixed = log_normal(rng, 0.05, 1) * chance(rng, 0.5);
    fixed_cpu = log_normal(rng, 0.02, 0.5);
    crowding = uniform(rng, 0, 0.3) * chance(rng, 0.4);
    gpu_floor = uniform(rng, 0.55, 0.85);
    gpu_knee = uniform(rng, 0, 0.6);
    cpu_floor = uniform(rng, 0.55, 0.85);
    cpu_knee = uniform(rng, 0, 0.6);
    launch_load = uniform(rng, 0.2, 1);
    base = log_normal(rng, 1.3, 0.3);
    mem_w = log_normal(rng, 0.5, 0.6);
    mem_w_power = uniform(rng, 0.5, 1.3);
    traffic_w = log_normal(rng, 0.5, 0.8);
    traffic_power = uniform(rng, 0.2, 1);
    gpu_idle = log_normal(rng, 0.3, 0.8);
    gpu_busy = log_normal(rng, 4, 0.6);
    core_idle = log_normal(rng, 0.15, 0.8);
    core_busy = log_normal(rng, 1, 0.6);
    gpu_leak = log_normal(rng, 0.2, 1);
    cpu_leak = log_normal(rng, 0.2, 1);
    demand = log_uniform(rng, 0.4, 1.4);
    limit_power = uniform(rng, 1.5, 3.5);
  }

  // What goes with clocks, whatever the number of cores: work, in time, and what power is made of.
  struct AtClocks {
    Array kernels, traffic, gpu;
    Array alone;     // what is done in turn, without what more cores speed up
    Array shared;    // by parallel_workers
    Array fetching;  // by fetch_workers, one of them
    Array in_memory, cpu_load;
    Array board_w, traffic_w, core_idle_w, core_busy_w, cpu_leak_w, gpu_w, gpu_busy_w;

    // Parts of `others`, at index.
    void gather(const AtClocks& others, const std::vector<Eigen::Index>& index,
                std::initializer_list<Array AtClocks::*> parts) {
      for (const auto part : parts) this->*part = taken(others.*part, index);
    }
  };

  // What kernels would take at clocks, were gpu_scale 1, but those of the GPU are g; slowdown = g^-gpu_power.
  void kernels_at(AtClocks& at, const Settings& clocks, const Array& g, const Array& slowdown) const {
    const Array work = fixed_share + (1 - fixed_share) * clocks.batch;
    at.traffic = mem * work * (clocks.e_levels.to_the(-mem_power) + mem_by_gpu / g);
    at.kernels = p_norm(overlap, gpu * work * slowdown, at.traffic);
  }

  // And all that goes with them.
  void times_at(AtClocks& at, const Settings& clocks) const {
    const Array launching = launch * clocks.c_levels.to_the(-launch_power);
    at.gpu = gpu_scale * (launch_kind == 2 ? p_norm(launch_overlap, at.kernels, launching)
                                           : Array(at.kernels + launch_kind * launching));
    at.kernels *= gpu_scale;
    const Array from_memory = mem_cpu * clocks.batch / clocks.e;
    const Array one_thread = serial * clocks.batch * clocks.c_levels.to_the(-serial_power);
    const Array by_clock = clocks.batch / clocks.c;
    at.alone = at.gpu + one_thread + from_memory + fixed + fixed_cpu / clocks.c;
    at.shared = parallel * by_clock;
    at.fetching = fetch * by_clock;
    at.in_memory = gpu_scale * at.traffic + from_memory;
    at.cpu_load = one_thread + at.shared + at.fetching + (gpu_scale * launching).min(at.gpu) * launch_load;
  }

  static Array voltage(float floor, float knee, const Array& x) {
    return floor + (1 - floor) * ((x - knee).max(0.0F) / (1 - knee));
  }

  void powers_at(AtClocks& at, const Settings& clocks, const Array& g) const {
    at.board_w = base + mem_w * clocks.e_levels.to_the(mem_w_power);
    at.traffic_w = traffic_w * clocks.e_levels.to_the(traffic_power);
    const Array cpu = voltage(cpu_floor, cpu_knee, clocks.c), dynamic = cpu.square() * clocks.c;
    at.core_idle_w = core_idle * dynamic;
    at.core_busy_w = core_busy * dynamic;
    at.cpu_leak_w = cpu_leak * cpu;
    const Array v = voltage(gpu_floor, gpu_knee, g), gpu_dynamic = v.square() * g;
    at.gpu_w = gpu_idle * gpu_dynamic + gpu_leak * v;
    at.gpu_busy_w = gpu_busy * gpu_dynamic;
  }

  Array time_of(const Settings& s, const AtClocks& at) const {
    Array time = at.alone;
    if (parallel > 0) time += at.shared / s.cores.min(parallel_workers);
    if (fetch > 0) {
      const float scale = corner * at.gpu[at.gpu.size() - 2] + 1e-6F;
      const Array x = (at.fetching / s.cores.min(fetch_workers) - at.gpu) / scale;
      time += scale * (x.max(0.0F) + log_1_plus_exp(-x.abs()));
    }
    if (crowding > 0) time *= 1 + crowding * (1 / s.cores - 0.25F);
    return time;
  }

  // Of the board without GPU and CPU, of the CPU, and of the GPU; rate = 1 / time.
  static Array board_power(const AtClocks& at, const Array& rate) {
    return at.board_w + at.traffic_w * (at.in_memory * rate).min(1.0F);
  }
  static Array cpu_power(const Settings& s, const AtClocks& at, const Array& rate) {
    return at.core_idle_w * s.cores + at.core_busy_w * (at.cpu_load * rate).min(4.0F) + at.cpu_leak_w * s.n;
  }
  static Array gpu_power_at(const AtClocks& at, const Array& rate) {
    return at.gpu_w + at.gpu_busy_w * (at.kernels * rate).min(1.0F);
  }

  // Arrays that workloads use one after the other.
  struct Scratch {
    AtClocks kernels, clocks, modes;
  };

  void evaluate(const Grid& grid, Scratch& scratch, Array& log_time, Array& log_power) const {
    const auto& s = grid.modes;
    const auto& clocks = grid.clocks.settings;
    const auto& for_kernels = grid.kernels.settings;
    kernels_at(scratch.kernels, for_kernels, for_kernels.g, for_kernels.g_levels.to_the(-gpu_power));
    scratch.clocks.gather(scratch.kernels, grid.kernels.index, {&AtClocks::kernels, &AtClocks::traffic});
    times_at(scratch.clocks, clocks);
    powers_at(scratch.clocks, clocks, clocks.g);
    auto& at = scratch.modes;
    at.gather(scratch.clocks, grid.clocks.index,
              {&AtClocks::kernels, &AtClocks::alone, &AtClocks::in_memory, &AtClocks::cpu_load,
               &AtClocks::board_w, &AtClocks::traffic_w, &AtClocks::core_idle_w, &AtClocks::core_busy_w,
               &AtClocks::cpu_leak_w, &AtClocks::gpu_w, &AtClocks::gpu_busy_w});
    if (parallel > 0) at.gather(scratch.clocks, grid.clocks.index, {&AtClocks::shared});
    if (fetch > 0) at.gather(scratch.clocks, grid.clocks.index, {&AtClocks::gpu, &AtClocks::fetching});
    const Array time = time_of(s, at), rate = 1 / time;
    log_time = (time / s.batch).log();
    log_power = (board_power(at, rate) + cpu_power(s, at, rate) + gpu_power_at(at, rate)).log();
  }

  // The same where a limit sets the GPU's clock, in units of the highest limit: the power, which is that of a board that
  // feeds no CPU, is
  //   fixed + clocked g^limit_power,
  // and the clock is the highest, up to the one that is set, with which that is inside the limit.
  void evaluate_limited(const Settings& s, Scratch& scratch, Array& log_time, Array& log_power) const {
    const Array top_clock = Array::Ones(s.g.size());
    auto& at = scratch.modes;
    kernels_at(at, s, top_clock, top_clock);
    times_at(at, s);
    powers_at(at, s, top_clock);
    const Array rate = 1 / time_of(s, at);
    Array fixed_part = board_power(at, rate), clocked = gpu_power_at(at, rate);
    const float highest = (fixed_part + clocked)[s.g.size() - 1] / demand;
    fixed_part /= highest;
    clocked /= highest;
    constexpr float kLowest = 0.1F;
    const Array room = ((s.limit - fixed_part) / clocked).max(1e-6F).min(1.0F);
    const Array g = (room.log() / limit_power).exp().max(kLowest).min(s.g), log_g = g.log();
    kernels_at(at, s, g, (-gpu_power * log_g).exp());
    times_at(at, s);
    log_time = (time_of(s, at) / s.batch).log();
    log_power = (fixed_part + clocked * (limit_power * log_g).exp()).log();
  }
};

SimPopulation::SimPopulation(std::size_t count, std::uint64_t seed) {
  workloads_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto rng = hw::Rng::stream(seed, "sim_prior workload", i);
    workloads_.emplace_back(rng);
  }
}

SimPopulation::~SimPopulation() = default;

std::size_t SimPopulation::size() const {
  return workloads_.size();
}

SimPopulation::Logs SimPopulation::simulate(const hw::PowerModeSpace& space,
                                            std::span<const hw::PowerMode> modes,
                                            std::span<const std::size_t> which) const {
  const Grid grid(space, modes);
  const auto n = static_cast<Eigen::Index>(modes.size());
  Logs logs{Rows(static_cast<Eigen::Index>(which.size()), n),
            Rows(static_cast<Eigen::Index>(which.size()), n)};
  Workload::Scratch scratch;
  Array time, power;
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (which[i] >= size())
      throw std::invalid_argument("SimPopulation: no workload " + std::to_string(which[i]) + " of " +
                                  std::to_string(size()));
    const auto& workload = workloads_[which[i]];
    if (grid.modes.has_limit) {
      workload.evaluate_limited(grid.modes, scratch, time, power);
    } else {
      workload.evaluate(grid, scratch, time, power);
    }
    logs.time.row(static_cast<Eigen::Index>(i)) = time.head(n).matrix().transpose();
    logs.power.row(static_cast<Eigen::Index>(i)) = power.head(n).matrix().transpose();
  }
  return logs;
}

}  // namespace fewwatt::learners
