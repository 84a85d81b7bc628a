#include "learners/programs/page.hpp"

#include "hw/version.hpp"
#include "learners/programs/page_parts.hpp"

namespace fewwatt::view {
namespace {

// A script element of data. In JSON < stands inside texts only, so it may be escaped wherever it is: no text can end the element, or
// open a comment. Everything outside ASCII is escaped too, U+2028 with it; bytes that are not UTF-8 become U+FFFD.
void add_data(std::string& html, const std::string& id, const Json& data) {
  html += "<script type=\"application/json\" id=\"" + id + "\">";
  for (const char c : data.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)) {
    if (c == '<')
      html += "\\u003c";
    else
      html += c;
  }
  html += "</script>\n";
}

}  // namespace

std::string to_html(const Page& page) {
  std::string html;
  for (const auto& piece : page_start()) {
    if (html.empty())
      html = std::string(piece) + (page.live.empty() ? "" : "; connect-src 'self'");
    else
      html += piece;
  }
  Json index{{"version", hw::version()}, {"entries", Json::array()}};
  if (!page.live.empty()) index["live"] = page.live;
  for (const auto& entry : page.entries)
    index["entries"].push_back({{"kind", entry.kind}, {"title", entry.title}, {"file", entry.file}});
  add_data(html, "index", index);
  for (std::size_t i = 0; i < page.spaces.size(); ++i)
    add_data(html, "space-" + std::to_string(i), page.spaces[i]);
  for (std::size_t i = 0; i < page.entries.size(); ++i)
    add_data(html, "part-" + std::to_string(i), page.entries[i].part);
  for (const auto& piece : page_end()) html += piece;
  return html;
}

bool is_page(std::string_view start) {
  return start.find("<meta name=\"generator\" content=\"fewwatt view\">") != std::string_view::npos;
}

}  // namespace fewwatt::view
