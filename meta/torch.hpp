#pragma once

// The one door to LibTorch. For .cpp files of this folder only, and few of them: each costs seconds and much
// memory to compile. ivalue.h comes first because Clang with C++20 rejects LibTorch 1.13 otherwise.

// clang-format off
#include <ATen/core/ivalue.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
// clang-format on
