#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fewwatt::datasets {

// What a number measures, as powers of energy, time and electric current: power is energy over time.
struct Dimension {
  int energy = 0, time = 0, current = 0;  // exponents  // exponents

  bool operator==(const Dimension&) const = default;
};
Dimension operator+(const Dimension& a, const Dimension& b);  // of a product
Dimension operator-(const Dimension& a, const Dimension& b);  // of a quotient

// A unit of measurement.
struct Unit {
  std::string_view name;  // "mW"
  Dimension dimension;    // what it measures
  double scale = 1;       // factor to a unit that all units of the dimension share
};

// The unit of that name: ns us ms s min h; W mW kW uW; J mJ uJ kJ Wh mWh; Hz kHz MHz GHz fps; V mV A mA; count and %; or another spelling of
// them, such as sec, watts, mhz, and the sign of micro. nullptr for any other name.
const Unit* find_unit(std::string_view name);
std::string known_units();  // names of all units, with commas between them

// The unit that ends a column's name in brackets: "power (mW)", "gpu [MHz]"; nullptr for none.
const Unit* unit_in_brackets(std::string_view column);
std::string_view without_unit(std::string_view column);  // "power" of "power (mW)"; else the column

// The factor from one unit to another: 1000 from s to ms; nullopt where they measure different things.
std::optional<double> scale_between(const Unit& from, const Unit& to);

}  // namespace fewwatt::datasets
