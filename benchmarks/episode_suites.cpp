#include "benchmarks/episode_suites.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "hw/jobs.hpp"
#include "hw/json_text.hpp"

namespace fewwatt::benchmarks {
namespace {

constexpr std::size_t kParts = 100;  // of a job, for progress

}  // namespace

MeanError mean_error(std::span<const double> errors) {
  const auto n = static_cast<double>(errors.size());
  const double mean = std::accumulate(errors.begin(), errors.end(), 0.0) / n;
  double squares = 0;
  for (const double error : errors) squares += (error - mean) * (error - mean);
  return {mean, std::isfinite(mean) ? 1.96 * std::sqrt(squares / (n - 1) / n) : mean};
}

std::string figure(const char* format, double value) {
  if (std::isinf(value)) return "∞";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string csv_figure(double value) {
  return std::isinf(value) ? "inf" : figure("%.6g", value);
}

std::string counted(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string to_jsonl(const EpisodeFigure& row, std::optional<std::size_t> steps,
                     const Provenance& provenance) {
  auto options = nlohmann::ordered_json::parse(provenance.options_json);
  if (steps) options["steps"] = *steps;
  nlohmann::ordered_json line{{"suite", row.suite},
                              {"device", "none"},
                              {"workload", row.workload},
                              {"learner", row.learner},
                              {"sampler", "random"},
                              {"shots", row.shots},
                              {"seed", 0},
                              {"metric", row.metric}};
  if (std::isinf(row.value))
    line["value"] = "inf";
  else
    line["value"] = row.value;
  line["unit"] = row.unit;
  line["seconds"] = row.seconds;
  line["options"] = std::move(options);
  line["git"] = provenance.git;
  line["host"] = provenance.host;
  line["cpu"] = provenance.cpu;
  return hw::json_text(line) + '\n';
}

void JobReport::done(double share) {
  const auto now = static_cast<std::size_t>(share * kParts);
  if (now == parts_) return;
  const std::lock_guard lock(run_.mutex);
  for (; parts_ < now; ++parts_)
    if (++run_.done; run_.progress.jobs) run_.progress.jobs(run_.done, run_.jobs * kParts);
}

void JobReport::log(const std::string& line) {
  if (!run_.progress.log) return;
  const std::lock_guard lock(run_.mutex);
  run_.progress.log(line);
}

void run_reporting(std::size_t n, const RunOptions& options, const Progress& progress,
                   const std::function<void(std::size_t, JobReport&)>& job) {
  const auto threads =
      options.threads > 0 ? options.threads : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  JobReport::Run run{progress, n};
  hw::run_jobs(n, threads, [&](std::size_t i) {
    JobReport report(run);
    job(i, report);
  });
}

}  // namespace fewwatt::benchmarks
