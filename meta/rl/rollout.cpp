#include "meta/rl/rollout.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

constexpr double kMostNumber = 9e15;  // whole numbers that a double holds

// What the nets say of n situations: scores [n,a], values [n].
struct Judgement {
  Matrix scores;
  Vector values;
};
Judgement judge(const PolicyShape& shape, const Weights& weights, const at::Tensor& features,
                std::span<const ActionSet> sets) {
  const auto of_actions = scores(shape, weights, features, TorchChoices(shape, Choices(sets)));
  const auto of_state = values(shape, weights, features);
  return {to_matrix(of_actions), Eigen::Map<const Vector>(of_state.data_ptr<double>(), of_state.numel())};
}

// Adds to the batch what trial i is about to choose from, in row `row` of the judgement.
std::size_t choose(PolicyBatch& batch, const Trial& trial, const Judgement& judged, Eigen::Index row,
                   Eigen::Index to, hw::Rng& rng) {
  const auto n = static_cast<Eigen::Index>(trial.num_actions());
  const auto [action, log_probability] = draw(judged.scores.row(row).head(n), rng);
  batch.sets.push_back(trial.actions());
  batch.actions.push_back(static_cast<std::int64_t>(action));
  batch.log_probabilities[to] = log_probability;
  return action;
}

}  // namespace

Trials::Trials(MakeEnvironment make, const PolicyShape& shape, std::uint64_t seed, int side_by_side,
               int episodes)
    : make_(std::move(make)), shape_(&shape), seed_(seed), episodes_(episodes) {
  for (int i = 0; i < side_by_side; ++i) trials_.push_back(next());
}

Trial Trials::next() {
  return Trial(make_, *shape_, seed_, number_++, episodes_);
}

tasks::Step Trials::step(std::size_t i, std::size_t action, std::vector<double>& returns) {
  auto& trial = trials_[i];
  const double before = trial.episode_return();
  auto step = trial.step(action);
  if (step.ended()) returns.push_back(before + step.reward);
  if (trial.over()) trial = next();
  return step;
}

void Trials::save(learners::Checkpoint& to, const std::string& prefix) const {
  to.numbers[prefix + "next"] = {static_cast<double>(number_)};
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    auto& at = to.numbers[prefix + std::to_string(i)];
    at = {static_cast<double>(trials_[i].number()), static_cast<double>(trials_[i].episode())};
    at.insert(at.end(), trials_[i].taken().begin(), trials_[i].taken().end());
  }
}

void Trials::load(const learners::Checkpoint& from, const std::string& prefix, const EachStep& each) {
  const auto next_number = static_cast<std::uint64_t>(from.real(prefix + "next", 0, kMostNumber));
  std::vector<Trial> trials;
  for (std::size_t i = 0; i < trials_.size(); ++i) {
    const auto& at = from.number_list(prefix + std::to_string(i));
    for (const double number : at)
      if (!(number >= 0 && number <= kMostNumber))
        throw std::invalid_argument(from.learner + ": " + prefix + std::to_string(i) +
                                    " must be numbers of steps, found " + std::to_string(number));
    if (at.size() < 2)
      throw std::invalid_argument(from.learner + ": " + prefix + std::to_string(i) +
                                  " must have a trial and an episode, found " + std::to_string(at.size()) +
                                  " numbers");
    Trial trial(make_, *shape_, seed_, static_cast<std::uint64_t>(at[0]), episodes_);
    const std::vector<std::size_t> actions(at.begin() + 2, at.end());
    trial.go_to(static_cast<int>(std::min(at[1], 1e9)), actions,
                [&](const Vector& before, std::size_t action, const tasks::Step& step) {
                  if (each) each(i, before, action, step);
                });
    trials.push_back(std::move(trial));
  }
  trials_ = std::move(trials);
  number_ = next_number;
}

Draw draw(const Eigen::Ref<const Eigen::RowVectorXd>& scores, hw::Rng& rng) {
  const Eigen::RowVectorXd weights = (scores.array() - scores.maxCoeff()).exp();
  const double sum = weights.sum();
  double left = rng.uniform() * sum;
  Eigen::Index at = 0;
  while (at + 1 < weights.size() && left >= weights[at]) left -= weights[at++];
  return {static_cast<std::size_t>(at), std::log(weights[at] / sum)};
}

Rollout play(Trials& trials, const PolicyShape& shape, const Vector& parameters, int steps, hw::Rng& rng) {
  use_one_thread();
  const c10::InferenceMode no_gradients;
  const auto weights = weights_on(shape, parameters, /*differentiable=*/false);
  const auto b = static_cast<Eigen::Index>(trials.size()), t = Eigen::Index{steps}, n = t * b;
  Rollout rollout;
  auto& [batch, at, taken, returns] = rollout;
  batch.side_by_side = b;
  batch.inputs.resize(n, shape.observation);
  batch.log_probabilities.resize(n);
  batch.weights = Vector::Ones(n);
  for (auto* part : {&at.rewards, &at.values, &at.next_values, &at.terminated, &at.ended})
    part->setZero(t, b);
  taken = static_cast<std::size_t>(n);
  struct CutOff {
    Eigen::Index step, trial;
    Vector observation;
  };
  std::vector<CutOff> cut_off;  // whose last observation has a value that no later row says

  std::vector<ActionSet> sets(trials.size());
  Matrix now(b, shape.observation);
  const auto look = [&] {
    for (Eigen::Index i = 0; i < b; ++i) {
      now.row(i) = trials[static_cast<std::size_t>(i)].observation().transpose();
      sets[static_cast<std::size_t>(i)] = trials[static_cast<std::size_t>(i)].actions();
    }
  };
  for (Eigen::Index step = 0; step < t; ++step) {
    look();
    batch.inputs.middleRows(step * b, b) = now;
    const auto judged = judge(shape, weights, view_of(now), sets);
    at.values.row(step) = judged.values.transpose();
    if (step > 0) at.next_values.row(step - 1) = at.values.row(step);
    for (Eigen::Index i = 0; i < b; ++i) {
      const auto place = static_cast<std::size_t>(i);
      const auto action = choose(batch, trials[place], judged, i, step * b + i, rng);
      auto one = trials.step(place, action, returns);
      at.rewards(step, i) = one.reward;
      at.terminated(step, i) = one.terminated ? 1 : 0;
      at.ended(step, i) = one.ended() ? 1 : 0;
      if (one.truncated && !one.terminated) cut_off.push_back({step, i, std::move(one.observation)});
    }
  }
  look();
  at.next_values.row(t - 1) = to_matrix(values(shape, weights, view_of(now)).unsqueeze(0));
  if (!cut_off.empty()) {
    Matrix last(static_cast<Eigen::Index>(cut_off.size()), shape.observation);
    for (Eigen::Index row = 0; row < last.rows(); ++row)
      last.row(row) = cut_off[static_cast<std::size_t>(row)].observation.transpose();
    const auto worth = to_matrix(values(shape, weights, view_of(last)).unsqueeze(0));
    for (Eigen::Index row = 0; row < last.rows(); ++row) {
      const auto& one = cut_off[static_cast<std::size_t>(row)];
      at.next_values(one.step, one.trial) = worth(0, row);
    }
  }
  return rollout;
}

Rollout play(const MakeEnvironment& make, const WholeTrials& which, const PolicyShape& shape,
             const Vector& parameters, hw::Rng& rng) {
  use_one_thread();
  const c10::InferenceMode no_gradients;
  const auto weights = weights_on(shape, parameters, /*differentiable=*/false);
  const auto b = static_cast<Eigen::Index>(which.side_by_side);
  const Eigen::Index width = shape.memory > 0 ? shape.memory_inputs() : shape.observation;
  std::vector<Trial> trials;
  for (Eigen::Index i = 0; i < b; ++i)
    trials.emplace_back(make, shape, which.seed, which.first + static_cast<std::uint64_t>(i), which.episodes);

  Rollout rollout;
  auto& [batch, at, taken, returns] = rollout;
  batch.side_by_side = b;
  auto memory = at::zeros({b, shape.memory}, at::kDouble);
  std::vector<ActionSet> sets(trials.size());
  Eigen::Index t = 0, room = 0;
  for (auto left = b; left > 0; ++t) {
    if (t == room) {
      room = std::max<Eigen::Index>(16, 2 * room);
      batch.inputs.conservativeResize(room * b, width);
      batch.log_probabilities.conservativeResize(room * b);
      batch.weights.conservativeResize(room * b);
      for (auto* part : {&at.rewards, &at.values, &at.ended}) part->conservativeResize(room, b);
    }
    for (Eigen::Index i = 0; i < b; ++i) {
      const auto& trial = trials[static_cast<std::size_t>(i)];
      batch.inputs.row(t * b + i) =
          (shape.memory > 0 ? trial.memory_inputs() : trial.observation()).transpose();
      sets[static_cast<std::size_t>(i)] = trial.actions();
    }
    const Matrix inputs = batch.inputs.middleRows(t * b, b);
    if (shape.memory > 0) memory = remember(shape, weights, view_of(inputs), memory);
    const auto judged = judge(shape, weights, shape.memory > 0 ? memory : view_of(inputs), sets);
    at.values.row(t) = judged.values.transpose();
    for (Eigen::Index i = 0; i < b; ++i) {
      auto& trial = trials[static_cast<std::size_t>(i)];
      const bool over = trial.over();
      batch.weights[t * b + i] = over ? 0 : 1;
      const auto action = choose(batch, trial, judged, i, t * b + i, rng);
      at.rewards(t, i) = 0;
      if (!over) {
        ++taken;
        const double before = trial.episode_return();
        const auto one = trial.step(action);
        at.rewards(t, i) = one.reward;
        if (one.ended()) returns.push_back(before + one.reward);
        if (trial.over()) --left;
      }
      at.ended(t, i) = trial.over() ? 1 : 0;
    }
  }
  batch.inputs.conservativeResize(t * b, width);
  batch.log_probabilities.conservativeResize(t * b);
  batch.weights.conservativeResize(t * b);
  for (auto* part : {&at.rewards, &at.values, &at.ended}) part->conservativeResize(t, b);
  at.terminated = at.ended;
  at.next_values.setZero(t, b);
  at.next_values.topRows(t - 1) = at.values.bottomRows(t - 1);
  return rollout;
}

void set_advantages(Rollout& rollout, double discount, double trace) {
  const auto flat = [](const Matrix& m) { return Vector(m.reshaped<Eigen::RowMajor>()); };
  const Matrix advantages = generalised_advantages(rollout.steps, discount, trace);
  rollout.batch.returns = flat(advantages + rollout.steps.values);
  rollout.batch.advantages = normalised(flat(advantages), rollout.batch.weights);
}

}  // namespace fewwatt::meta
