// fewwatt._fewwatt: what runs on a board, without LibTorch. The package's Python files are what people call.

#include "hw/version.hpp"
#include "python/src/arrays.hpp"

PYBIND11_MODULE(_fewwatt, m) {
  using namespace fewwatt;
  namespace py = pybind11;
  m.doc() = "fewwatt in C++: see help(fewwatt)";
  m.attr("__version__") = std::string(hw::version());
  // pybind11 itself makes a ValueError of std::invalid_argument and an IndexError of std::out_of_range.
  py::register_exception<datasets::DataError>(m, "DataError", PyExc_OSError);
  py::register_exception<hw::DeviceError>(m, "DeviceError", PyExc_RuntimeError);
  python::bind_spaces(m);
  python::bind_profiles(m);
  python::bind_simulation(m);
  python::bind_tasks(m);
  python::bind_learners(m);
  python::bind_decisions(m);
  python::bind_environment(m);
}
