#include "meta/rl/dqn.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

const DqnOptions& checked(const DqnOptions& options) {
  if (const auto bad = options.error(); !bad.empty()) throw std::invalid_argument(bad);
  return options;
}

}  // namespace

void DqnOptions::each(learners::OptionVisitor& on) {
  net.each(on);
  on.whole("steps", steps, 1, 1'000'000, "steps of an update, in all environments together");
  on.whole("gradient_steps", gradient_steps, 0, 1'000'000, "gradient steps of an update");
  on.whole("batch", batch, 1, 65'536, "transitions of a gradient step");
  on.whole("capacity", capacity, 1, 10'000'000, "transitions that the replay holds");
  on.whole("warm_up", warm_up, 0, 10'000'000, "steps before anything is learned");
  on.whole("target_every", target_every, 1, 10'000'000,
           "gradient steps after which the target net becomes the net");
  on.real("explore_first", explore_first, 0, 1, "probability of a random action at the start");
  on.real("explore_last", explore_last, 0, 1, "the same after explore_steps");
  on.whole("explore_steps", explore_steps, 1, kMostSteps, "steps in which it falls linearly");
  on.whole("reward_steps", reward_steps, 1, 1000, "steps whose rewards a target has");
  on.flag("double_q", double_q, "the net chooses the next action, and the target net says its value");
  on.flag("duelling", duelling, "a net for the state's value and one for what actions add to it");
}

std::string DqnOptions::error() const {
  if (auto bad = net.error("DqnOptions"); !bad.empty()) return bad;
  const auto check = [](const char* name, double value, double least, double most) {
    return out_of_bounds("DqnOptions", name, value, least, most);
  };
  for (auto bad :
       {check("steps", steps, 1, 1e6), check("gradient_steps", gradient_steps, 0, 1e6),
        check("batch", batch, 1, 65'536), check("capacity", capacity, 1, 1e7),
        check("warm_up", warm_up, 0, 1e7), check("target_every", target_every, 1, 1e7),
        check("explore_first", explore_first, 0, 1), check("explore_last", explore_last, 0, 1),
        check("explore_steps", explore_steps, 1, kMostSteps), check("reward_steps", reward_steps, 1, 1000)})
    if (!bad.empty()) return bad;
  return "";
}

Matrix action_values(const PolicyShape& shape, const Vector& parameters, const Matrix& observations,
                     std::span<const ActionSet> sets) {
  use_one_thread();
  const c10::InferenceMode no_gradients;
  return to_matrix(action_values(shape, weights_on(shape, parameters, false), view_of(observations),
                                 TorchChoices(shape, Choices(sets))));
}

namespace {

// Values of the actions of next situations, kNoAction for those that are spent there. What they are compared with in the duelling form is
// the mean over all actions, as everywhere else.
at::Tensor next_values(const PolicyShape& shape, const Vector& parameters, const TransitionBatch& batch,
                       const TorchChoices& choices) {
  auto all =
      action_values(shape, weights_on(shape, parameters, false), view_of(batch.next), choices).contiguous();
  const auto num_actions = static_cast<std::size_t>(all.size(1));
  auto* values = all.data_ptr<double>();
  for (std::size_t row = 0; row < batch.next_spent.size(); ++row)
    for (const auto action : batch.next_spent[row]) {
      if (action >= num_actions)
        throw std::out_of_range("dqn_targets: spent action " + std::to_string(action) + " of " +
                                std::to_string(num_actions));
      values[row * num_actions + action] = kNoAction;
    }
  return all;
}

}  // namespace

Vector dqn_targets(const PolicyShape& shape, const Vector& net, const Vector& target_net,
                   const TransitionBatch& batch, bool double_q) {
  use_one_thread();
  const c10::InferenceMode no_gradients;
  const TorchChoices choices(shape, batch.choices);
  const auto of_target = next_values(shape, target_net, batch, choices);
  const auto chosen =
      (double_q ? next_values(shape, net, batch, choices) : of_target).argmax(1, /*keepdim=*/true);
  const auto worth = of_target.gather(1, chosen).contiguous();
  return batch.rewards +
         batch.discounts.cwiseProduct(Eigen::Map<const Vector>(worth.data_ptr<double>(), worth.numel()));
}

LossGradient dqn_gradient(const PolicyShape& shape, const Vector& net, const TransitionBatch& batch,
                          const Vector& targets) {
  use_one_thread();
  const auto weights = weights_on(shape, net, /*differentiable=*/true);
  const auto all =
      action_values(shape, weights, view_of(batch.observations), TorchChoices(shape, batch.choices));
  const auto taken = all.gather(1, view_of(batch.actions).unsqueeze(1)).squeeze(1);
  const auto loss = at::huber_loss(taken, view_of(targets));
  return {loss.item<double>(), flatten(gradients(loss, weights))};
}

Dqn::Dqn(MakeEnvironment make, DqnOptions options, std::uint64_t seed)
    : NetTrainer(
          "dqn", "values",
          policy_shape(*example_of(make), checked(options).net.hidden, options.net.activation, /*memory=*/0,
                       /*with_values=*/options.duelling),
          options.net, seed),
      options_(std::move(options)),
      trials_(std::move(make), shape(), seed, options_.net.environments, /*episodes=*/1),
      windows_(trials_.size(), StepWindow(options_.reward_steps, options_.net.discount)),
      replay_(static_cast<std::size_t>(options_.capacity)),
      target_(parameters()) {}

namespace {

// An action that is not spent: any of them with probability `explore`, else that of the largest value.
std::size_t choose(const Trial& trial, Eigen::RowVectorXd worth, double explore, hw::Rng& draws) {
  const auto n = trial.num_actions();
  auto spent = trial.spent();
  if (draws.uniform() < explore) {
    auto action = draws.below(n - spent.size());  // among those that are left
    std::sort(spent.begin(), spent.end());
    for (const auto one : spent) action += one <= action ? 1 : 0;
    return action;
  }
  for (const auto one : spent) worth[static_cast<Eigen::Index>(one)] = kNoAction;
  Eigen::Index best = 0;
  worth.head(static_cast<Eigen::Index>(n)).maxCoeff(&best);
  return static_cast<std::size_t>(best);
}

}  // namespace

void Dqn::act(hw::Rng& draws, UpdateReport& report) {
  Matrix now(static_cast<Eigen::Index>(trials_.size()), shape().observation);
  std::vector<ActionSet> sets(trials_.size());
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    now.row(static_cast<Eigen::Index>(i)) = trials_[i].observation().transpose();
    sets[i] = trials_[i].actions();
  }
  const double share = std::min(1.0, static_cast<double>(steps_) / options_.explore_steps);
  const double explore = options_.explore_first + (options_.explore_last - options_.explore_first) * share;
  const Matrix worth = action_values(shape(), parameters(), now, sets);
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    const auto action = choose(trials_[i], worth.row(row), explore, draws);
    const Vector before = now.row(row).transpose();
    const auto step = trials_.step(i, action, report.returns);
    // Where the episode has ended the trial is in the next one. All actions count where it was cut off.
    const auto spent = step.ended() ? std::vector<std::size_t>() : trials_[i].spent();
    for (auto& one : windows_[i].add(before, sets[i], action, step, spent)) replay_.add(std::move(one));
    ++steps_;
    ++report.steps;
  }
}

UpdateReport Dqn::act_and_learn() {
  UpdateReport report;
  auto draws = rng("dqn");
  while (report.steps < static_cast<std::size_t>(options_.steps)) act(draws, report);
  if (steps_ < options_.warm_up || replay_.size() == 0) return report;
  for (int i = 0; i < options_.gradient_steps; ++i) {
    const auto batch = replay_.sample(static_cast<std::size_t>(options_.batch), draws);
    const auto targets = dqn_targets(shape(), parameters(), target_, batch, options_.double_q);
    report.loss += descend(dqn_gradient(shape(), parameters(), batch, targets)) / options_.gradient_steps;
    if (++gradient_steps_ % options_.target_every == 0) target_ = parameters();
  }
  return report;
}

void Dqn::save(learners::Checkpoint& to) const {
  to.tensors["target"] = target_.transpose();
  to.numbers["steps"] = {static_cast<double>(steps_)};
  to.numbers["gradient_steps"] = {static_cast<double>(gradient_steps_)};
  trials_.save(to, "trials/");
  replay_.save(to, "replay/");
}

void Dqn::load(const learners::Checkpoint& from) {
  const Vector target = from.vector("target");
  if (target.size() != target_.size())
    throw std::invalid_argument(from.learner + ": target must have " + std::to_string(target_.size()) +
                                " values, has " + std::to_string(target.size()));
  const double steps = from.real("steps", 0, 9e15), gradient_steps = from.real("gradient_steps", 0, 9e15);
  auto replay = replay_;
  replay.load(from, "replay/");
  // What the windows give was given to the replay when the steps were taken.
  std::vector<StepWindow> windows(windows_.size(), StepWindow(options_.reward_steps, options_.net.discount));
  trials_.load(from, "trials/",
               [&](std::size_t i, const Vector& before, std::size_t action, const tasks::Step& step) {
                 windows[i].add(before, nullptr, action, step);
               });
  windows_ = std::move(windows);
  replay_ = std::move(replay);
  target_ = target;
  steps_ = static_cast<std::int64_t>(steps);
  gradient_steps_ = static_cast<std::int64_t>(gradient_steps);
}

}  // namespace fewwatt::meta
