#include "learners/checkpoint.hpp"

#include <stdexcept>

namespace fewwatt::learners {
namespace {

template <class T>
const T& entry(const Checkpoint& checkpoint, const std::map<std::string, T>& entries, const char* kind,
               const std::string& name) {
  const auto found = entries.find(name);
  if (found == entries.end()) {
    throw std::invalid_argument("checkpoint of " + checkpoint.learner + ": no " + kind + " " + name);
  }
  return found->second;
}

}  // namespace

const tasks::Matrix& Checkpoint::tensor(const std::string& name) const {
  return entry(*this, tensors, "tensor", name);
}

tasks::Vector Checkpoint::vector(const std::string& name) const {
  const auto& values = tensor(name);
  if (values.rows() != 1) {
    throw std::invalid_argument("checkpoint of " + learner + ": " + name + " must have one row, found " +
                                std::to_string(values.rows()));
  }
  return values.row(0).transpose();
}

const std::vector<double>& Checkpoint::number_list(const std::string& name) const {
  return entry(*this, numbers, "number", name);
}

double Checkpoint::number(const std::string& name) const {
  const auto& values = number_list(name);
  if (values.size() != 1) {
    throw std::invalid_argument("checkpoint of " + learner + ": " + name + " must be one number, found " +
                                std::to_string(values.size()));
  }
  return values.front();
}

const std::string& Checkpoint::text(const std::string& name) const {
  return entry(*this, texts, "text", name);
}

}  // namespace fewwatt::learners
