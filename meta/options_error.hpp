#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace fewwatt::meta {

// The first thing that is wrong with a struct of options, as its error() gives it: "MamlOptions: max_steps must be >= 0, got -1".
class OptionsError {
 public:
  explicit OptionsError(std::string owner) : owner_(std::move(owner)) {}  // the struct's name

  // A finite number that is not below `least`.
  template <class Number>
  OptionsError& at_least(const char* field, Number value, int least) {
    const auto wide = static_cast<double>(value);
    return require(wide >= least && std::isfinite(wide), field, ">= " + std::to_string(least),
                   std::to_string(value));
  }
  // Sizes of layers: whole numbers from 1 on.
  OptionsError& sizes(const char* field, const std::vector<int>& values) {
    for (const int value : values) at_least(field, value, 1);
    return *this;
  }
  // A number above 0, finite or not.
  OptionsError& above_0(const char* field, double value) {
    return require(value > 0, field, "> 0", std::to_string(value));
  }
  // A finite number above 0.
  OptionsError& finite_above_0(const char* field, double value) {
    return require(value > 0 && std::isfinite(value), field, "> 0", std::to_string(value));
  }
  // What the error() of a part of the options says.
  OptionsError& part(const std::string& error) {
    if (text_.empty()) text_ = error;
    return *this;
  }
  const std::string& text() const { return text_; }  // "" when nothing is wrong

 private:
  OptionsError& require(bool good, const char* field, const std::string& expected, const std::string& found) {
    if (text_.empty() && !good) text_ = owner_ + ": " + field + " must be " + expected + ", got " + found;
    return *this;
  }

  std::string owner_, text_;
};

}  // namespace fewwatt::meta
