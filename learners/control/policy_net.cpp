#include "learners/control/policy_net.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;

constexpr std::pair<std::string_view, Scores> kScores[] = {{"preferences", Scores::preferences},
                                                           {"values", Scores::values}};

// The enumerator of that name in a checkpoint.
template <class E>
E named(const Checkpoint& checkpoint, const std::string& entry,
        std::span<const std::pair<std::string_view, E>> names) {
  const auto& found = checkpoint.text(entry);
  std::string known;
  for (const auto& [name, value] : names) {
    if (name == found) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  throw std::invalid_argument("checkpoint of " + checkpoint.learner + ": " + entry + " must be one of " +
                              known + ", found " + found);
}

template <class E>
std::string name_of(E value, std::span<const std::pair<std::string_view, E>> names) {
  return std::string(
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.second == value; })->first);
}

std::vector<int> read_hidden(const Checkpoint& checkpoint, const std::string& name) {
  if (checkpoint.number_list(name) == std::vector<double>{0}) return {};
  return checkpoint.layers(name);
}

std::vector<double> written_hidden(const std::vector<int>& hidden) {
  return hidden.empty() ? std::vector<double>{0} : std::vector<double>(hidden.begin(), hidden.end());
}

void write_mdp(Checkpoint& to, const tasks::ModeMdpOptions& mdp) {
  to.texts["mdp/task"] = name_of<tasks::ModeTask>(mdp.task, tasks::kModeTasks);
  to.texts["mdp/actions"] = name_of<tasks::ModeActionKind>(mdp.actions, tasks::kModeActionKinds);
  to.texts["mdp/reward"] = name_of<tasks::RewardForm>(mdp.reward, tasks::kRewardForms);
  to.numbers["mdp/lambda"] = {mdp.lambda};
  to.numbers["mdp/measurements"] = {static_cast<double>(mdp.measurements)};
  to.numbers["mdp/candidates"] = {static_cast<double>(mdp.candidates)};
  to.numbers["mdp/switch_share"] = {mdp.switch_share};
}

tasks::ModeMdpOptions read_mdp(const Checkpoint& from) {
  tasks::ModeMdpOptions mdp;
  mdp.task = named<tasks::ModeTask>(from, "mdp/task", tasks::kModeTasks);
  mdp.actions = named<tasks::ModeActionKind>(from, "mdp/actions", tasks::kModeActionKinds);
  mdp.reward = named<tasks::RewardForm>(from, "mdp/reward", tasks::kRewardForms);
  mdp.lambda = from.real("mdp/lambda", 0, tasks::kMostLambda);
  mdp.measurements = static_cast<std::size_t>(
      from.integer("mdp/measurements", 2, static_cast<int>(tasks::kMostMeasurements)));
  mdp.candidates =
      static_cast<std::size_t>(from.integer("mdp/candidates", 0, static_cast<int>(tasks::kMostActions)));
  mdp.switch_share = from.real("mdp/switch_share", 0, 0.9);
  return mdp;
}

// What is wrong with a net's parameters; "" for nothing.
std::string head_error(const std::string& name, const MlpShape& shape, const Vector& weights) {
  for (const int size : shape.sizes)
    if (size < 1 || size > kMostWidth)
      return name + ": expected layers of 1 to " + std::to_string(kMostWidth) + " units, found " +
             std::to_string(size);
  if (shape.num_layers() > std::size_t{kMostLayers})
    return name + ": expected at most " + std::to_string(kMostLayers) + " layers, found " +
           std::to_string(shape.num_layers());
  if (static_cast<std::size_t>(weights.size()) != shape.num_parameters())
    return name + "/weights: expected " + std::to_string(shape.num_parameters()) + " parameters, found " +
           std::to_string(weights.size());
  if (!((weights.array().abs() <= kMostFactor).all()))
    return name + "/weights: expected numbers of at most " + std::to_string(kMostFactor);
  return "";
}

std::string gru_error(const GruWeights& gru, Index input) {
  const auto units = gru.weight_hh.cols();
  if (units < 1 || units > kMostWidth)
    return "memory: expected 1 to " + std::to_string(kMostWidth) + " units, found " + std::to_string(units);
  const auto wrong = [](Index rows, Index cols, Index wanted_rows, Index wanted_cols) {
    return rows != wanted_rows || cols != wanted_cols;
  };
  if (wrong(gru.weight_ih.rows(), gru.weight_ih.cols(), 3 * units, input) ||
      wrong(gru.weight_hh.rows(), units, 3 * units, units) || gru.bias_ih.size() != 3 * units ||
      gru.bias_hh.size() != 3 * units)
    return "memory: expected weights [" + std::to_string(3 * units) + ", " + std::to_string(input) +
           "] and [" + std::to_string(3 * units) + ", " + std::to_string(units) + "] and biases [" +
           std::to_string(3 * units) + "], found [" + std::to_string(gru.weight_ih.rows()) + ", " +
           std::to_string(gru.weight_ih.cols()) + "], [" + std::to_string(gru.weight_hh.rows()) + ", " +
           std::to_string(units) + "], [" + std::to_string(gru.bias_ih.size()) + "] and [" +
           std::to_string(gru.bias_hh.size()) + "]";
  const auto usual = [](const auto& values) { return (values.array().abs() <= kMostFactor).all(); };
  if (!usual(gru.weight_ih) || !usual(gru.weight_hh) || !usual(gru.bias_ih) || !usual(gru.bias_hh))
    return "memory: expected numbers of at most " + std::to_string(kMostFactor);
  return "";
}

MlpShape shape_of(int in, const std::vector<int>& hidden, int out, Activation activation) {
  MlpShape shape{{in}, activation, {}};
  shape.sizes.insert(shape.sizes.end(), hidden.begin(), hidden.end());
  shape.sizes.push_back(out);
  return shape;
}

}  // namespace

std::string_view to_string(Scores scores) {
  return kScores[static_cast<std::size_t>(scores)].first;
}

Scores parse_scores(std::string_view name) {
  for (const auto& [known, scores] : kScores)
    if (known == name) return scores;
  throw std::invalid_argument("scores must be preferences or values, got " + std::string(name));
}

// ---- the model ----

int PolicyModel::memory() const {
  return gru ? static_cast<int>(gru->weight_hh.cols()) : 0;
}

int PolicyModel::input_size() const {
  return gru ? observation + action + 2 : observation;
}

int PolicyModel::state_size() const {
  return memory() + observation;
}

MlpShape PolicyModel::score_shape() const {
  return shape_of(state_size(), score.hidden, outputs > 0 ? outputs : embedding, activation);
}

MlpShape PolicyModel::embed_shape() const {
  return shape_of(action, embed->hidden, embedding, activation);
}

MlpShape PolicyModel::value_shape() const {
  return shape_of(state_size(), value->hidden, 1, activation);
}

std::string PolicyModel::error() const {
  const std::string of = "policy: ";
  for (const auto& [name, size, least] : {std::tuple("observation", observation, 1),
                                          {"action", action, 1},
                                          {"outputs", outputs, 0},
                                          {"embedding", embedding, 0}})
    if (size < least || size > kMostWidth)
      return of + name + " must be in [" + std::to_string(least) + ", " + std::to_string(kMostWidth) +
             "], found " + std::to_string(size);
  if (inputs.mean.size() != input_size() || inputs.stddev.size() != input_size())
    return of + "input_mean and input_stddev must have " + std::to_string(input_size()) + " values, found " +
           std::to_string(inputs.mean.size()) + " and " + std::to_string(inputs.stddev.size());
  if (gru)
    if (const auto error = gru_error(*gru, input_size()); !error.empty()) return of + error;
  if ((outputs > 0) == (embedding > 0) || embed.has_value() != (embedding > 0))
    return of + "an embedding, and embed/weights, belong where outputs is 0, found outputs " +
           std::to_string(outputs) + " and an embedding of " + std::to_string(embedding);
  if (const auto error = head_error("score", score_shape(), score.weights); !error.empty()) return of + error;
  if (embed)
    if (const auto error = head_error("embed", embed_shape(), embed->weights); !error.empty())
      return of + error;
  if (value)
    if (const auto error = head_error("value", value_shape(), value->weights); !error.empty())
      return of + error;
  if (duelling && !value) return of + "duelling needs value/weights";
  if (mdp.has_value() != (environment == tasks::kModeMdp))
    return of + "the options of the problem belong to the environment " + tasks::kModeMdp + ", found " +
           environment;
  return mdp ? mdp->error() : "";
}

Checkpoint PolicyModel::to_checkpoint() const {
  Checkpoint c;
  c.learner = kPolicy;
  c.texts = {{"trained_by", trained_by},
             {"environment", environment},
             {"knobs", knobs},
             {"activation", std::string(to_string(activation))},
             {"scores", std::string(to_string(scores))}};
  c.numbers = {
      {"observation", {static_cast<double>(observation)}}, {"action", {static_cast<double>(action)}},
      {"outputs", {static_cast<double>(outputs)}},         {"embedding", {static_cast<double>(embedding)}},
      {"memory", {static_cast<double>(memory())}},         {"duelling", {duelling ? 1.0 : 0.0}},
      {"score/hidden", written_hidden(score.hidden)}};
  c.tensors = {{"input_mean", inputs.mean.transpose()},
               {"input_stddev", inputs.stddev.transpose()},
               {"score/weights", score.weights.transpose()}};
  if (embed) {
    c.numbers["embed/hidden"] = written_hidden(embed->hidden);
    c.tensors["embed/weights"] = embed->weights.transpose();
  }
  if (value) {
    c.numbers["value/hidden"] = written_hidden(value->hidden);
    c.tensors["value/weights"] = value->weights.transpose();
  }
  if (gru) {
    c.tensors["memory/weight_ih"] = gru->weight_ih;
    c.tensors["memory/weight_hh"] = gru->weight_hh;
    c.tensors["memory/bias_ih"] = gru->bias_ih.transpose();
    c.tensors["memory/bias_hh"] = gru->bias_hh.transpose();
  }
  if (mdp) write_mdp(c, *mdp);
  return c;
}

PolicyModel PolicyModel::from_checkpoint(const Checkpoint& checkpoint) {
  if (checkpoint.learner != kPolicy)
    throw std::invalid_argument("expected the checkpoint of an agent, found one of the learner " +
                                checkpoint.learner);
  PolicyModel model;
  model.trained_by = checkpoint.text("trained_by");
  model.environment = checkpoint.text("environment");
  model.knobs = checkpoint.text("knobs");
  model.activation = named<Activation>(checkpoint, "activation", kActivations);
  model.scores = named<Scores>(checkpoint, "scores", kScores);
  model.observation = checkpoint.integer("observation", 1, kMostWidth);
  model.action = checkpoint.integer("action", 1, kMostWidth);
  model.outputs = checkpoint.integer("outputs", 0, kMostWidth);
  model.embedding = checkpoint.integer("embedding", 0, kMostWidth);
  model.duelling = checkpoint.integer("duelling", 0, 1) == 1;
  model.inputs = read_scaler(checkpoint, "input_mean", "input_stddev");
  if (const int units = checkpoint.integer("memory", 0, kMostWidth); units > 0) {
    model.gru = GruWeights{checkpoint.tensor("memory/weight_ih"), checkpoint.tensor("memory/weight_hh"),
                           checkpoint.vector("memory/bias_ih"), checkpoint.vector("memory/bias_hh")};
    if (model.memory() != units)
      throw std::invalid_argument("checkpoint of policy: memory/weight_hh must have " +
                                  std::to_string(units) + " columns, found " +
                                  std::to_string(model.memory()));
  }
  model.score = {read_hidden(checkpoint, "score/hidden"), checkpoint.vector("score/weights")};
  if (model.embedding > 0)
    model.embed = PolicyHead{read_hidden(checkpoint, "embed/hidden"), checkpoint.vector("embed/weights")};
  if (checkpoint.tensors.contains("value/weights"))
    model.value = PolicyHead{read_hidden(checkpoint, "value/hidden"), checkpoint.vector("value/weights")};
  if (model.environment == tasks::kModeMdp) model.mdp = read_mdp(checkpoint);
  if (const auto error = model.error(); !error.empty()) throw std::invalid_argument("checkpoint of " + error);
  return model;
}

void check_policy(const PolicyModel& model, const hw::PowerModeSpace& space) {
  if (model.environment != tasks::kModeMdp)
    throw std::invalid_argument(std::string("the agent must be trained for ") + tasks::kModeMdp +
                                ", found one for " + model.environment);
  const auto trained_with = ' ' + model.knobs + ' ';
  for (const auto& slot : tasks::knob_slots(space))
    if (trained_with.find(' ' + slot + ' ') == std::string::npos)
      throw std::invalid_argument("the device has a knob " + slot + ", but the agent was trained with " +
                                  model.knobs);
}

// ---- the nets ----

template <class T>
PolicyNet<T>::PolicyNet(const PolicyModel& model) : model_(model), value_(std::nan("")) {
  if (const auto error = model_.error(); !error.empty()) throw std::invalid_argument(error);
  const auto& stddev = model_.inputs.stddev;
  mean_ = model_.inputs.mean.transpose().template cast<T>();
  inverse_ =
      (stddev.array() > 0).select(stddev.array().inverse(), 0.0).matrix().transpose().template cast<T>();
  x_.resize(model_.input_size());
  scaled_.resize(x_.size());
  state_.resize(model_.state_size());
  if (model_.gru) {
    input_gates_ = {model_.gru->weight_ih.transpose().template cast<T>(),
                    model_.gru->bias_ih.transpose().template cast<T>()};
    memory_gates_ = {model_.gru->weight_hh.transpose().template cast<T>(),
                     model_.gru->bias_hh.transpose().template cast<T>()};
    gates_i_.resize(3 * model_.memory());
    gates_h_.resize(3 * model_.memory());
  }
  score_ = head(model_.score_shape(), model_.score.weights);
  if (model_.value) value_head_ = head(model_.value_shape(), model_.value->weights);
  for (auto* one : {&score_, &value_head_})
    for (std::size_t l = 0; l < one->layers.size(); ++l) one->z[l].resize(1, one->layers[l].bias.size());
  if (model_.embed) embed_ = head(model_.embed_shape(), model_.embed->weights);
}

template <class T>
typename PolicyNet<T>::Head PolicyNet<T>::head(const MlpShape& shape, const Vector& weights) const {
  Head made;
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const Index in = shape.sizes[l], out = shape.sizes[l + 1];
    const double* start = weights.data() + shape.offset(l);
    made.layers.push_back({Eigen::Map<const Matrix>(start, in, out).template cast<T>(),
                           Eigen::Map<const Matrix>(start + in * out, 1, out).template cast<T>()});
  }
  made.z.resize(made.layers.size());
  return made;
}

template <class T>
void PolicyNet<T>::begin(const Matrix& actions) {
  const auto n = actions.rows();
  if (n < 1 || actions.cols() != model_.action)
    throw std::invalid_argument("policy: expected actions of " + std::to_string(model_.action) +
                                " features each, found " + std::to_string(n) + " actions of " +
                                std::to_string(actions.cols()));
  if (model_.outputs > 0 && n != model_.outputs)
    throw std::invalid_argument("policy: expected " + std::to_string(model_.outputs) + " actions, found " +
                                std::to_string(n));
  rows_ = actions.cast<T>();
  scores_.resize(n);
  if (model_.embed) {
    forward(embed_, rows_);
    embedded_ = embed_.z.back() / std::sqrt(static_cast<T>(model_.embedding));
  }
  x_.setZero();
  state_.setZero();
  value_ = static_cast<T>(std::nan(""));
  begun_ = true;
}

template <class T>
void PolicyNet<T>::activate(Rows& z) const {
  switch (model_.activation) {
    case Activation::relu:
      z = z.cwiseMax(T(0));
      return;
    case Activation::silu:  // z / (1 + exp(-z))
      z.array() *= T(0.5) + T(0.5) * (T(0.5) * z.array()).tanh();
      return;
    case Activation::tanh:
      z = z.array().tanh().matrix();
      return;
  }
}

// Products are taken coefficient by coefficient: Eigen's blocked product would allocate its blocks.
template <class T>
template <class Inputs>
void PolicyNet<T>::forward(Head& head, const Inputs& inputs) const {
  for (std::size_t l = 0; l < head.layers.size(); ++l) {
    if (l == 0) {
      head.z[l].noalias() = inputs.lazyProduct(head.layers[l].weights);
    } else {
      activate(head.z[l - 1]);
      head.z[l].noalias() = head.z[l - 1].lazyProduct(head.layers[l].weights);
    }
    head.z[l].rowwise() += head.layers[l].bias;
  }
}

template <class T>
void PolicyNet<T>::remember() {
  const Index h = model_.memory();
  gates_i_.noalias() = scaled_.lazyProduct(input_gates_.weights);
  gates_i_ += input_gates_.bias;
  gates_h_.noalias() = state_.head(h).lazyProduct(memory_gates_.weights);
  gates_h_ += memory_gates_.bias;
  const auto sigmoid = [](T v) { return T(0.5) + T(0.5) * std::tanh(T(0.5) * v); };
  for (Index k = 0; k < h; ++k) {
    const T r = sigmoid(gates_i_[k] + gates_h_[k]);
    const T z = sigmoid(gates_i_[h + k] + gates_h_[h + k]);
    const T n = std::tanh(gates_i_[2 * h + k] + r * gates_h_[2 * h + k]);
    state_[k] = (T(1) - z) * n + z * state_[k];
  }
}

template <class T>
const typename PolicyNet<T>::Row& PolicyNet<T>::scores(const Vector& observation, double reward) {
  if (!begun_) throw std::logic_error("policy: begin() comes first");
  const Index o = model_.observation;
  if (observation.size() != o)
    throw std::invalid_argument("policy: expected an observation of " + std::to_string(o) +
                                " numbers, found " + std::to_string(observation.size()));
  x_.head(o) = observation.transpose().template cast<T>();
  // took() wrote the action's row behind the observation.
  if (model_.gru && x_[o + model_.action + 1] != T(0)) x_[o + model_.action] = static_cast<T>(reward);
  scaled_.noalias() = (x_ - mean_).cwiseProduct(inverse_);
  if (model_.gru) remember();
  state_.tail(o) = scaled_.head(o);
  forward(score_, state_);
  if (model_.embed)
    scores_.noalias() = score_.z.back().lazyProduct(embedded_.transpose());
  else
    scores_ = score_.z.back();
  if (model_.value) {
    forward(value_head_, state_);
    value_ = value_head_.z.back()(0, 0);
    if (model_.duelling) scores_.array() += value_ - scores_.mean();
  }
  return scores_;
}

template <class T>
void PolicyNet<T>::took(std::size_t action) {
  if (action >= static_cast<std::size_t>(rows_.rows()))
    throw std::out_of_range("policy: action " + std::to_string(action) + " of " +
                            std::to_string(rows_.rows()));
  if (!model_.gru) return;
  x_.segment(model_.observation, model_.action) = rows_.row(static_cast<Index>(action));
  x_[model_.observation + model_.action + 1] = T(1);
}

template class PolicyNet<float>;
template class PolicyNet<double>;

// ---- the policy ----

NetPolicy::NetPolicy(const PolicyModel& model) : net_(model), samples_(model.scores == Scores::preferences) {}

void NetPolicy::begin(const tasks::Matrix& actions, std::uint64_t seed) {
  net_.begin(actions);
  rng_ = hw::Rng::stream(seed, "policy");
}

std::size_t NetPolicy::act(const tasks::Vector& observation, double reward, std::span<const char> allowed) {
  const auto& scores = net_.scores(observation, reward);
  const auto n = static_cast<std::size_t>(scores.size());
  if (!allowed.empty() && allowed.size() != n)
    throw std::invalid_argument("policy: expected " + std::to_string(n) +
                                " actions to be allowed or not, got " + std::to_string(allowed.size()));
  const auto may = [&](std::size_t a) { return allowed.empty() || allowed[a] != 0; };
  std::size_t chosen = n;
  for (std::size_t a = 0; a < n; ++a) {
    if (!may(a)) continue;
    if (chosen == n || scores[static_cast<Index>(a)] > scores[static_cast<Index>(chosen)]) chosen = a;
  }
  if (chosen == n) throw std::invalid_argument("policy: expected an action that is allowed, found none");
  if (samples_) {
    const double most = scores[static_cast<Index>(chosen)];
    const auto weight = [&](std::size_t a) {
      return may(a) ? std::exp(static_cast<double>(scores[static_cast<Index>(a)]) - most) : 0.0;
    };
    double sum = 0;
    for (std::size_t a = 0; a < n; ++a) sum += weight(a);
    double left = rng_.uniform() * sum;
    for (std::size_t a = 0; a < n && left >= 0; ++a) {
      if (!may(a)) continue;
      left -= weight(a);
      chosen = a;
    }
  }
  net_.took(chosen);
  return chosen;
}

}  // namespace fewwatt::learners
