// Agents in fewwatt profile and govern, on simulated, replayed and fake boards.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "datasets/csv.hpp"
#include "datasets/profile_io.hpp"
#include "hw/modules.hpp"
#include "learners/checkpoint_io.hpp"
#include "tests/learners/board_folder.hpp"
#include "tests/learners/made_checkpoints.hpp"
#include "tests/learners/made_policies.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace agent_program_test {

using nlohmann::json;
using tasks::ModeActionKind;
using tasks::ModeTask;

const std::string kToy = tests::source_dir() + "/scripts/toy_workload";
const std::string kSimulated = "--device simulated:orin-agx-64 --grid coarse --workload resnet18 ";
const std::string kQuick = " --window-s 0.05 --minibatches 2 --stop-grace-s 1 --learner gp ";

hw::PowerModeSpace orin() {
  return hw::module_space("orin-agx-64", "coarse");
}

learners::PolicyModel agent(ModeTask task, ModeActionKind actions = ModeActionKind::jump) {
  auto model = made_mode_policy(orin());
  model.mdp->task = task;
  model.mdp->actions = actions;
  model.mdp->measurements = 8;
  model.mdp->candidates = 100;
  return model;
}

// Files of one test.
struct Files {
  TempDir dir;
  std::string find = dir / "find.h5", run = dir / "run.h5", other = dir / "other.h5", cart = dir / "cart.h5",
              learner = dir / "learner.h5", out = dir / "p.h5";
  Files() {
    using learners::write_checkpoint;
    write_checkpoint(find, agent(ModeTask::find).to_checkpoint());
    write_checkpoint(run, agent(ModeTask::run, ModeActionKind::move).to_checkpoint());
    auto gpu_only = agent(ModeTask::run);
    gpu_only.knobs = "clock/gpu";
    write_checkpoint(other, gpu_only.to_checkpoint());
    write_checkpoint(cart, made_policy({.observation = 4, .action = 2}).to_checkpoint());
    write_checkpoint(learner, random_fine_tune(orin()));
  }
  // Profiles `modes` modes of the simulated board, changed by `change`, and how to replay them.
  template <class Change>
  std::string replayed(std::size_t modes, Change change) const {
    const auto path = dir / "known.h5";
    const auto measured =
        run_program("profile", kSimulated + "--modes " + std::to_string(modes) + " -q --out " + path);
    EXPECT_EQ(measured.code, 0) << measured.err;
    auto store = datasets::read_profiles(path);
    for (auto& profile : store.profiles) change(profile);
    datasets::write_profiles(path, store);
    return "--device replay --profiles " + path + " --profiled-device orin-agx-64 --workload resnet18 ";
  }
  std::string replayed(std::size_t modes) const {
    return replayed(modes, [](datasets::Profile&) {});
  }
  ProgramResult profile(const std::string& device, const std::string& file, const std::string& more) const {
    return run_program("profile", device + "--goal fastest --search agent:" + file + " --learner gp --out " +
                                      out + " " + more);
  }
};

void without_power(datasets::Profile& profile) {
  for (auto& one : profile.measurements) one.power_w = std::nan("");
  profile.power_std_w.clear();
  profile.power_true_w.clear();
}

void without_time(datasets::Profile& profile) {
  for (auto& one : profile.measurements) one.time_ms = std::nan("");
  profile.time_std_ms.clear();
  profile.time_true_ms.clear();
}

// A result with the exit code, whose one sentence names the file and says so.
void expect_refused(const ProgramResult& result, int code, const std::string& file, const std::string& says) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_NE(result.err.find(file), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(says), std::string::npos) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

// ---- profile ----

TEST(AgentProgram, ProfileFindsAModeOfASimulatedBoard) {
  const Files files;
  const auto found = files.profile(kSimulated, files.find, "--max-power-w 30 --measurements 8 --json -q");
  ASSERT_EQ(found.code, 0) << found.err;
  const auto report = json::parse(found.out);
  EXPECT_EQ(report["measured"], 8);
  EXPECT_TRUE(report["goal"]["fits"]);
  EXPECT_TRUE(report["goal"]["measured"]);
  EXPECT_LE(report["goal"]["power_w"].get<double>(), 30);
  EXPECT_FALSE(std::filesystem::exists(files.out + ".log"));
}

// An agent for the task find ends after as many measurements as it was trained with; one for run does not.
TEST(AgentProgram, ProfileMeasuresAsManyModesAsTheAgentWants) {
  const Files files;
  for (const auto& [file, measured] : {std::pair(files.find, 8), {files.run, 12}}) {
    const auto result = files.profile(kSimulated, file, "--max-power-w 30 --measurements 12 --json -q");
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json::parse(result.out)["measured"], measured);
    std::filesystem::remove(files.out);
  }
}

// Times that a text is in another.
int count_of(const std::string& text, const std::string& in) {
  int count = 0;
  for (auto at = in.find(text); at != std::string::npos; at = in.find(text, at + text.size())) ++count;
  return count;
}

TEST(AgentProgram, ProfilePlansNoMoreThanTheAgentWasTrainedFor) {
  const Files files;
  const auto said = files.find + " was trained for 8 measurements: 8 are planned, not ";
  struct Case {
    std::string file, asked;
    int planned;
    std::string notice;  // "": none
  };
  for (const auto& [file, asked, planned, notice] : {Case{files.find, "--measurements 12", 8, said + "12"},
                                                     {files.find, "--modes 9", 8, said + "9"},
                                                     {files.find, "--measurements 8", 8, ""},
                                                     {files.find, "--measurements 3", 3, ""},
                                                     {files.find, "", 8, ""},
                                                     {files.run, "--measurements 12", 12, ""}}) {
    const auto result = files.profile(kSimulated, file, "--max-power-w 30 --json " + asked);
    ASSERT_EQ(result.code, 0) << asked << ": " << result.err;
    const auto report = json::parse(result.out);
    EXPECT_EQ(report["measured"], planned) << asked;
    const auto of = '/' + std::to_string(planned) + "  ";
    EXPECT_TRUE(result.err.find("1" + of) != std::string::npos &&
                result.err.find(std::to_string(planned) + of) != std::string::npos)
        << result.err;
    EXPECT_EQ(count_of(" was trained for ", result.err), notice.empty() ? 0 : 1) << result.err;
    EXPECT_NE(result.err.find(notice + '\n'), std::string::npos) << result.err;
    int listed = 0;
    for (const auto& one : report["notices"]) {
      if (one.get<std::string>().find(" was trained for ") == std::string::npos) continue;
      EXPECT_EQ(one, notice);
      ++listed;
    }
    EXPECT_EQ(listed, notice.empty() ? 0 : 1) << result.out;
    std::filesystem::remove(files.out);
  }
  const auto quiet = files.profile(kSimulated, files.find, "--max-power-w 30 --measurements 12 --quiet");
  ASSERT_EQ(quiet.code, 0) << quiet.err;
  EXPECT_EQ(quiet.err, "");
}

TEST(AgentProgram, ProfileGoesOnWhereItEnded) {
  const Files files;
  const std::string more = "--max-power-w 30 --measurements 8 --json -q ";
  ASSERT_EQ(files.profile(kSimulated, files.find, more).code, 0);
  const auto whole = datasets::read_profiles(files.out).profiles.at(0);
  std::filesystem::remove(files.out);
  const auto cut = files.profile(kSimulated, files.find, more + "--max-s 0.000001");
  EXPECT_TRUE(json::parse(cut.out)["out_of_time"]);
  const auto other = files.profile(kSimulated, files.run, more + "--resume");
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("search: 'agent:" + files.find + "' in the log, now"), std::string::npos)
      << other.err;
  const auto resumed = files.profile(kSimulated, files.find, more + "--resume");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(datasets::read_profiles(files.out).profiles.at(0).modes, whole.modes);
}

TEST(AgentProgram, ProfileOnAReplayedProfileAndInOneMode) {
  const Files files;
  for (const std::size_t modes : {20, 1}) {
    const auto replayed = files.replayed(modes);
    const auto result = files.profile(replayed, files.find, "--max-power-w 100 --measurements 8 --json -q");
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json::parse(result.out)["measured"], modes == 1 ? 1 : 8);
    EXPECT_TRUE(json::parse(result.out)["goal"]["fits"]);
    std::filesystem::remove(files.out);
    std::filesystem::remove(files.dir / "known.h5");
  }
}

TEST(AgentProgram, ProfileOnAFakeBoardPutsAllBack) {
  const Files files;
  const BoardFolder board;
  const auto result = run_program(
      "profile", "--device jetson --root " + board.root() + " --workload toy --counters-s 0" + kQuick +
                     "--goal fastest --max-power-w 12 --measurements 3 --json -q --search agent:" +
                     files.run + " --out " + files.out + " -- " + kToy + " --step-ms 3");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = json::parse(result.out);
  EXPECT_EQ(report["measured"], 3);
  EXPECT_NEAR(report["goal"]["power_w"].get<double>(), 9, 1e-9);
  EXPECT_EQ(board.changes(), "");
}

TEST(AgentProgram, ProfileSaysWhereNoModeIsInsideTheBudget) {
  const Files files;
  const auto below = files.profile(kSimulated, files.find, "--max-power-w 1 --measurements 8");
  EXPECT_EQ(below.code, 3) << below.err;
  EXPECT_NE(below.out.find("no measured mode is within the limits with probability 0.9; nearest: "),
            std::string::npos)
      << below.out;
}

TEST(AgentProgram, ProfileWithoutPowerOrTimeKnowsNoModeInside) {
  for (const bool power : {false, true}) {
    const Files files;
    const auto replayed = files.replayed(20, power ? without_time : without_power);
    const auto result = files.profile(replayed, files.find, "--max-power-w 30 --measurements 8 --json -q");
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_FALSE(json::parse(result.out)["goal"]["fits"]);
  }
}

TEST(AgentProgram, ProfileRefusesFilesThatAreNoAgentForTheBoard) {
  const Files files;
  const auto refused = [&](const std::string& file, const std::string& says) {
    expect_refused(files.profile(kSimulated, file, "--max-power-w 30"), 1, file, says);
    EXPECT_FALSE(std::filesystem::exists(files.out));
    EXPECT_FALSE(std::filesystem::exists(files.out + ".log"));
  };
  refused(files.learner,
          "is the initializer of the learner fine_tune, which --init takes; expected an agent");
  refused(files.other, "but the agent was trained with clock/gpu");
  refused(files.cart, "expected an agent for power modes");
  refused(files.dir / "none.h5", "none.h5");
  write_text(files.dir / "text.h5", "no agent");
  refused(files.dir / "text.h5", "text.h5");
}

TEST(AgentProgram, AnAgentIsNoInitializer) {
  const Files files;
  const std::string says = ": is an agent, and --init takes the initializer of a learner";
  const auto init = "--init " + files.find + " ";
  expect_refused(
      run_program("profile", kSimulated + "--goal fastest --max-power-w 30 " + init + "--out " + files.out),
      1, files.find, says);
  expect_refused(run_program("govern", kSimulated + "--max-power-w 30 --minutes 1 " + init), 1, files.find,
                 says);
  write_text(files.dir / "m.csv",
             "cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n4,729600,318750,665600,412,11.2\n");
  expect_refused(run_program("adapt", "--measurements " + (files.dir / "m.csv") +
                                          " --space orin-agx-64:coarse " + init + "--out " + files.out),
                 1, files.find, says);
}

TEST(AgentProgram, ProfileRefusesWhatAnAgentCannotDo) {
  const Files files;
  const auto with = "--search agent:" + files.find + " ";
  for (const auto& [arguments, says] :
       {std::pair<std::string, std::string>{with + "--goal energy", "--goal must be fastest"},
        {with + "--goal fastest --max-time-ms 100", "--max-time-ms and --max-energy-j: "},
        {with + "--goal fastest --learner physics", "physics gives no uncertainty"},
        {with + "--goal fastest --stop-gain 0.1", "--stop-gain"},
        {with + "--goal fastest --set search.pool=9", "search agent goes by no option"},
        {with + "--goal fastest --confidence 1", "--confidence must be in [0.5, 1)"},
        {with, "--search: it goes with --goal"},
        {"--search agent: --goal fastest", "--search agent:FILE: FILE is missing"},
        {"--search climb --goal fastest", "or agent:FILE, found climb"}}) {
    const auto result = run_program("profile", kSimulated + arguments + " --out " + files.out);
    EXPECT_EQ(result.code, 2) << arguments << result.err;
    EXPECT_NE(result.err.find(says), std::string::npos) << result.err;
  }
  const auto onto = run_program("profile", kSimulated + with + "--goal fastest --out " + files.find);
  EXPECT_EQ(onto.code, 2) << onto.err;
  EXPECT_FALSE(std::filesystem::exists(files.out + ".log"));
}

// ---- govern ----

TEST(AgentProgram, GovernLetsTheAgentMoveInsideTheGovernorsLimits) {
  const Files files;
  const auto log = files.dir / "g.csv", measured = files.dir / "m.csv";
  const auto result =
      run_program("govern", kSimulated + "--learner gp --max-power-w 30 --minutes 5 --json --agent " +
                                files.run + " --log " + log + " --out " + measured);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["windows"], 60);
  const auto table = datasets::read_csv(log);
  ASSERT_EQ(table.rows.size(), 60u);
  const auto reason = table.column("reason"), power = table.column("power_w");
  int agents = 0, twice = 0;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    agents += table.rows[i][reason] == "agent" ? 1 : 0;
    twice += i > 0 && table.number(i, power) > 30 && table.number(i - 1, power) > 30 ? 1 : 0;
  }
  EXPECT_GE(agents, 2);
  EXPECT_LE(twice, 2);
  EXPECT_GE(datasets::read_csv(measured).rows.size(), 1u);
}

TEST(AgentProgram, GovernOnAReplayedProfileAndInOneMode) {
  const Files files;
  for (const std::size_t modes : {20, 1}) {
    const auto replayed = files.replayed(modes);
    const auto result = run_program(
        "govern", replayed + "--learner gp --max-power-w 100 --minutes 1 --json --agent " + files.run);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json::parse(result.out)["windows"], 12);
    std::filesystem::remove(files.dir / "known.h5");
  }
}

TEST(AgentProgram, GovernOnAFakeBoardPutsAllBack) {
  const Files files;
  const BoardFolder board;
  const auto log = files.dir / "g.csv";
  const auto result =
      run_program("govern", kQuick + "--max-power-w 12 --json --root " + board.root() + " --agent " +
                                files.run + " --log " + log + " -- " + kToy + " --step-ms 3 --steps 600");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["program_ended"], true);
  const auto table = datasets::read_csv(log);
  ASSERT_FALSE(table.rows.empty());
  EXPECT_EQ(table.rows.front()[table.column("reason")], "agent");
  EXPECT_EQ(board.changes(), "");
}

TEST(AgentProgram, GovernSaysWhereTheBudgetIsBelowEveryModeOrNothingIsKnown) {
  const Files files;
  const auto with = " --learner gp --minutes 1 --agent " + files.run;
  const auto below = run_program("govern", kSimulated + "--max-power-w 2" + with);
  EXPECT_EQ(below.code, 3) << below.err;
  const auto unknown = run_program("govern", files.replayed(20, without_power) + "--max-power-w 30" + with);
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("no window had both a time and a power"), std::string::npos) << unknown.err;
}

TEST(AgentProgram, GovernRefusesFilesThatAreNoAgentForIt) {
  const Files files;
  const auto refused = [&](const std::string& file, const std::string& says) {
    expect_refused(
        run_program("govern", kSimulated + "--learner gp --max-power-w 30 --minutes 1 --agent " + file), 1,
        file, says);
  };
  refused(files.find, "the agent was trained for the task find, and govern needs one for run");
  refused(files.learner, "is the initializer of the learner fine_tune");
  refused(files.other, "but the agent was trained with clock/gpu");
  refused(files.cart, "expected an agent for power modes");
  refused(files.dir / "none.h5", "none.h5");
  const auto onto = run_program(
      "govern", kSimulated + "--max-power-w 30 --minutes 1 --agent " + files.run + " --out " + files.run);
  EXPECT_EQ(onto.code, 2) << onto.err;
}

}  // namespace agent_program_test
}  // namespace fewwatt::tests
