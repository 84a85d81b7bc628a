#pragma once

// The options of fewwatt optimize.

#include <optional>
#include <string>
#include <vector>

#include "hw/program.hpp"
#include "learners/optimize/choose.hpp"
#include "learners/optimize/schedule.hpp"
#include "learners/optimize/together.hpp"

namespace fewwatt::optimize {

struct Options {
  program::CommonOptions common;
  std::vector<std::vector<std::string>> models;  // files: per workload, the ways of running it
  std::vector<double> shares;                    // one per workload, summing to 1
  std::string objective_name;
  learners::Objective objective;
  learners::PowerBudget budget;
  std::optional<double>
      confidence;  // as asked for; nullopt = the usual one, where models know their uncertainty
  std::optional<double> max_epoch_s, max_slowdown;
  bool pareto = false;
  bool schedule = false;
  learners::Switching switching;
  std::optional<learners::PairKnowledge> together;
  bool evolve = false;
  program::Count max_modes{hw::kMostModes};

  bool one_table() const { return together || (models.size() == 1 && models[0].size() == 1); }
};

// As program::parse().
std::optional<Options> parse(int argc, char** argv);

}  // namespace fewwatt::optimize
