#include "tasks/collect.hpp"

namespace fewwatt::tasks {

Told collect(ModeSampler& sampler, std::size_t count,
             const std::function<std::optional<hw::Measurement>(const hw::PowerMode&)>& measure) {
  Told told;
  while (told.size() < count) {
    const auto mode = sampler.ask();
    if (!mode) break;
    const auto measured = measure(*mode);
    if (!measured) break;
    told.emplace_back(*mode, *measured);
    sampler.tell(*mode, *measured);
  }
  return told;
}

Samples collect(hw::Device& device, ModeSampler& sampler, std::size_t count) {
  const auto told = collect(sampler, count, [&](const auto& mode) { return device.measure(mode); });
  Samples samples{std::make_shared<const hw::PowerModeSpace>(device.space()), {}, {}};
  samples.targets.resize(static_cast<Eigen::Index>(told.size()), kNumTargets);
  for (const auto& [mode, measured] : told) {
    samples.targets.row(static_cast<Eigen::Index>(samples.modes.size())) << measured.time_ms,
        measured.power_w;
    samples.modes.push_back(mode);
  }
  return samples;
}

}  // namespace fewwatt::tasks
