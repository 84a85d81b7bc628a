#include "learners/control/policy_net.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>

#include "learners/registry.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_policies.hpp"
#include "tests/tolerances.hpp"

// Counts what is allocated, also where Eigen allocates it.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FEWWATT_COUNTS_ALLOCATIONS
namespace {
std::atomic<std::size_t> allocations{0};
}
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
#endif

namespace fewwatt::learners {
namespace policy_net_test {

using tests::made_policy;

Matrix random_actions(Eigen::Index n, int features, hw::Rng& rng) {
  Matrix actions(n, features);
  for (Eigen::Index i = 0; i < actions.size(); ++i) actions.data()[i] = rng.normal();
  return actions;
}

Vector random_vector(int n, hw::Rng& rng) {
  Vector values(n);
  for (auto& value : values) value = rng.normal();
  return values;
}

double sigmoid(double v) {
  return 1 / (1 + std::exp(-v));
}

// The step of the header's comment, entry by entry, with the nets of mlp.hpp.
struct Expected {
  Vector scores;
  double value;
};
class Reference {
 public:
  explicit Reference(const PolicyModel& model) : model_(model), h_(Vector::Zero(model.memory())) {}

  Expected step(const Vector& observation, const Vector& before, double reward, double flag,
                const Matrix& actions) {
    Vector x(model_.input_size());
    if (model_.gru)
      x << observation, before, reward, flag;
    else
      x = observation;
    for (Eigen::Index i = 0; i < x.size(); ++i)
      x[i] = model_.inputs.stddev[i] > 0 ? (x[i] - model_.inputs.mean[i]) / model_.inputs.stddev[i] : 0;
    if (model_.gru) remember(x);
    Vector state(model_.state_size());
    state << h_, x.head(model_.observation);
    Expected expected{Vector(actions.rows()), std::nan("")};
    const Mlp<double> net(model_.score_shape(), model_.score.weights);
    if (model_.outputs > 0) {
      expected.scores = net.forward(state.transpose()).transpose();
    } else {
      const Mlp<double> embed(model_.embed_shape(), model_.embed->weights);
      const Matrix of_state = net.forward(state.transpose());
      for (Eigen::Index a = 0; a < actions.rows(); ++a)
        expected.scores[a] =
            of_state.row(0).dot(embed.forward(actions.row(a)).row(0)) / std::sqrt(model_.embedding);
    }
    if (model_.value)
      expected.value =
          Mlp<double>(model_.value_shape(), model_.value->weights).forward(state.transpose())(0, 0);
    if (model_.duelling) expected.scores.array() += expected.value - expected.scores.mean();
    return expected;
  }

 private:
  void remember(const Vector& x) {
    const auto& g = *model_.gru;
    const auto h = h_.size();
    const Vector before = h_;
    const auto gate = [&](Eigen::Index part, Eigen::Index k, double factor) {
      const auto row = part * h + k;
      return g.weight_ih.row(row).dot(x) + g.bias_ih[row] +
             factor * (g.weight_hh.row(row).dot(before) + g.bias_hh[row]);
    };
    for (Eigen::Index k = 0; k < h; ++k) {
      const double r = sigmoid(gate(0, k, 1)), z = sigmoid(gate(1, k, 1));
      h_[k] = (1 - z) * std::tanh(gate(2, k, r)) + z * before[k];
    }
  }

  const PolicyModel& model_;
  Vector h_;
};

std::vector<PolicyModel> kinds() {
  std::vector<PolicyModel> all;
  for (const int memory : {0, 6})
    for (const int outputs : {0, 4})
      for (const bool duelling : {false, true})
        for (const auto& hidden : {std::vector<int>{}, std::vector<int>{8}, std::vector<int>{8, 5}})
          all.push_back(made_policy({.observation = 7,
                                     .action = 3,
                                     .outputs = outputs,
                                     .memory = memory,
                                     .duelling = duelling,
                                     .hidden = hidden}));
  for (const auto& [name, activation] : kActivations) {
    auto model = made_policy({.observation = 7, .action = 3, .hidden = {8}});
    model.activation = activation;
    all.push_back(model);
  }
  return all;
}

TEST(PolicyNet, ComputesTheStepsOfItsDefinition) {
  for (const auto& model : kinds()) {
    hw::Rng rng(3);
    PolicyNet<double> net(model);
    PolicyNet<float> fast(model);
    for (int episode = 0; episode < 2; ++episode) {  // the second begins with an empty memory
      const auto actions = random_actions(model.outputs > 0 ? model.outputs : 9, model.action, rng);
      net.begin(actions);
      fast.begin(actions);
      Reference reference(model);
      Vector before = Vector::Zero(model.action);
      double reward = 0;
      for (int t = 0; t < 4; ++t) {
        const auto observation = random_vector(model.observation, rng);
        const auto expected = reference.step(observation, before, reward, t > 0 ? 1 : 0, actions);
        const auto& scores = net.scores(observation, reward);
        EXPECT_LE((scores.transpose() - expected.scores).cwiseAbs().maxCoeff(), tests::kParity);
        EXPECT_LE((fast.scores(observation, reward).transpose().cast<double>() - expected.scores)
                      .cwiseAbs()
                      .maxCoeff(),
                  tests::kFloat * (1 + expected.scores.cwiseAbs().maxCoeff()));
        if (model.value) {
          EXPECT_NEAR(net.value(), expected.value, tests::kParity);
        } else {
          EXPECT_TRUE(std::isnan(net.value()));
        }
        const auto taken = rng.below(static_cast<std::size_t>(actions.rows()));
        net.took(taken);
        fast.took(taken);
        before = actions.row(static_cast<Eigen::Index>(taken)).transpose();
        reward = rng.normal();
      }
    }
  }
}

TEST(PolicyNet, InputsWithoutSpreadAreLeftOut) {
  auto model = made_policy({.observation = 7, .action = 3, .hidden = {8}});
  model.inputs.stddev[2] = 0;
  PolicyNet<double> net(model);
  hw::Rng rng(1);
  net.begin(random_actions(5, 3, rng));
  auto observation = random_vector(7, rng);
  const Vector scores = net.scores(observation, 0).transpose();
  observation[2] += 100;
  EXPECT_EQ(Vector(net.scores(observation, 0).transpose()), scores);
}

#ifdef FEWWATT_COUNTS_ALLOCATIONS
TEST(PolicyNet, AllocatesNothingOnceAnEpisodeHasBegun) {
  for (const int memory : {0, 64}) {
    NetPolicy policy(made_policy(
        {.observation = 37, .action = 18, .memory = memory, .duelling = true, .hidden = {64, 64}}));
    hw::Rng rng(1);
    policy.begin(random_actions(500, 18, rng), 0);
    const auto observation = random_vector(37, rng);
    const auto before = allocations.load();
    for (int i = 0; i < 20; ++i) policy.act(observation, 0.1);
    EXPECT_EQ(allocations.load(), before);
    const Vector copy = observation;
    EXPECT_EQ(copy, observation);
    EXPECT_GT(allocations.load(), before);  // it is counted
  }
}
#endif

// ---- the policy ----

TEST(NetPolicy, TakesTheLargestValueAmongTheActionsThatAreAllowed) {
  auto model = made_policy({.observation = 7, .action = 3, .hidden = {8}});
  model.scores = Scores::values;
  PolicyNet<float> net(model);
  NetPolicy policy(model);
  hw::Rng rng(1);
  const auto actions = random_actions(30, 3, rng);
  net.begin(actions);
  policy.begin(actions, 0);
  for (int i = 0; i < 20; ++i) {
    const auto observation = random_vector(7, rng);
    Eigen::Index best = 0;
    auto scores = net.scores(observation, 0);
    scores.maxCoeff(&best);
    EXPECT_EQ(policy.act(observation, 0), static_cast<std::size_t>(best));
    std::vector<char> allowed(30, 1);
    allowed[static_cast<std::size_t>(best)] = 0;
    scores[best] = -1e9F;
    scores.maxCoeff(&best);
    EXPECT_EQ(policy.act(observation, 0, allowed), static_cast<std::size_t>(best));
    const std::vector<char> one = [] {
      std::vector<char> only(30, 0);
      only[11] = 1;
      return only;
    }();
    EXPECT_EQ(policy.act(observation, 0, one), 11u);
  }
  EXPECT_THROW(policy.act(random_vector(7, rng), 0, std::vector<char>(30, 0)), std::invalid_argument);
  EXPECT_THROW(policy.act(random_vector(7, rng), 0, std::vector<char>(29, 1)), std::invalid_argument);
}

TEST(NetPolicy, SamplesWithTheProbabilitiesOfItsPreferences) {
  const auto model = made_policy({.observation = 7, .action = 3, .hidden = {8}});
  PolicyNet<double> net(model);
  NetPolicy policy(model);
  hw::Rng rng(1);
  const auto actions = random_actions(4, 3, rng);
  const auto observation = random_vector(7, rng);
  net.begin(actions);
  policy.begin(actions, 5);
  Vector probability = net.scores(observation, 0).transpose().array().exp();
  probability[2] = 0;  // not allowed
  probability /= probability.sum();
  const std::vector<char> allowed = {1, 1, 0, 1};
  constexpr int n = 10'000;
  Vector count = Vector::Zero(4);
  for (int i = 0; i < n; ++i) count[static_cast<Eigen::Index>(policy.act(observation, 0, allowed))] += 1;
  for (Eigen::Index a = 0; a < 4; ++a)
    EXPECT_NEAR(count[a] / n, probability[a], 5 * std::sqrt(probability[a] / n) + 1e-12) << a;
}

TEST(NetPolicy, NoSeedMattersWhereNothingIsDrawn) {
  auto model = made_policy({.observation = 7, .action = 3, .hidden = {8}});
  model.scores = Scores::values;
  NetPolicy one(model), other(model);
  hw::Rng rng(1);
  const auto actions = random_actions(40, 3, rng);
  one.begin(actions, 1);
  other.begin(actions, 2);
  for (int i = 0; i < 10; ++i) {
    const auto observation = random_vector(7, rng);
    EXPECT_EQ(one.act(observation, 0), other.act(observation, 0));
  }
}

TEST(NetPolicy, MisuseIsRefused) {
  NetPolicy policy(made_policy({.observation = 7, .action = 3, .hidden = {8}}));
  EXPECT_THROW(policy.act(Vector::Zero(7), 0), std::logic_error);
  EXPECT_THROW(policy.begin(Matrix::Zero(5, 2), 0), std::invalid_argument);
  EXPECT_THROW(policy.begin(Matrix(0, 3), 0), std::invalid_argument);
  policy.begin(Matrix::Zero(5, 3), 0);
  EXPECT_THROW(policy.act(Vector::Zero(6), 0), std::invalid_argument);
  NetPolicy four(made_policy({.observation = 7, .action = 3, .outputs = 4, .hidden = {8}}));
  EXPECT_THROW(four.begin(Matrix::Zero(5, 3), 0), std::invalid_argument);
}

// ---- checkpoints ----

TEST(PolicyModel, IsTheSameAfterACheckpoint) {
  auto all = kinds();
  all.push_back(tests::made_mode_policy(*tests::example_space()));
  for (const auto& model : all) {
    const auto checkpoint = model.to_checkpoint();
    const auto again = PolicyModel::from_checkpoint(checkpoint).to_checkpoint();
    EXPECT_EQ(again.learner, "policy");
    EXPECT_EQ(again.texts, checkpoint.texts);
    EXPECT_EQ(again.numbers, checkpoint.numbers);
    EXPECT_TRUE(again.tensors == checkpoint.tensors);
  }
}

TEST(PolicyModel, KeepsTheOptionsOfTheProblem) {
  auto model = tests::made_mode_policy(*tests::example_space());
  model.mdp = tasks::ModeMdpOptions{.task = tasks::ModeTask::run,
                                    .actions = tasks::ModeActionKind::move,
                                    .reward = tasks::RewardForm::posed,
                                    .lambda = 3,
                                    .measurements = 77,
                                    .candidates = 40,
                                    .switch_share = 0.1};
  const auto again = PolicyModel::from_checkpoint(model.to_checkpoint()).mdp.value();
  EXPECT_EQ(again.task, tasks::ModeTask::run);
  EXPECT_EQ(again.actions, tasks::ModeActionKind::move);
  EXPECT_EQ(again.reward, tasks::RewardForm::posed);
  EXPECT_EQ(again.lambda, 3);
  EXPECT_EQ(again.measurements, 77u);
  EXPECT_EQ(again.candidates, 40u);
  EXPECT_EQ(again.switch_share, 0.1);
}

TEST(PolicyModel, ACheckpointOfALearnerIsNoAgentAndTheReverse) {
  Checkpoint learner;
  learner.learner = "fine_tune";
  try {
    PolicyModel::from_checkpoint(learner);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "expected the checkpoint of an agent, found one of the learner fine_tune");
  }
  EXPECT_THROW(make_learner(tests::made_mode_policy(*tests::example_space()).to_checkpoint()),
               std::invalid_argument);
}

TEST(PolicyModel, MissingEntriesAreNamed) {
  const auto good = tests::made_mode_policy(*tests::example_space()).to_checkpoint();
  const auto refusal = [](const Checkpoint& bad) -> std::string {
    try {
      PolicyModel::from_checkpoint(bad);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(good), "");
  for (const auto& [name, value] : good.texts) {
    auto bad = good;
    bad.texts.erase(name);
    EXPECT_NE(refusal(bad).find(name), std::string::npos) << name;
  }
  for (const auto& [name, value] : good.numbers) {
    auto bad = good;
    bad.numbers.erase(name);
    EXPECT_NE(refusal(bad).find(name), std::string::npos) << name;
  }
  for (const auto& [name, value] : good.tensors) {
    auto bad = good;
    bad.tensors.erase(name);
    if (name == "value/weights") continue;  // may be missing
    EXPECT_NE(refusal(bad).find(name), std::string::npos) << name;
  }
}

// Checkpoints come from other people.
TEST(PolicyModel, WhateverANumberIsItIsRefusedOrDoesNoHarm) {
  const auto good = tests::made_mode_policy(*tests::example_space()).to_checkpoint();
  std::size_t refused = 0, tried = 0;
  const auto try_out = [&](const Checkpoint& bad, const std::string& what) {
    ++tried;
    try {
      const auto model = PolicyModel::from_checkpoint(bad);
      NetPolicy policy(model);
      policy.begin(Matrix::Ones(4, model.action), 0);
      for (int i = 0; i < 3; ++i) EXPECT_LT(policy.act(Vector::Ones(model.observation), 0.5), 4u) << what;
    } catch (const std::invalid_argument& e) {
      ++refused;
      EXPECT_STRNE(e.what(), "") << what;
    }
  };
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, -1.0, 0.0, 1e300, 5e8}) {
    for (const auto& [name, values] : good.numbers) {
      auto bad = good;
      bad.numbers[name].back() = value;
      try_out(bad, name);
    }
    for (const auto& [name, tensor] : good.tensors) {
      auto bad = good;
      bad.tensors[name](0, tensor.cols() - 1) = value;
      try_out(bad, name);
    }
  }
  for (const auto& [name, tensor] : good.tensors) {
    auto shorter = good;
    shorter.tensors[name] = Matrix(tensor.leftCols(tensor.cols() - 1));
    EXPECT_THROW(PolicyModel::from_checkpoint(shorter), std::invalid_argument) << name;
  }
  EXPECT_GT(refused, tried / 2);
}

TEST(CheckPolicy, AnAgentTrainedForOtherKnobsOrAnotherEnvironmentIsRefused) {
  const auto model = tests::made_mode_policy(*tests::example_space());
  EXPECT_NO_THROW(check_policy(model, *tests::example_space()));
  const auto card = hw::PowerModeSpace::grid({{hw::KnobRole::power_limit_mw, {100'000, 200'000}}});
  try {
    check_policy(model, card);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(
        e.what(),
        "the device has a knob power_limit/board, but the agent was trained with clock/cpu clock/gpu");
  }
  EXPECT_THROW(check_policy(made_policy({.observation = 7, .action = 3}), card), std::invalid_argument);
}

}  // namespace policy_net_test
}  // namespace fewwatt::learners
