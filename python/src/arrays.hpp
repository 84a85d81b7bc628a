#pragma once

// What all bindings share: numpy arrays from and to fewwatt's types. All of these need the GIL.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/power_mode.hpp"
#include "learners/options.hpp"
#include "tasks/task.hpp"

namespace fewwatt::python {

namespace py = pybind11;
using IntArray = py::array_t<int, py::array::c_style | py::array::forcecast>;
using DoubleArray = py::array_t<double, py::array::c_style | py::array::forcecast>;

// What people pass as an array, checked by fewwatt/arrays.py. Throws error_already_set, a ValueError, for anything but numbers.
DoubleArray real_numbers(const py::object& array, const std::string& name);

// Rows [n,k], or a DataFrame with a column for each knob, as modes. Throws error_already_set, a ValueError, for anything else.
std::vector<hw::PowerMode> modes_of(const py::object& rows, const std::vector<hw::Knob>& knobs);
// One mode [k], or a dict of settings by knob. Throws as modes_of().
hw::PowerMode mode_of(const py::object& settings, const std::vector<hw::Knob>& knobs);
py::array array_of(const hw::PowerMode& mode);                                   // int32 [k]
py::array array_of(const std::vector<hw::PowerMode>& modes, std::size_t knobs);  // int32 [n,k], a copy

// Numbers [n,m] as a matrix, a copy. Throws as real_numbers(), and std::invalid_argument unless there are two dimensions.
tasks::Matrix matrix_of(const py::object& array, const std::string& name);

// Read-only arrays that show memory of `owner`, and keep it alive. Nothing is copied.
py::array view(const tasks::Matrix& matrix, const py::object& owner);                                 // [n,m]
py::array view(const std::vector<hw::PowerMode>& modes, std::size_t knobs, const py::object& owner);  // [n,k]
py::array view(const std::vector<double>& values, const py::object& owner);                           // [n]
// An array of n values of type T, each `stride` bytes behind the one before.
template <class T>
py::array view(const T* first, std::size_t n, std::size_t stride, const py::object& owner) {
  py::array_t<T> array({static_cast<py::ssize_t>(n)}, {static_cast<py::ssize_t>(stride)}, first, owner);
  array.attr("setflags")(py::arg("write") = false);
  return array;
}
// The matrix as an array that owns it. Nothing is copied.
py::array owned(tasks::Matrix matrix);

// Options of a learner or the like: values are texts, numbers or booleans. Throws std::invalid_argument for others.
learners::Settings settings_of(const py::dict& options);

// Roles and levels of knobs. Throws std::invalid_argument for an unknown role, or levels that are no whole numbers.
std::vector<hw::Knob> knobs_of(const py::dict& levels);

// What is known of a workload, and what its times are of; one that is not known is left out.
py::dict dict_of(const datasets::WorkloadAttributes& attributes);
// Throws std::invalid_argument for an unknown name or a value of another type.
datasets::WorkloadAttributes attributes_of(const py::dict& attributes);

// Profiles as Python holds them, and copies of them for what keeps its own.
using Profiles = std::vector<std::shared_ptr<datasets::Profile>>;
std::vector<datasets::Profile> copies(const Profiles& profiles);

// pybind11 keeps objects by pointers to what may change; the objects here have no function that changes them.
template <class T>
std::shared_ptr<T> shared(const std::shared_ptr<const T>& pointer) {
  return std::const_pointer_cast<T>(pointer);
}

// One function for each area: it adds its classes and functions to the module.
void bind_spaces(py::module_& m);
void bind_profiles(py::module_& m);
void bind_simulation(py::module_& m);
void bind_tasks(py::module_& m);
void bind_learners(py::module_& m);
void bind_decisions(py::module_& m);
void bind_environment(py::module_& m);
void bind_training(py::module_& m);  // of fewwatt._meta
void bind_suites(py::module_& m);    // of fewwatt._meta

}  // namespace fewwatt::python
