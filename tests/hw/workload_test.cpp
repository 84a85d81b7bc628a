#include "hw/jetson/workload.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace workload_test {

constexpr double kLongS = 30;  // so long a loaded machine may take for what takes milliseconds
const std::string kToy = tests::source_dir() + "/scripts/toy_workload";

WorkloadOptions with(std::vector<std::string> command) {
  WorkloadOptions options;
  options.command = std::move(command);
  options.quiet = true;
  return options;
}

WorkloadOptions toy(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {kToy, "--step-ms", "1"});
  return with(std::move(arguments));
}

WorkloadOptions shell(const std::string& script) {
  return with({"/bin/sh", "-c", script});
}

class WorkloadProcessTest : public testing::Test {
 protected:
  // No child is left, not even as a zombie.
  void TearDown() override {
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  }

  // Waits for so many steps, or for something else to happen.
  Wait take(WorkloadProcess& process, std::size_t count) {
    const double until_s = clock_.now_s() + kLongS;
    while (times_.size() < count) {
      const auto wait = process.next_steps(times_, until_s);
      if (wait != Wait::steps) return wait;
    }
    return Wait::steps;
  }

  // All steps to the end, or until something else happens.
  Wait take_all(WorkloadProcess& process) { return take(process, 1 << 30); }

  template <class Done>
  bool comes_true(Done done) {
    for (const double until_s = clock_.now_s() + kLongS; clock_.now_s() < until_s; clock_.wait_s(0.01)) {
      if (done()) return true;
    }
    return done();
  }

  // Its number, from the line "child N" it printed.
  pid_t printed_child(WorkloadProcess& process) {
    pid_t pid = 0;
    comes_true([&] {
      for (const auto& line : process.last_lines()) {
        if (line.rfind("child ", 0) == 0) pid = std::stoi(line.substr(6));
      }
      return pid != 0;
    });
    return pid;
  }

  static bool is_gone(pid_t pid) {
    const auto status = tests::read_text("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = status.rfind(") ");
    return name_end == std::string::npos ||
           status[name_end + 2] == 'Z';  // the container's init may never reap
  }

  SystemMonotonic clock_;
  std::vector<double> times_;
};

TEST_F(WorkloadProcessTest, StepsArriveInOrder) {
  const double before_s = clock_.now_s();
  WorkloadProcess process(toy({"--steps", "20"}), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  ASSERT_EQ(times_.size(), 20u);
  EXPECT_TRUE(std::is_sorted(times_.begin(), times_.end()));
  EXPECT_GT(times_.front(), before_s);
  EXPECT_LE(times_.back(), clock_.now_s());
  EXPECT_GE(times_.back() - before_s, 20 * 1e-3);
  EXPECT_EQ(process.garbage_bytes(), 0u);
  EXPECT_EQ(process.exit_code(), 0);
  EXPECT_EQ(process.describe_end(), "exited with code 0");
}

TEST_F(WorkloadProcessTest, AShellMayWriteStepsToo) {
  WorkloadProcess process(
      shell("test $FEWWATT_STEP_FD = 3; echo >&3; echo >/dev/fd/$FEWWATT_STEP_FD; echo >&3"), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 3u);
  EXPECT_EQ(process.exit_code(), 0);
}

TEST_F(WorkloadProcessTest, NoShellReadsTheArguments) {
  WorkloadProcess process(with({"printf", "%s\n", "$HOME; exit 3", "*", ""}), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.last_lines(), (std::vector<std::string>{"$HOME; exit 3", "*", ""}));
}

TEST_F(WorkloadProcessTest, ACommandThatIsNotThereIsReported) {
  for (const std::string name : {"/no/such/program", "/etc"}) {
    try {
      WorkloadProcess process(with({name, "argument"}), clock_);
      ADD_FAILURE() << name;
    } catch (const DeviceError& error) {
      const std::string what = error.what();
      EXPECT_EQ(what.rfind(name + ": cannot be started: ", 0), 0u) << what;
      EXPECT_EQ(what.ends_with("No such file or directory"), name == "/no/such/program") << what;
      EXPECT_EQ(what.ends_with("Permission denied"), name == "/etc") << what;
    }
  }
}

TEST_F(WorkloadProcessTest, ACommandThatIsNotInPathIsReported) {
  // Where a folder of PATH may not be looked into, the errno is another one.
  EXPECT_THROW(WorkloadProcess(with({"fewwatt-no-such-program"}), clock_), DeviceError);
}

TEST_F(WorkloadProcessTest, EnvironmentIsAddedAndReplaced) {
  auto options = shell("echo \"$FEWWATT_TEST $LANG ${PATH:+path}\"");
  options.environment = {{"FEWWATT_TEST", "a=b c"}, {"LANG", "x"}};
  WorkloadProcess process(options, clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"a=b c x path"});
}

TEST_F(WorkloadProcessTest, TheWaitEndsInTimeWithoutSteps) {
  WorkloadProcess process(shell("sleep 100"), clock_);
  const double until_s = clock_.now_s() + 0.1;
  EXPECT_EQ(process.next_steps(times_, until_s), Wait::timed_out);
  EXPECT_GE(clock_.now_s(), until_s);
  EXPECT_EQ(process.next_steps(times_, until_s), Wait::timed_out);
  EXPECT_TRUE(times_.empty());
  EXPECT_EQ(process.describe_end(), "still runs");
  EXPECT_EQ(process.exit_code(), std::nullopt);
}

TEST_F(WorkloadProcessTest, StandardInputIsEmpty) {
  WorkloadProcess process(shell("cat; echo end"), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"end"});
}

TEST_F(WorkloadProcessTest, AFailureIsDescribedWithTheLastLines) {
  WorkloadProcess process(toy({"--fail-at", "4"}), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 3u);
  EXPECT_EQ(process.exit_code(), 3);
  EXPECT_EQ(process.describe_end(), "exited with code 3");
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"toy_workload: failed in step 4"});
  process.stop();
  EXPECT_EQ(process.describe_end(), "exited with code 3");
}

TEST_F(WorkloadProcessTest, ASignalIsDescribed) {
  WorkloadProcess process(shell("echo >&3; kill -SEGV $$"), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 1u);
  EXPECT_EQ(process.exit_code(), std::nullopt);
  EXPECT_EQ(process.describe_end(), "killed by signal 11 (Segmentation fault)");
}

TEST_F(WorkloadProcessTest, GarbageIsCountedAndNoStep) {
  WorkloadProcess process(toy({"--garbage", "--steps", "5"}), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 5u);
  EXPECT_EQ(process.garbage_bytes(), 5 * std::string("loss 0.5 ").size());
}

TEST_F(WorkloadProcessTest, AFloodOfGarbageAndStepsIsTaken) {
  WorkloadProcess process(shell("yes | head -n 100000 >&3"), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 100000u);
  EXPECT_EQ(process.garbage_bytes(), 100000u);
}

TEST_F(WorkloadProcessTest, AClosedDescriptorIsToldFromTheEnd) {
  WorkloadProcess process(toy({"--close-at", "3"}), clock_);
  EXPECT_EQ(take_all(process), Wait::closed);
  EXPECT_EQ(times_.size(), 2u);
  EXPECT_EQ(process.describe_end(), "still runs");
}

// As torchrun, accelerate launch and conda run start a program.
const std::string kLaunch = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))";
// In the place of ours: every descriptor closed, and then another program executed.
const std::string kReplace = "import os, sys; os.closerange(3, 256); os.execv(sys.argv[1], sys.argv[1:])";

TEST_F(WorkloadProcessTest, StepsOfAProgramWhoseDescriptorWasClosedComeThroughThePath) {
  for (const auto& launcher : {kLaunch, kReplace}) {
    times_.clear();
    WorkloadProcess process(with({"python3", "-c", launcher, kToy, "--step-ms", "1", "--steps", "20"}),
                            clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(times_.size(), 20u) << launcher;
    EXPECT_EQ(process.exit_code(), 0);
  }
  // Another pipe has the descriptor's number.
  times_.clear();
  WorkloadProcess process(shell("sleep 1000 | " + kToy + " --step-ms 1 --steps 20 3<&0"), clock_);
  EXPECT_EQ(take(process, 20), Wait::steps);
}

TEST_F(WorkloadProcessTest, ThePathMayBeOpenedForEveryStep) {
  WorkloadProcess process(
      shell("exec 3>&-; for i in 1 2 3; do sleep 0.01; echo >\"$FEWWATT_STEP_PATH\"; done; sleep 1.5; "
            "echo >\"$FEWWATT_STEP_PATH\""),
      clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 4u);
}

TEST_F(WorkloadProcessTest, ThePathIsInAFolderOfOursAndGoneAtTheEnd) {
  std::string path;
  {
    WorkloadProcess process(shell("echo $FEWWATT_STEP_PATH; echo >&3; sleep 1000"), clock_);
    ASSERT_EQ(take(process, 1), Wait::steps);
    ASSERT_TRUE(comes_true([&] { return !process.last_lines().empty(); }));
    path = process.last_lines().at(0);
    struct stat status {};
    ASSERT_EQ(::lstat(path.c_str(), &status), 0) << path;
    EXPECT_TRUE(S_ISFIFO(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const auto folder = std::filesystem::path(path).parent_path();
    ASSERT_EQ(::lstat(folder.c_str(), &status), 0);
    EXPECT_TRUE(S_ISDIR(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_EQ(status.st_uid, ::geteuid());
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(path).parent_path()));
}

TEST_F(WorkloadProcessTest, WithoutAFolderForThePathTheDescriptorIsLeft) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TMPDIR", "/no/such/folder", 1);
  ::setenv("FEWWATT_STEP_PATH", "/of/another/program", 1);
  {
    WorkloadProcess process(shell("echo \"path ${FEWWATT_STEP_PATH-none}\"; echo >&3"), clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(times_.size(), 1u);
    EXPECT_EQ(process.last_lines(), std::vector<std::string>{"path none"});
  }
  ::unsetenv("FEWWATT_STEP_PATH");
  if (before == nullptr)
    ::unsetenv("TMPDIR");
  else
    ::setenv("TMPDIR", kept.c_str(), 1);
}

TEST_F(WorkloadProcessTest, WhoClosedTheDescriptorIsTold) {
  const auto ways_of = [&](const std::string& script) {
    WorkloadProcess process(shell(script), clock_);
    // As soon as the last process is what it is to be.
    comes_true([&] { return process.step_ways().closed.find("(sleep 1000)") != std::string::npos; });
    return process.step_ways();
  };
  const auto kept = ways_of("sleep 1000 3>&-; true");
  EXPECT_FALSE(kept.none) << "it has the path";
  EXPECT_NE(kept.closed.find("(sleep 1000) has not got the descriptor of FEWWATT_STEP_FD"), std::string::npos)
      << kept.closed;
  EXPECT_NE(kept.closed.find("it may open FEWWATT_STEP_PATH"), std::string::npos) << kept.closed;
  const auto stripped = ways_of("env -i sleep 1000 3>&-; true");
  EXPECT_TRUE(stripped.none);
  EXPECT_NE(stripped.closed.find("which started it, closed it"), std::string::npos) << stripped.closed;
  EXPECT_NE(stripped.closed.find("it has no FEWWATT_STEP_PATH that leads to our pipe"), std::string::npos)
      << stripped.closed;
  EXPECT_TRUE(ways_of("exec 3>&-; exec env -i sleep 1000").none);
  // Another process still can.
  EXPECT_FALSE(ways_of("sleep 1001 & env -i sleep 1000 3>&-; true").none);
}

TEST_F(WorkloadProcessTest, WhoWipedTheEnvironmentIsTold) {
  const auto ways_of = [&](const std::string& script) {
    WorkloadProcess process(shell(script), clock_);
    comes_true([&] { return process.step_ways().closed.find("(sleep 1000)") != std::string::npos; });
    return process.step_ways();
  };
  for (const std::string wipes : {"exec env -i", "exec env -u FEWWATT_STEP_FD -u FEWWATT_STEP_PATH",
                                  "unset FEWWATT_STEP_FD FEWWATT_STEP_PATH; exec"}) {
    const auto wiped = ways_of(wipes + " sleep 1000");
    EXPECT_FALSE(wiped.none) << "it may know the number of the descriptor";
    EXPECT_NE(wiped.closed.find(
                  "(sleep 1000) has neither FEWWATT_STEP_FD nor FEWWATT_STEP_PATH in its environment: "
                  "it was started without them"),
              std::string::npos)
        << wipes << wiped.closed;
  }
  const auto by_another = ways_of("env -i sleep 1000; true");
  EXPECT_NE(by_another.closed.find("which started it, left them out"), std::string::npos)
      << by_another.closed;
  // One of them is enough.
  for (const std::string left : {"FEWWATT_STEP_FD", "FEWWATT_STEP_PATH"}) {
    WorkloadProcess process(shell("echo up; exec env -u " + left + " sleep 1000"), clock_);
    ASSERT_TRUE(comes_true([&] { return !process.last_lines().empty(); }));
    EXPECT_EQ(process.step_ways().closed, "") << left;
  }
}

TEST_F(WorkloadProcessTest, AProgramThatHasTheDescriptorIsNotAccused) {
  WorkloadProcess process(shell("sleep 1000; true"), clock_);
  EXPECT_FALSE(process.step_ways().none);
  EXPECT_EQ(process.step_ways().closed, "");
}

// What scripts/fewwatt_steps.py does with a path that is not what it should be.
TEST(StepsInPython, OnlyANamedPipeIsWrittenTo) {
  const tests::TempDir dir;
  tests::write_text(dir / "file", "");
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  ASSERT_EQ(::symlink((dir / "file").c_str(), (dir / "link").c_str()), 0);
  ASSERT_EQ(::symlink((dir / "pipe").c_str(), (dir / "link_to_pipe").c_str()), 0);
  const int reader = ::open((dir / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  const auto steps = [&](const std::string& path) {
    const auto command = "cd '" + tests::source_dir() + "/scripts' && FEWWATT_STEP_FD=7 FEWWATT_STEP_PATH='" +
                         path + "' timeout 60 python3 -B -c 'from fewwatt_steps import step; step(); step()'";
    EXPECT_EQ(std::system(command.c_str()), 0) << path;
    char bytes[8];
    return std::max<ssize_t>(::read(reader, bytes, sizeof bytes), 0);  // -1: none, or nobody reads
  };
  EXPECT_EQ(steps(dir / "pipe"), 2);
  for (const std::string name : {"file", "link", "link_to_pipe", "none"})
    EXPECT_EQ(steps(dir / name), 0) << name;
  EXPECT_EQ(steps("/dev/full"), 0);
  EXPECT_EQ(tests::read_text(dir / "file"), "");
  ::close(reader);
  EXPECT_EQ(steps(dir / "pipe"), 0) << "nobody reads: it does not wait";
}

TEST_F(WorkloadProcessTest, AProgramThatHangsTimesOut) {
  WorkloadProcess process(toy({"--hang-at", "3"}), clock_);
  EXPECT_EQ(take(process, 2), Wait::steps);
  EXPECT_EQ(process.next_steps(times_, clock_.now_s() + 0.2), Wait::timed_out);
}

TEST_F(WorkloadProcessTest, AProgramThatEndsOnTermIsNotKilled) {
  auto options = shell("trap 'echo tidy; exit 5' TERM; echo >&3; while :; do sleep 0.01; done");
  options.stop_grace_s = kLongS;
  WorkloadProcess process(options, clock_);
  ASSERT_EQ(take(process, 1), Wait::steps);
  process.stop();
  EXPECT_EQ(process.describe_end(), "exited with code 5");
  ASSERT_FALSE(process.last_lines().empty());
  EXPECT_EQ(process.last_lines().back(), "tidy");
}

TEST_F(WorkloadProcessTest, AProgramThatIgnoresTermIsKilled) {
  auto options = toy({"--ignore-term"});
  options.stop_grace_s = 0.2;
  WorkloadProcess process(options, clock_);
  ASSERT_EQ(take(process, 1), Wait::steps);
  const double before_s = clock_.now_s();
  process.stop();
  EXPECT_GE(clock_.now_s() - before_s, 0.2);
  EXPECT_EQ(process.describe_end(), "killed by signal 9 (Killed)");
  process.stop();
  times_.clear();
  EXPECT_EQ(take_all(process), Wait::ended);
}

TEST_F(WorkloadProcessTest, AGrandchildThatHoldsTheDescriptorDelaysNothing) {
  pid_t grandchild = 0;
  {
    WorkloadProcess process(toy({"--fork", "--ignore-term", "--steps", "3"}), clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(times_.size(), 3u);
    EXPECT_EQ(process.exit_code(), 0);
    grandchild = printed_child(process);
    ASSERT_GT(grandchild, 0);
    EXPECT_FALSE(is_gone(grandchild));
  }
  EXPECT_TRUE(comes_true([&] { return is_gone(grandchild); }));
}

TEST_F(WorkloadProcessTest, TheWholeGroupIsStopped) {
  pid_t grandchild = 0;
  {
    WorkloadProcess process(shell("sleep 1000 & echo child $!; echo >&3; wait"), clock_);
    ASSERT_EQ(take(process, 1), Wait::steps);
    grandchild = printed_child(process);
    ASSERT_GT(grandchild, 0);
  }
  EXPECT_TRUE(comes_true([&] { return is_gone(grandchild); }));
}

TEST_F(WorkloadProcessTest, AFloodOfOutputNeverBlocksIt) {
  auto options = shell("yes line | head -c 20000000; echo error >&2; echo last; echo >&3");
  options.kept_lines = 3;
  WorkloadProcess process(options, clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 1u);
  EXPECT_EQ(process.last_lines(), (std::vector<std::string>{"line", "error", "last"}));
}

TEST_F(WorkloadProcessTest, OutputGoesToOurStandardErrorUnlessQuiet) {
  for (const bool quiet : {false, true}) {
    auto options = shell("echo out; echo err >&2; printf unfinished");
    options.quiet = quiet;
    testing::internal::CaptureStderr();
    {
      WorkloadProcess process(options, clock_);
      EXPECT_EQ(take_all(process), Wait::ended);
      EXPECT_EQ(process.last_lines(), (std::vector<std::string>{"out", "err", "unfinished"}));
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), quiet ? "" : "out\nerr\nunfinished");
  }
}

// A standard error of the test's own, put back at the end.
class StandardError {
 public:
  explicit StandardError(int fd) : kept_(::dup(STDERR_FILENO)) { ::dup2(fd, STDERR_FILENO); }
  ~StandardError() {
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
  }

 private:
  int kept_;
};

TEST_F(WorkloadProcessTest, AStandardErrorThatNobodyReadsDelaysNothing) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  auto options = shell("yes line | head -c 2000000; echo last; echo >&3; sleep 1000");
  options.quiet = false;
  options.kept_lines = 1;
  {
    const StandardError full(pipe[1]);
    WorkloadProcess process(options, clock_);
    EXPECT_EQ(take(process, 1), Wait::steps);
    EXPECT_TRUE(comes_true([&] { return process.last_lines() == std::vector<std::string>{"last"}; }));
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(WorkloadProcessTest, AStandardErrorWithoutReaderRaisesNoSignal) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ::close(pipe[0]);
  auto options = shell("echo one; echo two; echo >&3");
  options.quiet = false;
  {
    const StandardError broken(pipe[1]);
    WorkloadProcess process(options, clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(process.last_lines(), (std::vector<std::string>{"one", "two"}));
  }
  ::close(pipe[1]);
}

TEST_F(WorkloadProcessTest, LinesThatWereOverwrittenAreNotKept) {
  WorkloadProcess process(shell("printf '10 %%\\r20 %%\\rdone\\r\\nafter\\n'"), clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.last_lines(), (std::vector<std::string>{"done", "after"}));
}

TEST_F(WorkloadProcessTest, NothingRunsDuringAPause) {
  WorkloadProcess process(toy({}), clock_);
  ASSERT_EQ(take(process, 3), Wait::steps);
  for (int i = 0; i < 2; ++i) {
    process.pause();
    EXPECT_TRUE(
        comes_true([&] { return process.next_steps(times_, clock_.now_s() + 0.1) == Wait::timed_out; }));
    EXPECT_EQ(process.next_steps(times_, clock_.now_s() + 0.3), Wait::timed_out);
    process.resume();
    EXPECT_EQ(take(process, times_.size() + 3), Wait::steps);
  }
}

TEST_F(WorkloadProcessTest, APausedProgramCanBeStopped) {
  auto options = shell("trap 'exit 6' TERM; echo >&3; while :; do sleep 0.01; done");
  options.stop_grace_s = kLongS;
  WorkloadProcess process(options, clock_);
  ASSERT_EQ(take(process, 1), Wait::steps);
  process.pause();
  process.stop();
  EXPECT_EQ(process.describe_end(), "exited with code 6");
  process.pause();
  process.resume();
}

TEST_F(WorkloadProcessTest, TheStepFileIsReadAnew) {
  const tests::TempDir dir;
  tests::write_text(dir / "step_ms", "1");
  auto options = with({kToy, "--step-ms", "1000000"});
  options.environment["FEWWATT_SIMULATED_STEP_FILE"] = dir / "step_ms";
  WorkloadProcess process(options, clock_);
  ASSERT_EQ(take(process, 5), Wait::steps);
  tests::write_text(dir / "step_ms", "1000000");
  EXPECT_TRUE(
      comes_true([&] { return process.next_steps(times_, clock_.now_s() + 0.2) == Wait::timed_out; }));
}

extern "C" void ignore_signal(int) {}

TEST_F(WorkloadProcessTest, SignalsDoNotDisturb) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = ignore_signal;  // without SA_RESTART
  ::sigaction(SIGUSR1, &action, &before);
  {
    WorkloadProcess process(
        shell("for i in 1 2 3 4 5 6 7 8 9 10; do kill -USR1 $PPID; echo >&3; done; kill -USR1 $PPID"),
        clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(times_.size(), 10u);
    EXPECT_EQ(process.exit_code(), 0);
  }
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(WorkloadProcessTest, TheProgramGetsNoBlockedSignals) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  WorkloadProcess process(shell("grep SigBlk /proc/self/status"), clock_);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"SigBlk:\t0000000000000000"});
}

TEST_F(WorkloadProcessTest, ASecondProgramGetsNoDescriptorsOfTheFirst) {
  WorkloadProcess first(shell("ls /proc/self/fd; echo >&3; exec sleep 1000"), clock_);
  ASSERT_EQ(take(first, 1), Wait::steps);
  WorkloadProcess second(shell("ls /proc/self/fd; echo >&3"), clock_);
  EXPECT_EQ(take_all(second), Wait::ended);
  EXPECT_TRUE(comes_true([&] { return first.last_lines() == second.last_lines(); }));
}

TEST_F(WorkloadProcessTest, TheProgramGetsSignalsAsItIsTold) {
  if (!tests::emulator().empty()) GTEST_SKIP() << "an emulator has signals of its own";
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  auto options = with({"grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"});  // a shell would change them
  SignalState told;
  sigemptyset(&told.blocked);
  sigaddset(&told.blocked, SIGUSR1);
  told.ignored = {SIGHUP};
  for (const bool as_told : {false, true}) {
    options.signals = as_told ? std::optional(told) : std::nullopt;
    WorkloadProcess process(options, clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(process.last_lines(),
              (as_told ? std::vector<std::string>{"SigBlk:\t0000000000000200", "SigIgn:\t0000000000000001"}
                       : std::vector<std::string>{"SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"}));
  }
  const auto now = SignalState::now();
  for (const int signal : {SIGPIPE, SIGXFSZ})
    EXPECT_NE(std::find(now.ignored.begin(), now.ignored.end(), signal), now.ignored.end());
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGXFSZ, SIG_DFL);
}

TEST_F(WorkloadProcessTest, TheProgramHasAGroupOfItsOwnAndNoTerminal) {
  WorkloadProcess process(shell("test $(cut -d' ' -f5 /proc/$$/stat) = $$ && ! (: </dev/tty) 2>/dev/null"),
                          clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(process.exit_code(), 0);
}

char state_of(pid_t process) {  // 'T': it stands still. 'Z', also for none: it is over
  const auto stat = tests::read_text("/proc/" + std::to_string(process) + "/stat");
  const auto end = stat.rfind(')');
  return end == std::string::npos ? 'Z' : stat.at(end + 2);
}

TEST_F(WorkloadProcessTest, NothingIsLeftStandingStillWhenWeAreKilled) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t us = ::fork();
  if (us == 0) {
    WorkloadProcess process(shell("sleep 60 & echo child $!; wait"), clock_);
    const pid_t child = printed_child(process);
    process.pause();
    if (::write(told[1], &child, sizeof child) != sizeof child) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t child = 0;
  ASSERT_EQ(::read(told[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  EXPECT_TRUE(comes_true([&] { return state_of(child) == 'T'; }));
  ::kill(us, SIGKILL);
  EXPECT_EQ(::waitpid(us, nullptr, 0), us);
  EXPECT_TRUE(comes_true([&] { return state_of(child) == 'Z'; }));
  for (const int end : told) ::close(end);
}

TEST_F(WorkloadProcessTest, RefusesOptionsThatAreNotValid) {
  EXPECT_EQ(shell("").error(), "");
  EXPECT_THROW(WorkloadProcess(WorkloadOptions{}, clock_), std::invalid_argument);
  auto options = shell("exit 0");
  options.stop_grace_s = -1;
  EXPECT_NE(options.error().find("stop_grace_s"), std::string::npos);
  options = shell("exit 0");
  options.environment["A=B"] = "";
  EXPECT_NE(options.error().find("environment"), std::string::npos);
  options = with({"echo", std::string("a\0b", 3)});
  EXPECT_NE(options.error().find("command"), std::string::npos);
}

// scripts/fewwatt_steps.py

std::string python(const std::string& code) {
  return "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=" + tests::source_dir() + "/scripts exec python3 -c '" + code +
         "'";
}

TEST_F(WorkloadProcessTest, ThePythonModuleReportsStepsAfterItems) {
  WorkloadProcess process(shell(python("from fewwatt_steps import step, steps\n"
                                       "print(list(steps(\"abc\")))\n"
                                       "step()\n")),
                          clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 4u);
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"['a', 'b', 'c']"});
}

TEST_F(WorkloadProcessTest, ThePythonModuleNeverRaisesNorWritesToAnotherFile) {
  const tests::TempDir dir;
  WorkloadProcess process(shell(python("import os, sys\n"
                                       "from fewwatt_steps import step\n"
                                       "step()\n"
                                       "os.close(3)\n"
                                       "other = os.open(\"" +
                                       (dir / "other") +
                                       "\", os.O_CREAT | os.O_WRONLY)\n"
                                       "print(other)\n"
                                       "step()\n"
                                       "os.close(other)\n"
                                       "step()\n")),
                          clock_);
  EXPECT_TRUE(comes_true([&] { return process.next_steps(times_, clock_.now_s()) == Wait::ended; }));
  EXPECT_EQ(times_.size(), 3u) << "through the path";
  EXPECT_EQ(process.last_lines(), std::vector<std::string>{"3"});
  EXPECT_EQ(process.exit_code(), 0);
  EXPECT_EQ(tests::read_text(dir / "other"), "");
}

TEST_F(WorkloadProcessTest, ThePythonModuleGoesOnThroughThePathWhenItsDescriptorIsClosed) {
  for (const std::string closes :
       {"os.close(3)", "os.closerange(3, 256)", "os.dup2(os.open(os.devnull, os.O_WRONLY), 3)"}) {
    times_.clear();
    WorkloadProcess process(shell(python("import os\nfrom fewwatt_steps import step\n" + closes +
                                         "\nfor _ in range(5): step()\n")),
                            clock_);
    EXPECT_EQ(take_all(process), Wait::ended);
    EXPECT_EQ(times_.size(), 5u) << closes;
  }
  // Closed again, the pipe is opened again.
  times_.clear();
  WorkloadProcess process(shell(python("import os\nfrom fewwatt_steps import step\n"
                                       "for _ in range(3): os.closerange(3, 256); step()\n")),
                          clock_);
  EXPECT_EQ(take_all(process), Wait::ended);
  EXPECT_EQ(times_.size(), 3u);
}

TEST_F(WorkloadProcessTest, ThePythonModuleDoesNothingElsewhere) {
  for (const std::string fd : {"x", "0", "99999999999999999999"}) {
    auto options = shell("exec 3>&-; unset FEWWATT_STEP_PATH; export FEWWATT_STEP_FD=" + fd + "; " +
                         python("from fewwatt_steps import step\nstep()\nstep()\nprint(\"fine\")\n"));
    WorkloadProcess process(options, clock_);
    EXPECT_TRUE(comes_true([&] { return process.next_steps(times_, clock_.now_s()) == Wait::ended; }));
    EXPECT_EQ(process.last_lines(), std::vector<std::string>{"fine"}) << fd;
    EXPECT_TRUE(times_.empty());
  }
}

}  // namespace workload_test
}  // namespace fewwatt::hw
