#include "datasets/generate.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "hw/random.hpp"

namespace fewwatt::datasets {
namespace {

std::optional<double> known(double value) {
  return value > 0 ? std::optional(value) : std::nullopt;
}

// nullopt unless `text` is a whole number.
std::optional<std::size_t> whole_number(const std::string& text) {
  const auto number = hw::whole_number(text, 0);
  return number ? std::optional(static_cast<std::size_t>(*number)) : std::nullopt;
}

struct SimulatedSpace {
  hw::SimulatedBoard board;
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::vector<hw::PowerMode> modes;
  DeviceAttributes attributes;
};

SimulatedSpace known_device(const std::string& name, const SimulationRequest& request) {
  SimulatedSpace made{hw::find_simulated_board(name), nullptr, {}, {}};
  made.attributes = {{"board", hw::find_module(name).title}, {"simulated", "yes"}};
  const auto count = whole_number(request.grid);
  made.space = std::make_shared<const hw::PowerModeSpace>(
      hw::module_space(name, count ? std::string_view("full") : std::string_view(request.grid)));
  if (!count) {
    made.modes = made.space->modes();
    return made;
  }
  if (*count > made.space->size())
    throw std::invalid_argument("grid: expected at most the " + std::to_string(made.space->size()) +
                                " modes of " + name + ", found " + request.grid);
  auto rng = hw::Rng::stream(request.seed, "simulated modes of " + name);
  for (const auto index : rng.sample(made.space->size(), *count)) made.modes.push_back(made.space->at(index));
  return made;
}

SimulatedSpace random_device(std::uint64_t seed, std::uint64_t index) {
  auto random = hw::random_board(seed, index);
  SimulatedSpace made{std::move(random.board), nullptr, {}, {{"board", "random"}, {"simulated", "yes"}}};
  made.space = std::make_shared<const hw::PowerModeSpace>(std::move(random.space));
  made.modes = made.space->modes();
  return made;
}

// Throws std::invalid_argument when this number of profiles, with this number of modes each, is too large.
void check_rows(std::size_t modes, std::size_t profiles) {
  if (modes == 0 || profiles <= kMostSimulatedRows / modes) return;
  throw std::invalid_argument("simulation: expected at most " + std::to_string(kMostSimulatedRows) +
                              " modes of all profiles together, found " + std::to_string(profiles) +
                              " times " + std::to_string(modes));
}

bool has_repeats(const std::vector<std::string>& names) {
  return std::set<std::string>(names.begin(), names.end()).size() != names.size();
}

}  // namespace

std::string SimulationRequest::error() const {
  if (devices.empty() && random_devices == 0)
    return "simulation: expected at least one device or a population of at least 1, found neither";
  if (workloads.empty() && random_workloads == 0)
    return "simulation: expected at least one workload or a population of at least 1, found neither";
  if (random_devices > kMostSimulated || random_workloads > kMostSimulated)
    return "simulation: expected at most " + std::to_string(kMostSimulated) +
           " random devices and workloads, found " +
           std::to_string(std::max(random_devices, random_workloads));
  if (!devices.empty() && random_devices > 0)
    return "simulation: named devices and a population of devices exclude each other";
  if (has_repeats(devices) || has_repeats(workloads))
    return "simulation: a device or workload is named twice";
  if (whole_number(grid) == std::optional<std::size_t>(0))
    return "simulation: grid must be a name or a number of modes >= 1, got 0";
  return "";
}

std::vector<std::string> powertrain_workloads() {
  return {"resnet18", "mobilenetv3", "yolov8n", "bert-base", "lstm"};
}

WorkloadAttributes attributes_of(const hw::SimulatedWorkload& workload, const std::string& source) {
  WorkloadAttributes attributes;
  attributes.kind = WorkloadKind::dnn_training;
  attributes.time_of = TimeOf::minibatch;
  attributes.source = source;
  attributes.model = workload.network.model;
  attributes.dataset = workload.pipeline.dataset;
  attributes.batch_size = workload.batch_size;
  attributes.minibatches_per_epoch = known(workload.minibatches_per_epoch());
  attributes.layers = known(workload.network.layers);
  attributes.parameters = known(workload.network.parameters);
  attributes.flops = known(workload.network.flops);
  return attributes;
}

Profile generate_profile(const hw::SimulatedBoard& board, const hw::SimulatedWorkload& workload,
                         std::shared_ptr<const hw::PowerModeSpace> space, std::vector<hw::PowerMode> modes,
                         const hw::SimulatedNoise& noise, const std::vector<hw::SimulatedWorkload>& beside) {
  Profile profile;
  profile.device = board.name;
  profile.workload = workload.name;
  for (const auto& other : beside) profile.workload += "+" + other.name;
  profile.attributes = attributes_of(workload, "fewwatt simulate");
  if (space->knob_with(hw::KnobRole::batch_size)) profile.attributes.batch_size.reset();
  hw::SimulatedDevice device(board, workload, *space, noise, beside);
  profile.space = std::move(space);
  profile.modes = std::move(modes);
  std::sort(profile.modes.begin(), profile.modes.end());
  for (const auto& mode : profile.modes) {
    profile.measurements.push_back(device.measure(mode));
    const auto exact = device.measure_without_noise(mode);
    profile.time_true_ms.push_back(exact.time_ms);
    profile.power_true_w.push_back(exact.power_w);
  }
  return profile;
}

std::vector<Profile> generate_population(std::shared_ptr<const hw::PowerModeSpace> space,
                                         const std::vector<hw::PowerMode>& modes, std::size_t count,
                                         const hw::SimulatedNoise& noise) {
  if (count > kMostSimulated)
    throw std::invalid_argument("simulation: expected at most " + std::to_string(kMostSimulated) +
                                " random workloads, found " + std::to_string(count));
  check_rows(modes.size(), count);
  std::vector<Profile> profiles;
  for (std::size_t i = 0; i < count; ++i)
    profiles.push_back(generate_profile(hw::random_board_with(*space, noise.seed, i),
                                        hw::random_workload(noise.seed, i), space, modes, noise));
  return profiles;
}

ProfileStore generate_profiles(const SimulationRequest& request) {
  if (const auto error = request.error(); !error.empty()) throw std::invalid_argument(error);
  std::vector<std::vector<hw::SimulatedWorkload>> workloads;  // each with those beside it
  for (const auto& names : request.workloads) {
    workloads.emplace_back();
    for (std::size_t start = 0; start <= names.size();) {
      const auto end = std::min(names.find('+', start), names.size());
      workloads.back().push_back(hw::find_simulated_workload(names.substr(start, end - start)));
      start = end + 1;
    }
  }
  for (std::size_t w = 0; w < request.random_workloads; ++w) {
    workloads.push_back({hw::random_workload(request.seed, w)});
    auto rng = hw::Rng::stream(request.seed, "simulated batch size", w);
    workloads.back()[0].batch_size = std::exp2(2 + static_cast<double>(rng.below(5)));
  }
  std::vector<SimulatedSpace> devices;
  std::size_t modes = 0;
  const auto add = [&](SimulatedSpace device) {
    modes += device.modes.size();
    check_rows(modes, workloads.size());
    devices.push_back(std::move(device));
  };
  for (const auto& name : request.devices) add(known_device(name, request));
  for (std::size_t d = 0; d < request.random_devices; ++d) add(random_device(request.seed, d));

  const hw::SimulatedNoise noise =
      request.noise ? hw::SimulatedNoise{.seed = request.seed} : hw::SimulatedNoise{.time = 0, .power = 0};
  ProfileStore store;
  for (const auto& device : devices) {
    store.devices[device.board.name] = device.attributes;
    for (const auto& workload : workloads)
      store.profiles.push_back(generate_profile(device.board, workload[0], device.space, device.modes, noise,
                                                {workload.begin() + 1, workload.end()}));
  }
  std::sort(store.profiles.begin(), store.profiles.end(), [](const auto& a, const auto& b) {
    return std::pair(a.device, a.workload) < std::pair(b.device, b.workload);
  });
  return store;
}

}  // namespace fewwatt::datasets
