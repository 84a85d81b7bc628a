#pragma once

#include "learners/mlp.hpp"

namespace fewwatt::learners {

// activation(z), element by element.
Mlp<double>::Matrix activated(Activation activation, Mlp<double>::Matrix z);

}  // namespace fewwatt::learners
