#include <cmath>
#include <span>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "datasets/hdf5_file.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"

namespace fewwatt::learners {
namespace {

using datasets::DataError;
using datasets::Hdf5Reader;
using datasets::Hdf5Writer;
using datasets::WorkloadAttributes;

constexpr const char* kFormat = "fewwatt-model";

[[noreturn]] void fail(const Hdf5Reader& file, const std::string& object, const std::string& what) {
  throw DataError(file.path() + ": " + object + ": " + what);
}

WorkloadAttributes read_attributes(const Hdf5Reader& file) {
  const std::string group = "/attributes";
  WorkloadAttributes attributes;
  const std::string kind = file.text(group, "kind"), time_of = file.text(group, "time_of");
  const auto known_kind = datasets::parse_workload_kind(kind);
  const auto known_time = datasets::parse_time_of(time_of);
  if (!known_kind) fail(file, group, "unknown kind '" + kind + "'");
  if (!known_time) fail(file, group, "unknown time_of '" + time_of + "'");
  attributes.kind = *known_kind;
  attributes.time_of = *known_time;
  for (const auto& [name, member] : datasets::kTextAttributes) {
    if (file.has_attribute(group, name)) attributes.*member = file.text(group, name);
  }
  for (const auto& [name, member] : datasets::kNumberAttributes) {
    if (file.has_attribute(group, name)) attributes.*member = file.number(group, name);
  }
  return attributes;
}

void write_attributes(Hdf5Writer& file, const WorkloadAttributes& attributes) {
  const std::string group = "/attributes";
  file.group(group);
  file.text(group, "kind", std::string(to_string(attributes.kind)));
  file.text(group, "time_of", std::string(to_string(attributes.time_of)));
  for (const auto& [name, member] : datasets::kTextAttributes) {
    if (!(attributes.*member).empty()) file.text(group, name, attributes.*member);
  }
  for (const auto& [name, member] : datasets::kNumberAttributes) {
    if (attributes.*member) file.number(group, name, *(attributes.*member));
  }
}

std::vector<hw::PowerMode> read_modes(const Hdf5Reader& file, const std::string& dataset, std::size_t knobs) {
  const auto table = file.int_table(dataset);
  if (table.cols != knobs) {
    fail(file, dataset,
         "expected " + std::to_string(knobs) + " columns, one per knob, found " + std::to_string(table.cols));
  }
  std::vector<hw::PowerMode> modes;
  for (std::size_t i = 0; i < table.rows; ++i) {
    modes.emplace_back(std::span(table.values).subspan(i * knobs, knobs));
  }
  return modes;
}

void write_modes(Hdf5Writer& file, const std::string& dataset, std::size_t knobs,
                 std::span<const hw::PowerMode> modes) {
  std::vector<int> values;
  for (const auto& mode : modes) values.insert(values.end(), mode.begin(), mode.end());
  file.write_table(dataset, modes.size(), knobs, std::span<const int>(values));
}

// The space whose modes are the dataset /modes.
hw::PowerModeSpace read_space(const Hdf5Reader& file) {
  std::vector<hw::Knob> knobs;
  std::istringstream roles(file.text("/knobs", "roles"));
  for (std::string name; roles >> name;) {
    const auto role = hw::parse_knob_role(name);
    if (!role) fail(file, "/knobs", "unknown knob role '" + name + "'");
    knobs.push_back({*role, file.ints("/knobs/" + name)});
  }
  const bool is_grid = file.integer("/knobs", "grid") != 0;
  if (knobs.size() > hw::PowerMode::kMaxKnobs) fail(file, "/knobs", "too many knobs");
  auto modes = read_modes(file, "/modes", knobs.size());
  try {
    auto space = is_grid ? hw::PowerModeSpace::grid(std::move(knobs))
                         : hw::PowerModeSpace::list(std::move(knobs), modes);
    if (modes != space.modes()) fail(file, "/modes", "expected all modes of the knobs in ascending order");
    return space;
  } catch (const std::invalid_argument& e) {
    fail(file, "/knobs", e.what());
  }
}

void write_space(Hdf5Writer& file, const hw::PowerModeSpace& space) {
  std::string roles;
  for (const auto& knob : space.knobs()) {
    const std::string role(to_string(knob.role));
    file.write("/knobs/" + role, std::span<const int>(knob.levels));
    roles += (roles.empty() ? "" : " ") + role;
  }
  file.text("/knobs", "roles", roles);
  file.integer("/knobs", "grid", space.is_grid() ? 1 : 0);
  write_modes(file, "/modes", space.knobs().size(), space.modes());
}

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

}  // namespace

std::optional<double> Model::epoch_s(double time_ms) const {
  if (attributes.time_of == datasets::TimeOf::epoch) return time_ms / 1000;
  if (attributes.time_of == datasets::TimeOf::minibatch && attributes.minibatches_per_epoch) {
    return time_ms * *attributes.minibatches_per_epoch / 1000;
  }
  return std::nullopt;
}

std::string Model::error() const {
  if (space == nullptr || support.space == nullptr || *support.space != *space) {
    return "support: expected the space of the model";
  }
  if (auto error = table_error("mean", prediction.mean, space->size(), false); !error.empty()) return error;
  if (prediction.stddev.size() > 0) {
    if (auto error = table_error("stddev", prediction.stddev, space->size(), true); !error.empty())
      return error;
  }
  if (auto error = table_error("support/targets", support.targets, support.size(), false); !error.empty())
    return error;
  try {
    support.check();
  } catch (const std::invalid_argument& e) {
    return std::string("support: ") + e.what();
  }
  return "";
}

Model read_model(const std::string& path) {
  const Hdf5Reader file(path);
  file.require_format(kFormat, kModelVersion);
  Model model;
  model.device = file.text("/", "device");
  model.workload = file.text("/", "workload");
  model.learner = file.text("/", "learner");
  model.attributes = read_attributes(file);
  model.space = std::make_shared<const hw::PowerModeSpace>(read_space(file));
  model.prediction.mean = read_matrix(file, "/mean");
  if (file.exists("/stddev")) model.prediction.stddev = read_matrix(file, "/stddev");
  model.support = {model.space, read_modes(file, "/support/modes", model.space->knobs().size()),
                   read_matrix(file, "/support/targets")};
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
  write_attributes(file, model.attributes);
  write_space(file, *model.space);
  write_matrix(file, "/mean", model.prediction.mean);
  if (model.prediction.stddev.size() > 0) write_matrix(file, "/stddev", model.prediction.stddev);
  write_modes(file, "/support/modes", model.space->knobs().size(), model.support.modes);
  write_matrix(file, "/support/targets", model.support.targets);
  write_origin(file, model.origin);
  file.commit();
}

}  // namespace fewwatt::learners
