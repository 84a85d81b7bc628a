#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hw/device.hpp"
#include "hw/random.hpp"
#include "learners/change.hpp"
#include "learners/learner.hpp"
#include "learners/options.hpp"
#include "learners/update.hpp"

namespace fewwatt::learners {

// When a Governor moves, explores, forgets and takes the workload for another.
struct GovernorOptions {
  // A mode that was not measured is tried only where P(power <= budget) >= this, from the predictor.
  double confidence = 0.95;
  // A measured mode is kept only where P(power <= budget) >= this, from its own measurements.
  double kept = 0.5;
  // Modes looked at for one decision, besides those that were measured and their neighbours; `fewer` times fewer where others were
  // looked at with the same predictor, so that ten decisions without news see as many as one with.
  std::size_t candidates = 500, fewer = 10;
  // A workload is expected to stay for so many windows more, before anything is known of how long they stay.
  double stay_windows = 30;
  // Standard deviation of what the log of a mode's target may be off by beside what the predictor says: its bias is no change.
  double bias = 0.05;
  double least_noise = 0.01;      // standard deviation of a measurement's log, at least
  UpdateOptions forgetting = {};  // of earlier modes' measurements, in windows
  ChangeOptions change = {};      // when measurements are no longer what they were
  double surprise = 2.5;          // standard deviations, from which a new mode is cause to check
  double same = 3;                // standard deviations within which a workload of before is recognised
  // Windows after it was left in which a workload is not recognised: more than the few after a change that may be of both workloads.
  std::size_t left_alone_for = 10;
  // Windows after which a workload that was recognised is taken to be that, where none of its modes could be measured.
  std::size_t unconfirmed_for = 10;

  // What is predicted from the workload before the change has the share 1 / (1 + exp(-odds)) of a prediction,
  //   odds <- odds + temper (log density by both workloads - log density by the new one alone)
  // with each new mode. Standard deviation of what the log of a mode's target may be off by from that of the workload before,
  // shifted by what the two differ on average, and the rows that this counts as.
  double like_before = 0.04, like_before_rows = 5;
  // The learner goes by Samples::noise_factors: rows of the workload before can count less.
  bool inherits = true;
  std::size_t inherits_until = 12;  // measured modes: by then the new workload has told enough
  double odds_at_first = -1;        // a share of 0.27: most workloads are not like the one before
  double unlike = -4;               // odds, a share of 0.02, from which on it is done with
  double most_odds = 6;             // either way, so that three bad predictions undo what many good ones said
  double temper = 0.5;              // predictions of a workload's modes err together: two count as one
  double vague = 0.02;              // standard deviation of a log that neither prediction is better than

  // Exploring pays where what is gained in the windows that are left is more than the windows it takes: of a workload with fewer
  // measured modes, that is expected to stay for more windows, where a mode that is faster by this log may fit (1 / explores_for:
  // then a window is paid back in time); in modes that are slower by at most this log.
  std::size_t explores_until = 12;  // see above
  double explores_for = 20;         // see above
  double much_faster = 0.05;        // see above
  double much_slower = 0.4;         // see above

  std::size_t worth_keeping = 3;  // measured modes of a workload that is remembered
  std::size_t workloads = 8;      // of before that are remembered
  std::size_t rejected_for = 10;  // windows in which a mode is left alone where it could not be measured
  std::uint64_t seed = 0;         // of the candidates
  void each(OptionVisitor&
                on);  // all but confidence, inherits, forgetting and seed, which programs set in other ways
  std::string error() const;  // "" when valid
};

// Why a mode was chosen.
enum class MoveReason {
  start,        // nothing is known: the lowest mode
  check,        // what was measured is a surprise: a mode that is known is measured again
  try_out,      // what it is expected to gain is worth a window
  explore,      // faster modes may fit, but none is sure to: what tells most of power is measured
  best,         // the fastest measured mode that fits
  surest,       // no measured mode fits: a mode that is sure to
  least_power,  // nothing is sure to fit: the lowest mode, or what was measured to draw the least
  agent         // an agent proposed it (GovernedAgent)
};
std::string_view to_string(MoveReason reason);  // "start", "try", ...

// Keeps a workload that runs on and on inside a power budget, and makes it fast: one decision per window, and one measurement
// of the mode that ran in it. Moves to a mode when
//   P(fits) (d + EI (H - 1)) > 1 - P(fits) + c (2 - P(fits and d > 0))        d = log(time of the best / time), EI = E[max(d, 0)]
// for H windows that are left, of the workload or in all, and c windows that a move costs: what it costs to look, and to go back
// where that was for nothing, and what it may gain while it lasts; and only where P(fits) >= confidence. A mode that was over the
// budget when it was measured is left. Where none is sure enough to fit, and faster ones may, it explores a few slower ones.
// Where measurements are no longer what they were (ChangeDetector), it goes on with what it knows of an earlier workload that
// they are like, if one of that one's modes, the best where it fits, then costs what it did. Else it starts anew with those since
// the change, and while these are few it also predicts from the modes of the workload before, shifted by what the two differ on
// average, as rows with more noise: a mixture of two predictions, whose odds follow how well either predicts what is measured.
class Governor {
 public:
  // `learner` gives uncertainty. Throws std::invalid_argument for options.error(), and a space without modes.
  Governor(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
           GovernorOptions options = {});

  // What to do next.
  struct Move {
    hw::PowerMode mode;                     // for the next window
    MoveReason reason = MoveReason::start;  // why this one
  };
  // The mode for the next window. Throws std::invalid_argument unless budget_w > 0. windows_left: until the end, this one
  // included; infinity where it is not known.
  Move next(double budget_w, double windows_left = std::numeric_limits<double>::infinity());

  // What a window in a mode measured; NaN where something was not measured. True: the workload has changed. Throws
  // std::invalid_argument for a mode that the space lacks, or a value that is not positive.
  bool tell(const hw::PowerMode& mode, const hw::Measurement& measurement);
  // The last move to another mode cost so many windows, in which the workload stood still. The mean of those told is what the
  // next one is expected to cost; 0 where none was. Throws std::invalid_argument unless windows >= 0.
  void moved(double windows);
  // A window whose measurement cannot be trusted: nothing is learned but that.
  void reject(const hw::PowerMode& mode);

  // Whether it leaves a mode alone: measurements say that it does not keep the budget, > 0, or it could not be measured in one of the last
  // GovernorOptions::rejected_for windows.
  bool avoids(const hw::PowerMode& mode, double budget_w) const;
  const hw::PowerMode& lowest() const { return lowest_; }  // PowerModeSpace::lowest() of its space
  std::size_t changes() const { return changes_; }         // how often the workload has changed
  bool recognised() const { return recognised_; }          // the present workload is one of before
  // Measured modes of the present workload, their means.
  Samples samples() const;

 private:
  struct Known {  // of a target in a measured mode
    Level level;
    double sum = 0, weight = 0;  // of logs, earlier ones forgotten
    std::size_t last = 0;        // window
  };
  using Knowns = std::array<Known, tasks::kNumTargets>;
  struct Workload {
    std::map<hw::PowerMode, Knowns> modes;
    std::shared_ptr<const Predictor> predictor;  // adapted to so many modes
    std::size_t adapted_to = 0;
    std::array<double, tasks::kNumTargets> noise_variance{};  // of a measurement's log
    std::size_t left = 0;                                     // window
    std::size_t explored = 0;                                 // windows
    std::shared_ptr<const Workload> after;                    // the last one before it that is known
    std::shared_ptr<const Predictor> inheriting;              // from that; nullptr: the predictor alone
    double odds = 0;                                          // log of the odds that this one is right
  };
  struct Told {
    hw::PowerMode mode;
    std::array<double, tasks::kNumTargets> logs{};
    std::optional<Knowns> before;  // what was known of the mode
  };
  struct Recalled {     // taken for a workload of before, until a mode of that is measured
    Workload workload;  // as it was
    std::shared_ptr<const Workload> after;
    std::vector<Told> since;
  };
  struct Candidates {  // logs, [n] each
    std::vector<hw::PowerMode> modes;
    std::array<Vector, tasks::kNumTargets> mean, variance;
  };

  struct Standing {  // measured modes; nullptr: none
    const hw::PowerMode *best = nullptr, *lowest = nullptr;
    double best_time = 0;  // log
  };
  struct Prospects {  // modes among the candidates; nullptr: none
    const hw::PowerMode *chosen = nullptr, *telling = nullptr;
    double fastest = 0;  // log of the time of promising_
  };

  Workload nothing_known(std::shared_ptr<const Workload> after) const;
  void adapt(Workload& workload) const;
  Samples samples_of(const Workload& workload) const;
  Samples samples_with_those_before(const Workload& workload) const;
  Prediction predict(const Workload& workload, std::span<const hw::PowerMode> modes) const;
  void weigh(Workload& workload, const Told& told) const;
  std::optional<Level> expected(const Workload& workload, const hw::PowerMode& mode, int target) const;
  std::array<double, tasks::kNumTargets> learn(Workload& workload, Told& told) const;
  void start_anew();
  void recognise(const Told& told);  // sets recognised_
  void remember(Workload workload);
  bool is_contradicted(const Told& told, const std::array<double, tasks::kNumTargets>& residuals);
  void dismiss();
  void watch_anew();
  Candidates candidates(const hw::PowerMode* best, bool again);
  Standing standing(double log_budget) const;
  Prospects prospects(const Candidates& all, const Standing& known, double log_budget, double horizon,
                      double move);
  bool fits_as_measured(const hw::PowerMode& mode, double log_budget) const;
  bool was_rejected(const hw::PowerMode& mode) const;

  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::shared_ptr<const Learner> learner_;
  GovernorOptions options_;
  hw::PowerMode lowest_;
  hw::Rng rng_;
  ChangeDetector detector_;
  Workload now_;
  std::vector<Workload> before_;
  std::optional<Recalled> recalled_;
  std::vector<Told> told_;  // that may be of another workload already
  std::optional<hw::PowerMode> promising_, best_, check_;
  std::optional<double> last_power_w_;             // measured
  double caution_ = 0;                             // log of that over what was expected, at least 0
  double held_ = 0;                                // of it, in force
  int surer_ = 0;                                  // windows over the budget, one after the other
  std::map<hw::PowerMode, std::size_t> rejected_;  // in which window
  double moves_cost_ = 0;                          // windows
  std::size_t moves_ = 0;                          // that were told
  std::size_t window_ = 0, changes_ = 0;
  bool recognised_ = false,
       unsettled_ = false;  // unsettled: nothing is certain but that the workload is another
};

}  // namespace fewwatt::learners
