// Power modes and spaces.

#include <span>

#include "hw/modules.hpp"
#include "learners/encode.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

using hw::PowerModeSpace;
using Space = std::shared_ptr<PowerModeSpace>;

Space made_space(PowerModeSpace space) {
  return std::make_shared<PowerModeSpace>(std::move(space));
}

py::dict levels_of(const PowerModeSpace& space) {
  py::dict levels;
  for (const auto& knob : space.knobs())
    levels[py::str(std::string(to_string(knob.role)))] = py::cast(knob.levels);
  return levels;
}

// The position of each mode. Throws std::invalid_argument naming the first that the space lacks.
py::array rows_of(const PowerModeSpace& space, const py::object& array) {
  const auto modes = modes_of(array, space.knobs());
  py::array_t<std::int64_t> rows(static_cast<py::ssize_t>(modes.size()));
  auto* out = rows.mutable_data();
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto at = space.index_of(modes[i]);
    if (!at)
      throw std::invalid_argument("modes: row " + std::to_string(i) +
                                  ": no mode of the space: " + hw::describe(space, modes[i]));
    out[i] = static_cast<std::int64_t>(*at);
  }
  return rows;
}

}  // namespace

void bind_spaces(py::module_& m) {
  py::class_<PowerModeSpace, Space>(
      m, "PowerModeSpace",
      "The power modes of a device. A mode is a row of whole numbers, one for each knob, in the "
      "order of `knobs`: cores, kHz, mW. Modes are numbered in ascending order.")
      .def_static(
          "grid", [](const py::dict& knobs) { return made_space(PowerModeSpace::grid(knobs_of(knobs))); },
          py::arg("knobs"),
          "Every combination of levels. knobs: levels by role, as {'cpu_cores': [2, 4], 'gpu_khz': [114750, "
          "318750]}; levels ascend. ValueError names a bad knob.")
      .def_static(
          "list",
          [](const py::dict& knobs, const py::object& modes) {
            const auto known = knobs_of(knobs);
            return made_space(PowerModeSpace::list(known, modes_of(modes, known)));
          },
          py::arg("knobs"), py::arg("modes"),
          "These modes only: int [n,k]. ValueError where one is off the levels or there twice.")
      .def_static(
          "of_board",
          [](const std::string& board, const std::string& grid) {
            return made_space(hw::module_space(board, grid));
          },
          py::arg("board"), py::arg("grid") = "full",
          "The modes of a known board, such as 'orin-agx-64'; of all of them, or of a published grid.")
      .def_property_readonly("knobs", &levels_of, "Levels by role, in the order of a mode's settings.")
      .def_property_readonly("is_grid", &PowerModeSpace::is_grid,
                             "Whether every combination of levels is a mode.")
      .def("__len__", &PowerModeSpace::size)
      .def(
          "modes", [](const PowerModeSpace& s) { return array_of(s.modes(), s.knobs().size()); },
          "All modes, int32 [n,k].")
      .def(
          "mode", [](const PowerModeSpace& s, std::size_t index) { return array_of(s.at(index)); },
          py::arg("index"), "Mode number `index`, int32 [k]. IndexError beyond the last.")
      .def("rows_of", &rows_of, py::arg("modes"),
           "The numbers of modes [n,k], int64 [n]. ValueError names the first that is no mode of the space.")
      .def(
          "lowest", [](const PowerModeSpace& s) { return array_of(s.lowest()); },
          "The mode with the least sum of log settings, int32 [k].")
      .def(
          "describe",
          [](const PowerModeSpace& s, const py::object& mode) {
            return hw::describe(s, mode_of(mode, s.knobs()));
          },
          py::arg("mode"), "A mode [k] as text: 'cpu_khz=345600 gpu_khz=114750'.")
      .def(
          "features",
          [](const PowerModeSpace& s, const py::object& modes, const std::string& set) {
            return owned(learners::encode(learners::parse_feature_set(set), s, modes_of(modes, s.knobs())));
          },
          py::arg("modes"), py::arg("set") = "physical",
          "Features of modes [n,k] as fewwatt's own nets take them, float64 [n,f]. 'raw': setting / highest "
          "level; "
          "'physical': x, 1/x and log x of these.")
      .def("__eq__",
           [](const PowerModeSpace& s, const py::object& other) {
             return py::isinstance<PowerModeSpace>(other) && s == other.cast<const PowerModeSpace&>();
           })
      .def("__hash__",
           [](const PowerModeSpace& s) {
             return py::hash(py::str(hw::describe_roles(s) + std::to_string(s.size())));
           })
      .def("__copy__", [](const Space& s) { return s; })
      .def("__deepcopy__", [](const Space& s, const py::dict&) { return s; })
      .def("__repr__",
           [](const PowerModeSpace& s) {
             return "<PowerModeSpace of " + std::to_string(s.size()) + " modes: " + hw::describe_roles(s) +
                    ">";
           })
      .def(py::pickle(
          [](const PowerModeSpace& s) {
            return py::make_tuple(
                levels_of(s), s.is_grid(),
                array_of(s.is_grid() ? std::vector<hw::PowerMode>() : s.modes(), s.knobs().size()));
          },
          [](const py::tuple& state) {
            const auto knobs = knobs_of(state[0].cast<py::dict>());
            if (state[1].cast<bool>()) return made_space(PowerModeSpace::grid(knobs));
            return made_space(PowerModeSpace::list(knobs, modes_of(py::object(state[2]), knobs)));
          }));
  m.def(
      "boards",
      [] {
        py::dict all;
        for (const auto& module : hw::modules()) all[py::str(module.name)] = module.title;
        return all;
      },
      "Titles of the known boards, by name.");
}

}  // namespace fewwatt::python
