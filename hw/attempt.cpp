#include "hw/attempt.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fewwatt::hw {
namespace {

constexpr std::pair<AttemptStatus, std::string_view> kNames[] = {
    {AttemptStatus::ok, "ok"},
    {AttemptStatus::over_current, "over-current"},
    {AttemptStatus::cooling_device, "cooling-device"},
    {AttemptStatus::trip_temperature, "trip-temperature"},
    {AttemptStatus::clocks_changed, "clocks-changed"},
    {AttemptStatus::boot_changed, "boot-changed"},
    {AttemptStatus::timed_out, "timed-out"},
    {AttemptStatus::program_died, "program-died"},
    {AttemptStatus::no_steps, "no-steps"},
    {AttemptStatus::device_error, "device-error"},
    {AttemptStatus::interrupted, "interrupted"},
    {AttemptStatus::program_ended, "program-ended"}};

}  // namespace

std::string_view to_string(AttemptStatus status) {
  const auto found = std::find_if(std::begin(kNames), std::end(kNames),
                                  [&](const auto& named) { return named.first == status; });
  return found == std::end(kNames) ? "" : found->second;
}

std::optional<AttemptStatus> parse_attempt_status(std::string_view name) {
  for (const auto& [status, known] : kNames)
    if (known == name) return status;
  return std::nullopt;
}

bool is_of_the_mode(AttemptStatus status) {
  return status != AttemptStatus::interrupted && status != AttemptStatus::program_ended;
}

}  // namespace fewwatt::hw
