#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "datasets/profile.hpp"
#include "tasks/world.hpp"

namespace fewwatt::tasks {

// Profiles as a population of worlds, one of which is drawn for each episode: that is what agents are trained on. The modes of a profile are
// kept once, whatever the number of worlds.
class ReplayPopulation {
 public:
  // Half of the worlds are of `also`, where there is any. Throws std::invalid_argument without a profile, naming a profile that has no times,
  // no power or a single mode, and for options.error(); datasets::DataError for a profile that is not valid.
  explicit ReplayPopulation(std::span<const datasets::Profile> profiles,
                            std::span<const datasets::Profile> also = {}, const ReplayOptions& options = {});
  // A profile, each as likely as the others, and a budget, evenly between the 10th and the 90th percentile of its true powers: at least one
  // mode keeps it. The same seed draws the same.
  // `changes`: so many come at random among the first `steps` steps of each episode, of the workload and of the budget by turns. Another
  // workload is that of another profile with the same modes, of the same of the two lists, and may bring another budget; where there is no
  // such profile, only budgets change. Throws std::invalid_argument for changes within less than 2 steps.
  std::unique_ptr<World> draw(std::uint64_t seed, std::size_t steps = 0, std::size_t changes = 0) const;

 private:
  struct Member {
    std::shared_ptr<const ReplayTable> table;
    double least_w, most_w;  // of budgets
    std::size_t group;       // members with the same modes have the same one
  };
  class Changing;
  static std::vector<Member> members_of(std::span<const datasets::Profile> profiles,
                                        const ReplayOptions& options);

  std::vector<Member> members_, also_;
};

}  // namespace fewwatt::tasks
