#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hw/random.hpp"
#include "learners/checkpoint.hpp"
#include "meta/rl/advantages.hpp"
#include "meta/rl/surrogate.hpp"
#include "meta/rl/trial.hpp"

namespace fewwatt::meta {

// Trials side by side that go on from one update to the next; one that is over makes way for a new one.
class Trials {
 public:
  // Throws as Trial's constructor.
  Trials(MakeEnvironment make, const PolicyShape& shape, std::uint64_t seed, int side_by_side, int episodes);

  std::size_t size() const { return trials_.size(); }  // side_by_side
  // The trial that is in place i now.
  const Trial& operator[](std::size_t i) const { return trials_[i]; }
  // Takes an action in one of them; where an episode ended with it, its return goes to `returns`.
  tasks::Step step(std::size_t i, std::size_t action, std::vector<double>& returns);

  // Where they stand, as entries of `numbers` with the prefix; and back, by taking the present episodes' actions again. load() throws
  // std::invalid_argument when the state is not of as many trials, or of another environment. `each`: as Trial::go_to()'s, with the
  // trial's place before the rest.
  void save(learners::Checkpoint& to, const std::string& prefix) const;
  // i: the trial's place. The rest as of Trial::EachStep.
  using EachStep =
      std::function<void(std::size_t i, const Vector& before, std::size_t action, const tasks::Step&)>;
  // See save(). `each` may be empty.
  void load(const learners::Checkpoint& from, const std::string& prefix, const EachStep& each);

 private:
  Trial next();

  MakeEnvironment make_;
  const PolicyShape* shape_;
  std::uint64_t seed_, number_ = 0;  // of the next trial
  int episodes_;
  std::vector<Trial> trials_;
};

// What a policy did and what came of it. Advantages and returns of the batch are not set yet.
struct Rollout {
  PolicyBatch batch;            // t steps of b trials side by side
  StepValues steps;             // the same steps, [t,b]
  std::size_t taken = 0;        // steps, without padding
  std::vector<double> returns;  // of the episodes that ended
};

// The index of a draw with probability softmax(scores), and the log of that probability.
struct Draw {
  std::size_t index;       // of the score
  double log_probability;  // natural log
};
Draw draw(const Eigen::Ref<const Eigen::RowVectorXd>& scores, hw::Rng& rng);

// t steps in each of the trials, with actions drawn from the policy. For a shape without memory.
Rollout play(Trials& trials, const PolicyShape& shape, const Vector& parameters, int steps, hw::Rng& rng);

// Whole trials, from the numbers `first` on, `side_by_side` of them. A trial ends with its last episode, after which nothing counts;
// before that rewards count across the ends of episodes (Duan et al. 2016, section 2.2). Rows after it weigh 0. Many trials are played in
// parts, on so many threads; their number does not change the result. `make` is called from them.
struct WholeTrials {
  std::uint64_t seed = 0;   // as of Trial
  std::uint64_t first = 0;  // number of the first trial
  int side_by_side = 1;     // number of trials
  int episodes = 1;         // of a trial
  int in_one_world = 1;  // so many trials side by side have the same environment, with episodes of their own
};
Rollout play(const MakeEnvironment& make, const WholeTrials& which, const PolicyShape& shape,
             const Vector& parameters, hw::Rng& rng, std::size_t workers = 1);

// Sets returns = advantages + values of the rollout's batch, and advantages, from its steps. From the advantages of each step the mean over
// the trials in the same environment is subtracted, where there are several (Kwon et al. 2020, eq. 3): what the environment itself gives or
// takes is not the actions' merit. Then they are normalised.
void set_advantages(Rollout& rollout, double discount, double trace, int in_one_world = 1);

}  // namespace fewwatt::meta
