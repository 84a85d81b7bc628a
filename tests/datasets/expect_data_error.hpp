#pragma once

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "datasets/profile.hpp"

namespace fewwatt::tests {

// Expects that `body` throws a DataError of one line with all `fragments` in its message.
template <class Body>
void expect_data_error(const Body& body, std::initializer_list<std::string> fragments) {
  try {
    body();
    ADD_FAILURE() << "expected a DataError";
  } catch (const datasets::DataError& e) {
    const std::string message = e.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& fragment : fragments) {
      EXPECT_NE(message.find(fragment), std::string::npos) << "'" << fragment << "' is not in: " << message;
    }
  }
}

}  // namespace fewwatt::tests
