#pragma once

#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/ensemble.hpp"
#include "learners/learner.hpp"
#include "learners/options.hpp"
#include "learners/sim_prior.hpp"

namespace fewwatt::learners {

// How candidates are weighed, and which rows are doubted.
struct AutoOptions {
  EnsembleOptions ensemble = {};   // of the weights
  SimPriorOptions sim_prior = {};  // of sim_prior and sim_only
  double fitted = 5;               // hyper-parameters that gp and proto fit to the support, about
  // A row whose log y is so many standard deviations from what simulated workloads make of the other rows is left out, first the
  // one without which the others are most likely, and at most doubted_share of the rows, or one of few; supports of less than doubt_from
  // rows are believed. Predictors name them (Predictor::doubted).
  double doubt = 5;            // see above
  std::size_t doubt_from = 5;  // see above
  double doubted_share = 0.1;  // see above
  // Number of rows that are off most, of which one is left out: a wrong value spoils a few neighbours.
  std::size_t suspects = 4;
  // What doubts: fewer workloads and one residual, which suffice to see what is off by far. No more workloads than sim_prior's.
  SimPriorOptions doubter = {.population = 1000, .kept = 200, .effective = 50, .fitted = false};
  void each(OptionVisitor& on);  // names every option once
  std::string error() const;     // "" when valid
};

// The default. Candidates adapt to the same rows; each is weighed by how well it predicts rows from the others, and the
// logs they predict are averaged. Candidates: sim_only and gp, which other workloads cannot mislead; and the trained learners that a
// checkpoint holds, a checkpoint_of_members() with sim_prior as the first.
// Of w training workloads none was unlike the others, so a new one is unlike them all with probability 1 / (w + 2), Laplace's rule of
// succession: beside trained candidates of prior 1, candidates without training have 1 / (w + 1).
class Auto final : public Learner {
 public:
  // With no checkpoint: what needs no training. The registry makes the candidates. Throws std::invalid_argument for a bad one.
  explicit Auto(const Checkpoint* checkpoint = nullptr, AutoOptions options = {},
                const Registry& registry = builtin());
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
  std::shared_ptr<const SimPrior> doubter_;    // of fewer simulated workloads: doubts rows
  std::vector<Member> members_;  // those of a checkpoint, the first is sim_prior_; then sim_only_, then gp
  AutoOptions options_;
};

}  // namespace fewwatt::learners
