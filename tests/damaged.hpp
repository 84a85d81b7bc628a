#pragma once

// Files damaged at random, for the tests of what reads them.

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/run_program.hpp"

namespace fewwatt::tests {

// FEWWATT_DAMAGE says how many files are tried; a few unless it is set, since each is a program started.
inline int damaged_files(int few) {
  const char* set = std::getenv("FEWWATT_DAMAGE");
  return set == nullptr ? few : std::atoi(set);
}

// SplitMix64 (Steele et al. 2014): these tests may include no layer.
class DamageRng {
 public:
  explicit DamageRng(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t n) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((z ^ z >> 31) % n);
  }

 private:
  std::uint64_t state_;
};

// Writes files with one byte of `whole` changed, then files with its end cut off, to `path`, and calls read(what was done) for
// each. `Error` is the exception that `read` may throw, one line that names the file; it must not return after having read
// anything else than the whole file has.
template <class Error, class Read>
void expect_damage_is_found(const std::string& whole, const std::string& path, int few, std::uint64_t seed,
                            const Read& read) {
  const int files = damaged_files(few);
  DamageRng rng(seed);
  int refused = 0;
  const auto attempt = [&](const std::string& bytes, const std::string& what) {
    SCOPED_TRACE(what);
    write_text(path, bytes);
    try {
      read();
    } catch (const Error& e) {
      const std::string message = e.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      EXPECT_NE(message.find(path), std::string::npos) << message;
      ++refused;
    }
  };
  for (int i = 0; i < files; ++i) {
    std::string bytes = whole;
    const std::size_t at = rng.below(bytes.size());
    const auto flip = static_cast<char>(1 + rng.below(255));
    bytes[at] = static_cast<char>(bytes[at] ^ flip);
    attempt(bytes, "byte " + std::to_string(at) + " ^ " + std::to_string(static_cast<unsigned char>(flip)));
  }
  EXPECT_GT(refused, 0);
  for (int i = 0; i < files; ++i) {
    const std::size_t size = rng.below(whole.size());
    attempt(whole.substr(0, size), "cut to " + std::to_string(size));
  }
  EXPECT_GE(refused, files) << "a file that is cut short is never whole";
}

}  // namespace fewwatt::tests
