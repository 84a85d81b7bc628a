#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

// A meta-learner for each target: learner c is trained on column c of the targets of each episode, where it is known. So learners
// of one target work on any number of them, and a target that few tasks have does not cost the others their rows.
class Columns final : public MetaLearner {
 public:
  // The learner of one target.
  struct Column {
    std::string name;                      // "time"
    std::unique_ptr<MetaLearner> learner;  // nullptr: not trained
  };
  // `snapshot` makes one checkpoint of what all columns have learned. Without it, it has the columns' own snapshots, each with the
  // column's name and a '/' before the names of its entries.
  explicit Columns(std::vector<Column> columns, std::function<learners::Checkpoint()> snapshot = {});

  // Mean loss over the columns that learned from an episode. Throws std::invalid_argument unless episodes have as many targets
  // as there are columns.
  StepReport step(std::span<const tasks::Episode> batch) override;
  learners::Checkpoint snapshot() const override;
  learners::Checkpoint state() const override;
  void set_state(const learners::Checkpoint& state) override;

  // Of one target; nullptr where it is not trained.
  const MetaLearner* column(std::size_t target) const { return columns_[target].learner.get(); }

 private:
  std::vector<Column> columns_;
  std::function<learners::Checkpoint()> snapshot_;
};

}  // namespace fewwatt::meta
