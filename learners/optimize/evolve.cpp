#include "learners/optimize/evolve.hpp"

#include <algorithm>
#include <cmath>
#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/sga.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>
#include <set>
#include <stdexcept>
#include <utility>

namespace fewwatt::learners {
namespace {

using Genes = pagmo::vector_double;  // whole numbers

// Picks as genes: levels of the knobs, per workload or common to all, then the way of running each workload.
class Genome {
 public:
  explicit Genome(const TurnsProblem& problem)
      : problem_(problem),
        knobs_(problem.settings[0].size()),
        sets_(problem.one_setting ? 1 : problem.options.size()) {
    std::vector<std::set<int>> levels(knobs_);
    for (const auto& setting : problem.settings)
      for (std::size_t k = 0; k < knobs_; ++k) levels[k].insert(setting[k]);
    std::size_t size = 1;
    for (const auto& some : levels) {
      levels_.emplace_back(some.begin(), some.end());
      size *= some.size();
    }
    settings_.assign(size, kNone);
    for (std::uint32_t s = 0; s < problem.settings.size(); ++s) settings_[code_of(levels_of(s))] = s;
    ways_ = 1;
    for (const auto& options : problem.options) {
      ranges_.emplace_back(problem.settings.size(), std::pair<std::uint32_t, std::uint32_t>(0, 0));
      for (std::uint32_t o = 0; o < options.size(); ++o) {
        auto& [first, count] = ranges_.back()[options[o].setting];
        if (count++ == 0) first = o;
        ways_ = std::max(ways_, count);
      }
    }
  }

  std::size_t size() const { return sets_ * knobs_ + problem_.options.size(); }
  // The first of a workload's options in a setting, and how many there are.
  std::pair<std::uint32_t, std::uint32_t> options_in(std::size_t workload, std::uint32_t setting) const {
    return ranges_[workload][setting];
  }
  // The highest value of a gene; the lowest is 0.
  double top(std::size_t gene) const {
    return static_cast<double>(gene < sets_ * knobs_ ? levels_[gene % knobs_].size() - 1 : ways_ - 1);
  }

  Picks picks_of(const Genes& genes) const {
    Picks picks;
    for (std::size_t w = 0; w < problem_.options.size(); ++w) {
      const std::size_t set = problem_.one_setting ? 0 : w;
      std::vector<std::size_t> levels(knobs_);
      for (std::size_t k = 0; k < knobs_; ++k) levels[k] = static_cast<std::size_t>(genes[set * knobs_ + k]);
      const auto [first, count] = ranges_[w][setting_near(w, levels)];
      const auto way = static_cast<std::uint32_t>(genes[sets_ * knobs_ + w]);
      picks.push_back(first + std::min(way, count - 1));
    }
    return picks;
  }

  Genes genes_of(const Picks& picks) const {
    Genes genes(size(), 0);
    for (std::size_t w = 0; w < picks.size(); ++w) {
      const std::uint32_t setting = problem_.options[w][picks[w]].setting;
      const auto levels = levels_of(setting);
      for (std::size_t k = 0; k < knobs_; ++k)
        genes[(problem_.one_setting ? 0 : w) * knobs_ + k] = static_cast<double>(levels[k]);
      genes[sets_ * knobs_ + w] = picks[w] - ranges_[w][setting].first;
    }
    return genes;
  }

  // Less is better. Below 1 where the limits are kept, above 1 where one is broken. `unit` is a typical score.
  double value_of(const Genes& genes, double unit) const {
    const auto totals = totals_of(problem_, picks_of(genes));
    const double score = totals.score / unit;
    return totals.fits() ? score / (1 + score) : totals.excess;
  }

 private:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  std::vector<std::size_t> levels_of(std::uint32_t setting) const {
    std::vector<std::size_t> levels(knobs_);
    for (std::size_t k = 0; k < knobs_; ++k)
      levels[k] = static_cast<std::size_t>(
          std::lower_bound(levels_[k].begin(), levels_[k].end(), problem_.settings[setting][k]) -
          levels_[k].begin());
    return levels;
  }

  std::size_t code_of(const std::vector<std::size_t>& levels) const {
    std::size_t code = 0;
    for (std::size_t k = 0; k < knobs_; ++k) code = code * levels_[k].size() + levels[k];
    return code;
  }

  // A setting in which the workload has an option: that of the levels, else the first one found by lowering one knob after the other by a
  // level, else the first of all.
  std::uint32_t setting_near(std::size_t workload, std::vector<std::size_t> levels) const {
    for (std::size_t step = 0, stuck = 0; stuck < knobs_; ++step) {
      const std::uint32_t setting = settings_[code_of(levels)];
      if (setting != kNone && ranges_[workload][setting].second > 0) return setting;
      auto& level = levels[step % knobs_];
      stuck = level > 0 ? 0 : stuck + 1;
      if (level > 0) --level;
    }
    return problem_.options[workload][0].setting;
  }

  const TurnsProblem& problem_;
  std::size_t knobs_, sets_;
  std::vector<std::vector<int>> levels_;  // per knob, ascending
  std::vector<std::uint32_t> settings_;   // of each combination of levels
  std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>>
      ranges_;  // per workload and setting: first option, count
  std::uint32_t ways_ = 1;
};

// As pagmo wants a problem: copyable, with bounds and a number of integers.
struct TurnsUdp {
  const Genome* genome = nullptr;
  double unit = 1;

  pagmo::vector_double fitness(const Genes& genes) const { return {genome->value_of(genes, unit)}; }
  std::pair<Genes, Genes> get_bounds() const {
    Genes top(genome->size());
    for (std::size_t g = 0; g < top.size(); ++g) top[g] = genome->top(g);
    return {Genes(top.size(), 0), top};
  }
  Genes::size_type get_nix() const { return genome->size(); }
};

// Each workload's option of least time + ms_per_joule x energy: what a limit on one of the two asks for at some weight (a
// Lagrange multiplier), where switching is free. Infinite: the least energy.
Picks best_alone(const TurnsProblem& problem, double ms_per_joule) {
  Picks picks;
  for (const auto& options : problem.options) {
    const auto cost = [&](const TurnOption& option) {
      if (ms_per_joule == 0) return option.bound_time_ms;
      return std::isfinite(ms_per_joule) ? option.bound_time_ms + ms_per_joule * option.bound_energy_j
                                         : option.bound_energy_j;
    };
    std::uint32_t best = 0;
    for (std::uint32_t o = 1; o < options.size(); ++o)
      if (cost(options[o]) < cost(options[best])) best = o;
    picks.push_back(best);
  }
  return picks;
}

std::pair<double, double> value_of(const TurnsProblem& problem, const Picks& picks) {
  const auto totals = totals_of(problem, picks);
  return {totals.excess, totals.score};
}

// Until nothing gets better: workloads that follow each other, one to all of them, in one other setting, or one workload
// run another way.
void improve(const TurnsProblem& problem, const Genome& genome, Picks& picks) {
  const std::size_t n = picks.size();
  auto best = value_of(problem, picks);
  const auto try_picks = [&](const Picks& changed) {
    const auto value = value_of(problem, changed);
    if (!(value < best)) return false;
    best = value;
    picks = changed;
    return true;
  };
  for (bool better = true; better;) {
    better = false;
    for (std::size_t size = problem.one_setting ? n : 1; size <= n; ++size) {
      for (std::size_t first = 0; first < (size == n ? 1 : n); ++first) {
        for (std::uint32_t setting = 0; setting < problem.settings.size(); ++setting) {
          Picks changed = picks;
          bool there = true;
          for (std::size_t b = 0; b < size && there; ++b) {
            const std::size_t w = (first + b) % n;
            there = genome.options_in(w, setting).second > 0;
            changed[w] = genome.options_in(w, setting).first;
          }
          if (there) better |= try_picks(changed);
        }
      }
    }
    for (std::size_t w = 0; w < n; ++w) {
      const auto [first, count] = genome.options_in(w, problem.options[w][picks[w]].setting);
      for (std::uint32_t way = 0; way < count; ++way) {
        Picks changed = picks;
        changed[w] = first + way;
        better |= try_picks(changed);
      }
    }
  }
}

}  // namespace

std::string EvolveOptions::error() const {
  if (population < 4 || population % 2 != 0)
    return "EvolveOptions: population must be even and >= 4, found " + std::to_string(population);
  if (generations < 1) return "EvolveOptions: generations must be >= 1, found 0";
  if (restarts < 1) return "EvolveOptions: restarts must be >= 1, found 0";
  return "";
}

Picks evolve_turns(const TurnsProblem& problem, const EvolveOptions& options) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  const Genome genome(problem);
  Picks best = problem.one_setting ? genome.picks_of(Genes(genome.size(), 0)) : best_alone(problem, 0);
  const auto keep = [&](Picks picks) {
    improve(problem, genome, picks);
    if (value_of(problem, picks) < value_of(problem, best)) best = picks;
    return genome.genes_of(picks);
  };
  std::vector<Genes> starts = {keep(best)};
  if (!problem.one_setting && counts_energy(problem)) {
    const auto fast = totals_of(problem, best_alone(problem, 0));
    const double usual = fast.bound_time_ms / fast.bound_energy_j;
    for (const double times : {0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, static_cast<double>(INFINITY)})
      starts.push_back(keep(best_alone(problem, times * usual)));
  }
  const TurnsUdp udp{&genome, totals_of(problem, best).score};
  for (unsigned restart = 0; restart < options.restarts; ++restart) {
    const auto seed = static_cast<unsigned>(options.seed * options.restarts + restart);
    pagmo::population population(pagmo::problem(udp), options.population, seed);
    for (const auto& genes : starts) population.push_back(genes);
    // Each gene is drawn anew about once in two children.
    const double rate = 0.5 / static_cast<double>(genome.size());
    const pagmo::algorithm algorithm(pagmo::sga(std::max(1U, options.generations / options.restarts), 0.9,
                                                1.0, rate, 1.0, 2U, "exponential", "uniform", "tournament",
                                                seed));
    population = algorithm.evolve(population);
    keep(genome.picks_of(population.champion_x()));
  }
  return best;
}

}  // namespace fewwatt::learners
