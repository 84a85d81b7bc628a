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

struct RunOptions {
  std::uint64_t seed = 0;        // of the draws and of training
  std::size_t threads = 0;       // 0 = what the machine has
  std::size_t shown_shots = 10;  // the figures show the suite's nearest number of shots
};

// One answer in full, for the figures: the first draw of a workload.
struct Showcase {
  std::string device, workload, learner, sampler;
  std::size_t shots = 0;
  std::vector<std::size_t> support;  // rows of measured
  Matrix measured, predicted;        // [n,2] ms, W; a column the suite does not use is NaN
  std::vector<Decision> decisions;   // rows of measured; none without power
};

// How often a learner's intervals hold, over all draws and workloads of one number of modes: how many of the unmeasured
// values lie inside the central interval of each probability, in steps of 1 / kCalibrationBins, the last being 1.
inline constexpr std::size_t kCalibrationBins = 20;
struct Calibration {
  std::string learner;
  tasks::Target target = tasks::kTimeMs;
  std::size_t shots = 0;
  std::array<std::size_t, kCalibrationBins> inside{};  // cumulative
};

// What a combination of learners made of the others for one workload and number of modes, means over draws.
struct Combination {
  std::string device, workload, learner;
  std::size_t shots = 0;
  std::vector<learners::Chosen> chosen;
};

struct Result {
  std::vector<Row>
      rows;  // by split, workload, sampler, shots, seed, learner: the same for any number of threads
  std::vector<Showcase> showcases;        // every learner, for the first workload of each split
  std::vector<Calibration> calibrations;  // by learner, target, shots
  std::vector<Combination> combinations;  // by workload, learner, shots
  std::size_t threads = 1;                // that were at work
};

struct Progress {
  // Called from the running threads, one call at a time.
  std::function<void(std::size_t done, std::size_t all)> jobs;
  std::function<void(const std::string&)> log;
};

// Trains once per split and meta-learner; then, for each test workload, sampler, number of shots and draw,
// gives every learner the same measured modes and scores what it predicts. Throws std::runtime_error naming
// learner, workload, shots and seed when one fails.
Result run_suite(const Suite& suite, const datasets::ProfileStore& store, const RunOptions& options,
                 const Progress& progress = {});

}  // namespace fewwatt::benchmarks
