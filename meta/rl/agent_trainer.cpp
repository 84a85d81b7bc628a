#include "meta/rl/agent_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "hw/jobs.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::meta {

std::string out_of_bounds(const std::string& owner, const char* name, double value, double least,
                          double most) {
  if (value >= least && value <= most) return "";
  std::ostringstream text;
  text << owner << ": " << name << " must be in [" << least << ", " << most << "], got " << value;
  return text.str();
}

void NetTrainOptions::each(learners::OptionVisitor& on) {
  on.list("hidden", hidden, 1, learners::kMostWidth, "sizes of the nets' hidden layers");
  on.choice<learners::Activation>("activation", activation, learners::kActivations,
                                  "activation function of the hidden layers");
  on.real("rate", rate, 1e-9, 1e3, "Adam's rate at the start; it falls to 0 linearly");
  on.whole("updates", updates, 1, kMostSteps,
           "greatest number of updates, each of some steps and what is learned from them");
  on.real("clip_norm", clip_norm, 1e-9, 1e9, "gradients with a larger norm are scaled to this one");
  on.real("discount", discount, 0, 1, "what a reward counts one step later");
  on.whole("environments", environments, 1, 4096, "environments side by side");
  on.whole(
      "workers", workers, 0, 1024,
      "threads that act and learn, where there is enough for several; 0: as many as the machine has cores. "
      "Results are the same");
}

std::string NetTrainOptions::error(const std::string& owner) const {
  // The last layer of a net counts too.
  if (hidden.size() >= std::size_t{learners::kMostLayers})
    return owner + ": hidden must have at most " + std::to_string(learners::kMostLayers - 1) +
           " layers, got " + std::to_string(hidden.size());
  for (const int size : hidden)
    if (auto bad = out_of_bounds(owner, "hidden", size, 1, learners::kMostWidth); !bad.empty()) return bad;
  if (!(rate > 0) || !std::isfinite(rate)) return owner + ": rate must be > 0, got " + hw::number_text(rate);
  if (!(clip_norm > 0)) return owner + ": clip_norm must be > 0, got " + hw::number_text(clip_norm);
  if (auto bad = out_of_bounds(owner, "updates", updates, 1, kMostSteps); !bad.empty()) return bad;
  if (auto bad = out_of_bounds(owner, "discount", discount, 0, 1); !bad.empty()) return bad;
  if (auto bad = out_of_bounds(owner, "workers", workers, 0, 1024); !bad.empty()) return bad;
  return out_of_bounds(owner, "environments", environments, 1, 4096);
}

NetTrainer::NetTrainer(std::string name, std::string scores, PolicyShape shape,
                       const NetTrainOptions& options, std::uint64_t seed)
    : name_(std::move(name)),
      scores_(std::move(scores)),
      shape_(std::move(shape)),
      seed_(seed),
      rate_(options.rate),
      clip_norm_(options.clip_norm),
      most_updates_(options.updates),
      workers_(hw::thread_count(static_cast<std::size_t>(options.workers))),
      parameters_(random_policy(shape_, seed)),
      adam_(parameters_.size(), options.rate) {}

hw::Rng NetTrainer::rng(std::string_view purpose) const {
  return hw::Rng::stream(seed_, purpose, static_cast<std::uint64_t>(updates_));
}

UpdateReport NetTrainer::update() {
  adam_.set_rate(rate_ * std::max(0.0, 1.0 - static_cast<double>(updates_) / most_updates_));
  auto report = act_and_learn();
  ++updates_;
  return report;
}

double NetTrainer::descend(const LossGradient& found) {
  const double norm = found.gradient.norm();
  if (!std::isfinite(found.loss) || !std::isfinite(norm))
    throw Diverged(name_ + ": the loss or its gradient is not finite in update " +
                   std::to_string(updates_ + 1));
  if (norm > clip_norm_)
    adam_.step(parameters_, Vector(found.gradient * (clip_norm_ / norm)));
  else
    adam_.step(parameters_, found.gradient);
  return found.loss;
}

learners::Checkpoint NetTrainer::snapshot() const {
  return policy_checkpoint(shape_, parameters_, name_, scores_);
}

learners::Checkpoint NetTrainer::state() const {
  learners::Checkpoint state;
  state.learner = name_ + "-state";
  state.numbers["updates"] = {static_cast<double>(updates_)};
  state.tensors["parameters"] = parameters_.transpose();
  state.tensors["first_moment"] = adam_.state().first.transpose();
  state.tensors["second_moment"] = adam_.state().second.transpose();
  state.numbers["adam_steps"] = {static_cast<double>(adam_.state().steps)};
  save(state);
  return state;
}

void NetTrainer::set_state(const learners::Checkpoint& state) {
  if (state.learner != name_ + "-state")
    throw std::invalid_argument("expected a " + name_ + "-state, found a " + state.learner);
  const auto sized = [&](const std::string& name) {
    Vector values = state.vector(name);
    if (values.size() != parameters_.size())
      throw std::invalid_argument(state.learner + ": " + name + " must have " +
                                  std::to_string(parameters_.size()) + " values, has " +
                                  std::to_string(values.size()));
    return values;
  };
  const Vector parameters = sized("parameters");
  learners::Adam<double>::State moments{sized("first_moment"), sized("second_moment"),
                                        state.integer("adam_steps", 0, kMostSteps)};
  const int updates = state.integer("updates", 0, kMostSteps);
  load(state);
  parameters_ = parameters;
  adam_.set_state(std::move(moments));
  updates_ = updates;
}

}  // namespace fewwatt::meta
