#include "meta/columns.hpp"

#include <stdexcept>

#include "meta/outer_learner.hpp"

namespace fewwatt::meta {
namespace {

constexpr const char* kStateName = "columns-state";

}  // namespace

Columns::Columns(std::vector<Column> columns, std::function<learners::Checkpoint()> snapshot)
    : columns_(std::move(columns)), snapshot_(std::move(snapshot)) {}

StepReport Columns::step(std::span<const tasks::Episode> batch) {
  for (const auto& episode : batch) {
    episode.check();
    if (episode.support_y.cols() != static_cast<Eigen::Index>(columns_.size()))
      throw std::invalid_argument("episode " + episode.name + ": expected " +
                                  std::to_string(columns_.size()) + " targets, found " +
                                  std::to_string(episode.support_y.cols()));
  }
  std::vector<learners::Checkpoint> before(columns_.size());
  StepReport report;
  int trained = 0;
  std::size_t c = 0;
  try {
    for (; c < columns_.size(); ++c) {
      if (!columns_[c].learner) continue;
      std::vector<tasks::Episode> own;
      for (const auto& episode : batch)
        if (auto known = tasks::known_rows(tasks::with_target(episode, static_cast<Eigen::Index>(c))))
          own.push_back(std::move(*known));
      before[c] = columns_[c].learner->state();
      const auto one = columns_[c].learner->step(own);
      if (own.empty()) continue;
      report.loss += one.loss;
      report.episodes = std::max(report.episodes, own.size());
      ++trained;
    }
  } catch (...) {
    while (c-- > 0)
      if (columns_[c].learner) columns_[c].learner->set_state(before[c]);
    throw;
  }
  if (trained > 0) report.loss /= trained;
  return report;
}

learners::Checkpoint Columns::snapshot() const {
  if (snapshot_) return snapshot_();
  learners::Checkpoint all;
  all.learner = "columns";
  for (const auto& [name, learner] : columns_)
    if (learner) insert(all, name + "/", learner->snapshot());
  return all;
}

learners::Checkpoint Columns::state() const {
  learners::Checkpoint all;
  all.learner = kStateName;
  for (const auto& [name, learner] : columns_)
    if (learner) insert(all, name + "/", learner->state());
  return all;
}

void Columns::set_state(const learners::Checkpoint& state) {
  if (state.learner != kStateName)
    throw std::invalid_argument("expected a " + std::string(kStateName) + ", found a " + state.learner);
  const auto before = this->state();
  std::size_t c = 0;
  try {
    for (; c < columns_.size(); ++c)
      if (columns_[c].learner) columns_[c].learner->set_state(extract(state, columns_[c].name + "/"));
  } catch (...) {
    while (c-- > 0)
      if (columns_[c].learner) columns_[c].learner->set_state(extract(before, columns_[c].name + "/"));
    throw;
  }
}

}  // namespace fewwatt::meta
