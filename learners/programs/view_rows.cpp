#include "learners/programs/view_rows.hpp"

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/printable.hpp"
#include "hw/text.hpp"

namespace fewwatt::view {
namespace {

using datasets::DataError;

// Texts of many rows that repeat: each once, and the positions.
class Names {
 public:
  void add(const std::string& name) {
    const auto [found, added] = positions_.emplace(name, names_.size());
    if (added) names_.push_back(hw::printable(name));
    of_.push_back(found->second);
  }
  Json json() const { return {{"names", names_}, {"of", of_}}; }

 private:
  std::map<std::string, std::size_t> positions_;
  std::vector<std::string> names_;
  std::vector<std::size_t> of_;
};

// The first keys of a row of bench; the units go with the metric.
constexpr const char* kRowNames[] = {"suite", "device", "workload", "learner", "sampler", "metric", "unit"};

}  // namespace

void add_rows(Page& page, std::string_view jsonl, const std::string& path) {
  std::map<std::string, Names> names;
  Json shots = Json::array(), seeds = Json::array(), values = Json::array();
  std::size_t at = 0;
  for (const auto line : hw::split(jsonl, '\n')) {
    ++at;
    if (line.empty()) continue;
    const auto row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto fail = [&](const std::string& expected) {
      throw DataError(path + ", line " + std::to_string(at) + ": expected " + expected +
                      ", found another line");
    };
    if (!row.is_object()) fail("a row of bench, a JSON object");
    for (const char* name : kRowNames)
      if (!row.contains(name) || !row[name].is_string())
        fail(std::string("a row of bench with a text ") + name);
    for (const char* name : {"shots", "seed"})
      if (!row.contains(name) || !row[name].is_number_unsigned())
        fail(std::string("a row of bench with a whole number ") + name);
    const Json value = row.contains("value") ? row["value"] : Json("none");
    if (!value.is_number() && !value.is_null() && value != "inf")
      fail("a row of bench with a value, a number or inf");
    if (value.is_null()) continue;  // of a figure that is no number, such as 0 / 0: there is nothing to draw
    for (const char* name : kRowNames) names[name].add(row[name].get<std::string>());
    shots.push_back(row["shots"]);
    seeds.push_back(row["seed"]);
    values.push_back(value);
  }
  if (values.empty()) throw DataError(path + ": expected rows of bench, found none");
  Json part = Json::object();
  for (const char* name : kRowNames) part[name] = names[name].json();
  part["shots"] = std::move(shots);
  part["seed"] = std::move(seeds);
  part["value"] = std::move(values);
  const std::string title =
      hw::join(part["suite"]["names"], ", ", [](const Json& name) { return name.get<std::string>(); });
  page.entries.push_back({"bench", title, hw::printable(path), std::move(part)});
}

}  // namespace fewwatt::view
