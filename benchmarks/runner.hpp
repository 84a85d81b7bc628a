#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "benchmarks/rows.hpp"
#include "benchmarks/suite.hpp"
#include "benchmarks/table_suite.hpp"
#include "learners/learner.hpp"

namespace fewwatt::benchmarks {

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

// What a run of a suite of tables gives.
struct Result {
  std::vector<Row> rows;  // by split, workload, sampler, shots, seed, learner, whatever the number of threads
  std::vector<Showcase> showcases;        // every learner, for the first workload of each split
  std::vector<Calibration> calibrations;  // by learner, target, shots
  std::vector<Combination> combinations;  // by workload, learner, shots
  std::vector<Failure> failures;          // of learners, then of searches, as they failed first
  std::size_t threads = 1;                // number of threads that were used
};

// Runs a suite of tables. Each meta-learner is trained once per split. Then, for each test workload, sampler, number of shots and draw,
// all learners get the same measured modes, and what they predict is scored. Learners, samplers and searches are made by the registry.
//
// A learner fails when it throws in training, adapting or predicting, or predicts what has the wrong shape or is not finite. The
// others go on. It is among Result::failures. Its rows of the same workload, sampler and number of shots, of all draws, are left out, and
// one row of the metric `failed` stands in their place.
//
// Throws std::runtime_error naming learner and split where a split has too few workloads to train on.
Result run_tables(const TableSuite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                  const Progress& progress = {}, const meta::Registry& registry = meta::builtin());

}  // namespace fewwatt::benchmarks
