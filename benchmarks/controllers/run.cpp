#include "benchmarks/controllers/run.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "benchmarks/controllers/course.hpp"
#include "benchmarks/controllers/knowing.hpp"
#include "benchmarks/controllers/training.hpp"
#include "hw/jobs.hpp"
#include "hw/numbers.hpp"
#include "hw/random.hpp"
#include "learners/control/controllers.hpp"

namespace fewwatt::benchmarks {
namespace {

using tasks::ModeTask;
using Agents = std::map<std::string, std::vector<TrainedAgent>>;  // by Rival::base, of each split

// What all parts of a run share.
struct Run {
  const ControllerSuite& suite;
  const RunOptions& options;
  const learners::Registry& registry;
  const Course& course;
  std::vector<Rival> contestants;
  std::vector<ControlEpisode> episodes;
  std::shared_ptr<const learners::Learner> learner;
};

// One contestant in one episode.
struct Job {
  std::size_t contestant, length, episode;  // length: of the episode, in measurements
  ControlScore score = {};
  double train_seconds = 0, train_steps = 0;  // where the agent learns for this episode alone
};

// Calls progress.jobs with what is done so far.
class Ticker {
 public:
  Ticker(const Progress& progress, std::size_t all) : progress_(progress), all_(all) {}
  void tick() {
    if (!progress_.jobs) return;
    const std::lock_guard lock(mutex_);
    progress_.jobs(++done_, all_);
  }

 private:
  const Progress& progress_;
  std::size_t all_, done_ = 0;
  std::mutex mutex_;
};

std::vector<std::string> trained_agents(const Run& run) {
  std::vector<std::string> bases;
  for (const auto& one : run.contestants)
    if (one.kind == Rival::Kind::agent && !one.alone &&
        std::find(bases.begin(), bases.end(), one.base) == bases.end())
      bases.push_back(one.base);
  return bases;
}

// Trains all agents that are trained on a population, side by side.
Agents train_all(const Run& run, const std::vector<std::string>& bases, Ticker& ticker) {
  const auto splits = run.course.splits().size();
  Agents agents;
  for (const auto& base : bases) agents[base].resize(splits);
  hw::run_jobs(bases.size() * splits, hw::thread_count(run.options.threads), [&](std::size_t i) {
    const auto& base = bases[i / splits];
    const auto split = i % splits;
    // at(): nothing is inserted, so threads do not disturb each other
    agents.at(base)[split] =
        train_on_population(run.suite, run.course, parse_rival(base), split, run.options.seed);
    ticker.tick();
  });
  return agents;
}

std::unique_ptr<learners::Shield> shield_for(const Run& run,
                                             const std::shared_ptr<const hw::PowerModeSpace>& space) {
  const bool changes = run.suite.task == ModeTask::run;
  return std::make_unique<learners::Shield>(
      space, run.learner, run.suite.shield,
      changes ? std::optional(learners::ChangeOptions()) : std::nullopt);
}

// The agent as it acts in an episode of that length.
learners::PolicyModel agent_for(const Run& run, learners::PolicyModel model, std::size_t length) {
  const auto trained = model.mdp.value();
  model.mdp = run.suite.mdp(run.suite.task == ModeTask::run ? trained.measurements : length);
  model.mdp->actions = trained.actions;
  model.mdp->reward = trained.reward;
  model.mdp->candidates = run.suite.candidates;
  return model;
}

// Seeded by the episode and not by the contestant, so that all meet the same.
std::uint64_t seed_of(const Run& run, std::size_t episode, const std::string& purpose) {
  return hw::Rng::stream(run.options.seed, "controllers/" + purpose, episode).bits();
}

std::unique_ptr<learners::Controller> make_agent(const Run& run, const Agents& agents, Job& job,
                                                 const tasks::World& world) {
  const auto& one = run.contestants[job.contestant];
  const auto& episode = run.episodes[job.episode];
  const auto model_of = [&] {
    const auto seed = seed_of(run, job.episode, "alone");
    const auto* trained = one.alone ? nullptr : &agents.at(one.base)[episode.split];
    if (trained != nullptr && !one.adapted) return trained->model;
    const auto made = one.alone
                          ? train_alone(run.suite, run.course, one, episode, job.length, seed)
                          : adapt_agent(run.suite, run.course, one, *trained, episode, job.length, seed);
    job.train_seconds = made.seconds;
    job.train_steps = made.steps;
    return made.model;
  };
  return learners::policy_controller(agent_for(run, model_of(), job.length), world.space(),
                                     world.characteristics(), seed_of(run, job.episode, "contestant"),
                                     one.shield ? shield_for(run, world.space()) : nullptr);
}

// The suite's lambda, for controllers that have one.
learners::Settings settings_for(const Run& run, const std::string& controller) {
  const auto* entry = run.registry.controllers.look_up(controller);
  if (entry == nullptr || !entry->options) return {};
  for (const auto& option : learners::options_of(entry->options))
    if (option.name == "lambda") return {{"lambda", hw::number_text(run.suite.lambda)}};
  return {};
}

std::unique_ptr<learners::Controller> make_unshielded(const Run& run, const Rival& one, const Job& job,
                                                      const tasks::World& world) {
  const auto seed = seed_of(run, job.episode, "contestant");
  if (one.kind == Rival::Kind::knowing) return make_knowing(one.name, world, run.suite.module, seed);
  const learners::ControllerRequest request{.space = world.space(),
                                            .learner = run.learner,
                                            .task = run.suite.task,
                                            .measurements = job.length,
                                            .budget_w = world.budget_w(),
                                            .switch_share = run.suite.switch_share,
                                            .characteristics = world.characteristics(),
                                            .seed = seed};
  return learners::make_controller(one.name, request, settings_for(run, one.name), run.registry);
}

std::unique_ptr<learners::Controller> make_contestant(const Run& run, const Agents& agents, Job& job,
                                                      const tasks::World& world) {
  const auto& one = run.contestants[job.contestant];
  if (one.kind == Rival::Kind::agent) return make_agent(run, agents, job, world);
  auto controller = make_unshielded(run, one, job, world);
  if (!one.shield) return controller;
  return std::make_unique<learners::ShieldedController>(world.space(), std::move(controller),
                                                        shield_for(run, world.space()));
}

void play(const Run& run, const Agents& agents, Job& job) {
  const auto world = run.course.begin(run.episodes[job.episode]);
  const auto controller = make_contestant(run, agents, job, *world);
  job.score = score_controller(*controller, *world, run.suite.mdp(job.length));
}

// ---- rows ----

double percent(double part, double all) {
  return all > 0 ? 100 * part / all : 0;
}

// A row without metric and value.
Row row_of(const Run& run, const Rival& one, std::size_t length, std::uint64_t seed) {
  const bool each_length = run.suite.task == ModeTask::find && length > 0;
  return {.suite = run.suite.name,
          .device = run.course.device(),
          .workload = "all",
          .learner = one.label,
          .sampler = each_length ? "control" : "none",
          .shots = each_length ? length : 0,
          .seed = seed,
          .metric = "",
          .value = 0,
          .seconds = 0,
          .split = "all"};
}

class Rows {
 public:
  explicit Rows(const Run& run) : run_(run) {}

  void add(Row row, const std::string& metric, double value) {
    row.metric = metric;
    row.value = value;
    rows_.push_back(std::move(row));
  }

  // Of one episode.
  void add(const Job& job) {
    const auto& one = run_.contestants[job.contestant];
    const auto& score = job.score;
    auto row = row_of(run_, one, job.length, job.episode);
    row.seconds = score.seconds;
    const auto steps = static_cast<double>(score.visits.size()), length = static_cast<double>(job.length);
    if (score.regret) add(row, "find_regret", 100 * *score.regret);
    if (run_.suite.task == ModeTask::run) {
      add(row, "run_inside", percent(steps - static_cast<double>(score.over), length));
      add(row, "run_throughput", percent(score.work, length));
      add(row, "run_longest_over", static_cast<double>(score.longest_over));
    }
    add(row, "over_steps", percent(static_cast<double>(score.over), steps));
    add(row, "over_watt_steps", score.over_watt_steps);
    add(row, "episode_reward", score.reward);
    if (!one.alone && !one.adapted) return;
    auto training = row_of(run_, one, job.length, job.episode);
    training.seconds = job.train_seconds;
    add(training, "train_seconds", job.train_seconds);
    add(training, "train_steps", job.train_steps);
  }

  // Of all episodes of a contestant with the same length.
  void add_all(std::span<const Job> jobs) {
    const auto row = row_of(run_, run_.contestants[jobs.front().contestant], jobs.front().length, 0);
    double inside = 0, counted = 0, steps = 0, seconds = 0;
    for (const auto& job : jobs) {
      steps += static_cast<double>(job.score.visits.size());
      seconds += job.score.seconds;
      if (!job.score.regret) continue;
      ++counted;
      inside += std::isfinite(*job.score.regret) ? 1 : 0;
    }
    if (run_.suite.task == ModeTask::find) add(row, "find_inside", percent(inside, counted));
    if (seconds > 0) add(row, "decisions_per_second", steps / seconds);
  }

  // Of training on the population.
  void add_training(const Rival& one, const std::vector<TrainedAgent>& trained) {
    for (std::size_t split = 0; split < trained.size(); ++split) {
      auto row = row_of(run_, one, 0, split);
      row.seconds = trained[split].seconds;
      row.split = run_.course.splits()[split];
      add(row, "train_seconds", trained[split].seconds);
      add(row, "train_steps", trained[split].steps);
    }
  }

  std::vector<Row> take() { return std::move(rows_); }

 private:
  const Run& run_;
  std::vector<Row> rows_;
};

std::vector<Row> rows_of(const Run& run, const Agents& agents, const std::vector<Job>& jobs) {
  Rows rows(run);
  for (const auto& one : run.contestants)
    if (const auto trained = agents.find(one.base); trained != agents.end())
      rows.add_training(one, trained->second);
  // Jobs of one contestant and length are neighbours.
  const auto n = run.episodes.size();
  for (std::size_t i = 0; i < jobs.size(); i += n) {
    const auto group = std::span(jobs).subspan(i, n);
    for (const auto& job : group) rows.add(job);
    rows.add_all(group);
  }
  return rows.take();
}

// ---- pictures ----

void add_pictures(const Run& run, const std::vector<Job>& jobs, ControlResult& result) {
  const auto& lengths = run.suite.measurements;
  const auto length = lengths[lengths.size() / 2];
  const auto world = run.course.begin(run.episodes.front());
  const auto space = world->space();
  for (std::size_t i = 0; i < space->size(); ++i) result.cloud.push_back(world->truth(space->at(i)).value());
  if (!run.suite.simulated()) result.workload = run.course.splits().front();
  for (const auto& job : jobs) {
    if (job.episode != 0 || job.length != length) continue;
    ControlPicture picture{run.contestants[job.contestant].label, job.score.visits, {}};
    if (job.score.answer) picture.answer = world->truth(*job.score.answer);
    result.pictures.push_back(std::move(picture));
  }
}

}  // namespace

ControlResult run_controllers(const ControllerSuite& suite, std::vector<datasets::Profile> profiles,
                              const RunOptions& options, const Progress& progress,
                              const learners::Registry& registry) {
  const Course course(suite, std::move(profiles), options.seed);
  Run run{suite,
          options,
          registry,
          course,
          {},
          course.episodes(),
          learners::make_learner(suite.learner, {}, registry)};
  for (const auto& text : suite.contestants) run.contestants.push_back(parse_rival(text));
  std::vector<Job> jobs;
  for (std::size_t c = 0; c < run.contestants.size(); ++c)
    for (const auto length : suite.measurements)
      for (std::size_t e = 0; e < run.episodes.size(); ++e) jobs.push_back({c, length, e});
  const auto bases = trained_agents(run);
  Ticker ticker(progress, bases.size() * course.splits().size() + jobs.size());
  const auto agents = train_all(run, bases, ticker);
  hw::run_jobs(jobs.size(), hw::thread_count(options.threads), [&](std::size_t i) {
    play(run, agents, jobs[i]);
    ticker.tick();
  });
  ControlResult result;
  result.rows = rows_of(run, agents, jobs);
  add_pictures(run, jobs, result);
  return result;
}

}  // namespace fewwatt::benchmarks
