// fewwatt simulate: profiles of boards and workloads that exist as physics only.

#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "datasets/generate.hpp"
#include "datasets/inspect.hpp"
#include "datasets/profile_io.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/program.hpp"
#include "hw/text.hpp"

namespace {

namespace program = fewwatt::program;
namespace po = fewwatt::program::po;
using namespace fewwatt;
using namespace fewwatt::datasets;
using nlohmann::json;

template <class Known>
std::string list_of(std::span<const Known> known) {
  return hw::join(known, ", ", [](const Known& one) { return one.name; });
}

json to_json(const Range& range) {
  return {{"min", range.min}, {"median", range.median}, {"max", range.max}};
}

json to_json(const ProfileStore& store, const std::string& out) {
  json profiles = json::array();
  for (const auto& profile : store.profiles) {
    const auto summary = summarize(profile);
    profiles.push_back({{"device", profile.device},
                        {"workload", profile.workload},
                        {"modes", profile.modes.size()},
                        {"time_ms", to_json(*summary.time_ms)},
                        {"power_w", to_json(*summary.power_w)}});
  }
  return {{"out", out}, {"profiles", profiles}};
}

void print(const json& report) {
  std::cout << std::setprecision(4);
  for (const auto& profile : report["profiles"]) {
    std::cout << profile["device"].get<std::string>() << '/' << profile["workload"].get<std::string>() << ": "
              << fewwatt::hw::counted(profile["modes"].get<std::size_t>(), "mode") << ", "
              << profile["time_ms"]["min"].get<double>() << " .. " << profile["time_ms"]["max"].get<double>()
              << " ms, " << profile["power_w"]["min"].get<double>() << " .. "
              << profile["power_w"]["max"].get<double>() << " W\n";
  }
  std::cout << fewwatt::hw::counted(report["profiles"].size(), "profile") << " -> "
            << report["out"].get<std::string>() << '\n';
}

ProfileStore population_like(const std::string& path, const SimulationRequest& request) {
  const auto like = read_profiles(path);
  if (like.profiles.empty()) throw DataError(path + ": has no profile");
  const auto& first = like.profiles.front();
  ProfileStore store;
  store.profiles = generate_population(
      first.space, first.modes, request.random_workloads,
      request.noise ? hw::SimulatedNoise{.seed = request.seed} : hw::SimulatedNoise{.time = 0, .power = 0});
  for (const auto& profile : store.profiles)
    store.devices[profile.device] = {{"board", "random"}, {"simulated", "yes"}};
  return store;
}

int simulate(int argc, char** argv) {
  program::Manual manual;
  manual.verb = "simulate";
  manual.synopsis =
      "--device BOARD [--workloads A,B,..] [--grid full|powertrain|N] --out P.h5\n"
      "       fewwatt simulate --random-devices D --random-workloads W --out P.h5\n"
      "       fewwatt simulate --like PROFILES.h5 --random-workloads W --out P.h5";
  manual.about =
      "Makes profiles of simulated boards: known ones, which scripts/calibrate compares with published\n"
      "measurements, or a population of random ones, for meta-training.\n"
      "Boards: " +
      list_of(hw::simulated_boards()) + "\nWorkloads: " + list_of(hw::simulated_workloads());
  program::CommonOptions common;
  SimulationRequest request;
  std::string device, like, workloads, out, noise = "on";
  program::Count random_devices, random_workloads;
  auto add = manual.options.add_options();
  add("device", po::value(&device)->value_name("BOARD"), "known board to simulate");
  add("like", po::value(&like)->value_name("PROFILES.h5"),
      "a random board for each random workload, with the knobs and modes of the first profile of a file");
  add("workloads", po::value(&workloads)->value_name("A,B"),
      "known workloads; the five of PowerTrain if not given. A+B: the time of A while B runs too, and the "
      "power of both");
  add("grid", po::value(&request.grid)->default_value(request.grid)->value_name("GRID"),
      "modes of a known board: full, the name of a published grid, or a number of modes drawn at random");
  add("random-devices", po::value(&random_devices)->value_name("D"), "number of random boards");
  add("random-workloads", po::value(&random_workloads)->value_name("W"),
      "number of random workloads on every board");
  add("noise", po::value(&noise)->default_value(noise)->value_name("on|off"),
      "noise as large as that of real measurements, or none");
  add("out", po::value(&out)->required()->value_name("FILE"),
      "file of profiles to write; replaces one of that name");
  manual.choices = {{"device", program::names_in(hw::simulated_boards())},
                    {"workloads", program::names_in(hw::simulated_workloads())},
                    {"grid", program::known_grids()},
                    {"noise", {"on", "off"}}};
  const auto given = program::parse(argc, argv, manual, common);
  if (!given) return program::kDone;

  const auto is_given = [&](const char* option) { return given->count(option) > 0; };
  for (const auto& [option, count] :
       {std::pair{"random-devices", random_devices}, {"random-workloads", random_workloads}}) {
    if (is_given(option) && count.value == 0)
      throw program::UsageError(std::string("--") + option +
                                ": expected a population of at least 1, found 0");
  }
  const int boards = is_given("device") + is_given("random-devices") + is_given("like");
  if (boards != 1)
    throw program::UsageError("expected one of --device, --random-devices and --like, found " +
                              std::string(boards == 0   ? "none"
                                          : boards == 2 ? "both of two"
                                                        : "all"));
  if (is_given("like") && !is_given("random-workloads"))
    throw program::UsageError("--like needs --random-workloads");
  if (is_given("workloads") && is_given("random-workloads"))
    throw program::UsageError("expected --workloads or --random-workloads, found both");
  if (!is_given("device") && !(*given)["grid"].defaulted())
    throw program::UsageError("--grid is for a known board; random ones have a grid of their own");
  if (noise != "on" && noise != "off")
    throw program::UsageError("--noise: expected on or off, found '" + noise + "'");
  if (is_given("device")) request.devices = {device};
  if (is_given("workloads"))
    request.workloads = program::list_in("workloads", workloads);
  else if (!is_given("random-workloads"))
    request.workloads = powertrain_workloads();
  request.random_devices = random_devices.value;
  request.random_workloads = random_workloads.value;
  request.noise = noise == "on";
  request.seed = common.seed;
  check_profiles_output(out);
  ProfileStore store;
  if (is_given("like")) {
    program::refuse_overwriting({{"--out", out}}, {like});
    store = population_like(like, request);
  } else {
    if (const auto error = request.error(); !error.empty()) throw program::UsageError(error);
    store = program::as_usage([&] { return generate_profiles(request); });
  }
  write_profiles(out, store);
  const auto report = to_json(store, out);
  if (common.json)
    std::cout << hw::json_text(report) << '\n';
  else if (!common.quiet)
    print(report);
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("simulate", [&] { return simulate(argc, argv); });
}
