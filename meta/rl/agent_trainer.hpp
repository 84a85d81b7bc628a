#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/optimizer.hpp"
#include "learners/options.hpp"
#include "meta/meta_learner.hpp"
#include "meta/rl/policy_shape.hpp"
#include "meta/rl/surrogate.hpp"
#include "meta/rl/trial.hpp"

namespace fewwatt::meta {

// What an update tells of itself.
struct UpdateReport {
  double loss = 0;              // mean over the update's gradient steps, before each; 0 without any
  std::size_t steps = 0;        // that were taken in environments
  std::vector<double> returns;  // of the episodes that ended: sums of their rewards
};

// Learns a policy by acting in environments.
class AgentTrainer {
 public:
  virtual ~AgentTrainer() = default;
  // Acts for some steps, and learns from them. Throws Diverged, after which it cannot go on.
  virtual UpdateReport update() = 0;
  // The policy, as learners/control/policy_net.hpp runs it.
  virtual learners::Checkpoint snapshot() const = 0;
  // Everything that an update changes; a trainer made in the same way that takes it goes on bit for bit.
  virtual learners::Checkpoint state() const = 0;
  // Throws std::invalid_argument when the state is of another algorithm, or of other sizes or environments.
  virtual void set_state(const learners::Checkpoint& state) = 0;
};

// What all algorithms with nets have to set.
struct NetTrainOptions {
  std::vector<int> hidden = {64, 64};                            // widths of the hidden layers
  learners::Activation activation = learners::Activation::tanh;  // of the hidden layers
  // Adam's rate in update t:  rate max(0, 1 - t / updates)
  double rate = 1e-3;
  int updates = 1000;      // greatest number of them; the rate is 0 after it
  double clip_norm = 0.5;  // the gradient g becomes g min(1, clip_norm / |g|)
  double discount = 0.99;  // of a reward one step later, in [0, 1]
  int environments = 8;    // side by side
  int workers = 0;         // threads that act and learn, 0 = as many as cores; results are the same
  void each(learners::OptionVisitor& on);  // names every option once
  // "" when valid, else "OWNER: rate must be ..., got ..."
  std::string error(const std::string& owner) const;
};

// "OWNER: NAME must be in [LEAST, MOST], got VALUE", or "" where it is.
std::string out_of_bounds(const std::string& owner, const char* name, double value, double least,
                          double most);

// What trainers with nets and Adam have in common: parameters, rates, clipping, state, messages. Not to be copied: its parts know where
// its shape is.
class NetTrainer : public AgentTrainer {
 public:
  NetTrainer(const NetTrainer&) = delete;
  NetTrainer& operator=(const NetTrainer&) = delete;

  UpdateReport update() final;
  learners::Checkpoint snapshot() const final;
  learners::Checkpoint state() const final;
  void set_state(const learners::Checkpoint& state) final;

  int most_updates() const { return most_updates_; }        // after which the rate is 0
  const PolicyShape& shape() const { return shape_; }       // of the nets
  const Vector& parameters() const { return parameters_; }  // in the order of PolicyShape

 protected:
  // `name`: of the algorithm, in messages and snapshots. `scores`: as of policy_checkpoint().
  NetTrainer(std::string name, std::string scores, PolicyShape shape, const NetTrainOptions& options,
             std::uint64_t seed);

  int updates_done() const { return updates_; }     // without the present one
  std::uint64_t seed() const { return seed_; }      // of the first parameters and of all that is drawn
  std::size_t workers() const { return workers_; }  // threads, at least 1
  // Random numbers of the present update for a purpose.
  hw::Rng rng(std::string_view purpose) const;
  // One step of Adam. Throws Diverged when the loss or its gradient is not finite. Gives the loss.
  double descend(const LossGradient& found);
  // In the order of PolicyShape. Adam's moments stay as they are.
  void set_parameters(const Vector& parameters) { parameters_ = parameters; }

 private:
  virtual UpdateReport act_and_learn() = 0;
  // What an update changes beside parameters and Adam's moments.
  virtual void save(learners::Checkpoint& to) const = 0;
  virtual void load(const learners::Checkpoint& from) = 0;

  std::string name_, scores_;
  PolicyShape shape_;
  std::uint64_t seed_;
  double rate_, clip_norm_;
  int most_updates_, updates_ = 0;
  std::size_t workers_;
  Vector parameters_;
  learners::Adam<double> adam_;
};

}  // namespace fewwatt::meta
