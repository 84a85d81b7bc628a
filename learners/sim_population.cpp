#include "learners/sim_population.hpp"

#include <algorithm>
#include <cmath>
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

// Settings of modes, and two more: half of everything, where stalls get their scale, and all of everything, where
// power limits get theirs. What a mode costs must not depend on the modes beside it.
struct Settings {
  Array cores;                       // in number
  Array c, g, e, n, limit, batch;    // x
  Array log_c, log_g, log_e, log_n;  // of x
  bool has_limit = false;
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
  s.log_c = s.c.log();
  s.log_g = s.g.log();
  s.log_e = s.e.log();
  s.log_n = s.n.log();
  return s;
}

// |a, b|_p for positive a and b >= 0.
Array norm(float p, const Array& a, const Array& b) {
  const Array greatest = a.max(b);
  const Array ratio = (a.min(b) / greatest).max(1e-20F);
  return greatest * ((1 + (p * ratio.log()).exp()).log() / p).exp();
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

  struct Cost {
    Array time, kernels, mem_time, serial_load, gpu_activity;
  };

  Cost time_of(const Settings& s, const Array& g, const Array& log_g) const {
    const Array work = fixed_share + (1 - fixed_share) * s.batch;
    const Array by_gpu = gpu * work * (-gpu_power * log_g).exp();
    const Array traffic = mem * work * ((-mem_power * s.log_e).exp() + mem_by_gpu / g);
    Array kernels = norm(overlap, by_gpu, traffic);
    const Array launching = launch * (-launch_power * s.log_c).exp();
    Array all = launch_kind == 2 ? norm(launch_overlap, kernels, launching)
                                 : Array(kernels + launch_kind * launching);
    all *= gpu_scale;
    kernels *= gpu_scale;
    const Array one_thread = serial * s.batch * (-serial_power * s.log_c).exp();
    const Array threads = s.cores.min(parallel_workers), fetchers = s.cores.min(fetch_workers);
    const Array many_threads = parallel * s.batch / (s.c * threads);
    const Array from_memory = mem_cpu * s.batch / s.e;
    const Array fetching = fetch * s.batch / (s.c * fetchers);
    Array stall = Array::Zero(g.size());
    if (fetch > 0) {
      const float scale = corner * all[g.size() - 2] + 1e-6F;
      const Array x = (fetching - all) / scale;
      stall = scale * (x.max(0.0F) + (1 + (-x.abs()).exp()).log());
    }
    Cost cost;
    cost.time = (all + one_thread + many_threads + from_memory + stall + fixed + fixed_cpu / s.c) *
                (1 + crowding * (1 / s.cores - 0.25F));
    cost.kernels = (kernels / cost.time).min(1.0F);
    cost.mem_time = ((gpu_scale * traffic + from_memory) / cost.time).min(1.0F);
    cost.serial_load = ((one_thread + many_threads * threads +
                         (launching * gpu_scale).min(all) * launch_load + fetching * fetchers) /
                        cost.time)
                           .min(4.0F);
    return cost;
  }

  static Array voltage(float floor, float knee, const Array& x) {
    return floor + (1 - floor) * ((x - knee).max(0.0F) / (1 - knee));
  }

  // Without the GPU's clock, and what comes with it.
  Array host_power(const Settings& s, const Cost& cost) const {
    const Array v = voltage(cpu_floor, cpu_knee, s.c);
    return base + mem_w * (mem_w_power * s.log_e).exp() +
           traffic_w * cost.mem_time * (traffic_power * s.log_e).exp() +
           v.square() * s.c * (core_idle * s.cores + core_busy * cost.serial_load) + cpu_leak * v * s.n;
  }
  Array gpu_watts(const Array& g, const Cost& cost) const {
    const Array v = voltage(gpu_floor, gpu_knee, g);
    return v.square() * g * (gpu_idle + gpu_busy * cost.kernels) + gpu_leak * v;
  }

  void evaluate(const Settings& s, Array& log_time, Array& log_power) const {
    Cost cost;
    Array power;
    if (s.has_limit) {
      // In units of the highest limit, the power is  fixed + clocked g^limit_power;  the clock is the highest, up to the
      // one that is set, with which that is inside the limit.
      const Array top_clock = Array::Ones(s.g.size());
      cost = time_of(s, top_clock, Array::Zero(s.g.size()));
      Array fixed_part = host_power(s, cost), clocked = gpu_watts(top_clock, cost);
      const float highest = (fixed_part + clocked)[s.g.size() - 1] / demand;
      fixed_part /= highest;
      clocked /= highest;
      constexpr float kLowest = 0.1F;
      const Array room = ((s.limit - fixed_part) / clocked).max(1e-6F).min(1.0F);
      const Array g = (room.log() / limit_power).exp().max(kLowest).min(s.g);
      cost = time_of(s, g, g.log());
      power = fixed_part + clocked * (limit_power * g.log()).exp();
    } else {
      cost = time_of(s, s.g, s.log_g);
      power = host_power(s, cost) + gpu_watts(s.g, cost);
    }
    log_time = (cost.time / s.batch).log();
    log_power = power.log();
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
  const auto settings = settings_of(space, modes);
  const auto n = static_cast<Eigen::Index>(modes.size());
  Logs logs{Rows(static_cast<Eigen::Index>(which.size()), n),
            Rows(static_cast<Eigen::Index>(which.size()), n)};
  Array time, power;
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (which[i] >= size())
      throw std::invalid_argument("SimPopulation: no workload " + std::to_string(which[i]) + " of " +
                                  std::to_string(size()));
    workloads_[which[i]].evaluate(settings, time, power);
    logs.time.row(static_cast<Eigen::Index>(i)) = time.head(n).matrix().transpose();
    logs.power.row(static_cast<Eigen::Index>(i)) = power.head(n).matrix().transpose();
  }
  return logs;
}

}  // namespace fewwatt::learners
