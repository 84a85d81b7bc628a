#include "meta/rl/policy_shape.hpp"

#include <cmath>
#include <stdexcept>

#include "hw/random.hpp"
#include "learners/control/policy_net.hpp"

namespace fewwatt::meta {
namespace {

constexpr int kPlainEmbedding = 32;    // without hidden layers
constexpr double kFirstScores = 0.01;  // of what the last layer of scores would start with

learners::MlpShape net(int inputs, const std::vector<int>& hidden, int outputs,
                       learners::Activation activation) {
  learners::MlpShape shape{{inputs}, activation, {}};
  shape.sizes.insert(shape.sizes.end(), hidden.begin(), hidden.end());
  shape.sizes.push_back(outputs);
  return shape;
}

}  // namespace

learners::MlpShape PolicyShape::scores() const {
  return net(features(), hidden, actions > 0 ? actions : embedding, activation);
}

learners::MlpShape PolicyShape::rows() const {
  return net(action_features, hidden, embedding, activation);
}

learners::MlpShape PolicyShape::values() const {
  return net(features(), hidden, 1, activation);
}

Eigen::Index PolicyShape::gru_parameters() const {
  return Eigen::Index{3} * memory * (memory_inputs() + memory + 2);
}

Eigen::Index PolicyShape::num_parameters() const {
  const auto of = [](const learners::MlpShape& net) {
    return static_cast<Eigen::Index>(net.num_parameters());
  };
  return gru_parameters() + of(scores()) + (actions == 0 ? of(rows()) : 0) + (with_values ? of(values()) : 0);
}

PolicyShape policy_shape(const tasks::Environment& environment, const std::vector<int>& hidden,
                         learners::Activation activation, int memory, bool with_values) {
  const auto& actions = environment.actions();
  const bool fixed = environment.fixed_actions();
  return {.observation = static_cast<int>(environment.observation_size()),
          .actions = fixed ? static_cast<int>(actions.rows()) : 0,
          .action_features = static_cast<int>(actions.cols()),
          .memory = memory,
          .embedding = fixed            ? 0
                       : hidden.empty() ? kPlainEmbedding
                                        : hidden.back(),
          .hidden = hidden,
          .activation = activation,
          .with_values = with_values};
}

Vector random_policy(const PolicyShape& shape, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "initial policy");
  Vector all(shape.num_parameters());
  const auto gru = shape.gru_parameters();
  for (Eigen::Index i = 0; i < gru; ++i) {
    const double bound = 1 / std::sqrt(static_cast<double>(shape.memory));
    all[i] = rng.uniform(-bound, bound);
  }
  const auto scores = shape.scores();
  Vector of_scores = learners::random_parameters(scores, rng);
  const auto last = static_cast<Eigen::Index>(scores.offset(scores.num_layers() - 1));
  of_scores.tail(of_scores.size() - last) *= kFirstScores;
  auto at = gru;
  const auto put = [&](const Vector& part) {
    all.segment(at, part.size()) = part;
    at += part.size();
  };
  put(of_scores);
  if (shape.actions == 0) put(learners::random_parameters(shape.rows(), rng));
  if (shape.with_values) put(learners::random_parameters(shape.values(), rng));
  return all;
}

learners::Checkpoint policy_checkpoint(const PolicyShape& shape, const Vector& parameters,
                                       const std::string& trained_by, const std::string& scores) {
  learners::Checkpoint to;
  to.learner = "policy";
  to.texts = {{"trained_by", trained_by},
              {"environment", "other"},
              {"knobs", ""},
              {"activation", std::string(learners::to_string(shape.activation))},
              {"scores", scores}};
  const auto hidden = shape.hidden.empty() ? std::vector<double>{0}
                                           : std::vector<double>(shape.hidden.begin(), shape.hidden.end());
  to.numbers = {{"observation", {static_cast<double>(shape.observation)}},
                {"action", {static_cast<double>(shape.action_features)}},
                {"outputs", {static_cast<double>(shape.actions)}},
                {"embedding", {static_cast<double>(shape.embedding)}},
                {"memory", {static_cast<double>(shape.memory)}},
                {"duelling", {scores == "values" && shape.with_values ? 1.0 : 0.0}}};
  const Eigen::Index m = shape.memory, i = m > 0 ? shape.memory_inputs() : shape.observation;
  to.tensors = {{"input_mean", Matrix::Zero(1, i)}, {"input_stddev", Matrix::Ones(1, i)}};
  const double* at = parameters.data();
  const auto take = [&](Eigen::Index rows, Eigen::Index cols) {
    const Matrix one = Eigen::Map<const Matrix>(at, rows, cols);
    at += one.size();
    return one;
  };
  if (m > 0) {
    to.tensors["memory/weight_ih"] = take(i, 3 * m).transpose();
    to.tensors["memory/weight_hh"] = take(m, 3 * m).transpose();
    to.tensors["memory/bias_ih"] = take(1, 3 * m);
    to.tensors["memory/bias_hh"] = take(1, 3 * m);
  }
  const auto take_net = [&](const std::string& name, const learners::MlpShape& net) {
    to.numbers[name + "/hidden"] = hidden;
    to.tensors[name + "/weights"] = take(1, static_cast<Eigen::Index>(net.num_parameters()));
  };
  take_net("score", shape.scores());
  if (shape.actions == 0) take_net("embed", shape.rows());
  if (shape.with_values) take_net("value", shape.values());
  return to;
}

PolicyNets read_policy(const learners::Checkpoint& checkpoint) {
  const auto model = learners::PolicyModel::from_checkpoint(checkpoint);
  for (const auto* other : {&model.embed, &model.value})
    if (*other && (*other)->hidden != model.score.hidden)
      throw std::invalid_argument("policy: expected the same hidden layers in all nets");
  PolicyNets nets;
  nets.shape = {.observation = model.observation,
                .actions = model.outputs,
                .action_features = model.action,
                .memory = model.memory(),
                .embedding = model.embedding,
                .hidden = model.score.hidden,
                .activation = model.activation,
                .with_values = model.value.has_value()};
  nets.parameters.resize(nets.shape.num_parameters());
  Eigen::Index at = 0;
  const auto put = [&](const Matrix& part) {
    nets.parameters.segment(at, part.size()) = part.reshaped<Eigen::RowMajor>();
    at += part.size();
  };
  if (model.gru) {
    put(model.gru->weight_ih.transpose());
    put(model.gru->weight_hh.transpose());
    put(model.gru->bias_ih);
    put(model.gru->bias_hh);
  }
  put(model.score.weights);
  if (model.embed) put(model.embed->weights);
  if (model.value) put(model.value->weights);
  return nets;
}

}  // namespace fewwatt::meta
