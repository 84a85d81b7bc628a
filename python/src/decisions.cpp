// The choice of modes: from a prediction, and by searches that measure.

#include <cmath>
#include <stdexcept>

#include "learners/optimize/choose.hpp"
#include "learners/optimize/search.hpp"
#include "learners/registry.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

using learners::Goal;
using learners::LogGaussian;
using learners::Search;

Goal goal_of(const std::string& objective, double max_power_w, double max_time_ms, double max_energy_j,
             double confidence, double eta, double zeus_max_power_w) {
  Goal goal;
  goal.objective = learners::parse_objective(objective);
  if (objective == "zeus") {
    if (!(eta >= 0 && eta <= 1))
      throw std::invalid_argument("eta: expected a number in [0, 1], found " + std::to_string(eta));
    if (!(zeus_max_power_w > 0 && std::isfinite(zeus_max_power_w)))
      throw std::invalid_argument("zeus_max_power_w: expected a number above 0, found " +
                                  std::to_string(zeus_max_power_w));
    goal.objective.eta = eta;
    goal.objective.max_power_w = zeus_max_power_w;
  }
  goal.limits = {.max_power_w = max_power_w,
                 .max_time_ms = max_time_ms,
                 .max_energy_j = max_energy_j,
                 .confidence = confidence};
  if (const auto error = goal.error(); !error.empty()) throw std::invalid_argument(error);
  return goal;
}

// A search, and the space that it asks for modes of.
struct Asked {
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::unique_ptr<Search> search;
};

std::unique_ptr<Asked> search_of(const std::string& name, const std::shared_ptr<hw::PowerModeSpace>& space,
                                 const std::shared_ptr<learners::Learner>& learner, const Goal& goal,
                                 std::size_t planned, std::uint64_t seed, double stop_gain,
                                 const py::dict& options, const py::dict& attributes) {
  learners::SearchOptions search;
  search.planned = planned;
  search.seed = seed;
  search.stop_gain = stop_gain;
  search.characteristics = tasks::characteristics_of(attributes_of(attributes));
  learners::set_options(settings_of(options), "search",
                        [&](learners::OptionVisitor& on) { search.each(on); });
  return std::make_unique<Asked>(Asked{space, learners::make_search(name, space, learner, goal, search)});
}

py::object answer_of(const std::optional<learners::Answer>& answer) {
  if (!answer) return py::none();
  return py::make_tuple(array_of(answer->mode), answer->time_ms, answer->power_w, answer->objective,
                        answer->measured);
}

void bind_search(py::module_& m) {
  py::class_<Asked>(m, "_Search")
      .def(py::init(&search_of), py::arg("name"), py::arg("space"), py::arg("learner"), py::arg("goal"),
           py::arg("planned"), py::arg("seed"), py::arg("stop_gain"), py::arg("options"),
           py::arg("attributes"))
      .def("ask",
           [](Asked& a) -> py::object {
             std::optional<hw::PowerMode> mode;
             {
               const py::gil_scoped_release release;
               mode = a.search->ask();
             }
             if (!mode) return py::none();
             return array_of(*mode);
           })
      .def("tell",
           [](Asked& a, const py::object& mode, double time_ms, double power_w) {
             const auto told = mode_of(mode, a.space->knobs());
             if (!a.space->index_of(told))
               throw std::invalid_argument("mode: no mode of the space: " + hw::describe(*a.space, told));
             const py::gil_scoped_release release;
             a.search->tell(told, {.time_ms = time_ms, .power_w = power_w});
           })
      .def("answer",
           [](Asked& a) {
             std::optional<learners::Answer> answer;
             {
               const py::gil_scoped_release release;
               answer = a.search->answer();
             }
             return answer_of(answer);
           })
      .def("nearest", [](const Asked& a) { return answer_of(a.search->nearest()); })
      .def(
          "expected_gain", [](Asked& a, std::size_t more) { return a.search->expected_gain(more); },
          py::call_guard<py::gil_scoped_release>())
      .def("aim", [](Asked& a, const Goal& goal) { a.search->aim(goal); });
  m.def(
      "searches",
      [] {
        py::dict all;
        for (const auto& entry : learners::builtin().searches) all[py::str(entry.name)] = entry.about;
        return all;
      },
      "What the searches do, by name.");
  m.def("_needs_learner",
        [](const std::string& name) { return learners::builtin().searches.find(name).needs_learner; });
}

}  // namespace

void bind_decisions(py::module_& m) {
  py::class_<Goal>(
      m, "Goal",
      "What is minimised, and the limits on power in W, time in ms and energy in J of a unit of work.")
      .def(py::init(&goal_of), py::arg("objective") = "time", py::arg("max_power_w") = INFINITY,
           py::arg("max_time_ms") = INFINITY, py::arg("max_energy_j") = INFINITY, py::arg("confidence") = 0.9,
           py::arg("eta") = 1.0, py::arg("zeus_max_power_w") = 0.0,
           "objective: time, energy, power, edp, ed2p to ed9p, zeus. A limit holds when a new measurement "
           "keeps it with "
           "probability `confidence`, in [0.5, 1). ValueError names what is wrong.")
      .def_property_readonly(
          "confidence", [](const Goal& g) { return g.limits.confidence; },
          "With which probability limits are kept.");
  m.def(
      "_best",
      [](const LogGaussian& prediction, const Goal& goal, std::size_t count) {
        return learners::best(prediction, goal.objective, goal.limits, count);
      },
      py::arg("prediction"), py::arg("goal"), py::arg("count"), py::call_guard<py::gil_scoped_release>());
  m.def(
      "_pareto",
      [](const LogGaussian& prediction, const Goal& goal) {
        return learners::pareto(prediction, goal.limits);
      },
      py::arg("prediction"), py::arg("goal"), py::call_guard<py::gil_scoped_release>());
  m.def(
      "_probabilities",
      [](const LogGaussian& prediction, std::size_t row, const Goal& goal) {
        if (row >= static_cast<std::size_t>(prediction.rows()))
          throw std::out_of_range("row " + std::to_string(row) + " of " + std::to_string(prediction.rows()));
        const auto p = learners::probabilities(prediction, row, goal.limits);
        return py::make_tuple(p.power, p.time, p.energy);
      },
      py::arg("prediction"), py::arg("row"), py::arg("goal"));
  bind_search(m);
}

}  // namespace fewwatt::python
