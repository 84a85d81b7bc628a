#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "learners/optimize/choose.hpp"
#include "learners/samplers/sampler.hpp"

namespace fewwatt::learners {

// What a search is after: the mode of least objective within the limits. A mode is taken to keep them when the probability
// that it does, given all measurements, is at least `limits.confidence`, and its own measurement did.
struct Goal {
  Objective objective = Objective::time;
  PowerBudget limits;
  // "" when valid: a valid budget.
  std::string error() const { return limits.error(); }
};

struct SearchOptions {
  std::size_t planned = 15;  // measurements in all
  // Of them, to learn what the workload is like; the rest are for the goal. 0 = two thirds, at most 10.
  std::size_t designed = 0;
  std::uint64_t seed = 0;
  std::size_t pool = 500;  // modes that are looked at closely
  double safe = 0.9;       // what `safe` only measures: modes that keep the limits with this probability
  // Standard deviation of the log of a measurement that is made again in the same mode. What a learner calls noise beyond this
  // is the mode's own, so its measurement says more of it than of others.
  double repeat_error = tasks::kUsualNoise;
  // What an answer that breaks a limit costs, in logs of the objective: of two answers the better one has the less
  //   score + price_of_breaking (1 - P(keeps the limits)).
  double price_of_breaking = 0.05;
  // Stops when the next measurement is expected to lower the objective by less than this fraction; 0 = never, and all that
  // bisection, predict and random can do.
  double stop_gain = 0;
  tasks::Characteristics characteristics = {};
  std::size_t start() const;  // `designed`, or what its 0 stands for
  std::string error() const;  // "" when valid
};

struct Answer {
  hw::PowerMode mode;
  double time_ms, power_w;  // measured, or, where it was not measured, predicted; NaN = unknown
  double objective;
  bool measured;
};

// A closed loop: proposes the next mode, is told what it cost, and ends when ask() gives none: all planned measurements are made,
// no mode is left, or measuring more would not pay (SearchOptions::stop_gain). Unlike other samplers, those by expected
// improvement may ask for a mode once more, where measurements leave open whether it keeps a limit.
class Search : public tasks::ModeSampler {
 public:
  // The best of what was told within the limits, once the start is over by what the learner makes of all measurements; nullopt when
  // nothing is.
  virtual std::optional<Answer> answer() = 0;
  // Of what was measured, what breaks the limits by the smallest factor; nullopt where nothing was.
  virtual std::optional<Answer> nearest() const = 0;
  // The fraction of the objective that `more` further measurements are expected to gain, made all at once where p EI is
  // largest; so few are not known to gain more than that. By drawing what they cost from the posterior. NaN where there is no
  // answer yet, or the search has no learner.
  virtual double expected_gain(std::size_t more) = 0;
  // From now on the search is after this. What was measured stays. Throws std::invalid_argument for a bad goal.
  virtual void aim(const Goal& goal) = 0;
};

//   designed-ei  the default: a designed start (sampler alc-front), then constrained expected improvement, p EI, with the learner
//                (Gardner et al. 2014, eq. 6; in logs); while nothing fits, as if the mode surest to fit had been measured
//   ei           the same after a random start
//   thompson     after the designed start, the best mode of a draw from the posterior (constrained Thompson sampling, Eriksson &
//                Poloczek 2021)
//   safe         from the lowest setting of all knobs on, only modes that keep the limits with probability `safe`: expected
//                improvement among these, or, where none is promised, the most uncertain (in the manner of SafeOpt, Sui et al. 2015)
//   bisection    own reading of a search that halves ranges of knobs by throughput per watt, as Fulcrum's GMD is said to; no learner
//   predict      random modes, then what is predicted to be best, not measured (PowerTrain, with its learner)
//   random       random modes
std::span<const std::string_view> search_names();
bool needs_learner(std::string_view search);
// How many modes it measures first that do not depend on the goal.
std::size_t without_goal(std::string_view search, const SearchOptions& options);

// Throws std::invalid_argument listing the known names, or naming a bad option.
std::unique_ptr<Search> make_search(std::string_view name, std::shared_ptr<const hw::PowerModeSpace> space,
                                    std::shared_ptr<const Learner> learner, const Goal& goal,
                                    const SearchOptions& options);

}  // namespace fewwatt::learners
