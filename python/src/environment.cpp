// The choice of power modes as a process that an agent acts in.

#include <algorithm>
#include <stdexcept>

#include "hw/modules.hpp"
#include "python/src/arrays.hpp"
#include "tasks/mode_environment.hpp"
#include "tasks/replay_population.hpp"
#include "tasks/simulated_world.hpp"

namespace fewwatt::python {
namespace {

using tasks::ModeEnvironment;
using tasks::ModeMdpOptions;

// The value of a name. Throws std::invalid_argument listing those there are.
template <class E, std::size_t n>
E named(const char* what, const std::array<std::pair<std::string_view, E>, n>& names,
        const std::string& name) {
  std::string known;
  for (const auto& [text, value] : names) {
    if (text == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw std::invalid_argument(std::string(what) + ": expected one of " + known + ", found '" + name + "'");
}

ModeMdpOptions options_of(const std::string& task, const std::string& actions, const std::string& reward,
                          double lambda, std::size_t measurements, std::size_t candidates,
                          double switch_share) {
  ModeMdpOptions options{.task = named("task", tasks::kModeTasks, task),
                         .actions = named("actions", tasks::kModeActionKinds, actions),
                         .reward = named("reward", tasks::kRewardForms, reward),
                         .lambda = lambda,
                         .measurements = measurements,
                         .candidates = candidates,
                         .switch_share = switch_share};
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  return options;
}

// Worlds of one space, of which each episode gets one: profiles, or a simulated board with workloads.
class Worlds {
 public:
  Worlds(const Profiles& profiles, ModeMdpOptions options, std::size_t changes)
      : options_(options), changes_(changes) {
    std::vector<datasets::Profile> all;
    for (const auto& profile : profiles) {
      if (profile->modes != profiles.front()->modes ||
          profile->space->knobs() != profiles.front()->space->knobs())
        throw std::invalid_argument(
            "profiles: expected the same modes in all of them, so that actions are the same; " +
            profile->device + "/" + profile->workload + " has others");
      all.push_back(*profile);
    }
    profiles_.emplace(all);
  }
  Worlds(const std::string& device, const std::string& grid, const std::vector<std::string>& workloads,
         double noise, ModeMdpOptions options, std::size_t changes)
      : options_(options), changes_(changes) {
    auto& world = simulated_.emplace();
    world.places.push_back({hw::find_simulated_board(device),
                            std::make_shared<const hw::PowerModeSpace>(hw::module_space(device, grid))});
    for (const auto& workload : workloads) world.workloads.push_back(hw::find_simulated_workload(workload));
    world.time_noise = world.power_noise = noise;
    world.steps = options.measurements;
    world.changes = changes;
    if (const auto error = world.error(); !error.empty()) throw std::invalid_argument(error);
  }
  std::unique_ptr<ModeEnvironment> environment(std::uint64_t seed) const {
    auto world = simulated_ ? std::make_unique<tasks::SimulatedWorld>(*simulated_)
                            : profiles_->draw(seed, options_.measurements, changes_);
    return std::make_unique<ModeEnvironment>(std::move(world), options_);
  }

 private:
  ModeMdpOptions options_;
  std::size_t changes_;
  std::optional<tasks::ReplayPopulation> profiles_;
  std::optional<tasks::SimulatedWorldOptions> simulated_;
};

py::array array_of_vector(const tasks::Vector& vector) {
  py::array_t<double> array(vector.size());
  std::copy(vector.begin(), vector.end(), array.mutable_data());
  return array;
}

py::dict info_of(const ModeEnvironment& environment) {
  const auto& measured = environment.measured();
  return py::dict(py::arg("mode") = array_of(environment.mode()), py::arg("time_ms") = measured.time_ms,
                  py::arg("power_w") = measured.power_w,
                  py::arg("budget_w") = environment.world().budget_w());
}

}  // namespace

void bind_environment(py::module_& m) {
  py::class_<ModeMdpOptions>(m, "_MdpOptions")
      .def(py::init(&options_of), py::arg("task"), py::arg("actions"), py::arg("reward"), py::arg("penalty"),
           py::arg("measurements"), py::arg("candidates"), py::arg("switch_share"));
  py::class_<ModeEnvironment>(m, "_Environment")
      .def("observation_size", &ModeEnvironment::observation_size)
      .def("actions", [](const ModeEnvironment& e) { return owned(e.actions()); })
      .def("spent",
           [](const ModeEnvironment& e) {
             const auto spent = e.spent();
             return std::vector<std::size_t>(spent.begin(), spent.end());
           })
      .def(
          "reset",
          [](ModeEnvironment& e, std::uint64_t seed) {
            tasks::Vector observation;
            {
              const py::gil_scoped_release release;
              observation = e.reset(seed);
            }
            return py::make_tuple(array_of_vector(observation), info_of(e));
          },
          py::arg("seed"))
      .def(
          "step",
          [](ModeEnvironment& e, std::size_t action) {
            tasks::Step step;
            {
              const py::gil_scoped_release release;
              step = e.step(action);
            }
            return py::make_tuple(array_of_vector(step.observation), step.reward, step.terminated,
                                  step.truncated, info_of(e));
          },
          py::arg("action"));
  py::class_<Worlds>(m, "_Worlds")
      .def(py::init<const Profiles&, ModeMdpOptions, std::size_t>(), py::arg("profiles"), py::arg("options"),
           py::arg("changes"))
      .def(py::init<const std::string&, const std::string&, const std::vector<std::string>&, double,
                    ModeMdpOptions, std::size_t>(),
           py::arg("device"), py::arg("grid"), py::arg("workloads"), py::arg("noise"), py::arg("options"),
           py::arg("changes"))
      .def("environment", &Worlds::environment, py::arg("seed"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace fewwatt::python
