#include "meta/fine_tune_search.hpp"

#include <cmath>
#include <limits>

#include "hw/numbers.hpp"
#include "learners/learner.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::meta {
namespace {

using tasks::Matrix;
using tasks::Vector;
using Net = learners::Mlp<float>;

}  // namespace

std::vector<learners::FineTuneOptions> FineTuneGrid::settings() const {
  std::vector<learners::FineTuneOptions> all;
  for (const double rate : rates) {
    for (const int n : steps) {
      for (const double rms : stop_rms) all.push_back({learners::Optimizer::adam, n, rate, rms});
    }
  }
  for (const int n : learned_rate_steps) all.push_back({learners::Optimizer::sgd, n, 1.0, 0.0});
  return all;
}

std::string describe(const learners::FineTuneOptions& o) {
  if (o.optimizer == learners::Optimizer::sgd) {
    return std::to_string(o.steps) + " steps with the learned rates";
  }
  return std::to_string(o.steps) + " Adam steps, rate " + hw::number_text(o.rate) +
         ", until the error on the measured modes is below " + hw::number_text(o.stop_rms);
}

std::vector<double> try_fine_tuning(const learners::FineTuneModel& model, tasks::Target target,
                                    const tasks::Task& task, const FineTuneGrid& grid) {
  const auto& initializer = *model.targets[target];
  const auto support = learners::rows_of(task.support, target), query = learners::rows_of(task.query, target);
  const auto features = [&](const learners::TargetRows& rows) -> Net::Matrix {
    return model.scaler(learners::encode(model.features, *rows.space, rows.modes)).cast<float>();
  };
  const Net::Matrix x = features(support), query_x = features(query);
  const Vector logs = support.values.array().log();
  const double mean = logs.mean(), scale = initializer.target_scale;
  const Net::Matrix y = ((logs.array() - mean) / scale).matrix().cast<float>();
  const auto percent_error = [&](const Net& net) {
    const Vector predicted = (mean + scale * net.forward(query_x).col(0).cast<double>().array()).exp();
    const double error = 100 * ((predicted - query.values).cwiseAbs().array() / query.values.array()).mean();
    return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
  };

  std::vector<double> errors;
  for (const double rate : grid.rates) {
    Net net(model.shape, initializer.weights.cast<float>());
    learners::Adam<float> adam(initializer.weights.size(), static_cast<float>(rate));
    Net::Flat gradient;
    std::vector<double> stopped(grid.stop_rms.size(),
                                std::nan(""));  // error where each threshold stopped the run
    int step = 0;
    for (const int steps : grid.steps) {
      for (; step < steps; ++step) {
        const double rms = std::sqrt(static_cast<double>(net.loss(x, y, gradient))) * scale;
        for (std::size_t i = 0; i < stopped.size(); ++i) {
          if (std::isnan(stopped[i]) && rms < grid.stop_rms[i]) stopped[i] = percent_error(net);
        }
        adam.step(net.parameters(), gradient);
      }
      const double now = percent_error(net);
      for (const double error : stopped) errors.push_back(std::isnan(error) ? now : error);
    }
  }
  for (const int steps : grid.learned_rate_steps) {
    errors.push_back(percent_error(learners::fine_tune<float>(
        model.shape, initializer.weights, {learners::Optimizer::sgd, steps, 1.0, 0.0}, scale,
        x.cast<double>(), y.cast<double>(), initializer.rates)));
  }
  return errors;
}

}  // namespace fewwatt::meta
