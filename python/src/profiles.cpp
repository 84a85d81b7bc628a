// Profiles: what a workload cost, mode by mode. Their arrays show the memory of the profile itself.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>

#include "datasets/profile_io.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

using datasets::Profile;
using hw::Measurement;
using Kept = std::shared_ptr<Profile>;

// A column of measurements, [n].
template <class T>
py::array column(const py::object& self, T Measurement::*member) {
  const auto& measured = self.cast<const Profile&>().measurements;
  return view(measured.empty() ? nullptr : &(measured.front().*member), measured.size(), sizeof(Measurement),
              self);
}

// One of the optional columns, [n]; None where there is none.
py::object optional_column(const py::object& self, std::vector<double> Profile::*member) {
  const auto& values = self.cast<const Profile&>().*member;
  if (values.empty()) return py::none();
  return view(values, self);
}

// The values of an array [n] in the order of `rows`; empty for None. What is wrong is named by its row as given: a profile has another
// order.
std::vector<double> values_of(const py::object& given, const std::vector<std::size_t>& rows,
                              const std::string& name, bool zero_allowed = false) {
  if (given.is_none()) return {};
  const auto array = real_numbers(given, name);
  if (array.ndim() != 1 || static_cast<std::size_t>(array.shape(0)) != rows.size())
    throw std::invalid_argument(name + ": expected an array [" + std::to_string(rows.size()) +
                                "], a value for each mode");
  std::vector<double> values;
  values.reserve(rows.size());
  for (const auto row : rows) {
    const double value = array.data()[row];
    if (std::isinf(value) || value < 0 || (value == 0 && !zero_allowed))
      throw std::invalid_argument(name + ": row " + std::to_string(row) + ": expected " +
                                  (zero_allowed ? "at least 0" : "a number above 0") + ", found " +
                                  std::to_string(value));
    values.push_back(value);
  }
  return values;
}

int whole(double value, const std::string& name) {
  if (!(value >= 1 && value <= std::numeric_limits<int>::max()) || value != static_cast<int>(value))
    throw std::invalid_argument(name + ": expected whole numbers from 1, found " + std::to_string(value));
  return static_cast<int>(value);
}

Kept made_profile(const std::string& device, const std::string& workload,
                  const std::shared_ptr<hw::PowerModeSpace>& space, const py::object& modes,
                  const py::object& time_ms, const py::object& power_w, const py::object& time_std_ms,
                  const py::object& power_std_w, const py::object& repeats, const py::dict& attributes) {
  auto profile = std::make_shared<Profile>();
  profile->device = device;
  profile->workload = workload;
  profile->attributes = attributes_of(attributes);
  profile->space = space;
  const auto given = modes_of(modes, space->knobs());
  std::vector<std::size_t> order(given.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return given[a] < given[b]; });
  const auto times = values_of(time_ms, order, "time_ms"), powers = values_of(power_w, order, "power_w"),
             counts = values_of(repeats, order, "repeats");
  profile->time_std_ms = values_of(time_std_ms, order, "time_std_ms", true);
  profile->power_std_w = values_of(power_std_w, order, "power_std_w", true);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!space->index_of(given[order[i]]))
      throw std::invalid_argument("modes: row " + std::to_string(order[i]) +
                                  ": no mode of the space: " + hw::describe(*space, given[order[i]]));
    profile->modes.push_back(given[order[i]]);
    auto& measured = profile->measurements.emplace_back();
    if (!times.empty()) measured.time_ms = times[i];
    if (!powers.empty()) measured.power_w = powers[i];
    if (!counts.empty()) measured.repeats = whole(counts[i], "repeats");
  }
  try {
    datasets::validate(*profile, "profile");
  } catch (const datasets::DataError& e) {  // no file is at fault
    throw std::invalid_argument(e.what());
  }
  return profile;
}

std::vector<Kept> read(const std::filesystem::path& path) {
  auto store = datasets::read_profiles(path.string());
  std::vector<Kept> all;
  for (auto& profile : store.profiles) all.push_back(std::make_shared<Profile>(std::move(profile)));
  return all;
}

void write(const std::filesystem::path& path, const std::vector<Kept>& profiles) {
  datasets::ProfileStore store;
  std::set<std::pair<std::string, std::string>> names;
  for (const auto& profile : profiles) {
    if (!names.emplace(profile->device, profile->workload).second)
      throw std::invalid_argument("profiles: expected different ones, found " + profile->device + "/" +
                                  profile->workload + " twice");
    store.devices[profile->device];
    store.profiles.push_back(*profile);
  }
  std::sort(store.profiles.begin(), store.profiles.end(), [](const Profile& a, const Profile& b) {
    return std::pair(a.device, a.workload) < std::pair(b.device, b.workload);
  });
  datasets::write_profiles(path.string(), store);
}

}  // namespace

void bind_profiles(py::module_& m) {
  py::class_<Profile, Kept>(
      m, "Profile",
      "Time and power of one workload in the measured modes of one device. Arrays are read-only, ascend by "
      "mode, and show the memory of the profile: nothing is copied.")
      .def_static("from_arrays", &made_profile, py::arg("device"), py::arg("workload"), py::arg("space"),
                  py::arg("modes"), py::arg("time_ms") = py::none(), py::arg("power_w") = py::none(),
                  py::arg("time_std_ms") = py::none(), py::arg("power_std_w") = py::none(),
                  py::arg("repeats") = py::none(), py::arg("attributes") = py::dict(),
                  "A profile of modes [n,k], in any order, and arrays [n] in ms and W, NaN = not measured. "
                  "ValueError names "
                  "what is wrong and the row.")
      .def_readonly("device", &Profile::device, "Name of the device.")
      .def_readonly("workload", &Profile::workload, "Name of the workload.")
      .def_property_readonly(
          "attributes", [](const Profile& p) { return dict_of(p.attributes); },
          "What is known of the workload, by name.")
      .def_property_readonly(
          "space", [](const Profile& p) { return shared(p.space); }, "The modes of the device.")
      .def("__len__", [](const Profile& p) { return p.modes.size(); })
      .def_property_readonly(
          "modes",
          [](const py::object& self) {
            const auto& p = self.cast<const Profile&>();
            return view(p.modes, p.space->knobs().size(), self);
          },
          "The measured modes, int32 [n,k].")
      .def_property_readonly(
          "time_ms", [](const py::object& self) { return column(self, &Measurement::time_ms); },
          "Measured times in ms, [n]; NaN where there are none.")
      .def_property_readonly(
          "power_w", [](const py::object& self) { return column(self, &Measurement::power_w); },
          "Measured powers in W, [n]; NaN = not measured.")
      .def_property_readonly(
          "repeats", [](const py::object& self) { return column(self, &Measurement::repeats); },
          "Of how many measurements each value is the mean, int32 [n].")
      .def_property_readonly(
          "throttled", [](const py::object& self) { return column(self, &Measurement::throttled); },
          "Whether the device slowed itself down, bool [n].")
      .def_property_readonly(
          "time_std_ms", [](const py::object& self) { return optional_column(self, &Profile::time_std_ms); },
          "Standard deviation of repeated times in ms, [n], or None.")
      .def_property_readonly(
          "power_std_w", [](const py::object& self) { return optional_column(self, &Profile::power_std_w); },
          "Standard deviation of repeated powers in W, [n], or None.")
      .def_property_readonly(
          "time_true_ms",
          [](const py::object& self) { return optional_column(self, &Profile::time_true_ms); },
          "Times without noise in ms, [n], of a simulated device, else None.")
      .def_property_readonly(
          "power_true_w",
          [](const py::object& self) { return optional_column(self, &Profile::power_true_w); },
          "Powers without noise in W, [n], of a simulated device, else None.")
      .def("__repr__", [](const Profile& p) {
        return "<Profile " + p.device + "/" + p.workload + " of " + std::to_string(p.modes.size()) +
               " modes>";
      });
  m.def("read_profiles", &read, py::arg("path"), py::call_guard<py::gil_scoped_release>(),
        "The profiles of a file that fewwatt profile, import or simulate wrote. DataError, an OSError, names "
        "file and object.");
  m.def("write_profiles", &write, py::arg("path"), py::arg("profiles"),
        py::call_guard<py::gil_scoped_release>(),
        "Writes profiles of different names to one file. DataError where it cannot be written, or is no file "
        "of profiles.");
}

}  // namespace fewwatt::python
