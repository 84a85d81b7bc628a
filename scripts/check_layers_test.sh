#!/bin/bash
# check_layers.py finds each kind of breach in a made-up tree, and nothing in a good one.
set -euo pipefail
check=$(cd "$(dirname "$0")" && pwd)/check_layers.py
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

put() { mkdir -p "$tree/$(dirname "$1")"; printf '%s\n' "$2" >"$tree/$1"; }
passes() { python3 "$check" "$tree" >/dev/null || { echo "refused a good tree: $1"; exit 1; }; }
fails() {  # <expected beginning of a line> : the tree must be refused for it, and is good again afterwards
  local said
  if said=$(python3 "$check" "$tree"); then echo "accepted: $1"; exit 1; fi
  grep -qF -- "$1" <<<"$said" || { echo "expected '$1', got: $said"; exit 1; }
  rm -rf "${tree:?}/${1%%:*}"
}

put hw/power_mode.hpp '#include <array>'
put learners/gp.cpp '#include "tasks/task.hpp"
#include <Eigen/Core>'
put learners/model_io.cpp '#include <hdf5.h>'
put learners/adapt_main.cpp '#include "hw/program.hpp"'
put meta/torch.hpp '#include <torch/torch.h>'
put meta/maml.cpp '#include "meta/torch.hpp"'
put tests/learners/gp_test.cpp '#include "tests/run_program.hpp"
namespace gp_test {
}'
put python/src/arrays.cpp '#include "python/src/arrays.hpp"
#include "benchmarks/suite.hpp"
#include <pybind11/numpy.h>'
put README.md 'text'
passes 'all of it'

put hw/bad.cpp '#include <array>
#include "datasets/profile.hpp"';                 fails 'hw/bad.cpp:2: hw/ may not include datasets/profile.hpp'
put tests/tasks/bad_test.cpp '#include "learners/learner.hpp"'; fails 'tests/tasks/bad_test.cpp:1: '
put tests/bad.hpp '#include "hw/power_mode.hpp"'; fails 'tests/bad.hpp:1: '
put learners/bad.cpp '#include <torch/torch.h>';  fails 'learners/bad.cpp:1: LibTorch'
put meta/bad.hpp '#include <ATen/ATen.h>';        fails 'meta/bad.hpp:1: LibTorch'
put meta/bad.hpp '#include "meta/torch.hpp"';     fails 'meta/bad.hpp:1: the door to LibTorch'
put learners/gp.hpp '#include <hdf5.h>';          fails 'learners/gp.hpp:1: HDF5'
put datasets/bad.cpp '  #  include <boost/program_options.hpp>'; fails 'datasets/bad.cpp:1: Boost'
put hw/bad.cpp '#include <boost/beast/http.hpp>';   fails "hw/bad.cpp:1: Boost's networking"
put tasks/bad.cpp '#include "hw/program.hpp"';    fails "tasks/bad.cpp:1: the programs' common part"
put datasets/bad.hpp '#include <Eigen/Core>';     fails 'datasets/bad.hpp:1: Eigen'
put learners/bad.hpp '#include <nlohmann/json.hpp>'; fails 'learners/bad.hpp:1: nlohmann/json'
put hw/bad.cpp '#include "power_mode.hpp"';       fails 'hw/bad.cpp:1: "power_mode.hpp" is not written from the root'
put hw/bad.cpp '#include "tests/run_program.hpp"'; fails 'hw/bad.cpp:1: hw/ may not include tests/run_program.hpp'
put meta/bad.cpp '#include "python/src/arrays.hpp"'; fails 'meta/bad.cpp:1: meta/ may not include python/src/arrays.hpp'
put tests/meta/bad_test.cpp '#include "python/src/arrays.hpp"'; fails 'tests/meta/bad_test.cpp:1: meta/ may not include python/'
put python/src/bad.cpp '#include <torch/torch.h>'; fails 'python/src/bad.cpp:1: LibTorch'
put learners/bad.cpp '#include <pybind11/stl.h>'; fails 'learners/bad.cpp:1: pybind11'
put tools/bad.sh 'x';                             fails 'tools/bad.sh: no folder tools/'
put hw/utils/bad.hpp 'x';                         fails 'hw/utils/bad.hpp: no folder utils/'
put tests/hw/bad_test.cpp 'namespace {
}';                                               fails 'tests/hw/bad_test.cpp: what it defines belongs in a namespace bad_test'
put notes.txt 'x';                                fails 'notes.txt: no file of the top level'
passes 'after the breaches are gone'
echo 'check_layers.py: finds what it should'
