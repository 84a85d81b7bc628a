#include "learners/programs/profile_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "datasets/merge.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/readable.hpp"
#include "learners/programs/shown_run.hpp"
#include "learners/registry.hpp"
#include "learners/samplers/sampler.hpp"
#include "tasks/collect.hpp"

namespace fewwatt::profile {
namespace {

using datasets::RunRecord;
using Learner = std::shared_ptr<const learners::Learner>;

constexpr int kFoldEvery = 25;          // modes between writes of the profile; the log gets each mode at once
constexpr std::size_t kTellEvery = 10;  // modes between lines of progress, where stderr is no terminal

RunRecord record_of(const hw::PowerMode& mode, const hw::Attempt& attempt) {
  RunRecord record;
  record.mode = mode;
  record.status = attempt.status;
  record.detail = attempt.detail;
  record.measured = attempt.measured;
  record.time_std_ms = attempt.time_std_ms;
  record.power_std_w = attempt.power_std_w;
  record.power_samples = attempt.power_samples;
  record.took_s = attempt.took_s;
  return record;
}

void add_step(program::LivePage& live, const RunRecord& record) {
  if (!live) return;
  auto step = view::run_step(record);
  step["mode"] = record.mode;
  live.add(hw::json_text(step));
}

// Measures one mode, and tries again where that may help.
bool measure(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const hw::PowerMode& mode,
             const Options& options, program::LivePage& live, Outcome& outcome) {
  std::string last;
  for (std::size_t attempt = 0; attempt <= options.retries.value; ++attempt) {
    const auto done = bench.attempt(mode);
    if (done.status == hw::AttemptStatus::interrupted) {
      outcome.interrupted = true;
      return false;
    }
    log.append(record_of(mode, done));
    add_step(live, log.records().records.back());
    if (done.status == hw::AttemptStatus::ok) {
      ++outcome.measured;
      return true;
    }
    ++outcome.rejected_attempts;
    last = std::string(hw::to_string(done.status)) + ": " + done.detail;
    if (!options.common.quiet)
      std::cerr << hw::readable_mode(bench.space(), mode) << " rejected, " << last << '\n';
    const bool in_vain =
        done.status == hw::AttemptStatus::program_died || done.status == hw::AttemptStatus::no_steps;
    if (in_vain && !options.go_on) {
      outcome.stopped = last;
      return false;
    }
  }
  outcome.given_up.emplace_back(mode, last);
  if (!options.go_on) outcome.stopped = last;
  return false;
}

// The search, where there is a goal; else nullptr.
std::unique_ptr<learners::Search> search_of(const Options& options, Learner learner,
                                            std::shared_ptr<const hw::PowerModeSpace> space,
                                            std::size_t wanted) {
  if (options.goal.empty()) return nullptr;
  auto so = options.searching;
  const auto& search = chosen_search(options);
  so.planned = search.predicts_answer ? wanted - 1 : wanted;  // what is predicted to be best is measured too
  so.seed = options.common.seed;
  so.stop_gain = options.stop_gain;
  so.characteristics = tasks::characteristics_of(options.attributes);
  return learners::make_search(search.name, std::move(space), std::move(learner), options.aim, so,
                               options.registry);
}

// Asks for the modes of --mode.
class GivenModes final : public tasks::ModeSampler {
 public:
  explicit GivenModes(std::vector<hw::PowerMode> modes) : modes_(std::move(modes)) {}

  std::optional<hw::PowerMode> ask() override {
    if (asked_ == modes_.size()) return std::nullopt;
    return modes_[asked_++];
  }
  void tell(const hw::PowerMode&, const hw::Measurement&) override {}

 private:
  std::vector<hw::PowerMode> modes_;
  std::size_t asked_ = 0;
};

std::unique_ptr<tasks::ModeSampler> sampler_of(const Options& options, Learner learner,
                                               std::shared_ptr<const hw::PowerModeSpace> space,
                                               std::size_t wanted) {
  if (!options.given.empty()) return std::make_unique<GivenModes>(given_modes(options, *space));
  learners::SamplerOptions so;
  so.planned = wanted;
  so.seed = options.common.seed;
  so.characteristics = tasks::characteristics_of(options.attributes);
  so.cost.units = static_cast<double>(options.measuring.profiler.minibatches);
  return learners::make_sampler(options.sampler, std::move(space), std::move(learner), so);
}

// What the log has of each mode, the last of several.
std::map<hw::PowerMode, hw::Measurement> known_of(const datasets::RunLog& log) {
  std::map<hw::PowerMode, hw::Measurement> known;
  for (const auto& record : log.records().records)
    if (record.status == hw::AttemptStatus::ok) known[record.mode] = record.measured;
  return known;
}

// Measures the modes that a sampler asks for, one after the other, until there are enough or something ends it.
class Run {
 public:
  Run(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const Options& options, Learner learner,
      program::LivePage& live)
      : bench_(bench),
        log_(log),
        options_(options),
        learner_(std::move(learner)),
        live_(live),
        start_s_(time_.now_s()) {}

  Outcome operator()() {
    const auto space = std::make_shared<const hw::PowerModeSpace>(bench_.space());
    outcome_.wanted = std::min<std::size_t>(options_.modes.value, space->size());
    const auto search = search_of(options_, learner_, space, outcome_.wanted);
    const auto own = search ? nullptr : sampler_of(options_, learner_, space, outcome_.wanted);
    tasks::ModeSampler& sampler = search ? *search : *own;
    known_ = known_of(log_);
    for (const auto& record : log_.records().records)
      if (record.status == hw::AttemptStatus::ok) sampler.tell(record.mode, record.measured);
    // Samplers that learn go on from what they are told; the others ask for the same modes again.
    goes_on_ = search != nullptr || learners::builtin().samplers.find(options_.sampler).needs_learner;
    tells_each_ = search != nullptr || isatty(STDERR_FILENO) != 0;
    if (goes_on_) asked_ = outcome_.before = std::min(known_.size(), outcome_.wanted);
    tasks::collect(sampler, outcome_.wanted - asked_, [&](const auto& mode) { return next(mode); });
    outcome_.interrupted = outcome_.interrupted || program::told_to_stop();
    if (search) reach(*search);
    return std::move(outcome_);
  }

 private:
  bool in_time() { return options_.max_s == 0 || time_.now_s() - start_s_ < options_.max_s; }

  // nullopt: to end. A mode that could not be measured counts as spoiled.
  std::optional<hw::Measurement> next(const hw::PowerMode& mode) {
    if (program::told_to_stop() || !outcome_.stopped.empty()) return std::nullopt;
    if (!in_time()) {
      outcome_.out_of_time = true;
      return std::nullopt;
    }
    ++asked_;
    if (const auto before = known_.find(mode); !goes_on_ && before != known_.end()) {
      ++outcome_.before;
      return before->second;
    }
    hw::Measurement result;
    if (measure(bench_, log_, mode, options_, live_, outcome_)) {
      result = log_.records().records.back().measured;
      tell(mode, result);
    } else {
      result.throttled = true;
    }
    if (outcome_.measured % kFoldEvery == 0 && outcome_.measured > 0)
      datasets::fold(log_.records(), options_.out);
    return result;
  }

  void tell(const hw::PowerMode& mode, const hw::Measurement& row) {
    ++tried_;
    if (options_.common.quiet || (!tells_each_ && tried_ % kTellEvery != 0)) return;
    const double each_s = (time_.now_s() - start_s_) / static_cast<double>(tried_);
    std::cerr << asked_ << '/' << outcome_.wanted << "  " << hw::readable_mode(bench_.space(), mode) << ": "
              << hw::readable_measurement(row) << ", "
              << hw::readable_time(1000 * each_s * static_cast<double>(outcome_.wanted - asked_))
              << " left   " << (isatty(STDERR_FILENO) != 0 ? '\r' : '\n');
  }

  // The search's answer, measured where it is not and there is time.
  void reach(learners::Search& search) {
    outcome_.reached = Reached{search.answer(), search.nearest(), std::nan("")};
    auto& answer = outcome_.reached->answer;
    if (answer && !answer->measured && !outcome_.interrupted && outcome_.stopped.empty() && in_time() &&
        measure(bench_, log_, answer->mode, options_, live_, outcome_)) {
      const auto& row = log_.records().records.back().measured;
      search.tell(answer->mode, row);
      answer->time_ms = row.time_ms;
      answer->power_w = row.power_w;
      answer->measured = true;
    }
    if (answer) outcome_.reached->expected_gain = search.expected_gain(kMore);
  }

  datasets::MeasuredWorkload& bench_;
  datasets::RunLog& log_;
  const Options& options_;
  Learner learner_;
  program::LivePage& live_;
  hw::SystemMonotonic time_;
  double start_s_;
  Outcome outcome_;
  std::map<hw::PowerMode, hw::Measurement> known_;  // in the log before
  bool goes_on_ = false, tells_each_ = false;
  std::size_t asked_ = 0, tried_ = 0;
};

}  // namespace

Outcome measure_modes(datasets::MeasuredWorkload& bench, datasets::RunLog& log, const Options& options,
                      Learner learner, program::LivePage& live) {
  return Run(bench, log, options, std::move(learner), live)();
}

void show_run(program::LivePage& live, const datasets::RunLog& log) {
  if (!live) return;
  const auto& run = log.records();
  auto part = view::run_part(run.header);
  part["knobs"] = view::knobs_json(run.header.space->knobs());
  live.show({"run", view::run_title(run.header), hw::printable(run.path), std::move(part)});
  for (const auto& record : run.records) add_step(live, record);
}

}  // namespace fewwatt::profile
