#include "meta/programs/training_progress.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "hw/json_text.hpp"
#include "hw/numbers.hpp"
#include "hw/readable.hpp"

namespace fewwatt::meta_train {
namespace {

using nlohmann::json;

// The text "inf" or "-inf" for infinity, which JSON has no number for.
json number_of(double value) {
  return std::isinf(value) ? json(hw::number_text(value)) : json(value);
}

void add_agent(json& line, const meta::AgentRunProgress& agent) {
  const auto& now = agent.training;
  line["environment_steps"] = now.steps;
  line["episodes"] = now.episodes;
  line["steps_per_second"] = now.steps_per_second;
  line["seconds_left"] = now.seconds_left;
  if (!std::isnan(now.mean_return)) line["mean_return"] = number_of(now.mean_return);
  if (!std::isnan(now.validation_return)) line["validation_return"] = number_of(now.validation_return);
  if (!std::isnan(agent.regret)) line["regret"] = number_of(agent.regret);
}

std::string line_of(const meta::RunProgress& now, double seconds) {
  json line{{"phase", now.phase},
            {"step", now.progress.step},
            {"loss", now.progress.loss},
            {"done", now.done},
            {"seconds", seconds}};
  if (!std::isnan(now.progress.validation_error)) line["validation_error"] = now.progress.validation_error;
  if (now.agent) add_agent(line, *now.agent);
  return hw::json_text(line);
}

}  // namespace

JsonLog::JsonLog(const std::string& path) {
  if (!path.empty())
    file_.emplace(path, datasets::text_file("a log of training",
                                            [](std::string_view start) { return start.starts_with("{"); }));
}

void JsonLog::add(const meta::RunProgress& now, double seconds) {
  if (file_) file_->add(line_of(now, seconds));
}

void LiveTraining::show(const std::string& learner, std::size_t profiles) {
  page_.show({"training", learner, "fewwatt meta-train", {{"learner", learner}, {"profiles", profiles}}});
}

void LiveTraining::add(const meta::RunProgress& now, double seconds) {
  constexpr double kBetween = 0.2;  // s: some learners make thousands of steps a second
  const bool validates = !std::isnan(now.progress.validation_error) ||
                         (now.agent && !std::isnan(now.agent->training.validation_return));
  if (!page_ || (!validates && now.phase == phase_ && now.done < 1 && seconds - told_ < kBetween)) return;
  phase_ = now.phase;
  told_ = seconds;
  page_.add(line_of(now, seconds));
}

void Bar::keep_validation(const meta::RunProgress& now) {
  const double found = now.agent ? now.agent->training.validation_return : now.progress.validation_error;
  if (std::isnan(found) && now.phase == phase_) return;
  phase_ = now.phase;
  validation_ = found;
  regret_ = now.agent ? now.agent->regret : std::nan("");
}

void Bar::draw(const meta::RunProgress& now, double seconds) {
  keep_validation(now);
  if (!shown_ || (seconds - drawn_ < 0.1 && now.done < 1)) return;
  drawn_ = seconds;
  constexpr std::size_t kWidth = 24;
  const auto full = std::min(kWidth, static_cast<std::size_t>(now.done * kWidth));
  std::string line = '[' + std::string(full, '#') + std::string(kWidth - full, '.') + "] " +
                     std::to_string(static_cast<int>(100 * now.done)) + " %  " + phase_ + ", " +
                     (now.agent ? "update " : "step ") + std::to_string(now.progress.step) + "  loss " +
                     hw::readable_number(now.progress.loss);
  const auto append = [&](const char* name, double value, const char* unit) {
    if (!std::isnan(value)) line += std::string("  ") + name + ' ' + hw::readable_number(value) + unit;
  };
  double left = seconds * (1 - now.done) / std::max(now.done, 1e-9);
  if (now.agent) {
    const auto& training = now.agent->training;
    append("return", training.mean_return, "");
    append("validation", validation_, "");
    append("regret", regret_, " %");
    if (!std::isnan(training.steps_per_second))
      line += "  " + hw::readable_number(training.steps_per_second) + " steps/s";
    left = training.seconds_left;
  } else {
    append("validation", validation_, " %");
  }
  if (!std::isnan(left)) line += "  " + hw::readable_time(1000 * left) + " left";
  std::cerr << '\r' << line << "\033[K" << std::flush;
  on_line_ = true;
}

void Bar::clear() {
  if (on_line_) std::cerr << "\r\033[K";
  on_line_ = false;
}

}  // namespace fewwatt::meta_train
