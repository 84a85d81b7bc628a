// fewwatt meta-train: from recorded profiles to an initializer that `fewwatt adapt` starts from, or to an
// agent that chooses power modes.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "datasets/profile_io.hpp"
#include "hw/json_text.hpp"
#include "hw/numbers.hpp"
#include "hw/program.hpp"
#include "hw/text.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/programs/live_page.hpp"
#include "learners/programs/option_list.hpp"
#include "meta/programs/training_progress.hpp"
#include "meta/registry.hpp"
#include "tasks/split.hpp"

namespace {

using namespace fewwatt;
namespace po = program::po;

struct Options {
  program::CommonOptions common;
  std::vector<std::string> profiles, also;
  meta::InitializerRequest request;
  tasks::HoldOut hold_out;
  std::string out;
  std::string init;                 // "" = from nothing
  std::string resume;               // "" = start anew
  std::string state;                // where a stopped run leaves its state
  std::string log;                  // JSON lines, "" = none
  std::optional<std::string> live;  // --live
};

// The first Ctrl-C asks training to stop and keep what it has, the second one ends the program.
std::atomic<bool> g_interrupted = false;  // set by whichever thread a signal reaches
static_assert(std::atomic<bool>::is_always_lock_free);

void interrupt(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

constexpr std::int64_t kMostShots = 999'999;

std::vector<std::size_t> parse_shots(const std::string& text) {
  std::vector<std::size_t> shots;
  for (const auto& part : program::list_in("shots", text)) {
    const auto count = hw::whole_number(part, 1, kMostShots);
    if (!count)
      throw program::UsageError("--shots must be numbers >= 1, at most " + std::to_string(kMostShots) +
                                ", got " + part);
    shots.push_back(static_cast<std::size_t>(*count));
  }
  return shots;
}

constexpr std::pair<const char*, const char*> kShortcuts[] = {
    {"steps", "greatest number of outer steps, of epochs of transfer, or of updates of an agent"},
    {"inner-steps", "number of steps of the inner loop; of agents only for maml-policy"},
    {"inner-rate",
     "learning rate of the inner loop; where rates are learned, their start; of agents only for maml-policy"},
    {"outer-rate", "learning rate of the outer updates; not for agents, which have --set rate="},
    {"meta-batch", "number of tasks per outer update; not for agents"},
    {"validate-every", "number of outer steps, or of updates of an agent, between validations"},
    {"patience", "stop after this many validations in a row without a better one; 0 = never stop early"}};

// The option of a learner, or of an agent, that a shortcut stands for.
std::string option_of(std::string shortcut, bool is_agent) {
  if (is_agent && shortcut == "steps") return "updates";
  std::replace(shortcut.begin(), shortcut.end(), '-', '_');
  return shortcut;
}

program::OptionList list_options(const std::string& name) {
  const auto facts = meta::training_facts(name);
  return program::option_list(name, facts.about, facts.options);
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  std::string profiles, also, workloads, devices, shots;
  std::vector<std::string> set;
  program::Manual manual;
  manual.list_options = list_options;
  manual.set = &set;
  manual.with_options = "learner or agent";
  manual.verb = "meta-train";
  manual.synopsis =
      "--profiles P.h5[,...] --learner auto --holdout-workloads W,... --out INIT.h5 [--resume STATE]";
  manual.about =
      "Trains an initializer on recorded profiles, for fewwatt adapt --init. Training, early stopping and\n"
      "the choice of fine-tuning see nothing of what is held out: they leave out each training workload in\n"
      "turn and validate on it, with the code that runs on the board. Ctrl-C keeps the best so far, and\n"
      "leaves a state that --resume goes on from.\n"
      "Learners: " +
      hw::join(meta::builtin().meta_learners.names()) +
      ".\n"
      "An agent learns to choose modes by itself, for fewwatt profile --search agent:A.h5 and fewwatt\n"
      "govern --agent A.h5. It is validated on some of the training workloads and trained on the others.\n"
      "Agents: " +
      hw::join(meta::builtin().agents.names()) + ".";
  auto add = manual.options.add_options();
  add("profiles", po::value(&profiles)->required()->value_name("P.h5,..."),
      "files of profiles, separated by commas");
  add("also", po::value(&also)->value_name("P.h5,..."),
      "more files of profiles, such as simulated ones: half of the training tasks come from them, and no "
      "validation task");
  add("learner", po::value(&options.request.name)->default_value("auto")->value_name("NAME"),
      "learner or agent to train");
  add("init", po::value(&options.init)->value_name("OLD.h5"),
      "initializer to go on from, which the same learner trained before: with more profiles, in fewer steps. "
      "Give the old profiles too, or they are forgotten. Not for agents");
  add("holdout-workloads", po::value(&workloads)->value_name("W,..."),
      "workloads that training must not see");
  add("holdout-devices", po::value(&devices)->value_name("D,..."), "devices that training must not see");
  add("out", po::value(&options.out)->required()->value_name("INIT.h5"),
      "initializer or agent to write; replaces a file of that name");
  // What several learners have: --steps 20 is --set steps=20.
  for (const auto& [name, about] : kShortcuts) add(name, po::value<std::string>()->value_name("N"), about);
  add("shots", po::value(&shots)->default_value("5,10,25,50")->value_name("K,..."),
      "numbers of measured modes for which fine-tuning is chosen; not for agents");
  add("log", po::value(&options.log)->value_name("L.jsonl"),
      "log to write: one JSON object per outer step, or per update of an agent");
  program::add_live_option(manual, options.live);
  add("state", po::value(&options.state)->value_name("S.h5"),
      "file for the state of the run until it is done; INIT.h5.state if not given");
  add("resume", po::value(&options.resume)->value_name("S.h5"),
      "state of a stopped run to go on from; options and profiles must be the same");
  auto& trained = manual.choices["learner"] = program::names_in(meta::builtin().meta_learners);
  for (const auto& agent : meta::builtin().agents) trained.push_back(agent.name);
  manual.choices["list-options"] = trained;
  const auto values = program::parse(argc, argv, manual, options.common);
  if (!values) return std::nullopt;
  options.profiles = program::list_in("profiles", profiles);
  options.also = program::list_in("also", also);
  options.hold_out = {program::list_in("holdout-workloads", workloads),
                      program::list_in("holdout-devices", devices)};
  options.request.shots = parse_shots(shots);
  options.request.seed = options.common.seed;
  auto& request = options.request;
  try {
    const auto facts = meta::training_facts(request.name);
    for (const auto& [name, about] : kShortcuts) {
      if (values->count(name) == 0) continue;
      const auto option = option_of(name, facts.is_agent), value = (*values)[name].as<std::string>();
      try {
        learners::set_options({{option, value}}, request.name, facts.options);
      } catch (const std::invalid_argument& e) {  // says what was typed
        throw program::UsageError(std::string("--") + name + ": " + e.what());
      }
      learners::add_setting(request.settings, option + "=" + value);
    }
    for (const auto& one : set) learners::add_setting(request.settings, one);
    learners::set_options(request.settings, request.name, facts.options);
    const auto agent = "the agent " + request.name;
    program::refuse_without_effect(
        *values, {{{"also", "state", "log", "live"},
                   facts.has_outer_loop,
                   "training of " + request.name + " has no outer loop"},
                  {{"init"}, !facts.is_agent, "training of " + agent + " does not go on from another"},
                  {{"shots"}, !facts.is_agent, agent + " chooses its measurements by itself"}});
  } catch (const std::invalid_argument& e) {
    throw program::UsageError(e.what());
  }
  if (options.state.empty()) options.state = options.resume.empty() ? options.out + ".state" : options.resume;
  return options;
}

std::vector<datasets::Profile> read_all(const std::vector<std::string>& paths) {
  datasets::ProfileStore all;
  for (const auto& path : paths) {
    for (auto& profile : datasets::read_profiles(path).profiles) {
      if (all.find(profile.device, profile.workload) != nullptr) {
        throw datasets::DataError(path + ": " + profile.device + "/" + profile.workload +
                                  " is in another of the files too");
      }
      all.profiles.push_back(std::move(profile));
    }
  }
  return std::move(all.profiles);
}

// Fails before minutes of training rather than after.
void check_output(const char* option, const std::string& out) {
  const auto folder = std::filesystem::absolute(out).parent_path();
  if (std::filesystem::is_directory(out)) {
    throw datasets::DataError(out + ": is a folder, " + option + " must name a file");
  }
  if (!std::filesystem::is_directory(folder)) {
    throw datasets::DataError(out + ": there is no folder " + folder.string());
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw datasets::DataError(out + ": cannot write to folder " + folder.string());
  }
}

// Those that training may see.
std::vector<datasets::Profile> without(const std::vector<datasets::Profile>& profiles,
                                       const tasks::HoldOut& hold_out) {
  if (hold_out.workloads.empty() && hold_out.devices.empty()) return profiles;
  try {
    return tasks::split_profiles(profiles, hold_out).train;
  } catch (const std::invalid_argument& e) {
    throw datasets::DataError(std::string("--holdout-workloads, --holdout-devices: ") + e.what());
  }
}

// What training may see of --profiles; `also` gets what it may see of --also.
std::vector<datasets::Profile> read_training(const Options& options, std::vector<datasets::Profile>& also) {
  auto paths = options.profiles;
  paths.insert(paths.end(), options.also.begin(), options.also.end());
  auto training = without(read_all(paths), options.hold_out);
  std::set<std::pair<std::string, std::string>> others;
  if (!options.also.empty())
    for (const auto& profile : read_all(options.also)) others.emplace(profile.device, profile.workload);
  const auto first = std::stable_partition(training.begin(), training.end(), [&](const auto& profile) {
    return !others.contains({profile.device, profile.workload});
  });
  also.assign(std::make_move_iterator(first), std::make_move_iterator(training.end()));
  training.erase(first, training.end());
  return training;
}

int run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::optional<learners::Checkpoint> resume;
  if (!options.resume.empty())
    resume = program::during("reading " + options.resume,
                             [&] { return learners::read_checkpoint(options.resume); });
  check_output("--out", options.out);
  check_output("--state", options.state);
  auto inputs = options.profiles;
  inputs.insert(inputs.end(), options.also.begin(), options.also.end());
  inputs.push_back(options.init);
  if (!options.log.empty()) check_output("--log", options.log);
  program::refuse_overwriting({{"--state", options.state}, {"--log", options.log}, {"--out", options.out}},
                              inputs);
  for (const auto& out : {options.out, options.state}) learners::check_checkpoint_output(out);

  program::LivePage page(options.live);
  meta_train::LiveTraining live(page);
  meta_train::JsonLog json_log(options.log);
  meta_train::Bar bar(!options.common.quiet && !options.common.json && isatty(STDERR_FILENO) != 0);
  const auto log = [&](const std::string& line) {
    bar.clear();
    if (!options.common.quiet) std::cerr << line << '\n';
  };
  auto request = options.request;
  if (!options.init.empty())
    request.init =
        program::during("reading " + options.init, [&] { return learners::read_checkpoint(options.init); });
  const auto training =
      program::during("reading profiles", [&] { return read_training(options, request.also); });
  if (training.empty()) {
    throw datasets::DataError("--holdout-workloads, --holdout-devices: nothing is left to train on");
  }
  std::vector<std::string> names;
  for (const auto& profile : training) names.push_back(profile.device + "/" + profile.workload);
  log("training " + options.request.name + " on " + std::to_string(training.size()) + " profile" +
      (training.size() == 1 ? "" : "s") +
      (request.also.empty() ? "" : " and " + std::to_string(request.also.size()) + " others"));

  live.show(options.request.name, training.size());
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);
  bool saved = false;
  const meta::RunHooks hooks = {.log = log,
                                .progress =
                                    [&](const meta::RunProgress& now) {
                                      bar.draw(now, seconds());
                                      const double so_far = seconds();
                                      json_log.add(now, so_far);
                                      live.add(now, so_far);
                                    },
                                .interrupted = [] { return g_interrupted.load(); },
                                .save =
                                    [&](const learners::Checkpoint& state) {
                                      learners::write_checkpoint(options.state, state);
                                      saved = true;
                                    }};
  const auto result = program::during(
      "training " + options.request.name + " on " + std::to_string(training.size()) + " profiles",
      [&] { return meta::run_training(request, training, hooks, resume ? &*resume : nullptr); });
  bar.clear();
  const auto& checkpoint = result.checkpoint;
  const std::string hint = result.stop == meta::Stop::interrupted && saved
                               ? "; go on with --resume " + options.state
                               : std::string();
  if (checkpoint.learner.empty()) {
    throw std::runtime_error(result.message + ": there is nothing to keep yet, " + options.out +
                             " is not written" + hint);
  }
  learners::write_checkpoint(options.out, checkpoint);
  if (result.stop != meta::Stop::interrupted) std::filesystem::remove(options.state);
  if (!result.message.empty()) log("warning: " + result.message + hint);

  if (options.common.json) {
    nlohmann::json report{{"out", options.out},
                          {"learner", options.request.name},
                          {"adapted_by", checkpoint.learner},
                          {"training", names},
                          {"holdout_workloads", options.hold_out.workloads},
                          {"holdout_devices", options.hold_out.devices},
                          {"seed", checkpoint.origin.seed},
                          {"git", checkpoint.origin.git_revision},
                          {"data_hash", checkpoint.origin.data_hash},
                          {"stopped", meta::to_string(result.stop)},
                          {"seconds", seconds()}};
    if (result.environment_steps > 0) report["environment_steps"] = result.environment_steps;
    std::cout << hw::json_text(report) << '\n';
  } else if (!options.common.quiet) {
    std::cout << "wrote " << options.out << '\n';
  }
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return fewwatt::program::run("meta-train", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : fewwatt::program::kDone;
  });
}
