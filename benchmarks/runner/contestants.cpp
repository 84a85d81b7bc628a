#include "benchmarks/runner/contestants.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "hw/jobs.hpp"
#include "hw/random.hpp"
#include "learners/registry.hpp"

namespace fewwatt::benchmarks {
namespace {

Contestant contestant_of(const TableRun& run, const std::string& name, learners::Checkpoint checkpoint,
                         std::optional<double> train_seconds) {
  const auto settings = settings_of(run.suite, parse_learner(name), run.registry).adapt;
  auto learner = learners::make_learner(checkpoint, settings, run.registry);
  const bool takes_no_rows = learners::needs_no_rows(checkpoint, run.registry);
  return {name, std::move(learner), std::move(checkpoint), train_seconds, takes_no_rows};
}

// Throws std::runtime_error for one that failed.
const learners::Checkpoint& checkpoint_of(const Contestant& contestant) {
  if (!contestant.checkpoint)
    throw std::runtime_error("it starts from " + contestant.name + ", which failed");
  return *contestant.checkpoint;
}

// The training profiles that a learner's name asks for.
std::vector<datasets::Profile> corpus(const std::vector<datasets::Profile>& training,
                                      const LearnerName& learner, std::uint64_t seed) {
  if (learner.workloads == 0) return training;
  const auto wanted = learner.workloads + learner.added;
  auto rng = hw::Rng::stream(seed, "corpus workloads");
  auto order = rng.sample(training.size(), training.size());
  order.resize(wanted);
  std::vector<datasets::Profile> profiles;
  for (const auto i : order) {
    profiles.push_back(training[i]);
    auto& profile = profiles.back();
    if (learner.modes == 0 || learner.modes >= profile.modes.size()) continue;
    auto rows_rng = hw::Rng::stream(seed, "corpus modes of " + profile.device + '/' + profile.workload);
    auto rows = rows_rng.sample(profile.modes.size(), learner.modes);
    std::sort(rows.begin(), rows.end());
    profile = datasets::subset(profile, rows);
  }
  return profiles;
}

// `init` is the checkpoint of the learner start(), where this one goes on from it.
Contestant train(const TableRun& run, const SplitRun& split, const std::string& name,
                 const std::optional<learners::Checkpoint>& init,
                 const std::function<void(const std::string&)>& log) {
  const auto& [suite, options, registry] = run;
  const auto parsed = parse_learner(name);
  const auto settings = settings_of(suite, parsed, registry);
  if (parsed.training == LearnerName::Training::none ||
      registry.meta_learners.look_up(parsed.base) == nullptr)
    return {name, learners::make_learner(parsed.base, settings.adapt, registry), std::nullopt, std::nullopt};
  const auto start = Clock::now();
  meta::InitializerRequest request{.name = parsed.base, .seed = options.seed, .settings = settings.train};
  if (suite.train_steps > 0) request.settings["steps"] = std::to_string(suite.train_steps);
  auto shots = suite.shots;
  std::erase(shots, std::size_t{0});  // without a measured mode there is nothing to fine-tune
  if (!shots.empty()) request.shots = std::move(shots);
  if (parsed.training == LearnerName::Training::both) request.also = split.population;
  if (parsed.added > 0) request.init = init;
  const auto profiles = parsed.training == LearnerName::Training::simulated
                            ? split.population
                            : corpus(split.profiles.train, parsed, options.seed);
  const std::string prefix = "split " + split.rule->name + ", " + name + ": ";
  auto checkpoint = meta::train_initializer(
      request, profiles, [&](const std::string& text) { log(prefix + text); }, registry);
  const double seconds = seconds_since(start);
  log(prefix + "trained in " + std::to_string(std::lround(seconds)) + " s");
  return contestant_of(run, name, std::move(checkpoint), seconds);
}

// For each of the suite's learners, the position of the one whose training it uses: its own, or that of the learner it is the twin of.
std::vector<std::size_t> trained_as_of(const TableRun& run) {
  const auto& suite = run.suite;
  std::vector<std::size_t> trained_as(suite.learners.size());
  for (std::size_t i = 0; i < trained_as.size(); ++i) {
    const auto learner = parse_learner(suite.learners[i]);
    const auto* facts = run.registry.meta_learners.look_up(learner.base);
    const auto twin =
        facts == nullptr || facts->twin_of.empty() || suite.settings.contains(learner.base) ||
                suite.settings.contains(facts->twin_of)
            ? suite.learners.end()
            : std::find(suite.learners.begin(), suite.learners.end(), learner.with_base(facts->twin_of));
    trained_as[i] =
        twin == suite.learners.end() ? i : static_cast<std::size_t>(twin - suite.learners.begin());
  }
  return trained_as;
}

}  // namespace

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_corpus(const TableRun& run, const SplitRun& split) {
  for (const auto& name : run.suite.learners) {
    const auto learner = parse_learner(name);
    if (learner.workloads + learner.added > split.profiles.train.size())
      throw std::runtime_error("learner " + name + ", split " + split.rule->name + ": there are " +
                               std::to_string(split.profiles.train.size()) + " training workloads");
  }
}

void train_all(const TableRun& run, std::vector<SplitRun>& splits, std::size_t threads,
               const std::function<void(const std::string&)>& log) {
  const auto& names = run.suite.learners;
  const auto trained_as = trained_as_of(run);
  // Makes a contestant by make(), or notes how that failed.
  const auto prepare = [&](SplitRun& split, std::size_t i, const auto& make) {
    Contestant& contestant = split.contestants[i];
    contestant.name = names[i];
    const auto failure = failure_of([&] { contestant = make(); });
    if (failure.empty()) return;
    contestant.failure = "it could not be prepared: " + failure;
    log("split " + split.rule->name + ", learner " + contestant.name + ": " + contestant.failure);
  };
  // First those that start anew, then those that go on from another's training.
  for (const bool adding : {false, true}) {
    hw::run_jobs(splits.size() * names.size(), threads, [&](std::size_t i) {
      SplitRun& split = splits[i / names.size()];
      const std::size_t learner = i % names.size();
      const auto start = parse_learner(names[learner]).start();
      if (trained_as[learner] != learner || start.empty() == adding) return;
      prepare(split, learner, [&] {
        std::optional<learners::Checkpoint> init;
        // Only the one that it starts from is finished: others may still be in training, and are not looked at.
        for (std::size_t other = 0; adding && other < names.size(); ++other)
          if (names[other] == start) init = checkpoint_of(split.contestants[trained_as[other]]);
        return train(run, split, names[learner], init, log);
      });
    });
  }
  for (auto& split : splits)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (trained_as[i] != i)
        prepare(split, i, [&] {
          const auto& trained = checkpoint_of(split.contestants[trained_as[i]]);
          return contestant_of(run, names[i], meta::twin(parse_learner(names[i]).base, trained, run.registry),
                               std::nullopt);
        });
}

}  // namespace fewwatt::benchmarks
