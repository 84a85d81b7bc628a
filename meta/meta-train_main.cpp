// fewwatt meta-train: from recorded profiles to an initializer that `fewwatt adapt` starts from.

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "datasets/profile_io.hpp"
#include "hw/program.hpp"
#include "learners/checkpoint_io.hpp"
#include "meta/registry.hpp"
#include "tasks/split.hpp"

namespace {

using namespace fewwatt;
namespace po = program::po;

struct Options {
  program::CommonOptions common;
  std::vector<std::string> profiles;
  meta::InitializerRequest request;
  tasks::HoldOut hold_out;
  std::string out;
};

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<std::size_t> parse_shots(const std::string& text) {
  std::vector<std::size_t> shots;
  for (const auto& part : split_list(text)) {
    if (part.size() > 6 || part.find_first_not_of("0123456789") != std::string::npos ||
        std::stoul(part) == 0) {
      throw program::UsageError("--shots must be numbers >= 1, got " + part);
    }
    shots.push_back(std::stoul(part));
  }
  if (shots.empty()) throw program::UsageError("--shots must name at least one number");
  return shots;
}

constexpr std::uint64_t kMostSteps = 1'000'000;

std::string known_learners() {
  std::string text;
  for (const auto& facts : meta::meta_learner_facts())
    text += (text.empty() ? "" : ", ") + std::string(facts.name);
  return text;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  std::string profiles, workloads, devices, shots;
  program::Count steps;
  program::Manual manual;
  manual.verb = "meta-train";
  manual.synopsis = "--profiles P.h5[,...] --learner maml --holdout-workloads W,... --out INIT.h5";
  manual.about =
      "Trains an initializer on recorded profiles. Training, early stopping and the choice of fine-tuning\n"
      "see nothing of what is held out. Learners: " +
      known_learners() + ".";
  auto add = manual.options.add_options();
  add("profiles", po::value(&profiles)->required()->value_name("P.h5,..."),
      "files of profiles, separated by commas");
  add("learner", po::value(&options.request.name)->default_value("maml")->value_name("NAME"),
      "what to train");
  add("holdout-workloads", po::value(&workloads)->value_name("W,..."),
      "workloads that training must not see");
  add("holdout-devices", po::value(&devices)->value_name("D,..."), "devices that training must not see");
  add("out", po::value(&options.out)->required()->value_name("INIT.h5"), "the initializer to write");
  add("steps", po::value(&steps)->default_value(steps)->value_name("N"),
      "outer steps, at most, or epochs of transfer; 0 = the learner's own default");
  add("shots", po::value(&shots)->default_value("5,10,25,50")->value_name("K,..."),
      "support sizes that fine-tuning is chosen for");
  if (!program::parse(argc, argv, manual, options.common)) return std::nullopt;
  options.profiles = split_list(profiles);
  if (options.profiles.empty()) throw program::UsageError("--profiles must name at least one file");
  options.hold_out = {split_list(workloads), split_list(devices)};
  options.request.shots = parse_shots(shots);
  options.request.seed = options.common.seed;
  if (steps.value > kMostSteps) {
    throw program::UsageError("--steps must be <= " + std::to_string(kMostSteps) + ", got " +
                              std::to_string(steps.value));
  }
  options.request.steps = static_cast<int>(steps.value);
  bool known = false;
  for (const auto& facts : meta::meta_learner_facts()) known = known || facts.name == options.request.name;
  if (!known) {
    throw program::UsageError("--learner must be one of " + known_learners() + ", got " +
                              options.request.name);
  }
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
void check_output(const std::string& out) {
  const auto folder = std::filesystem::absolute(out).parent_path();
  if (std::filesystem::is_directory(out)) {
    throw datasets::DataError(out + ": is a folder, --out must name a file");
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

int run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  check_output(options.out);
  program::refuse_overwriting(options.out, options.profiles);
  const auto log = [&](const std::string& line) {
    if (!options.common.quiet) std::cerr << line << '\n';
  };
  const auto training = without(read_all(options.profiles), options.hold_out);
  std::vector<std::string> names;
  for (const auto& profile : training) names.push_back(profile.device + "/" + profile.workload);
  log("training " + options.request.name + " on " + std::to_string(training.size()) + " profiles");
  const auto checkpoint = meta::train_initializer(options.request, training, log);
  learners::write_checkpoint(options.out, checkpoint);

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.common.json) {
    std::cout << nlohmann::json{{"out", options.out},
                                {"learner", options.request.name},
                                {"adapted_by", checkpoint.learner},
                                {"training", names},
                                {"holdout_workloads", options.hold_out.workloads},
                                {"holdout_devices", options.hold_out.devices},
                                {"seed", checkpoint.origin.seed},
                                {"git", checkpoint.origin.git_revision},
                                {"data_hash", checkpoint.origin.data_hash},
                                {"seconds", seconds.count()}}
                     .dump()
              << '\n';
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
