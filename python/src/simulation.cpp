// Simulated boards.

#include "datasets/generate.hpp"
#include "hw/modules.hpp"
#include "hw/simulated_device.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

using hw::SimulatedDevice;

std::unique_ptr<SimulatedDevice> made_device(const std::string& device, const std::string& workload,
                                             const std::string& grid, double time_noise, double power_noise,
                                             std::uint64_t seed) {
  return std::make_unique<SimulatedDevice>(
      hw::find_simulated_board(device), hw::find_simulated_workload(workload), hw::module_space(device, grid),
      hw::SimulatedNoise{.time = time_noise, .power = power_noise, .seed = seed});
}

std::vector<std::shared_ptr<datasets::Profile>> simulate(
    std::vector<std::string> devices, std::vector<std::string> workloads, std::size_t random_devices,
    std::size_t random_workloads, const std::string& grid, bool noise, std::uint64_t seed) {
  datasets::SimulationRequest request;
  request.devices = std::move(devices);
  request.workloads = std::move(workloads);
  request.random_devices = random_devices;
  request.random_workloads = random_workloads;
  request.grid = grid;
  request.noise = noise;
  request.seed = seed;
  auto store = datasets::generate_profiles(request);
  std::vector<std::shared_ptr<datasets::Profile>> all;
  for (auto& profile : store.profiles) all.push_back(std::make_shared<datasets::Profile>(std::move(profile)));
  return all;
}

}  // namespace

void bind_simulation(py::module_& m) {
  py::class_<SimulatedDevice>(m, "SimulatedDevice",
                              "A simulated board that runs a workload; it can be measured.")
      .def(py::init(&made_device), py::arg("device"), py::arg("workload"), py::arg("grid") = "full",
           py::arg("time_noise") = 0.01, py::arg("power_noise") = 0.015, py::arg("seed") = 0,
           "device: of boards(); workload: of simulated_workloads(); noise: standard deviations of the logs.")
      .def_property_readonly(
          "space", [](const SimulatedDevice& d) { return std::make_shared<hw::PowerModeSpace>(d.space()); },
          "Its modes.")
      .def(
          "_measure",
          [](SimulatedDevice& d, const py::object& mode) {
            const auto measured = d.measure(mode_of(mode, d.space().knobs()));
            return py::make_tuple(measured.time_ms, measured.power_w);
          },
          py::arg("mode"));
  m.def("simulate", &simulate, py::arg("devices") = std::vector<std::string>(),
        py::arg("workloads") = std::vector<std::string>(), py::arg("random_devices") = 0,
        py::arg("random_workloads") = 0, py::arg("grid") = "full", py::arg("noise") = true,
        py::arg("seed") = 0, py::call_guard<py::gil_scoped_release>(),
        "Profiles of every workload on every device. grid: 'full', a published grid, or a number of modes as "
        "text. "
        "ValueError offers the nearest names.");
  m.def(
      "simulated_workloads",
      [] {
        std::vector<std::string> names;
        for (const auto& workload : hw::simulated_workloads()) names.push_back(workload.name);
        return names;
      },
      "The names of the workloads that can be simulated.");
}

}  // namespace fewwatt::python
