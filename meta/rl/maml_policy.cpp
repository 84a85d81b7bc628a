#include "meta/rl/maml_policy.hpp"

#include <numeric>
#include <stdexcept>
#include <utility>

#include "hw/jobs.hpp"
#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

Surrogate surrogate_of(const PolicyAdaptation& how) {
  return {0, how.entropy_weight, how.value_weight};
}

PolicyShape shape_for(const MakeEnvironment& make, const MamlPolicyOptions& options) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return policy_shape(*example_of(make), options.net.hidden, options.net.activation, /*memory=*/0,
                      /*with_values=*/true);
}

}  // namespace

void PolicyAdaptation::each(learners::OptionVisitor& on) {
  on.whole("inner_steps", steps, 0, 1000, "steps of the inner loop");
  on.real("inner_rate", rate, 1e-9, 1e3, "learning rate of the inner loop");
  on.whole("episodes", episodes, 1, 10'000, "episodes before each inner step");
  on.real("trace", trace, 0, 1, "how far advantages look ahead: 0 one step, 1 the whole episode");
  on.real("value_weight", value_weight, 0, 1e6,
          "weight of the squared error of the net of values in the loss");
  on.real("entropy_weight", entropy_weight, 0, 1e6,
          "weight of the policy's entropy, which the loss falls with");
}

std::string PolicyAdaptation::error(const std::string& owner) const {
  const auto check = [&](const char* name, double value, double least, double most) {
    return out_of_bounds(owner, name, value, least, most);
  };
  for (auto bad :
       {check("inner_steps", steps, 0, 1000), check("inner_rate", rate, 1e-9, 1e3),
        check("episodes", episodes, 1, 10'000), check("trace", trace, 0, 1),
        check("value_weight", value_weight, 0, 1e6), check("entropy_weight", entropy_weight, 0, 1e6)})
    if (!bad.empty()) return bad;
  return "";
}

AdaptedPolicy adapt_policy(const MakeEnvironment& make, const PolicyShape& shape, const Vector& parameters,
                           const PolicyAdaptation& how, double discount, std::uint64_t seed,
                           std::uint64_t number) {
  const auto one = hw::Rng::stream(seed, "environment", number).bits();
  const MakeEnvironment same = [&](std::uint64_t) { return make(one); };
  auto draws = hw::Rng::stream(seed, "adaptation", number);
  AdaptedPolicy adapted;
  adapted.parameters = parameters;
  const auto act = [&](int step) {
    const auto trials = static_cast<std::uint64_t>(how.episodes);
    const auto first =
        (number * static_cast<std::uint64_t>(how.steps + 1) + static_cast<std::uint64_t>(step)) * trials;
    auto rollout = play(same, {seed, first, how.episodes, 1}, shape, adapted.parameters, draws);
    set_advantages(rollout, discount, how.trace);
    adapted.taken += rollout.taken;
    return rollout;
  };
  for (int step = 0; step < how.steps; ++step) {
    adapted.task.before.push_back(act(step).batch);
    adapted.parameters -=
        how.rate *
        surrogate_gradient(shape, adapted.parameters, adapted.task.before.back(), surrogate_of(how)).gradient;
  }
  auto after = act(how.steps);
  adapted.task.after = std::move(after.batch);
  adapted.returns = std::move(after.returns);
  return adapted;
}

LossGradient maml_policy_gradient(const PolicyShape& shape, const Vector& parameters,
                                  std::span<const AdaptedTask> tasks, const PolicyAdaptation& how,
                                  bool first_order, std::size_t workers) {
  const auto surrogate = surrogate_of(how);
  std::vector<LossGradient> found(tasks.size());
  hw::run_jobs(tasks.size(), workers, [&](std::size_t number) {
    use_one_thread();
    const auto& task = tasks[number];
    const auto start = weights_on(shape, parameters, /*differentiable=*/true);
    auto adapted = start;
    for (const auto& batch : task.before) {
      const auto slopes =
          gradients(surrogate_loss(shape, adapted, batch, surrogate), adapted, /*again=*/!first_order);
      for (std::size_t i = 0; i < adapted.size(); ++i) adapted[i] = adapted[i] - how.rate * slopes[i];
    }
    const auto loss = surrogate_loss(shape, adapted, task.after, surrogate);
    found[number] = {loss.item<double>(), flatten(gradients(loss, start))};
  });
  LossGradient mean{0, Vector::Zero(parameters.size())};
  const auto n = static_cast<double>(tasks.size());
  for (const auto& one : found) {
    mean.loss += one.loss / n;
    mean.gradient += one.gradient / n;
  }
  return mean;
}

void MamlPolicyOptions::each(learners::OptionVisitor& on) {
  net.each(on);
  adaptation.each(on);
  on.flag("first_order", first_order, "inner gradients are constants to the outer one");
}

std::string MamlPolicyOptions::error() const {
  if (auto bad = net.error("MamlPolicyOptions"); !bad.empty()) return bad;
  return adaptation.error("MamlPolicyOptions");
}

MamlPolicy::MamlPolicy(MakeEnvironment make, const MamlPolicyOptions& options, std::uint64_t seed)
    : NetTrainer("maml-policy", "preferences", shape_for(make, options), options.net, seed),
      make_(std::move(make)),
      options_(options) {}

UpdateReport MamlPolicy::act_and_learn() {
  UpdateReport report;
  const auto n = static_cast<std::size_t>(options_.net.environments);
  const auto first = static_cast<std::uint64_t>(updates_done()) * n;
  std::vector<AdaptedPolicy> policies(n);
  hw::run_jobs(n, workers(), [&](std::size_t i) {
    policies[i] = adapt_policy(make_, shape(), parameters(), options_.adaptation, options_.net.discount,
                               seed(), first + i);
  });
  std::vector<AdaptedTask> tasks;
  for (auto& adapted : policies) {
    report.steps += adapted.taken;
    report.returns.insert(report.returns.end(), adapted.returns.begin(), adapted.returns.end());
    tasks.push_back(std::move(adapted.task));
  }
  report.loss = descend(maml_policy_gradient(shape(), parameters(), tasks, options_.adaptation,
                                             options_.first_order, workers()));
  return report;
}

ReturnOf adapted_return_in(MakeEnvironment make, const MamlPolicyOptions& options, int environments,
                           std::uint64_t seed) {
  return [make = std::move(make), options, environments, seed](const learners::Checkpoint& snapshot,
                                                               const StopCheck& interrupted) {
    const auto [shape, parameters] = read_policy(snapshot);
    double sum = 0;
    std::size_t episodes = 0;
    for (int i = 0; i < environments; ++i) {
      throw_if_told(interrupted);
      const auto adapted = adapt_policy(make, shape, parameters, options.adaptation, options.net.discount,
                                        seed, static_cast<std::uint64_t>(i));
      sum += std::accumulate(adapted.returns.begin(), adapted.returns.end(), 0.0);
      episodes += adapted.returns.size();
    }
    return sum / static_cast<double>(episodes);
  };
}

}  // namespace fewwatt::meta
