#include "meta/deep_kernel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "meta/train.hpp"
#include "tests/gradient_check.hpp"
#include "tests/meta/made_up_family.hpp"
#include "tests/meta/on_tasks.hpp"
#include "tests/tolerances.hpp"

namespace fewwatt::meta {
namespace deep_kernel_test {

using tests::family;
using tests::family_profile;

constexpr auto kBoth = {0, 2};  // without and with a net

struct ModeKernel : tests::OnTasks<DeepKernel, learners::GpModel> {
  ModeKernel(const std::string& name, const std::vector<datasets::Profile>& training,
             const DeepKernelOptions& options, std::uint64_t seed)
      : OnTasks(deep_kernel_on_modes(name, training, options, seed)) {}
};

// The family has three knobs, x, 1 / x and log x of each.
constexpr Eigen::Index kFirstKnob = 6;

DeepKernelOptions small(int embedding) {
  DeepKernelOptions options;
  options.hidden = {5};
  options.embedding = embedding;
  options.max_steps = 60;
  return options;
}

std::vector<tasks::Task> tasks_of(std::initializer_list<int> workloads, std::size_t query = 7) {
  hw::Rng rng(9);
  std::vector<tasks::Task> tasks;
  for (const int i : workloads) tasks.push_back(tasks::sample_task(family_profile(i), 6, rng, query));
  return tasks;
}

// A target some steps away from where training starts.
learners::GpTarget moved(const ModeKernel& meta, tasks::Target t) {
  auto target = *meta.model().targets[t];
  hw::Rng rng(3);
  Vector parameters = deep_kernel_parameters(target);
  for (auto& value : parameters) value += 0.2 * rng.normal();
  set_deep_kernel_parameters(target, parameters);
  return target;
}

TEST(DeepKernelGradient, EqualsCentralDifferences) {
  for (const int embedding : kBoth) {
    const ModeKernel meta("deep-kernel", family(3), small(embedding), 1);
    for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto episodes = meta.episodes(t, tasks_of({0, 1, 4}));
      const auto at = moved(meta, t);
      const auto value = [&](const Vector& parameters) {
        auto target = at;
        set_deep_kernel_parameters(target, parameters);
        return deep_kernel_gradient(meta.model().shape, target, kFirstKnob, episodes, 0.01).loss;
      };
      const auto found = deep_kernel_gradient(meta.model().shape, at, kFirstKnob, episodes, 0.01);
      EXPECT_LE(tests::gradient_error(value, deep_kernel_parameters(at), found.gradient), tests::kGradient);
    }
  }
}

TEST(DeepKernelGradient, LossIsTheMarginalLikelihoodOfTheBoard) {
  for (const int embedding : kBoth) {
    const ModeKernel meta("deep-kernel", family(3), small(embedding), 1);
    const auto& shape = meta.model().shape;
    for (const auto t : {tasks::kTimeMs, tasks::kPowerW}) {
      const auto target = moved(meta, t);
      const auto episodes = meta.episodes(t, tasks_of({5, 7, 8}));
      const auto found = deep_kernel_gradient(shape, target, kFirstKnob, episodes, 0);
      for (std::size_t i = 0; i < episodes.size(); ++i) {
        const auto& e = episodes[i];
        Matrix x(e.support_x.rows() + e.query_x.rows(), e.support_x.cols());
        x << e.support_x, e.query_x;
        Vector logs(x.rows());
        logs << e.support_y, e.query_y;
        logs.array() -= logs.mean();
        const auto inputs = learners::gp_inputs(shape, target.weights, x);
        const double loss = learners::gp_objective(target, target.kernel, inputs, logs, nullptr) /
                            static_cast<double>(x.rows());
        EXPECT_NEAR(found.task_losses[i], loss, tests::kParity * std::max(1.0, std::abs(loss)));
      }
    }
  }
}

TEST(DeepKernelGradient, BatchIsTheMeanOfItsTasks) {
  const ModeKernel meta("deep-kernel", family(3), small(2), 1);
  const auto target = moved(meta, tasks::kTimeMs);
  const auto episodes = meta.episodes(tasks::kTimeMs, tasks_of({0, 1, 2, 7}));
  const auto batch = deep_kernel_gradient(meta.model().shape, target, kFirstKnob, episodes, 0);
  Vector mean = Vector::Zero(batch.gradient.size());
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    const auto one =
        deep_kernel_gradient(meta.model().shape, target, kFirstKnob, std::span(&episodes[i], 1), 0);
    EXPECT_NEAR(one.loss, batch.task_losses[i], tests::kBatched * std::max(1.0, std::abs(one.loss)));
    mean += one.gradient / static_cast<double>(episodes.size());
  }
  EXPECT_LT((mean - batch.gradient).cwiseAbs().maxCoeff(),
            tests::kParity * std::max(1.0, mean.cwiseAbs().maxCoeff()));
}

TEST(DeepKernelGradient, RefusesSizesThatDoNotFit) {
  const ModeKernel meta("deep-kernel", family(2), small(2), 1);
  const auto target = *meta.model().targets[0];
  const auto good = meta.episodes(tasks::kTimeMs, tasks_of({0, 1}));
  const auto refused = [&](auto change) {
    auto episodes = good;
    auto bad = target;
    change(episodes, bad);
    EXPECT_THROW(deep_kernel_gradient(meta.model().shape, bad, kFirstKnob, episodes, 0),
                 std::invalid_argument);
  };
  refused([](auto& e, auto&) { e.clear(); });
  refused([](auto& e, auto&) { e[1].query_x.conservativeResize(3, Eigen::NoChange); });
  refused([](auto& e, auto&) { e[0].support_y.conservativeResize(2, Eigen::NoChange); });
  refused([](auto& e, auto&) {
    for (auto& one : e) one.support_x.conservativeResize(Eigen::NoChange, 2);
  });
  refused([](auto&, auto& t) { t.mean.conservativeResize(1); });
  refused([](auto&, auto& t) { t.weights.conservativeResize(1); });
}

class OnTheFamily : public testing::TestWithParam<int> {};

TEST_P(OnTheFamily, TrainingBeatsTheStartAndAProcessOnTheSupportAlone) {
  auto options = small(GetParam());
  options.max_steps = 100;
  ModeKernel meta("deep-kernel", family(6), options, 1);
  const auto test = tasks_of({11, 12, 13, 14}, 40);
  const auto error = [&](const learners::Learner& learner) {
    double sum = 0;
    for (const auto& task : test) sum += query_error(learner, tasks::kTimeMs, task) / 4;
    return sum;
  };
  const auto loss = [&] {
    return deep_kernel_gradient(meta.model().shape, *meta.model().targets[0], kFirstKnob,
                                meta.episodes(tasks::kTimeMs, test), 0)
        .loss;
  };
  const double loss_before = loss(), before = error(learners::Gp(meta.model()));
  const tasks::TaskSource source(family(6),
                                 {.min_shots = 5, .max_shots = 10, .query = 12, .augmentation = {}});
  train(meta, meta.episodes_of(source, 1), {},
        {.steps = options.max_steps, .meta_batch = 8, .validate_every = 50});
  const double after = error(learners::Gp(meta.model()));
  EXPECT_LT(loss(), loss_before - 0.5);
  EXPECT_LT(after, 0.7 * before);
  EXPECT_LT(after, 0.7 * error(learners::Gp()));
}

INSTANTIATE_TEST_SUITE_P(DeepKernel, OnTheFamily, testing::Values(0, 2));

TEST(DeepKernel, WithoutANetTheKernelActsOnTheKnobs) {
  EXPECT_EQ(ModeKernel("gp-meta", family(2), small(0), 1).model().columns(), 3);
  EXPECT_EQ(ModeKernel("deep-kernel", family(2), small(2), 1).model().columns(), 5);
}

TEST(DeepKernel, BadOptionsThrow) {
  const auto refused = [](auto change) {
    DeepKernelOptions options;
    change(options);
    EXPECT_THROW(ModeKernel("deep-kernel", family(2), options, 1), std::invalid_argument);
  };
  refused([](auto& o) { o.hidden = {0}; });
  refused([](auto& o) { o.embedding = -1; });
  refused([](auto& o) { o.outer_rate = 0; });
  refused([](auto& o) { o.net_rate = std::nan(""); });
  refused([](auto& o) { o.pull = -1; });
  refused([](auto& o) { o.max_steps = -1; });
  refused([](auto& o) { o.clip_norm = std::nan(""); });
  EXPECT_THROW(ModeKernel("deep-kernel", {}, {}, 1), std::invalid_argument);
}

}  // namespace deep_kernel_test
}  // namespace fewwatt::meta
