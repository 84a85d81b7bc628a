#pragma once

#include <string_view>

namespace fewwatt::hw {

std::string_view version();       // version of fewwatt: "0.1.0"
std::string_view git_revision();  // revision of the sources this was built from; "unknown" outside a checkout

}  // namespace fewwatt::hw
