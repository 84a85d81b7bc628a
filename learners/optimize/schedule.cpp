#include "learners/optimize/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace fewwatt::learners {
namespace {

// The score of totals, time^(a-b) (eta energy + (1 - eta) P time)^b: that of Objective with the mean power.
double score_of(const Objective& objective, double time_ms, double energy_j) {
  double value = 1;
  if (objective.power_exponent > 0)
    value = objective.eta * 1000 * energy_j + (1 - objective.eta) * objective.max_power_w * time_ms;
  for (int i = objective.power_exponent; i < objective.time_exponent; ++i) value *= time_ms;
  return value;
}

bool counts_time(const TurnsProblem& problem) {
  return problem.objective != Objective::energy || std::isfinite(problem.max_time_ms);
}

double excess_of(const TurnsProblem& problem, double time_ms, double energy_j) {
  return std::max(
      {problem.power_excess, 1.0, time_ms / problem.max_time_ms, energy_j / problem.max_energy_j});
}

// The board's settings: a mode without its batch size.
hw::PowerMode setting_of(const hw::PowerModeSpace& space, const hw::PowerMode& mode) {
  std::array<int, hw::PowerMode::kMaxKnobs> kept{};
  std::size_t n = 0;
  for (std::size_t k = 0; k < mode.size(); ++k)
    if (space.knobs()[k].role != hw::KnobRole::batch_size) kept[n++] = mode[k];
  return hw::PowerMode(std::span<const int>(kept.data(), n));
}

std::vector<hw::KnobRole> board_roles(const hw::PowerModeSpace& space) {
  std::vector<hw::KnobRole> roles;
  for (const auto& knob : space.knobs())
    if (knob.role != hw::KnobRole::batch_size) roles.push_back(knob.role);
  return roles;
}

// How many units of `first` one unit of `model` is.
double units_of(const Model& model, const Model& first) {
  const auto& a = model.attributes;
  const auto& b = first.attributes;
  if (a.time_of == b.time_of && (a.time_of != datasets::TimeOf::minibatch || a.batch_size == b.batch_size))
    return 1;
  if (a.time_of == b.time_of && a.batch_size && b.batch_size) return *a.batch_size / *b.batch_size;
  throw std::invalid_argument(
      "models of one workload must count in the same unit, with batch sizes stated where they differ: " +
      model.workload + " and " + first.workload);
}

// ---- Exact search ----

using FixedPicks = std::array<std::uint32_t, kMaxExactTurns>;
struct Point {
  double time_ms = 0, energy_j = 0;
  FixedPicks picks{};
};
using Front = std::vector<Point>;

// The points that no other one beats in both, ascending by time.
void keep_front(Front& points) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::tie(a.time_ms, a.energy_j) < std::tie(b.time_ms, b.energy_j);
  });
  double least_j = std::numeric_limits<double>::infinity();
  std::erase_if(points, [&](const Point& point) {
    const bool beaten = point.energy_j >= least_j;
    least_j = std::min(least_j, point.energy_j);
    return beaten;
  });
}

// A pick that only one of the two has made is 0 in the other.
Point sum(const Point& a, const Point& b) {
  Point total{a.time_ms + b.time_ms, a.energy_j + b.energy_j, a.picks};
  for (std::size_t i = 0; i < kMaxExactTurns; ++i) total.picks[i] += b.picks[i];
  return total;
}

Front sums(const Front& a, const Front& b) {
  Front all;
  all.reserve(a.size() * b.size());
  for (const auto& x : a)
    for (const auto& y : b) all.push_back(sum(x, y));
  keep_front(all);
  return all;
}

enum Link { kEqual, kFast, kSlow };  // between a workload's setting and the next one's

class ExactSearch {
 public:
  explicit ExactSearch(const TurnsProblem& problem) : problem_(problem), n_(problem.options.size()) {}

  Picks run() {
    // All patterns of links. Most are impossible, such as one change without a change back.
    std::size_t patterns = 1;
    for (std::size_t i = 0; i < n_; ++i) patterns *= 3;
    for (std::size_t code = 0; code < patterns; ++code) {
      std::array<Link, kMaxExactTurns> links{};
      std::array<std::size_t, 3> count{};
      std::size_t rest = code;
      for (std::size_t i = 0; i < n_; ++i, rest /= 3) ++count[links[i] = static_cast<Link>(rest % 3)];
      const bool lone = n_ > 1 && (count[kSlow] == 1 || (count[kSlow] == 0 && count[kFast] == 1));
      const bool fast_is_slow = problem_.switching.fast_ms == problem_.switching.slow_ms;
      if (lone || (count[kFast] > 0 && fast_is_slow) || (problem_.one_setting && count[kEqual] < n_))
        continue;
      if (n_ == 1 && count[kEqual] == 0) continue;
      try_pattern(links);
    }
    return Picks(best_.picks.begin(), best_.picks.begin() + static_cast<std::ptrdiff_t>(n_));
  }

 private:
  // Workloads first, first+1, ... first+size-1 (around the round) in one setting, which then changes by `link`.
  struct Block {
    std::size_t first, size;
    Link link;
    auto operator<=>(const Block&) const = default;
  };

  double cost_ms(Link link) const {
    const auto& s = problem_.switching;
    return link == kEqual ? 0 : (link == kFast ? s.fast_ms : s.slow_ms) / s.units;
  }

  Point point_of(std::size_t workload, std::uint32_t pick, double change_ms) const {
    const auto& option = problem_.options[workload][pick];
    Point point;
    if (counts_time(problem_)) point.time_ms = problem_.shares[workload] * option.bound_time_ms + change_ms;
    if (counts_energy(problem_))
      point.energy_j = problem_.shares[workload] * option.bound_energy_j +
                       change_ms * (change_ms > 0 ? option.power_w : 0) / 1000;
    point.picks[workload] = pick;
    return point;
  }

  // Fronts of a block, one per group of settings.
  const std::map<std::uint32_t, Front>& fronts(const Block& block) {
    const auto [found, is_new] = fronts_.try_emplace(block);
    auto& by_group = found->second;
    if (!is_new) return by_group;
    const double change_ms = cost_ms(block.link);
    std::vector<std::size_t> next(n_, 0);  // options are by setting: one pass over all of them
    for (std::uint32_t setting = 0; setting < problem_.settings.size(); ++setting) {
      Front here(1);
      for (std::size_t b = 0; b < block.size; ++b) {
        const std::size_t w = (block.first + b) % n_;
        const auto& options = problem_.options[w];
        while (next[w] < options.size() && options[next[w]].setting < setting) ++next[w];
        Front mine;
        for (std::size_t o = next[w]; o < options.size() && options[o].setting == setting; ++o)
          mine.push_back(point_of(w, static_cast<std::uint32_t>(o), b + 1 == block.size ? change_ms : 0));
        if (here.size() == 1 && mine.size() == 1)
          here[0] = sum(here[0], mine[0]);
        else
          here = sums(here, mine);
      }
      auto& front = by_group[problem_.groups[setting]];
      front.insert(front.end(), here.begin(), here.end());
    }
    for (auto& [group, front] : by_group) keep_front(front);
    std::erase_if(by_group, [](const auto& group) { return group.second.empty(); });
    return by_group;
  }

  // Blocks between two slow changes: the settings of all are of one group.
  const Front& segment(const std::vector<Block>& blocks) {
    const auto [found, is_new] = segments_.try_emplace(blocks);
    auto& front = found->second;
    if (!is_new) return front;
    for (const auto& [group, first] : fronts(blocks[0])) {
      Front total = first;
      for (std::size_t b = 1; b < blocks.size() && !total.empty(); ++b) {
        const auto& others = fronts(blocks[b]);
        const auto other = others.find(group);
        total = other == others.end() ? Front{} : sums(total, other->second);
      }
      front.insert(front.end(), total.begin(), total.end());
    }
    keep_front(front);
    return front;
  }

  void try_pattern(const std::array<Link, kMaxExactTurns>& links) {
    // Start after a slow change, or after a fast one, so that neither a segment nor a block goes over the end.
    std::size_t start = 0;
    for (const Link link : {kFast, kSlow})
      for (std::size_t i = 0; i < n_; ++i)
        if (links[i] == link) start = (i + 1) % n_;
    std::vector<std::vector<Block>> segments(1);
    Block block{start, 0, kEqual};
    for (std::size_t i = 0; i < n_; ++i) {
      ++block.size;
      const Link link = links[(start + i) % n_];
      if (link == kEqual && i + 1 < n_) continue;
      block.link = link;
      segments.back().push_back(block);
      block = {(start + i + 1) % n_, 0, kEqual};
      if (link == kSlow && i + 1 < n_) segments.emplace_back();
    }
    Front total(1);
    for (std::size_t s = 0; s + 1 < segments.size(); ++s) total = sums(total, segment(segments[s]));
    for (const auto& x : total) {
      for (const auto& y : segment(segments.back())) {
        const double time_ms = x.time_ms + y.time_ms, energy_j = x.energy_j + y.energy_j;
        const std::pair value(excess_of(problem_, time_ms, energy_j),
                              score_of(problem_.objective, time_ms, energy_j));
        if (value < best_value_) {
          best_value_ = value;
          best_ = sum(x, y);
        }
      }
    }
  }

  const TurnsProblem& problem_;
  std::size_t n_;
  std::map<Block, std::map<std::uint32_t, Front>> fronts_;
  std::map<std::vector<Block>, Front> segments_;
  std::pair<double, double> best_value_{INFINITY, INFINITY};
  Point best_;
};

struct LimitedOption {
  TurnOption option;
  double power_excess;  // power bound / limit, at least 1
};

// log_upper_bounds() of a workload's costs. Throws std::invalid_argument naming the workload and `what`.
Eigen::ArrayXd bounds_of(const Model& model, const LogGaussian& costs, Cost cost, double confidence,
                         const char* what) {
  const auto known = [&](const Matrix& of) { return of.size() > 0 && !of.col(cost).array().isNaN().all(); };
  if (!known(costs.log_mean))
    throw std::invalid_argument(model.workload + " has no " + what + ", which this objective or limit needs");
  if (confidence != 0.5 && !known(costs.log_variance))
    throw std::invalid_argument("confidence needs a learner that gives its uncertainty, as gp does: " +
                                model.workload + " has no uncertainty of " + what);
  return log_upper_bounds(costs, cost, confidence);
}

// All rows of a workload's models whose needed values are known, by setting; `numbers` are those of the settings.
std::vector<LimitedOption> options_of(const Turn& turn, const TurnsProblem& problem,
                                      const PowerBudget& budget,
                                      const std::map<hw::PowerMode, std::uint32_t>& numbers) {
  const double confidence = budget.limits_time() || budget.limits_energy() ? budget.confidence : 0.5;
  std::vector<LimitedOption> made;
  for (std::size_t m = 0; m < turn.models.size(); ++m) {
    const Model& model = *turn.models[m];
    const double units = units_of(model, *turn.models[0]);
    const auto costs = costs_of(model.prediction);
    const Matrix medians = costs.median();
    const Eigen::ArrayXd time_ms = bounds_of(model, costs, kTimeCost, confidence, "time").exp();
    Eigen::ArrayXd energy_j = medians.col(kEnergyCost), power_excess = Eigen::ArrayXd::Ones(energy_j.size());
    if (counts_energy(problem)) energy_j = bounds_of(model, costs, kEnergyCost, confidence, "power").exp();
    if (budget.limits_power())
      power_excess =
          (bounds_of(model, costs, kPowerCost, budget.confidence, "power") - std::log(budget.max_power_w))
              .exp();
    for (Eigen::Index row = 0; row < time_ms.size(); ++row) {
      if (std::isnan(time_ms(row) + power_excess(row)) ||
          (counts_energy(problem) && std::isnan(energy_j(row))))
        continue;
      const auto r = static_cast<std::uint32_t>(row);
      made.push_back({{.setting = numbers.at(setting_of(*model.space, model.space->at(r))),
                       .model = static_cast<std::uint32_t>(m),
                       .row = r,
                       .time_ms = medians(row, kTimeCost) / units,
                       .energy_j = medians(row, kEnergyCost) / units,
                       .bound_time_ms = time_ms(row) / units,
                       .bound_energy_j = energy_j(row) / units,
                       .power_w = medians(row, kPowerCost)},
                      std::max(1.0, power_excess(row))});
    }
  }
  std::stable_sort(made.begin(), made.end(), [](const LimitedOption& a, const LimitedOption& b) {
    return a.option.setting < b.option.setting;
  });
  return made;
}

}  // namespace

bool counts_energy(const TurnsProblem& problem) {
  return problem.objective.needs_power() || std::isfinite(problem.max_energy_j);
}

std::string Switching::error() const {
  std::ostringstream text;
  if (!(fast_ms >= 0 && std::isfinite(fast_ms)))
    text << "Switching: fast_ms must be >= 0, found " << fast_ms;
  else if (!(slow_ms >= fast_ms && std::isfinite(slow_ms)))
    text << "Switching: slow_ms must be at least fast_ms, " << fast_ms << ", found " << slow_ms;
  else if (!(units > 0 && std::isfinite(units)))
    text << "Switching: units must be > 0, found " << units;
  return text.str();
}

std::vector<double> normalised_shares(std::span<const double> shares) {
  double total = 0;
  std::vector<double> normalised;
  for (const double share : shares) {
    if (!std::isfinite(share))
      throw std::invalid_argument("a share must be finite, found " + std::to_string(share));
    normalised.push_back(std::max(share, 0.0));
    total += normalised.back();
  }
  if (!(total > 0 && std::isfinite(total)))
    throw std::invalid_argument("at least one share must be > 0, and their sum finite");
  for (auto& share : normalised) share /= total;
  return normalised;
}

TurnsProblem turns_problem(std::span<const Turn> turns, const Objective& objective, const PowerBudget& budget,
                           const Switching& switching, bool one_setting) {
  if (turns.empty() ||
      std::any_of(turns.begin(), turns.end(), [](const Turn& t) { return t.models.empty(); }))
    throw std::invalid_argument("turns: each workload needs a model");
  for (const auto& error : {budget.error(), switching.error()})
    if (!error.empty()) throw std::invalid_argument(error);
  if (objective.time_exponent < 1)
    throw std::invalid_argument("workloads that take turns have no least power: idling would have it");
  const Model& reference = *turns[0].models[0];
  TurnsProblem problem;
  problem.switching = switching;
  problem.objective = objective;
  problem.max_time_ms = std::min(budget.max_time_ms, budget.max_predicted_ms);
  problem.max_energy_j = budget.max_energy_j;
  problem.one_setting = one_setting;

  std::map<hw::PowerMode, std::uint32_t> numbers;
  double sum_of_shares = 0;
  for (const auto& turn : turns) {
    if (!(turn.share > 0)) throw std::invalid_argument("a share must be > 0");
    sum_of_shares += turn.share;
    problem.shares.push_back(turn.share);
    for (const Model* model : turn.models) {
      if (model->device != reference.device)
        throw std::invalid_argument("models of different boards: " + reference.device + "/" +
                                    reference.workload + " and " + model->device + "/" + model->workload);
      if (board_roles(*model->space) != board_roles(*reference.space))
        throw std::invalid_argument("models with different knobs: " + describe_roles(*reference.space) +
                                    " and " + describe_roles(*model->space));
      for (const auto& mode : model->space->modes()) numbers.emplace(setting_of(*model->space, mode), 0);
    }
  }
  if (std::abs(sum_of_shares - 1) > 1e-9) throw std::invalid_argument("shares must sum to 1");

  std::map<std::vector<int>, std::uint32_t> groups;
  const auto roles = board_roles(*reference.space);
  for (auto& [setting, number] : numbers) {
    number = static_cast<std::uint32_t>(problem.settings.size());
    problem.settings.push_back(setting);
    std::vector<int> slow;
    for (std::size_t k = 0; k < roles.size(); ++k)
      if (roles[k] == hw::KnobRole::cpu_cores || roles[k] == hw::KnobRole::mem_khz)
        slow.push_back(setting[k]);
    problem.groups.push_back(groups.emplace(slow, static_cast<std::uint32_t>(groups.size())).first->second);
  }

  // By how much the workloads break the power limit at least, each in its best setting, or all in one.
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<std::vector<LimitedOption>> all;
  std::vector<double> needed(problem.settings.size(), 1), allowed;
  for (const auto& turn : turns) {
    all.push_back(options_of(turn, problem, budget, numbers));
    std::vector<double> mine(problem.settings.size(), infinity);
    for (const auto& [option, excess] : all.back())
      mine[option.setting] = std::min(mine[option.setting], excess);
    allowed.push_back(*std::min_element(mine.begin(), mine.end()));
    for (std::size_t s = 0; s < mine.size(); ++s) needed[s] = std::max(needed[s], mine[s]);
  }
  const double least = *(one_setting ? std::min_element(needed.begin(), needed.end())
                                     : std::max_element(allowed.begin(), allowed.end()));
  if (!std::isfinite(least)) throw std::invalid_argument("the models have no mode in common");
  problem.power_excess = least;
  for (std::size_t w = 0; w < all.size(); ++w) {
    problem.options.emplace_back();
    for (const auto& [option, excess] : all[w])
      if (one_setting ? needed[option.setting] <= least && excess <= least : excess <= allowed[w])
        problem.options.back().push_back(option);
  }
  return problem;
}

Totals totals_of(const TurnsProblem& problem, const Picks& picks) {
  Totals totals;
  const auto& switching = problem.switching;
  const std::size_t n = picks.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto& option = problem.options[i][picks[i]];
    const auto& next = problem.options[(i + 1) % n][picks[(i + 1) % n]];
    totals.time_ms += problem.shares[i] * option.time_ms;
    totals.energy_j += problem.shares[i] * option.energy_j;
    totals.bound_time_ms += problem.shares[i] * option.bound_time_ms;
    totals.bound_energy_j += problem.shares[i] * option.bound_energy_j;
    if (option.setting == next.setting) continue;
    const bool fast = problem.groups[option.setting] == problem.groups[next.setting];
    ++(fast ? totals.fast_switches : totals.slow_switches);
    const double change_ms = (fast ? switching.fast_ms : switching.slow_ms) / switching.units;
    for (double* time_ms : {&totals.time_ms, &totals.bound_time_ms}) *time_ms += change_ms;
    for (double* energy_j : {&totals.energy_j, &totals.bound_energy_j})
      *energy_j += change_ms * option.power_w / 1000;
  }
  const double energy_j = counts_energy(problem) ? totals.bound_energy_j : 0;  // else it may be unknown
  totals.excess = excess_of(problem, totals.bound_time_ms, energy_j);
  totals.score = score_of(problem.objective, totals.bound_time_ms, energy_j);
  return totals;
}

Picks best_turns(const TurnsProblem& problem) {
  if (problem.options.size() > kMaxExactTurns)
    throw std::invalid_argument("at most " + std::to_string(kMaxExactTurns) +
                                " workloads can be searched exactly, found " +
                                std::to_string(problem.options.size()));
  return ExactSearch(problem).run();
}

}  // namespace fewwatt::learners
