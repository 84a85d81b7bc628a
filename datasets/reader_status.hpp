#pragma once

namespace fewwatt::datasets {

// The first byte that fewwatt-reader sends.
inline constexpr char kLockedUp = 'S';          // limits and seccomp
inline constexpr char kLimitsOnly = 'L';        // the system or the build has no seccomp
inline constexpr char kLockedUpAsWanted = 'W';  // limits only, as asked for or as a sanitizer needs

}  // namespace fewwatt::datasets
