#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/runner.hpp"
#include "benchmarks/runner/subject.hpp"

// What learners make of drawn modes. A part of run_tables().
namespace fewwatt::benchmarks {

// One draw of the measured modes of one workload, from which every learner predicts the others.
struct Draw {
  const Subject* subject;      // the workload
  const std::string* sampler;  // what draws the modes
  std::size_t shots;           // number of modes
  std::uint64_t number;        // of the draw
  bool showcase;               // whether answers are kept in full
};

// What one learner makes of a draw.
struct DrawAnswer {
  std::string learner;                         // its name
  std::string failure = {};                    // "" where it has answered
  std::vector<Row> rows = {};                  // scores
  std::vector<Showcase> showcases = {};        // one, where Draw::showcase asks for it
  std::vector<Calibration> calibrations = {};  // one for each target with uncertainty
  std::vector<Combination> combinations = {};  // one, of a learner that combines others
};

// What all make of it.
struct DrawResult {
  std::vector<DrawAnswer> answers;  // of the learners that answer so few modes
  std::vector<Row> rows;            // of what needs no learner
};
DrawResult run_draw(const TableRun& run, const Draw& draw);

// Of what needs no measured modes: the cost of training, a guess, the fastest mode, the vendor's presets.
std::vector<Row> rows_without_shots(const TableSuite& suite, const Subject& subject);

}  // namespace fewwatt::benchmarks
