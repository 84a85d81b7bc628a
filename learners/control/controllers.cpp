#include "learners/control/controllers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "hw/text.hpp"
#include "learners/control/bandit.hpp"
#include "learners/control/dyna.hpp"
#include "learners/control/tabular_controller.hpp"
#include "learners/registry.hpp"

namespace fewwatt::learners {
namespace {

using Made = std::unique_ptr<Controller>;
using Space = std::shared_ptr<const hw::PowerModeSpace>;

// Modes that a shield looks at for one decision, at most.
constexpr std::size_t kMostShielded = 2000;
// Steps of dyna-table after each measurement.
constexpr std::size_t kUsualPlanning = 50;

// One mode, again and again.
class SameMode final : public Controller {
 public:
  SameMode(Space space, const hw::PowerMode& mode) : space_(std::move(space)), mode_(mode) {}
  std::optional<hw::PowerMode> next(const Context& context) override {
    check_context(context);
    budget_w_ = context.budget_w;
    if (context.left < 1) return std::nullopt;
    return mode_;
  }
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override {
    measured_.add(*space_, mode, measurement);
  }
  std::optional<Answer> answer() override { return measured_.fastest(budget_w_); }

 private:
  Space space_;
  hw::PowerMode mode_;
  MeasuredModes measured_;
  double budget_w_ = tasks::kNoBudget;
};

// The mode of greatest sum of log settings, the first of several.
hw::PowerMode highest(const hw::PowerModeSpace& space) {
  if (space.is_grid()) return space.at(space.size() - 1);
  hw::PowerMode found;
  double most = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < space.size(); ++i) {
    const auto mode = space.at(i);
    double sum = 0;
    for (const int setting : mode) sum += std::log(setting);
    if (sum <= most) continue;
    most = sum;
    found = mode;
  }
  return found;
}

// Throws std::invalid_argument where the learner gives no uncertainty, by what it predicts from one made-up measurement.
void check_uncertain(const ControllerRequest& request) {
  const Samples one{request.space,
                    {request.space->lowest()},
                    Matrix::Constant(1, tasks::kNumTargets, 10),
                    request.characteristics};
  if (!request.learner->adapt(one)->predict(one.modes).uncertain())
    throw std::invalid_argument("controller governor: the learner must give its uncertainty");
}

// An entry whose options are a struct with each() and seed. make(request, options)
template <class Options, class Make>
ControllerEntry configured(ControllerEntry entry, const Options& defaults, Make make) {
  entry.options = [defaults](OptionVisitor& on) {
    auto options = defaults;
    options.each(on);
  };
  entry.make = [name = entry.name, defaults, make](const ControllerRequest& request,
                                                   const Settings& settings) -> Made {
    auto options = defaults;
    set_options(settings, name, [&](OptionVisitor& on) { options.each(on); });
    options.seed = request.seed;
    return make(request, options);
  };
  return entry;
}

ControllerEntry bandit(const std::string& name, const std::string& about, BanditRule rule) {
  BanditOptions options;
  options.rule = rule;
  return configured({.name = name, .about = about}, options,
                    [](const ControllerRequest& request, const BanditOptions& set) -> Made {
                      return std::make_unique<LinearBandit>(request.space, set);
                    });
}

ControllerEntry table(const std::string& name, const std::string& about, std::size_t planning) {
  TabularControllerOptions options;
  options.planning = planning;
  return configured({.name = name, .about = about}, options,
                    [](const ControllerRequest& request, const TabularControllerOptions& set) -> Made {
                      return std::make_unique<TabularController>(request.space, set);
                    });
}

// An entry that always measures the mode that mode_of(space) gives.
template <class ModeOf>
ControllerEntry same_mode(const std::string& name, const std::string& about, ModeOf mode_of) {
  ControllerEntry entry{.name = name, .about = about};
  entry.make = [name, mode_of](const ControllerRequest& request, const Settings& settings) -> Made {
    set_options(settings, name, {});
    return std::make_unique<SameMode>(request.space, mode_of(*request.space));
  };
  return entry;
}

Made search_controller(const SearchEntry& search, const ControllerRequest& request, const Settings& settings,
                       const Registry& registry) {
  SearchOptions options;
  set_options(settings, search.name, [&](OptionVisitor& on) { options.each(on); });
  for (const auto& [key, value] : settings)
    if (std::find(search.goes_by.begin(), search.goes_by.end(), key) == search.goes_by.end())
      throw std::invalid_argument("search " + search.name + " does not go by " + key);
  const bool runs = request.task == tasks::ModeTask::run;
  options.planned = runs ? std::min(request.measurements, SearchOptions().planned) : request.measurements;
  options.seed = request.seed;
  options.characteristics = request.characteristics;
  Goal goal;
  goal.limits.max_power_w = request.budget_w;
  auto made = make_search(search.name, request.space, search.needs_learner ? request.learner : nullptr, goal,
                          options, registry);
  return std::make_unique<SearchController>(request.space, std::move(made), goal, runs);
}

std::vector<std::string_view> known_names(const Registry& registry) {
  auto known = registry.controllers.names();
  for (const auto name : registry.searches.names())
    if (registry.controllers.look_up(name) == nullptr) known.push_back(name);
  return known;
}

// The position of a setting among its knob's levels.
int level_of(const hw::Knob& knob, int setting) {
  return static_cast<int>(std::lower_bound(knob.levels.begin(), knob.levels.end(), setting) -
                          knob.levels.begin());
}

// The sum of differences in levels over all knobs.
int distance(const hw::PowerModeSpace& space, const hw::PowerMode& a, const hw::PowerMode& b) {
  int sum = 0;
  for (std::size_t k = 0; k < space.knobs().size(); ++k)
    sum += std::abs(level_of(space.knobs()[k], a[k]) - level_of(space.knobs()[k], b[k]));
  return sum;
}

}  // namespace

std::vector<ControllerEntry> builtin_controllers() {
  std::vector<ControllerEntry> all;
  all.push_back(configured(
      {.name = "governor", .about = "the rule of fewwatt govern, on a learner", .needs_learner = true},
      GovernorOptions(), [](const ControllerRequest& request, const GovernorOptions& set) -> Made {
        auto made =
            std::make_unique<GovernorController>(request.space, request.learner, set, request.switch_share);
        check_uncertain(request);
        return made;
      }));
  all.push_back(bandit("linucb", "the largest upper bound of a linear model", BanditRule::linucb));
  all.push_back(bandit("linear-thompson", "the best mode of a draw of a linear model", BanditRule::thompson));
  all.push_back(table("q-learning", "Q-learning with a table of values over moves of one knob", 0));
  all.push_back(table("dyna-table", "the same, which also plans from what it has seen", kUsualPlanning));
  all.push_back(configured(
      {.name = "dyna", .about = "Q-learning that plans with a learner as its model", .needs_learner = true},
      DynaOptions(), [](const ControllerRequest& request, const DynaOptions& set) -> Made {
        return std::make_unique<DynaController>(request.space, request.learner, set, request.characteristics);
      }));
  all.push_back(same_mode("lowest", "the lowest mode, again and again",
                          [](const hw::PowerModeSpace& space) { return space.lowest(); }));
  all.push_back(same_mode("highest", "the highest mode, again and again", highest));
  return all;
}

std::unique_ptr<Controller> make_controller(std::string_view name, const ControllerRequest& request,
                                            const Settings& settings, const Registry& registry) {
  const auto* entry = registry.controllers.look_up(name);
  const auto* search = registry.searches.look_up(name);
  if (entry == nullptr && search == nullptr) {
    const auto known = known_names(registry);
    throw std::invalid_argument("unknown controller " + std::string(name) +
                                ", known are: " + hw::join(known) + hw::did_you_mean(name, known));
  }
  const std::string of = "controller " + std::string(name) + ": ";
  if (request.space == nullptr || request.space->size() == 0)
    throw std::invalid_argument(of + "the space has no modes");
  if ((entry != nullptr ? entry->needs_learner : search->needs_learner) && request.learner == nullptr)
    throw std::invalid_argument(of + "it needs a learner");
  if (entry == nullptr) return search_controller(*search, request, settings, registry);
  if (request.task == tasks::ModeTask::run && !entry->runs)
    throw std::invalid_argument(of + "it cannot be used for the task run");
  auto made = entry->make(request, settings);
  if (made == nullptr) throw std::invalid_argument(of + "it was not made");
  return made;
}

// ---- a shield around another controller ----

ShieldedController::ShieldedController(std::shared_ptr<const hw::PowerModeSpace> space,
                                       std::unique_ptr<Controller> controller, std::unique_ptr<Shield> shield)
    : space_(std::move(space)), controller_(std::move(controller)), shield_(std::move(shield)) {
  if (controller_ == nullptr || shield_ == nullptr)
    throw std::invalid_argument("ShieldedController: expected a controller and a shield, found none");
  if (space_->size() <= kMostShielded) {
    modes_ = space_->modes();
    return;
  }
  auto rng = hw::Rng::stream(0, "shielded controller");
  auto drawn = rng.sample(space_->size(), kMostShielded);
  std::sort(drawn.begin(), drawn.end());
  for (const auto i : drawn) modes_.push_back(space_->at(i));
  modes_.push_back(space_->lowest());
}

std::optional<hw::PowerMode> ShieldedController::next(const Context& context) {
  const auto asked = controller_->next(context);
  if (!asked) return asked;
  auto modes = modes_;
  modes.push_back(*asked);
  const auto allowed = shield_->allowed(modes, context.budget_w);
  if (allowed.back() != 0) return asked;
  const hw::PowerMode* nearest = nullptr;
  int least = std::numeric_limits<int>::max();
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (allowed[i] == 0) continue;
    const int away = distance(*space_, modes[i], *asked);
    if (away >= least) continue;
    least = away;
    nearest = &modes[i];
  }
  return *nearest;  // a shield allows one mode at least
}

void ShieldedController::tell(const hw::PowerMode& mode, const hw::Measurement& measurement) {
  controller_->tell(mode, measurement);
  shield_->tell(mode, measurement);
}

}  // namespace fewwatt::learners
