#include "learners/programs/optimize_modes.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "hw/readable.hpp"
#include "hw/text.hpp"
#include "learners/programs/shared_options.hpp"

namespace fewwatt::optimize {

void add_known(Json& object, const char* name, double value) {
  if (std::isnan(value)) return;
  std::ostringstream text;
  text << std::setprecision(12) << value;
  object[name] = std::stod(text.str());
}

Json mode_json(const learners::Model& model, std::size_t row, const learners::PowerBudget& budget) {
  const auto mode = model.space->at(row);
  const auto r = static_cast<Eigen::Index>(row);
  const auto& p = model.prediction;
  const double time_ms = p.median(r, tasks::kTimeMs), power_w = p.median(r, tasks::kPowerW);
  Json result;
  for (std::size_t k = 0; k < mode.size(); ++k) {
    result["mode"][std::string(to_string(model.space->knobs()[k].role))] = mode[k];
  }
  add_known(result, "time_ms", time_ms);
  add_known(result, "power_w", power_w);
  if (p.uncertain()) {
    add_known(result, "time_p05_ms", p.quantile(0.05, r, tasks::kTimeMs));
    add_known(result, "time_p95_ms", p.quantile(0.95, r, tasks::kTimeMs));
    add_known(result, "expected_time_ms", p.mean(r, tasks::kTimeMs));
    add_known(result, "power_p05_w", p.quantile(0.05, r, tasks::kPowerW));
    add_known(result, "power_p95_w", p.quantile(0.95, r, tasks::kPowerW));
  }
  add_known(result, "energy_j", time_ms * power_w / 1000);
  if (const auto epoch_s = model.epoch_s(time_ms)) add_known(result, "epoch_s", *epoch_s);
  const auto within = learners::probabilities(model.prediction, row, budget);
  add_known(result, "power_probability", within.power);
  add_known(result, "time_probability", within.time);
  add_known(result, "energy_probability", within.energy);
  result["measured"] = nullptr;
  for (std::size_t i = 0; i < model.support.size(); ++i) {
    if (model.support.modes[i] != mode) continue;
    result["measured"] = Json::object();
    add_known(result["measured"], "time_ms",
              model.support.targets(static_cast<Eigen::Index>(i), tasks::kTimeMs));
    add_known(result["measured"], "power_w",
              model.support.targets(static_cast<Eigen::Index>(i), tasks::kPowerW));
    for (const auto& [doubted, target] : model.doubted)
      if (doubted == mode)
        result["measured"]["left_out"].push_back(target == tasks::kTimeMs ? "time_ms" : "power_w");
  }
  return result;
}

namespace {

// Half of the range that holds nine of ten measurements; 0 where that is not known.
double spread_of(const Json& mode, const char* p05, const char* p95) {
  return mode.contains(p05) ? (mode[p95].get<double>() - mode[p05].get<double>()) / 2 : 0;
}

std::string time_of(const Json& mode) {
  return hw::readable_time(mode["time_ms"], spread_of(mode, "time_p05_ms", "time_p95_ms"));
}

std::string power_of(const Json& mode) {
  return hw::readable_power(mode["power_w"], spread_of(mode, "power_p05_w", "power_p95_w"));
}

// "GPU 828.75 MHz" of "gpu_khz": 828750
std::vector<std::string> settings_of(const Json& mode) {
  std::vector<std::string> settings;
  for (const auto& [name, value] : mode["mode"].items())
    settings.push_back(hw::readable_setting(*hw::parse_knob_role(name), value));
  return settings;
}

// The limits, as they were given, and the keys of the probabilities that they hold.
std::vector<std::pair<const char*, std::string>> limits_of(const learners::PowerBudget& budget) {
  constexpr int kGivenDigits = 6;
  std::vector<std::pair<const char*, std::string>> limits;
  for (const auto& [name, limit, unit] : {std::tuple("power_probability", budget.max_power_w, " W"),
                                          {"time_probability", budget.max_time_ms, " ms"},
                                          {"energy_probability", budget.max_energy_j, " J"}})
    if (std::isfinite(limit)) limits.emplace_back(name, hw::readable_number(limit, kGivenDigits) + unit);
  return limits;
}

// "92 % sure to stay within 30 W, 95 % within 80 ms"; "" without such limits, or where a learner does not know.
std::string surety(const Json& mode, const learners::PowerBudget& budget) {
  std::string text;
  for (const auto& [name, limit] : limits_of(budget))
    if (mode.contains(name))
      text += (text.empty() ? "" : ", ") + hw::readable_chance(mode[name]) +
              (text.empty() ? " sure to stay within " : " within ") + limit;
  return text;
}

// "77 ms ± 2.1 a step, 28.1 W ± 1.3, 2.16 J a step", as far as it is known.
std::string figures(const Json& mode, const std::string& unit) {
  std::vector<std::string> known;
  if (mode.contains("time_ms")) known.push_back(time_of(mode) + ' ' + unit);
  if (mode.contains("power_w")) known.push_back(power_of(mode));
  if (mode.contains("energy_j")) known.push_back(hw::readable_energy(mode["energy_j"]) + ' ' + unit);
  return hw::join(known);
}

// "measured: 77 ms, 28.1 W; the learner left out the time"
std::string measured_text(const Json& measured) {
  std::vector<std::string> known;
  if (measured.contains("time_ms")) known.push_back(hw::readable_time(measured["time_ms"]));
  if (measured.contains("power_w")) known.push_back(hw::readable_power(measured["power_w"]));
  std::string text = "measured: " + hw::join(known);
  for (const auto& name : measured.value("left_out", Json::array()))
    text += std::string("; the learner left out the ") + (name == "time_ms" ? "time" : "power");
  return text;
}

// "cpu_cores=8,gpu_khz=918000"
std::string typed_settings(const Json& mode) {
  std::string text;
  for (const auto& [name, value] : mode["mode"].items())
    text += (text.empty() ? "" : ",") + name + '=' + value.dump();
  return text;
}

// Columns to align: signs of several bytes are one wide.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string summary(const Json& mode, const std::string& unit, const learners::PowerBudget& budget) {
  std::string text = hw::join(settings_of(mode)) + ": " + figures(mode, unit);
  if (const auto sure = surety(mode, budget); !sure.empty()) text += ", " + sure;
  return text;
}

// A name of a file that a shell would take for more than a name is not put into a command that is there to be copied.
void print_mode(const Json& chosen, const learners::Model& model, const std::string& unit,
                const learners::PowerBudget& budget) {
  const auto line = [](const std::string& text) { std::cout << "  " << text << '\n'; };
  line(summary(chosen, unit, budget));
  if (chosen.contains("each_time_ms"))
    line("time of each: " + hw::readable_time(chosen["each_time_ms"][0]) + ", " +
         hw::readable_time(chosen["each_time_ms"][1]));
  if (chosen.contains("epoch_s") && model.attributes.time_of != datasets::TimeOf::epoch)
    line("an epoch: " + hw::readable_time(1000 * chosen["epoch_s"].get<double>()));
  const auto settings = typed_settings(chosen);
  if (!chosen["measured"].is_null())
    line(measured_text(chosen["measured"]) + (program::can_be_set(*model.space)
                                                  ? "; `fewwatt device apply --mode " + settings + "` sets it"
                                                  : ""));
  else
    line("not measured yet" +
         (program::can_be_set(*model.space) && !chosen.contains("each_time_ms")
              ? ": `fewwatt profile --device jetson --workload " +
                    (datasets::is_profile_name(model.workload) ? model.workload : "NAME") + " --mode " +
                    settings + " --out P.h5 -- CMD` measures it"
              : ""));
}

void print_front(const Json& front, const learners::PowerBudget& budget) {
  std::vector<std::vector<std::string>> rows(front.size() + 1);
  const auto column = [&](const std::string& title, const auto& cell) {
    rows[0].push_back(title);
    for (std::size_t i = 0; i < front.size(); ++i) rows[i + 1].push_back(cell(front[i]));
  };
  const std::size_t knobs = front[0]["mode"].size();
  for (std::size_t k = 0; k < knobs; ++k) column("", [&](const Json& mode) { return settings_of(mode)[k]; });
  if (front[0].contains("time_ms")) column("time", time_of);
  if (front[0].contains("power_w")) column("power", power_of);
  if (front[0].contains("energy_j"))
    column("energy", [](const Json& mode) { return hw::readable_energy(mode["energy_j"]); });
  for (const auto& [name, limit] : limits_of(budget))
    if (front[0].contains(name))
      column("within " + limit, [&key = name](const Json& mode) { return hw::readable_chance(mode[key]); });
  column("measured", [](const Json& mode) { return std::string(mode["measured"].is_null() ? "no" : "yes"); });
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c)
      std::cout << "  " << std::string(widths[c] - width_of(row[c]), ' ') << row[c];
    std::cout << '\n';
  }
}

bool decides_by_confidence(const learners::PowerBudget& budget) {
  return budget.confidence != 0.5 &&
         (budget.limits_power() || budget.limits_time() || budget.limits_energy());
}

std::string describe(const learners::PowerBudget& budget) {
  std::ostringstream text;
  const auto add = [&](const char* name, double limit, const char* unit) {
    if (std::isfinite(limit))
      text << (text.str().empty() ? "" : " and ") << name << " <= " << limit << ' ' << unit;
  };
  add("power", budget.max_power_w, "W");
  add("time", budget.max_time_ms, "ms");
  add("energy", budget.max_energy_j, "J");
  if (decides_by_confidence(budget)) text << " at confidence " << budget.confidence;
  if (std::isfinite(budget.max_predicted_ms))
    text << (text.str().empty() ? "" : " and ")
         << "predicted time <= " << hw::readable_time(budget.max_predicted_ms);
  return text.str().empty() ? "no limit" : text.str();
}

void add_question(Json& result, const learners::PowerBudget& budget, const learners::Objective& objective) {
  if (budget.limits_power()) result["max_power_w"] = budget.max_power_w;
  if (budget.limits_time() || std::isfinite(budget.max_predicted_ms))
    result["max_time_ms"] = std::min(budget.max_time_ms, budget.max_predicted_ms);
  if (budget.limits_energy()) result["max_energy_j"] = budget.max_energy_j;
  if (objective.eta < 1) {
    result["eta"] = objective.eta;
    add_known(result, "zeus_max_power_w", objective.max_power_w);
  }
}

}  // namespace fewwatt::optimize
