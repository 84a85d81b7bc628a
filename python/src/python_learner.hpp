#pragma once

// Learners and meta-learners that are written in Python, as entries of a registry. fewwatt/python_learners.py has the other side: it
// calls the user's functions within a time limit, checks what they give, and names the learner in every message.

#include <string>

#include "meta/registry.hpp"
#include "python/src/arrays.hpp"

namespace fewwatt::python {

// Adds what fewwatt.python_learners.Adapter wraps: a learner, or a meta-learner with the learner that it gives, both of that name. Needs the
// GIL; the entries take it by themselves, from any thread. Throws std::invalid_argument for a name that cannot be one or is there already.
void add_python_learner(meta::Registry& registry, const py::object& adapter);

}  // namespace fewwatt::python
