#pragma once

#include <gtest/gtest.h>

#include <string>

#include "datasets/profile.hpp"
#include "tests/run_program.hpp"

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

namespace fewwatt::tests {

// The text of a suite with one part in another's place.
inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

// What read(path) makes of a file with that text.
template <class Read>
auto suite_from(const std::string& text, const Read& read) {
  const TempDir dir;
  write_text(dir / "suite.ini", text);
  return read(dir / "suite.ini");
}

// With what words it refuses the text.
template <class Read>
std::string refusal_of(const std::string& text, const Read& read) {
  try {
    suite_from(text, read);
  } catch (const datasets::DataError& e) {
    return e.what();
  }
  ADD_FAILURE() << "accepted: " << text;
  return "";
}

}  // namespace fewwatt::tests
