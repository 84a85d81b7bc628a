#include "learners/programs/optimize_modes.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <utility>

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

std::string number(const Json& value) {
  std::ostringstream text;
  if (value.is_number_float()) {
    text << std::setprecision(5) << value.get<double>();
  } else {
    text << value;
  }
  return text.str();
}

void print_mode(const Json& chosen, const std::string& unit) {
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << "  " << std::left << std::setw(18) << name << value << '\n';
  };
  for (const auto& [name, value] : chosen["mode"].items()) line(name, number(value));
  for (const auto& [name, value] : chosen.items()) {
    if (!value.is_number()) continue;
    line(name, number(value) + (name == "time_ms" ? " per " + unit : ""));
  }
  if (chosen.contains("each_time_ms"))
    line("each_time_ms", number(chosen["each_time_ms"][0]) + ", " + number(chosen["each_time_ms"][1]));
  std::string measured;
  for (const auto& [name, value] : chosen["measured"].items())
    if (value.is_number()) measured += (measured.empty() ? "" : ", ") + name + " " + number(value);
  if (chosen["measured"].contains("left_out"))
    for (const auto& name : chosen["measured"]["left_out"])
      measured += "; the learner left out " + name.get<std::string>();
  line("measured", measured.empty() ? "no" : measured);
}

std::string summary(const Json& mode) {
  std::string text;
  for (const auto& [name, value] : mode["mode"].items())
    text += (text.empty() ? "" : " ") + name + "=" + number(value);
  const char* separator = ": ";
  for (const char* name :
       {"time_ms", "power_w", "energy_j", "power_probability", "time_probability", "energy_probability"}) {
    if (mode.contains(name))
      text += std::exchange(separator, ", ") + std::string(name) + " " + number(mode[name]);
  }
  return text;
}

void print_front(const Json& front) {
  const auto width = [](const std::string& name) {
    return std::setw(std::max(13, static_cast<int>(name.size()) + 2));
  };
  for (const auto& [name, value] : front[0]["mode"].items()) std::cout << width(name) << name;
  for (const auto& [name, value] : front[0].items()) {
    if (value.is_number()) std::cout << width(name) << name;
  }
  std::cout << "  measured\n";
  for (const auto& row : front) {
    for (const auto& [name, value] : row["mode"].items()) std::cout << width(name) << number(value);
    for (const auto& [name, value] : row.items()) {
      if (value.is_number()) std::cout << width(name) << number(value);
    }
    std::cout << "  " << (row["measured"].is_null() ? "no" : "yes") << '\n';
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
  add("predicted time", budget.max_predicted_ms, "ms");
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
