#include "hw/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace fewwatt::hw {
namespace {

// Steele et al. 2014, "Fast splittable pseudorandom number generators": the finaliser of SplitMix64.
std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Rng Rng::stream(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  std::uint64_t state = mix(seed);
  for (const char c : purpose) state = mix(state ^ static_cast<unsigned char>(c));
  return Rng(mix(state ^ mix(index)));
}

double Rng::uniform() {
  return static_cast<double>(engine_() >> 11) * 0x1.0p-53;
}

double Rng::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

std::size_t Rng::below(std::size_t n) {
  if (n == 0) throw std::invalid_argument("Rng: below(0)");
  const std::uint64_t limit = std::uint64_t{n} * (UINT64_MAX / n);  // the largest multiple of n
  std::uint64_t draw = engine_();
  while (draw >= limit) draw = engine_();
  return static_cast<std::size_t>(draw % n);
}

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::size_t> Rng::sample(std::size_t n, std::size_t k) {
  if (k > n) {
    throw std::invalid_argument("Rng: cannot draw " + std::to_string(k) + " different ones of " +
                                std::to_string(n));
  }
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (std::size_t i = 0; i < k; ++i) std::swap(all[i], all[i + below(n - i)]);
  all.resize(k);
  return all;
}

}  // namespace fewwatt::hw
