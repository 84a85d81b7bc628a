#include "meta/rl/rollout.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "hw/jobs.hpp"
#include "meta/rl/torch_policy.hpp"
#include "meta/torch_nets.hpp"

namespace fewwatt::meta {
namespace {

constexpr double kMostNumber = 9e15;       // whole numbers that a double holds
constexpr std::size_t kTrialsOfPart = 16;  // that are played side by side, at least, where there are so many

// What the nets say of n situations: scores [n,a], values [n].
struct Judgement {
  Matrix scores;
  Vector values;
};
// The nets of situations side by side, whose sets of actions mostly stay the same from one call to the next.
class Judge {
 public:
  Judge(const PolicyShape& shape, const Weights& weights) : shape_(shape), weights_(weights) {}
  // features [n,F], sets [n]. Where a set has fewer actions than another, the rest of its row is 0.
  Judgement operator()(const at::Tensor& features, const std::vector<ActionSet>& sets) {
    const auto of_states = of_state(shape_, weights_, features);
    const auto worth = values(shape_, weights_, features);
    Judgement judged{{}, Eigen::Map<const Vector>(worth.data_ptr<double>(), worth.numel())};
    if (shape_.actions > 0) {
      judged.scores = to_matrix(of_states);
      return judged;
    }
    embed(sets);
    Eigen::Index most = 0;
    for (const auto& set : sets) most = std::max(most, set->rows());
    judged.scores.setZero(features.size(0), most);
    const Matrix states = to_matrix(of_states);
    for (std::size_t i = 0; i < sets.size(); ++i) {
      const auto row = static_cast<Eigen::Index>(i);
      judged.scores.row(row).head(sets[i]->rows()) = states.row(row) * of_rows_[i].transpose();
    }
    return judged;
  }

 private:
  void embed(const std::vector<ActionSet>& sets) {
    of_rows_.resize(sets.size());
    sets_.resize(sets.size());
    for (std::size_t i = 0; i < sets.size(); ++i) {
      if (sets[i] == sets_[i]) continue;
      of_rows_[i] = to_matrix(embedded(shape_, weights_, view_of(*sets[i])));
      sets_[i] = sets[i];
    }
  }

  const PolicyShape& shape_;
  const Weights& weights_;
  std::vector<ActionSet> sets_;
  std::vector<Matrix> of_rows_;  // [a,d] of each
};

// Adds to the batch what trial i is about to choose from, in row `row` of the judgement.
std::size_t choose(PolicyBatch& batch, const Trial& trial, const Judgement& judged, Eigen::Index row,
                   Eigen::Index to, hw::Rng& rng) {
  const auto n = static_cast<Eigen::Index>(trial.num_actions());
  Eigen::RowVectorXd scores = judged.scores.row(row).head(n);
  auto spent = trial.spent();
  for (const auto action : spent) scores[static_cast<Eigen::Index>(action)] = kNoAction;
  const auto [action, log_probability] = draw(scores, rng);
  batch.sets.push_back(trial.actions());
  batch.spent.push_back(std::move(spent));
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

  Judge judge(shape, weights);
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
    const auto judged = judge(view_of(now), sets);
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

namespace {

// As play() of the trials from..to of `which`, on this thread.
Rollout play_part(const MakeEnvironment& make, const WholeTrials& which, std::size_t from, std::size_t to,
                  const PolicyShape& shape, const Vector& parameters, hw::Rng rng) {
  use_one_thread();
  const c10::InferenceMode no_gradients;
  const auto weights = weights_on(shape, parameters, /*differentiable=*/false);
  const auto b = static_cast<Eigen::Index>(to - from);
  const Eigen::Index width = shape.memory > 0 ? shape.memory_inputs() : shape.observation;
  const auto in_one_world = static_cast<std::size_t>(which.in_one_world);
  std::vector<Trial> trials;
  for (std::size_t i = from; i < to; ++i)
    trials.emplace_back(make, shape, which.seed, which.first + i, which.episodes,
                        which.first + i / in_one_world * in_one_world);

  Rollout rollout;
  auto& [batch, at, taken, returns] = rollout;
  batch.side_by_side = b;
  auto memory = at::zeros({b, shape.memory}, at::kDouble);
  Judge judge(shape, weights);
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
    const auto judged = judge(features_of(shape, memory, view_of(inputs)), sets);
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

// Parts side by side. Shorter ones are filled up with rows that are not there.
Rollout joined(std::vector<Rollout> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Rollout all;
  auto& [batch, at, taken, returns] = all;
  Eigen::Index t = 0, b = 0;
  for (const auto& part : parts) {
    t = std::max(t, part.steps.rewards.rows());
    b += part.batch.side_by_side;
  }
  batch.side_by_side = b;
  batch.inputs.setZero(t * b, parts.front().batch.inputs.cols());
  batch.log_probabilities.setZero(t * b);
  batch.weights.setZero(t * b);
  batch.sets.resize(static_cast<std::size_t>(t * b));
  batch.spent.resize(static_cast<std::size_t>(t * b));
  batch.actions.assign(static_cast<std::size_t>(t * b), 0);
  for (auto* part : {&at.rewards, &at.values, &at.next_values}) part->setZero(t, b);
  for (auto* part : {&at.terminated, &at.ended}) part->setOnes(t, b);
  Eigen::Index column = 0;
  for (auto& part : parts) {
    const auto rows = part.steps.rewards.rows(), columns = part.batch.side_by_side;
    for (const auto member : {&StepValues::rewards, &StepValues::values, &StepValues::next_values,
                              &StepValues::terminated, &StepValues::ended})
      (at.*member).block(0, column, rows, columns) = part.steps.*member;
    for (Eigen::Index step = 0; step < t; ++step)
      for (Eigen::Index i = 0; i < columns; ++i) {
        const auto to = step * b + column + i, from = std::min(step, rows - 1) * columns + i;
        const auto to_place = static_cast<std::size_t>(to), from_place = static_cast<std::size_t>(from);
        batch.sets[to_place] = part.batch.sets[from_place];
        if (step >= rows) continue;
        batch.inputs.row(to) = part.batch.inputs.row(from);
        batch.log_probabilities[to] = part.batch.log_probabilities[from];
        batch.weights[to] = part.batch.weights[from];
        batch.spent[to_place] = part.batch.spent[from_place];
        batch.actions[to_place] = part.batch.actions[from_place];
      }
    column += columns;
    taken += part.taken;
    returns.insert(returns.end(), part.returns.begin(), part.returns.end());
  }
  return all;
}

}  // namespace

Rollout play(const MakeEnvironment& make, const WholeTrials& which, const PolicyShape& shape,
             const Vector& parameters, hw::Rng& rng, std::size_t workers) {
  const auto trials = static_cast<std::size_t>(which.side_by_side);
  const auto parts = std::max<std::size_t>(1, trials / kTrialsOfPart);
  std::vector<hw::Rng> draws;
  for (std::size_t i = 0; i < parts; ++i) draws.emplace_back(rng.bits());
  std::vector<Rollout> played(parts);
  hw::run_jobs(parts, workers, [&](std::size_t i) {
    const auto from = trials * i / parts, to = trials * (i + 1) / parts;
    played[i] = play_part(make, which, from, to, shape, parameters, draws[i]);
  });
  return joined(std::move(played));
}

void set_advantages(Rollout& rollout, double discount, double trace, int in_one_world) {
  const auto flat = [](const Matrix& m) { return Vector(m.reshaped<Eigen::RowMajor>()); };
  Matrix advantages = generalised_advantages(rollout.steps, discount, trace);
  rollout.batch.returns = flat(advantages + rollout.steps.values);
  const auto t = advantages.rows(), b = advantages.cols();
  const Eigen::Map<const Matrix> there(rollout.batch.weights.data(), t, b);
  for (Eigen::Index first = 0; in_one_world > 1 && first < b; first += in_one_world) {
    const auto n = std::min<Eigen::Index>(in_one_world, b - first);
    for (Eigen::Index step = 0; step < t; ++step) {
      const auto weights = there.row(step).segment(first, n);
      auto of_step = advantages.row(step).segment(first, n);
      if (const double sum = weights.sum(); sum > 0) of_step.array() -= of_step.dot(weights) / sum;
    }
  }
  rollout.batch.advantages = normalised(flat(advantages), rollout.batch.weights);
}

}  // namespace fewwatt::meta
