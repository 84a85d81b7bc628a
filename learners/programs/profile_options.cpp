#include "learners/programs/profile_options.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "hw/counted.hpp"
#include "hw/text.hpp"
#include "learners/control/agent_search.hpp"
#include "learners/programs/live_page.hpp"
#include "learners/registry.hpp"
#include "learners/samplers/sampler.hpp"

namespace fewwatt::profile {
namespace {

constexpr std::string_view kAgent = "agent:";  // before the file

// --search agent:FILE
void read_agent(Options& options) {
  options.agent_file = options.search.substr(kAgent.size());
  program::require(!options.agent_file.empty(), "--search agent:FILE: FILE is missing");
  program::require(options.goal == "fastest" || options.goal == "time",
                   "--goal must be fastest with --search agent:FILE, found " + options.goal);
  program::require(!options.aim.limits.limits_time() && !options.aim.limits.limits_energy(),
                   "--max-time-ms and --max-energy-j: an agent knows of --max-power-w alone");
  options.agent = program::read_agent(options.agent_file);
  options.registry.searches.add(learners::agent_search(*options.agent));
}

// An agent for the task find ends after as many measurements as it was trained for: no more are planned. `asked`: their number was given.
void plan_as_trained(Options& options, bool asked) {
  if (!options.agent || options.agent->mdp->task != tasks::ModeTask::find) return;
  const auto trained = options.agent->mdp->measurements;
  if (asked && options.modes.value <= trained) return;
  if (asked)
    options.notices.push_back(options.agent_file + " was trained for " + hw::counted(trained, "measurement") +
                              ": " + std::to_string(trained) + " are planned, not " +
                              std::to_string(options.modes.value));
  options.modes.value = trained;
}

// What --goal and its limits mean.
void read_goal(Options& options) {
  if (options.goal.empty()) return;
  if (options.search.empty()) options.search = "designed-ei";
  const auto searches = learners::builtin().searches.names();
  if (options.search.starts_with(kAgent))
    read_agent(options);
  else
    program::require(std::find(searches.begin(), searches.end(), options.search) != searches.end(),
                     "--search must be one of " + hw::join(searches) + ", or agent:FILE, found " +
                         options.search + hw::did_you_mean(options.search, searches));
  const std::string expected = "--goal must be fastest, time, energy, power, edp or ed2p to ed9p, found ";
  program::require(options.goal != "zeus", expected + options.goal);
  try {
    options.aim.objective =
        learners::parse_objective(options.goal == "fastest" ? std::string("time") : options.goal);
  } catch (const std::invalid_argument&) {
    constexpr std::array kGoals = {"fastest", "time", "energy", "power", "edp", "ed2p", "ed3p"};
    throw program::UsageError(expected + options.goal + hw::did_you_mean(options.goal, kGoals));
  }
  const auto& search = chosen_search(options);
  const bool predicts = search.predicts_answer;
  // That of an agent's shield, which goes by predictions too.
  options.aim.limits.confidence =
      options.confidence.value_or(predicts || options.agent ? learners::kUsualConfidence : kConfidence);
  if (const auto error = options.aim.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(!predicts || options.modes.value > 1,
                   "--search " + search.name + " measures 2 modes or more");
  program::require(
      options.stop_gain == 0 || search.knows_gain,
      "--search " + options.search + " does not know what more measurements gain: no --stop-gain");
}

std::string learning_samplers() {
  std::vector<std::string_view> names;
  for (const auto& sampler : learners::builtin().samplers)
    if (sampler.needs_learner) names.push_back(sampler.name);
  return hw::join(names);
}

// Options that measure, of a program that may be told to merge or to measure here or there, with a goal or without.
void check_effects(const program::po::variables_map& values, const program::Manual& manual,
                   const Options& options) {
  const bool seeks = !options.goal.empty(), live = options.measuring.device == "jetson";
  auto measuring = program::names_of(manual, {"merge", "out"});
  measuring.emplace_back("set");
  auto about_workload = program::attribute_options();
  about_workload.insert(about_workload.end(), {"kind", "time-of"});
  program::refuse_without_effect(
      values, {{measuring, options.merge.empty(), "--merge measures nothing"},
               {{"max-power-w", "max-time-ms", "max-energy-j", "confidence", "search", "stop-gain"},
                seeks,
                "it goes with --goal"},
               {{"sampler"}, !seeks, "with --goal it is --search that chooses the modes"},
               {{"sampler", "modes", "measurements", "goal"},
                options.given.empty(),
                "--mode names the modes to measure"},
               {about_workload, live, "what a simulated or replayed workload is, is known already"}});
  program::refuse_without_effect(values, program::measuring_effects(options.measuring));
}

// Options of the search, as --set gave them.
void check_search_options(const learners::Settings& set, const Options& options) {
  if (set.empty()) return;
  program::require(!options.goal.empty(), "--set search...: without --goal nothing is searched for");
  const auto& search = chosen_search(options);
  for (const auto& [key, value] : set) {
    const auto name = key.substr(key.find('.') + 1);
    program::require(std::find(search.goes_by.begin(), search.goes_by.end(), name) != search.goes_by.end(),
                     "--set " + key + ": search " + search.name + " goes by " +
                         (search.goes_by.empty() ? "no option" : hw::join(search.goes_by) + " alone"));
  }
}

void check(const Options& options) {
  program::require(!options.out.empty(), "give --out, the file of profiles to write");
  if (!options.merge.empty()) return;
  program::require(!options.measuring.device.empty(), "give --device: jetson, simulated:BOARD or replay");
  program::require(!options.measuring.workload.empty(), "give --workload, a name for what is measured");
  program::require(datasets::is_profile_name(options.measuring.workload),
                   "--workload: letters, digits and . _ + - only");
  program::require(options.name.empty() || datasets::is_profile_name(options.name),
                   "--name: letters, digits and . _ + - only");
  if (auto error = options.measuring.error(); !error.empty())
    throw program::UsageError(program::of_option(error));
  program::require(options.modes.value > 0, "--modes, or --measurements, must be > 0");
  program::check_sampler(options.sampler);
  options.choice.check();
  program::require(needs_learner(options) || !options.choice.given(),
                   "--init, --learner and --set: nothing here learns; they go with --sampler " +
                       learning_samplers() + ", or a --search that learns");
  program::require(options.max_s >= 0 && std::isfinite(options.max_s), "--max-s must be >= 0");
  program::require(options.stop_gain >= 0 && options.stop_gain < 1, "--stop-gain must be in [0, 1)");
  program::refuse_overwriting({{"--out", options.out}}, {options.measuring.profiles, options.agent_file});
}

}  // namespace

const learners::SearchEntry& chosen_search(const Options& options) {
  return options.registry.searches.find(options.agent ? std::string_view(learners::kAgentSearch)
                                                      : std::string_view(options.search));
}

bool needs_learner(const Options& options) {
  return options.goal.empty() ? options.registry.samplers.find(options.sampler).needs_learner
                              : chosen_search(options).needs_learner;
}

std::vector<hw::PowerMode> given_modes(const Options& options, const hw::PowerModeSpace& space) {
  std::vector<hw::PowerMode> modes;
  for (const auto& settings : options.given) {
    const auto [mode, roles] = program::as_usage([&] {
      try {
        return hw::changed(space, space.lowest(), settings);
      } catch (const std::invalid_argument& e) {
        throw std::invalid_argument(std::string("--mode: ") + e.what());
      }
    });
    program::require(settings.size() == space.knobs().size(), "--mode: expected a setting of each of " +
                                                                  hw::describe_roles(space) + ", found " +
                                                                  std::to_string(settings.size()));
    program::require(space.index_of(mode).has_value(),
                     "--mode: what is measured has no mode " + hw::describe(space, mode));
    program::require(std::find(modes.begin(), modes.end(), mode) == modes.end(),
                     "--mode: given twice: " + hw::describe(space, mode));
    modes.push_back(mode);
  }
  return modes;
}

std::optional<Options> parse(int argc, char** argv) {
  namespace po = program::po;
  Options options;
  std::vector<std::string> modes;  // of --mode
  program::Manual manual;
  manual.verb = "profile";
  manual.synopsis =
      "--device jetson --workload NAME --out P.h5 -- CMD... (or --merge A.h5 --merge B.h5 --out P.h5)";
  manual.about =
      "Runs a program in one power mode after the other and measures its time per step and the module's\n"
      "power. The program writes a newline to the file descriptor FEWWATT_STEP_FD, or to the named pipe\n"
      "FEWWATT_STEP_PATH, after each step (minibatch). A mode is measured once time and power are\n"
      "steady; measurements that throttling spoiled are made again. Each mode is written to P.h5.log at\n"
      "once, and to P.h5 later. The clocks are put back whatever happens.";
  const std::string samplers = "how modes are chosen: " + hw::join(learners::builtin().samplers.names()),
                    searches = "with --goal, how modes are chosen: " +
                               hw::join(learners::builtin().searches.names()) +
                               ", or agent:FILE, an agent of fewwatt meta-train; designed-ei if not given";
  const program::SettablePart search{"search", "what chooses modes towards a goal",
                                     [&](learners::OptionVisitor& on) { options.searching.each(on); }};
  program::add_learner_options(manual, options.choice, search);
  program::add_limit_options(manual, options.aim.limits);
  program::add_attribute_options(manual, options.attributes);
  auto add = manual.options.add_options();
  add("name", po::value(&options.name)->value_name("NAME"),
      "name of the device in the profile; the board's model if not given");
  add("workload", po::value(&options.measuring.workload)->value_name("NAME"),
      "name of the workload in the profile");
  add("out", po::value(&options.out)->value_name("FILE"),
      "file of profiles to write to; other profiles in it stay");
  add("modes", po::value(&options.modes)->default_value(options.modes)->value_name("N"),
      "number of modes to measure");
  add("measurements", po::value(&options.measurements)->value_name("N"), "another name of --modes");
  add("mode", po::value(&modes)->value_name("KNOB=SETTING,..."),
      "mode to measure, with a setting for each knob; may be given several times, in place of --modes and "
      "--sampler");
  add("max-s", program::real(options.max_s)->value_name("S"),
      "seconds after which no new mode is begun, and --resume can go on; 0 = no limit");
  add("sampler", po::value(&options.sampler)->default_value("random")->value_name("NAME"), samplers.c_str());
  add("goal", po::value(&options.goal)->value_name("GOAL"),
      "look for the best mode: fastest (or time), energy, power, edp, ed2p to ed9p. The modes to measure "
      "are then chosen for that");
  add("confidence",
      po::value<double>()->notifier([&](double value) { options.confidence = value; })->value_name("P"),
      "with --goal: probability with which the answer must keep the limits, or all that an agent measures; "
      "if not given 0.9 for --search predict and agent:FILE, and 0.5 where the answer was measured to keep "
      "them");
  add("search", po::value(&options.search)->value_name("NAME"), searches.c_str());
  add("stop-gain", program::real(options.stop_gain)->value_name("F"),
      "with --goal: end once the next measurement is expected to gain less than this fraction");
  add("resume", po::bool_switch(&options.resume), "go on with a run that did not end");
  add("retries", po::value(&options.retries)->default_value(options.retries)->value_name("N"),
      "how often to repeat a rejected measurement");
  auto& profiler = options.measuring.profiler;
  add("timeout-s", program::real(profiler.timeout_s)->value_name("S"), "seconds for one mode, at most");
  add("cool-s", program::real(profiler.cool_s)->value_name("S"),
      "seconds to let the board cool down before a mode, at most");
  add("counters-s", program::real(profiler.counters_s)->value_name("S"),
      "seconds to wait for the kernel's counters of over-current events, where there are any");
  add("margin-c", program::real(profiler.margin_c)->value_name("C"),
      "degrees by which the board must be below its nearest trip temperature before a mode");
  add("restart", po::bool_switch(&profiler.restart), "start the program again in every mode");
  add("program-output", po::bool_switch(&options.measuring.program_output), "show what the program prints");
  add("go-on", po::bool_switch(&options.go_on),
      "leave out modes in which the program dies or nothing can be measured, and go on");
  add("kind", po::value(&options.kind)->default_value("dnn-training")->value_name("KIND"),
      "kind of the workload: dnn-training, dnn-inference or non-dnn");
  add("time-of", po::value(&options.time_of)->default_value("minibatch")->value_name("WHAT"),
      "what one step is: minibatch, epoch or run");
  program::add_live_option(manual, options.live);
  add("merge", po::value(&options.merge)->value_name("FILE"),
      "file of profiles to merge; give it twice or more, and all rows go to --out");
  program::add_measuring_options(manual, options.measuring);
  manual.choices["sampler"] = program::names_in(learners::builtin().samplers);
  manual.choices["search"] = program::names_in(learners::builtin().searches);
  manual.choices["goal"] = {"fastest", "time", "energy", "power", "edp", "ed2p", "ed3p"};
  manual.choices["kind"] = {"dnn-training", "dnn-inference", "non-dnn"};
  manual.choices["time-of"] = {"minibatch", "epoch", "run"};
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  program::require(values->count("measurements") == 0 || (*values)["modes"].defaulted(),
                   "give one of --modes and --measurements");
  if (values->count("measurements") > 0) options.modes = options.measurements;
  for (const auto& text : modes) options.given.push_back(program::settings_in("mode", text));
  if (!modes.empty()) options.modes.value = modes.size();
  const auto set_search = program::set_part(options.choice, search);
  read_goal(options);
  plan_as_trained(options, program::is_given(*values, "measurements") || program::is_given(*values, "modes"));
  check_search_options(set_search, options);
  check(options);
  check_effects(*values, manual, options);
  const auto kind = datasets::parse_workload_kind(options.kind);
  program::require(kind.has_value(),
                   "--kind must be dnn-training, dnn-inference or non-dnn, found " + options.kind);
  options.attributes.kind = *kind;
  options.attributes.time_of = program::time_of_option(options.time_of);
  return options;
}

}  // namespace fewwatt::profile
