#include "benchmarks/blocks.hpp"

#include <cmath>

#include "hw/printable.hpp"
#include "learners/programs/page.hpp"
#include "learners/programs/view_rows.hpp"

namespace fewwatt::benchmarks::blocks {
namespace {

Json points_of(std::string_view name, const Json& colour) {
  return {{"name", hw::printable(name)}, {"colour", colour}, {"x", Json::array()}, {"y", Json::array()}};
}

}  // namespace

Json heading(int level, std::string_view text) {
  return {{"kind", "heading"}, {"level", level}, {"text", hw::printable(text)}};
}

Json text(std::string_view text) {
  return {{"kind", "text"}, {"text", hw::printable(text)}};
}

Json pre(std::string_view text) {
  return {{"kind", "pre"}, {"text", hw::printable_lines(text)}};
}

Json terms(std::span<const std::pair<std::string, std::string>> of) {
  Json list = Json::array();
  for (const auto& [name, meaning] : of)
    list.push_back(Json::array({hw::printable(name), hw::printable(meaning)}));
  return {{"kind", "terms"}, {"terms", std::move(list)}};
}

Json fold(std::string_view title, Json blocks) {
  return {{"kind", "fold"}, {"title", hw::printable(title)}, {"blocks", std::move(blocks)}};
}

Json table(Json header, Json rows) {
  return {{"kind", "table"}, {"header", std::move(header)}, {"rows", std::move(rows)}};
}

Json figures(Json figures, std::string_view caption) {
  return {{"kind", "figures"}, {"figures", std::move(figures)}, {"caption", hw::printable(caption)}};
}

Json figure(std::string_view title, Json x, Json y) {
  return {{"title", hw::printable(title)},
          {"x", std::move(x)},
          {"y", std::move(y)},
          {"lines", Json::array()},
          {"dots", Json::array()}};
}

Json axis(std::string_view label, bool is_log) {
  return {{"label", hw::printable(label)}, {"isLog", is_log}};
}

Json line(std::string_view name, const Json& colour) {
  return points_of(name, colour);
}

Json dots(std::string_view name, const Json& colour) {
  return points_of(name, colour);
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

void add_point(Json& to, double x, double y, std::string_view text) {
  to["x"].push_back(number(x));
  to["y"].push_back(number(y));
  if (!text.empty()) to["texts"].push_back(hw::printable(text));
}

std::string page(std::string_view title, Json blocks, std::string_view jsonl) {
  view::Page made;
  made.entries.push_back({"report", hw::printable(title), "report", Json{{"blocks", std::move(blocks)}}});
  if (!jsonl.empty()) view::add_rows(made, jsonl, "rows.jsonl");
  return view::to_html(made);
}

Json text_report(std::string_view markdown) {
  return Json::array({pre(markdown)});
}

}  // namespace fewwatt::benchmarks::blocks
