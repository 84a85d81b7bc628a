#include "benchmarks/search.hpp"

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "datasets/csv.hpp"
#include "hw/random.hpp"
#include "tasks/collect.hpp"

namespace fewwatt::benchmarks {
namespace {

using tasks::kPowerW;
using tasks::kTimeMs;
using tasks::Told;

// A board that measures with noise.
class NoisyBoard {
 public:
  NoisyBoard(const SearchSubject& subject, hw::Rng rng) : subject_(subject), rng_(std::move(rng)) {}

  hw::Measurement measure(const hw::PowerMode& mode) {
    const auto row = static_cast<Eigen::Index>(subject_.space->index_of(mode).value());
    hw::Measurement m;
    m.time_ms = subject_.truth(row, kTimeMs) * std::exp(kSearchNoise * rng_.normal());
    m.power_w = subject_.truth(row, kPowerW) * std::exp(kSearchNoise * rng_.normal());
    return m;
  }

 private:
  const SearchSubject& subject_;
  hw::Rng rng_;
};

// Up to `count` measurements more.
void measure_more(learners::Search& search, NoisyBoard& board, std::size_t count, Told& told) {
  const auto more = tasks::collect(search, count, [&](const auto& mode) { return board.measure(mode); });
  told.insert(told.end(), more.begin(), more.end());
}

SearchOutcome outcome(const SearchSubject& subject, std::size_t budget, const Told& told,
                      const std::optional<learners::Answer>& answer) {
  const double limit = subject.budgets_w[budget] * (1 + kSearchMargin);
  const auto truth = [&](const hw::PowerMode& mode, tasks::Target target) {
    return subject.truth(static_cast<Eigen::Index>(subject.space->index_of(mode).value()), target);
  };
  SearchOutcome result;
  result.budget_w = subject.budgets_w[budget];
  result.measured = told.size();
  for (const auto& one : told) result.over += truth(one.first, kPowerW) > limit ? 1 : 0;
  if (!answer) return result;
  result.answered = true;
  result.broken = truth(answer->mode, kPowerW) > limit;
  if (!result.broken)
    result.regret = std::max(0.0, truth(answer->mode, kTimeMs) / subject.optima_ms[budget] - 1);
  return result;
}

}  // namespace

SearchName parse_search(const std::string& text, const learners::Registry& registry) {
  std::istringstream words(text);
  std::vector<std::string> parts;
  for (std::string word; words >> word;) parts.push_back(word);
  if (parts.size() < 2 || parts.size() > 4)
    throw std::invalid_argument("expected SEARCH LEARNER [MEASURED [CONFIDENCE]], found '" + text + "'");
  SearchName name{parts[0], parts[1] == "-" ? "" : parts[1], {}, 0.5, {}};
  if (registry.searches.find(name.search).needs_learner == name.learner.empty())
    throw std::invalid_argument(name.search +
                                (name.learner.empty() ? " needs a learner" : " has no learner, '-'"));
  double number = 0;
  if (parts.size() > 2) {
    if (!datasets::parse_number(parts[2], number) || number < 1 || number != std::floor(number))
      throw std::invalid_argument("expected a number of measured modes, found " + parts[2]);
    name.measured = static_cast<std::size_t>(number);
  }
  if (parts.size() > 3 && (!datasets::parse_number(parts[3], name.confidence) || !(name.confidence >= 0.5) ||
                           !(name.confidence < 1)))
    throw std::invalid_argument("expected a probability from 0.5 to below 1, found " + parts[3]);
  name.label = name.search + (name.learner.empty() ? "" : " " + name.learner) +
               (parts.size() > 3 ? "@" + parts[3] : "");
  return name;
}

SearchSubject search_subject(std::shared_ptr<const hw::PowerModeSpace> space, tasks::Matrix truth,
                             const std::vector<double>& budgets_w) {
  SearchSubject subject{std::move(space), std::move(truth), {}, {}, {}};
  Eigen::Index fastest = 0;
  subject.truth.col(kTimeMs).minCoeff(&fastest);
  for (const double budget : budgets_w) {
    double least = std::numeric_limits<double>::infinity();
    for (Eigen::Index i = 0; i < subject.truth.rows(); ++i)
      if (subject.truth(i, kPowerW) <= budget) least = std::min(least, subject.truth(i, kTimeMs));
    if (std::isinf(least) || subject.truth(fastest, kPowerW) <= budget) continue;
    subject.budgets_w.push_back(budget);
    subject.optima_ms.push_back(least);
  }
  return subject;
}

std::vector<SearchOutcome> run_search(const SearchName& name,
                                      std::shared_ptr<const learners::Learner> learner,
                                      const SearchSubject& subject, std::size_t measured, std::uint64_t seed,
                                      std::uint64_t draw, const learners::Registry& registry) {
  learners::SearchOptions options;
  options.planned = measured;
  options.seed = hw::Rng::stream(seed, "bench search", draw).bits();
  options.characteristics = subject.characteristics;
  const auto goal_of = [&](std::size_t budget) {
    learners::Goal goal;
    goal.limits.max_power_w = subject.budgets_w[budget];
    goal.limits.confidence = name.confidence;
    return goal;
  };
  const auto make = [&](std::size_t budget) {
    return learners::make_search(name.search, subject.space, learner, goal_of(budget), options, registry);
  };
  std::vector<SearchOutcome> outcomes;
  if (subject.budgets_w.empty()) return outcomes;
  NoisyBoard board(subject, hw::Rng::stream(seed, "bench search noise", draw));
  Told start;
  const auto first = make(0);
  const auto shared = registry.searches.find(name.search).without_goal(options);
  measure_more(*first, board, shared, start);
  for (std::size_t b = 0; b < subject.budgets_w.size(); ++b) {
    if (shared == measured) {
      first->aim(goal_of(b));
      outcomes.push_back(outcome(subject, b, start, first->answer()));
      continue;
    }
    const auto search = make(b);
    for (const auto& [mode, m] : start) search->tell(mode, m);
    auto told = start;
    measure_more(*search, board, measured - told.size(), told);
    outcomes.push_back(outcome(subject, b, told, search->answer()));
  }
  return outcomes;
}

std::vector<SearchOutcome> answer_among(const SearchSubject& subject, const std::vector<std::size_t>& rows) {
  std::vector<SearchOutcome> outcomes;
  for (std::size_t b = 0; b < subject.budgets_w.size(); ++b) {
    std::optional<learners::Answer> best;
    for (const auto row : rows) {
      const double time_ms = subject.truth(static_cast<Eigen::Index>(row), kTimeMs),
                   power_w = subject.truth(static_cast<Eigen::Index>(row), kPowerW);
      if (power_w <= subject.budgets_w[b] && (!best || time_ms < best->time_ms))
        best = learners::Answer{subject.space->at(row), time_ms, power_w, time_ms, true};
    }
    outcomes.push_back(outcome(subject, b, {}, best));
  }
  return outcomes;
}

}  // namespace fewwatt::benchmarks
