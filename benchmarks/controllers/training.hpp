#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "benchmarks/controllers/course.hpp"
#include "learners/control/policy_net.hpp"

// How a suite's agents are trained.
namespace fewwatt::benchmarks {

// An agent, and what it took.
struct TrainedAgent {
  learners::PolicyModel model;    // its decision problem is that of training
  learners::Checkpoint snapshot;  // what the trainer gave
  double seconds = 0;             // wall time
  double steps = 0;               // in environments, without those of validation
};

// Meta-trained on the population of a split. Of the snapshots it keeps the one that gets the greatest mean return on episodes of that
// population that it is not trained on; that of maml-policy after adaptation. Throws meta::Diverged when there is none to keep.
TrainedAgent train_on_population(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                                 std::size_t split, std::uint64_t seed);
// Trained from nothing in the workload and the budget of an episode, with about suite.alone_measurements: it ends with the update that
// reaches them. Steps are measurements here, the first one of each episode that ended included.
TrainedAgent train_alone(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                         const ControlEpisode& episode, std::size_t length, std::uint64_t seed);
// A maml-policy that was trained on a population, adapted to the workload and the budget of an episode. Steps are measurements here, too.
TrainedAgent adapt_agent(const ControllerSuite& suite, const Course& course, const Rival& contestant,
                         const TrainedAgent& trained, const ControlEpisode& episode, std::size_t length,
                         std::uint64_t seed);

// A snapshot as an agent that acts in power modes: with the knobs and the options of the decision problem that it was trained with.
learners::PolicyModel mode_agent(const learners::Checkpoint& snapshot, const std::string& knobs,
                                 const tasks::ModeMdpOptions& mdp);

}  // namespace fewwatt::benchmarks
