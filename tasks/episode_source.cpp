#include "tasks/episode_source.hpp"

namespace fewwatt::tasks {

std::vector<Episode> EpisodeSource::batch(std::uint64_t step, std::size_t count) const {
  std::vector<Episode> episodes;
  episodes.reserve(count);
  for (std::uint64_t number = 0; number < count; ++number) episodes.push_back(draw(step, number));
  return episodes;
}

hw::Rng episode_rng(std::uint64_t seed, std::string_view source, std::uint64_t step, std::uint64_t number) {
  return hw::Rng::stream(seed, source, (step << 24) + number);
}

}  // namespace fewwatt::tasks
