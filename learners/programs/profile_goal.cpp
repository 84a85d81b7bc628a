#include "learners/programs/profile_goal.hpp"

#include <cmath>
#include <ostream>
#include <string>
#include <tuple>

#include "hw/readable.hpp"
#include "learners/programs/shared_options.hpp"

namespace fewwatt::profile {
namespace {

using Json = nlohmann::ordered_json;

// "; power 6.3 % below the 30 W allowed", and whether it was measured
std::string margins(const learners::PowerBudget& limits, const learners::Answer& answer) {
  constexpr int kGivenDigits = 6, kMarginDigits = 2;
  std::string text;
  for (const auto& [name, value, limit, unit] :
       {std::tuple("time", answer.time_ms, limits.max_time_ms, "ms"),
        {"power", answer.power_w, limits.max_power_w, "W"},
        {"energy", answer.time_ms * answer.power_w / 1000, limits.max_energy_j, "J"}})
    if (std::isfinite(limit))
      text += std::string("; ") + name + ' ' +
              hw::readable_number(100 * std::abs(1 - value / limit), kMarginDigits) +
              (value > limit ? " % above the " : " % below the ") + hw::readable_number(limit, kGivenDigits) +
              ' ' + unit + " allowed";
  return text;
}

// "12 cores, CPU 1190.4 MHz: 77 ms a step, 28.1 W; power 6.3 % below the 30 W allowed; predicted, not measured"
std::string in_words(const hw::PowerModeSpace& space, const learners::PowerBudget& limits,
                     const learners::Answer& answer, const std::string& unit) {
  return hw::readable_mode(space, answer.mode) + ": " + hw::readable_time(answer.time_ms) + ' ' + unit +
         ", " + hw::readable_power(answer.power_w) + margins(limits, answer) +
         (answer.measured ? "" : "; predicted, not measured");
}

}  // namespace

void print(std::ostream& out, const hw::PowerModeSpace& space, const learners::Goal& goal,
           const Reached& reached, const std::string& unit) {
  if (!reached.answer) {
    out << "no measured mode is within the limits with probability "
        << hw::readable_number(goal.limits.confidence);
    if (reached.nearest) out << "; nearest: " << in_words(space, goal.limits, *reached.nearest, unit);
    out << '\n';
    return;
  }
  out << "best: " << in_words(space, goal.limits, *reached.answer, unit) << '\n';
  if (program::can_be_set(space))
    out << "`fewwatt device apply --mode " << hw::settings_text(space, reached.answer->mode) << "` sets it\n";
  constexpr double kLittle = 0.1;  // %
  if (const double gain = 100 * reached.expected_gain; std::isfinite(gain)) {
    out << "measuring " << kMore << " more modes is expected to gain ";
    if (gain < kLittle)
      out << "less than " << hw::readable_number(kLittle) << " %\n";
    else
      out << hw::readable_number(gain, 2) << " %\n";
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
