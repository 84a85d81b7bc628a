#pragma once

#include <string>

namespace fewwatt::hw {

// The one way from JSON (nlohmann's, either kind) to text, for all that programs print and write. Names and paths from outside may hold
// bytes that are not UTF-8, for which dump() throws, and << after half of it is written; here each becomes U+FFFD. `indent` < 0: one
// line.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace fewwatt::hw
