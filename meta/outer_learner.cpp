#include "meta/outer_learner.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace fewwatt::meta {
namespace {

using learners::Checkpoint;

// The parameters of a checkpoint's entry `name`, which must have `size` values.
Vector sized_vector(const Checkpoint& from, const std::string& name, Eigen::Index size) {
  Vector values = from.vector(name);
  if (values.size() != size)
    throw std::invalid_argument(from.learner + ": " + name + " must have " + std::to_string(size) +
                                " values, has " + std::to_string(values.size()));
  return values;
}

// An optimizer's state as entries prefix + first_moment, second_moment, adam_steps.
void write_adam(Checkpoint& state, const std::string& prefix, const learners::Adam<double>& adam) {
  state.tensors[prefix + "first_moment"] = adam.state().first.transpose();
  state.tensors[prefix + "second_moment"] = adam.state().second.transpose();
  state.numbers[prefix + "adam_steps"] = {static_cast<double>(adam.state().steps)};
}
void read_adam(const Checkpoint& state, const std::string& prefix, learners::Adam<double>& adam) {
  const auto size = adam.state().first.size();
  adam.set_state({sized_vector(state, prefix + "first_moment", size),
                  sized_vector(state, prefix + "second_moment", size),
                  state.integer(prefix + "adam_steps", 0, kMostSteps)});
}

void check_kind(const Checkpoint& checkpoint, const std::string& kind) {
  if (checkpoint.learner != kind)
    throw std::invalid_argument("expected a " + kind + ", found a " + checkpoint.learner);
}

}  // namespace

void OuterLearner::start(Rules rules, const std::vector<Part>& parts) {
  rules_ = std::move(rules);
  for (const auto& part : parts) optimizers_.push_back({part, learners::Adam<double>(part.size, part.rate)});
}

void OuterLearner::check_fits(const Episode& episode) const {
  episode.check();
  if (episode.support_x.cols() == rules_.inputs && episode.support_y.cols() == rules_.targets) return;
  throw std::invalid_argument(rules_.name + ": expected episodes of " + std::to_string(rules_.inputs) +
                              " inputs and " + std::to_string(rules_.targets) + " targets, found " +
                              std::to_string(episode.support_x.cols()) + " and " +
                              std::to_string(episode.support_y.cols()) + " in " + episode.name);
}

StepReport OuterLearner::step(std::span<const Episode> batch) {
  std::vector<Episode> known;
  for (const auto& episode : batch) {
    check_fits(episode);
    if (auto rows = tasks::known_rows(episode)) known.push_back(std::move(*rows));
  }
  if (known.empty()) {
    ++step_;
    return {};
  }
  if (rules_.even) known = tasks::even(known);

  const auto diverged = [&](const std::string& episodes, const std::string& what) {
    return Diverged(rules_.name + ": " + what + " in step " + std::to_string(step_ + 1) + ", task " +
                    episodes);
  };
  BatchGradient outer;
  try {
    outer = gradient(known);
  } catch (const Diverged& e) {
    throw diverged(known[0].name + " and others", e.what());
  }
  for (std::size_t i = 0; i < outer.task_losses.size(); ++i)
    if (!std::isfinite(outer.task_losses[i])) throw diverged(known[i].name, "the loss is not finite");
  const double norm = outer.gradient.norm();
  if (!std::isfinite(outer.loss) || !std::isfinite(norm))
    throw diverged(known[0].name + " and others", "the loss or its gradient is not finite");
  if (norm > rules_.clip_norm) outer.gradient *= rules_.clip_norm / norm;

  const bool adam_steps = rules_.optimizer == learners::Optimizer::adam;
  const double share = adam_steps
                           ? cosine_rate(1, step_, rules_.max_steps)
                           : std::max(0.0, 1.0 - static_cast<double>(step_) / std::max(1, rules_.max_steps));
  Vector all = parameters();
  Eigen::Index at = 0;
  for (auto& [part, adam] : optimizers_) {
    if (adam_steps) {
      adam.set_rate(part.rate * share);
      adam.step(all.segment(at, part.size), outer.gradient.segment(at, part.size));
    } else {
      all.segment(at, part.size) -= part.rate * share * outer.gradient.segment(at, part.size);
    }
    at += part.size;
  }
  set_parameters(all);
  ++step_;
  return {outer.loss, known.size()};
}

Checkpoint OuterLearner::snapshot() const {
  Checkpoint snapshot;
  snapshot.learner = rules_.kind;
  snapshot.texts["activation"] = learners::to_string(rules_.shape.activation);
  snapshot.numbers["sizes"] = {rules_.shape.sizes.begin(), rules_.shape.sizes.end()};
  snapshot.tensors["parameters"] = parameters().transpose();
  return snapshot;
}

void OuterLearner::restore(const Checkpoint& from) {
  check_kind(from, rules_.kind);
  set_parameters(sized_vector(from, "parameters", parameters().size()));
}

Checkpoint OuterLearner::state() const {
  Checkpoint state;
  state.learner = rules_.kind + "-state";
  state.numbers["step"] = {static_cast<double>(step_)};
  state.tensors["parameters"] = parameters().transpose();
  if (rules_.optimizer == learners::Optimizer::adam)
    for (std::size_t i = 0; i < optimizers_.size(); ++i)
      write_adam(state, std::to_string(i) + "/", optimizers_[i].adam);
  return state;
}

void OuterLearner::set_state(const Checkpoint& state) {
  check_kind(state, rules_.kind + "-state");
  auto optimizers = optimizers_;
  const Vector all = sized_vector(state, "parameters", parameters().size());
  if (rules_.optimizer == learners::Optimizer::adam)
    for (std::size_t i = 0; i < optimizers.size(); ++i)
      read_adam(state, std::to_string(i) + "/", optimizers[i].adam);
  step_ = state.integer("step", 0, kMostSteps);
  set_parameters(all);
  optimizers_ = std::move(optimizers);
}

double cosine_rate(double rate, int step, int max_steps) {
  const double progress = std::min(1.0, static_cast<double>(step) / std::max(1, max_steps));
  return rate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

Matrix stacked(const std::vector<Matrix>& parts) {
  Eigen::Index rows = 0;
  for (const auto& part : parts) rows += part.rows();
  Matrix all(rows, parts[0].cols());
  rows = 0;
  for (const auto& part : parts) {
    all.middleRows(rows, part.rows()) = part;
    rows += part.rows();
  }
  return all;
}

void insert(Checkpoint& into, const std::string& prefix, const Checkpoint& part) {
  into.texts[prefix + "learner"] = part.learner;
  for (const auto& [name, value] : part.tensors) into.tensors[prefix + name] = value;
  for (const auto& [name, value] : part.numbers) into.numbers[prefix + name] = value;
  for (const auto& [name, value] : part.texts) into.texts[prefix + name] = value;
}

Checkpoint extract(const Checkpoint& from, const std::string& prefix) {
  Checkpoint part;
  const auto copy = [&](const auto& entries, auto& into) {
    for (const auto& [name, value] : entries)
      if (name.starts_with(prefix)) into[name.substr(prefix.size())] = value;
  };
  copy(from.tensors, part.tensors);
  copy(from.numbers, part.numbers);
  copy(from.texts, part.texts);
  part.learner = from.text(prefix + "learner");
  part.texts.erase("learner");
  return part;
}

}  // namespace fewwatt::meta
