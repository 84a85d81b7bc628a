#pragma once

#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"
#include "learners/sim_prior.hpp"

namespace fewwatt::learners {

struct AutoOptions {
  // Weight of a candidate, per target:  w ~ prior exp(temper sum_i log p_i),  p_i the density of log y_i that it would have
  // predicted from the other rows of the support.
  double temper = 0.3;
  // Relative to sim_prior's. The kernels of the others are fitted to the very rows that p_i leaves out one of: as Akaike's
  // criterion has it, one nat less for each hyper-parameter that counts, about five, times temper.
  double trained_prior = 0.2, gp_prior = 0.2;
  // A row whose log y is so many standard deviations from what simulated workloads make of the other rows is left out, the
  // worst one first and at most one row of ten, or one of fewer; supports of less than doubt_from rows are believed.
  double doubt = 5;
  std::size_t doubt_from = 5;
  // Variances are multiplied by (calm + sum_i z_i^2) / (calm + rows) where that is above 1, z_i = error / predicted stddev of
  // row i left out.
  double calm = 20;
  std::string error() const;  // "" when valid
};

// The default. Candidates adapt to the same rows; each is weighed by how well it predicts rows from the others, and the
// logs they predict are averaged. Candidates: sim_prior, trained where there is a checkpoint; gp; and the trained learners
// that the checkpoint holds. A Checkpoint is that of each of them with its name before every entry, "sim_prior/knobs".
class Auto final : public Learner {
 public:
  // With no checkpoint: what needs no training. Throws std::invalid_argument for a bad one.
  explicit Auto(const Checkpoint* checkpoint = nullptr, AutoOptions options = {});
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override;

 private:
  struct Candidate {
    std::string name;
    std::shared_ptr<const Learner> learner;
    double prior;
  };
  Samples without_doubtful_rows(const Samples& support) const;

  std::vector<Candidate> candidates_;  // the first is sim_prior or sim_only
  SimPrior doubter_;
  AutoOptions options_;
};

// The checkpoint of Auto from those of its candidates, and that of one of them.
Checkpoint auto_checkpoint(const std::vector<Checkpoint>& candidates);
Checkpoint auto_candidate(const Checkpoint& whole, const std::string& name);

}  // namespace fewwatt::learners
