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
  double fitted = 5;        // hyper-parameters that gp and proto fit to the support, about
  std::size_t gp_from = 3;  // rows from which on gp has a weight beside trained candidates
  double untrained = 0.25;  // prior of a candidate without training, beside 1 of each with
  // EnsembleOptions::calm where the modes are others than those of the checkpoint: a board that nobody trained for tells sooner that
  // candidates are too sure of themselves.
  double calm_elsewhere = 5;
  // A row whose log y is so many standard deviations from what simulated workloads make of the other rows is left out, first the
  // one without which the others are most likely, and at most one row of ten, or one of fewer; supports of less than doubt_from
  // rows are believed. Predictors name them (Predictor::doubted).
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
  struct Believed {
    Samples support;
    std::vector<Doubted> doubted;
  };
  Believed believed(const Samples& support, const SimulatedSupport& simulated) const;
  std::size_t most_suspect(const Samples& support, tasks::Target target, const Vector& z,
                           const SimulatedSupport& simulated) const;

  bool trained_ = false;
  std::shared_ptr<const SimPrior> sim_only_;   // needs no training
  std::shared_ptr<const SimPrior> sim_prior_;  // without a checkpoint, sim_only_
  std::shared_ptr<const SimPrior> doubter_;    // of fewer simulated workloads, with one residual: doubts rows
  std::vector<Member>
      members_;  // the first is sim_prior_, the last gp, and sim_only_ before that where there is a checkpoint
  AutoOptions options_;
};

}  // namespace fewwatt::learners
