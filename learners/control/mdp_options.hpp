#pragma once

#include "learners/options.hpp"
#include "tasks/mode_mdp.hpp"

namespace fewwatt::learners {

// Visits the options of the decision problem over power modes, as other structs of options do in each(). tasks knows no OptionVisitor.
void visit_options(tasks::ModeMdpOptions& options, OptionVisitor& on);

}  // namespace fewwatt::learners
