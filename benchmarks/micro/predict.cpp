// How fast adapting and predicting on the board are. Compare figures of one run only: absolute times depend on the machine.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "hw/modules.hpp"
#include "hw/random.hpp"
#include "learners/control/policy_net.hpp"
#include "learners/control/tabular.hpp"
#include "learners/fine_tune.hpp"
#include "learners/model.hpp"
#include "learners/optimize/choose.hpp"
#include "learners/registry.hpp"
#include "tasks/mode_environment.hpp"
#include "tasks/mode_mdp.hpp"
#include "tasks/samplers/sampler.hpp"

namespace {

using namespace fewwatt;

// All modes of the largest board.
std::shared_ptr<const hw::PowerModeSpace> board() {
  static const auto space = std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64"));
  return space;
}

// `n` modes of the board with made-up costs: work over each clock, and a little power for each.
tasks::Samples made_up_support(std::size_t n) {
  tasks::Samples samples{board(), {}, tasks::Matrix(static_cast<Eigen::Index>(n), tasks::kNumTargets)};
  hw::Rng rng(1);
  for (const auto index : rng.sample(board()->size(), n)) {
    const auto mode = board()->at(index);
    double time_ms = 5, power_w = 5;
    for (std::size_t k = 0; k < mode.size(); ++k) {
      const double part = static_cast<double>(mode[k]) / board()->max_level(k);
      time_ms += 10 / part;
      power_w += 8 * part * part;
    }
    const auto row = static_cast<Eigen::Index>(samples.modes.size());
    samples.targets.row(row) << time_ms * std::exp(0.01 * rng.normal()),
        power_w * std::exp(0.01 * rng.normal());
    samples.modes.push_back(mode);
  }
  return samples;
}

// Nets of 64-64 from random weights, of which every step is done.
std::unique_ptr<const learners::Learner> random_nets(int steps) {
  learners::FineTuneModel model;
  model.knobs = learners::roles_text(*board());
  const auto features = learners::encode(model.features, *board(), board()->modes());
  model.scaler = learners::Scaler::fit(features);
  model.shape = {{static_cast<int>(features.cols()), 64, 64, 1}, learners::Activation::silu, {}};
  for (auto& target : model.targets) {
    hw::Rng rng(1);
    target = learners::Initializer{
        learners::random_parameters(model.shape, rng), 0.5, {learners::Optimizer::adam, steps, 1e-3, 0}, {}};
  }
  return std::make_unique<learners::FineTune>(std::move(model));
}

void fine_tune(benchmark::State& state) {
  const auto learner = random_nets(300);
  const auto support = made_up_support(50);
  for (auto _ : state) benchmark::DoNotOptimize(learner->adapt(support));
}

void predict_with_nets(benchmark::State& state) {
  const auto predictor = random_nets(10)->adapt(made_up_support(50));
  const auto modes = board()->modes();
  for (auto _ : state) benchmark::DoNotOptimize(predictor->predict(modes));
}

void choose(benchmark::State& state) {
  const auto prediction =
      learners::make_learner("physics")->adapt(made_up_support(50))->predict(board()->modes());
  for (auto _ : state) benchmark::DoNotOptimize(learners::choose_fastest(prediction, {.max_power_w = 25}));
}

void adapt(benchmark::State& state, const std::string& name) {
  const auto learner = learners::make_learner(name);
  const auto support = made_up_support(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(learner->adapt(support));
}

void predict(benchmark::State& state, const std::string& name) {
  const auto predictor = learners::make_learner(name)->adapt(made_up_support(50));
  const auto modes = board()->modes();
  for (auto _ : state) benchmark::DoNotOptimize(predictor->predict(modes));
  state.counters["modes"] = static_cast<double>(modes.size());
}

// A model of all modes, in this process or in fewwatt-reader.
void read_model(benchmark::State& state, bool isolated) {
  const std::string path = "micro_predict.model.h5";
  learners::Model model;
  model.device = "orin-agx-64";
  model.workload = model.learner = "made-up";
  model.space = board();
  model.support = made_up_support(50);
  model.prediction = learners::make_learner("gp")->adapt(model.support)->predict(board()->modes());
  learners::write_model(path, model);
  for (auto _ : state) benchmark::DoNotOptimize(learners::read_model(path, {.isolated = isolated}));
  std::remove(path.c_str());
}

// An agent with a memory of 64 units and nets of 64-64, with random weights.
learners::PolicyModel random_agent() {
  hw::Rng rng(1);
  const auto random = [&](Eigen::Index rows, Eigen::Index cols) {
    learners::Matrix values(rows, cols);
    for (Eigen::Index k = 0; k < values.size(); ++k) values.data()[k] = rng.uniform(-0.1, 0.1);
    return values;
  };
  learners::PolicyModel model;
  model.environment = tasks::kModeMdp;
  model.mdp.emplace();
  model.observation = static_cast<int>(tasks::kObservation);
  model.action = static_cast<int>(tasks::kActionFeatures);
  const Eigen::Index h = 64, i = model.observation + model.action + 2;
  model.gru = learners::GruWeights{random(3 * h, i), random(3 * h, h), random(3 * h, 1), random(3 * h, 1)};
  model.inputs.mean = learners::Vector::Zero(i);
  model.inputs.stddev = learners::Vector::Ones(i);
  model.score.hidden = {64, 64};
  model.embedding = 64;
  model.embed.emplace().hidden = model.score.hidden;
  model.score.weights = learners::random_parameters(model.score_shape(), rng);
  model.embed->weights = learners::random_parameters(model.embed_shape(), rng);
  return model;
}

// An agent's decision among `candidates` modes: at most 1 ms on the board.
void decide(benchmark::State& state) {
  auto model = random_agent();
  model.mdp->candidates = static_cast<std::size_t>(state.range(0));
  const tasks::ModeActions actions(board(), *model.mdp, 1);
  tasks::ModeObserver observer(board(), *model.mdp, {});
  const auto lowest = board()->lowest();
  observer.tell(lowest, {50, 12}, 25);
  learners::NetPolicy policy(model);
  policy.begin(actions.rows(), 1);
  for (auto _ : state) benchmark::DoNotOptimize(policy.act(observer.observation(25), 0));
}

// Steps of Q-learning by moves over a replayed profile: at least 20 000 a second on one core.
void q_learning(benchmark::State& state) {
  const auto made_up = made_up_support(static_cast<std::size_t>(state.range(0)));
  std::map<hw::PowerMode, hw::Measurement> measured;  // ascending, as a profile has them
  for (std::size_t i = 0; i < made_up.modes.size(); ++i) {
    const auto row = made_up.targets.row(static_cast<Eigen::Index>(i));
    measured[made_up.modes[i]] = {row[tasks::kTimeMs], row[tasks::kPowerW]};
  }
  datasets::Profile profile;
  profile.device = "orin-agx-64";
  profile.workload = "made-up";
  profile.space = board();
  for (const auto& [mode, measurement] : measured) {
    profile.modes.push_back(mode);
    profile.measurements.push_back(measurement);
  }
  const tasks::ModeMdpOptions process{.task = tasks::ModeTask::run,
                                      .actions = tasks::ModeActionKind::move,
                                      .reward = tasks::RewardForm::log,
                                      .measurements = 1000};
  const auto table = std::make_shared<const tasks::ReplayTable>(profile, tasks::ReplayOptions());
  tasks::ModeEnvironment environment(std::make_unique<tasks::ReplayWorld>(table, 25), process);
  environment.reset(1);
  auto agent = learners::tabular_agent(environment, {});
  std::size_t steps = 0;
  for (auto _ : state) steps += learners::learn_episode(agent, environment, 1).steps;
  state.counters["steps"] = benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
}

void list_modes(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(board()->modes());
}

void find_modes(benchmark::State& state) {
  const auto modes = board()->modes();
  for (auto _ : state)
    for (const auto& mode : modes) benchmark::DoNotOptimize(board()->index_of(mode));
}

void find_modes_in_list(benchmark::State& state) {
  const auto modes = board()->modes();
  const auto list = hw::PowerModeSpace::list(board()->knobs(), modes);
  for (auto _ : state)
    for (const auto& mode : modes) benchmark::DoNotOptimize(list.index_of(mode));
}

void sample(benchmark::State& state, const std::string& name) {
  for (auto _ : state) {
    const auto sampler = tasks::make_sampler(name, *board(), 50, 0);
    for (int i = 0; i < 50; ++i) benchmark::DoNotOptimize(sampler->ask());
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("read_model/isolated", read_model, true)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("read_model/in_process", read_model, false)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("space/list", list_modes)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("space/find", find_modes)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("space/find_in_list", find_modes_in_list)->Unit(benchmark::kMillisecond);
  for (const auto& one : tasks::model_free_samplers())
    benchmark::RegisterBenchmark(("sample_50/" + std::string(one.name)).c_str(), sample,
                                 std::string(one.name))
        ->Unit(benchmark::kMillisecond);
  for (const auto& facts : learners::builtin().learners) {
    if (facts.needs_checkpoint) continue;
    const std::string name(facts.name);
    benchmark::RegisterBenchmark(("adapt/" + name).c_str(), adapt, name)
        ->Arg(10)
        ->Arg(50)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("predict_all/" + name).c_str(), predict, name)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("adapt/fine_tune-300-steps/50", fine_tune)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("predict_all/fine_tune", predict_with_nets)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("decide", decide)->Arg(50)->Arg(500)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("q_learning", q_learning)->Arg(60)->Arg(500)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("choose", choose)->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
