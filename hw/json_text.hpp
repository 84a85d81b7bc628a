#pragma once

#include <string>

namespace fewwatt::hw {

// JSON (nlohmann's, either kind) as text, for everything that programs print and write. Names and paths from outside may hold bytes that
// are not UTF-8. There dump() throws, and << does after half of it is written; here each such byte becomes U+FFFD. `indent` < 0 gives
// one line.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace fewwatt::hw
