#include "benchmarks/suite.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <utility>

#include "benchmarks/kinds/kinds.hpp"
#include "benchmarks/suite_keys.hpp"
#include "datasets/ini.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

struct Kind {
  std::string_view name;  // value of the key `kind`
  std::unique_ptr<Suite> (*open)(const std::string& path, const meta::Registry& registry);
};
constexpr Kind kKinds[] = {{"tables", open_tables},  // that of a suite without the key
                           {"drift", open_drift},
                           {"controllers", open_controllers},
                           {"sinusoid", open_sinusoid},
                           {"literature", open_literature}};

}  // namespace

std::unique_ptr<Suite> read_suite(const std::string& path, const meta::Registry& registry) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  const auto name = head.text_or("kind", std::string(kKinds[0].name));
  const auto kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& one) { return one.name == name; });
  if (kind == std::end(kKinds))
    throw datasets::DataError(head.where + ": kind: expected one of " +
                              hw::join(kKinds, ", ", [](const Kind& one) { return one.name; }) + ", found '" +
                              name + "'" + hw::did_you_mean(name, kKinds, &Kind::name));
  return kind->open(path, registry);
}

SuiteKey key_of_names(const std::string& name, std::vector<std::string>& names,
                      std::function<void(const std::string&)> check) {
  return {name, [&names, check = std::move(check)](const std::string& text) {
            auto found = parse_list(text);
            for (const auto& one : found) check(one);
            names = std::move(found);
          }};
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace fewwatt::benchmarks
