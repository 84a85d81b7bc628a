# Run when programs/page.cpp is built, with SOURCE (this folder) and OUTPUT set: writes the page without its data as a C++ source,
# programs/page_parts.hpp. Markers in page.html stand for the other files. The modules of js/ become one script: each may import from
# those that stand before it in `modules`, in lines that begin with "import", and names at the top of a module are used once in all.
set(modules normal choose format data theme plot cloud dom limits answer slice explore run govern training bench report live main)

file(READ "${SOURCE}/page.html" page)
file(READ "${SOURCE}/page.css" style)
file(READ "${SOURCE}/vendor/uplot/uPlot.min.css" plot_style)
file(READ "${SOURCE}/vendor/uplot/uPlot.iife.min.js" plot)
file(READ "${SOURCE}/vendor/uplot/LICENSE" licence)

# A piece of text as an element of a C++ array.
function(add_piece list text)
  string(FIND "${text}" ")fewwatt-page\"" closing)
  if(NOT closing EQUAL -1)
    message(FATAL_ERROR "embed.cmake: a file of the page holds the end of a raw string")
  endif()
  set(${list} "${${list}}    R\"fewwatt-page(${text})fewwatt-page\",\n" PARENT_SCOPE)
endfunction()

# Cuts `page` at a marker: `before` is what stands before it, `page` what stands behind.
macro(cut marker)
  string(FIND "${page}" "${marker}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "embed.cmake: page.html has no ${marker}")
  endif()
  string(SUBSTRING "${page}" 0 ${at} before)
  string(LENGTH "${marker}" length)
  math(EXPR at "${at} + ${length}")
  string(SUBSTRING "${page}" ${at} -1 page)
endmacro()

cut("/* policy */")
add_piece(start "${before}")
cut("/* uPlot.css */")
add_piece(start "${before}${plot_style}")
cut("/* page.css */")
add_piece(start "${before}${style}")
cut("<!-- data -->")
add_piece(start "${before}")
cut("/* uPlot.js */")
add_piece(end "${before}/*\n${licence}\n*/\n")
add_piece(end "${plot}")
cut("/* modules */")
add_piece(end "${before}")
foreach(module IN LISTS modules)
  file(READ "${SOURCE}/js/${module}.js" text)
  string(REGEX REPLACE "\nimport [^\n]*" "" text "\n${text}")
  string(REGEX REPLACE "\nexport " "\n" text "${text}")
  add_piece(end "${text}")
endforeach()
add_piece(end "${page}")

file(WRITE "${OUTPUT}.new" "// Made by learners/view/embed.cmake.
#include \"learners/programs/page_parts.hpp\"

namespace fewwatt::view {
namespace {

constexpr std::string_view kStart[] = {
${start}};
constexpr std::string_view kEnd[] = {
${end}};

}  // namespace

std::span<const std::string_view> page_start() {
  return kStart;
}
std::span<const std::string_view> page_end() {
  return kEnd;
}

}  // namespace fewwatt::view
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
