#include "datasets/units.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

constexpr Dimension kCount{}, kTime{.time = 1}, kFrequency{.time = -1}, kEnergy{.energy = 1},
    kPower{.energy = 1, .time = -1}, kCurrent{.current = 1}, kVoltage{.energy = 1, .time = -1, .current = -1};

// In us, mW, mA and what follows from them, so that factors between those that are often used are exact.
constexpr std::array kUnits{
    Unit{"count", kCount, 1},     Unit{"%", kCount, 1e-2},       Unit{"W", kPower, 1e3},
    Unit{"mW", kPower, 1},        Unit{"uW", kPower, 1e-3},      Unit{"kW", kPower, 1e6},
    Unit{"ns", kTime, 1e-3},      Unit{"us", kTime, 1},          Unit{"ms", kTime, 1e3},
    Unit{"s", kTime, 1e6},        Unit{"min", kTime, 6e7},       Unit{"h", kTime, 3.6e9},
    Unit{"Hz", kFrequency, 1e-6}, Unit{"kHz", kFrequency, 1e-3}, Unit{"MHz", kFrequency, 1},
    Unit{"GHz", kFrequency, 1e3}, Unit{"fps", kFrequency, 1e-6}, Unit{"J", kEnergy, 1e9},
    Unit{"mJ", kEnergy, 1e6},     Unit{"uJ", kEnergy, 1e3},      Unit{"kJ", kEnergy, 1e12},
    Unit{"Wh", kEnergy, 3.6e12},  Unit{"mWh", kEnergy, 3.6e9},   Unit{"V", kVoltage, 1},
    Unit{"mV", kVoltage, 1e-3},   Unit{"A", kCurrent, 1e3},      Unit{"mA", kCurrent, 1}};

constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"sec", "s"},           {"secs", "s"},          {"second", "s"}, {"seconds", "s"},
    {"msec", "ms"},         {"msecs", "ms"},        {"usec", "us"},  {"usecs", "us"},
    {"milliseconds", "ms"}, {"microseconds", "us"}, {"watt", "W"},   {"watts", "W"},
    {"milliwatts", "mW"},   {"joule", "J"},         {"joules", "J"}, {"milliseconds", "ms"}};

// Where the unit in brackets at the end of a column's name begins; npos for none.
std::size_t bracket_of(std::string_view column) {
  if (column.empty() || (column.back() != ')' && column.back() != ']')) return std::string_view::npos;
  const auto open = column.rfind(column.back() == ')' ? '(' : '[');
  if (open == std::string_view::npos) return open;
  return find_unit(column.substr(open + 1, column.size() - open - 2)) ? open : std::string_view::npos;
}

}  // namespace

Dimension operator+(const Dimension& a, const Dimension& b) {
  return {a.energy + b.energy, a.time + b.time, a.current + b.current};
}

Dimension operator-(const Dimension& a, const Dimension& b) {
  return {a.energy - b.energy, a.time - b.time, a.current - b.current};
}

const Unit* find_unit(std::string_view name) {
  const auto named = [](std::string_view one) -> const Unit* {
    const auto found =
        std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& unit) { return unit.name == one; });
    return found == kUnits.end() ? nullptr : &*found;
  };
  if (const auto* unit = named(name)) return unit;
  // As people write them: the sign of micro, words, and letters of another case.
  std::string small;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto two = name.substr(i, 2);
    const bool is_micro = two == "\xC2\xB5" || two == "\xCE\xBC";
    small += is_micro ? 'u' : static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
    if (is_micro) ++i;
  }
  for (const auto& [word, unit] : kWords)
    if (small == word) return named(unit);
  for (const auto& unit : kUnits) {
    std::string other(unit.name);
    for (auto& c : other) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    // M is mega and m milli, so MW is no mW; there are no mHz.
    const bool is_milli = unit.name.starts_with('m') && name.starts_with('M') && unit.name.size() < 4 &&
                          unit.name != "min" && unit.name != "ms";
    if (small == other && !is_milli) return &unit;
  }
  return nullptr;
}

std::string known_units() {
  return hw::join(kUnits, ", ", [](const Unit& unit) { return std::string(unit.name); });
}

const Unit* unit_in_brackets(std::string_view column) {
  const auto open = bracket_of(column);
  if (open == std::string_view::npos) return nullptr;
  return find_unit(column.substr(open + 1, column.size() - open - 2));
}

std::string_view without_unit(std::string_view column) {
  const auto name = column.substr(0, bracket_of(column));
  const auto last = name.find_last_not_of(' ');
  return last == std::string_view::npos ? name : name.substr(0, last + 1);
}

std::optional<double> scale_between(const Unit& from, const Unit& to) {
  if (from.dimension != to.dimension) return std::nullopt;
  return from.scale / to.scale;
}

}  // namespace fewwatt::datasets
