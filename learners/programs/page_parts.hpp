#pragma once

// The files of learners/view/, put together by learners/view/embed.cmake when this is built.

#include <span>
#include <string_view>

namespace fewwatt::view {

std::span<const std::string_view>
page_start();  // what stands before the data, in pieces; the first ends within the page's policy
std::span<const std::string_view> page_end();  // and behind

}  // namespace fewwatt::view
