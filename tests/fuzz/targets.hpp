#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "datasets/profile.hpp"
#include "hw/device.hpp"

namespace fewwatt::fuzz {

// One reader of what comes from outside. read() takes any bytes and returns, whatever they are; what the reader throws for bad
// input is caught there, and nothing else is. A reader that throws something else, crashes, hangs or takes too much is broken.
struct Target {
  std::string_view name;  // of its folder in tests/fuzz/corpus
  void (*read)(std::string_view input);
};

std::span<const Target> targets();
const Target& find_target(std::string_view name);  // throws std::invalid_argument

// Runs `body`. What it throws for bad input is its answer; anything else goes on.
template <class Body>
void answered(const Body& body) {
  try {
    body();
  } catch (const datasets::DataError&) {
  } catch (const hw::DeviceError&) {
  }
}

// The same, with std::invalid_argument among what is thrown for bad input.
template <class Body>
void answered_or_invalid(const Body& body) {
  try {
    answered(body);
  } catch (const std::invalid_argument&) {
  }
}

// Text (text_targets.cpp).
void csv(std::string_view input);
void ini(std::string_view input);
void import(std::string_view input);
void tegrastats(std::string_view input);
void run_log(std::string_view input);

// Boards (board_targets.cpp).
void board(std::string_view input);
void nvpmodel(std::string_view input);
void requests(std::string_view input);
void journal(std::string_view input);

// HDF5 files (hdf5_targets.cpp).
void hdf5(std::string_view input);
void flat(std::string_view input);
void objects(std::string_view input);

}  // namespace fewwatt::fuzz
