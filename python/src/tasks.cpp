// Few-shot tasks, and samplers, which choose the modes to measure.

#include "hw/random.hpp"
#include "learners/registry.hpp"
#include "learners/samplers/sampler.hpp"
#include "python/src/arrays.hpp"
#include "tasks/split.hpp"
#include "tasks/task_source.hpp"

namespace fewwatt::python {
namespace {

using datasets::Profile;
using tasks::Samples;
using tasks::Task;
using tasks::TaskSource;

Profiles kept(std::vector<Profile> profiles) {
  Profiles all;
  for (auto& profile : profiles) all.push_back(std::make_shared<Profile>(std::move(profile)));
  return all;
}

std::shared_ptr<Samples> samples(const std::shared_ptr<hw::PowerModeSpace>& space, const py::object& modes,
                                 const py::object& targets, const py::object& noise_factors,
                                 const py::dict& attributes) {
  auto made = std::make_shared<Samples>();
  made->space = space;
  made->modes = modes_of(modes, space->knobs());
  made->targets = matrix_of(targets, "targets");
  made->characteristics = tasks::characteristics_of(attributes_of(attributes));
  if (!noise_factors.is_none()) made->noise_factors = matrix_of(noise_factors, "noise_factors");
  made->check();
  return made;
}

py::dict characteristics_dict(const tasks::Characteristics& characteristics) {
  py::dict all;
  for (const auto& [name, member] : tasks::kCharacteristics)
    if (characteristics.*member) all[name] = *(characteristics.*member);
  all["time_of"] = std::string(to_string(characteristics.time_of));
  return all;
}

std::vector<Task> batch(const TaskSource& source, std::size_t size, std::uint64_t seed, std::uint64_t step) {
  auto rng = hw::Rng::stream(seed, "python tasks", step);
  return source.next(size, rng);
}

// What a sampler was told has to be a mode of its space.
struct Sampler {
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::unique_ptr<tasks::ModeSampler> sampler;
};

std::unique_ptr<Sampler> sampler_of(const std::string& name, const std::shared_ptr<hw::PowerModeSpace>& space,
                                    const std::shared_ptr<learners::Learner>& learner, std::size_t planned,
                                    std::uint64_t seed, const tasks::Characteristics& characteristics) {
  learners::SamplerOptions options;
  options.planned = planned;
  options.seed = seed;
  options.characteristics = characteristics;
  return std::make_unique<Sampler>(Sampler{space, learners::make_sampler(name, space, learner, options)});
}

}  // namespace

void bind_tasks(py::module_& m) {
  py::class_<Samples, std::shared_ptr<Samples>>(
      m, "Samples",
      "Measured modes of one workload on one device. Its arrays are read-only and show its own memory.")
      .def(py::init(&samples), py::arg("space"), py::arg("modes"), py::arg("targets"),
           py::arg("noise_factors") = py::none(), py::arg("attributes") = py::dict(),
           "modes [n,k]; targets [n,2] in ms and W, NaN = unknown; noise_factors [n,2]: the variance of each "
           "value's noise "
           "over that of one fresh measurement. ValueError names the row that is wrong.")
      .def_property_readonly(
          "space", [](const Samples& s) { return shared(s.space); }, "The modes of the device.")
      .def("__len__", &Samples::size)
      .def_property_readonly(
          "modes",
          [](const py::object& self) {
            const auto& s = self.cast<const Samples&>();
            return view(s.modes, s.space->knobs().size(), self);
          },
          "int32 [n,k].")
      .def_property_readonly(
          "targets", [](const py::object& self) { return view(self.cast<const Samples&>().targets, self); },
          "float64 [n,2]: ms, W; NaN = unknown.")
      .def_property_readonly(
          "noise_factors",
          [](const py::object& self) -> py::object {
            const auto& factors = self.cast<const Samples&>().noise_factors;
            if (factors.size() == 0) return py::none();
            return view(factors, self);
          },
          "float64 [n,2], or None where all are 1.")
      .def_property_readonly(
          "characteristics", [](const Samples& s) { return characteristics_dict(s.characteristics); },
          "What is known of the workload without measuring it.");
  m.def(
      "samples_of",
      [](const Profile& profile) { return std::make_shared<Samples>(tasks::samples_of(profile)); },
      py::arg("profile"), "All rows of a profile as samples.");
  m.def(
      "samples_of",
      [](const Profile& profile, const std::vector<std::size_t>& rows) {
        return std::make_shared<Samples>(tasks::samples_of(profile, rows));
      },
      py::arg("profile"), py::arg("rows"),
      "These rows of a profile as samples. IndexError for a row that it lacks.");

  py::class_<Task>(m, "Task",
                   "A few-shot problem: learn from the support, predict the query. They share no mode.")
      .def_readonly("name", &Task::name, "DEVICE/WORKLOAD.")
      .def_property_readonly(
          "support", [](const Task& t) { return std::make_shared<Samples>(t.support); },
          "What is learned from.")
      .def_property_readonly(
          "query", [](const Task& t) { return std::make_shared<Samples>(t.query); },
          "What is asked afterwards.");
  m.def(
      "sample_task",
      [](const Profile& profile, std::size_t shots, std::optional<std::size_t> query, std::uint64_t seed) {
        auto rng = hw::Rng::stream(seed, "python task");
        return tasks::sample_task(profile, shots, rng, query.value_or(SIZE_MAX));
      },
      py::arg("profile"), py::arg("shots"), py::arg("query") = py::none(), py::arg("seed") = 0,
      "A task of a profile with `shots` support rows; the query is all other rows, or so many.");
  m.def(
      "split_profiles",
      [](const Profiles& profiles, std::vector<std::string> workloads, std::vector<std::string> devices) {
        auto split = tasks::split_profiles(copies(profiles), {std::move(workloads), std::move(devices)});
        return std::pair(kept(std::move(split.train)), kept(std::move(split.test)));
      },
      py::arg("profiles"), py::arg("workloads") = std::vector<std::string>(),
      py::arg("devices") = std::vector<std::string>(),
      "(training profiles, test profiles): training never sees the held-out workloads and devices.");

  py::class_<TaskSource>(
      m, "TaskSource",
      "An endless stream of tasks, cut out of profiles. The same seed and step give the same tasks.")
      .def(py::init([](const Profiles& profiles, std::size_t min_shots, std::size_t max_shots,
                       std::size_t query, const Profiles& also) {
             tasks::TaskSourceOptions options;
             options.min_shots = min_shots;
             options.max_shots = max_shots;
             options.query = query;
             return std::make_unique<TaskSource>(copies(profiles), options, copies(also));
           }),
           py::arg("profiles"), py::arg("min_shots") = 5, py::arg("max_shots") = 50, py::arg("query") = 64,
           py::arg("also") = Profiles(),
           "Support rows are drawn evenly from [min_shots, max_shots], one number for each batch; half of "
           "the tasks are of "
           "`also`, where there is any.")
      .def("batch", &batch, py::arg("size"), py::arg("seed") = 0, py::arg("step") = 0,
           py::call_guard<py::gil_scoped_release>(), "The tasks of one training step.");

  py::class_<Sampler>(m, "_Sampler")
      .def(py::init([](const std::string& name, const std::shared_ptr<hw::PowerModeSpace>& space,
                       const std::shared_ptr<learners::Learner>& learner, std::size_t planned,
                       std::uint64_t seed, const py::dict& attributes) {
             return sampler_of(name, space, learner, planned, seed,
                               tasks::characteristics_of(attributes_of(attributes)));
           }),
           py::arg("name"), py::arg("space"), py::arg("learner"), py::arg("planned"), py::arg("seed"),
           py::arg("attributes"))
      .def("ask",
           [](Sampler& s) -> py::object {
             std::optional<hw::PowerMode> mode;
             {
               const py::gil_scoped_release release;
               mode = s.sampler->ask();
             }
             if (!mode) return py::none();
             return array_of(*mode);
           })
      .def("tell", [](Sampler& s, const py::object& mode, double time_ms, double power_w) {
        const auto told = mode_of(mode, s.space->knobs());
        if (!s.space->index_of(told))
          throw std::invalid_argument("mode: no mode of the space: " + hw::describe(*s.space, told));
        const py::gil_scoped_release release;
        s.sampler->tell(told, {.time_ms = time_ms, .power_w = power_w});
      });
  m.def("_sampler_needs_learner",
        [](const std::string& name) { return learners::builtin().samplers.find(name).needs_learner; });
  m.def(
      "samplers",
      [] {
        py::dict all;
        for (const auto& entry : learners::builtin().samplers) all[py::str(entry.name)] = entry.about;
        return all;
      },
      "What the samplers do, by name.");
}

}  // namespace fewwatt::python
