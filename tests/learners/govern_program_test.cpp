#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "datasets/csv.hpp"
#include "tests/learners/board_folder.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace govern_program_test {

using nlohmann::json;

const std::string kToy = tests::source_dir() + "/scripts/toy_workload";
const std::string kSimulated = "--device simulated:orin-agx-64 --grid coarse --workload resnet18 ";
const std::string kQuick = " --window-s 0.05 --minibatches 2 --stop-grace-s 1 --learner gp ";

TEST(GovernProgram, OnASimulatedBoardStaysInsideTheBudgetAndWritesWhatItDid) {
  const TempDir dir;
  const auto log = dir / "g.csv", out = dir / "m.csv";
  const auto result = run_program(
      "govern", kSimulated + "--max-power-w 30 --minutes 10 --json --log " + log + " --out " + out);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = json::parse(result.out);
  EXPECT_EQ(report.at("windows"), 120);
  EXPECT_EQ(report.at("rejected"), 0);
  EXPECT_GE(report.at("inside_percent").get<double>(), 95);
  EXPECT_LE(report.at("power_w").get<double>(), 30.5);
  const auto table = datasets::read_csv(log);
  EXPECT_EQ(table.rows.size(), 120U);
  EXPECT_EQ(table.rows.front()[table.column("reason")], "start");
  // What is slow at first is at least twice as fast in the end.
  EXPECT_GT(table.number(0, table.column("time_ms")), 2 * table.number(119, table.column("time_ms")));
  const auto adapted =
      run_program("adapt", "--measurements " + out + " --space orin-agx-64:coarse --out " + (dir / "m.h5"));
  EXPECT_EQ(adapted.code, 0) << adapted.err;
}

TEST(GovernProgram, ABudgetNothingMeetsIsExitCodeThree) {
  const auto result = run_program("govern", kSimulated + "--max-power-w 2 --minutes 1");
  EXPECT_EQ(result.code, 3) << result.err;
}

TEST(GovernProgram, RunsAProgramUntilItEnds) {
  const auto result =
      run_program("govern", kSimulated + kQuick + "--simulated-speed 100 --max-power-w 30 --json -- " + kToy +
                                " --steps 500");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = json::parse(result.out);
  EXPECT_EQ(report.at("program_ended"), true);
  EXPECT_GE(report.at("windows").get<int>(), 3);
}

TEST(GovernProgram, AProgramThatDiesIsReported) {
  const auto result = run_program(
      "govern", kSimulated + kQuick + "--simulated-speed 100 --max-power-w 30 -- " + kToy + " --fail-at 400");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("exited with code 3"), std::string::npos) << result.err;
}

// On a board of files, whose power is 9 W whatever is set. Runs until `enough` lines are in the log.
struct OnABoard {
  BoardFolder board{agx_orin(true)};
  TempDir dir;
  std::string log = dir / "g.csv", out = dir / "m.csv", budget = dir / "budget";

  std::size_t lines() const {
    const auto text = read_text(log);
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  // Starts it; calls during() when some windows are over; then sends the signal. The exit code.
  template <class During>
  int run(int signal, const During& during) {
    const auto command = "exec " + program_command("govern") + kQuick + "--max-power-w 12 --budget-file " +
                         budget + " --root " + board.root() + " --log " + log + " --out " + out + " -- " +
                         kToy + " --step-ms 3 >" + (dir / "out") + " 2>" + (dir / "err") + " </dev/null";
    const auto child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    wait_for(3);
    during();
    kill(child, signal);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void wait_for(std::size_t more) const {
    const auto enough = lines() + more;
    for (int i = 0; i < 600 && lines() < enough; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
};

TEST(GovernProgram, TheKeyboardsInterruptKeepsWhatWasMeasuredAndPutsAllBack) {
  for (const int signal : {SIGINT, SIGTERM}) {
    OnABoard on;
    EXPECT_EQ(on.run(signal, [] {}), 0) << read_text(on.dir / "err");
    EXPECT_EQ(on.board.changes(), "");
    EXPECT_GE(datasets::read_csv(on.log).rows.size(), 3U);
    EXPECT_GE(datasets::read_csv(on.out).rows.size(), 1U);
  }
}

TEST(GovernProgram, ABudgetThatChangesDuringAMeasurementIsFollowed) {
  OnABoard on;
  const int code = on.run(SIGINT, [&] {
    write_text(on.budget, "not a number\n");
    on.wait_for(3);
    write_text(on.budget, "8\n");
    on.wait_for(4);
  });
  const auto said = read_text(on.dir / "err");
  EXPECT_EQ(code, 0) << said;
  EXPECT_NE(said.find(": No such file or directory; the budget stays 12 W"), std::string::npos) << said;
  const auto first = said.find("budget, line 1: expected a number of watts above 0; the budget stays 12 W");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("line 1: expected", first + 20), std::string::npos) << said;  // said once
  EXPECT_EQ(said.find("not a number"), std::string::npos) << said;                  // and not quoted
  const auto table = datasets::read_csv(on.log);
  const auto budget = table.column("budget_w");
  EXPECT_EQ(table.number(0, budget), 12);
  EXPECT_EQ(table.number(table.rows.size() - 1, budget), 8);
  EXPECT_EQ(on.board.changes(), "");
}

TEST(GovernProgram, ABudgetFileIsARegularOneWithOneNumber) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  write_text(dir / "two", "9\n10\n");
  write_text(dir / "large", std::string(5000, '9'));
  write_text(dir / "good", " 29 \n\n");
  for (const auto& [path, says] :
       {std::pair<std::string, std::string>{
            dir / "pipe", "cannot read " + (dir / "pipe") + ": expected a file, found a pipe"},
        {"/dev/zero", "/dev/zero: expected a file, found a device"},
        {dir / "two", dir / "two, line 2: expected nothing more"},
        {dir / "large", "it is larger than 4096 bytes"},
        {dir / "good", ""}}) {
    const auto result = run_program(
        "govern", kSimulated + "--learner gp --max-power-w 30 --minutes 0.5 --json --budget-file " + path);
    EXPECT_EQ(result.code, 0) << path << result.err;
    const auto notices = json::parse(result.out).at("notices");
    ASSERT_EQ(notices.size(), says.empty() ? 0U : 1U) << path;
    if (says.empty()) continue;
    const auto notice = notices.at(0).get<std::string>();
    EXPECT_NE(notice.find(says), std::string::npos) << notice;
    EXPECT_TRUE(notice.ends_with("the budget stays 30 W")) << notice;
  }
}

TEST(GovernProgram, AFullDiskCostsLinesOfTheLogAndNothingElse) {
  const TempDir dir;
  const auto log = dir / "g.csv";
  // Files may have 1024 bytes.
  const auto command = "sh -c 'ulimit -f 2; exec " + program_command("govern") + " " + kSimulated +
                       "--learner gp --max-power-w 30 --minutes 10 --json --log " + log + "' >" +
                       (dir / "out") + " 2>" + (dir / "err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0) << read_text(dir / "err");
  const auto report = json::parse(read_text(dir / "out"));
  EXPECT_EQ(report.at("windows"), 120);
  const auto notices = report.at("notices");
  ASSERT_EQ(notices.size(), 2U) << notices;
  EXPECT_EQ(notices.at(0), log + ": cannot write: File too large; what cannot be written is left out");
  const auto text = read_text(log);
  ASSERT_FALSE(text.empty());
  EXPECT_LE(text.size(), 1024U);
  EXPECT_EQ(text.back(), '\n');
  const auto rows = datasets::read_csv(log).rows.size();
  EXPECT_GT(rows, 5U);
  EXPECT_EQ(notices.at(1), log + ": " + std::to_string(120 - rows) + " lines could not be written");
}

TEST(GovernProgram, ALogThatIsALinkIsLeftAlone) {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "none", dir / "g.csv");
  const auto result = run_program(
      "govern", kSimulated + "--learner gp --max-power-w 30 --minutes 1 --log " + (dir / "g.csv"));
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("g.csv: is there already"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(dir / "none"));
}

TEST(GovernProgram, AProgramThatCannotBeStartedEndsIt) {
  const auto result =
      run_program("govern", kSimulated + "--max-power-w 30 --window-s 0.1 -- /no/such/program");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("cannot be started"), std::string::npos) << result.err;
}

TEST(GovernProgram, WhatWasNotMeasuredIsSaidInWords) {
  const auto result = run_program(
      "govern", kSimulated +
                    "--max-power-w 30 --learner gp --window-s 0.1 --start-s 0.2 --step-timeout-s 0.2 "
                    "--stop-grace-s 1 --minutes 0.03 -- /bin/sleep 1000");
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.err.find("nothing measured, budget 30 W  "), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("nan"), std::string::npos) << result.err;
}

TEST(GovernProgram, ListsAndTakesTheGovernorsOptions) {
  const auto listed = run_program("govern", "--list-options governor");
  EXPECT_EQ(listed.code, 0) << listed.err;
  EXPECT_NE(listed.out.find("governor.kept = 0.5"), std::string::npos) << listed.out;
  const auto power_w = [](const std::string& more) {
    const auto result =
        run_program("govern", kSimulated + "--learner gp --max-power-w 30 --minutes 2 --json " + more);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out).at("power_w").get<double>();
  };
  EXPECT_NE(power_w("--set governor.candidates=3"), power_w(""));
}

TEST(GovernProgram, RefusesBadInput) {
  const TempDir dir;
  const auto refused = [](const std::string& arguments, const std::string& part) {
    const auto result = run_program("govern", arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  };
  refused("-- true", "max-power-w");
  refused(kSimulated + "--max-power-w 0 --minutes 1", "--max-power-w");
  refused(kSimulated + "--max-power-w 30", "--minutes");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --forget 0", "fewwatt govern: --forget must be above 0");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --window-s 0", "--window-s must be > 0");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --confidence 1", "--confidence");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --learner physics", "uncertainty");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --learner nobody", "unknown learner");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --set governor.kept=2", "governor.kept must be in");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --set governor.hope=1",
          "governor has no option governor.hope; it has governor.kept, ");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --learner gp --set hope=1", "gp has no option hope");
  refused("--device toaster --max-power-w 30 -- true", "--device");
  refused("--device simulated:orin-agx-64 --max-power-w 30 --minutes 1", "--workload");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --out " + (dir / "none/m.csv"), "no such folder");
  for (const char* minutes : {"0", "-1", "nan"})
    refused(kSimulated + "--max-power-w 30 --minutes " + minutes, "--minutes must be > 0");
  refused("--max-power-w 30 --minutes 0 -- true", "--minutes must be > 0");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --log " + (dir / "g") + " --out " + (dir / "./g"),
          "--out " + (dir / "./g") + " is the file of --log too");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --budget-file " + (dir / "b") + " --log " + (dir / "b"),
          "--log " + (dir / "b") + " is also a file to read from");
  refused(kSimulated + "--max-power-w 30 --minutes 1 --start-s 5", "--start-s: no program is run here");
  refused("--max-power-w 30 --workload w -- true", "--workload: with --device jetson");
  write_text(dir / "g.csv", "kept");
  const auto there =
      run_program("govern", kSimulated + "--max-power-w 30 --minutes 1 --log " + (dir / "g.csv"));
  EXPECT_EQ(there.code, 1);
  EXPECT_EQ(read_text(dir / "g.csv"), "kept");
}

}  // namespace govern_program_test
}  // namespace fewwatt::tests
