#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "learners/fine_tune.hpp"
#include "learners/mlp.hpp"
#include "learners/optimizer.hpp"
#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

using tasks::Episode;
using tasks::Matrix;
using tasks::Vector;

// What one batch says of a learner's parameters.
struct BatchGradient {
  double loss = 0;                  // of the whole batch
  std::vector<double> task_losses;  // of each episode
  Vector gradient;                  // of the loss, by the parameters; or where else to go against
};

// What a learner that knows its uncertainty says of an episode's query, from the support.
struct GaussianPrediction {
  Matrix mean, variance;  // [q,1], of a new measurement
};

// A meta-learner whose outer step goes against a gradient, on flat parameters: all that is left to a learner of that kind is
// where it starts from and gradient(). State, snapshots, rates, clipping and messages are here.
class OuterLearner : public MetaLearner {
 public:
  // Rows with an unknown target are left out, and episodes without a support or a query row then.
  StepReport step(std::span<const Episode> batch) final;
  // The parameters and the net's shape; restore() reads it.
  learners::Checkpoint snapshot() const final;
  // Goes back to what the snapshot of a learner made in the same way holds. Throws std::invalid_argument when it is another's.
  void restore(const learners::Checkpoint& snapshot);
  learners::Checkpoint state() const final;
  void set_state(const learners::Checkpoint& state) final;

  const learners::MlpShape& shape() const { return rules_.shape; }  // of the net

 protected:
  // What a learner of this kind tells start() of itself.
  struct Rules {
    std::string name;                      // in messages: "maml, time"
    std::string kind;                      // of snapshots and states: "maml"
    learners::MlpShape shape;              // of the net
    Eigen::Index inputs = 0, targets = 1;  // of an episode
    bool even = false;  // gradient() gets episodes of as many rows as the one that has the fewest
    int max_steps = 0;  // rates fall to 0 until then: adam's as cosine_rate(), sgd's linearly
    double clip_norm =
        std::numeric_limits<double>::infinity();  // a gradient g becomes g min(1, clip_norm / |g|)
    learners::Optimizer optimizer = learners::Optimizer::adam;  // that takes the outer steps
  };
  // Parameters that have a rate, and moments of Adam, of their own.
  struct Part {
    Eigen::Index size = 0;  // number of parameters
    double rate = 0;        // of outer step 0
  };

  // To be called once, before anything else; `parts` make up the parameters, one after the other.
  void start(Rules rules, const std::vector<Part>& parts);
  int steps_done() const { return step_; }  // number of outer steps so far
  // Throws std::invalid_argument naming learner and episode unless the episode has the learner's inputs and targets.
  void check_fits(const Episode& episode) const;

 private:
  virtual Vector parameters() const = 0;
  virtual void set_parameters(const Vector& parameters) = 0;
  // Of one episode at least. Throws Diverged, whose message says what diverged.
  virtual BatchGradient gradient(std::span<const Episode> batch) const = 0;

  struct Optimizer {
    Part part;
    learners::Adam<double> adam;
  };
  Rules rules_;
  std::vector<Optimizer> optimizers_;
  int step_ = 0;
};

// Rate of outer step `step`:  rate * (1 + cos(pi step / max_steps)) / 2
double cosine_rate(double rate, int step, int max_steps);

// The rows of one or more matrices of as many columns, one below the other.
Matrix stacked(const std::vector<Matrix>& parts);

// The entries of `part`, its `learner` among them, with the prefix before their names; and back.
void insert(learners::Checkpoint& into, const std::string& prefix, const learners::Checkpoint& part);
learners::Checkpoint extract(const learners::Checkpoint& from, const std::string& prefix);

}  // namespace fewwatt::meta
