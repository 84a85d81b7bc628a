#pragma once

#include <optional>
#include <string_view>

namespace fewwatt::hw {

// How an attempt to measure a mode ended.
enum class AttemptStatus {
  ok,                // it counts
  over_current,      // an over-current event came meanwhile
  cooling_device,    // a cooling device was active
  trip_temperature,  // a zone was too near to its trip temperature
  clocks_changed,    // a control was not as it was set
  boot_changed,      // the board restarted
  timed_out,         // it took too long
  program_died,      // the program ended
  no_steps,          // the program runs, but cannot report a step
  device_error,      // the board threw DeviceError
  interrupted,       // told to stop: neither good nor bad
  program_ended,     // the program ended by itself, with exit code 0; only where it keeps running
};
std::string_view to_string(AttemptStatus status);                          // "ok", "over-current", ...
std::optional<AttemptStatus> parse_attempt_status(std::string_view name);  // nullopt for an unknown name

// Whether it says something of the mode, for a log to keep: the two last do not.
bool is_of_the_mode(AttemptStatus status);

}  // namespace fewwatt::hw
