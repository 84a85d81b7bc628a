#include "hw/readable.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iterator>
#include <sstream>

#include "hw/counted.hpp"

namespace fewwatt::hw {
namespace {

constexpr int kSpreadDigits = 2;
constexpr int kMostDecimals = 12;

// "77.10" -> "77.1", "77.00" -> "77"
std::string fixed_number(double value, int decimals) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(decimals) << value;
  std::string text = out.str();
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

// Units of one quantity, from small to large: one is used for values below `below`, in which `size` of the base unit are one.
struct Unit {
  double below, size;
  const char* name;
};
constexpr Unit kTimes[] = {{1e3, 1, "ms"}, {6e5, 1e3, "s"}, {3 * 3.6e6, 6e4, "min"}, {INFINITY, 3.6e6, "h"}};
constexpr Unit kPowers[] = {{INFINITY, 1, "W"}};
constexpr Unit kEnergies[] = {{1, 1e-3, "mJ"}, {1e4, 1, "J"}, {INFINITY, 1e3, "kJ"}};

template <std::size_t n>
std::string with_unit(double value, double spread, const Unit (&units)[n]) {
  const auto& unit = *std::find_if(std::begin(units), std::end(units) - 1,
                                   [&](const Unit& one) { return std::abs(value) < one.below; });
  std::string text = readable_number(value / unit.size) + ' ' + unit.name;
  if (spread > 0) text += " ± " + readable_number(spread / unit.size, kSpreadDigits);
  return text;
}

std::string mhz(int khz) {
  return fixed_number(khz / 1000.0, 3) + " MHz";
}

template <class Text>
std::string of_each(const PowerModeSpace& space, const PowerMode& mode, const char* separator,
                    const Text& text_of) {
  std::string text;
  for (std::size_t k = 0; k < mode.size(); ++k)
    text += (k > 0 ? separator : "") + text_of(space.knobs()[k].role, mode[k]);
  return text;
}

}  // namespace

std::string readable_number(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return fixed_number(value, 0);
  const int before_point = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  return fixed_number(value, std::clamp(digits - before_point, 0, kMostDecimals));
}

std::string readable_time(double ms, double spread_ms) {
  return with_unit(ms, spread_ms, kTimes);
}

std::string readable_power(double w, double spread_w) {
  return with_unit(w, spread_w, kPowers);
}

std::string readable_energy(double j) {
  return with_unit(j, 0, kEnergies);
}

std::string readable_chance(double probability) {
  constexpr double kRounding = 1e-9;  // 0.29 * 100 is 28.999999999999996
  if (probability > 0.99 + kRounding) return "over 99 %";
  if (probability < 0.01 - kRounding) return "under 1 %";
  return fixed_number(std::floor(100 * probability + 100 * kRounding), 0) + " %";
}

std::string readable_measurement(const Measurement& measured) {
  const bool timed = !std::isnan(measured.time_ms), has_power = !std::isnan(measured.power_w);
  if (!timed && !has_power) return "nothing measured";
  return (timed ? readable_time(measured.time_ms) : "no time") + ", " +
         (has_power ? readable_power(measured.power_w) : "no power");
}

std::string readable_setting(KnobRole role, int setting) {
  switch (role) {
    case KnobRole::cpu_cores:
      return counted(static_cast<std::size_t>(setting), "core");
    case KnobRole::cpu_khz:
      return "CPU " + mhz(setting);
    case KnobRole::gpu_khz:
      return "GPU " + mhz(setting);
    case KnobRole::mem_khz:
      return "memory " + mhz(setting);
    case KnobRole::power_limit_mw:
      return "limit " + readable_power(setting / 1000.0);
    case KnobRole::batch_size:
      return "batch size " + std::to_string(setting);
  }
  return std::string(to_string(role)) + '=' + std::to_string(setting);
}

std::string readable_mode(const PowerModeSpace& space, const PowerMode& mode) {
  return of_each(space, mode, ", ", readable_setting);
}

std::string settings_text(const PowerModeSpace& space, const PowerMode& mode) {
  return of_each(space, mode, ",", [](KnobRole role, int setting) {
    return std::string(to_string(role)) + '=' + std::to_string(setting);
  });
}

}  // namespace fewwatt::hw
