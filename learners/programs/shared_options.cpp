#include "learners/programs/shared_options.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "hw/text.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/programs/option_list.hpp"
#include "learners/samplers/sampler.hpp"
#include "learners/settings_part.hpp"

namespace fewwatt::program {
namespace {

constexpr const char* kUsualLearner = "auto";

// batch_size -> batch-size
std::string option_of(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// Of datasets::kNumberAttributes, in that order.
constexpr std::array kMeanings = {
    "samples in a minibatch of the workload", "minibatches in an epoch of the workload, for epoch times",
    "layers of its network", "parameters of its network, in all",
    "multiplications, each with its addition, of one forward pass of one sample"};
static_assert(kMeanings.size() == std::size(datasets::kNumberAttributes));

// The part's options with its name before each: search.pool.
learners::EachOption prefixed(const SettablePart& part) {
  return [part](learners::OptionVisitor& on) { on.part(part.name + ".", part.each); };
}

}  // namespace

void LearnerChoice::check() const {
  require(init.empty() || learner.empty(), "give one of --init and --learner, or neither for auto");
  if (trained() || learner.empty()) return;
  const auto& facts = as_usage([&]() -> auto& { return learners::find_learner(learner); });
  require(!facts.needs_checkpoint,
          "--learner " + learner + " must be trained first: give its initializer as --init");
}

void add_learner_options(Manual& manual, LearnerChoice& choice, const std::optional<SettablePart>& beside) {
  manual.set = &choice.set;
  manual.list_options = [beside](const std::string& name) {
    if (beside && name == beside->name) return option_list(name, beside->about, prefixed(*beside));
    const auto& learner = learners::find_learner(name);
    return option_list(name, learner.about, learner.options);
  };
  std::vector<std::string_view> untrained;
  for (const auto& entry : learners::builtin().learners)
    if (!entry.needs_checkpoint) untrained.push_back(entry.name);
  const std::string about =
      "a learner that needs no training: " + hw::join(untrained) + "; auto if no --init is given";
  auto add = manual.options.add_options();
  add("init", po::value(&choice.init)->value_name("FILE"), "initializer, written by fewwatt meta-train");
  add("learner", po::value(&choice.learner)->value_name("NAME"), about.c_str());
  manual.choices["learner"] = {untrained.begin(), untrained.end()};
  auto& listed = manual.choices["list-options"] = names_in(learners::builtin().learners);
  if (beside) listed.push_back(beside->name);
}

learners::Settings set_part(LearnerChoice& choice, const SettablePart& part) {
  return as_usage([&] {
    auto settings = learners::settings_of(choice.set);
    const auto own = learners::take_part(settings, part.name + ".");
    learners::set_options(own, part.name, prefixed(part));
    choice.set.clear();
    for (const auto& [key, value] : settings) choice.set.push_back(key + "=" + value);
    return own;
  });
}

ChosenLearner chosen_learner(const LearnerChoice& choice) {
  choice.check();
  ChosenLearner chosen;
  chosen.settings = as_usage([&] { return learners::settings_of(choice.set); });
  if (!choice.trained()) {
    chosen.name = choice.learner.empty() ? kUsualLearner : choice.learner;
    chosen.learner = as_usage([&] { return learners::make_learner(chosen.name, chosen.settings); });
    return chosen;
  }
  const auto checkpoint =
      during("reading " + choice.init, [&] { return learners::read_checkpoint(choice.init); });
  if (checkpoint.learner == learners::kPolicy)
    throw datasets::DataError(choice.init +
                              ": is an agent, and --init takes the initializer of a learner; agents go with "
                              "profile --search agent:FILE and govern --agent FILE");
  chosen.name = checkpoint.learner;
  chosen.origin = checkpoint.origin;
  try {
    chosen.learner = learners::make_learner(checkpoint);
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(choice.init + ": " + e.what());
  }
  if (!chosen.settings.empty())
    chosen.learner = as_usage([&] { return learners::make_learner(checkpoint, chosen.settings); });
  return chosen;
}

learners::PolicyModel read_agent(const std::string& path) {
  const auto checkpoint = during("reading " + path, [&] { return learners::read_checkpoint(path); });
  if (checkpoint.learner == learners::kTrainingState)
    throw datasets::DataError(
        path + ": is the state of a training run, which meta-train --resume takes; expected an agent");
  if (checkpoint.learner != learners::kPolicy)
    throw datasets::DataError(path + ": is the initializer of the learner " + checkpoint.learner +
                              ", which --init takes; expected an agent");
  try {
    auto agent = learners::PolicyModel::from_checkpoint(checkpoint);
    if (!agent.mdp)
      throw std::invalid_argument("expected an agent for " + std::string(tasks::kModeMdp) +
                                  ", found one for " + agent.environment);
    if (agent.observation != static_cast<int>(tasks::kObservation))
      throw std::invalid_argument("expected observations of " + std::to_string(tasks::kObservation) +
                                  " numbers, found " + std::to_string(agent.observation));
    return agent;
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(path + ": " + e.what());
  }
}

std::unique_ptr<learners::Controller> agent_on(const std::string& path, const learners::PolicyModel& agent,
                                               std::shared_ptr<const hw::PowerModeSpace> space,
                                               const tasks::Characteristics& characteristics,
                                               std::uint64_t seed) {
  try {
    return learners::policy_controller(agent, std::move(space), characteristics, seed);
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(path + ": " + e.what());
  }
}

void add_limit_options(Manual& manual, learners::PowerBudget& limits) {
  auto add = manual.options.add_options();
  add("max-power-w", po::value(&limits.max_power_w)->value_name("W"), "power budget, in watts");
  add("max-time-ms", po::value(&limits.max_time_ms)->value_name("MS"), "limit on time, in milliseconds");
  add("max-energy-j", po::value(&limits.max_energy_j)->value_name("J"), "limit on time x power, in joules");
}

void add_attribute_options(Manual& manual, datasets::WorkloadAttributes& attributes) {
  auto add = manual.options.add_options();
  for (std::size_t i = 0; i < kMeanings.size(); ++i) {
    const auto& [name, member] = datasets::kNumberAttributes[i];
    const auto option = option_of(name);
    const auto take = [&into = attributes.*member, option](double value) {
      require(std::isfinite(value) && value > 0, "--" + option + " must be a number > 0");
      into = value;
    };
    add(option.c_str(), po::value<double>()->notifier(take)->value_name("N"), kMeanings[i]);
  }
}

std::vector<std::string> attribute_options() {
  std::vector<std::string> names;
  for (const auto& [name, member] : datasets::kNumberAttributes) names.push_back(option_of(name));
  return names;
}

void check_forgetting(double forget, const ChosenLearner& chosen) {
  require(forget == 1 || chosen.facts().weighs_rows,
          "--forget: " + chosen.name + " takes all rows for equally sure, so nothing can be forgotten");
}

datasets::TimeOf time_of_option(const std::string& text) {
  const auto time_of = datasets::parse_time_of(text);
  require(time_of.has_value(), "--time-of must be minibatch, epoch or run, found " + text);
  return *time_of;
}

std::string unit_of(datasets::TimeOf time_of) {
  switch (time_of) {
    case datasets::TimeOf::minibatch:
      return "a step";
    case datasets::TimeOf::epoch:
      return "an epoch";
    case datasets::TimeOf::run:
      break;
  }
  return "a run";
}

bool can_be_set(const hw::PowerModeSpace& space) {
  return std::none_of(space.knobs().begin(), space.knobs().end(), [](const hw::Knob& knob) {
    return knob.role == hw::KnobRole::power_limit_mw || knob.role == hw::KnobRole::batch_size;
  });
}

void check_sampler(const std::string& name) {
  const auto samplers = learners::builtin().samplers.names();
  require(std::find(samplers.begin(), samplers.end(), name) != samplers.end(),
          "--sampler must be one of " + hw::join(samplers) + ", found " + name +
              hw::did_you_mean(name, samplers));
}

}  // namespace fewwatt::program
