#include "learners/optimize/search.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "learners/optimize/measured_search.hpp"
#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;
using Aims = SearchEntry::Aims;
using tasks::kPowerW;
using tasks::kTimeMs;

class RandomSearch : public MeasuredSearch {
 public:
  RandomSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner>, Goal goal,
               SearchOptions options)
      : MeasuredSearch(std::move(space), std::move(goal), std::move(options)),
        sampler_(tasks::make_sampler("random", *space_, options_.planned, options_.seed)) {}

 protected:
  std::optional<hw::PowerMode> next() override {
    auto mode = sampler_->ask();
    while (mode && was_asked(*mode)) mode = sampler_->ask();
    return mode;
  }

 private:
  std::unique_ptr<tasks::ModeSampler> sampler_;
};

// Answers with the mode that is predicted to be best, whether it was measured or not.
class PredictSearch final : public RandomSearch {
 public:
  PredictSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
                Goal goal, SearchOptions options)
      : RandomSearch(std::move(space), nullptr, std::move(goal), std::move(options)),
        learner_(std::move(learner)) {}

  std::optional<Answer> answer() override {
    if (measured_.empty()) return std::nullopt;
    const auto modes = space_->modes();
    if (predicted_of_ != num_asked_) {
      const auto predictor = learner_->adapt(support());
      predicted_ = predictor->predict(modes);
      doubted_ = predictor->doubted();
      predicted_of_ = num_asked_;
    }
    const auto rows = support();
    std::vector<std::size_t> at;
    for (const auto& mode : rows.modes) at.push_back(space_->index_of(mode).value());
    const auto prediction = with_measurements(predicted_, rows, at, doubted_);
    if (!predicts_enough(prediction)) return std::nullopt;
    const auto row = choose(prediction, goal_.objective, goal_.limits);
    if (!row) return std::nullopt;
    const auto& mode = modes[*row];
    const double time = prediction.median(static_cast<Index>(*row), kTimeMs),
                 power = prediction.median(static_cast<Index>(*row), kPowerW);
    return Answer{mode, time, power, std::exp(log_objective(goal_.objective, time, power)),
                  measured_.contains(mode)};
  }

 private:
  // Nothing is predicted of a time or a power that no measurement had.
  bool predicts_enough(const Prediction& prediction) const {
    const auto& [objective, limits] = goal_;
    const bool time = objective.needs_time() || limits.limits_time() || limits.limits_energy(),
               power = objective.needs_power() || limits.limits_power() || limits.limits_energy();
    return (!time || prediction.predicts(kTimeMs)) && (!power || prediction.predicts(kPowerW));
  }

  std::shared_ptr<const Learner> learner_;
  Prediction predicted_;
  std::vector<Doubted> doubted_;
  std::size_t predicted_of_ = 0;  // number of measurements that predicted_ is of
};

}  // namespace

std::size_t SearchOptions::start() const {
  return designed > 0 ? designed : std::clamp<std::size_t>(2 * planned / 3, 1, 10);
}

void SearchOptions::each(OptionVisitor& on) {
  constexpr std::int64_t kMost = 1'000'000;
  on.whole("designed", designed, 0, kMost, "measurements of the start; 0: two thirds, at most 10");
  on.whole("pool", pool, 1, kMost, "modes that are looked at closely");
  on.whole("all_at_once", all_at_once, 1, kMost, "modes of a space that is predicted in full each time");
  on.whole("look_around_every", look_around_every, 1, kMost, "measurements after which a larger one is");
  on.real("promise", promise, 1, 100,
          "how much wider errors may be than predicted, for a mode to stay in the pool");
  on.whole("last_chances", last_chances, 0, kMost,
           "measurements left from which on a search without an answer wants one");
  on.real("sure", sure, 0.5, 0.999999, "probability to fit that is enough then");
  on.whole("most_of_a_mode", most_of_a_mode, 1, 1000, "measurements of one mode, at most");
  on.whole("gain_draws", gain_draws, 1, kMost,
           "draws of the posterior for what more measurements would gain");
  on.real("safe", safe, 1e-6, 0.999999, "safe: probability to keep the limits of what is measured");
  on.real("small_gain", small_gain, 0, 10, "safe: promised gain below which it widens what it knows");
  on.real("repeat_error", repeat_error, 1e-6, 10, "standard deviation of the log of a repeated measurement");
  on.real("price_of_breaking", price_of_breaking, 0, 1e3,
          "what breaking a limit costs, in logs of the objective");
}

std::string SearchOptions::error() const {
  if (planned == 0) return "SearchOptions: planned must be > 0";
  if (pool == 0 || all_at_once == 0 || look_around_every == 0 || most_of_a_mode < 1 || gain_draws < 1)
    return "SearchOptions: pool, all_at_once, look_around_every, most_of_a_mode and gain_draws must be > 0";
  if (!(promise >= 1) || !std::isfinite(promise))
    return "SearchOptions: promise must be >= 1, got " + std::to_string(promise);
  if (!(sure > 0 && sure < 1)) return "SearchOptions: sure must be in (0, 1), got " + std::to_string(sure);
  if (!(small_gain >= 0) || !std::isfinite(small_gain))
    return "SearchOptions: small_gain must be >= 0, got " + std::to_string(small_gain);
  if (!(repeat_error > 0) || !std::isfinite(repeat_error))
    return "SearchOptions: repeat_error must be > 0, got " + std::to_string(repeat_error);
  if (!(price_of_breaking >= 0) || !std::isfinite(price_of_breaking))
    return "SearchOptions: price_of_breaking must be >= 0, got " + std::to_string(price_of_breaking);
  if (!(safe > 0 && safe < 1)) return "SearchOptions: safe must be in (0, 1), got " + std::to_string(safe);
  if (!(stop_gain >= 0 && stop_gain < 1))
    return "SearchOptions: stop_gain must be in [0, 1), got " + std::to_string(stop_gain);
  return "";
}

std::size_t SearchEntry::without_goal(const SearchOptions& options) const {
  switch (aims) {
    case Aims::at_once:
      return 0;
    case Aims::after_start:
      return std::min(options.start(), options.planned);
    case Aims::at_the_end:
      return options.planned;
  }
  return 0;
}

std::vector<SearchEntry> builtin_searches() {
  using Names = std::vector<std::string>;
  const Names with_model = {"designed", "pool",       "all_at_once",  "look_around_every",
                            "promise",  "gain_draws", "repeat_error", "price_of_breaking"};
  const auto and_also = [&](const Names& more) {
    auto all = with_model;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Names of_improvement = and_also({"last_chances", "sure", "most_of_a_mode"});
  return {
      {.name = "designed-ei",
       .about = "constrained expected improvement after a designed start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .goes_by = of_improvement,
       .make = improvement_search("alc-front")},
      {.name = "ei",
       .about = "the same after a random start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .goes_by = of_improvement,
       .make = improvement_search("random")},
      {.name = "thompson",
       .about = "the best mode of a draw from the posterior, after a designed start",
       .needs_learner = true,
       .aims = Aims::after_start,
       .knows_gain = true,
       .goes_by = with_model,
       .make = thompson_search("alc-front")},
      {.name = "safe",
       .about = "only modes that are likely to keep the limits, from the lowest setting on",
       .needs_learner = true,
       .knows_gain = true,
       .goes_by = and_also({"safe", "small_gain"}),
       .make = safe_search("random")},
      {.name = "bisection",
       .about = "halves ranges of knobs by throughput per watt",
       .make = bisection_search()},
      {.name = "predict",
       .about = "random modes, then what is predicted to be best",
       .needs_learner = true,
       .aims = Aims::at_the_end,
       .predicts_answer = true,
       .make = maker<PredictSearch>()},
      {.name = "random", .about = "random modes", .aims = Aims::at_the_end, .make = maker<RandomSearch>()}};
}

std::unique_ptr<Search> make_search(std::string_view name, std::shared_ptr<const hw::PowerModeSpace> space,
                                    std::shared_ptr<const Learner> learner, const Goal& goal,
                                    const SearchOptions& options, const Registry& registry) {
  const auto& entry = registry.searches.find(name);
  for (const auto& error : {goal.error(), options.error()})
    if (!error.empty()) throw std::invalid_argument(error);
  if (entry.needs_learner && !learner)
    throw std::invalid_argument("search " + entry.name + " needs a learner");
  if (options.stop_gain > 0 && !entry.knows_gain)
    throw std::invalid_argument("search " + entry.name + " does not know what more measurements gain");
  auto search = entry.make(std::move(space), std::move(learner), goal, options);
  if (!search) throw std::invalid_argument("search " + entry.name + " was not made");
  return search;
}

}  // namespace fewwatt::learners
