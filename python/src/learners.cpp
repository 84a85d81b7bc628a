// Learners, what they predict, checkpoints and models.

#include <algorithm>
#include <span>
#include <stdexcept>

#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "learners/registry.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {
namespace {

using learners::Checkpoint;
using learners::Learner;
using learners::LogGaussian;
using learners::Model;
using learners::Predictor;
using learners::Samples;

constexpr std::size_t kChunk = 32'768;  // modes that are predicted at once, as fewwatt adapt does

// What a learner has learned of a workload, and of which space it was.
struct Adapted {
  std::shared_ptr<const Predictor> predictor;
  std::shared_ptr<const hw::PowerModeSpace> space;
};

LogGaussian predict(const Predictor& predictor, const std::vector<hw::PowerMode>& modes) {
  if (modes.size() <= kChunk) return predictor.predict(modes);
  LogGaussian all;
  const auto put = [&](const tasks::Matrix& some, std::size_t from, tasks::Matrix& into) {
    if (some.size() == 0) return;
    if (into.size() == 0) into.resize(static_cast<Eigen::Index>(modes.size()), some.cols());
    into.middleRows(static_cast<Eigen::Index>(from), some.rows()) = some;
  };
  for (std::size_t from = 0; from < modes.size(); from += kChunk) {
    const auto some =
        predictor.predict(std::span(modes).subspan(from, std::min(kChunk, modes.size() - from)));
    put(some.log_mean, from, all.log_mean);
    put(some.log_variance, from, all.log_variance);
    put(some.latent_log_variance, from, all.latent_log_variance);
  }
  return all;
}

// Of modes [n,k], or of all modes of the space.
std::shared_ptr<LogGaussian> predict(const Adapted& adapted, const py::object& modes) {
  std::vector<hw::PowerMode> given;
  if (!modes.is_none()) given = modes_of(modes, adapted.space->knobs());
  const bool all = modes.is_none();
  const py::gil_scoped_release release;
  if (all) given = adapted.space->modes();
  return std::make_shared<LogGaussian>(predict(*adapted.predictor, given));
}

py::object matrix_or_none(const py::object& self, tasks::Matrix LogGaussian::*member) {
  const auto& matrix = self.cast<const LogGaussian&>().*member;
  if (matrix.size() == 0) return py::none();
  return view(matrix, self);
}

void require_uncertain(const LogGaussian& prediction) {
  if (!prediction.uncertain())
    throw std::invalid_argument("the learner does not say how sure it is: its predictions are medians alone");
}

// Standard deviation of a new measurement, in the target's unit: mean sqrt(exp(v) - 1).
tasks::Matrix stddev(const LogGaussian& p) {
  require_uncertain(p);
  return p.mean().array() * (p.log_variance.array().exp() - 1).sqrt();
}

tasks::Target target_of(const std::string& name) {
  for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
    if (name == tasks::kTargetNames[target]) return target;
  throw std::invalid_argument("target: expected time or power, found '" + name + "'");
}

std::shared_ptr<Learner> shared_learner(std::unique_ptr<const Learner> learner) {
  return shared(std::shared_ptr<const Learner>(std::move(learner)));
}

std::shared_ptr<Model> model_of(const std::string& device, const std::string& workload,
                                const std::string& learner, const learners::Settings& settings,
                                const Adapted& adapted, const Samples& support, const LogGaussian& prediction,
                                const py::dict& attributes, const Checkpoint* checkpoint) {
  auto model = std::make_shared<Model>();
  model->device = device;
  model->workload = workload;
  model->learner = learner;
  model->settings = settings;
  model->attributes = attributes_of(attributes);
  model->space = adapted.space;
  model->prediction = prediction;
  model->support = support;
  model->doubted = adapted.predictor->doubted();
  model->fitted = adapted.predictor->fitted();
  if (checkpoint != nullptr) model->origin = checkpoint->origin;
  if (const auto error = model->error(); !error.empty()) throw std::invalid_argument(error);
  return model;
}

py::list doubted_of(const std::vector<learners::Doubted>& doubted) {
  py::list all;
  for (const auto& one : doubted)
    all.append(py::make_tuple(array_of(one.mode), std::string(tasks::kTargetNames[one.target])));
  return all;
}

void bind_predictions(py::module_& m) {
  py::class_<LogGaussian, std::shared_ptr<LogGaussian>>(
      m, "Prediction",
      "What is predicted of n modes: the log of a new measurement of each target is normal. Columns: time in "
      "ms, power in W; "
      "a column of NaN is not predicted. Arrays of logs are read-only and show the prediction's own memory.")
      .def("__len__", [](const LogGaussian& p) { return p.rows(); })
      .def_property_readonly("uncertain", &LogGaussian::uncertain, "Whether variances are known.")
      .def_property_readonly(
          "log_mean",
          [](const py::object& self) { return view(self.cast<const LogGaussian&>().log_mean, self); },
          "Means of the logs, float64 [n,2].")
      .def_property_readonly(
          "log_variance",
          [](const py::object& self) { return matrix_or_none(self, &LogGaussian::log_variance); },
          "Variances of the logs of a new measurement, float64 [n,2], or None.")
      .def_property_readonly(
          "latent_log_variance",
          [](const py::object& self) { return matrix_or_none(self, &LogGaussian::latent_log_variance); },
          "The same without the measurement's own noise, float64 [n,2], or None.")
      .def(
          "median", [](const LogGaussian& p) { return owned(p.median()); },
          "Medians in ms and W, float64 [n,2].")
      .def(
          "mean",
          [](const LogGaussian& p) {
            require_uncertain(p);
            return owned(p.mean());
          },
          "Means in ms and W, float64 [n,2]. ValueError unless uncertain.")
      .def(
          "stddev", [](const LogGaussian& p) { return owned(stddev(p)); },
          "Standard deviations of a new measurement in ms and W, float64 [n,2]. ValueError unless uncertain.")
      .def(
          "quantile",
          [](const LogGaussian& p, double probability) {
            require_uncertain(p);
            return owned(p.quantile(probability));
          },
          py::arg("probability"),
          "The values in ms and W that a new measurement stays below with this probability, in (0,1), "
          "float64 [n,2].");

  py::class_<Adapted, std::shared_ptr<Adapted>>(m, "Predictor", "What a learner has learned of one workload.")
      .def(
          "predict", [](const Adapted& a, const py::object& modes) { return predict(a, modes); },
          py::arg("modes") = py::none(), "A Prediction of modes [n,k], or of all modes of the space.")
      .def(
          "covariance",
          [](const Adapted& a, const py::object& modes, const std::string& target) -> py::object {
            const auto given = modes_of(modes, a.space->knobs());
            const auto wanted = target_of(target);
            learners::LogCovariance covariance;
            {
              const py::gil_scoped_release release;
              covariance = a.predictor->covariance(wanted, given);
            }
            if (covariance.latent.size() == 0) return py::none();
            return py::make_tuple(owned(std::move(covariance.latent)), covariance.noise_variance);
          },
          py::arg("modes"), py::arg("target"),
          "(covariance [n,n] of the logs without noise, variance of the noise) of 'time' or 'power', or None "
          "where the "
          "learner does not know it.")
      .def_property_readonly(
          "doubted", [](const Adapted& a) { return doubted_of(a.predictor->doubted()); },
          "Values that were left out, as (mode [k], 'time' or 'power').")
      .def_property_readonly(
          "behaves_like",
          [](const Adapted& a) {
            py::dict all;
            for (const auto& one : a.predictor->behaves_like()) all[py::str(one.workload)] = one.weight;
            return all;
          },
          "Weights of the training workloads that the new one is like; empty where they are not compared.");
}

void bind_models(py::module_& m) {
  py::class_<Model, std::shared_ptr<Model>>(
      m, "Model", "A workload's predicted table of all modes, and what it rests on.")
      .def(py::init(&model_of), py::arg("device"), py::arg("workload"), py::arg("learner"),
           py::arg("settings"), py::arg("predictor"), py::arg("support"), py::arg("prediction"),
           py::arg("attributes"), py::arg("checkpoint") = static_cast<Checkpoint*>(nullptr))
      .def_readonly("device", &Model::device, "Name of the device.")
      .def_readonly("workload", &Model::workload, "Name of the workload.")
      .def_readonly("learner", &Model::learner, "Name of the learner that adapted.")
      .def_property_readonly(
          "attributes", [](const Model& model) { return dict_of(model.attributes); },
          "What is known of the workload.")
      .def_property_readonly(
          "space", [](const Model& model) { return shared(model.space); }, "All modes.")
      .def_property_readonly(
          "support", [](const Model& model) { return std::make_shared<Samples>(model.support); },
          "What was measured.")
      .def_property_readonly(
          "prediction",
          [](const std::shared_ptr<Model>& model) {
            return std::shared_ptr<LogGaussian>(model, &model->prediction);
          },
          "Of all modes of the space, in order; what was measured does not enter.")
      .def(
          "with_measurements",
          [](const Model& model) { return std::make_shared<LogGaussian>(model.with_measurements()); },
          py::call_guard<py::gil_scoped_release>(),
          "The Prediction that decisions are made with: measured values in place of predicted ones.")
      .def_property_readonly(
          "doubted", [](const Model& model) { return doubted_of(model.doubted); },
          "Measured values that were left out, as (mode [k], 'time' or 'power').")
      .def(
          "write",
          [](const Model& model, const std::filesystem::path& path) {
            learners::write_model(path.string(), model);
          },
          py::arg("path"), py::call_guard<py::gil_scoped_release>(),
          "Writes the file that fewwatt predict and optimize read. DataError where that fails.")
      .def("__copy__", [](const std::shared_ptr<Model>& model) { return model; })
      .def("__deepcopy__", [](const std::shared_ptr<Model>& model, const py::dict&) { return model; });
  m.def(
      "read_model",
      [](const std::filesystem::path& path) {
        return std::make_shared<Model>(learners::read_model(path.string()));
      },
      py::arg("path"), py::call_guard<py::gil_scoped_release>(),
      "A model that fewwatt adapt or Model.write() wrote. DataError names file and object.");
}

}  // namespace

void bind_learners(py::module_& m) {
  bind_predictions(m);
  py::class_<Checkpoint, std::shared_ptr<Checkpoint>>(
      m, "Checkpoint", "All that a learner has learned of other workloads: what meta-training gives.")
      .def_readonly("learner", &Checkpoint::learner, "The learner that adapts it.")
      .def_property_readonly(
          "tensors",
          [](const py::object& self) {
            py::dict all;
            for (const auto& [name, matrix] : self.cast<const Checkpoint&>().tensors)
              all[py::str(name)] = view(matrix, self);
            return all;
          },
          "Arrays [n,m] by name, read-only, without copies.")
      .def_readonly("numbers", &Checkpoint::numbers, "Lists of numbers by name.")
      .def_readonly("texts", &Checkpoint::texts, "Texts by name.")
      .def(
          "write",
          [](const Checkpoint& checkpoint, const std::filesystem::path& path) {
            learners::write_checkpoint(path.string(), checkpoint);
          },
          py::arg("path"), py::call_guard<py::gil_scoped_release>(), "Writes it. DataError where that fails.")
      .def("__copy__", [](const std::shared_ptr<Checkpoint>& c) { return c; })
      .def("__deepcopy__", [](const std::shared_ptr<Checkpoint>& c, const py::dict&) { return c; })
      .def("__repr__", [](const Checkpoint& c) { return "<Checkpoint for " + c.learner + ">"; });
  m.def(
      "read_checkpoint",
      [](const std::filesystem::path& path) {
        return std::make_shared<Checkpoint>(learners::read_checkpoint(path.string()));
      },
      py::arg("path"), py::call_guard<py::gil_scoped_release>(),
      "An initializer that fewwatt meta-train wrote. DataError names file and object.");

  py::class_<Learner, std::shared_ptr<Learner>>(
      m, "Learner",
      "A way of learning a workload from few measured modes. It does not change, and "
      "serves many threads.")
      .def(
          "adapt",
          [](const Learner& learner, const Samples& support) {
            return std::make_shared<Adapted>(Adapted{learner.adapt(support), support.space});
          },
          py::arg("support"), py::call_guard<py::gil_scoped_release>(),
          "A Predictor. ValueError where the support is bad or too small.")
      .def("__copy__", [](const std::shared_ptr<Learner>& l) { return l; })
      .def("__deepcopy__", [](const std::shared_ptr<Learner>& l, const py::dict&) { return l; });
  m.def(
      "make_learner",
      [](const std::string& name, const py::dict& settings) {
        return shared_learner(learners::make_learner(name, settings_of(settings)));
      },
      py::arg("name"), py::arg("settings") = py::dict(),
      "A learner that needs no training. ValueError names those there are, and the options.");
  m.def(
      "make_learner",
      [](const Checkpoint& checkpoint, const py::dict& settings) {
        return shared_learner(learners::make_learner(checkpoint, settings_of(settings)));
      },
      py::arg("checkpoint"), py::arg("settings") = py::dict(), "The learner of a checkpoint.");
  m.def(
      "learners",
      [] {
        py::dict all;
        for (const auto& entry : learners::builtin().learners)
          all[py::str(entry.name)] =
              py::dict(py::arg("about") = entry.about, py::arg("needs_checkpoint") = entry.needs_checkpoint,
                       py::arg("gives_uncertainty") = entry.gives_uncertainty);
        return all;
      },
      "What the learners are, by name.");
  m.def(
      "settings_text", [](const py::dict& settings) { return settings_of(settings); }, py::arg("settings"),
      "Options of a learner as texts by name.");
  bind_models(m);
}

}  // namespace fewwatt::python
