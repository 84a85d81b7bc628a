#include "hw/manual_json.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "hw/json_text.hpp"
#include "hw/program.hpp"
#include "hw/version.hpp"

namespace fewwatt::program {
namespace {

using Json = nlohmann::ordered_json;

Json option_json(const Manual& manual, const po::option_description& option) {
  Json json{{"name", option.long_name()}, {"about", option.description()}};
  // The long name where there is no short one.
  if (const auto shown = option.canonical_display_name(po::command_line_style::allow_dash_for_short);
      shown.size() == 2 && shown[0] == '-')
    json["short"] = shown.substr(1);
  const auto& value = *option.semantic();
  if (value.max_tokens() == 0) return json;
  // "NAME", or "NAME (=DEFAULT)"
  constexpr std::string_view kBegin = " (=";
  const auto named = value.name();
  const auto begin = named.find(kBegin);
  json["value"] = named.substr(0, begin);
  if (begin != std::string::npos) {
    const auto from = begin + kBegin.size();
    json["default"] = named.substr(from, named.size() - 1 - from);
  }
  if (value.is_required()) json["required"] = true;
  if (const auto found = manual.choices.find(option.long_name()); found != manual.choices.end())
    json["choices"] = found->second;
  return json;
}

Json arguments_json(const po::positional_options_description& positional) {
  Json arguments = Json::array();
  const auto most = positional.max_total_count();
  const bool endless = most == std::numeric_limits<unsigned>::max();
  const std::string repeated = endless ? positional.name_for_position(most - 1) : "";
  for (unsigned i = 0; i < most; ++i) {
    const auto& name = positional.name_for_position(i);
    if (endless && name == repeated) {
      arguments.push_back({{"name", name}, {"most", 0}});
      break;
    }
    if (!arguments.empty() && arguments.back()["name"] == name)
      arguments.back()["most"] = arguments.back()["most"].get<int>() + 1;
    else
      arguments.push_back({{"name", name}, {"most", 1}});
  }
  return arguments;
}

}  // namespace

std::string manual_json(const Manual& manual, const std::vector<OptionGroup>& groups) {
  Json json{{"verb", manual.verb},
            {"version", hw::version()},
            {"synopsis", manual.synopsis},
            {"about", manual.about},
            {"arguments", arguments_json(manual.positional)},
            {"groups", Json::array()}};
  for (const auto& [title, options] : groups) {
    Json group{{"title", title}, {"options", Json::array()}};
    for (const auto& option : options->options()) group["options"].push_back(option_json(manual, *option));
    json["groups"].push_back(std::move(group));
  }
  return hw::json_text(json, 2);
}

}  // namespace fewwatt::program
