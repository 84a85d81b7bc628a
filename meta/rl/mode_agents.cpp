#include "meta/rl/mode_agents.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "hw/random.hpp"
#include "hw/readable.hpp"
#include "hw/text.hpp"
#include "learners/control/mdp_options.hpp"
#include "meta/rl/agent_state.hpp"
#include "tasks/mode_environment.hpp"

namespace fewwatt::meta {
namespace {

using datasets::Profile;
using learners::Checkpoint;
using learners::PolicyModel;
using Profiles = std::vector<Profile>;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The regret of one episode.
class EpisodeRegret {
 public:
  // Of an episode that has begun: its first measurement is made.
  EpisodeRegret(const tasks::ModeEnvironment& environment, tasks::ModeTask task) : task_(task) {
    look(environment);
    if (task_ == tasks::ModeTask::find) add(environment);
  }
  // Before each step.
  void look(const tasks::ModeEnvironment& environment) {
    const auto& world = environment.world();
    const auto lowest = world.truth(world.space()->lowest()).value();
    if (world.budget_w() == budget_w_ && lowest.time_ms == lowest_ms_) return;
    budget_w_ = world.budget_w();
    lowest_ms_ = lowest.time_ms;
    best_ms_ = tasks::fastest_inside(world).value().truth.time_ms;
  }
  // After each step.
  void add(const tasks::ModeEnvironment& environment) {
    const auto truth = environment.truth().value();
    if (truth.power_w <= budget_w_) found_ms_ = std::min(found_ms_, truth.time_ms);
    sum_ms_ += truth.time_ms;
    sum_best_ms_ += best_ms_;
  }
  double percent() const {
    return 100 * (task_ == tasks::ModeTask::find ? found_ms_ / best_ms_ - 1 : sum_ms_ / sum_best_ms_ - 1);
  }

 private:
  tasks::ModeTask task_;
  double budget_w_ = kUnknown, lowest_ms_ = kUnknown;  // of the world as it is
  double best_ms_ = kUnknown;                          // in it
  double found_ms_ = kInfinity, sum_ms_ = 0, sum_best_ms_ = 0;
};

// Draws an environment with a world of the population.
std::unique_ptr<tasks::ModeEnvironment> draw_environment(const tasks::ReplayPopulation& population,
                                                         tasks::ModeMdpOptions mdp,
                                                         const EpisodeVariety& variety, std::uint64_t seed) {
  if (variety.least_measurements > 0)
    mdp.measurements =
        variety.least_measurements +
        hw::Rng::stream(seed, "episode length").below(mdp.measurements - variety.least_measurements + 1);
  return std::make_unique<tasks::ModeEnvironment>(population.draw(seed, mdp.measurements, variety.changes),
                                                  mdp, /*random_start=*/false, variety.shielded);
}

// Whether the numbers of a snapshot are such as a checkpoint may have.
bool fits_a_board(const Checkpoint& snapshot) {
  return std::all_of(snapshot.tensors.begin(), snapshot.tensors.end(), [](const auto& named) {
    return (named.second.array().abs() <= learners::kMostFactor).all();
  });
}

// The slots of all knobs of the profiles, with spaces between.
std::string knobs_of(const Profiles& profiles, const Profiles& also) {
  std::set<std::string> found;
  for (const auto* some : {&profiles, &also})
    for (const auto& profile : *some)
      for (auto& slot : tasks::knob_slots(*profile.space)) found.insert(std::move(slot));
  std::vector<std::string_view> slots;
  for (const auto slot : tasks::kKnobSlots)
    if (found.contains(std::string(slot))) slots.push_back(slot);
  return hw::join(slots, " ");
}

// The settings of a request by whose they are.
struct Asked {
  ModeAgentOptions own;
  learners::Settings of_algorithm;
};
Asked asked_of(const AgentEntry& entry, const InitializerRequest& request) {
  learners::set_options(request.settings, request.name, options_of_mode_agent(entry));  // all are known
  std::set<std::string> names;
  for (const auto& option : learners::options_of([](auto& on) { ModeAgentOptions().each(on); }))
    names.insert(option.name);
  Asked asked;
  learners::Settings own;
  for (const auto& [name, value] : request.settings)
    (names.contains(name) ? own : asked.of_algorithm)[name] = value;
  learners::set_options(own, request.name, [&](learners::OptionVisitor& on) { asked.own.each(on); });
  if (const auto error = asked.own.error(); !error.empty()) throw std::invalid_argument(error);
  return asked;
}

// "3 profiles of a, b"
std::string told(const Profiles& profiles) {
  std::set<std::string> workloads;
  for (const auto& profile : profiles) workloads.insert(profile.workload);
  return std::to_string(profiles.size()) + (profiles.size() == 1 ? " profile of " : " profiles of ") +
         hw::join(workloads);
}

AgentTrainState state_from(const Checkpoint& resume, const RunIdentity& identity) {
  check_identity(identity, resume);
  return take_state(resume);
}

}  // namespace

void ModeAgentOptions::each(learners::OptionVisitor& on) {
  learners::visit_options(mdp, on);
  on.whole("board_candidates", board_candidates, 0, static_cast<std::int64_t>(tasks::kMostActions),
           "modes that can be jumped to on a board and in validation, drawn for each run; 0: all");
  on.real("validation_share", validation_share, 0.01, 0.9, "share of the workloads that is validated on");
  on.whole("validation_episodes", validation_episodes, 1, 100'000, "episodes of a validation");
  on.whole("validate_every", validate_every, 1, kMostSteps, "updates between validations");
  on.whole("patience", patience, 0, kMostSteps,
           "stop after so many validations in a row without a better one; 0: never");
  on.whole("least_measurements", variety.least_measurements, 0,
           static_cast<std::int64_t>(tasks::kMostMeasurements),
           "the length of each episode is drawn from here to measurements; 0: all have that");
  on.whole("changes", variety.changes, 0, static_cast<std::int64_t>(tasks::kMostMeasurements),
           "changes of workload and budget, by turns, at random within each episode of task run");
  on.flag("greedy", greedy,
          "a board takes the action of the largest score, in place of one drawn by the scores");
  on.flag("shielded", variety.shielded,
          "keep episodes inside the budget by a shield that is never wrong, for an agent that always runs "
          "with a shield");
}

std::string EpisodeVariety::error(const tasks::ModeMdpOptions& mdp) const {
  if (least_measurements == 1 || least_measurements > mdp.measurements)
    return "EpisodeVariety: least_measurements must be 0, or from 2 to measurements, " +
           std::to_string(mdp.measurements) + ", got " + std::to_string(least_measurements);
  if (changes > 0 && mdp.task != tasks::ModeTask::run)
    return "EpisodeVariety: changes need task=run, got " + std::to_string(changes);
  return "";
}

std::string ModeAgentOptions::error() const {
  if (auto bad = on_board().error(); !bad.empty()) return bad;
  const auto check = [](const char* name, double value, double least, double most) {
    return out_of_bounds("ModeAgentOptions", name, value, least, most);
  };
  for (auto bad :
       {mdp.error(), variety.error(mdp), check("validation_share", validation_share, 0.01, 0.9),
        check("validation_episodes", validation_episodes, 1, 100'000),
        check("validate_every", validate_every, 1, kMostSteps), check("patience", patience, 0, kMostSteps)})
    if (!bad.empty()) return bad;
  return "";
}

tasks::ModeMdpOptions ModeAgentOptions::on_board() const {
  auto options = mdp;
  options.candidates = board_candidates;
  return options;
}

learners::EachOption options_of_mode_agent(const AgentEntry& entry) {
  return [of_algorithm = entry.options](learners::OptionVisitor& on) {
    if (of_algorithm) of_algorithm(on);
    ModeAgentOptions().each(on);
  };
}

ValidationSplit split_for_validation(const Profiles& profiles, double share, std::uint64_t seed) {
  std::set<std::string> workloads, devices;
  for (const auto& profile : profiles) {
    workloads.insert(profile.workload);
    devices.insert(profile.device);
  }
  const bool by_workload = workloads.size() > 1;
  const auto& units = by_workload ? workloads : devices;
  if (units.size() < 2) return {profiles, profiles};
  const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(units.size())));
  const auto count = std::clamp<std::size_t>(wanted, 1, units.size() - 1);
  const std::vector<std::string> ordered(units.begin(), units.end());
  std::set<std::string> left_out;
  for (const auto i : hw::Rng::stream(seed, "validation split").sample(ordered.size(), count))
    left_out.insert(ordered[i]);
  ValidationSplit split;
  for (const auto& profile : profiles)
    (left_out.contains(by_workload ? profile.workload : profile.device) ? split.validate : split.train)
        .push_back(profile);
  return split;
}

MakeEnvironment mode_environments(std::shared_ptr<const tasks::ReplayPopulation> population,
                                  const tasks::ModeMdpOptions& mdp, const EpisodeVariety& variety) {
  return [population = std::move(population), mdp,
          variety](std::uint64_t seed) -> std::unique_ptr<tasks::Environment> {
    return draw_environment(*population, mdp, variety, seed);
  };
}

ModeValidation validate_mode_agent(const PolicyModel& agent, const tasks::ReplayPopulation& population,
                                   const tasks::ModeMdpOptions& mdp, int episodes, std::uint64_t seed,
                                   const StopCheck& interrupted, const EpisodeVariety& variety) {
  learners::NetPolicy policy(agent);
  double sum = 0;
  std::vector<double> regrets;
  for (int i = 0; i < episodes; ++i) {
    throw_if_told(interrupted);
    auto draws = hw::Rng::stream(seed, "validation", static_cast<std::uint64_t>(i));
    const auto environment = draw_environment(population, mdp, variety, draws.bits());
    auto observation = environment->reset(draws.bits());
    policy.begin(environment->actions(), draws.bits());
    EpisodeRegret regret(*environment, mdp.task);
    tasks::Step step;
    do {
      regret.look(*environment);
      step = environment->step(policy.act(observation, step.reward, learners::allowed_in(*environment)));
      observation = step.observation;
      sum += step.reward;
      regret.add(*environment);
    } while (!step.ended());
    regrets.push_back(regret.percent());
  }
  return {sum / episodes, median(std::move(regrets))};
}

TrainedInitializer train_mode_agent(const AgentEntry& entry, const InitializerRequest& request,
                                    const Profiles& training, const RunHooks& hooks,
                                    const Checkpoint* resume) {
  const auto log = [&](const std::string& line) {
    if (hooks.log) hooks.log(line);
  };
  const auto asked = asked_of(entry, request);
  const auto& own = asked.own;
  const auto identity = identity_of(request, training);
  std::optional<AgentTrainState> from;
  if (resume != nullptr) from = state_from(*resume, identity);

  const auto split = split_for_validation(training, own.validation_share, request.seed);
  const auto population = std::make_shared<const tasks::ReplayPopulation>(split.train, request.also);
  const tasks::ReplayPopulation of_validation(split.validate);
  const auto board = own.on_board();
  const auto agent =
      entry.make(mode_environments(population, own.mdp, own.variety), asked.of_algorithm, request.seed);
  log(training.size() == 1 ? "validated on the same profile, in other episodes"
                           : "validated on " + told(split.validate));

  double regret = kUnknown;  // of the last validation
  const auto agent_of = [&](const Checkpoint& snapshot) {
    auto model = PolicyModel::from_checkpoint(snapshot);
    if (own.greedy) model.scores = learners::Scores::values;
    return model;
  };
  const auto validate_snapshot = [&](const Checkpoint& snapshot, const StopCheck& interrupted) {
    return validate_mode_agent(agent_of(snapshot), of_validation, board, own.validation_episodes,
                               request.seed, interrupted, own.variety);
  };
  const ReturnOf validate = [&](const Checkpoint& snapshot, const StopCheck& interrupted) {
    throw_if_told(interrupted);
    regret = kUnknown;
    if (!fits_a_board(snapshot)) return -kInfinity;
    const auto found = validate_snapshot(snapshot, interrupted);
    regret = found.regret;
    return found.mean_return;
  };
  const AgentTrainHooks inner = {
      .progress =
          [&](const AgentProgress& now) {
            if (!hooks.progress) return;
            const bool validated = !std::isnan(now.validation_return);
            hooks.progress({.phase = "training",
                            .progress = {.step = now.update, .steps = now.updates, .loss = now.loss},
                            .done = static_cast<double>(now.update) / std::max(1, now.updates),
                            .agent = AgentRunProgress{now, validated ? regret : kUnknown}});
          },
      .interrupted = hooks.interrupted,
      .save =
          [&](const AgentTrainState& state) {
            if (!hooks.save) return;
            auto checkpoint = begin_state(identity);
            put_state(state, checkpoint);
            hooks.save(checkpoint);
          }};
  const AgentTrainOptions how{
      .updates = agent->most_updates(), .validate_every = own.validate_every, .patience = own.patience};
  const auto summary = train_agent(*agent, validate, how, inner, from ? &*from : nullptr);

  TrainedInitializer result{{}, summary.stop, "", summary.steps};
  if (summary.best_update < 0) {
    result.message = "interrupted before the first update";
    return result;
  }
  auto model = agent_of(summary.best);
  if (summary.stop != Stop::interrupted) {
    const auto best = validate_snapshot(summary.best, {});
    log("best after " + std::to_string(summary.best_update) + " updates of " +
        std::to_string(summary.updates) + ": mean return " + hw::readable_number(best.mean_return) +
        ", regret " + hw::readable_number(best.regret, 2) + " %");
  }
  if (summary.stop == Stop::interrupted || summary.stop == Stop::diverged) {
    result.message = summary.stop == Stop::interrupted ? "interrupted" : summary.message;
    result.message += "; the result is that of update " + std::to_string(summary.best_update);
  }
  model.environment = tasks::kModeMdp;
  model.knobs = knobs_of(split.train, request.also);
  model.mdp = board;
  result.checkpoint = model.to_checkpoint();
  return result;
}

}  // namespace fewwatt::meta
