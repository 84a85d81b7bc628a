// What benchmarks/peers/run times of fewwatt: outer steps of second-order MAML, gradient and Adam, on random
// tasks.
//   peer_maml_step PROBLEM.json   writes the tasks, the initial parameters and their gradient (double), then for
//                                 every line N on stdin takes N outer steps (float) and prints seconds per step

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "learners/optimizer.hpp"
#include "meta/maml_gradient.hpp"

namespace {

using namespace fewwatt;
using nlohmann::json;

constexpr int kTasks = 16, kRows = 50;
constexpr double kOuterRate = 1e-3;

tasks::Matrix random_matrix(hw::Rng& rng, Eigen::Index rows, Eigen::Index cols) {
  tasks::Matrix m(rows, cols);
  for (auto& value : m.reshaped()) value = rng.normal();
  return m;
}

json numbers(const tasks::Matrix& m) {
  json rows = json::array();
  for (Eigen::Index i = 0; i < m.rows(); ++i) {
    const tasks::Vector row = m.row(i);
    rows.push_back(std::vector<double>(row.begin(), row.end()));
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: peer_maml_step PROBLEM.json\n";
    return 2;
  }
  const learners::MlpShape shape{{4, 64, 64, 2}, learners::Activation::tanh, {}};
  const int features = shape.sizes.front(), targets = shape.sizes.back();
  meta::InnerLoop inner;
  inner.steps = 5;
  inner.rate = 0.05;

  hw::Rng rng(1);
  tasks::Vector parameters = learners::random_parameters(shape, rng);
  std::vector<meta::Episode> episodes;
  for (int i = 0; i < kTasks; ++i) {
    meta::Episode episode;
    episode.support_x = random_matrix(rng, kRows, features);
    episode.support_y = random_matrix(rng, kRows, targets);
    episode.query_x = random_matrix(rng, kRows, features);
    episode.query_y = random_matrix(rng, kRows, targets);
    episodes.push_back(std::move(episode));
  }

  const auto exact = meta::maml_gradient(shape, parameters, episodes, inner);
  json problem{{"sizes", shape.sizes},
               {"inner_steps", inner.steps},
               {"inner_rate", inner.rate},
               {"outer_rate", kOuterRate},
               {"parameters", std::vector<double>(parameters.begin(), parameters.end())},
               {"loss", exact.loss},
               {"gradient", std::vector<double>(exact.gradient.begin(), exact.gradient.end())},
               {"tasks", json::array()}};
  for (const auto& episode : episodes)
    problem["tasks"].push_back({{"support_x", numbers(episode.support_x)},
                                {"support_y", numbers(episode.support_y)},
                                {"query_x", numbers(episode.query_x)},
                                {"query_y", numbers(episode.query_y)}});
  if (!(std::ofstream(argv[1]) << problem << '\n').flush()) {
    std::cerr << "peer_maml_step: cannot write " << argv[1] << '\n';
    return 1;
  }

  learners::Adam<double> adam(parameters.size(), kOuterRate);
  std::cout << "ready" << std::endl;
  for (int steps = 0; std::cin >> steps;) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) {
      const auto outer = meta::maml_gradient(shape, parameters, episodes, inner, meta::Precision::float32);
      adam.step(parameters, outer.gradient);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << seconds.count() / steps << std::endl;
  }
  return 0;
}
