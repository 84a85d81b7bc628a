#include "benchmarks/controllers/score.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "benchmarks/controllers/course.hpp"
#include "benchmarks/runner/contestants.hpp"

namespace fewwatt::benchmarks {
namespace {

bool is_over(const hw::Measurement& truth, double budget_w) {
  return !(truth.power_w <= budget_w * (1 + kControlMargin));  // also where it is not known
}

// Another controller, and a clock that runs while it works.
class Timed final : public learners::Controller {
 private:
  template <class Work>
  auto timed(const Work& work) {
    const auto start = Clock::now();
    auto result = work();
    seconds_ += seconds_since(start);
    return result;
  }

 public:
  explicit Timed(learners::Controller& controller) : controller_(controller) {}
  std::optional<hw::PowerMode> next(const learners::Context& context) override {
    return timed([&] { return controller_.next(context); });
  }
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override {
    timed([&] {
      controller_.tell(mode, measurement);
      return 0;
    });
  }
  std::optional<learners::Answer> answer() override {
    return timed([&] { return controller_.answer(); });
  }
  double seconds() const { return seconds_; }

 private:
  learners::Controller& controller_;
  double seconds_ = 0;
};

// Adds up an episode.
class Scorer {
 public:
  Scorer(const tasks::World& world, const tasks::ModeMdpOptions& options)
      : world_(world), options_(options), lowest_(world.space()->lowest()), fastest_(world) {
    // find: the lowest mode counts as known, whether it is measured or not.
    first_ = best_ = worth(world.truth(lowest_).value(), world.budget_w(), false);
  }

  void step(const learners::Visit& visit) {
    const auto truth = world_.truth(visit.mode).value();
    const bool moved = last_ && *last_ != visit.mode;
    last_ = visit.mode;
    score_.visits.push_back({visit.mode, truth, visit.budget_w});
    const bool over = is_over(truth, visit.budget_w);
    over_now_ = over ? over_now_ + 1 : 0;
    score_.over += over ? 1 : 0;
    score_.longest_over = std::max(score_.longest_over, over_now_);
    score_.over_watt_steps += std::max(0.0, truth.power_w - visit.budget_w);
    const double r = worth(truth, visit.budget_w, moved);
    if (options_.task == tasks::ModeTask::find) {
      best_ = std::max(best_, r);
      return;
    }
    sum_ += r;
    const auto& fastest = fastest_();
    const bool known = fastest && truth.time_ms > 0;
    const double rate = known ? std::min(1.0, fastest->truth.time_ms / truth.time_ms) : 0.0;
    score_.work += rate * (moved ? 1 - options_.switch_share : 1.0);
  }

  ControlScore finish(const std::optional<learners::Answer>& answer, double seconds) {
    score_.seconds = seconds;
    if (options_.task == tasks::ModeTask::run) {
      score_.reward = sum_;
      return std::move(score_);
    }
    score_.reward = best_ - first_;
    const auto& fastest = fastest_();
    if (fastest) score_.regret = std::numeric_limits<double>::infinity();
    if (!answer) return std::move(score_);
    score_.answer = answer->mode;
    const auto truth = world_.truth(answer->mode).value();
    if (fastest && !is_over(truth, world_.budget_w()))
      score_.regret = std::max(0.0, truth.time_ms / fastest->truth.time_ms - 1);
    return std::move(score_);
  }

 private:
  // r of a step, without noise.
  double worth(const hw::Measurement& truth, double budget_w, bool moved) const {
    const double reference_ms = world_.truth(lowest_).value().time_ms;
    return tasks::mode_worth(options_, truth, budget_w, reference_ms, moved);
  }

  const tasks::World& world_;
  const tasks::ModeMdpOptions& options_;
  hw::PowerMode lowest_;
  FastestNow fastest_;
  std::optional<hw::PowerMode> last_;
  std::size_t over_now_ = 0;
  double first_ = 0, best_ = 0, sum_ = 0;
  ControlScore score_;
};

}  // namespace

ControlScore score_controller(learners::Controller& controller, tasks::World& world,
                              const tasks::ModeMdpOptions& options) {
  Timed timed(controller);
  Scorer scorer(world, options);
  learners::run_controller(timed, world, options.measurements,
                           [&](const learners::Visit& visit) { scorer.step(visit); });
  const auto answer =
      options.task == tasks::ModeTask::find ? timed.answer() : std::optional<learners::Answer>();
  return scorer.finish(answer, timed.seconds());
}

}  // namespace fewwatt::benchmarks
