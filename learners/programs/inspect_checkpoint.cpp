#include "learners/programs/inspect_checkpoint.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "datasets/hdf5_file.hpp"
#include "hw/numbers.hpp"
#include "hw/program.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/control/policy_net.hpp"

namespace fewwatt::checkpoints {
namespace {

using learners::Checkpoint;
using nlohmann::json;

constexpr double kMostCount = 9e15;  // whole numbers that a double holds

json agent_of(const Checkpoint& checkpoint) {
  const auto model = learners::PolicyModel::from_checkpoint(checkpoint);
  json object{{"trained_by", model.trained_by},
              {"environment", model.environment},
              {"knobs", model.knobs},
              {"memory", model.memory()}};
  if (!model.mdp) return object;  // it does not act in power modes
  for (const auto* name : {"task", "actions", "reward"})
    object[name] = checkpoint.text(std::string("mdp/") + name);
  object["measurements"] = model.mdp->measurements;
  object["candidates"] = model.mdp->candidates;
  return object;
}

std::int64_t whole(const Checkpoint& from, const char* name, double least) {
  const double value = from.real(name, least, kMostCount);
  if (value != std::floor(value))
    throw std::invalid_argument("checkpoint of " + from.learner + ": " + name +
                                " must be a whole number, found " + hw::number_text(value));
  return static_cast<std::int64_t>(value);
}

json training_state_of(const Checkpoint& checkpoint) {
  checkpoint.text(std::string(learners::kStateOf) + "learner");  // there is one in each
  json object;
  for (const auto& [name, value] : checkpoint.texts)
    if (name.starts_with(learners::kStateOf)) object[name] = value;
  if (!checkpoint.texts.contains("agent/learner")) return object;
  for (const auto* name : {"update", "validated", "steps", "episodes", "not_better"})
    object[name] = whole(checkpoint, name, 0);
  object["best_update"] = whole(checkpoint, "best_update", -1);
  if (checkpoint.has_number("best_return"))
    object["best_return"] = checkpoint.real("best_return", std::numeric_limits<double>::lowest(),
                                            std::numeric_limits<double>::max());
  return object;
}

}  // namespace

void add_details(json& object, const std::string& path, const std::string& learner) {
  const bool agent = learner == learners::kPolicy;
  if (!agent && learner != learners::kTrainingState) return;
  const auto checkpoint = program::during("reading " + path, [&] { return learners::read_checkpoint(path); });
  try {
    if (agent)
      object["agent"] = agent_of(checkpoint);
    else
      object["training_state"] = training_state_of(checkpoint);
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(path + ": " + e.what());
  }
}

}  // namespace fewwatt::checkpoints
