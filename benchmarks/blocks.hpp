#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The blocks of a report as a page shows them: learners/view/js/report.js says what each holds. Texts are plain, never markup.
namespace fewwatt::benchmarks::blocks {

using Json = nlohmann::ordered_json;  // keys keep their order

Json heading(int level, std::string_view text);                       // level 2 to 4
Json text(std::string_view text);                                     // a paragraph
Json pre(std::string_view text);                                      // lines as they are
Json terms(std::span<const std::pair<std::string, std::string>> of);  // names and what they mean
Json fold(std::string_view title, Json blocks);                       // shown on request
Json table(Json header, Json rows);                                   // texts; cells
Json figures(Json figures, std::string_view caption = "");            // figures beside each other
Json figure(std::string_view title, Json x, Json y);     // a figure with two axes and nothing in it
Json axis(std::string_view label, bool is_log = false);  // an axis that covers what is in the figure
Json line(std::string_view name, const Json& colour);    // a line without points; "" for no name
Json dots(std::string_view name, const Json& colour);    // dots, none yet; "" for no name
Json number(double value);                               // null for what is not finite
void add_point(Json& to, double x, double y,
               std::string_view text = "");  // to a line or to dots; "" for no text

// The report as a page; with rows, as rows.jsonl has them, also their curves.
std::string page(std::string_view title, Json blocks, std::string_view jsonl = "");
// The blocks of a report that is a text.
Json text_report(std::string_view markdown);

}  // namespace fewwatt::benchmarks::blocks
