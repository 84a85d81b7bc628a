#include "learners/checkpoint_fields.hpp"

#include <stdexcept>

#include "hw/text.hpp"

namespace fewwatt::learners {

void CheckpointFields::refuse(const std::string& name, const std::string& why) const {
  throw std::invalid_argument("checkpoint of " + from_->learner + ": " + prefix_ + name + " " + why);
}

void CheckpointFields::text(const std::string& name, std::string& value) {
  if (reads())
    value = from_->text(prefix_ + name);
  else
    to_->texts[prefix_ + name] = value;
}

void CheckpointFields::lines(const std::string& name, std::vector<std::string>& values) {
  auto all = hw::join(values, "\n");
  text(name, all);
  if (!reads()) return;
  values.clear();
  if (all.empty()) return;
  for (const auto line : hw::split(all, '\n')) values.emplace_back(line);
}

void CheckpointFields::row(const std::string& name, tasks::Vector& values) {
  if (reads())
    values = from_->vector(prefix_ + name);
  else
    to_->tensors[prefix_ + name] = values.transpose();
}

void CheckpointFields::matrix(const std::string& name, tasks::Matrix& values) {
  if (reads())
    values = from_->tensor(prefix_ + name);
  else
    to_->tensors[prefix_ + name] = values;
}

void CheckpointFields::optional_matrix(const std::string& name, tasks::Matrix& values) {
  if (reads() ? from_->tensors.contains(prefix_ + name) : values.size() > 0) matrix(name, values);
}

void CheckpointFields::real(const std::string& name, double& value, double least, double most) {
  if (reads())
    value = from_->real(prefix_ + name, least, most);
  else
    to_->numbers[prefix_ + name] = {value};
}

void CheckpointFields::integer(const std::string& name, int& value, int least, int most) {
  if (reads())
    value = from_->integer(prefix_ + name, least, most);
  else
    to_->numbers[prefix_ + name] = {static_cast<double>(value)};
}

void CheckpointFields::integers(const std::string& name, std::vector<int>& values, int least, int most) {
  if (reads())
    values = from_->integers(prefix_ + name, least, most);
  else
    to_->numbers[prefix_ + name] = {values.begin(), values.end()};
}

void CheckpointFields::layers(const std::string& name, std::vector<int>& sizes, int input, int output) {
  if (reads()) {
    sizes = {input};
    for (const int size : from_->layers(prefix_ + name)) sizes.push_back(size);
    sizes.push_back(output);
  } else {
    to_->numbers[prefix_ + name] = {sizes.begin() + 1, sizes.end() - 1};
  }
}

void CheckpointFields::modes(const std::string& name, std::vector<hw::PowerMode>& values) {
  if (reads())
    values = modes_of(*from_, prefix_ + name);
  else
    to_->tensors[prefix_ + name] = settings_of(values);
}

void CheckpointFields::scaler(const std::string& mean, const std::string& stddev, Scaler& scaler) {
  if (reads()) {
    scaler = read_scaler(*from_, prefix_ + mean, prefix_ + stddev);
  } else {
    row(mean, scaler.mean);
    row(stddev, scaler.stddev);
  }
}

void CheckpointFields::net(Scaler& inputs, MlpShape& shape, std::optional<int> output) {
  scaler("feature_mean", "feature_stddev", inputs);
  choice("activation", shape.activation, parse_activation);
  const auto hidden = prefix_ + "hidden";
  if (reads()) {
    shape.sizes = {static_cast<int>(inputs.mean.size())};
    if (from_->number_list(hidden) != std::vector<double>{0})
      for (const int size : from_->layers(hidden)) shape.sizes.push_back(size);
    if (output) shape.sizes.push_back(*output);
  } else {
    auto& sizes = to_->numbers[hidden];
    sizes.assign(shape.sizes.begin() + 1, shape.sizes.end() - (output ? 1 : 0));
    if (sizes.empty()) sizes = {0};
  }
}

}  // namespace fewwatt::learners
