// fewwatt._meta: meta-training and suites, which need LibTorch; it is a module of its own, so that boards need none. fewwatt._fewwatt,
// imported first, has all the classes: pybind11 finds the class of a C++ type by the type's name in all modules that are compiled with the
// same pybind11 and compiler, so both are always built together.

#include "meta/meta_learner.hpp"
#include "python/src/arrays.hpp"

PYBIND11_MODULE(_meta, m) {
  using namespace fewwatt;
  namespace py = pybind11;
  m.doc() = "Meta-training and suites of fewwatt in C++: see help(fewwatt)";
  py::module_::import("fewwatt._fewwatt");
  py::register_exception<meta::Diverged>(m, "Diverged", PyExc_RuntimeError);
  python::bind_training(m);
  python::bind_suites(m);
}
