#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "meta/columns.hpp"
#include "meta/mode_episodes.hpp"
#include "tasks/task_source.hpp"

namespace fewwatt::tests {

// A meta-learner of power modes that takes tasks as they are, and whose parts tests look into: a Learner per target, and the
// board's Model.
template <class Learner, class Model>
class OnTasks : public meta::MetaLearner {
 public:
  explicit OnTasks(meta::OnModes modes) : modes_(std::move(modes)) {}

  meta::StepReport step(std::span<const tasks::Episode> batch) override {
    return modes_.learner->step(batch);
  }
  meta::StepReport step(std::span<const tasks::Task> batch) {
    std::vector<tasks::Episode> episodes;
    for (const auto& task : batch) episodes.push_back(modes_.encoder(task));
    return step(std::span<const tasks::Episode>(episodes));
  }
  learners::Checkpoint snapshot() const override { return modes_.learner->snapshot(); }
  learners::Checkpoint state() const override { return modes_.learner->state(); }
  void set_state(const learners::Checkpoint& state) override { modes_.learner->set_state(state); }

  Model model() const { return Model::from_checkpoint(snapshot()); }
  const Learner& of(tasks::Target target) const {
    return dynamic_cast<const Learner&>(*dynamic_cast<const meta::Columns&>(*modes_.learner).column(target));
  }
  // In which the target is known, as its learner gets them.
  std::vector<tasks::Episode> episodes(tasks::Target target, std::span<const tasks::Task> tasks) const {
    return tasks::even(modes_.encoder.of_target(target, tasks));
  }
  meta::ModeEpisodes episodes_of(tasks::TaskSource source, std::uint64_t seed = 0) const {
    return {std::move(source), modes_.encoder, seed};
  }

 private:
  meta::OnModes modes_;
};

}  // namespace fewwatt::tests
