#pragma once

namespace fewwatt::datasets {

// The first byte that fewwatt-reader sends says how far it is locked up:
inline constexpr char kLockedUp = 'S';    // by limits and seccomp
inline constexpr char kLimitsOnly = 'L';  // by limits only: the system or the build has no seccomp
inline constexpr char kLockedUpAsWanted =
    'W';  // by limits only, as it was asked to be, or as a sanitizer needs

}  // namespace fewwatt::datasets
