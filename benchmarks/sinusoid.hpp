#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/runner.hpp"
#include "meta/maml.hpp"
#include "meta/reptile.hpp"
#include "tasks/episode_source.hpp"

namespace fewwatt::benchmarks {

// Regression of sine curves from a few points, Finn et al. 2017, section 5.1: what says whether meta-learning is
// right, since others' figures are known. A task is y = amplitude sin(x - phase), amplitude ~ U[0.1, 5],
// phase ~ U[0, pi], x ~ U[-5, 5]; targets are not scaled.
struct Sine {
  double amplitude;                                          // in [0.1, 5]
  double phase;                                              // in [0, pi]
  static Sine at(double amplitude_part, double phase_part);  // parts of their ranges, [0, 1)
  static Sine draw(hw::Rng& rng);                            // at random
  meta::Matrix operator()(const meta::Matrix& x) const;      // y at x, [n,1]
};

// As many points of a curve as asked for. The query is drawn before the support, so that fewer support points are
// the first of more.
struct SineTask {
  Sine sine;               // the curve
  tasks::Episode episode;  // points of it
  // Draws the points.
  static SineTask draw(const Sine& sine, hw::Rng& rng, std::size_t support, std::size_t query);
};

// Curves to train on, at drawn points: so many in the support and in the query. Those of a step come from one stream of draws, so
// that batch() is quicker than draw(), which draws the ones before it as well.
class SineEpisodes final : public tasks::EpisodeSource {
 public:
  // The same seed gives the same episodes.
  SineEpisodes(std::uint64_t seed, std::size_t support, std::size_t query)
      : seed_(seed), support_(support), query_(query) {}
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override;
  std::vector<tasks::Episode> batch(std::uint64_t step, std::size_t count) const override;

 private:
  std::uint64_t seed_;
  std::size_t support_, query_;
};

// The same at points that lie evenly over the range of x, from 2 on; every other one is in the support.
class EvenSineEpisodes final : public tasks::EpisodeSource {
 public:
  // The same seed gives the same episodes.
  EvenSineEpisodes(std::uint64_t seed, std::size_t points) : seed_(seed), points_(points) {}
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override;

 private:
  std::uint64_t seed_;
  std::size_t points_;
};

// The suite as a file. Learners: random-init, pretrain (one net fitted to the points of all tasks), reptile, fomaml,
// maml, meta-sgd; the meta-learners of meta/, trained by meta::train(). What training draws in a step is the same for all but
// reptile, and so are the test tasks for all.
//   [suite]
//   name = sinusoid
//   kind = sinusoid
//   learners = maml, fomaml
//   shots = 5, 10           points of the support; as many are the query in training. Trained anew for each
//   test_steps = 0, 1, 5    gradient steps on the support at test time, ascending, from 0
//   test_tasks = 600        fixed by the seed
//   test_query = 5          points that a test task is scored on; without it, as many as the support
//   train_steps = 70000     outer steps
//   meta_batch = 25         tasks in each
//   hidden = 40, 40         relu
//   inner_steps = 1         in training
//   inner_rate = 0.01       in training and test; where meta-sgd starts, which stays within 10 times of it
//   outer_rate = 0.001      of Adam; falls to 0 as meta::cosine_rate does, where the paper's stays
//   clip_norm = 1           maml, fomaml, meta-sgd: longer outer gradients are scaled to this norm; without it, none are
//   [reptile]               where it is among the learners: Reptile has a net (tanh), an inner loop and steps of its own
//   hidden = 64, 64
//   train_steps = 30000
//   meta_batch = 1
//   points = 50             of a training task, evenly over the range of x
//   inner_batch = 10        of them in each inner step
//   inner_steps = 5
//   inner_rate = 0.02       in training and test
//   outer_rate = 0.1        falls to 0, linearly
struct SinusoidSuite {
  std::string path;                     // of the file
  std::string name;                     // of the suite
  std::vector<std::string> learners;    // names of meta-learners
  std::vector<std::size_t> shots;       // support points
  std::vector<std::size_t> test_steps;  // gradient steps at test time
  std::size_t test_tasks = 0;           // number of test curves
  std::size_t test_query = 0;           // points that they are scored on; 0 = as many as the support
  std::size_t train_steps = 0;          // outer steps
  std::size_t meta_batch = 0;           // tasks in each
  std::vector<int> hidden;              // widths of the net's hidden layers
  meta::InnerLoop inner;                // in training
  double outer_rate = 0;                // of Adam
  // Norm to which longer outer gradients are scaled.
  double clip_norm = std::numeric_limits<double>::infinity();
  meta::ReptileOptions reptile;    // its net's hidden layers and its steps too
  std::size_t reptile_batch = 0;   // its tasks in each outer step
  std::size_t reptile_points = 0;  // points of each of its training tasks

  // With n tasks, one amplitude out of each n-th part of its range and one phase out of each n-th of its own,
  // shuffled: independent draws would add the luck of the amplitudes, some 4 %, to every learner's mean.
  std::vector<SineTask> draw_test_tasks(std::uint64_t seed, std::size_t support) const;
};

bool is_sinusoid_suite(const std::string& path);  // throws datasets::DataError when it is no INI file
// Throws datasets::DataError naming the file, section and key, what is expected and what stands there.
SinusoidSuite read_sinusoid_suite(const std::string& path);
void check_sinusoid_learner(const std::string& name);  // throws std::invalid_argument listing the known names

// Of one learner from one number of points.
struct SinusoidScore {
  std::string learner;       // its name
  std::size_t shots = 0;     // support points
  double train_seconds = 0;  // wall time of training
  // Its figures after a number of gradient steps.
  struct AfterSteps {
    std::size_t steps = 0;            // number of gradient steps
    std::vector<double> task_losses;  // mean squared error of each test task's query; inf where it diverged
    double mean = 0;                  // over tasks
    double ci95 = 0;                  // 1.96 standard errors of it
    double median = 0;                // over tasks
    std::vector<double> curve;        // predictions of the first test task, at sinusoid_grid()
  };
  std::vector<AfterSteps> after;  // in the order of test_steps
};
meta::Matrix sinusoid_grid();  // [n,1], what curves are drawn at

// In the order of shots, then learners; the same for any number of threads. Throws std::runtime_error naming learner,
// shots and step when training diverges.
std::vector<SinusoidScore> run_sinusoid(const SinusoidSuite& suite, const RunOptions& options,
                                        const Progress& progress = {});

// rows.jsonl as to_jsonl() has it: metrics query_mse, query_mse_ci95 and query_mse_median with the number of gradient
// steps among the options, and train_seconds.
std::string sinusoid_jsonl(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                           const Provenance& provenance);
// table.md.
std::string sinusoid_markdown(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                              const Provenance& provenance);
// shots,learner,steps,mean,ci95,median
std::string sinusoid_csv(const std::vector<SinusoidScore>& scores);
// report.html.
std::string sinusoid_html(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                          const Provenance& provenance);

}  // namespace fewwatt::benchmarks
