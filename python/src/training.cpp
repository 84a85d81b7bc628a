// Meta-training.

#include "meta/registry.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

// Ctrl-C, which Python handles in its main thread alone: throws what its handler raises.
bool told_to_stop() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  return false;
}

std::shared_ptr<learners::Checkpoint> train(const std::string& learner, const Profiles& profiles,
                                            std::uint64_t seed, const std::vector<std::size_t>& shots,
                                            const py::dict& settings, const Profiles& also,
                                            const learners::Checkpoint* init, const py::object& log) {
  meta::InitializerRequest request;
  request.name = learner;
  request.seed = seed;
  request.shots = shots;
  request.settings = settings_of(settings);
  request.also = copies(also);
  if (init != nullptr) request.init = *init;
  const auto training = copies(profiles);
  meta::RunHooks hooks;
  hooks.interrupted = told_to_stop;
  if (!log.is_none())
    hooks.log = [&log](const std::string& line) {
      const py::gil_scoped_acquire gil;
      log(line);
    };
  meta::TrainedInitializer result;
  {
    const py::gil_scoped_release release;
    result = meta::run_training(request, training, hooks);
  }
  if (!result.message.empty() && !log.is_none()) log(result.message);
  return std::make_shared<learners::Checkpoint>(std::move(result.checkpoint));
}

}  // namespace

void bind_training(py::module_& m) {
  m.def("meta_train", &train, py::arg("learner"), py::arg("profiles"), py::arg("seed"), py::arg("shots"),
        py::arg("settings"), py::arg("also"), py::arg("init"), py::arg("log"));
  m.def(
      "meta_learners",
      [] {
        py::dict all;
        for (const auto& entry : meta::builtin().meta_learners) all[py::str(entry.name)] = entry.about;
        return all;
      },
      "What the meta-learners are, by name.");
}

}  // namespace fewwatt::python
