#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "datasets/profile.hpp"
#include "learners/transfer.hpp"

namespace fewwatt::meta {

struct PretrainOptions {
  bool log_targets = false;
  learners::PublishedRecipe recipe;
  std::uint64_t seed = 0;
};

// The reference of transfer: the profile with the widest power range, max - min in W, or time range in ms
// where none has power.
const datasets::Profile& choose_reference(std::span<const datasets::Profile> training);

// The published net, trained on one reference workload, one net per target: inputs and target z-scored, 90:10
// split, the epoch with the lowest validation loss kept. Throws std::invalid_argument when a target has fewer
// than 2 rows.
learners::TransferModel pretrain(const datasets::Profile& reference, const PretrainOptions& options,
                                 const std::function<void(const std::string&)>& log = {});

}  // namespace fewwatt::meta
