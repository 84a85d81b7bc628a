#include "learners/checkpoint_io.hpp"

#include <bit>
#include <functional>
#include <stdexcept>

#include "datasets/hdf5_file.hpp"
#include "hw/text.hpp"

namespace fewwatt::learners {
namespace {

using datasets::Hdf5Reader;
using datasets::Hdf5Writer;

constexpr const char* kFormat = "fewwatt-checkpoint";

void visit_datasets(const Hdf5Reader& file, const std::string& group, const std::string& prefix,
                    const std::function<void(const std::string& name)>& visit) {
  for (const auto& child : file.children(group)) {
    const std::string object = group + "/" + child;
    if (file.is_group(object)) {
      visit_datasets(file, object, prefix + child + "/", visit);
    } else {
      visit(prefix + child);
    }
  }
}

void check_name(const Checkpoint& checkpoint, const std::string& name) {
  for (const auto part : hw::split(name, '/')) {
    if (part.empty() || part == ".") {
      throw std::invalid_argument("checkpoint of " + checkpoint.learner + ": the entry name '" + name +
                                  "' must be words joined by single '/'");
    }
  }
}

tasks::Matrix to_matrix(const datasets::Hdf5Table<double>& table) {
  return Eigen::Map<const tasks::Matrix>(table.values.data(), static_cast<Eigen::Index>(table.rows),
                                         static_cast<Eigen::Index>(table.cols));
}

}  // namespace

void for_each_dataset(const Hdf5Reader& file, const std::string& group,
                      const std::function<void(const std::string& name)>& visit) {
  visit_datasets(file, group, "", visit);
}

Origin read_origin(const Hdf5Reader& file) {
  return {.seed = std::bit_cast<std::uint64_t>(file.integer("/origin", "seed")),
          .git_revision = file.text("/origin", "git_revision"),
          .data_hash = file.text("/origin", "data_hash")};
}

void write_origin(Hdf5Writer& file, const Origin& origin) {
  file.group("/origin");
  file.integer("/origin", "seed", std::bit_cast<std::int64_t>(origin.seed));
  file.text("/origin", "git_revision", origin.git_revision);
  file.text("/origin", "data_hash", origin.data_hash);
}

Checkpoint read_checkpoint(const std::string& path, const datasets::ReadOptions& options) {
  const Hdf5Reader file(path, options);
  file.require_format(kFormat, kCheckpointVersion);
  Checkpoint checkpoint;
  checkpoint.learner = file.text("/", "learner");
  for_each_dataset(file, "/tensors", [&](const std::string& name) {
    checkpoint.tensors[name] = to_matrix(file.double_table("/tensors/" + name));
  });
  for_each_dataset(file, "/numbers", [&](const std::string& name) {
    checkpoint.numbers[name] = file.doubles("/numbers/" + name);
  });
  for (const auto& name : file.attributes("/texts")) checkpoint.texts[name] = file.text("/texts", name);
  checkpoint.origin = read_origin(file);
  return checkpoint;
}

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  Hdf5Writer file(path, kFormat, kCheckpointVersion);
  file.text("/", "learner", checkpoint.learner);
  file.group("/tensors");
  for (const auto& [name, tensor] : checkpoint.tensors) {
    check_name(checkpoint, name);
    file.write_table("/tensors/" + name, static_cast<std::size_t>(tensor.rows()),
                     static_cast<std::size_t>(tensor.cols()),
                     std::span<const double>(tensor.data(), static_cast<std::size_t>(tensor.size())));
  }
  file.group("/numbers");
  for (const auto& [name, values] : checkpoint.numbers) {
    check_name(checkpoint, name);
    file.write("/numbers/" + name, std::span<const double>(values));
  }
  file.group("/texts");
  for (const auto& [name, text] : checkpoint.texts) file.text("/texts", name, text);
  write_origin(file, checkpoint.origin);
  file.commit();
}

void check_checkpoint_output(const std::string& path) {
  datasets::check_output(path, datasets::hdf5_file_of(kFormat));
}

}  // namespace fewwatt::learners
