#pragma once

// Every tolerance of the tests, and why it is what it is.
namespace fewwatt::tests {

inline constexpr double kGradient =
    1e-6;  // analytic against central differences, relative, double, smooth activation
inline constexpr double kParity = 1e-9;     // LibTorch against Eigen, double
inline constexpr double kBatched = 1e-12;   // tasks together against one after the other, relative, double
inline constexpr double kFloat = 1e-4;      // what is computed in float, with other roundings, relative
inline constexpr double kPowerMean = 1e-3;  // mean rail power of a log against its published mean, relative

}  // namespace fewwatt::tests
