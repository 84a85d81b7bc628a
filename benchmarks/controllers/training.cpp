#include "benchmarks/controllers/training.hpp"

#include <algorithm>
#include <utility>

#include "benchmarks/runner/contestants.hpp"
#include "hw/random.hpp"
#include "meta/rl/agent_training.hpp"
#include "meta/rl/agents.hpp"
#include "meta/rl/maml_policy.hpp"
#include "meta/rl/policy_shape.hpp"
#include "meta/rl/validation.hpp"

namespace fewwatt::benchmarks {
namespace {

constexpr int kValidations = 20;         // of a training
constexpr int kValidationEpisodes = 64;  // of a validation
constexpr int kAdaptedEpisodes = 16;     // environments of a validation with adaptation
const char* const kMaml = "maml-policy";

// The agent of a snapshot, with what it took since `start`.
TrainedAgent finished(const learners::Checkpoint& snapshot, const ControllerSuite& suite,
                      const Course& course, const AgentPlan& plan, Clock::time_point start, double steps) {
  auto mdp = suite.mdp(suite.train_measurements.back());
  mdp.actions = plan.actions;
  mdp.reward = plan.reward;
  mdp.candidates = plan.candidates;
  auto model = mode_agent(snapshot, course.knobs(), mdp);
  if (plan.greedy) model.scores = learners::Scores::values;
  return {std::move(model), snapshot, seconds_since(start), steps};
}

// The agent's options. Agents are trained side by side, each on one thread.
learners::Settings on_this_thread(const AgentPlan& plan) {
  auto settings = plan.algorithm;
  settings.emplace("workers", "1");
  return settings;
}

meta::MamlPolicyOptions maml_options(const AgentPlan& plan) {
  meta::MamlPolicyOptions options;
  learners::set_options(plan.algorithm, kMaml, [&](learners::OptionVisitor& on) { options.each(on); });
  return options;
}

// What a snapshot gets in environments that it is not trained in.
meta::ReturnOf validation(const std::string& agent, const AgentPlan& plan, const meta::MakeEnvironment& make,
                          std::uint64_t seed) {
  if (agent == kMaml) return meta::adapted_return_in(make, maml_options(plan), kAdaptedEpisodes, seed);
  return meta::return_in(make, kValidationEpisodes, seed);
}

}  // namespace

learners::PolicyModel mode_agent(const learners::Checkpoint& snapshot, const std::string& knobs,
                                 const tasks::ModeMdpOptions& mdp) {
  auto model = learners::PolicyModel::from_checkpoint(snapshot);
  model.environment = tasks::kModeMdp;
  model.knobs = knobs;
  model.mdp = mdp;
  return model;
}

TrainedAgent train_on_population(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                                 std::size_t split, std::uint64_t seed) {
  const auto start = Clock::now();
  const auto plan = suite.plan(contestant.base);
  auto seeds = hw::Rng::stream(seed, "controllers/agent " + contestant.base, split);
  const auto agent =
      meta::builtin_agents()
          .find(contestant.name)
          .make(course.population(split, plan, "training"), on_this_thread(plan), seeds.bits());
  const int updates = agent->most_updates();
  const auto validate =
      validation(contestant.name, plan, course.population(split, plan, "validation"), seeds.bits());
  const auto summary = meta::train_agent(
      *agent, validate, {.updates = updates, .validate_every = std::max(1, updates / kValidations)});
  return finished(summary.best, suite, course, plan, start, static_cast<double>(summary.steps));
}

TrainedAgent train_alone(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                         const ControlEpisode& episode, std::size_t length, std::uint64_t seed) {
  const auto start = Clock::now();
  const auto plan = suite.plan(contestant.base);
  const auto agent = meta::builtin_agents()
                         .find(contestant.name)
                         .make(course.alone(episode, plan, length), on_this_thread(plan), seed);
  // Without validation, which would need measurements too. What diverges is kept as it was before.
  std::int64_t measured = 0;
  const meta::AgentTrainHooks hooks{
      .progress = [&](const meta::AgentProgress& now) { measured = now.steps + now.episodes; },
      .interrupted = [&] { return measured >= static_cast<std::int64_t>(suite.alone_measurements); }};
  const auto summary =
      meta::train_agent(*agent, {}, {.updates = agent->most_updates(), .validate_every = 1}, hooks);
  return finished(summary.best, suite, course, plan, start, static_cast<double>(measured));
}

TrainedAgent adapt_agent(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                         const TrainedAgent& trained, const ControlEpisode& episode, std::size_t length,
                         std::uint64_t seed) {
  const auto start = Clock::now();
  const auto plan = suite.plan(contestant.base);
  const auto options = maml_options(plan);
  const auto nets = meta::read_policy(trained.snapshot);
  const auto adapted = meta::adapt_policy(course.alone(episode, plan, length), nets.shape, nets.parameters,
                                          options.adaptation, options.net.discount, seed, 0);
  const double measurements =
      static_cast<double>(length) * options.adaptation.steps * options.adaptation.episodes;
  const auto snapshot =
      meta::policy_checkpoint(nets.shape, adapted.parameters, kMaml, trained.snapshot.text("scores"));
  return finished(snapshot, suite, course, plan, start, measurements);
}

}  // namespace fewwatt::benchmarks
