#include "meta/programs/training_progress.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "hw/json_text.hpp"
#include "hw/numbers.hpp"

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

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

JsonLog::JsonLog(const std::string& path) {
  if (!path.empty())
    file_.emplace(path, datasets::text_file("a log of training",
                                            [](std::string_view start) { return start.starts_with("{"); }));
}

void JsonLog::add(const meta::RunProgress& now, double seconds) {
  if (!file_) return;
  json line{{"phase", now.phase},
            {"step", now.progress.step},
            {"loss", now.progress.loss},
            {"done", now.done},
            {"seconds", seconds}};
  if (!std::isnan(now.progress.validation_error)) line["validation_error"] = now.progress.validation_error;
  if (now.agent) add_agent(line, *now.agent);
  file_->add(hw::json_text(line));
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
  constexpr int kWidth = 24;
  const int full = static_cast<int>(now.done * kWidth);
  char text[160];
  std::snprintf(text, sizeof text, "[%.*s%.*s] %3.0f %%  %s, %s %d  loss %.4f", full,
                "########################", kWidth - full, "........................", 100 * now.done,
                phase_.c_str(), now.agent ? "update" : "step", now.progress.step, now.progress.loss);
  std::string line = text;
  const auto append = [&](const char* format, double value) {
    if (!std::isnan(value)) line += formatted(format, value);
  };
  double left = seconds * (1 - now.done) / std::max(now.done, 1e-9);
  if (now.agent) {
    append("  return %.3f", now.agent->training.mean_return);
    append("  validation %.3f", validation_);
    append("  regret %.1f %%", regret_);
    append("  %.0f steps/s", now.agent->training.steps_per_second);
    left = now.agent->training.seconds_left;
  } else {
    append("  validation %.2f %%", validation_);
  }
  append("  %.0f s left", left);
  std::cerr << '\r' << line << "\033[K" << std::flush;
  on_line_ = true;
}

void Bar::clear() {
  if (on_line_) std::cerr << "\r\033[K";
  on_line_ = false;
}

}  // namespace fewwatt::meta_train
