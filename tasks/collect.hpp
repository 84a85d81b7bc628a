#pragma once

#include "hw/device.hpp"
#include "tasks/samplers/sampler.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {

// Measures up to `count` modes that the sampler asks for, telling it each result. Fewer when the sampler has
// no more.
Samples collect(hw::Device& device, ModeSampler& sampler, std::size_t count);

}  // namespace fewwatt::tasks
