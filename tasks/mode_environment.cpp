#include "tasks/mode_environment.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include "hw/random.hpp"

namespace fewwatt::tasks {

ModeEnvironment::ModeEnvironment(std::unique_ptr<World> world, ModeMdpOptions options, bool random_start,
                                 bool shielded)
    : world_(std::move(world)),
      options_(options),
      random_start_(random_start),
      shielded_(shielded),
      spent_(options) {
  if (world_ == nullptr) throw std::invalid_argument("ModeEnvironment: expected a world, found none");
  if (const auto error = options_.error(); !error.empty()) throw std::invalid_argument(error);
}

void ModeEnvironment::check_begun() const {
  if (!observer_) throw std::logic_error("ModeEnvironment: reset() comes first");
}

const Matrix& ModeEnvironment::actions() const {
  check_begun();
  return actions_->rows();
}

const hw::PowerMode& ModeEnvironment::mode() const {
  check_begun();
  return observer_->mode();
}

std::optional<std::size_t> ModeEnvironment::num_states() const {
  // Candidates are others in each episode.
  if (options_.task != ModeTask::run || options_.candidates > 0 || !world_->fixed()) return std::nullopt;
  return world_->space()->size();
}

std::size_t ModeEnvironment::state() const {
  check_begun();
  return space_->index_of(observer_->mode()).value();
}

Vector ModeEnvironment::reset(std::uint64_t seed) {
  auto seeds = hw::Rng::stream(seed, "mode environment");
  world_->reset(seeds.bits());
  if (const auto space = world_->space(); space != space_) {
    space_ = space;
    lowest_ = space_->lowest();
    actions_.reset();
  }
  const auto of_candidates = seeds.bits();
  if (!actions_ || options_.candidates > 0) actions_.emplace(space_, options_, of_candidates);
  observer_.emplace(space_, options_, world_->characteristics());
  spent_ = SpentActions(options_);
  ended_ = false;
  measure(random_start_ ? space_->at(seeds.below(space_->size())) : lowest_);
  return observer_->observation(world_->budget_w());
}

std::optional<double> ModeEnvironment::reference_ms() const {
  const auto truth = world_->truth(lowest_);
  return truth && std::isfinite(truth->time_ms) ? std::optional(truth->time_ms) : std::nullopt;
}

void ModeEnvironment::measure(const hw::PowerMode& mode) {
  measured_ = world_->measure(mode);
  truth_ = world_->truth(mode);
  reward_ = observer_->tell(mode, measured_, world_->budget_w(), reference_ms());
  spent_.told(*actions_, mode);
  world_->advance();
  bar();
}

void ModeEnvironment::bar() {
  barred_ = spent_.indices();
  if (!shielded_) return;
  std::vector<bool> may_be_taken(actions_->size(), true);
  for (const auto action : barred_) may_be_taken[action] = false;
  const auto budget_w = world_->budget_w();
  auto least_w = std::numeric_limits<double>::infinity();
  std::size_t least = 0;  // place in barred_ of the action of that power
  bool all_are_over = true;
  for (std::size_t action = 0; action < may_be_taken.size(); ++action) {
    if (!may_be_taken[action]) continue;
    const auto truth = world_->truth(actions_->target(action, observer_->mode()));
    if (!truth || !(truth->power_w > budget_w)) {
      all_are_over = false;
      continue;
    }
    if (truth->power_w < least_w) {
      least_w = truth->power_w;
      least = barred_.size();
    }
    barred_.push_back(action);
  }
  if (all_are_over) barred_.erase(barred_.begin() + static_cast<std::ptrdiff_t>(least));
}

Step ModeEnvironment::step(std::size_t action) {
  check_begun();
  if (ended_) throw std::logic_error("ModeEnvironment: the episode has ended");
  measure(actions_->target(action, observer_->mode()));
  Step step{observer_->observation(world_->budget_w()), reward_};
  ended_ = observer_->told() >= options_.measurements;
  step.terminated = ended_ && options_.task == ModeTask::find;
  step.truncated = ended_ && options_.task == ModeTask::run;
  return step;
}

std::optional<FiniteMdp> ModeEnvironment::finite() const {
  check_begun();
  const auto reference = reference_ms();
  const auto states = num_states();
  if (!states || !reference) return std::nullopt;
  FiniteMdp mdp{*states, actions_->size(), {}};
  for (std::size_t s = 0; s < mdp.states; ++s) {
    const auto from = space_->at(s);
    for (std::size_t a = 0; a < mdp.actions; ++a) {
      const auto to = actions_->target(a, from);
      const auto truth = world_->truth(to);
      if (!truth) return std::nullopt;
      mdp.outcomes.push_back(std::vector<FiniteMdp::Outcome>{
          {.next = space_->index_of(to).value(),
           .reward = mode_worth(options_, *truth, world_->budget_w(), *reference, to != from)}});
    }
  }
  return mdp;
}

}  // namespace fewwatt::tasks
