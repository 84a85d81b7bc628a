#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hw/random.hpp"
#include "tasks/episode.hpp"

namespace fewwatt::tasks {

// A family of few-shot problems: an endless stream of episodes to train a meta-learner on. Immutable; one object serves many
// threads.
class EpisodeSource {
 public:
  virtual ~EpisodeSource() = default;
  // Episode `number` of training step `step`, both from 0. The same for the same two numbers, whatever was drawn before.
  virtual Episode draw(std::uint64_t step, std::uint64_t number) const = 0;
  // Episodes 0 to count - 1 of a step, as draw() gives them. A source that is quicker with all at once overrides it.
  virtual std::vector<Episode> batch(std::uint64_t step, std::size_t count) const;
};

// Draws for one episode of a source: a stream of its own for each step and number, number < 2^24.
hw::Rng episode_rng(std::uint64_t seed, std::string_view source, std::uint64_t step, std::uint64_t number);

}  // namespace fewwatt::tasks
