#pragma once

#include <array>
#include <cstdint>

#include "tasks/episode_source.hpp"

// Families of tasks that papers on meta-learning are measured on.
namespace fewwatt::benchmarks {

using tasks::Matrix;

// How many rows an episode has.
struct Rows {
  std::size_t least_support = 5, most_support = 5;  // drawn for each step, [least, most]
  std::size_t query = 5;                            // in each step
};

// y = amplitude sin(frequency x - phase) + noise at x, each drawn evenly from its range.
struct Sines {
  std::array<double, 2> amplitude = {0.1, 5};            // least, greatest
  std::array<double, 2> frequency = {1, 1};              // least, greatest
  std::array<double, 2> phase = {0, 3.141592653589793};  // least, greatest
  std::array<double, 2> x = {-5, 5};                     // least, greatest
  double noise = 0;                                      // standard deviation
  double unit_x = 1;                                     // an episode's input is x / unit_x
};
// Episodes of that family.
class SineSource final : public tasks::EpisodeSource {
 public:
  // The same seed gives the same episodes.
  SineSource(Sines family, Rows rows, std::uint64_t seed) : family_(family), rows_(rows), seed_(seed) {}
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override;

 private:
  Sines family_;
  Rows rows_;
  std::uint64_t seed_;
};

// Classes whose means differ in a few directions among many, which are the same for all tasks: a mean is B u with
// u ~ N(0, spread^2 I), B [dimensions,informative] orthonormal, and a row of a class its mean + N(0, I). Rows are so many of each
// class; targets are 1 in the column of a row's class and 0 in the others.
struct GaussianClasses {
  std::size_t ways = 5;         // number of classes in an episode
  std::size_t dimensions = 32;  // number of inputs
  std::size_t informative = 4;  // number of directions in which means differ
  double spread = 2;            // standard deviation of the means in these directions
};
// Episodes of that family.
class ClassSource final : public tasks::EpisodeSource {
 public:
  // The same seed gives the same episodes.
  ClassSource(GaussianClasses family, Rows rows, std::uint64_t seed);
  tasks::Episode draw(std::uint64_t step, std::uint64_t number) const override;
  // Scores [q,ways], the greatest for the class that is most probable to one who knows the family but not the means: minus squared
  // distances, among the informative directions, to the classes' posterior means.
  Matrix optimum(const tasks::Episode& episode) const;

 private:
  GaussianClasses family_;
  Rows rows_;
  std::uint64_t seed_;
  Matrix directions_;  // B
};

}  // namespace fewwatt::benchmarks
