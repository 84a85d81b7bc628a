#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

namespace fewwatt::hw {

// Random draws that are the same with every standard library. The standard fixes the engine, but not the distributions, so these are
// written here.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : engine_(seed) {}  // any seed is good, 0 too

  // An independent stream for a named purpose, so that adding draws in one place does not shift another.
  static Rng stream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint64_t bits() { return engine_(); }  // 64 random bits
  double uniform();                           // in [0, 1)
  double uniform(double low, double high);    // in [low, high)
  std::size_t below(std::size_t n);           // in [0, n), n > 0, without modulo bias
  double normal();                            // standard normal, Box-Muller, one value per call
  // k <= n different numbers of [0, n), in random order.
  std::vector<std::size_t> sample(std::size_t n, std::size_t k);

  // Puts the values into a random order.
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace fewwatt::hw
