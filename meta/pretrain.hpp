#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "datasets/profile.hpp"
#include "learners/options.hpp"
#include "learners/transfer.hpp"
#include "meta/meta_learner.hpp"

namespace fewwatt::meta {

// How the reference's nets are trained.
struct PretrainOptions {
  bool log_targets = false;                // whether the nets predict logs
  learners::PublishedRecipe recipe;        // the published recipe
  std::uint64_t seed = 0;                  // of the split, of weights, and of the order of rows
  StopCheck interrupted = {};              // asked during training
  void each(learners::OptionVisitor& on);  // names every option once
};

// The reference of transfer. With power: the profile with the widest power range, max / min, as published.
// Where none has power, a range of times says how slow a workload is and not how well it transfers: then it is the
// profile from which the others are learned best. Tried are all profiles, or eight evenly spread over time ranges where there
// are more; each is scored by the mean over the others of log time error at 10 and 50 shots, relative to the mean over all
// references for that workload. With fewer than three profiles it is the one with the widest time range, max / min.
const datasets::Profile& choose_reference(std::span<const datasets::Profile> training,
                                          const PretrainOptions& options,
                                          const std::function<void(const std::string&)>& log = {});

// The published net, trained on one reference workload, one net per target: inputs and target z-scored, 90:10
// split, the epoch with the lowest validation loss kept. Throws std::invalid_argument when a target has fewer
// than 2 rows. Both throw Interrupted when told to stop.
learners::TransferModel pretrain(const datasets::Profile& reference, const PretrainOptions& options,
                                 const std::function<void(const std::string&)>& log = {});

}  // namespace fewwatt::meta
