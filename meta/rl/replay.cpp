#include "meta/rl/replay.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fewwatt::meta {

std::vector<Transition> StepWindow::add(const Vector& before, const ActionSet& actions, std::size_t action,
                                        const tasks::Step& step, const std::vector<std::size_t>& next_spent) {
  window_.push_back({before, action, step.reward});
  std::vector<Transition> complete;
  while (!window_.empty() && (step.ended() || window_.size() == steps_)) {
    Transition one{
        window_.front().before, actions, window_.front().action, 0, step.observation, 1, next_spent};
    for (const auto& taken : window_) {
      one.reward += one.discount * taken.reward;
      one.discount *= discount_;
    }
    if (step.terminated) one.discount = 0;
    complete.push_back(std::move(one));
    window_.pop_front();
  }
  return complete;
}

void Replay::add(Transition transition) {
  if (all_.size() < capacity_) {
    all_.push_back(std::move(transition));
    return;
  }
  all_[oldest_] = std::move(transition);
  oldest_ = (oldest_ + 1) % capacity_;
}

TransitionBatch Replay::batch_of(const std::vector<std::size_t>& which) const {
  const auto n = static_cast<Eigen::Index>(which.size());
  TransitionBatch batch;
  batch.observations.resize(n, all_[0].observation.size());
  batch.next.resize(n, all_[0].observation.size());
  batch.rewards.resize(n);
  batch.discounts.resize(n);
  std::vector<ActionSet> sets;
  for (Eigen::Index row = 0; row < n; ++row) {
    const auto& one = all_[which[static_cast<std::size_t>(row)]];
    batch.observations.row(row) = one.observation.transpose();
    batch.next.row(row) = one.next.transpose();
    batch.actions.push_back(static_cast<std::int64_t>(one.action));
    batch.rewards[row] = one.reward;
    batch.discounts[row] = one.discount;
    batch.next_spent.push_back(one.next_spent);
    sets.push_back(one.actions);
  }
  batch.choices = Choices(sets);
  return batch;
}

TransitionBatch Replay::sample(std::size_t n, hw::Rng& rng) const {
  if (all_.empty()) throw std::logic_error("Replay: sample() of nothing");
  std::vector<std::size_t> which(n);
  for (auto& one : which) one = rng.below(all_.size());
  return batch_of(which);
}

void Replay::save(learners::Checkpoint& to, const std::string& prefix) const {
  to.numbers[prefix + "oldest"] = {static_cast<double>(oldest_)};
  to.numbers[prefix + "size"] = {static_cast<double>(all_.size())};
  if (all_.empty()) return;
  std::vector<std::size_t> which(all_.size());
  std::iota(which.begin(), which.end(), std::size_t{0});
  auto batch = batch_of(which);
  to.tensors[prefix + "observations"] = std::move(batch.observations);
  to.tensors[prefix + "next"] = std::move(batch.next);
  to.tensors[prefix + "rewards"] = batch.rewards.transpose();
  to.tensors[prefix + "discounts"] = batch.discounts.transpose();
  to.numbers[prefix + "actions"].assign(batch.actions.begin(), batch.actions.end());
  std::vector<double> num_spent, spent;
  for (const auto& one : batch.next_spent) {
    num_spent.push_back(static_cast<double>(one.size()));
    spent.insert(spent.end(), one.begin(), one.end());
  }
  to.numbers[prefix + "num_spent"] = std::move(num_spent);
  if (!spent.empty()) to.numbers[prefix + "spent"] = std::move(spent);
  to.numbers[prefix + "sets"] = {static_cast<double>(batch.choices.sets.size())};
  to.numbers[prefix + "set_of"].assign(batch.choices.set_of.begin(), batch.choices.set_of.end());
  for (std::size_t i = 0; i < batch.choices.sets.size(); ++i)
    to.tensors[prefix + "set/" + std::to_string(i)] = *batch.choices.sets[i];
}

void Replay::load(const learners::Checkpoint& from, const std::string& prefix) {
  const int most = static_cast<int>(capacity_);
  const auto size = static_cast<std::size_t>(from.integer(prefix + "size", 0, most));
  const auto oldest = static_cast<std::size_t>(from.integer(prefix + "oldest", 0, most - 1));
  std::vector<Transition> all(size);
  if (size > 0) {
    const auto& observations = from.tensor(prefix + "observations");
    const auto& next = from.tensor(prefix + "next");
    const Vector rewards = from.vector(prefix + "rewards"), discounts = from.vector(prefix + "discounts");
    std::vector<ActionSet> sets;
    for (int i = 0, n = from.integer(prefix + "sets", 0, most); i < n; ++i)
      sets.push_back(std::make_shared<const Matrix>(from.tensor(prefix + "set/" + std::to_string(i))));
    const auto actions = from.integers(prefix + "actions", 0, 1'000'000);
    const auto set_of = sets.empty() ? std::vector<int>(size)
                                     : from.integers(prefix + "set_of", 0, static_cast<int>(sets.size()) - 1);
    const auto num_spent = from.integers(prefix + "num_spent", 0, 1'000'000);
    const bool any_spent =
        std::any_of(num_spent.begin(), num_spent.end(), [](int count) { return count > 0; });
    const auto spent = any_spent ? from.integers(prefix + "spent", 0, 1'000'000) : std::vector<int>();
    const auto n = static_cast<Eigen::Index>(size);
    if (observations.rows() != n || next.rows() != n || next.cols() != observations.cols() ||
        rewards.size() != n || discounts.size() != n || actions.size() != size || set_of.size() != size ||
        num_spent.size() != size ||
        std::accumulate(num_spent.begin(), num_spent.end(), std::size_t{0}) != spent.size())
      throw std::invalid_argument(from.learner + ": " + prefix + " must have " + std::to_string(size) +
                                  " transitions in each entry");
    for (std::size_t i = 0, at = 0; i < size; ++i) {
      const auto row = static_cast<Eigen::Index>(i);
      all[i] = {observations.row(row).transpose(),
                sets.empty() ? nullptr : sets[static_cast<std::size_t>(set_of[i])],
                static_cast<std::size_t>(actions[i]),
                rewards[row],
                next.row(row).transpose(),
                discounts[row]};
      for (const auto end = at + static_cast<std::size_t>(num_spent[i]); at < end; ++at)
        all[i].next_spent.push_back(static_cast<std::size_t>(spent[at]));
    }
  }
  all_ = std::move(all);
  oldest_ = oldest;
}

}  // namespace fewwatt::meta
