#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "meta/net_state.hpp"

namespace fewwatt::meta {

// A meta-learner whose outer step is one of Adam along a gradient, on flat parameters of each target.
class AdamLearner : public MetaLearner {
 public:
  StepReport step(std::span<const tasks::Task> batch) final;
  learners::Checkpoint state() const final;
  void set_state(const learners::Checkpoint& state) final;

 protected:
  struct Settings {
    std::string name;        // of the learner
    std::string state_name;  // Checkpoint::learner of its state
    int max_steps = 0;       // of cosine_rate
    double clip_norm = 0;    // of gradient_step
  };
  struct Part {
    Eigen::Index size = 0;
    double rate = 0;  // of outer step 0
  };

  // To be called once, before anything else; parts[t] make up the parameters of target t, one after the other, and there
  // are none where it is not trained.
  void start(Settings settings, const std::array<std::vector<Part>, tasks::kNumTargets>& parts);

 private:
  virtual Vector parameters(tasks::Target target) const = 0;
  virtual void set_parameters(tasks::Target target, const Vector& parameters) = 0;
  // Of a trained target; nullopt when no task of the batch has it.
  virtual std::optional<TargetGradient> gradient(tasks::Target target,
                                                 std::span<const tasks::Task> batch) const = 0;

  struct Optimizer {
    Part part;
    learners::Adam<double> adam;
  };
  Settings settings_;
  std::array<std::vector<Optimizer>, tasks::kNumTargets> optimizers_;
  int step_ = 0;
};

}  // namespace fewwatt::meta
