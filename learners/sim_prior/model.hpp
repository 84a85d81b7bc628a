#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "learners/checkpoint.hpp"
#include "learners/sim_residual.hpp"
#include "learners/stated_workloads.hpp"

namespace fewwatt::learners {

class CheckpointFields;

// What there is of one target after training on other workloads.
struct SimPriorTarget : SimPriorFitted {
  Matrix training;  // [w,g] log y of the training workloads in the modes of SimPriorModel; [0,0]: none
  std::optional<SimPriorFitted> mixed;  // where there are two of them or more
  // Share of the training workloads, each left out, that mixtures of the others explain better than simulated workloads.
  double mixed_share = 0.5;
};

// A Checkpoint holds it as
//   texts    trained_by, knobs
//   numbers  workloads; t/log_noise, t/log_scale; t/mixed/log_noise, t/mixed/log_scale, t/mixed/share;
//            stated/time_of [s], stated/highest [d], t/stated/error
//   tensors  t/residual [1, 1 + 3 d + p], t/mixed/residual, t/training [w,g], modes [g,d] (settings);
//            stated/characteristics [s,4], stated/lowest [1,d], t/stated/curves [s,q]
struct SimPriorModel {
  // Checkpoints written before this number was kept say nothing of it, and are taken as trained on so many.
  static constexpr int kWorkloads = 3;
  int workloads = kWorkloads;        // trained on, >= 1
  std::string knobs;                 // roles_text() of the training spaces
  std::vector<hw::PowerMode> modes;  // [g] that all training profiles have, ascending
  std::array<std::optional<SimPriorTarget>, tasks::kNumTargets> targets;  // nullopt where it is not trained
  std::optional<StatedWorkloads> stated;  // where kFewestStated training workloads state what they are

  std::string error() const;                                // "" when valid
  void visit(CheckpointFields& fields);                     // names every field of the checkpoint once
  Checkpoint to_checkpoint() const;                         // origin is left to the caller
  static SimPriorModel from_checkpoint(const Checkpoint&);  // throws std::invalid_argument
};

}  // namespace fewwatt::learners
