#include "meta/training_run.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <sstream>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "hw/random.hpp"
#include "hw/readable.hpp"
#include "hw/text.hpp"
#include "meta/outer_learner.hpp"

namespace fewwatt::meta {
namespace {

using datasets::Profile;
using learners::Checkpoint;
using Profiles = std::vector<Profile>;
using tasks::kNumTargets;
using tasks::kTargetNames;

constexpr std::size_t kMaxFolds = 4;

// FNV-1a, 64 bit, of everything that training sees.
class Hash {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) add_byte(static_cast<unsigned char>(value >> (8 * byte)));
  }
  void add(double value) { add(std::isnan(value) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value)); }
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
  }
  std::string hex() const {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(value_ >> shift) & 15];
    return text;
  }

 private:
  void add_byte(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

// Without the values of targets that no profile of `trained_on` has: nothing is trained that predicts them.
std::vector<tasks::Task> validation_tasks(const InitializerRequest& request, const Profiles& left_out,
                                          const Profiles& trained_on) {
  std::vector<tasks::Task> all;
  for (const auto& profile : left_out) {
    for (const auto shots : request.shots) {
      if (profile.modes.size() <= shots) continue;
      for (int draw = 0; draw < request.validation_draws; ++draw) {
        auto rng = hw::Rng::stream(request.seed, "validation " + profile.device + "/" + profile.workload,
                                   shots * 1000 + static_cast<std::size_t>(draw));
        all.push_back(tasks::sample_task(profile, shots, rng));
      }
    }
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const bool trained = std::any_of(trained_on.begin(), trained_on.end(), [&](const Profile& profile) {
      return tasks::samples_of(profile).has(static_cast<tasks::Target>(t));
    });
    if (trained) continue;
    for (auto& task : all) {
      task.support.targets.col(t).setConstant(std::nan(""));
      task.query.targets.col(t).setConstant(std::nan(""));
    }
  }
  return all;
}

// Without the profiles that have too few modes for a task.
tasks::TaskSource source_of(const Profiles& profiles, const Profiles& also,
                            const tasks::TaskSourceOptions& options,
                            const std::function<void(const std::string&)>& log) {
  const auto with_enough_modes = [&](const Profiles& all) {
    Profiles enough;
    for (const auto& profile : all) {
      if (profile.modes.size() > options.min_shots) {
        enough.push_back(profile);
      } else if (log) {
        log(profile.device + "/" + profile.workload + " is not trained on: it has " +
            std::to_string(profile.modes.size()) + " modes, and tasks with " +
            std::to_string(options.min_shots) + " measured modes need more");
      }
    }
    return enough;
  };
  return tasks::TaskSource(with_enough_modes(profiles), options, with_enough_modes(also));
}

Profiles joined(Profiles first, const Profiles& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// ---- the state of a run as a checkpoint ----

// What the folds have found so far.
struct FoldScores {
  std::size_t next_fold = 0;
  double steps = 0;  // sum of the best steps
  int scored_folds = 0;
  std::array<std::vector<double>, kNumTargets> log_errors;  // sums, per setting
  std::array<int, kNumTargets> scored{};                    // tasks
};

std::string hash_of_checkpoint(const Checkpoint& checkpoint) {
  Hash hash;
  for (const auto& [name, values] : checkpoint.tensors) {
    hash.add(name);
    for (const double value : values.reshaped<Eigen::RowMajor>()) hash.add(value);
  }
  for (const auto& [name, values] : checkpoint.numbers) {
    hash.add(name);
    for (const double value : values) hash.add(value);
  }
  for (const auto& [name, value] : checkpoint.texts) {
    hash.add(name);
    hash.add(value);
  }
  return hash.hex();
}

Checkpoint pack(const RunIdentity& identity, const FoldScores& scores, const TrainState* train) {
  auto state = begin_state(identity);
  state.numbers["fold"] = {static_cast<double>(scores.next_fold)};
  state.numbers["fold_steps"] = {scores.steps};
  state.numbers["scored_folds"] = {static_cast<double>(scores.scored_folds)};
  for (int t = 0; t < kNumTargets; ++t) {
    const std::string prefix = std::string("fold_") + kTargetNames[t];
    if (!scores.log_errors[t].empty()) state.numbers[prefix + "_log_errors"] = scores.log_errors[t];
    state.numbers[prefix + "_scored"] = {static_cast<double>(scores.scored[t])};
  }
  if (train == nullptr) return state;
  state.numbers["train"] = {static_cast<double>(train->step), static_cast<double>(train->best_step),
                            train->best_error, static_cast<double>(train->not_better)};
  insert(state, "state/", train->learner);
  if (train->best_step >= 0) insert(state, "best/", train->best);
  return state;
}

FoldScores unpack_scores(const Checkpoint& state) {
  FoldScores scores;
  constexpr double kMostFoldSteps = 4e6;  // of all folds together
  scores.next_fold = static_cast<std::size_t>(state.integer("fold", 0, static_cast<int>(kMaxFolds)));
  scores.steps = state.real("fold_steps", 0, kMostFoldSteps);
  scores.scored_folds = state.integer("scored_folds", 0, static_cast<int>(kMaxFolds));
  for (int t = 0; t < kNumTargets; ++t) {
    const std::string prefix = std::string("fold_") + kTargetNames[t];
    if (state.has_number(prefix + "_log_errors"))
      scores.log_errors[t] = state.number_list(prefix + "_log_errors");
    scores.scored[t] = state.integer(prefix + "_scored", 0, kMostSteps);
  }
  return scores;
}

std::optional<TrainState> unpack_train(const Checkpoint& state) {
  if (!state.has_number("train")) return std::nullopt;
  const auto& numbers = state.number_list("train");
  if (numbers.size() != 4) throw std::invalid_argument("--resume: train must have 4 numbers");
  TrainState train;
  const auto whole = [](double value, int least) {
    const auto found = hw::as_int(value, least, kMostSteps);
    if (!found)
      throw std::invalid_argument("--resume: train: expected whole numbers of steps, found " +
                                  std::to_string(value));
    return *found;
  };
  train.step = whole(numbers[0], 0);
  train.best_step = whole(numbers[1], -1);
  train.best_error = numbers[2];
  train.not_better = whole(numbers[3], 0);
  train.learner = extract(state, "state/");
  if (train.best_step >= 0) train.best = extract(state, "best/");
  return train;
}

}  // namespace

std::string hash_of(const std::vector<Profile>& profiles) {
  Hash hash;
  for (const auto& profile : profiles) {
    hash.add(profile.device);
    hash.add(profile.workload);
    for (const auto& knob : profile.space->knobs()) {
      hash.add(hw::to_string(knob.role));
      for (const int level : knob.levels) hash.add(static_cast<std::uint64_t>(level));
    }
    for (std::size_t i = 0; i < profile.modes.size(); ++i) {
      for (const int setting : profile.modes[i]) hash.add(static_cast<std::uint64_t>(setting));
      hash.add(profile.measurements[i].time_ms);
      hash.add(profile.measurements[i].power_w);
    }
  }
  return hash.hex();
}

RunIdentity identity_of(const InitializerRequest& request, const Profiles& training) {
  RunIdentity all;
  const auto add = [&](const std::string& name, const auto& value) {
    std::ostringstream text;
    text.precision(17);
    text << value;
    all[name] = text.str();
  };
  add("learner", request.name);
  add("seed", request.seed);
  add("shots", hw::join(request.shots, ","));
  add("validation-draws", request.validation_draws);
  add("set", request.settings.empty() ? "nothing" : learners::to_text(request.settings));
  all["profiles"] = hash_of(joined(training, request.also));
  all["init"] = request.init ? hash_of_checkpoint(*request.init) : "none";
  return all;
}

Checkpoint begin_state(const RunIdentity& identity) {
  Checkpoint state;
  state.learner = learners::kTrainingState;
  for (const auto& [name, value] : identity) state.texts[learners::kStateOf + name] = value;
  return state;
}

void check_identity(const RunIdentity& wanted, const Checkpoint& state) {
  if (state.learner != learners::kTrainingState) {
    throw std::invalid_argument("--resume must name the state of a training run, is a checkpoint of " +
                                state.learner);
  }
  for (const auto& [name, value] : wanted) {
    const auto& stored = state.text(learners::kStateOf + name);
    if (stored == value) continue;
    if (name == "profiles") {
      throw std::invalid_argument("--resume: the run was trained on other profiles, or held out others");
    }
    if (name == "init") throw std::invalid_argument("--resume: the run started from another --init");
    throw std::invalid_argument("--resume: the run has --" + name + " " + stored + ", asked for is " + value);
  }
}

TrainedInitializer run_outer_loops(const InitializerRequest& request, const Plan& plan,
                                   const Profiles& training, const RunHooks& hooks, const Checkpoint* resume,
                                   const learners::Registry& registry) {
  const auto log = [&](const std::string& line) {
    if (hooks.log) hooks.log(line);
  };
  const auto self = identity_of(request, training);
  FoldScores scores;
  std::optional<TrainState> from;
  if (resume != nullptr) {
    check_identity(self, *resume);
    scores = unpack_scores(*resume);
    from = unpack_train(*resume);
  }

  std::map<std::string, std::size_t> fold_of;
  for (const auto& profile : training) fold_of.try_emplace(profile.workload, fold_of.size());
  const std::size_t folds = fold_of.size() < 2 || request.init ? 0 : std::min(kMaxFolds, fold_of.size());

  // One phase of the run: its loop, with the hooks of the whole.
  const auto run_phase = [&](const std::string& name, std::size_t index, OuterLoop& loop,
                             tasks::TaskSource source, std::vector<tasks::Task> validation) {
    const auto phases = static_cast<double>(folds) + (loop.untrained ? 0 : 1);
    const TrainHooks inner = {
        .progress =
            [&](const Progress& now) {
              if (!hooks.progress) return;
              const double here = static_cast<double>(now.step) / std::max(1, now.steps);
              hooks.progress({name, now, (static_cast<double>(index) + here) / std::max(1.0, phases)});
            },
        .interrupted = hooks.interrupted,
        .save =
            [&](const TrainState& state) {
              if (hooks.save) hooks.save(pack(self, scores, &state));
            }};
    const ModeEpisodes episodes(std::move(source), loop.modes.encoder, request.seed);
    auto summary = train(*loop.modes.learner, episodes, validation_on(std::move(validation), registry),
                         loop.train, inner, from ? &*from : nullptr);
    from.reset();
    return summary;
  };

  // Nothing is lost: what was saved last, or came with `resume`, is where to go on.
  const auto stopped_before = [&](const std::string& name) {
    if (hooks.save) hooks.save(pack(self, scores, from ? &*from : nullptr));
    return TrainedInitializer{{}, Stop::interrupted, "interrupted before the first outer step of " + name};
  };

  while (scores.next_fold < folds) {
    const auto fold = scores.next_fold;
    Profiles kept, left_out;
    for (const auto& profile : training) {
      (fold_of.at(profile.workload) % folds == fold ? left_out : kept).push_back(profile);
    }
    const auto name = "fold " + std::to_string(fold + 1) + "/" + std::to_string(folds);
    const auto trained_on = joined(kept, request.also);
    const auto validation = validation_tasks(request, left_out, trained_on);
    if (validation.empty()) {
      log(name + ": skipped, its workloads have too few modes to validate on");
      ++scores.next_fold;
      continue;
    }
    std::optional<OuterLoop> planned;
    try {
      planned = plan(request, trained_on);
    } catch (const Interrupted&) {
      return stopped_before(name);
    }
    auto& loop = *planned;
    const auto summary =
        run_phase(name, fold, loop, source_of(kept, request.also, loop.source, {}), validation);
    const auto stopped_here = [&] {
      return TrainedInitializer{
          summary.best, Stop::interrupted,
          "interrupted in " + name + " after " + std::to_string(summary.steps) + " outer steps"};
    };
    if (summary.stop == Stop::interrupted) return stopped_here();
    std::string line = name + ": best after " + std::to_string(summary.best_step) + " steps, error " +
                       hw::readable_number(summary.best_error) + " %";
    if (summary.stop == Stop::diverged) line += "; stopped, " + summary.message;
    log(line);

    auto next = scores;
    next.steps += summary.best_step;
    ++next.scored_folds;
    ++next.next_fold;
    for (auto& errors : next.log_errors) errors.resize(loop.settings.count, 0.0);
    for (const auto& task : validation) {
      if (loop.settings.count == 0) break;  // nothing to choose
      if (hooks.interrupted && hooks.interrupted()) return stopped_here();
      for (const auto target : {tasks::kTimeMs, tasks::kPowerW}) {
        if (!task.support.has(target) || !task.query.has(target)) continue;
        std::vector<double> errors;
        try {
          errors = loop.settings.errors(summary.best, target, task);
        } catch (const Interrupted&) {
          return stopped_here();
        }
        for (std::size_t i = 0; i < errors.size(); ++i)
          next.log_errors[target][i] += std::log(errors[i] + 1e-9);
        ++next.scored[target];
      }
    }
    scores = std::move(next);
    if (hooks.save) hooks.save(pack(self, scores, nullptr));
  }

  std::optional<OuterLoop> planned;
  try {
    planned = plan(request, joined(training, request.also));
  } catch (const Interrupted&) {
    return stopped_before("all workloads");
  }
  auto& loop = *planned;
  for (int t = 0; t < kNumTargets; ++t)
    if (scores.scored[t] > 0 && scores.log_errors[t].size() != loop.settings.count)
      throw std::invalid_argument("--resume: expected errors of " + std::to_string(loop.settings.count) +
                                  " settings, found " + std::to_string(scores.log_errors[t].size()));
  if (scores.scored_folds > 0) {
    loop.train.steps = static_cast<int>(std::lround(scores.steps / scores.scored_folds));
    log("outer steps: " + std::to_string(loop.train.steps));
  }
  if (loop.untrained) loop.train.steps = 0;
  loop.train.patience = 0;
  auto summary =
      run_phase("all workloads", folds, loop, source_of(training, request.also, loop.source, log), {});
  TrainedInitializer result{std::move(summary.best), summary.stop, ""};
  if (summary.best_step < 0) {
    result.message = "interrupted before the first outer step on all workloads";
    return result;
  }
  for (int t = 0; t < kNumTargets; ++t) {
    if (scores.scored[t] == 0) continue;
    const auto best = std::min_element(scores.log_errors[t].begin(), scores.log_errors[t].end());
    if (!std::isfinite(*best)) continue;  // no setting does for all tasks
    const auto setting = static_cast<std::size_t>(best - scores.log_errors[t].begin());
    loop.settings.choose(result.checkpoint, static_cast<tasks::Target>(t), setting);
    log(std::string(kTargetNames[t]) + ": " + loop.settings.describe(setting) + "; validation error " +
        hw::readable_number(std::exp(*best / scores.scored[t])) + " %");
  }
  if (summary.stop != Stop::finished) {
    result.message = summary.stop == Stop::interrupted ? "interrupted" : summary.message;
    result.message += "; the result is that of outer step " + std::to_string(summary.best_step);
  }
  return result;
}

}  // namespace fewwatt::meta
