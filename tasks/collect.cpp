#include "tasks/collect.hpp"

namespace fewwatt::tasks {

Samples collect(hw::Device& device, ModeSampler& sampler, std::size_t count) {
  Samples samples{std::make_shared<const hw::PowerModeSpace>(device.space()), {}, {}};
  std::vector<hw::Measurement> measured;
  while (measured.size() < count) {
    const auto mode = sampler.ask();
    if (!mode) break;
    measured.push_back(device.measure(*mode));
    samples.modes.push_back(*mode);
    sampler.tell(*mode, measured.back());
  }
  samples.targets.resize(static_cast<Eigen::Index>(measured.size()), kNumTargets);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    samples.targets.row(static_cast<Eigen::Index>(i)) << measured[i].time_ms, measured[i].power_w;
  }
  return samples;
}

}  // namespace fewwatt::tasks
