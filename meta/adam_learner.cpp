#include "meta/adam_learner.hpp"

namespace fewwatt::meta {
namespace {

std::string entry(tasks::Target target, std::size_t part) {
  return std::string(tasks::kTargetNames[target]) + "/" + std::to_string(part) + "/";
}

std::string parameters_entry(tasks::Target target) {
  return std::string(tasks::kTargetNames[target]) + "/parameters";
}

constexpr auto kTargets = {tasks::kTimeMs, tasks::kPowerW};

}  // namespace

void AdamLearner::start(Settings settings, const std::array<std::vector<Part>, tasks::kNumTargets>& parts) {
  settings_ = std::move(settings);
  for (const auto t : kTargets)
    for (const auto& part : parts[t])
      optimizers_[t].push_back({part, learners::Adam<double>(part.size, part.rate)});
}

StepReport AdamLearner::step(std::span<const tasks::Task> batch) {
  const double share = cosine_rate(1, step_, settings_.max_steps);
  const auto report = gradient_step(
      settings_.name, step_, settings_.clip_norm, batch,
      [&](tasks::Target t) { return optimizers_[t].empty() ? std::nullopt : gradient(t, batch); },
      [&](tasks::Target t, const Vector& along) {
        Vector all = parameters(t);
        Eigen::Index at = 0;
        for (auto& [part, adam] : optimizers_[t]) {
          adam.set_rate(part.rate * share);
          adam.step(all.segment(at, part.size), along.segment(at, part.size));
          at += part.size;
        }
        set_parameters(t, all);
      });
  ++step_;
  return report;
}

learners::Checkpoint AdamLearner::state() const {
  learners::Checkpoint state;
  state.learner = settings_.state_name;
  state.numbers["step"] = {static_cast<double>(step_)};
  for (const auto t : kTargets) {
    if (optimizers_[t].empty()) continue;
    state.tensors[parameters_entry(t)] = parameters(t).transpose();
    for (std::size_t i = 0; i < optimizers_[t].size(); ++i)
      write_adam(state, entry(t, i), optimizers_[t][i].adam);
  }
  return state;
}

void AdamLearner::set_state(const learners::Checkpoint& state) {
  check_state(state, settings_.state_name);
  auto optimizers = optimizers_;
  std::array<Vector, tasks::kNumTargets> all;
  for (const auto t : kTargets) {
    if (optimizers[t].empty()) continue;
    all[t] = sized_vector(state, parameters_entry(t), parameters(t).size());
    for (std::size_t i = 0; i < optimizers[t].size(); ++i)
      read_adam(state, entry(t, i), optimizers[t][i].adam);
  }
  step_ = state.integer("step", 0, kMostSteps);
  for (const auto t : kTargets)
    if (!optimizers[t].empty()) set_parameters(t, all[t]);
  optimizers_ = std::move(optimizers);
}

}  // namespace fewwatt::meta
