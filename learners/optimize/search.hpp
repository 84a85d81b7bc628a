#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learners/optimize/choose.hpp"
#include "learners/options.hpp"
#include "learners/samplers/sampler.hpp"

namespace fewwatt::learners {

// What a search looks for: the mode of least objective within the limits. A mode counts as within them when its own measurement was,
// and the probability that it is, given all measurements, is at least `limits.confidence`.
struct Goal {
  Objective objective = Objective::time;                // what is minimised
  PowerBudget limits;                                   // of power, time and energy
  std::string error() const { return limits.error(); }  // "" when valid: a valid budget
};

// How a search spends its measurements.
struct SearchOptions {
  std::size_t planned = 15;  // number of measurements in all
  // How many of them are a designed start, to learn what the workload is like; the others are chosen for the goal. 0 = two thirds of
  // all, at most 10.
  std::size_t designed = 0;
  std::uint64_t seed = 0;  // of random choices
  std::size_t pool = 500;  // modes that are looked at closely
  // Larger spaces are predicted in full once in look_around_every measurements, which costs seconds there, and their start is
  // designed on so many modes. In between, the pool is of the modes with the largest p EI, were all errors `promise` times wider:
  // what one more measurement may still move up.
  std::size_t all_at_once = 1500, look_around_every = 10;
  double promise = 2;  // factor of the errors of modes for the pool
  // Without an answer and with so few measurements left, any answer is better than none: the best mode that fits with probability
  // `sure` is measured, or the surest.
  std::size_t last_chances = 2;
  double sure = 0.95;  // probability to keep the limits
  // Of one mode: three measurements narrow its mean by 1 / sqrt(3); what they leave open is not settled by a few more.
  int most_of_a_mode = 3;
  int gain_draws =
      400;            // of the posterior; the mean of the gain is then known to 1 / sqrt(400) of its spread
  double safe = 0.9;  // what `safe` only measures: modes that keep the limits with this probability
  // `safe` widens what it knows when the log that p EI promises to gain is less than this: no measurement is repeated so exactly.
  double small_gain = 1e-3;
  // Standard deviation of the log of a measurement that is made again in the same mode. What a learner calls noise beyond this
  // is the mode's own, so its measurement says more of it than of others.
  double repeat_error = tasks::kUsualNoise;
  // What an answer that breaks a limit costs, in logs of the objective. The better of two answers has the smaller
  //   score + price_of_breaking (1 - P(keeps the limits)).
  double price_of_breaking = 0.05;
  // The search ends when the next measurement is expected to lower the objective by less than this fraction. 0 = never; bisection,
  // predict and random allow only that.
  double stop_gain = 0;
  tasks::Characteristics characteristics = {};  // of the workload
  std::size_t start() const;                    // `designed`, or what its 0 stands for
  void each(
      OptionVisitor&
          on);  // all but planned, seed, stop_gain and characteristics, which programs set in other ways
  std::string error() const;  // "" when valid
};

// What a search recommends.
struct Answer {
  hw::PowerMode mode;       // the recommended mode
  double time_ms, power_w;  // as measured; predicted where the mode was not measured; NaN = unknown
  double objective;         // value of Goal::objective
  bool measured;            // whether the mode was measured
};

// A search in a closed loop: ask() proposes the next mode, tell() says what it cost. The search has ended when ask() gives none: all
// planned measurements are made, no mode is left, or more would gain too little (SearchOptions::stop_gain). Unlike other samplers,
// searches by expected improvement may ask for the same mode again, where measurements leave open whether it keeps a limit.
class Search : public tasks::ModeSampler {
 public:
  // The best measured mode within the limits; nullopt where there is none. Once the start is over, the learner judges the modes by
  // all measurements.
  virtual std::optional<Answer> answer() = 0;
  // The measured mode that breaks the limits by the smallest factor; nullopt where nothing was measured.
  virtual std::optional<Answer> nearest() const = 0;
  // The fraction of the objective that `more` further measurements are expected to gain, if all of them were chosen now, in the
  // modes of largest p EI. Measurements that are chosen one after the other may gain more. Estimated by drawing their results from
  // the posterior. NaN where there is no answer yet, or the search has no learner.
  virtual double expected_gain(std::size_t more) = 0;
  // Gives the search a new goal. What was measured before still counts. Throws std::invalid_argument for a bad goal.
  virtual void aim(const Goal& goal) = 0;
};

// A search as a registry has it: what it is, asked before it is used, and how it is made.
struct SearchEntry {
  // When the goal begins to matter: from the first mode on, after SearchOptions::start() modes, or for the answer alone.
  enum class Aims { at_once, after_start, at_the_end };
  std::string name;                       // "designed-ei"
  std::string about = {};                 // one line
  bool needs_learner = false;             // whether make must get one
  Aims aims = Aims::at_once;              // when the goal begins to matter
  bool knows_gain = false;                // SearchOptions::stop_gain may be above 0
  bool predicts_answer = false;           // its answer is a mode that it need not have measured
  std::vector<std::string> goes_by = {};  // names of those of SearchOptions::each() that it reads
  // The learner may be nullptr unless it is needed; goal and options are valid.
  std::function<std::unique_ptr<Search>(std::shared_ptr<const hw::PowerModeSpace>,
                                        std::shared_ptr<const Learner>, const Goal&, const SearchOptions&)>
      make = {};

  // How many modes it measures first that do not depend on the goal.
  std::size_t without_goal(const SearchOptions& options) const;
  // "" when valid.
  std::string error() const { return make ? "" : "it has no function make"; }
};

//   designed-ei  the default: a designed start (sampler alc-front), then constrained expected improvement, p EI, with the learner
//                (Gardner et al. 2014, eq. 6; in logs). While no measured mode fits, it improves on the mode that is surest to fit
//   ei           the same after a random start
//   thompson     after the designed start, the best mode of a draw from the posterior (constrained Thompson sampling, Eriksson &
//                Poloczek 2021)
//   safe         starts at the lowest setting of all knobs, and then measures only modes that keep the limits with probability `safe`:
//                the largest expected improvement among these, or, where that is small, the most uncertain one (in the manner of
//                SafeOpt, Sui et al. 2015)
//   bisection    halves the ranges of knobs by throughput per watt: our reading of what is published of Fulcrum's GMD; no learner
//   predict      random modes; the answer is what is predicted to be best, and need not be measured (PowerTrain, with its learner)
//   random       random modes
std::vector<SearchEntry> builtin_searches();

// The search of that name in `space`. `learner` may be nullptr unless needs_learner(name). Throws std::invalid_argument listing the
// known names, or naming a bad option.
std::unique_ptr<Search> make_search(std::string_view name, std::shared_ptr<const hw::PowerModeSpace> space,
                                    std::shared_ptr<const Learner> learner, const Goal& goal,
                                    const SearchOptions& options, const Registry& registry = builtin());

}  // namespace fewwatt::learners
