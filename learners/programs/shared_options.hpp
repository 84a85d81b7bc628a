#pragma once

// Options that several programs with learners have, declared once. Include it from programs only.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/program.hpp"
#include "learners/checkpoint.hpp"
#include "learners/control/controller.hpp"
#include "learners/optimize/choose.hpp"
#include "learners/registry.hpp"

namespace fewwatt::program {

// The learner that a program works with: --init, --learner and --set.
struct LearnerChoice {
  std::string init, learner;     // one of them; neither: auto
  std::vector<std::string> set;  // "KEY=VALUE", of the learner's options

  bool trained() const { return !init.empty(); }
  bool given() const { return trained() || !learner.empty() || !set.empty(); }
  // Throws UsageError where both are given, or a learner that is unknown or must be trained first.
  void check() const;
};

// What a program has beside its learner that --set PART.KEY=VALUE sets: the search, the governor.
struct SettablePart {
  std::string name, about;  // "search", one line
  learners::EachOption each;
};

// Adds --init and --learner. --set and --list-options then belong to the learner, and to the part beside it where there is one.
void add_learner_options(Manual& manual, LearnerChoice& choice,
                         const std::optional<SettablePart>& beside = {});

// Sets the options of the part, returns them, "search.pool" to "200", and leaves those of the learner in choice.set. Throws UsageError
// for options that the part does not have.
learners::Settings set_part(LearnerChoice& choice, const SettablePart& part);

struct ChosenLearner {
  std::string name;
  learners::Origin origin;  // of the checkpoint; empty without one
  learners::Settings settings;
  std::shared_ptr<const learners::Learner> learner;

  const learners::LearnerEntry& facts() const { return learners::find_learner(name); }
};

// Reads the checkpoint, where there is one. Throws UsageError as check(), and for settings that the learner does not have;
// datasets::DataError naming the file for a checkpoint that is none, or that of an agent.
ChosenLearner chosen_learner(const LearnerChoice& choice);

// Reads an agent for power modes. Throws datasets::DataError naming the file and what it is, where it is none.
learners::PolicyModel read_agent(const std::string& path);
// The agent of that file on a device, without a shield. Throws datasets::DataError naming the file where it cannot act there.
std::unique_ptr<learners::Controller> agent_on(const std::string& path, const learners::PolicyModel& agent,
                                               std::shared_ptr<const hw::PowerModeSpace> space,
                                               const tasks::Characteristics& characteristics,
                                               std::uint64_t seed);

// Adds --max-power-w, --max-time-ms and --max-energy-j.
void add_limit_options(Manual& manual, learners::PowerBudget& limits);

// Adds one option for each number that is known of a workload: --batch-size, --minibatches-per-epoch, --layers, --parameters and
// --flops. A value that is not a number above 0 is a UsageError.
void add_attribute_options(Manual& manual, datasets::WorkloadAttributes& attributes);
// The options of add_attribute_options(), "batch-size".
std::vector<std::string> attribute_options();

// Throws UsageError where `forget` forgets something, and the learner takes all rows for equally sure.
void check_forgetting(double forget, const ChosenLearner& chosen);

// Throws UsageError where it is not minibatch, epoch or run.
datasets::TimeOf time_of_option(const std::string& text);

// What one time is of, for people: "a step" of a minibatch, "an epoch", "a run".
std::string unit_of(datasets::TimeOf time_of);

// Whether fewwatt can set such modes: those of a Jetson. It does not limit a graphics card, or change batches.
bool can_be_set(const hw::PowerModeSpace& space);

// Throws UsageError listing the samplers where `name` is none of them.
void check_sampler(const std::string& name);

}  // namespace fewwatt::program
