#include "learners/programs/profile_goal.hpp"

#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string>
#include <tuple>

namespace fewwatt::profile {
namespace {

using Json = nlohmann::ordered_json;

// "power 28.1 W, 6.3 % below the 30 W allowed"
std::string margins(const learners::PowerBudget& limits, const learners::Answer& answer) {
  std::ostringstream text;
  text << std::setprecision(4);
  for (const auto& [name, value, limit, unit] :
       {std::tuple("time", answer.time_ms, limits.max_time_ms, "ms"),
        {"power", answer.power_w, limits.max_power_w, "W"},
        {"energy", answer.time_ms * answer.power_w / 1000, limits.max_energy_j, "J"}})
    if (std::isfinite(limit))
      text << "; " << name << ' ' << std::setprecision(2) << 100 * std::abs(1 - value / limit)
           << (value > limit ? " % above the " : " % below the ") << std::setprecision(4) << limit << ' '
           << unit << " allowed";
  if (!answer.measured) text << "; predicted, not measured";
  return text.str();
}

}  // namespace

void print(std::ostream& out, const hw::PowerModeSpace& space, const learners::Goal& goal,
           const Reached& reached) {
  if (!reached.answer) {
    out << "no measured mode is within the limits with probability " << goal.limits.confidence;
    if (const auto& nearest = reached.nearest)
      out << "; nearest: " << std::setprecision(4) << hw::describe(space, nearest->mode) << ": "
          << nearest->time_ms << " ms, " << nearest->power_w << " W" << margins(goal.limits, *nearest);
    out << '\n';
    return;
  }
  const auto& answer = *reached.answer;
  out << std::setprecision(4) << "best: " << hw::describe(space, answer.mode) << ": " << answer.time_ms
      << " ms, " << answer.power_w << " W" << margins(goal.limits, answer) << '\n';
  constexpr double kLittle = 0.1;  // %
  if (const double gain = 100 * reached.expected_gain; std::isfinite(gain)) {
    out << "measuring " << kMore << " more modes is expected to gain ";
    if (gain < kLittle)
      out << "less than " << kLittle << " %\n";
    else
      out << std::setprecision(2) << gain << " %\n";
  }
}

Json to_json(const hw::PowerModeSpace& space, const learners::Goal& goal, const Reached& reached) {
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  const auto add = [&](Json& to, const learners::Answer& answer) {
    for (std::size_t k = 0; k < answer.mode.size(); ++k)
      to["mode"][std::string(hw::to_string(space.knobs()[k].role))] = answer.mode[k];
    to["measured"] = answer.measured;
    to["time_ms"] = number(answer.time_ms);
    to["power_w"] = number(answer.power_w);
    if (goal.limits.limits_power()) to["power_margin"] = number(1 - answer.power_w / goal.limits.max_power_w);
  };
  Json json{{"fits", reached.answer.has_value()}};
  if (reached.answer)
    add(json, *reached.answer);
  else if (reached.nearest)
    add(json["nearest"], *reached.nearest);
  json["more"] = kMore;
  json["expected_gain"] = number(reached.expected_gain);
  return json;
}

}  // namespace fewwatt::profile
