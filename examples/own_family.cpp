// A family of tasks and a meta-learner of one's own, trained by fewwatt's loop; and the same meta-learner on power modes, in a
// benchmark table beside ours: own_family <suite file>.
#include <Eigen/Cholesky>
#include <cmath>
#include <fewwatt/benchmarks/suite.hpp>
#include <iostream>

using namespace fewwatt;
using tasks::Matrix;

// The family: parabolas with noise, y = a + b x + c x^2 + e, whose a, b and c are drawn around values that nobody tells.
class Parabolas final : public tasks::EpisodeSource {
 public:
  explicit Parabolas(std::uint64_t seed) : seed_(seed) {}
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override {
    auto rng = tasks::episode_rng(seed_, "parabolas", step, number);
    const double a = 3 + 0.3 * rng.normal(), b = -1 + 0.3 * rng.normal(), c = 2 + 0.3 * rng.normal();
    const auto points = [&](Eigen::Index n) {
      Matrix x(n, 1);
      for (Eigen::Index i = 0; i < n; ++i) x(i, 0) = 2 * rng.uniform() - 1;
      return x;
    };
    const auto curve = [&](const Matrix& x) {
      Matrix y(x.rows(), 1);
      for (Eigen::Index i = 0; i < x.rows(); ++i)
        y(i, 0) = a + b * x(i, 0) + c * x(i, 0) * x(i, 0) + 0.1 * rng.normal();
      return y;
    };
    tasks::Episode episode{.support_x = points(3), .support_y = {}, .query_x = points(20), .query_y = {}};
    episode.support_y = curve(episode.support_x);
    episode.query_y = curve(episode.query_x);
    return episode;
  }

 private:
  std::uint64_t seed_;
};

// What is fitted: Y = [1, X, X^2] W, with W near a prior P that the meta-learner learns.
Matrix basis(const Matrix& x) {
  Matrix all(x.rows(), 1 + 2 * x.cols());
  all << Matrix::Ones(x.rows(), 1), x, x.cwiseAbs2();
  return all;
}
// argmin |basis(x) W - y|^2 + |W - prior|^2
Matrix fit(const Matrix& x, const Matrix& y, const Matrix& prior) {
  const Matrix phi = basis(x);
  const Matrix gram = phi.transpose() * phi + Matrix::Identity(phi.cols(), phi.cols());
  return prior + Matrix(gram.llt().solve(phi.transpose() * (y - phi * prior)));
}

// The meta-learner: after each batch the prior moves towards what was fitted to all rows of its episodes, as Reptile's weights do.
class PriorLearner final : public meta::MetaLearner {
 public:
  // What snapshots hold beside the prior is `more`.
  PriorLearner(Eigen::Index inputs, Eigen::Index targets, learners::Checkpoint more)
      : prior_(Matrix::Zero(1 + 2 * inputs, targets)), more_(std::move(more)) {}

  meta::StepReport step(std::span<const tasks::Episode> batch) override {
    meta::StepReport report;
    Matrix moves = Matrix::Zero(prior_.rows(), prior_.cols());
    for (const auto& drawn : batch) {
      drawn.check();
      const auto episode = tasks::known_rows(drawn);
      if (!episode) continue;
      const auto& [support_x, support_y, query_x, query_y, name] = *episode;
      const Matrix error = basis(query_x) * fit(support_x, support_y, prior_) - query_y;
      Matrix x(support_x.rows() + query_x.rows(), support_x.cols()), y(x.rows(), support_y.cols());
      x << support_x, query_x;
      y << support_y, query_y;
      report.loss += error.squaredNorm() / static_cast<double>(error.size());
      moves += fit(x, y, prior_) - prior_;
      ++report.episodes;
    }
    if (report.episodes == 0) return report;
    const auto n = static_cast<double>(report.episodes);
    report.loss /= n;
    if (!std::isfinite(report.loss)) throw meta::Diverged("prior: the loss is not finite");
    prior_ += 0.5 / n * moves;
    return report;
  }
  learners::Checkpoint snapshot() const override {
    auto checkpoint = more_;
    checkpoint.learner = "quadratic";
    checkpoint.tensors["prior"] = prior_;
    return checkpoint;
  }
  learners::Checkpoint state() const override { return snapshot(); }
  void set_state(const learners::Checkpoint& state) override { prior_ = state.tensor("prior"); }

 private:
  Matrix prior_;  // [1 + 2 inputs, targets]
  learners::Checkpoint more_;
};

// ---- on one's own family ----

void train_on_parabolas() {
  PriorLearner learner(1, 1, {});
  const Parabolas unseen(/*seed=*/2);
  const meta::Validation error = [&](const learners::Checkpoint& snapshot, const meta::StopCheck&) {
    double sum = 0;
    for (const auto& e : unseen.batch(0, 100))
      sum += (basis(e.query_x) * fit(e.support_x, e.support_y, snapshot.tensor("prior")) - e.query_y)
                 .squaredNorm() /
             static_cast<double>(e.query_y.size());
    return sum / 100;
  };
  const double before = error(learner.snapshot(), {});
  const auto summary = meta::train(learner, Parabolas(/*seed=*/1), error,
                                   {.steps = 50, .meta_batch = 8, .validate_every = 10});
  std::cout << "parabolas from 3 points, mean squared error: " << before << " before training, "
            << summary.best_error << " after " << summary.best_step << " steps\n";
}

// ---- on power modes ----

// What adapts the prior on a board: the encoder's features of settings as inputs, logs around their mean as targets.
class Quadratic final : public learners::Learner {
 public:
  explicit Quadratic(const learners::Checkpoint& c)
      : knobs_(c.text("knobs")),
        scaler_(learners::read_scaler(c, "input_mean", "input_stddev")),
        prior_(c.tensor("prior")) {}

  std::unique_ptr<const learners::Predictor> adapt(const learners::Samples& support) const override {
    learners::check_support("quadratic", support, 1);
    learners::check_roles("quadratic", knobs_, *support.space);
    auto adapted = std::make_unique<Adapted>();
    adapted->space = support.space;
    adapted->scaler = scaler_;
    for (int target = 0; target < tasks::kNumTargets; ++target) {
      const auto rows = learners::rows_of(support, static_cast<tasks::Target>(target));
      if (rows.modes.empty()) continue;
      const Matrix y = rows.values.array().log();
      const Matrix x = scaler_(learners::encode(learners::FeatureSet::physical, *support.space, rows.modes));
      adapted->mean[target] = y.mean();
      adapted->weights[target] = fit(x, y.array() - y.mean(), prior_.col(target));
    }
    return adapted;
  }

 private:
  struct Adapted final : learners::Predictor {
    std::shared_ptr<const hw::PowerModeSpace> space;
    learners::Scaler scaler;
    double mean[tasks::kNumTargets] = {};
    Matrix weights[tasks::kNumTargets];  // [0,0]: not predicted

    learners::Prediction predict(std::span<const hw::PowerMode> modes) const override {
      const Matrix phi = basis(scaler(learners::encode(learners::FeatureSet::physical, *space, modes)));
      Matrix logs = Matrix::Constant(phi.rows(), tasks::kNumTargets, std::nan(""));
      for (int target = 0; target < tasks::kNumTargets; ++target)
        if (weights[target].size() > 0) logs.col(target) = (phi * weights[target]).array() + mean[target];
      return {logs, {}, {}};
    }
  };

  std::string knobs_;
  learners::Scaler scaler_;
  Matrix prior_;
};

struct PriorOptions {
  int steps = 100;
  void each(learners::OptionVisitor& on) { on.whole("steps", steps, 1, 100'000, "outer updates"); }
};

meta::OuterLoop plan(const meta::InitializerRequest& request, const std::vector<datasets::Profile>& training,
                     const meta::Registry&) {
  PriorOptions options;
  learners::set_options(request.settings, request.name,
                        [&](learners::OptionVisitor& on) { options.each(on); });
  meta::OuterLoop loop;
  loop.modes.encoder = meta::ModeEncoder::of("quadratic", training);
  auto& encoder = loop.modes.encoder;
  for (auto& scale : encoder.scales) scale = 1;  // the learner above predicts logs as they are
  learners::Checkpoint more;
  more.texts = {{"knobs", encoder.knobs}, {"trained_by", request.name}};
  more.tensors = {{"input_mean", encoder.scaler.mean.transpose()},
                  {"input_stddev", encoder.scaler.stddev.transpose()}};
  loop.modes.learner = std::make_unique<PriorLearner>(encoder.scaler.mean.size(), tasks::kNumTargets, more);
  loop.train = {.steps = options.steps, .meta_batch = 8, .validate_every = 20};
  loop.source.max_shots = 25;
  return loop;
}

void bench_on_power_modes(const std::string& path) {
  auto registry = meta::builtin();
  registry.learners.add({.name = "quadratic",
                         .about = "a quadratic function near a learned prior",
                         .needs_checkpoint = true,
                         .make = [](const learners::Checkpoint& checkpoint, const auto&, const auto&) {
                           return std::make_unique<Quadratic>(checkpoint);
                         }});
  registry.meta_learners.add({.name = "quadratic-prior",
                              .about = "the prior of quadratic",
                              .adapted_by = "quadratic",
                              .options = [](learners::OptionVisitor& on) { PriorOptions().each(on); },
                              .plan = plan});
  const auto suite = benchmarks::read_suite(path, registry);
  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = "own_family " + path;
  const auto outputs = suite->run({}, provenance);
  std::cout << outputs.markdown;
  if (!outputs.failures.empty()) throw std::runtime_error(benchmarks::to_text(outputs.failures.front()));
}

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: own_family SUITE.ini\n";
    return 2;
  }
  train_on_parabolas();
  bench_on_power_modes(argv[1]);
} catch (const std::exception& e) {
  std::cerr << "own_family: " << e.what() << '\n';
  return 1;
}
