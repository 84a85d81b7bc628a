#include "benchmarks/controllers/knowing.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "hw/modules.hpp"

namespace fewwatt::benchmarks {
namespace {

using learners::Answer;
using learners::Context;

Answer answer_of(const hw::PowerMode& mode, const hw::Measurement& truth) {
  return {mode, truth.time_ms, truth.power_w, truth.time_ms, true};
}

// The fastest of the modes inside the world's budget.
std::optional<Answer> fastest_of(const tasks::World& world, const std::vector<hw::PowerMode>& modes) {
  std::optional<Answer> best;
  for (const auto& mode : modes) {
    const auto truth = world.truth(mode);
    if (!truth || !(truth->power_w <= world.budget_w())) continue;
    if (!best || truth->time_ms < best->time_ms) best = answer_of(mode, *truth);
  }
  return best;
}

// The mode of least power; the first one where nobody knows.
hw::PowerMode least_power(const tasks::World& world, const std::vector<hw::PowerMode>& modes) {
  std::optional<Answer> least;
  for (const auto& mode : modes) {
    const auto truth = world.truth(mode);
    if (truth && (!least || truth->power_w < least->power_w)) least = answer_of(mode, *truth);
  }
  return least ? least->mode : modes.front();
}

}  // namespace

Oracle::Oracle(const tasks::World& world) : world_(&world), fastest_(world) {}

std::optional<hw::PowerMode> Oracle::next(const Context& context) {
  learners::check_context(context);
  if (context.left < 1) return std::nullopt;
  if (const auto& fastest = fastest_()) return fastest->mode;
  return least_power(*world_, world_->space()->modes());
}

std::optional<Answer> Oracle::answer() {
  const auto& fastest = fastest_();
  if (!fastest) return std::nullopt;
  return answer_of(fastest->mode, fastest->truth);
}

KnowingSome::KnowingSome(const tasks::World& world, std::vector<hw::PowerMode> modes)
    : world_(&world), modes_(std::move(modes)) {
  if (modes_.empty()) throw std::invalid_argument("KnowingSome: expected a mode at least, found none");
}

std::optional<hw::PowerMode> KnowingSome::next(const Context& context) {
  learners::check_context(context);
  if (context.left < 1) return std::nullopt;
  if (const auto best = answer()) return best->mode;
  return least_power(*world_, modes_);
}

std::optional<Answer> KnowingSome::answer() {
  return fastest_of(*world_, modes_);
}

BestMeasured::BestMeasured(const tasks::World& world, std::uint64_t seed) : world_(&world) {
  const auto n = world.space()->size();
  order_ = hw::Rng::stream(seed, "best measured").sample(n, n);
}

std::optional<hw::PowerMode> BestMeasured::next(const Context& context) {
  learners::check_context(context);
  if (context.left < 1 || next_ == order_.size()) return std::nullopt;
  return world_->space()->at(order_[next_++]);
}

void BestMeasured::tell(const hw::PowerMode& mode, const hw::Measurement&) {
  measured_.push_back(mode);
}

std::optional<Answer> BestMeasured::answer() {
  return fastest_of(*world_, measured_);
}

std::unique_ptr<learners::Controller> make_knowing(const std::string& name, const tasks::World& world,
                                                   const std::string& module, std::uint64_t seed) {
  if (name == "oracle") return std::make_unique<Oracle>(world);
  if (name == "best-measured") return std::make_unique<BestMeasured>(world, seed);
  if (name != "presets")
    throw std::invalid_argument("expected oracle, presets or best-measured, found " + name);
  const auto& board = hw::find_module(module);
  const auto space = world.space();
  std::vector<hw::PowerMode> modes;
  for (const auto& preset : board.presets)
    modes.push_back(hw::apply_limits(*space, board.knobs, preset.limits));
  return std::make_unique<KnowingSome>(world, std::move(modes));
}

}  // namespace fewwatt::benchmarks
