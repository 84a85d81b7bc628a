#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/learner.hpp"
#include "learners/options.hpp"

namespace fewwatt::learners {

struct Registry;
const Registry& builtin();  // learners/registry.hpp

// How the logs that members predict become one prediction, per target. N(m_c, v_c) is what member c predicts, p_ic the density
// of log y_i that it would have predicted from the other rows of the support (Predictor::left_out), pi_c its prior, sum 1.
// Before that each member's v_c are multiplied by (calm + sum_i z_i^2) / (calm + rows), z_i = error / predicted stddev of row i
// left out. What is predicted in the end is never narrowed by that: members were fitted to all rows, and those left out
// flatter them.
enum class Combination {
  // A mixture:  w_c ~ pi_c exp(temper sum_i log p_ic)
  evidence,
  // A mixture, w at the maximum of  sum_i log sum_c w_c p_ic + strength sum_c pi_c log w_c   Yao et al. 2018, eq. 8
  stacking,
  // The generalised product of experts, Cao & Fleet 2014: normal, of precision  P = sum_c w_c / v_c  and mean
  //   sum_c w_c m_c / (v_c P),  w at the maximum of the sum of log y_i's log densities + strength sum_c pi_c log w_c
  product,
};
std::string_view to_string(Combination combination);  // "evidence", "stacking", "product"

// The numbers in the formulas of Combination.
struct EnsembleOptions {
  Combination combination = Combination::evidence;  // how members become one
  // Rows left out are predicted from nearly the same others, so their errors go together: ten of them count as three.
  double temper = 0.3;
  double strength = 5;  // rows of support that the prior counts as
  double calm = 20;     // rows of support that the predicted variances count as
  // Weight below which a member is left out: it would cost its time, and move logs by 1 % of what they differ.
  double smallest_weight = 0.01;
  void each(OptionVisitor& on);  // names every option but combination once
  std::string error() const;     // "" when valid
};

// One learner of several that become one.
struct Member {
  std::string name;                        // as in chosen()
  std::shared_ptr<const Learner> learner;  // that gives uncertainty
  // Hyper-parameters that it fits to the very rows by which it is judged, p. Of n rows its prior is
  //   exp(-temper p (1 + (p + 1) / (n - p - 1))),
  // and 0 of p + 1 or fewer: the corrected criterion of Akaike, in nats, Hurvich & Tsai 1989.
  double fitted = 0;
  double prior = 1;  // beside the others, > 0
};

// The members, adapted to the support, as one. A member that does not predict a target has no weight there; one of prior 0 has
// weight only where nobody else predicts. Hyper-parameters of a member are fitted under its name: "gp/time/gp".
// adapted: what members made of this support already, [members] with nullptr where they did not, or [0]. doubted: what
// Predictor::doubted() is to say.
std::unique_ptr<const Predictor> combine(const std::vector<Member>& members, const Samples& support,
                                         const EnsembleOptions& options, const Fitted& fitted = {},
                                         std::vector<std::unique_ptr<const Predictor>> adapted = {},
                                         std::vector<Doubted> doubted = {});

// A checkpoint that holds those of several learners, each with its name before every entry, "proto/knobs", and the names as text
// `candidates`. A name is that of the learner, with a number after a dot where there are several, "proto.2"; a learner
// that needs no checkpoint has no entry.
struct MemberCheckpoint {
  std::string name;            // of the member
  Checkpoint checkpoint = {};  // without entries where it needs none
};
// The whole, for the learner of that name.
Checkpoint checkpoint_of_members(const std::string& learner, const std::vector<MemberCheckpoint>& members);
// Their names, in order. Throws std::invalid_argument when there are too many, or one of them twice.
std::vector<std::string> member_names(const Checkpoint& whole);
// That of one member; without entries where it has none.
Checkpoint member_checkpoint(const Checkpoint& whole, const std::string& name);
// The learner of a member, made by the registry. Throws std::invalid_argument when it cannot be one.
std::shared_ptr<const Learner> member_learner(const Checkpoint& whole, const std::string& name,
                                              const Registry& registry);

// Members of equal prior as one learner: of several methods, or of one from several initializers. The checkpoint names the
// combination as text `combination`.
class Ensemble final : public Learner {
 public:
  // Its combination is the checkpoint's, and the registry makes its members. Throws std::invalid_argument for a bad checkpoint or bad
  // options.
  explicit Ensemble(const Checkpoint& checkpoint, EnsembleOptions options = {},
                    const Registry& registry = builtin());
  std::unique_ptr<const Predictor> adapt(const Samples& support) const override {
    return update(support, {});
  }
  std::unique_ptr<const Predictor> update(const Samples& support, const Fitted& fitted) const override;

 private:
  std::vector<Member> members_;
  EnsembleOptions options_;
};

}  // namespace fewwatt::learners
