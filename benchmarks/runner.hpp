#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/suite.hpp"
#include "learners/learner.hpp"

namespace fewwatt::benchmarks {

// How a suite is run.
struct RunOptions {
  std::uint64_t seed = 0;        // of the draws and of training
  std::size_t threads = 0;       // number of threads; 0 = as many as the machine has cores
  std::size_t shown_shots = 10;  // the figures show the number of shots of the suite that is nearest to this
};

// One answer in full, for the figures: the first draw of a workload.
struct Showcase {
  std::string device, workload, learner, sampler;  // names
  std::size_t shots = 0;                           // number of measured modes
  std::vector<std::size_t> support;                // rows of measured
  Matrix measured, predicted;                      // [n,2] ms, W; a column the suite does not use is NaN
  std::vector<Decision> decisions;                 // rows of measured; none without power
};

// How often a learner's intervals hold, over all draws and workloads of one number of modes: how many of the unmeasured
// values lie inside the central interval of each probability, in steps of 1 / kCalibrationBins, the last being 1.
inline constexpr std::size_t kCalibrationBins = 20;
struct Calibration {
  std::string learner;                                 // its name
  tasks::Target target = tasks::kTimeMs;               // time or power
  std::size_t shots = 0;                               // number of measured modes
  std::array<std::size_t, kCalibrationBins> inside{};  // cumulative
};

// The weights that a combination of learners gave to the others, for one workload and number of modes, as means over draws.
struct Combination {
  std::string device, workload, learner;  // names
  std::size_t shots = 0;                  // number of measured modes
  std::vector<learners::Chosen> chosen;   // the weights
};

// Everything that a run of a suite gives.
struct Result {
  std::vector<Row> rows;  // by split, workload, sampler, shots, seed, learner, whatever the number of threads
  std::vector<Showcase> showcases;        // every learner, for the first workload of each split
  std::vector<Calibration> calibrations;  // by learner, target, shots
  std::vector<Combination> combinations;  // by workload, learner, shots
  std::vector<Failure> failures;          // of learners, then of searches, as they failed first
  std::size_t threads = 1;                // number of threads that were used
};

// What is told while a suite runs; either may be empty.
struct Progress {
  // Called from the running threads, one call at a time.
  std::function<void(std::size_t done, std::size_t all)> jobs;
  std::function<void(const std::string&)> log;  // lines for people
};

// Runs a suite. Trains once per split and meta-learner; then, for each test workload, sampler, number of shots and draw,
// gives every learner the same measured modes and scores what it predicts. Learners, samplers and searches are made by the
// registry. One that throws in training, adapting or predicting, or predicts what has the wrong shape or is not finite, fails, and
// the others go on: it is among the failures, and its rows of the same workload, sampler and number of shots, whatever the
// draw, are those of the metric `failed` alone. Throws std::runtime_error naming learner and split where a split has too few
// workloads to train on.
Result run_suite(const Suite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                 const Progress& progress = {}, const meta::Registry& registry = meta::builtin());

}  // namespace fewwatt::benchmarks
