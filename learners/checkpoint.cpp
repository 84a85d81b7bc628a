#include "learners/checkpoint.hpp"

#include <sstream>
#include <stdexcept>

#include "hw/numbers.hpp"

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

template <class T>
[[noreturn]] void out_of_bounds(const Checkpoint& checkpoint, const std::string& name, const char* what,
                                T least, T most, double found) {
  std::ostringstream text;
  text << "checkpoint of " << checkpoint.learner << ": " << name << " must be " << what << " in [" << least
       << ", " << most << "], found " << found;
  throw std::invalid_argument(text.str());
}

int checked_int(const Checkpoint& checkpoint, const std::string& name, int least, int most, double value) {
  const auto found = hw::as_int(value, least, most);
  if (!found) out_of_bounds(checkpoint, name, "a whole number", least, most, value);
  return *found;
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

double Checkpoint::real(const std::string& name, double least, double most) const {
  const double value = number(name);
  if (!(value >= least && value <= most)) out_of_bounds(*this, name, "a number", least, most, value);
  return value;
}

int Checkpoint::integer(const std::string& name, int least, int most) const {
  return checked_int(*this, name, least, most, number(name));
}

std::vector<int> Checkpoint::integers(const std::string& name, int least, int most) const {
  std::vector<int> values;
  for (const double value : number_list(name)) values.push_back(checked_int(*this, name, least, most, value));
  return values;
}

std::vector<int> Checkpoint::layers(const std::string& name) const {
  if (const auto count = number_list(name).size(); count > std::size_t{kMostLayers})
    throw std::invalid_argument("checkpoint of " + learner + ": " + name + " must have at most " +
                                std::to_string(kMostLayers) + " layers, found " + std::to_string(count));
  return integers(name, 1, kMostWidth);
}

const std::string& Checkpoint::text(const std::string& name) const {
  return entry(*this, texts, "text", name);
}

}  // namespace fewwatt::learners
