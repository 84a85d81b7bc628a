#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "hw/device.hpp"
#include "tasks/samplers/sampler.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {

using Told = std::vector<std::pair<hw::PowerMode, hw::Measurement>>;

// Measures up to `count` modes that the sampler asks for, and tells it each result. Gives fewer when the sampler asks for no more, or `measure`
// returns nullopt. In the order in which they were measured.
Told collect(ModeSampler& sampler, std::size_t count,
             const std::function<std::optional<hw::Measurement>(const hw::PowerMode&)>& measure);

// The same on a device, as samples.
Samples collect(hw::Device& device, ModeSampler& sampler, std::size_t count);

}  // namespace fewwatt::tasks
