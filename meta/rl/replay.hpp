#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "hw/random.hpp"
#include "learners/checkpoint.hpp"
#include "meta/rl/choices.hpp"

namespace fewwatt::meta {

using tasks::Matrix;
using tasks::Vector;

// One or several steps of an episode.
struct Transition {
  Vector observation;      // before the first
  ActionSet actions;       // of the episode
  std::size_t action = 0;  // the first
  double reward = 0;       // r_0 + discount r_1 + ... + discount^(k-1) r_k-1
  Vector next;             // observed after the last
  double discount = 0;     // discount^k; 0 where the episode terminated, so that nothing after it counts
  std::vector<std::size_t> next_spent =
      {};  // actions that may not be taken after the last (Environment::spent())
};

// Makes transitions of n steps out of the steps of one environment (Sutton & Barto 2018, section 7.1): fewer where the episode
// ended before. None reaches across an episode's end.
class StepWindow {
 public:
  // steps: n, at least 1. discount: of a reward one step later.
  StepWindow(int steps, double discount) : steps_(static_cast<std::size_t>(steps)), discount_(discount) {}
  // Gives the transitions that are complete with this step. next_spent: of Transition, after this step.
  std::vector<Transition> add(const Vector& before, const ActionSet& actions, std::size_t action,
                              const tasks::Step& step, const std::vector<std::size_t>& next_spent = {});

 private:
  struct Taken {
    Vector before;
    std::size_t action;
    double reward;
  };
  std::size_t steps_;
  double discount_;
  std::deque<Taken> window_;
};

// Transitions as rows.
struct TransitionBatch {
  Matrix observations, next;                              // [n,o]
  Choices choices;                                        // of both
  std::vector<std::int64_t> actions;                      // [n]
  Vector rewards, discounts;                              // [n]
  std::vector<std::vector<std::size_t>> next_spent = {};  // [n], of Transition; empty: none at all
};

// The last transitions, to draw from (Mnih et al. 2015, algorithm 1).
class Replay {
 public:
  // capacity: transitions that it holds at most, at least 1.
  explicit Replay(std::size_t capacity) : capacity_(capacity) {}
  void add(Transition transition);                  // in place of the oldest where it is full
  std::size_t size() const { return all_.size(); }  // transitions that it holds now
  // n of them, each drawn from all. Throws std::logic_error when there is none.
  TransitionBatch sample(std::size_t n, hw::Rng& rng) const;

  // As entries prefix + observations, next, actions, rewards, discounts, sets, set_of, num_spent, spent, oldest; and back. load() throws
  // std::invalid_argument when they are not of this capacity.
  void save(learners::Checkpoint& to, const std::string& prefix) const;
  void load(const learners::Checkpoint& from, const std::string& prefix);  // see save()

 private:
  TransitionBatch batch_of(const std::vector<std::size_t>& which) const;

  std::size_t capacity_, oldest_ = 0;
  std::vector<Transition> all_;
};

}  // namespace fewwatt::meta
