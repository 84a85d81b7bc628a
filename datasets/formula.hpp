#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "datasets/units.hpp"

namespace fewwatt::datasets {

// A formula: value = scale * the result of the steps, in the unit of the knob's or metric's name. The value is missing where a cell is. A
// column counts before a part of a name or cell with the same name.
struct Expression {
  // What a step does: puts a value on the stack, or joins the last two.
  enum class Kind { column, constant, add, subtract, multiply, divide };
  // One step of the formula.
  struct Step {
    Kind kind = Kind::column;    // what it does
    std::string column;          // or a part of a name or cell
    double number = 0;           // of a constant
    const Unit* unit = nullptr;  // that a column's numbers have; nullptr = not said
    double factor = 1;           // of a column's number in that unit
  };
  std::vector<Step> steps;     // postfix: operands before what joins the last two
  double scale = 1;            // factor of the result, to the target's unit
  const Unit* unit = nullptr;  // of the whole as it was written; nullptr where columns have their own
  std::string text;            // as it was written, without quotes and units
};

// The formula that is a single column, whose numbers are in `unit`, for a value in `target`.
Expression column_in(const std::string& column, const Unit& unit, const Unit& target);

// Throws DataError, with `where` first, where a unit in brackets at the end of a column's name differs from that in the mapping. A formula
// with constants is not checked: constants may turn one unit into another.
void check_named_units(const Expression& expression, const std::string& where);

// A formula of columns and constants, as docs/mappings.md says, whose result is in the target unit. Throws DataError, `where` first, for
// text that is none, and for units that do not go together.
Expression parse_expression(const std::string& text, const Unit& target, const std::string& where);

// find_unit() and scale_between(), which throw DataError, `where` first, where there is none.
const Unit& known_unit(std::string_view name, const std::string& where);
double known_scale(const Unit& from, const Unit& to, const std::string& where);

}  // namespace fewwatt::datasets
