#include "datasets/formula.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "datasets/csv.hpp"
#include "datasets/profile.hpp"

namespace fewwatt::datasets {
namespace {

// `("CPU Frequencies" - b) * 2 [kHz]` in pieces: names, numbers, + - * / ( ), and units in their brackets. A quoted name is
// marked by its leading quote. Blanks part what is not quoted; a parenthesis within a name belongs to it, as in f(x).
std::vector<std::string> tokens(const std::string& text, const std::string& where) {
  std::vector<std::string> found;
  for (std::size_t i = text.find_first_not_of(" \t"); i != std::string::npos;
       i = text.find_first_not_of(" \t", i)) {
    std::size_t end = 0;
    if (text[i] == '"') {
      std::string name = "\"";
      for (end = i + 1;; ++end) {
        if (end >= text.size()) throw DataError(where + ": a quote is never closed");
        if (text[end] == '"' && (end + 1 == text.size() || text[end + 1] != '"')) break;
        if (text[end] == '"') ++end;
        name += text[end];
      }
      ++end;
      found.push_back(name);
    } else if (text[i] == '(' || text[i] == ')') {
      found.emplace_back(1, text[i]);
      end = i + 1;
    } else if (text[i] == '[') {
      end = text.find(']', i);
      if (end != std::string::npos) ++end;
      found.push_back(text.substr(i, end - i));
    } else {
      int open = 0;
      for (end = i; end < text.size() && text[end] != ' ' && text[end] != '\t' && text[end] != '['; ++end) {
        if (text[end] == '(') ++open;
        if (text[end] == ')' && --open < 0) break;
      }
      found.push_back(text.substr(i, end - i));
    }
    i = std::min(end, text.size());
  }
  return found;
}

bool is_unit(const std::string& token) {
  return token.starts_with('[');
}

// Turns pieces into steps. Fails where they are no formula.
class FormulaParser {
 public:
  FormulaParser(std::vector<std::string> parts, std::string where, std::string expected)
      : parts_(std::move(parts)), where_(std::move(where)), expected_(std::move(expected)) {}

  // Of all pieces. Columns have the units behind them.
  std::vector<Expression::Step> parse() {
    sum();
    if (at_ != parts_.size()) fail();
    return std::move(steps_);
  }

 private:
  using Kind = Expression::Kind;

  [[noreturn]] void fail() const { throw DataError(expected_); }

  bool skip(std::string_view token) {
    if (at_ == parts_.size() || parts_[at_] != token) return false;
    ++at_;
    return true;
  }

  void join(Kind kind) { steps_.push_back({.kind = kind, .column = {}}); }

  void sum() {
    product();
    while (true) {
      if (skip("+")) {
        product();
        join(Kind::add);
      } else if (skip("-")) {
        product();
        join(Kind::subtract);
      } else {
        return;
      }
    }
  }

  void product() {
    operand();
    while (true) {
      if (skip("*")) {
        operand();
        join(Kind::multiply);
      } else if (skip("/")) {
        operand();
        join(Kind::divide);
      } else {
        return;
      }
    }
  }

  void operand() {
    constexpr int kMostDepth = 32;
    if (at_ == parts_.size()) fail();
    if (skip("(")) {
      if (++depth_ > kMostDepth) fail();
      sum();
      --depth_;
      if (!skip(")")) fail();
      return;
    }
    const auto& token = parts_[at_++];
    if (token == "+" || token == "-" || token == "*" || token == "/" || token == ")" || is_unit(token))
      fail();
    Expression::Step step{.column = token.starts_with('"') ? token.substr(1) : token};
    if (!token.starts_with('"') && parse_number(token, step.number)) step.kind = Kind::constant;
    if (at_ < parts_.size() && is_unit(parts_[at_])) {
      const auto& unit = parts_[at_++];
      if (!unit.ends_with(']')) fail();
      step.unit = &known_unit(std::string_view(unit).substr(1, unit.size() - 2), where_);
    }
    steps_.push_back(std::move(step));
  }

  std::vector<std::string> parts_;
  std::string where_, expected_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<Expression::Step> steps_;
};

// What the steps leave where operands are `of(step)` and two are joined by `with(kind, a, b)`.
template <class Value, class Of, class With>
Value fold(const std::vector<Expression::Step>& steps, const Of& of, const With& with) {
  std::vector<Value> stack;
  for (const auto& step : steps) {
    if (step.kind == Expression::Kind::column || step.kind == Expression::Kind::constant) {
      stack.push_back(of(step));
    } else {
      const Value b = stack.back();
      stack.pop_back();
      stack.back() = with(step.kind, stack.back(), b);
    }
  }
  return stack.back();
}

// Whether columns are added, subtracted and scaled by constants only: then all have the unit of the result.
bool is_linear(const std::vector<Expression::Step>& steps) {
  using Kind = Expression::Kind;
  enum class Degree { constant, linear, higher };
  return fold<Degree>(
             steps,
             [](const auto& step) { return step.kind == Kind::column ? Degree::linear : Degree::constant; },
             [](Kind kind, Degree a, Degree b) {
               if (kind == Kind::add || kind == Kind::subtract) return std::max(a, b);
               if (b == Degree::constant) return a;
               return kind == Kind::multiply && a == Degree::constant ? b : Degree::higher;
             }) != Degree::higher;
}

Dimension dimension_of(const std::vector<Expression::Step>& steps, const std::string& where) {
  using Kind = Expression::Kind;
  return fold<Dimension>(
      steps, [](const auto& step) { return step.unit != nullptr ? step.unit->dimension : Dimension{}; },
      [&](Kind kind, const Dimension& a, const Dimension& b) {
        if (kind == Kind::multiply) return a + b;
        if (kind == Kind::divide) return a - b;
        if (a != b) throw DataError(where + ": adds or subtracts numbers that measure different things");
        return a;
      });
}

}  // namespace

const Unit& known_unit(std::string_view name, const std::string& where) {
  if (const auto* unit = find_unit(name)) return *unit;
  throw DataError(where + ": unknown unit '" + std::string(name) + "', known are: " + known_units());
}

double known_scale(const Unit& from, const Unit& to, const std::string& where) {
  if (const auto scale = scale_between(from, to)) return *scale;
  throw DataError(where + ": a number in " + std::string(from.name) + " cannot be turned into " +
                  std::string(to.name));
}

Expression parse_expression(const std::string& text, const Unit& target, const std::string& where) {
  const std::string expected =
      where +
      ": expected a formula of columns and a unit, as in `a - b [mW]` or `energy [J] / time [s]`, "
      "found '" +
      text + "'";
  auto parts = tokens(text, where);
  const auto units = std::count_if(parts.begin(), parts.end(), is_unit);
  if (units == 0) throw DataError(expected);
  Expression expression;
  for (const auto& part : parts) {
    if (is_unit(part)) continue;
    const bool tight = expression.text.empty() || expression.text.ends_with('(') || part == ")";
    expression.text += (tight ? "" : " ") + (part.starts_with('"') ? part.substr(1) : part);
  }
  const bool one_unit = units == 1 && is_unit(parts.back());
  if (one_unit) {
    const auto& given = parts.back();
    if (!given.ends_with(']')) throw DataError(expected);
    expression.unit = &known_unit(std::string_view(given).substr(1, given.size() - 2), where);
    expression.scale = known_scale(*expression.unit, target, where);
    parts.pop_back();
  }
  expression.steps = FormulaParser(std::move(parts), where, expected).parse();
  if (one_unit) {
    if (is_linear(expression.steps))
      for (auto& step : expression.steps) step.unit = expression.unit;
    return expression;
  }
  const auto found = dimension_of(expression.steps, where);
  if (found != target.dimension)
    throw DataError(where + ": '" + text + "' is no number that can be turned into " +
                    std::string(target.name));
  expression.scale = 1 / target.scale;
  for (auto& step : expression.steps) {
    if (step.unit == nullptr) step.unit = find_unit("count");
    step.factor = step.unit->scale;
    if (step.kind == Expression::Kind::constant) step.number *= step.factor;
  }
  return expression;
}

void check_named_units(const Expression& expression, const std::string& where) {
  using Kind = Expression::Kind;
  bool all_named = true;
  if (std::any_of(expression.steps.begin(), expression.steps.end(),
                  [](const auto& step) { return step.kind == Kind::constant; }))
    return;
  for (const auto& step : expression.steps) {
    if (step.kind != Kind::column) continue;
    const auto* named = unit_in_brackets(step.column);
    all_named = all_named && named != nullptr;
    if (named == nullptr || step.unit == nullptr) continue;
    if (named->dimension != step.unit->dimension || named->scale != step.unit->scale)
      throw DataError(where + ": column '" + step.column + "' is said to be in " +
                      std::string(step.unit->name) + ", by its name it is in " + std::string(named->name));
  }
  if (!all_named || expression.unit == nullptr) return;
  const auto found = fold<Unit>(
      expression.steps, [](const auto& step) { return *unit_in_brackets(step.column); },
      [](Kind kind, const Unit& a, const Unit& b) {
        if (kind == Kind::multiply) return Unit{"", a.dimension + b.dimension, a.scale * b.scale};
        if (kind == Kind::divide) return Unit{"", a.dimension - b.dimension, a.scale / b.scale};
        return a;
      });
  constexpr double kRounding = 1e-9;
  if (found.dimension != expression.unit->dimension ||
      std::abs(found.scale / expression.unit->scale - 1) > kRounding)
    throw DataError(where + ": '" + expression.text + "' does not give " +
                    std::string(expression.unit->name) + " by the units in the columns' names");
}

Expression column_in(const std::string& column, const Unit& unit, const Unit& target) {
  Expression expression;
  expression.steps.push_back({.column = column, .unit = &unit});
  expression.scale = scale_between(unit, target).value();
  expression.unit = &unit;
  expression.text = column;
  return expression;
}

}  // namespace fewwatt::datasets
