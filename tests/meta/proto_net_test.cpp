#include "meta/proto_net.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learners/checkpoint_io.hpp"
#include "learners/registry.hpp"
#include "meta/proto_heads.hpp"
#include "meta/registry.hpp"
#include "meta/train.hpp"
#include "tests/gradient_check.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"
#include "tests/run_program.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace proto_net_test {

using tests::family;
using tests::family_profile;

constexpr auto kBoth = {tasks::kTimeMs, tasks::kPowerW};

struct ModeProto : tests::OnTasks<ProtoNet, learners::ProtoModel> {
  ModeProto(const std::string& name, const std::vector<datasets::Profile>& training,
            const ProtoNetOptions& options, std::uint64_t seed)
      : OnTasks(proto_on_modes(name, training, options, seed)) {}
  std::vector<ProtoEpisode> inputs(tasks::Target t, std::span<const tasks::Task> tasks) const {
    return of(t).episodes(episodes(t, tasks));
  }
  std::span<const Matrix> prototype_rows(tasks::Target t) const { return of(t).prototype_rows(); }
};

ProtoNetOptions small() {
  ProtoNetOptions options;
  options.hidden = {8};
  options.embedding = 4;
  options.max_steps = 60;
  for (auto& fine_tune : options.fine_tune) fine_tune.head_steps = 4;
  return options;
}

tasks::TaskSource source(const std::vector<datasets::Profile>& profiles) {
  return tasks::TaskSource(profiles, {.min_shots = 5, .max_shots = 10, .query = 12, .augmentation = {}});
}

// One task of each of `workloads`, some of which are no training workloads.
std::vector<tasks::Task> tasks_of(std::initializer_list<int> workloads, std::size_t shots = 6) {
  hw::Rng rng(9);
  std::vector<tasks::Task> tasks;
  for (const int i : workloads) tasks.push_back(tasks::sample_task(family_profile(i), shots, rng, 7));
  return tasks;
}

// A target some steps away from where training starts.
learners::ProtoTarget moved(const ModeProto& net, tasks::Target t) {
  auto target = *net.model().targets[t];
  hw::Rng rng(3);
  Vector parameters = proto_parameters(target);
  for (auto& value : parameters) value += 0.2 * rng.normal();
  set_proto_parameters(target, parameters);
  return target;
}

TEST(ProtoGradient, EqualsCentralDifferences) {
  auto options = small();
  options.hidden = {2};
  options.embedding = 2;
  const ModeProto net("proto", family(3), options, 1);
  const auto check = [&](tasks::Target t, const learners::ProtoParts& parts) {
    const auto episodes = net.inputs(t, tasks_of({0, 1, 2, 7}));
    const auto at = moved(net, t);
    const auto loss = [&](const Vector& parameters) {
      auto target = at;
      set_proto_parameters(target, parameters);
      return proto_gradient(target, parts, net.prototype_rows(t), episodes, {}).loss;
    };
    const auto found = proto_gradient(at, parts, net.prototype_rows(t), episodes, {});
    EXPECT_LE(tests::gradient_error(loss, proto_parameters(at), found.gradient), tests::kGradient);
  };
  check(tasks::kTimeMs, {});
  check(tasks::kPowerW, {});
  check(tasks::kTimeMs, {.embedding = true, .heads = false, .residual = true});
  check(tasks::kTimeMs, {.embedding = true, .heads = true, .residual = false});
}

TEST(ProtoGradient, BatchEqualsOneTaskAtATime) {
  const ModeProto net("proto", family(3), small(), 1);
  const auto target = moved(net, tasks::kTimeMs);
  const auto rows = net.prototype_rows(tasks::kTimeMs);
  const auto episodes = net.inputs(tasks::kTimeMs, tasks_of({0, 1, 2, 7, 8}));
  const ProtoLoss regression{.classification = 0, .prior = 0};
  const auto batch = proto_gradient(target, {}, rows, episodes, regression);
  Vector mean = Vector::Zero(batch.gradient.size());
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    const auto one = proto_gradient(target, {}, rows, std::span(&episodes[i], 1), regression);
    EXPECT_NEAR(batch.task_losses[i], one.loss, 1e-12 * std::abs(one.loss));
    mean += one.gradient / static_cast<double>(episodes.size());
  }
  EXPECT_LE((batch.gradient - mean).norm() / mean.norm(), 1e-12);
}

TEST(ProtoGradient, ClassificationIsThatOfTheBoardsEmbedding) {
  const ModeProto net("proto", family(3), small(), 1);
  const auto target = moved(net, tasks::kTimeMs);
  const auto episodes = net.inputs(tasks::kTimeMs, tasks_of({0, 1, 2, 7}));
  const auto found = proto_gradient(target, {}, net.prototype_rows(tasks::kTimeMs), episodes, {});
  auto classes = target;
  classes.prototypes.resize(4, 4);
  for (Eigen::Index i = 0; i < 4; ++i)
    classes.prototypes.row(i) =
        prototype(target, episodes[static_cast<std::size_t>(i)].support_rows).transpose();
  double sum = 0, right = 0, count = 0;
  for (Eigen::Index i = 0; i < 4; ++i) {
    const Matrix& query = episodes[static_cast<std::size_t>(i)].query_rows;
    for (Eigen::Index row = 0; row < query.rows(); ++row) {
      const Vector p = prototype_weights(classes, prototype(target, query.row(row)));
      Eigen::Index nearest = 0;
      p.maxCoeff(&nearest);
      sum -= std::log(p[i]);
      right += nearest == i ? 1 : 0;
      ++count;
    }
  }
  EXPECT_NEAR(found.classification, sum / count, tests::kParity);
  EXPECT_NEAR(found.accuracy, right / count, 1e-12);
}

TEST(ProtoGradient, PredictionIsThatOfTheBoard) {
  const ModeProto net("proto", family(3), small(), 1);
  for (const auto t : kBoth) {
    auto target = moved(net, t);
    const auto rows = net.prototype_rows(t);
    const auto episodes = net.inputs(t, tasks_of({5, 7, 8}));  // none of a training workload
    target.prototypes.resize(3, 4);
    for (Eigen::Index i = 0; i < 3; ++i)
      target.prototypes.row(i) = prototype(target, rows[static_cast<std::size_t>(i)]).transpose();
    const auto found = proto_gradient(target, {}, rows, episodes, {});
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      const auto& e = episodes[i];
      const Vector weights = prototype_weights(target, prototype(target, e.support_rows));
      const Vector curve_weights = target.curve_share * weights;
      const learners::ProtoPosterior posterior({}, target.kernel, target.fine_tune,
                                               learners::head_prior(target, weights), e.support,
                                               e.support_logs - e.support_curves * curve_weights);
      auto [mean, variance] = posterior.predict(e.query);
      mean += e.query_curves * curve_weights;
      const auto row = static_cast<Eigen::Index>(i);
      EXPECT_LT((found.means.row(row).transpose() - mean).cwiseAbs().maxCoeff(), tests::kParity);
      EXPECT_LT((found.variances.row(row).transpose() - variance).cwiseAbs().maxCoeff(), tests::kParity);
      const double loss =
          0.5 * (variance.array().log() + (e.query_logs - mean).array().square() / variance.array()).mean();
      EXPECT_NEAR(found.task_losses[i], loss, tests::kParity * std::abs(loss));
    }
  }
}

TEST(ProtoGradient, TaskMakesNoUseOfItsOwnWorkload) {
  const ModeProto net("proto", family(3), small(), 1);
  auto target = moved(net, tasks::kTimeMs);
  const auto rows = net.prototype_rows(tasks::kTimeMs);
  const auto episodes = net.inputs(tasks::kTimeMs, tasks_of({1, 2}));
  const auto before = proto_gradient(target, {}, rows, episodes, {}).task_losses;
  target.heads.row(1).array() += Eigen::ArrayXd::LinSpaced(target.heads.cols(), 0, 1).transpose();
  const auto after = proto_gradient(target, {}, rows, episodes, {}).task_losses;
  EXPECT_EQ(before[0], after[0]);
  EXPECT_NE(before[1], after[1]);
}

TEST(ProtoGradient, RefusesSizesThatDoNotFit) {
  const ModeProto net("proto", family(2), small(), 1);
  const auto target = *net.model().targets[tasks::kTimeMs];
  const auto rows = net.prototype_rows(tasks::kTimeMs);
  auto episodes = net.inputs(tasks::kTimeMs, tasks_of({0, 1}));
  EXPECT_THROW(proto_gradient(target, {}, rows, {}, {}), std::invalid_argument);
  EXPECT_THROW(proto_gradient(target, {}, rows.first(1), episodes, {}), std::invalid_argument);
  episodes[1].query_logs.conservativeResize(3);
  EXPECT_THROW(proto_gradient(target, {}, rows, episodes, {}), std::invalid_argument);
}

TEST(FitHead, RecoversASumOfItsTerms) {
  const auto profile = family_profile(2);
  const ModeProto net("proto", {profile}, small(), 1);
  const auto inputs = proto_inputs(net.model(), tasks::kTimeMs, *profile.space, profile.modes);
  const Vector logs = tasks::samples_of(profile).targets.col(0).array().log();
  const Vector fitted = learners::head(inputs.log_terms, fit_head(inputs.log_terms, logs));
  EXPECT_NEAR(fitted.mean(), 0, 1e-9);
  // The floor adds a hundredth of the greatest term to each of four.
  EXPECT_LT((fitted - (logs.array() - logs.mean()).matrix()).cwiseAbs().maxCoeff(), 0.02);
}

TEST(ProtoNet, NoTermOfAHeadDiesOut) {
  const Matrix log_terms = Matrix::NullaryExpr(40, 3, [](Eigen::Index row, Eigen::Index term) {
    return -0.1 * static_cast<double>((row * (term + 2)) % 17);
  });
  const Vector first_alone = log_terms.col(0);
  const Vector beta = fit_head(log_terms, first_alone);
  EXPECT_EQ(beta.maxCoeff(), beta[0]);
  EXPECT_GE(beta.minCoeff(), beta.maxCoeff() + std::log(0.009));
}

// Workload i spends most of its time and power on clock i mod 3, each in its own way.
datasets::Profile one_of_three_kinds(int i) {
  auto rng = hw::Rng::stream(6, "kinds", static_cast<std::uint64_t>(i));
  auto profile = family_profile(i);
  double cost[3], draw[3];
  for (int k = 0; k < 3; ++k) {
    const double most = k == i % 3 ? 1 : 0.03;
    cost[k] = most * rng.uniform(0.8, 1.2);
    draw[k] = 2 * most * rng.uniform(0.8, 1.2);
  }
  for (std::size_t row = 0; row < profile.modes.size(); ++row) {
    auto& m = profile.measurements[row];
    m = {.time_ms = 0.02};
    m.power_w = 0.1;
    for (std::size_t k = 0; k < 3; ++k) {
      const double x = static_cast<double>(profile.modes[row][k]) / profile.space->max_level(k);
      m.time_ms += cost[k] / x;
      m.power_w += draw[k] * x;
    }
  }
  return profile;
}

// Two of each kind, where the neighbour of each is of another kind.
std::vector<datasets::Profile> three_kinds() {
  std::vector<datasets::Profile> profiles;
  for (int i = 0; i < 6; ++i) profiles.push_back(one_of_three_kinds(i));
  return profiles;
}

// A net trained on three_kinds(), and tasks of further workloads of these kinds.
struct Trained {
  std::vector<datasets::Profile> profiles = three_kinds();
  ModeProto net{"proto", profiles, small(), 1};
  double first = 0, last = 0;

  Trained() {
    train(net, net.episodes_of(source(profiles)), {}, {.steps = 60, .meta_batch = 8},
          {.progress = [&](const Progress& p) {
            if (p.step <= 10) first += p.loss / 10;
            if (p.step > 50) last += p.loss / 10;
          }});
  }
  static const Trained& once() {
    static const Trained trained;
    return trained;
  }
  static std::vector<tasks::Task> new_tasks(std::size_t shots, int each) {
    hw::Rng rng(2);
    std::vector<tasks::Task> tasks;
    for (int i = 6; i < 9; ++i) {
      for (int draw = 0; draw < each; ++draw)
        tasks.push_back(tasks::sample_task(one_of_three_kinds(i), shots, rng, 20));
    }
    return tasks;
  }
};

TEST(ProtoNet, TellsWorkloadsApartAndItsLossFalls) {
  const auto& trained = Trained::once();
  EXPECT_LT(trained.last, trained.first - 0.5);
  const auto tasks = Trained::new_tasks(8, 1);
  for (const auto t : kBoth) {
    const auto found = proto_gradient(*trained.net.model().targets[t], {}, trained.net.prototype_rows(t),
                                      trained.net.inputs(t, tasks), {});
    EXPECT_GT(found.accuracy, 0.5) << tasks::kTargetNames[t];  // chance is 1/3
  }
}

TEST(ProtoNet, NamesTheWorkloadThatTheNewOneIsACopyOf) {
  const auto profiles = family(4);
  ModeProto net("proto", profiles, small(), 1);
  train(net, net.episodes_of(source(profiles)), {}, {.steps = 60, .meta_batch = 8});
  const auto learner = learners::make_learner(net.snapshot());
  for (const auto& profile : profiles) {
    hw::Rng rng(2);
    auto support = tasks::sample_task(profile, 12, rng).support;
    support.targets.col(tasks::kTimeMs) *= 3;
    support.targets.col(tasks::kPowerW) *= 2;
    const auto similar = learner->adapt(support)->behaves_like();
    EXPECT_EQ(similar[0].workload, "board/" + profile.workload) << similar[0].weight;
  }
}

TEST(ProtoNet, NewWorkloadBehavesLikeThoseOfItsKind) {
  const auto& trained = Trained::once();
  const auto learner = learners::make_learner(trained.net.snapshot());
  const auto tasks = Trained::new_tasks(8, 1);
  for (int kind = 0; kind < 3; ++kind) {
    const auto similar = learner->adapt(tasks[static_cast<std::size_t>(kind)].support)->behaves_like();
    double same = 0;
    for (const auto& [workload, weight] : similar) {
      if (workload == "board/w" + std::to_string(kind) || workload == "board/w" + std::to_string(kind + 3))
        same += weight;
    }
    EXPECT_GT(same, 0.6) << kind;
  }
}

TEST(ProtoNet, ShuffledPrototypesAreWorse) {
  const auto& trained = Trained::once();
  const auto checkpoint = trained.net.snapshot();
  const auto tasks = Trained::new_tasks(3, 6);
  const double right = validation_error(*learners::make_learner(checkpoint), tasks),
               wrong = validation_error(*learners::make_learner(shuffled_prototypes(checkpoint)), tasks);
  EXPECT_LT(right, 0.8 * wrong);
}

TEST(ProtoNet, ShufflingMovesEveryPrototypeAndNothingElse) {
  const ModeProto net("proto", family(3), small(), 1);
  const auto before = net.snapshot();
  auto after = shuffled_prototypes(before);
  const Matrix &was = before.tensor("time/prototypes"), is = after.tensor("time/prototypes");
  for (Eigen::Index i = 0; i < 3; ++i) EXPECT_EQ(is.row((i + 1) % 3), was.row(i));
  for (const char* name : {"time/prototypes", "power/prototypes"}) after.tensors[name] = before.tensor(name);
  EXPECT_EQ(after.tensors, before.tensors);
  EXPECT_EQ(after.numbers, before.numbers);
}

TEST(ProtoNet, TwinIsWhatItsOwnRequestGives) {
  const auto request = [](const std::string& name) {
    return InitializerRequest{.name = name,
                              .seed = 3,
                              .shots = {5},
                              .validation_draws = 1,
                              .settings = {{"meta_batch", "2"}, {"steps", "2"}}};
  };
  const auto profiles = family(3);
  const auto trained = train_initializer(request("proto"), profiles);
  for (const std::string name : {"proto-even", "proto-shuffled"}) {
    const auto a = twin(name, trained), b = train_initializer(request(name), profiles);
    EXPECT_EQ(a.tensors, b.tensors);
    EXPECT_EQ(a.numbers, b.numbers);
    EXPECT_EQ(a.texts, b.texts);
    EXPECT_EQ(a.origin, b.origin);
    EXPECT_EQ(a.text("trained_by"), name);
  }
  EXPECT_THROW(twin("proto", trained), std::invalid_argument);
}

TEST(ProtoNet, StateGoesOnBitForBit) {
  const tests::TempDir dir;
  const auto profiles = family(3);
  const auto tasks = source(profiles);
  hw::Rng rng(4);
  std::vector<std::vector<tasks::Task>> batches;
  for (int i = 0; i < 6; ++i) batches.push_back(tasks.next(4, rng));

  ModeProto whole("proto", profiles, small(), 1), before("proto", profiles, small(), 1),
      after("proto", profiles, small(), 1);
  for (const auto& batch : batches) whole.step(batch);
  for (std::size_t i = 0; i < 3; ++i) before.step(batches[i]);
  learners::write_checkpoint(dir / "state.h5", before.state());
  after.set_state(learners::read_checkpoint(dir / "state.h5"));
  for (std::size_t i = 3; i < 6; ++i) after.step(batches[i]);
  EXPECT_EQ(whole.snapshot().tensors, after.snapshot().tensors);
  EXPECT_NE(before.snapshot().tensors, after.snapshot().tensors);
}

TEST(ProtoNet, RefusesAStateOfAnotherNet) {
  const auto profiles = family(2);
  const auto state = ModeProto("proto", profiles, small(), 1).state();
  auto wider = small();
  wider.hidden = {32};
  EXPECT_THROW(ModeProto("proto", profiles, wider, 1).set_state(state), std::invalid_argument);
  auto other = state;
  other.learner = "maml-state";
  EXPECT_THROW(ModeProto("proto", profiles, small(), 1).set_state(other), std::invalid_argument);
}

TEST(ProtoNet, SameSeedGivesTheSameWeights) {
  const auto profiles = family(3);
  const auto trained = [&](std::uint64_t seed) {
    ModeProto net("proto", profiles, small(), seed);
    train(net, net.episodes_of(source(profiles), seed), {}, {.steps = 3, .meta_batch = 4});
    return net.snapshot();
  };
  EXPECT_EQ(trained(1).tensors, trained(1).tensors);
  EXPECT_NE(trained(1).tensors, trained(2).tensors);
}

TEST(ProtoNet, TrainsOnlyTheTargetsThatProfilesHave) {
  auto profiles = family(2, false);
  profiles.push_back(family_profile(2));
  ModeProto net("proto", profiles, small(), 1);
  EXPECT_EQ(net.model().targets[tasks::kTimeMs]->workloads.size(), 3);
  EXPECT_EQ(net.model().targets[tasks::kPowerW]->workloads.size(), 1);
  hw::Rng rng(1);
  EXPECT_TRUE(std::isfinite(net.step(source(profiles).next(4, rng)).loss));
  ModeProto time_only("proto", family(2, false), small(), 1);
  EXPECT_FALSE(time_only.model().targets[tasks::kPowerW]);
}

TEST(ProtoNet, RowsWithoutAPowerAreLeftOut) {
  auto profiles = family(2);
  for (std::size_t i = 0; i < profiles[1].measurements.size(); i += 3)
    profiles[1].measurements[i].power_w = std::nan("");
  ModeProto net("proto", profiles, small(), 1);
  hw::Rng rng(1);
  EXPECT_TRUE(std::isfinite(net.step(source(profiles).next(4, rng)).loss));
}

TEST(ProtoNet, OneWorkloadOfThreeRowsIsEnough) {
  auto profiles = family(1);
  profiles[0].modes.resize(3);
  profiles[0].measurements.resize(3);
  ModeProto net("proto", profiles, small(), 1);
  const tasks::TaskSource few(profiles, {.min_shots = 1, .max_shots = 2, .query = 5, .augmentation = {}});
  train(net, net.episodes_of(few), {}, {.steps = 5, .meta_batch = 4});
  const auto predictor = learners::make_learner(net.snapshot())->adapt(tasks_of({5}, 1)[0].support);
  EXPECT_TRUE((predictor->predict(profiles[0].space->modes()).median().array() > 0).all());
  EXPECT_EQ(predictor->behaves_like().size(), 1);
}

TEST(ProtoNet, DivergedStepNamesStepAndTaskAndChangesNothing) {
  const auto profiles = family(2);
  ModeProto net("proto", profiles, small(), 1);
  const auto before = net.state();
  auto tasks = tasks_of({0, 1});
  tasks[1].query.targets(0, 0) = std::numeric_limits<double>::infinity();
  try {
    net.step(tasks);
    FAIL() << "no error";
  } catch (const Diverged& e) {
    EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("board/w1"), std::string::npos) << e.what();
  }
  EXPECT_EQ(net.state().tensors, before.tensors);
  EXPECT_EQ(net.state().numbers, before.numbers);
}

TEST(ProtoNet, RefusesBadOptionsAndProfiles) {
  auto options = small();
  options.clip_norm = 0;
  EXPECT_THROW(ModeProto("proto", family(1), options, 1), std::invalid_argument);
  options = small();
  options.loss.prior = -1;
  EXPECT_THROW(ModeProto("proto", family(1), options, 1), std::invalid_argument);
  EXPECT_THROW(ModeProto("proto", {}, small(), 1), std::invalid_argument);
  auto mixed = family(2);
  mixed[1].space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::power_limit_mw, {1000, 2000}}}));
  mixed[1].modes = mixed[1].space->modes();
  mixed[1].measurements.resize(2);
  EXPECT_THROW(ModeProto("proto", mixed, small(), 1), std::invalid_argument);
}

}  // namespace proto_net_test
}  // namespace fewwatt::meta
