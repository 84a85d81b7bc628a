#include "datasets/import_draft.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "datasets/import_file.hpp"
#include "datasets/thousands.hpp"

namespace fewwatt::datasets {
namespace {

// The name of the unit that is `factor` times another one; "" for none.
std::string scaled_unit(const Unit& unit, double factor) {
  for (const auto* name : {"us", "ms", "s", "uW", "mW", "W", "kW"}) {
    const auto scale = scale_between(*find_unit(name), unit);
    if (scale && std::abs(*scale / factor - 1) < 1e-9) return name;
  }
  return "";
}

// The values of a metric, where each stands, and its mode.
struct Column {
  std::vector<double> values;
  std::vector<std::string> where;
  std::vector<const hw::PowerMode*> modes;
  const Unit* unit = nullptr;

  void add(double value, const std::string& stands, const hw::PowerMode& mode) {
    values.push_back(value);
    where.push_back(stands);
    modes.push_back(&mode);
  }
};

// Median and trimmed mean bear a measurement that is far off: then what is made of the measurements counts.
Column column_of(const Draft& draft, Repeated ModeDraft::*member, const std::optional<Average>& how) {
  Column all;
  for (const auto& [mode, of] : draft.modes) {
    const auto& repeated = of.*member;
    if (repeated.values.empty()) continue;
    if (all.unit == nullptr) all.unit = repeated.unit;
    if (how.value_or(Average::mean) != Average::mean) {
      all.add(average(repeated.values, *how).value, repeated.where.front(), mode);
      continue;
    }
    for (std::size_t i = 0; i < repeated.values.size(); ++i)
      all.add(repeated.values[i].value, repeated.where[i], mode);
  }
  return all;
}

// What is expected of a column's modes; empty where that is not known of all.
std::vector<double> expected_of(const Column& all, Metric metric, const ImportOptions& options) {
  std::vector<double> expected;
  for (const auto* mode : all.modes) {
    const double value = options.expected ? options.expected(*mode, metric) : std::nan("");
    if (!(value > 0)) return {};
    expected.push_back(value);
  }
  return expected;
}

}  // namespace

void check_units(const std::string& device, const std::string& workload, const Draft& draft,
                 const Mapping& mapping, const ImportOptions& options, std::vector<ImportReport::Odd>& odd) {
  if (mapping.trust_units) return;
  for (const auto& [metric, member] :
       {std::pair(Metric::time_ms, &ModeDraft::times), std::pair(Metric::power_w, &ModeDraft::powers)}) {
    const auto all = column_of(draft, member, mapping.repeated);
    const auto expected = expected_of(all, metric, options);
    std::vector<int> off;
    if (expected.empty()) {
      off = thousands_off(all.values);
    } else {
      std::vector<double> ratios{1};
      for (std::size_t i = 0; i < expected.size(); ++i) ratios.push_back(all.values[i] / expected[i]);
      off = thousands_off(ratios, true);
      off.erase(off.begin());
    }
    const auto text = [&, of = metric](double value) {
      return short_text(value) + ' ' + std::string(unit_of(of).name);
    };
    for (std::size_t i = 0; i < off.size(); ++i) {
      if (off[i] == 0) continue;
      std::string why = all.where[i] + ": " + std::string(to_string(metric)) + " = " + text(all.values[i]);
      if (!expected.empty()) {
        why += ", while about " + text(expected[i]) + " is expected there";
      } else {
        std::vector<double> right;
        for (std::size_t k = 0; k < off.size(); ++k)
          if (off[k] == 0) right.push_back(all.values[k]);
        const auto [least, most] = std::minmax_element(right.begin(), right.end());
        why += ", while " + device + '/' + workload + " has " + text(off[i] < 0 ? *most : *least) + " too";
      }
      why += hint_of(scaled_unit(*all.unit, std::pow(1000, -off[i])));
      if (!options.leave_odd || std::count(all.modes.begin(), all.modes.end(), all.modes[i]) > 1)
        throw DataError(why);
      odd.push_back({device, workload, *all.modes[i], metric, why});
    }
  }
}

}  // namespace fewwatt::datasets
