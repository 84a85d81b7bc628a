#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/device.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {

// The choice of power modes as a Markov decision process: its actions, observations and rewards. ModeEnvironment makes an environment of
// them, and what runs a trained agent on a board uses the same code, so that the agent sees there what it was trained with.
//
// An episode has k measurements. The first is of the reference mode, the lowest (PowerModeSpace::lowest()), before any action; each step
// measures the mode that its action leads to. With t the measured time, p the measured power and b the budget, a mode is worth
//
//   scaled   r = - t / t_ref - lambda max(0, p / b - 1)      t_ref: time in the reference mode
//   posed    r = - t         - lambda max(0, p - b)          ms, W
//   log      r = - log(t / t_ref) - lambda max(0, p / b - 1)   a mode that is 5 % faster is worth as much more, however fast both are
//
// A time that was not measured counts as t_ref, and a power as inside the budget.

// The name of this form of actions and observations; another name when they change. Agents state it: PolicyModel::environment.
inline constexpr const char* kModeMdp = "power modes, 2";

// What counts.
enum class ModeTask {
  find,  // the best mode among k measurements: a step's reward is the rise of max r over all measurements so far, 0 at the first
  run    // every step: its reward is r
};
// What an action is.
enum class ModeActionKind {
  jump,  // to a mode
  move   // of one knob by one level, or stay
};
// In which units r is.
enum class RewardForm { scaled, posed, log };
// The names of all of them.
inline constexpr std::array<std::pair<std::string_view, ModeTask>, 2> kModeTasks = {
    {{"find", ModeTask::find}, {"run", ModeTask::run}}};
inline constexpr std::array<std::pair<std::string_view, ModeActionKind>, 2> kModeActionKinds = {
    {{"jump", ModeActionKind::jump}, {"move", ModeActionKind::move}}};
inline constexpr std::array<std::pair<std::string_view, RewardForm>, 3> kRewardForms = {
    {{"scaled", RewardForm::scaled}, {"posed", RewardForm::posed}, {"log", RewardForm::log}}};

inline constexpr double kMostLambda = 1e6;                 // bound of lambda
inline constexpr std::size_t kMostMeasurements = 100'000;  // bound of an episode's length
inline constexpr std::size_t kMostActions = 100'000;       // bound of the number of actions

// Which process it is.
struct ModeMdpOptions {
  ModeTask task = ModeTask::find;                 // what counts
  ModeActionKind actions = ModeActionKind::jump;  // what an action is
  RewardForm reward = RewardForm::scaled;         // the form of r
  // lambda of r. 10: a tenth over the budget costs as much as all the time that there is to gain.
  double lambda = 10;
  std::size_t measurements = 15;  // k, in [2, kMostMeasurements]
  // jump: the actions are so many modes, drawn anew for each episode, where the space has more; 0 = all modes.
  std::size_t candidates = 0;
  // The part of a step that is lost where it changes the mode: t counts as t / (1 - switch_share). In [0, 0.9].
  double switch_share = 0;
  std::string error() const;  // "" when valid
};

// r of a measurement; values of it that are not positive and finite are not known. budget_w: infinity where there is none.
// reference_ms: t_ref; where it is NaN, t / t_ref counts as 1, and a t that is not known as 0. moved: the mode was changed.
double mode_worth(const ModeMdpOptions& options, const hw::Measurement& measurement, double budget_w,
                  double reference_ms, bool moved);

// ---- knobs of any number ----

// Knobs by kind and domain. Features have a place for each slot, whatever knobs a device has.
inline constexpr std::array<std::string_view, 6> kKnobSlots = {
    "count/cpu", "clock/cpu", "clock/gpu", "clock/mem", "power_limit/board", "size/board"};
std::size_t slot_of(hw::KnobRole role);  // its place in kKnobSlots
// The slots that the space has knobs in, by their names, in the order of kKnobSlots.
std::vector<std::string> knob_slots(const hw::PowerModeSpace& space);

// x and log x per slot, x = setting / the knob's highest level; the means of these where a slot has several knobs, 1 and 0 where it has
// none. [2 slots]
inline constexpr std::size_t kModeFeatures = 2 * kKnobSlots.size();
Vector mode_features(const hw::PowerModeSpace& space, const hw::PowerMode& mode);

// ---- actions ----

// The actions in a space. Both kinds have rows of the same size, [n, kActionFeatures]:
//   jump   mode_features() of the mode, and 0s
//   move   0s, and per slot the direction of its knob: 1 up, -1 down; all 0: stay
inline constexpr std::size_t kActionFeatures = kModeFeatures + kKnobSlots.size();
class ModeActions {
 public:
  // Throws std::invalid_argument for options.error(), and for more than kMostActions modes with candidates = 0. The seed is of candidates.
  ModeActions(std::shared_ptr<const hw::PowerModeSpace> space, const ModeMdpOptions& options,
              std::uint64_t seed);
  const Matrix& rows() const { return rows_; }                                 // of the actions
  std::size_t size() const { return static_cast<std::size_t>(rows_.rows()); }  // their number
  // The mode to which an action leads. A move leads to the mode with the nearest higher, or lower, setting of its knob: that of the least
  // sum of differences in levels over all knobs, the first of several. On a grid no other knob changes. Where there is no such mode, it
  // stays. Throws std::out_of_range.
  hw::PowerMode target(std::size_t action, const hw::PowerMode& from) const;
  // The jump to a mode; nullopt where there is none.
  std::optional<std::size_t> jump_to(const hw::PowerMode& mode) const;

 private:
  struct Move {
    std::size_t knob;
    bool up;
  };
  hw::PowerMode moved(const Move& move, const hw::PowerMode& from) const;

  std::shared_ptr<const hw::PowerModeSpace> space_;
  std::vector<hw::PowerMode> modes_;  // of jumps, ascending
  std::vector<Move> moves_;           // the last action is to stay
  Matrix rows_;
};

// To find a mode, a measured one is not jumped to again: a second measurement of it cannot be better. While an episode goes on, these are the
// jumps to what was measured.
class SpentActions {
 public:
  // Nothing was measured yet.
  explicit SpentActions(const ModeMdpOptions& options)
      : counts_(options.task == ModeTask::find && options.actions == ModeActionKind::jump) {}
  // This mode was measured. Where all were, it begins anew.
  void told(const ModeActions& actions, const hw::PowerMode& mode);
  // What may not be done now, by the numbers of actions, in the order of the measurements.
  const std::vector<std::size_t>& indices() const { return indices_; }

 private:
  bool counts_;
  std::vector<std::size_t> indices_;
};

// ---- observations and rewards ----

// What is observed, [kObservation]. A number that is not known is 0, and so is its flag.
//   per slot: whether there is a knob; mode_features() of the mode that was measured last
//   log time / reference, flag; log power / reference, flag          of the last measurement; reference: the first that was known
//   log power / budget, flag of a budget; log reference power / budget
//   flag: the last measurement was rejected
//   find: log time / reference of the fastest mode inside the budget, flag, and mode_features() of it
//   log10(1 + c) / 10 and flag of each of the workload's characteristics
//   measurements made / k, at most 1
inline constexpr std::size_t kObservation =
    kKnobSlots.size() + 2 * kModeFeatures + 4 + 3 + 1 + 2 + 2 * std::size(kCharacteristics) + 1;

// Follows one episode.
class ModeObserver {
 public:
  // Throws std::invalid_argument for options.error().
  ModeObserver(std::shared_ptr<const hw::PowerModeSpace> space, ModeMdpOptions options,
               const Characteristics& characteristics);
  // A mode was measured under a budget, infinity where there was none; a measurement that was throttled or has neither time nor power was
  // rejected. Values that are not positive and finite are not known. reference_ms: t_ref, where it is known better than from the first
  // measurement with a time. Returns the reward of this step; that of the first call, before any action, is of no use. Throws
  // std::invalid_argument for a mode that the space lacks.
  double tell(const hw::PowerMode& mode, const hw::Measurement& measurement, double budget_w,
              std::optional<double> reference_ms = std::nullopt);
  // With the budget of the next step.
  Vector observation(double budget_w) const;
  std::size_t told() const { return told_; }           // measurements, rejected ones too
  const hw::PowerMode& mode() const { return mode_; }  // that was measured last

 private:
  struct Known {
    double time_ms, power_w;  // NaN: not known
  };
  struct Found {
    Known known;
    hw::PowerMode mode;
  };
  std::shared_ptr<const hw::PowerModeSpace> space_;
  ModeMdpOptions options_;
  Vector slots_, characteristics_;  // the parts of an observation that stay
  hw::PowerMode mode_;
  Known last_{}, reference_{};
  std::vector<Found> found_;  // find: what counts
  double best_ = 0;           // find: its max r
  std::size_t told_ = 0;
};

}  // namespace fewwatt::tasks
