#include "python/src/arrays.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>

namespace fewwatt::python {
namespace {

std::string shape_of(const py::array& array) {
  std::string text;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i > 0 ? "," : "") + std::to_string(array.shape(i));
  return "[" + text + "]";
}

py::object checks(const char* function) {
  return py::module_::import("fewwatt.arrays").attr(function);
}

py::list names_of(const std::vector<hw::Knob>& knobs) {
  py::list names;
  for (const auto& knob : knobs) names.append(std::string(to_string(knob.role)));
  return names;
}

void freeze(py::array& array) {
  array.attr("setflags")(py::arg("write") = false);
}

}  // namespace

DoubleArray real_numbers(const py::object& array, const std::string& name) {
  return checks("real_numbers")(array, name).cast<DoubleArray>();
}

std::vector<hw::PowerMode> modes_of(const py::object& given, const std::vector<hw::Knob>& knobs) {
  const auto rows = checks("modes_array")(names_of(knobs), given).cast<IntArray>();
  const auto n = static_cast<std::size_t>(rows.shape(0));
  const int* first = rows.data();
  std::vector<hw::PowerMode> modes;
  modes.reserve(n);
  for (std::size_t i = 0; i < n; ++i)
    modes.emplace_back(std::span<const int>(first + i * knobs.size(), knobs.size()));
  return modes;
}

hw::PowerMode mode_of(const py::object& given, const std::vector<hw::Knob>& knobs) {
  const auto settings = checks("mode_array")(names_of(knobs), given).cast<IntArray>();
  return hw::PowerMode(std::span<const int>(settings.data(), knobs.size()));
}

py::array array_of(const hw::PowerMode& mode) {
  py::array_t<int> array(static_cast<py::ssize_t>(mode.size()));
  std::copy(mode.begin(), mode.end(), array.mutable_data());
  return array;
}

py::array array_of(const std::vector<hw::PowerMode>& modes, std::size_t knobs) {
  py::array_t<int> array({static_cast<py::ssize_t>(modes.size()), static_cast<py::ssize_t>(knobs)});
  int* out = array.mutable_data();
  for (const auto& mode : modes) out = std::copy(mode.begin(), mode.end(), out);
  return array;
}

tasks::Matrix matrix_of(const py::object& given, const std::string& name) {
  const auto array = real_numbers(given, name);
  if (array.ndim() != 2)
    throw std::invalid_argument(name + ": expected an array of two dimensions, found " + shape_of(array));
  return Eigen::Map<const tasks::Matrix>(array.data(), array.shape(0), array.shape(1));
}

py::array view(const tasks::Matrix& matrix, const py::object& owner) {
  const auto size = static_cast<py::ssize_t>(sizeof(double));
  py::array_t<double> array({matrix.rows(), matrix.cols()}, {matrix.cols() * size, size}, matrix.data(),
                            owner);
  freeze(array);
  return array;
}

py::array view(const std::vector<hw::PowerMode>& modes, std::size_t knobs, const py::object& owner) {
  py::array_t<int> array(
      {static_cast<py::ssize_t>(modes.size()), static_cast<py::ssize_t>(knobs)},
      {static_cast<py::ssize_t>(sizeof(hw::PowerMode)), static_cast<py::ssize_t>(sizeof(int))},
      modes.empty() ? nullptr : modes.front().begin(), owner);
  freeze(array);
  return array;
}

py::array view(const std::vector<double>& values, const py::object& owner) {
  return view(values.data(), values.size(), sizeof(double), owner);
}

py::array owned(tasks::Matrix matrix) {
  auto* kept = new tasks::Matrix(std::move(matrix));
  const py::capsule owner(kept, [](void* pointer) { delete static_cast<tasks::Matrix*>(pointer); });
  const auto size = static_cast<py::ssize_t>(sizeof(double));
  return py::array_t<double>({kept->rows(), kept->cols()}, {kept->cols() * size, size}, kept->data(), owner);
}

learners::Settings settings_of(const py::dict& options) {
  learners::Settings settings;
  for (const auto& [key, value] : options) {
    const auto name = py::str(key).cast<std::string>();
    if (py::isinstance<py::bool_>(value))
      settings[name] = value.cast<bool>() ? "true" : "false";
    else if (py::isinstance<py::str>(value) || py::isinstance<py::int_>(value) ||
             py::isinstance<py::float_>(value))
      settings[name] = py::str(value).cast<std::string>();
    else
      throw std::invalid_argument("option " + name + ": expected a text, a number or a boolean, found " +
                                  py::repr(value).cast<std::string>());
  }
  return settings;
}

std::vector<hw::Knob> knobs_of(const py::dict& levels) {
  std::vector<hw::Knob> knobs;
  for (const auto& [key, value] : levels) {
    const auto name = py::str(key).cast<std::string>();
    const auto role = hw::parse_knob_role(name);
    if (!role) {
      std::string known;
      for (const auto one : hw::kKnobRoles)
        known += (known.empty() ? "" : ", ") + std::string(to_string(one));
      throw std::invalid_argument("unknown knob '" + name + "', known are: " + known);
    }
    try {
      knobs.push_back({*role, value.cast<std::vector<int>>()});
    } catch (const py::cast_error&) {
      throw std::invalid_argument("knob " + name + ": expected a list of whole numbers, found " +
                                  py::repr(value).cast<std::string>());
    }
  }
  return knobs;
}

py::dict dict_of(const datasets::WorkloadAttributes& attributes) {
  py::dict all;
  all["kind"] = std::string(to_string(attributes.kind));
  all["time_of"] = std::string(to_string(attributes.time_of));
  for (const auto& [name, member] : datasets::kTextAttributes)
    if (!(attributes.*member).empty()) all[name] = attributes.*member;
  for (const auto& [name, member] : datasets::kNumberAttributes)
    if (attributes.*member) all[name] = *(attributes.*member);
  return all;
}

datasets::WorkloadAttributes attributes_of(const py::dict& attributes) {
  datasets::WorkloadAttributes all;
  for (const auto& [key, value] : attributes) {
    const auto name = py::str(key).cast<std::string>();
    const auto found = py::repr(value).cast<std::string>();
    const auto text = [&] {
      if (!py::isinstance<py::str>(value))
        throw std::invalid_argument("attribute " + name + ": expected a text, found " + found);
      return value.cast<std::string>();
    };
    bool known = true;
    if (name == "kind") {
      const auto kind = datasets::parse_workload_kind(text());
      if (!kind)
        throw std::invalid_argument(
            "attribute kind: expected dnn-training, dnn-inference or non-dnn, found " + found);
      all.kind = *kind;
    } else if (name == "time_of") {
      const auto time_of = datasets::parse_time_of(text());
      if (!time_of)
        throw std::invalid_argument("attribute time_of: expected minibatch, epoch or run, found " + found);
      all.time_of = *time_of;
    } else {
      known = false;
      for (const auto& [text_name, member] : datasets::kTextAttributes)
        if (name == text_name) known = true, all.*member = text();
      for (const auto& [number_name, member] : datasets::kNumberAttributes) {
        if (name != number_name) continue;
        known = true;
        try {
          all.*member = value.cast<double>();
        } catch (const py::cast_error&) {
          throw std::invalid_argument("attribute " + name + ": expected a number, found " + found);
        }
      }
    }
    if (!known)
      throw std::invalid_argument("unknown attribute '" + name +
                                  "', known are: kind, time_of, source, licence, model, dataset, batch_size, "
                                  "minibatches_per_epoch, layers, parameters, flops");
  }
  return all;
}

std::vector<datasets::Profile> copies(const Profiles& profiles) {
  std::vector<datasets::Profile> all;
  for (const auto& profile : profiles) all.push_back(*profile);
  return all;
}

}  // namespace fewwatt::python
