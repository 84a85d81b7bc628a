// Suites: tables in which learners are compared, those written in Python among them.

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "benchmarks/suite.hpp"
#include "benchmarks/table_suite.hpp"
#include "hw/text.hpp"
#include "python/src/python_learner.hpp"

namespace fewwatt::python {
namespace {

using benchmarks::Outputs;
using Keys = std::vector<std::pair<std::string, std::string>>;

void set(benchmarks::Suite& suite, const Keys& keys) {
  const auto known = suite.keys();
  for (const auto& [name, text] : keys) {
    const auto key = std::find_if(known.begin(), known.end(),
                                  [&wanted = name](const auto& one) { return one.name == wanted; });
    if (key == known.end())
      throw std::invalid_argument(name + ": this kind of suite has no such key; it has " +
                                  hw::join(known, ", ", [](const auto& one) { return one.name; }));
    try {
      key->set(text);
    } catch (const std::invalid_argument& e) {
      throw std::invalid_argument(name + ": " + e.what());
    }
  }
  suite.check();
}

// The suite's learners, and the adapters' behind them.
std::string all_learners(const std::string& path, const std::vector<py::object>& adapters,
                         const meta::Registry& registry) {
  auto names = benchmarks::read_table_suite(path, registry).learners;
  for (const auto& adapter : adapters) {
    const auto name = adapter.attr("name").cast<std::string>();
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return hw::join(names);
}

// keys: of the suite, to be set anew. Without the key learners, the adapters are added to the suite's own.
Outputs run(const std::string& path, const std::vector<py::object>& adapters, Keys keys,
            const std::string& data_root, std::uint64_t seed, std::size_t threads, const std::string& command,
            const py::object& log) {
  auto registry = meta::builtin();
  for (const auto& adapter : adapters) add_python_learner(registry, adapter);
  const auto suite = benchmarks::read_suite(path, registry);
  if (!adapters.empty() &&
      std::none_of(keys.begin(), keys.end(), [](const auto& key) { return key.first == "learners"; }))
    keys.emplace_back("learners", all_learners(path, adapters, registry));
  set(*suite, keys);
  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = command;
  benchmarks::Progress progress;
  // Ctrl-C ends the run after the parts that are being computed: what is thrown here ends the part that calls.
  progress.jobs = [](std::size_t, std::size_t) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  if (!log.is_none())
    progress.log = progress.warn = [&log](const std::string& line) {
      const py::gil_scoped_acquire gil;
      log(line);
    };
  const py::gil_scoped_release release;
  return suite->run({.seed = seed, .threads = threads, .data_root = data_root}, std::move(provenance),
                    progress);
}

}  // namespace

void bind_suites(py::module_& m) {
  py::class_<Outputs>(m, "Outputs")
      .def_readonly("rows", &Outputs::rows)
      .def_readonly("csv", &Outputs::csv)
      .def_readonly("markdown", &Outputs::markdown)
      .def_readonly("html", &Outputs::html)
      .def_property_readonly("failures", [](const Outputs& outputs) {
        std::vector<std::string> all;
        for (const auto& failure : outputs.failures) all.push_back(benchmarks::to_text(failure));
        return all;
      });
  m.def("run_suite", &run, py::arg("path"), py::arg("adapters"), py::arg("keys"), py::arg("data_root"),
        py::arg("seed"), py::arg("threads"), py::arg("command"), py::arg("log"));
}

}  // namespace fewwatt::python
