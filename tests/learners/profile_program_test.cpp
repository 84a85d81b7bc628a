#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "datasets/profile_io.hpp"
#include "hw/readable.hpp"
#include "tests/learners/board_folder.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace profile_program_test {

using nlohmann::json;

const std::string kToy = tests::source_dir() + "/scripts/toy_workload";
const std::string kSimulated = "--device simulated:orin-agx-64 --grid coarse --workload resnet18 ";
// As fast as it goes: a power sensor that averages over 1 ms, two steps a mode.
const std::string kQuick = " --window-s 0.05 --minibatches 2 --stop-grace-s 1 --counters-s 0 ";

std::string options_of(const BoardFolder& board) {
  return " --device jetson --root " + board.root() + " --workload toy" + kQuick;
}

json inspected(const std::string& path) {
  return json::parse(run_program("inspect", path + " --json").out);
}

TEST(ProfileProgram, FromAProgramToAMeasuredModeWithoutABoard) {
  const TempDir dir;
  const auto profile = dir / "p.h5", model = dir / "m.h5";
  const auto measured =
      run_program("profile", kSimulated + "--modes 6 --simulated-speed 100 --out " + profile + " -- " + kToy);
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_NE(measured.out.find("6 modes measured"), std::string::npos) << measured.out;
  const auto adapted =
      run_program("adapt", "--learner physics --profiles " + profile +
                               " --device orin-agx-64 --workload resnet18 --shots 6 --out " + model);
  ASSERT_EQ(adapted.code, 0) << adapted.err;
  const auto chosen = run_program("optimize", "--model " + model + " --max-power-w 30 --json");
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  const auto mode = json::parse(chosen.out).at("mode");
  std::string settings;
  for (const auto& [knob, setting] : mode.items())
    settings += (settings.empty() ? "" : ",") + knob + '=' + std::to_string(setting.get<int>());

  const BoardFolder board(agx_orin(false));
  const auto applied = run_program("device", "apply --mode " + settings + " --root " + board.root());
  ASSERT_EQ(applied.code, 0) << applied.err;
  const auto now = json::parse(run_program("device", "show --json --root " + board.root()).out).at("now");
  EXPECT_EQ(now, mode);
  ASSERT_EQ(run_program("device", "restore --root " + board.root()).code, 0);
  EXPECT_EQ(board.changes(), "");
}

TEST(ProfileProgram, MeasuredTimesAreTheProgramsOwn) {
  const TempDir dir;
  const auto profile = dir / "p.h5", csv = dir / "p.csv";
  ASSERT_EQ(
      run_program("profile", kSimulated + "--modes 3 --simulated-speed 20 --out " + profile + " -- " + kToy)
          .code,
      0);
  // Without a program the simulated board tells them itself.
  const auto told = dir / "q.h5";
  ASSERT_EQ(run_program("profile", kSimulated + "--modes 3 --out " + told).code, 0);
  const auto median = [](const std::string& path) {
    return inspected(path).at("profiles").at(0).at("time_ms").at("median").get<double>();
  };
  const double measured_ms = median(profile), true_ms = median(told);
  EXPECT_GE(measured_ms, true_ms);  // a program sleeps no less than it is told to
  EXPECT_LE(measured_ms, 10 * true_ms);
}

TEST(ProfileProgram, OnABoardAllIsPutBack) {
  const TempDir dir;
  const BoardFolder board;
  const auto result = run_program("profile", options_of(board) + "--modes 3 --json --out " + (dir / "p.h5") +
                                                 " -- " + kToy + " --step-ms 3");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = json::parse(result.out);
  EXPECT_EQ(report.at("measured"), 3);
  EXPECT_EQ(report.at("not_put_back"), json::array());
  EXPECT_EQ(board.changes(), "");
  const auto row = inspected(dir / "p.h5").at("profiles").at(0);
  EXPECT_DOUBLE_EQ(row.at("power_w").at("median").get<double>(), 9);
}

TEST(ProfileProgram, AProgramThatDiesIsReportedWithItsLastLines) {
  const TempDir dir;
  const BoardFolder board;
  const auto out = " --out " + (dir / "p.h5");
  const std::string dies = " -- /bin/sh -c 'echo out of memory; exit 7'";
  const auto stopped = run_program("profile", options_of(board) + "--modes 3" + out + dies);
  EXPECT_EQ(stopped.code, 1);
  EXPECT_NE(stopped.err.find("exited with code 7"), std::string::npos) << stopped.err;
  EXPECT_NE(stopped.err.find("out of memory"), std::string::npos) << stopped.err;
  EXPECT_EQ(board.changes(), "");
  const auto went_on = run_program(
      "profile", options_of(board) + "--modes 2 --retries 0 --go-on --json --resume" + out + dies);
  EXPECT_EQ(went_on.code, 1);  // nothing was measured
  EXPECT_EQ(json::parse(went_on.out).at("given_up").size(), 2U);
}

TEST(ProfileProgram, TheProgramGetsSignalsAsTheyWere) {
  const TempDir dir;
  const std::string asks = "grep SigIgn /proc/self/status";
  // Those ignored, as bits. Signals 32 and 33 are the C library's own.
  const auto ignored = [&](const std::string& command) {
    const auto line = "sh -c '" + command + "' >" + (dir / "said") + " 2>&1";
    [[maybe_unused]] const int status = std::system(line.c_str());
    const auto text = read_text(dir / "said");
    const auto at = text.find("SigIgn:\t");
    EXPECT_NE(at, std::string::npos) << text;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + 8, 16), nullptr, 16) & 0x7fffffff;
  };
  for (const std::string before : {"", "trap \"\" HUP USR1; ", "trap \"\" PIPE XFSZ; "})
    EXPECT_EQ(ignored(before + "exec " + program_command("profile") + " " + kSimulated +
                      "--modes 1 --retries 0 --simulated-speed 100 --out " + (dir / "p.h5") +
                      std::to_string(before.size()) + " -- " + asks),
              ignored(before + "exec " + asks))
        << before;
}

TEST(ProfileProgram, AProgramThatIsSilentOrClosesTheDescriptorTimesOutOrEnds) {
  const TempDir dir;
  const BoardFolder board;
  const auto run = [&](const std::string& name, const std::string& start, const std::string& patience,
                       const std::string& program) {
    return run_program("profile", options_of(board) + "--modes 1 --retries 0 --start-s " + start +
                                      " --step-timeout-s " + patience + " --out " + (dir / name) + " -- " +
                                      program);
  };
  const auto silent = run("a.h5", "0.2", "20", "sleep 30");
  EXPECT_EQ(silent.code, 1);
  EXPECT_NE(silent.err.find("no step was reported"), std::string::npos) << silent.err;
  const auto closed = run("b.h5", "20", "20", kToy + " --step-ms 2 --close-at 5");
  EXPECT_EQ(closed.code, 1);
  EXPECT_NE(closed.err.find("closed"), std::string::npos) << closed.err;
  const auto hangs = run("c.h5", "20", "0.5", kToy + " --step-ms 100 --hang-at 6 --ignore-term");
  EXPECT_EQ(hangs.code, 1);
  EXPECT_NE(hangs.err.find("the time was over after"), std::string::npos) << hangs.err;
  EXPECT_EQ(board.changes(), "");
}

// scripts/fewwatt_steps.py
TEST(ProfileProgram, KeepsWhatDescribeHasSavedOfANetwork) {
  const TempDir dir;
  const BoardFolder board;
  const auto saves =
      "cd '" + source_dir() +
      "/scripts' && python3 -B -c 'from fewwatt_steps import Characteristics\n"
      "Characteristics(batch_size=16, layers=18, parameters=11689512, flops=1814073344).save(\"" +
      (dir / "net.ini") + "\")'";
  ASSERT_EQ(std::system(saves.c_str()), 0);
  const auto result = run_program("profile", options_of(board) + "--modes 1 --config " + (dir / "net.ini") +
                                                 " --out " + (dir / "p.h5") + " -- " + kToy + " --step-ms 3");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto attributes = inspected(dir / "p.h5").at("profiles").at(0).at("attributes");
  EXPECT_EQ(attributes.at("batch_size"), 16);
  EXPECT_EQ(attributes.at("layers"), 18);
  EXPECT_EQ(attributes.at("parameters"), 11689512);
  EXPECT_EQ(attributes.at("flops"), 1814073344);
}

TEST(ProfileProgram, GarbageOnTheDescriptorIsNoStepAndIsReported) {
  const TempDir dir;
  const BoardFolder board;
  const auto result = run_program("profile", options_of(board) + "--modes 1 --out " + (dir / "p.h5") +
                                                 " -- " + kToy + " --step-ms 3 --garbage");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("no newlines"), std::string::npos) << result.err;
}

TEST(ProfileProgram, SignalsEndARunAndAllIsPutBack) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const TempDir dir;
    const BoardFolder board;
    const auto out = dir / "p.h5";
    const pid_t child = ::fork();
    if (child == 0) {
      ::freopen("/dev/null", "w", stdout);
      ::freopen("/dev/null", "w", stderr);
      ::execl("/bin/sh", "sh", "-c",
              ("exec " + program_command("profile") + " " + options_of(board) + "--modes 1000 --out " + out +
               " -- " + kToy + " --step-ms 3")
                  .c_str(),
              static_cast<char*>(nullptr));
      ::_exit(127);
    }
    for (int i = 0; i < 300 && board.changes().empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_NE(board.changes(), "");
    ::kill(child, signal);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << signal;
    EXPECT_EQ(board.changes(), "") << signal;
  }
}

TEST(ProfileProgram, MeasurementsThatThrottlingSpoiledAreRejected) {
  const TempDir dir;
  const auto run = [&](BoardFolder& board, const std::string& name, const std::string& options = "") {
    return run_program("profile", options_of(board) + options + " --modes 1 --retries 1 --out " +
                                      (dir / name) + " -- " + kToy + " --step-ms 3");
  };
  BoardFolder cooling;
  cooling.put("/sys/class/thermal/cooling_device1/cur_state", "1\n");
  const auto throttled = run(cooling, "a.h5", "--cool-s 0.3");
  EXPECT_EQ(throttled.code, 1);
  EXPECT_NE(throttled.err.find("gpu-throttle-alert"), std::string::npos) << throttled.err;
  EXPECT_NE(read_text((dir / "a.h5.log")).find("status=cooling-device"), std::string::npos);

  BoardFolder hot;
  hot.put("/sys/class/thermal/thermal_zone3/temp", "98500\n");
  const auto waited = run(hot, "b.h5", "--cool-s 0.3");
  EXPECT_EQ(waited.code, 1);
  EXPECT_NE(waited.err.find("trip-temperature"), std::string::npos) << waited.err;
}

TEST(ProfileProgram, AnOverCurrentEventDuringTheRunIsNoticed) {
  const TempDir dir;
  const BoardFolder board;
  const auto counter = board.root() + "/sys/devices/platform/soctherm-oc-event/hwmon/hwmon9/oc2_event_cnt";
  // The program counts the events up; as on a board, nobody ever reads half a counter.
  const auto program = dir / "program";
  write_text(program, "#!/bin/sh\ni=0\nwhile sleep 0.003; do i=$((i + 1)); echo $i >" + counter +
                          ".new; mv " + counter + ".new " + counter + "; echo >&$FEWWATT_STEP_FD; done\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto result = run_program(
      "profile", options_of(board) + "--modes 1 --retries 0 --out " + (dir / "p.h5") + " -- " + program);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("over-current"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("oc2_event_cnt"), std::string::npos) << result.err;
}

TEST(ProfileProgram, AClockThatSomebodyElseSetsDuringTheRunIsNoticed) {
  const TempDir dir;
  const BoardFolder board;
  const auto clock = board.root() + "/sys/devices/platform/17000000.gpu/devfreq/17000000.gpu/max_freq";
  const auto program = dir / "program";
  // Once, right after the mode was set, while the program warms up.
  write_text(program, "#!/bin/sh\ni=0\nwhile sleep 0.003; do i=$((i + 1)); [ $i = 8 ] && echo 306000000 >" +
                          clock + "; echo >&$FEWWATT_STEP_FD; done\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto result = run_program(
      "profile", options_of(board) + "--modes 1 --retries 0 --out " + (dir / "p.h5") + " -- " + program);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("clocks-changed"), std::string::npos) << result.err;
  EXPECT_EQ(board.changes(), "");
}

TEST(ProfileProgram, AProgramThatEndsByItselfIsStartedAgain) {
  const TempDir dir;
  const BoardFolder board;
  const auto run = [&](const std::string& name, const std::string& program) {
    return run_program("profile", options_of(board) + "--modes 2 --out " + (dir / name) + " -- " + program);
  };
  // Ends by itself after too few steps the first time, and never again, however slow the machine.
  const auto program = dir / "program", starts = dir / "starts";
  write_text(program, "#!/bin/sh\necho >>" + starts + "\n[ $(wc -l <" + starts + ") = 1 ] && exec " + kToy +
                          " --step-ms 3 --steps 5\nexec " + kToy + " --step-ms 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto enough = run("a.h5", program);
  EXPECT_EQ(enough.code, 0) << enough.err;
  EXPECT_GE(read_text(starts).size(), 2U);
  const auto too_few = run("b.h5", kToy + " --step-ms 3 --steps 5");
  EXPECT_EQ(too_few.code, 1);
  EXPECT_NE(too_few.err.find("let it run longer"), std::string::npos) << too_few.err;
}

TEST(ProfileProgram, LaunchersThatCloseDescriptorsAreNoHindrance) {
  const TempDir dir;
  write_text(dir / "launch.py", "import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:]))\n");
  write_text(dir / "replace.py",
             "import os, sys\nos.closerange(3, 256)\nos.execv(sys.argv[1], sys.argv[1:])\n");
  write_text(dir / "launch.sh", "\"$@\" 3>&-\n");
  for (const std::string& launcher :
       {"python3 " + (dir / "launch.py"), "python3 " + (dir / "replace.py"),
        "python3 " + (dir / "launch.py") + " python3 " + (dir / "launch.py"), "sh " + (dir / "launch.sh")}) {
    const auto result = run_program("profile", kSimulated + "--modes 1 --simulated-speed 100 --out " +
                                                   (dir / "p.h5") + " -- " + launcher + ' ' + kToy);
    EXPECT_EQ(result.code, 0) << launcher << result.err;
    std::filesystem::remove(dir / "p.h5");
  }
}

TEST(ProfileProgram, ABoardWhoseNamesAreNotUtf8IsMeasured) {
  const TempDir dir;
  auto fake = agx_orin(true);
  fake.model = "Jetson \xff\xfe Orin";
  fake.sensors[1].rails[1].label = "VDDQ_\xc3";
  const BoardFolder board(fake);
  const auto out = dir / "p.h5";
  const auto result = run_program(
      "profile", options_of(board) + "--modes 1 --json --out " + out + " -- " + kToy + " --step-ms 3");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("measured"), 1);
  EXPECT_EQ(inspected(out).at("devices").at("jetson----orin").at("board"), "Jetson \\xff\\xfe Orin");
}

// Within ten seconds of the program's start, long before it would time out.
TEST(ProfileProgram, WhereNoStepCanComeWhatWasClosedIsNamed) {
  const TempDir dir;
  write_text(dir / "launch.py", "import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:], env={}))\n");
  const auto started = std::chrono::steady_clock::now();
  const auto stripped = run_program("profile", kSimulated + "--modes 1 --out " + (dir / "a.h5") +
                                                   " -- python3 " + (dir / "launch.py") + " /bin/sleep 1000");
  EXPECT_EQ(stripped.code, 1);
  EXPECT_NE(stripped.err.find("no step can be reported: "), std::string::npos) << stripped.err;
  EXPECT_NE(stripped.err.find("no-steps: "), std::string::npos) << stripped.err;
  EXPECT_EQ(stripped.err.find("program-died"), std::string::npos) << stripped.err;
  EXPECT_NE(read_text(dir / "a.h5.log").find("status=no-steps"), std::string::npos);
  EXPECT_NE(stripped.err.find("(sleep 1000) has not got the descriptor of FEWWATT_STEP_FD"),
            std::string::npos)
      << stripped.err;
  EXPECT_NE(stripped.err.find("launch.py sleep 1000), which started it, closed it"), std::string::npos)
      << stripped.err;
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(120));
  // It might use the other way yet.
  const auto kept = run_program("profile", kSimulated + "--modes 1 --retries 0 --start-s 9 --out " +
                                               (dir / "b.h5") + " -- sh -c '/bin/sleep 1000 3>&-; true'");
  EXPECT_EQ(kept.code, 1);
  EXPECT_NE(kept.err.find("no step was reported yet: process"), std::string::npos) << kept.err;
  EXPECT_NE(kept.err.find("it may open FEWWATT_STEP_PATH instead"), std::string::npos) << kept.err;
}

TEST(ProfileProgram, AnEnvironmentThatWasWipedIsNamed) {
  const TempDir dir;
  for (const std::string program : {"env -i /bin/sleep 1000", "sh -c 'env -i /bin/sleep 1000; true'"}) {
    const auto wiped = run_program("profile", kSimulated + "--modes 1 --retries 0 --start-s 9 --out " +
                                                  (dir / "p.h5") + " -- " + program);
    EXPECT_EQ(wiped.code, 1);
    EXPECT_NE(wiped.err.find("no step was reported yet: process"), std::string::npos) << wiped.err;
    EXPECT_NE(wiped.err.find("has neither FEWWATT_STEP_FD nor FEWWATT_STEP_PATH in its environment"),
              std::string::npos)
        << wiped.err;
    std::filesystem::remove(dir / "p.h5.log");
  }
}

TEST(ProfileProgram, AFloodOfNewlinesIsNoStreamOfSteps) {
  const TempDir dir;
  const BoardFolder board;
  const auto result = run_program("profile", " --device jetson --root " + board.root() +
                                                 " --workload toy --modes 1 --retries 0 --out " +
                                                 (dir / "p.h5") + " -- /bin/sh -c 'exec yes \"\" >&3'");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("no minibatches"), std::string::npos) << result.err;
  EXPECT_EQ(board.changes(), "");
}

TEST(ProfileProgram, AHotBoardCoolsWhileTheProgramStandsStill) {
  const TempDir dir;
  const BoardFolder board;
  const auto zone = board.root() + "/sys/class/thermal/thermal_zone3/temp";
  // Heats the board in its first mode, and notes the longest time without a step.
  const auto program = dir / "program", gap = dir / "gap";
  write_text(program, R"(#!/usr/bin/env python3
import os, time
fd, last, longest, steps = int(os.environ['FEWWATT_STEP_FD']), time.time(), 0, 0
while True:
    time.sleep(0.003)
    now = time.time()
    if steps > 5 and now - last > longest:
        longest = now - last
        open(')" + gap + R"(', 'w').write(str(longest))
    last, steps = now, steps + 1
    if steps == 30:
        open(')" + zone + R"(', 'w').write('97000\n')
    os.write(fd, b'\n')
)");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  std::thread cooler([&] {
    for (int i = 0; i < 600 && read_text(zone) != "97000\n"; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    write_text(zone, "41000\n");
  });
  const auto result = run_program(
      "profile", options_of(board) + "--modes 3 --margin-c 5 --out " + (dir / "p.h5") + " -- " + program);
  cooler.join();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_GT(std::stod(read_text(gap)), 0.5);
}

TEST(ProfileProgram, ResumeGoesOnWhereARunEnded) {
  const TempDir dir;
  const auto out = dir / "p.h5";
  const std::string dies = " --out " + out + " -- " + kToy + " --fail-at 120";
  const auto first =
      run_program("profile", kSimulated + "--modes 4 --simulated-speed 200 --minibatches 20" + dies);
  ASSERT_EQ(first.code, 1) << first.out;
  ASSERT_TRUE(std::filesystem::exists(out + ".log"));
  const auto again = run_program("profile", kSimulated + "--modes 4 --out " + out);
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
  const auto resumed = run_program(
      "profile", kSimulated + "--modes 4 --simulated-speed 200 --minibatches 20 --json --resume --out " +
                     out + " -- " + kToy);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const auto report = json::parse(resumed.out);
  EXPECT_EQ(report.at("measured").get<int>() + report.at("measured_before").get<int>(), 4);
  EXPECT_FALSE(std::filesystem::exists(out + ".log"));
  // Nothing is left to do: that is no reason to begin anew.
  const auto done = run_program("profile", kSimulated + "--modes 4 --resume --out " + out);
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.err.find("nothing to resume"), std::string::npos) << done.err;
}

TEST(ProfileProgram, AnotherChoiceOfModesIsNotResumed) {
  const TempDir dir;
  const auto out = " --out " + (dir / "p.h5");
  const std::string begun = kSimulated + "--modes 4 --seed 3 --sampler maximin";
  const auto cut = run_program("profile", begun + " --max-s 0.000001" + out);
  ASSERT_EQ(cut.code, 1) << cut.err;  // nothing was measured
  const auto log = read_text(dir / "p.h5.log");
  for (const auto& [arguments, what] :
       {std::pair<std::string, std::string>{"--modes 4 --sampler maximin", "seed: '3' in the log, now '0'"},
        {"--modes 4 --seed 3", "sampler: 'maximin' in the log, now 'random'"},
        {"--modes 4 --seed 3 --goal fastest", "goal: unknown in the log, now 'fastest'"}}) {
    const auto other = run_program("profile", kSimulated + arguments + " --resume" + out);
    EXPECT_EQ(other.code, 1) << arguments;
    EXPECT_NE(other.err.find("is of another run: " + what), std::string::npos) << other.err;
    EXPECT_EQ(read_text(dir / "p.h5.log"), log);
  }
  EXPECT_EQ(run_program("profile", begun + " --resume" + out).code, 0);
}

TEST(ProfileProgram, AFullDiskEndsARunAndKeepsWhatWasMeasured) {
  const TempDir dir;
  const BoardFolder board;
  const auto out = dir / "p.h5";
  const auto program = program_command("profile") + options_of(board) + " --modes 30 --out " + out + " -- " +
                       kToy + " --step-ms 3";
  // Files may have 2048 bytes.
  const auto command = "sh -c 'ulimit -f 4; exec " + program + "' >/dev/null 2>" + (dir / "err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_NE(read_text(dir / "err").find("p.h5.log"), std::string::npos) << read_text(dir / "err");
  EXPECT_EQ(board.changes(), "");
  const auto resumed = run_program("profile", options_of(board) + "--modes 8 --resume --json --out " + out +
                                                  " -- " + kToy + " --step-ms 3");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_GT(json::parse(resumed.out).at("measured_before").get<int>(), 1);
}

TEST(ProfileProgram, ASecondRunIsRefusedWhileTheFirstGoesOn) {
  const TempDir dir;
  const auto out = dir / "p.h5";
  const auto first = program_command("profile") + " --quiet " + kSimulated +
                     "--modes 500 --simulated-speed 10 --out " + out + " -- " + kToy +
                     " >/dev/null 2>&1 & echo $!";
  std::string pid;
  {
    FILE* pipe = ::popen(first.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char line[64] = {};
    ASSERT_NE(std::fgets(line, sizeof line, pipe), nullptr);
    pid = line;
    ::pclose(pipe);
  }
  for (int i = 0; i < 400 && !std::filesystem::exists(out + ".log"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto second = run_program("profile", kSimulated + "--modes 5 --resume --out " + out);
  ::kill(std::stoi(pid), SIGTERM);
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("p.h5.log"), std::string::npos) << second.err;
  for (int i = 0; i < 200 && ::kill(std::stoi(pid), 0) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

TEST(ProfileProgram, TwoRunsAreMerged) {
  const TempDir dir;
  const auto a = dir / "a.h5", b = dir / "b.h5", c = dir / "c.h5";
  ASSERT_EQ(run_program("profile", kSimulated + "--modes 5 --out " + a).code, 0);
  ASSERT_EQ(run_program("profile", kSimulated + "--modes 7 --seed 1 --out " + b).code, 0);
  ASSERT_EQ(run_program("profile", "--merge " + a + " --merge " + b + " --out " + c).code, 0);
  EXPECT_GE(inspected(c).at("profiles").at(0).at("modes").get<int>(), 7);
  EXPECT_EQ(run_program("profile", "--merge " + a + " --out " + c).code, 2);
}

TEST(ProfileProgram, AReplayedProfileAnswersAsItWasMeasured) {
  const TempDir dir;
  const auto a = dir / "a.h5", b = dir / "b.h5";
  ASSERT_EQ(run_program("profile", kSimulated + "--modes 20 --out " + a).code, 0);
  const auto result =
      run_program("profile", "--device replay --profiles " + a +
                                 " --profiled-device orin-agx-64 --workload resnet18 --modes 20 --out " + b);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(inspected(a).at("profiles").at(0).at("time_ms"), inspected(b).at("profiles").at(0).at("time_ms"));
}

TEST(ProfileProgram, AGoalIsReachedWithFewMeasurements) {
  const TempDir dir;
  const auto run = [&](const std::string& more) {
    return run_program("profile", kSimulated + more + " --out " + (dir / "p.h5"));
  };
  const auto found = run("--goal fastest --max-power-w 20 --measurements 12 --json -q");
  ASSERT_EQ(found.code, 0) << found.err;
  const auto goal = json::parse(found.out)["goal"];
  EXPECT_EQ(json::parse(found.out)["measured"], 12);
  EXPECT_TRUE(goal["fits"]);
  EXPECT_LE(goal["power_w"].get<double>(), 20);
  EXPECT_NEAR(goal["power_margin"].get<double>(), 1 - goal["power_w"].get<double>() / 20, 1e-12);
  EXPECT_EQ(goal["mode"].size(), 4u);
  EXPECT_GE(goal["expected_gain"].get<double>(), 0);
  // In words, with another limit: what was measured is not measured again.
  const auto words = run("--goal energy --max-time-ms 400 --modes 10");
  EXPECT_EQ(words.code, 0) << words.err;
  EXPECT_NE(words.out.find("\n`fewwatt device apply --mode cpu_cores="), std::string::npos) << words.out;
  EXPECT_NE(words.out.find("below the 400 ms allowed"), std::string::npos) << words.out;
  EXPECT_NE(words.out.find("measuring 10 more modes is expected to gain"), std::string::npos) << words.out;
  // The answer is a result: -q leaves it.
  const auto quiet = run("--goal energy --max-time-ms 400 --modes 10 -q");
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(quiet.out.find("best: "), 0u) << quiet.out;
}

// 12 cores are predicted to be faster than 8, and are not: what was measured more than once has the last word.
TEST(ProfileProgram, TheAnswerIsNotBeatenByWhatWasMeasuredAsOften) {
  const TempDir dir;
  const auto result =
      run_program("profile",
                  "--device simulated:orin-agx-64 --grid coarse --workload resnet18 --goal fastest "
                  "--max-power-w 30 --measurements 25 --json -q --out " +
                      (dir / "p.h5"));
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = json::parse(result.out);
  const auto profile = datasets::read_profiles(dir / "p.h5").profiles.at(0);
  EXPECT_EQ(report["measured"], 25);
  EXPECT_EQ(report["modes"], profile.modes.size());
  EXPECT_LT(profile.modes.size(), 25u);  // some were measured again
  double least_ms = INFINITY;
  for (std::size_t i = 0; i < profile.modes.size(); ++i)
    if (profile.measurements[i].power_w <= 30) least_ms = std::min(least_ms, profile.measurements[i].time_ms);
  EXPECT_LE(report["goal"]["time_ms"].get<double>(), 1.01 * least_ms);
}

TEST(ProfileProgram, AGoalThatNothingMeetsExitsWithThree) {
  const TempDir dir;
  const auto result = run_program(
      "profile", kSimulated + "--goal fastest --max-power-w 1 --measurements 6 --out " + (dir / "p.h5"));
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_NE(result.out.find("no measured mode is within the limits with probability 0.5; nearest: "),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("% above the 1 W allowed"), std::string::npos) << result.out;
  EXPECT_TRUE(std::filesystem::exists(dir / "p.h5"));  // what was measured is kept
}

TEST(ProfileProgram, AGoalOfAProgramThatRuns) {
  const TempDir dir;
  const auto result = run_program("profile", kSimulated + kQuick +
                                                 "--simulated-speed 50 --goal fastest --max-power-w 25 "
                                                 "--measurements 7 --learner gp --json -q --out " +
                                                 (dir / "p.h5") + " -- " + kToy);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_LE(json::parse(result.out)["goal"]["power_w"].get<double>(), 25);
}

TEST(ProfileProgram, ASearchGoesOnWhereItEndedAndKeepsItsBounds) {
  const TempDir dir;
  const std::string all = kSimulated + "--goal fastest --max-power-w 20 --json -q --out " + (dir / "p.h5");
  ASSERT_EQ(run_program("profile", all + " --measurements 8").code, 0);
  std::filesystem::remove(dir / "p.h5");
  // A run out of time leaves its log.
  const auto cut = run_program("profile", all + " --measurements 8 --max-s 0.000001");
  const auto told = json::parse(cut.out);
  EXPECT_TRUE(told["out_of_time"]);
  const int before = told["measured"];
  EXPECT_LT(before, 8);
  const auto resumed = run_program("profile", all + " --measurements 8 --resume");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(json::parse(resumed.out)["measured"], 8 - before);
}

TEST(ProfileProgram, SamplersThatLearnChooseModes) {
  const TempDir dir;
  const auto result = run_program(
      "profile", kSimulated + "--sampler alc --learner gp --modes 9 --json -q --out " + (dir / "p.h5"));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["measured"], 9);
}

TEST(ProfileProgram, GoalsThatMakeNoSenseAreRefused) {
  const TempDir dir;
  for (const std::string wrong : {"--max-power-w 20",
                                  "--goal slowest",
                                  "--goal fastest --max-power-w 0",
                                  "--goal fastest --confidence 1",
                                  "--goal fastest --stop-gain 1",
                                  "--goal fastest --search climb",
                                  "--goal fastest --modes 5 --measurements 6",
                                  "--stop-gain 0.1",
                                  "--max-s -1",
                                  "--search ei",
                                  "--confidence 0.9",
                                  "--goal zeus",
                                  "--measurements 0",
                                  "--goal fastest --init x.h5 --learner gp",
                                  "--sampler none-such",
                                  "--sampler alc --learner none-such",
                                  "--goal fastest --learner sim_prior",
                                  "--goal fastest --search random --stop-gain 0.1",
                                  "--goal fastest --set search.pool=0",
                                  "--goal fastest --set search.hope=1",
                                  "--set search.pool=10",
                                  "--goal fastest --search random --set search.pool=10",
                                  "--goal fastest --search thompson --set search.safe=0.8",
                                  "--sampler random --set temper=0.5",
                                  "--goal fastest --search predict --measurements 1"}) {
    const auto result = run_program("profile", kSimulated + wrong + " --out " + (dir / "p.h5"));
    EXPECT_EQ(result.code, 2) << wrong << ": " << result.err;
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "p.h5"));
  EXPECT_FALSE(std::filesystem::exists(dir / "p.h5.log"));
}

TEST(ProfileProgram, WhatIsPredictedToBeBestIsMeasuredToo) {
  const TempDir dir;
  const auto with = [&](const std::string& watts, const std::string& out) {
    return run_program("profile",
                       "--device simulated:orin-agx-64 --workload resnet18 --goal fastest --search predict "
                       "--learner physics --measurements 6 "
                       "--json -q --max-power-w " +
                           watts + " --out " + (dir / out));
  };
  const auto roomy = with("60", "roomy.h5");
  ASSERT_EQ(roomy.code, 0) << roomy.err;
  const auto told = json::parse(roomy.out);
  EXPECT_EQ(told["measured"], 6);
  EXPECT_EQ(told["goal"]["measured"], true);
  // With some budget of these the predicted mode draws more: the program says so.
  bool over = false;
  for (int watts = 15; watts <= 40 && !over; ++watts) {
    const auto result = with(std::to_string(watts), "p" + std::to_string(watts) + ".h5");
    if (result.code == 3) continue;  // nothing is predicted to fit
    const auto goal = json::parse(result.out)["goal"];
    EXPECT_EQ(result.code, goal["power_w"] > watts ? 4 : 0);
    over = result.code == 4;
  }
  EXPECT_TRUE(over);
}

TEST(ProfileProgram, TheModesThatAreNamedAreMeasured) {
  const TempDir dir;
  const auto out = " --out " + (dir / "p.h5");
  ASSERT_EQ(run_program("profile", kSimulated + "--modes 2" + out).code, 0);
  const auto boards = datasets::read_profiles(dir / "p.h5").profiles.at(0);
  const auto named = [&](std::size_t i) { return hw::settings_text(*boards.space, boards.modes[i]); };
  const auto again = " --out " + (dir / "again.h5");
  const auto result =
      run_program("profile", kSimulated + "--mode " + named(1) + " --mode " + named(0) + " --json" + again);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["measured"], 2);
  EXPECT_EQ(datasets::read_profiles(dir / "again.h5").profiles.at(0).modes, boards.modes);
  const auto refused = [&](const std::string& arguments, const std::string& what) {
    const auto wrong = run_program("profile", kSimulated + arguments + out);
    EXPECT_EQ(wrong.code, 2) << arguments << wrong.err;
    EXPECT_NE(wrong.err.find(what), std::string::npos) << wrong.err;
  };
  refused("--mode gpu_khz=1", "--mode: gpu_khz: this board has no 1; the nearest are ");
  refused("--mode cpu_cores=12",
          "--mode: expected a setting of each of cpu_cores, cpu_khz, gpu_khz, mem_khz, found 1");
  refused("--mode batch_size=1", "--mode: this board has no knob batch_size; it has ");
  refused("--mode gpu=1", "--mode: expected KNOB=SETTING with a knob of this board, found \"gpu=1\"");
  refused("--mode " + named(0) + " --mode " + named(0), "--mode: given twice: ");
  refused("--mode " + named(0) + " --sampler maximin", "--sampler: --mode names the modes to measure");
}

TEST(ProfileProgram, WithoutABoardItSaysSoInOneSentence) {
  const TempDir dir, empty;
  const auto result = run_program("profile", "--device jetson --root " + empty.path().string() +
                                                 " --workload w --out " + (dir / "p.h5") + " -- true");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("no Jetson"), std::string::npos) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
  EXPECT_FALSE(std::filesystem::exists(dir / "p.h5.log"));
}

TEST(ProfileProgram, WhatIsWrongIsNamedAsItWasTyped) {
  const TempDir dir;
  for (const auto& [arguments, what] :
       {std::pair<std::string, std::string>{"--goal fastest --confidence 2",
                                            "--confidence must be in [0.5, 1), found 2"},
        {"--goal fastest --max-power-w 0", "--max-power-w must be > 0, found 0"},
        {"--timeout-s 0", "--timeout-s must be > 0"},
        {"--cool-s -1", "--cool-s must be >= 0"},
        {"--warm-up-s nan", "--warm-up-s must be > 0"},
        {"--stop-grace-s -2", "--stop-grace-s must be >= 0"}}) {
    const auto result = run_program("profile", kSimulated + arguments + " --out " + (dir / "p.h5"));
    EXPECT_EQ(result.code, 2) << arguments << result.err;
    EXPECT_EQ(result.err.find("fewwatt profile: " + what), 0U) << result.err;
  }
}

TEST(ProfileProgram, WrongUsageExitsWithTwo) {
  const TempDir dir;
  const auto out = " --out " + (dir / "p.h5");
  for (const std::string& arguments :
       {std::string(""), "--device jetson --workload w" + out, "--device toaster --workload w" + out,
        "--device simulated:orin-agx-64" + out,
        "--device simulated:orin-agx-64 --workload resnet18 --modes 0" + out,
        "--device simulated:orin-agx-64 --workload 'a b'" + out, "--device replay --workload w" + out,
        "--device jetson --grid full --workload w" + out + " -- true",
        kSimulated + "--minibatches -1" + out}) {
    const auto result = run_program("profile", arguments);
    EXPECT_EQ(result.code, 2) << arguments << result.err;
    EXPECT_EQ(result.out, "") << arguments;
  }
}

}  // namespace profile_program_test
}  // namespace fewwatt::tests
