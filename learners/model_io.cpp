#include <algorithm>
#include <cmath>
#include <span>
#include <sstream>
#include <stdexcept>

#include "datasets/hdf5_file.hpp"
#include "datasets/schema_io.hpp"
#include "hw/printable.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"

namespace fewwatt::learners {
namespace {

using datasets::DataError;
using datasets::Hdf5Reader;
using datasets::Hdf5Writer;

constexpr const char* kFormat = "fewwatt-model";

Matrix read_matrix(const Hdf5Reader& file, const std::string& dataset) {
  const auto table = file.double_table(dataset);
  return Eigen::Map<const Matrix>(table.values.data(), static_cast<Eigen::Index>(table.rows),
                                  static_cast<Eigen::Index>(table.cols));
}

void write_matrix(Hdf5Writer& file, const std::string& dataset, const Matrix& matrix) {
  file.write_table(dataset, static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()),
                   std::span<const double>(matrix.data(), static_cast<std::size_t>(matrix.size())));
}

// The first fault of a table [rows,2] whose known values must be positive; "" for none.
std::string table_error(const std::string& name, const Matrix& table, std::size_t rows, bool zero_allowed) {
  std::ostringstream error;
  if (table.rows() != static_cast<Eigen::Index>(rows) || table.cols() != tasks::kNumTargets) {
    error << name << ": expected [" << rows << "," << tasks::kNumTargets << "], found [" << table.rows()
          << "," << table.cols() << "]";
    return error.str();
  }
  for (Eigen::Index i = 0; i < table.rows(); ++i) {
    for (const double value : {table(i, 0), table(i, 1)}) {
      if (std::isnan(value) || (std::isfinite(value) && (value > 0 || (zero_allowed && value == 0))))
        continue;
      error << name << ": row " << i << ": expected a positive number, found " << value;
      return error.str();
    }
  }
  return "";
}

// Medians [n,2] of a file. Throws DataError where a known one is not above 0: it has no log.
Matrix read_medians(const Hdf5Reader& file, const std::string& dataset) {
  auto medians = read_matrix(file, dataset);
  if (medians.cols() != tasks::kNumTargets) return medians;  // named by Model::error()
  if (const auto error = table_error(dataset, medians, static_cast<std::size_t>(medians.rows()), false);
      !error.empty())
    throw DataError(file.path() + ": " + error);
  return medians;
}

Prediction read_prediction(const Hdf5Reader& file) {
  const auto variance = [&](const std::string& name) {
    return file.exists(name) ? read_matrix(file, name) : Matrix();
  };
  return {read_medians(file, "/median").array().log(), variance("/log_variance"),
          variance("/latent_log_variance")};
}

// That of version 1.
Prediction read_first_prediction(const Hdf5Reader& file) {
  const Matrix medians = read_medians(file, "/mean");
  const auto log_variance = [&](const std::string& name) -> Matrix {
    if (!file.exists(name)) return {};
    const Matrix stddev = read_matrix(file, name);
    if (stddev.rows() != medians.rows() || stddev.cols() != medians.cols())
      return stddev;  // named by Model::error()
    return (stddev.array() / medians.array()).square().log1p();
  };
  return {medians.array().log(), log_variance("/stddev"), log_variance("/latent_stddev")};
}

}  // namespace

std::optional<double> Model::epoch_s(double time_ms) const {
  if (attributes.time_of == datasets::TimeOf::epoch) return time_ms / 1000;
  if (attributes.time_of == datasets::TimeOf::minibatch && attributes.minibatches_per_epoch) {
    return time_ms * *attributes.minibatches_per_epoch / 1000;
  }
  return std::nullopt;
}

Prediction Model::with_measurements() const {
  std::vector<std::size_t> rows;
  for (const auto& mode : support.modes) rows.push_back(*space->index_of(mode));
  return learners::with_measurements(prediction, support, rows, doubted);
}

std::string Model::error() const {
  if (space == nullptr || support.space == nullptr || *support.space != *space) {
    return "support: expected the space of the model";
  }
  if (prediction.log_mean.array().isInf().any()) return "median: expected numbers above 0, found none";
  const Matrix medians = prediction.median();
  if (auto error = table_error("median", medians, space->size(), false); !error.empty()) return error;
  if (medians.col(tasks::kTimeMs).array().isNaN().any() &&
      medians.col(tasks::kPowerW).array().isNaN().any()) {
    return "median: expected the time or the power of every mode, found neither";
  }
  for (const auto& [name, variance] : {std::pair("log_variance", &prediction.log_variance),
                                       std::pair("latent_log_variance", &prediction.latent_log_variance)}) {
    if (variance->size() == 0) continue;
    if (auto error = table_error(name, *variance, space->size(), true); !error.empty()) return error;
  }
  if (prediction.log_variance.size() != prediction.latent_log_variance.size())
    return "latent_log_variance: expected where there is log_variance, and there alone";
  if (auto error = table_error("support/targets", support.targets, support.size(), false); !error.empty())
    return error;
  try {
    support.check();
  } catch (const std::invalid_argument& e) {
    return std::string("support: ") + e.what();
  }
  for (const auto& [mode, target] : doubted)
    if (std::find(support.modes.begin(), support.modes.end(), mode) == support.modes.end())
      return "support/doubted: expected modes of the support, found " + hw::describe(*space, mode);
  return "";
}

Model read_model(const std::string& path, const datasets::ReadOptions& options) {
  const Hdf5Reader file(path, options);
  const int version = file.require_format(kFormat, kModelVersion);
  Model model;
  model.device = file.text("/", "device");
  model.workload = file.text("/", "workload");
  model.learner = file.text("/", "learner");
  for (const auto& name : {model.device, model.workload, model.learner})
    if (hw::printable(name) != name)
      throw DataError(path +
                      ": expected names of device, workload and learner without control characters, found '" +
                      hw::printable(name) + "'");
  if (file.has_attribute("/", "settings")) {
    std::istringstream text(file.text("/", "settings"));
    try {
      for (std::string one; text >> one;) add_setting(model.settings, one);
    } catch (const std::invalid_argument& e) {
      throw DataError(path + ": settings: " + hw::printable(e.what()));
    }
  }
  model.attributes = datasets::read_attributes(file, "/attributes");
  model.space = std::make_shared<const hw::PowerModeSpace>(
      datasets::read_space(file, "/knobs", "/modes", options.max_modes));
  const std::size_t knobs = model.space->knobs().size();
  const auto modes = datasets::read_modes(file, "/modes", knobs);
  if (modes.size() != model.space->size() || modes != model.space->modes()) {
    throw DataError(path + ": /modes: expected all modes of the knobs in ascending order");
  }
  model.prediction = version == 1 ? read_first_prediction(file) : read_prediction(file);
  model.support = {model.space, datasets::read_modes(file, "/support/modes", knobs),
                   read_matrix(file, "/support/targets"), tasks::characteristics_of(model.attributes)};
  if (file.exists("/support/noise_factors"))
    model.support.noise_factors = read_matrix(file, "/support/noise_factors");
  if (file.exists("/support/doubted")) {
    const auto table = file.int_table("/support/doubted");
    const auto rows = static_cast<int>(model.support.modes.size());
    for (std::size_t i = 0; i < table.rows; ++i) {
      const int row = table.cols == 2 ? table.values[2 * i] : -1;
      const int target = table.cols == 2 ? table.values[2 * i + 1] : -1;
      if (row < 0 || row >= rows || target < 0 || target >= tasks::kNumTargets)
        throw DataError(path + ": /support/doubted: expected rows of the support and columns, [n,2]");
      model.doubted.push_back(
          {model.support.modes[static_cast<std::size_t>(row)], static_cast<tasks::Target>(target)});
    }
  }
  if (file.exists("/fitted"))
    for_each_dataset(file, "/fitted",
                     [&](const std::string& name) { model.fitted[name] = file.doubles("/fitted/" + name); });
  model.origin = read_origin(file);
  if (const auto error = model.error(); !error.empty()) throw DataError(path + ": /" + error);
  return model;
}

void write_model(const std::string& path, const Model& model) {
  if (const auto error = model.error(); !error.empty()) throw std::invalid_argument("Model: " + error);
  Hdf5Writer file(path, kFormat, kModelVersion);
  file.text("/", "device", model.device);
  file.text("/", "workload", model.workload);
  file.text("/", "learner", model.learner);
  if (!model.settings.empty()) file.text("/", "settings", to_text(model.settings));
  const std::size_t knobs = model.space->knobs().size();
  datasets::write_attributes(file, "/attributes", model.attributes);
  datasets::write_space(file, "/knobs", *model.space);
  datasets::write_modes(file, "/modes", knobs, model.space->modes());
  write_matrix(file, "/median", model.prediction.median());
  if (model.prediction.uncertain()) {
    write_matrix(file, "/log_variance", model.prediction.log_variance);
    write_matrix(file, "/latent_log_variance", model.prediction.latent_log_variance);
  }
  datasets::write_modes(file, "/support/modes", knobs, model.support.modes);
  write_matrix(file, "/support/targets", model.support.targets);
  if (model.support.noise_factors.size() > 0)
    write_matrix(file, "/support/noise_factors", model.support.noise_factors);
  if (!model.doubted.empty()) {
    std::vector<int> cells;
    for (const auto& [mode, target] : model.doubted) {
      const auto row = std::find(model.support.modes.begin(), model.support.modes.end(), mode);
      cells.push_back(static_cast<int>(row - model.support.modes.begin()));
      cells.push_back(target);
    }
    file.write_table("/support/doubted", model.doubted.size(), 2, std::span<const int>(cells));
  }
  for (const auto& [name, values] : model.fitted)
    file.write("/fitted/" + name, std::span<const double>(values));
  write_origin(file, model.origin);
  file.commit();
}

void check_model_output(const std::string& path) {
  datasets::check_output(path, datasets::hdf5_file_of(kFormat));
}

}  // namespace fewwatt::learners
