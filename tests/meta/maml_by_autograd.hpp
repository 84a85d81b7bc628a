#pragma once

#include <span>

#include "meta/maml_gradient.hpp"

namespace fewwatt::tests {

// What meta::maml_gradient() must give in double, by LibTorch's autograd: all tasks in one bmm, which needs
// episodes of equal sizes, and inner steps recorded as they are taken.
meta::OuterGradient maml_by_autograd(const learners::MlpShape& shape, const meta::Vector& parameters,
                                     std::span<const meta::Episode> episodes, const meta::InnerLoop& inner);

}  // namespace fewwatt::tests
