#pragma once

#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/ensemble.hpp"
#include "learners/learner.hpp"
#include "learners/sim_prior.hpp"

namespace fewwatt::learners {

struct AutoOptions {
  EnsembleOptions ensemble = {};
  double fitted = 5;  // hyper-parameters that gp and proto fit to the support, about
  std::size_t gp_from = 3;  // rows from which on gp has a weight
  // EnsembleOptions::calm where the modes are others than those of the checkpoint: a board that nobody trained for tells sooner that
  // candidates are too sure of themselves.
  double calm_elsewhere = 5;
  // A row whose log y is so many standard deviations from what simulated workloads make of the other rows is left out, the
  // worst one first and at most one row of ten, or one of fewer; supports of less than doubt_from rows are believed. Predictors
  // name them (Predictor::doubted).
  double doubt = 5;
  std::size_t doubt_from = 5;
  std::string error() const;  // "" when valid
};

// The default. Candidates adapt to the same rows; each is weighed by how well it predicts rows from the others, and the
// logs they predict are averaged. Candidates: sim_only and gp, which other workloads cannot mislead; and the trained learners that a
// checkpoint holds, a checkpoint_of_members() with sim_prior as the first.
class Auto final : public Learner {
 public:
  // With no checkpoint: what needs no training. Throws std::invalid_argument for a bad one.
  explicit Auto(const Checkpoint* checkpoint = nullptr, AutoOptions options = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override {
    return update(support, {});
  }
  std::unique_ptr<const Predictor> update(const Samples& support, const Fitted& fitted) const override;

 private:
  std::vector<Doubted> doubtful(const Samples& support, const SimulatedSupport& simulated) const;

  std::shared_ptr<const SimPrior> sim_prior_;  // nullptr without a checkpoint
  std::shared_ptr<const SimPrior> sim_only_;
  std::vector<Member> members_;  // the last but one is sim_only_, the first sim_prior_ where there is one
  SimPrior doubter_;
  AutoOptions options_;
};

}  // namespace fewwatt::learners
