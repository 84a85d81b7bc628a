#include "hw/jetson/board_server.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "hw/jetson/board_helper.hpp"
#include "hw/jetson/board_messages.hpp"
#include "hw/jetson/measured_boards.hpp"
#include "hw/random.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/run_program.hpp"
#include "tests/trusted_dir.hpp"

namespace fewwatt::hw {
namespace board_server_test {

const PowerMode kMode = {8, 1651200, 918000, 2133000};

// A board of real files, a server, and an access to it in the same process.
struct Rig {
  explicit Rig(const tests::FakeBoard& board = tests::agx_orin(true)) {
    tests::tree_of(board, true).write(folder.path().string());
    options.root = folder.path().string();
  }
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options.root + "/sys"))
      if (entry.is_regular_file()) all[entry.path().string()] = tests::read_text(entry.path().string());
    return all;
  }

  tests::TempDir folder;
  JetsonOptions options;
  SystemMonotonic time;
  DirectAccess direct;
  BoardServer server{direct, time, false};
  RemoteAccess remote{[this](const std::string& request) { return server.answer(request); }};
};

template <class Error, class Body>
std::string error_of(const Body& body) {
  try {
    body();
    ADD_FAILURE() << "no error";
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(BoardServer, ARemoteBoardIsLikeOneHere) {
  for (const auto& board : tests::fake_boards()) {
    Rig rig(board);
    const auto before = rig.contents();
    PowerMode mode;
    BoardState state;
    std::map<std::string, std::string> setting;
    std::map<std::string, std::string> set;
    double watt = 0;
    {
      const auto here = rig.direct.open(rig.options, rig.time);
      mode = here->space().at(here->space().size() / 2);
      here->apply(mode);
      set = rig.contents();
      state = here->state();
      setting = here->setting();
      watt = here->power().power_w();
    }
    EXPECT_EQ(rig.contents(), before) << board.name;
    const auto there = rig.remote.open(rig.options, rig.time);
    EXPECT_EQ(there->board().model, board.model);
    EXPECT_EQ(there->replayed(), 0U);
    EXPECT_EQ(there->setting(), setting);
    EXPECT_EQ(there->power().power_w(), watt);
    EXPECT_GT(there->power().averaging_s(), 0);
    EXPECT_NE(there->power().describe(), "");
    there->apply(mode);
    EXPECT_EQ(rig.contents(), set) << board.name;
    const auto state_there = there->state();
    EXPECT_EQ(state_there.controls, state.controls);
    EXPECT_EQ(state_there.over_current, state.over_current);
    EXPECT_EQ(state_there.online_cpus, state.online_cpus);
    EXPECT_EQ(state_there.boot_id, state.boot_id);
    EXPECT_EQ(state_there.zones.size(), state.zones.size());
    EXPECT_EQ(hottest_margin_c(state_there), hottest_margin_c(state));
    EXPECT_EQ(why_invalid(state, state_there), std::nullopt);
    EXPECT_TRUE(there->restore().empty());
    EXPECT_EQ(rig.contents(), before) << board.name;
  }
}

TEST(BoardServer, ErrorsHaveTheTextThatTheyHaveHere) {
  Rig rig;
  const Settings wrong = {{KnobRole::gpu_khz, 919000}}, none = {{KnobRole::power_limit_mw, 1}};
  for (const auto& settings : {wrong, none}) {
    const auto here =
        error_of<std::invalid_argument>([&] { rig.direct.change(rig.options, settings, false); });
    EXPECT_EQ(error_of<std::invalid_argument>([&] { rig.remote.change(rig.options, settings, false); }),
              here);
  }
  JetsonOptions empty;
  empty.root = rig.folder / "none";
  const auto here = error_of<DeviceError>([&] { rig.direct.view(empty.root); });
  EXPECT_EQ(error_of<DeviceError>([&] { rig.remote.view(empty.root); }), here);
  const auto board = rig.remote.open(rig.options, rig.time);
  error_of<std::invalid_argument>([&] { board->apply({8, 1651200, 919000, 2133000}); });
  board->apply(kMode);  // goes on
}

TEST(BoardServer, ViewsChangesAndUndoes) {
  Rig rig;
  const auto before = rig.contents();
  const auto here = rig.direct.view(rig.options.root), there = rig.remote.view(rig.options.root);
  EXPECT_EQ(there.now, here.now);
  EXPECT_EQ(there.total_w, here.total_w);
  EXPECT_EQ(there.sensors.size(), here.sensors.size());
  EXPECT_EQ(space_of(there.board), space_of(here.board));
  EXPECT_FALSE(rig.remote.change(rig.options, {{KnobRole::cpu_cores, 4}}, true).writes.empty());
  EXPECT_EQ(rig.contents(), before);
  EXPECT_EQ(rig.remote.change(rig.options, {{KnobRole::cpu_cores, 4}}, false).mode[0], 4);
  EXPECT_NE(rig.contents(), before);
  EXPECT_FALSE(rig.remote.undo(rig.options, false, true).writes.empty());
  EXPECT_GT(rig.remote.undo(rig.options, false, false).controls, 10U);
  EXPECT_EQ(rig.contents(), before);
}

TEST(BoardServer, WithoutRailsTegrastatsIsTheCallers) {
  auto orin = tests::agx_orin(true);
  orin.sensors.clear();
  Rig rig(orin);
  rig.options.tegrastats.command = {"/bin/sh", "-c", "while echo VDD_IN 5000mW/5000mW; do sleep 0.05; done",
                                    "tegrastats"};
  const auto board = rig.remote.open(rig.options, rig.time);
  EXPECT_DOUBLE_EQ(board->power().power_w(), 5);
  EXPECT_NE(board->power().describe().find("no power sensor found"), std::string::npos)
      << board->power().describe();
  EXPECT_TRUE(board->restore().empty());
  rig.options.tegrastats.command = {"/no/such/program"};
  const auto error = error_of<DeviceError>([&] {
    Rig other(orin);
    other.options.tegrastats = rig.options.tegrastats;
    other.remote.open(other.options, other.time);
  });
  EXPECT_NE(error.find("no power sensor found"), std::string::npos) << error;
  EXPECT_NE(error.find("tegrastats does not help"), std::string::npos) << error;
}

std::string request(BoardRequest kind) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(kind));
  return writer.bytes();
}

std::string request(BoardRequest kind, const JetsonOptions& options) {
  MessageWriter writer;
  writer.number(static_cast<std::int64_t>(kind));
  writer.text(options.root);
  writer.text(options.state);
  return writer.bytes();
}

TEST(BoardServer, WhatIsNoRequestEndsTheTalk) {
  Rig rig;
  const auto open = request(BoardRequest::open, rig.options);
  std::vector<std::string> wrong = {"",
                                    "x",
                                    request(static_cast<BoardRequest>(0)),
                                    request(static_cast<BoardRequest>(9)),
                                    request(BoardRequest::open),
                                    open + "x"};
  for (std::size_t size = 0; size < open.size(); ++size) wrong.push_back(open.substr(0, size));
  // Not before a board is open, and not twice.
  for (const auto kind :
       {BoardRequest::apply, BoardRequest::power, BoardRequest::state, BoardRequest::restore})
    wrong.push_back(request(kind));
  JetsonOptions with_nul;
  with_nul.root = std::string("/a\0b", 4);
  JetsonOptions too_long;
  too_long.state = std::string(5000, 'a');
  wrong.push_back(request(BoardRequest::open, with_nul));
  wrong.push_back(request(BoardRequest::open, too_long));
  for (const auto& bytes : wrong)
    EXPECT_THROW(rig.server.answer(bytes), MessageError) << testing::PrintToString(bytes);
  rig.server.answer(open);
  for (const auto& bytes :
       {open, request(BoardRequest::view, rig.options), request(BoardRequest::undo, rig.options)})
    EXPECT_THROW(rig.server.answer(bytes), MessageError);
  MessageWriter many;
  many.number(static_cast<std::int64_t>(BoardRequest::apply));
  many.number(1 << 30);
  EXPECT_THROW(rig.server.answer(many.bytes()), MessageError);
  EXPECT_TRUE(rig.server.finish());
}

// Whatever bytes come, there is an answer or MessageError, and the files are as before at the end.
TEST(BoardServer, RandomRequestsDoNoHarm) {
  Rig rig;
  const auto before = rig.contents();
  auto rng = Rng::stream(0, "requests");
  MessageWriter apply;
  apply.number(static_cast<std::int64_t>(BoardRequest::apply));
  put(apply, kMode);
  MessageWriter change;
  change.number(static_cast<std::int64_t>(BoardRequest::change));
  change.text(rig.options.root);
  change.text("");
  put(change, Settings{{KnobRole::cpu_cores, 2}});
  change.number(1);
  const std::vector<std::string> seeds = {request(BoardRequest::open, rig.options),
                                          apply.bytes(),
                                          request(BoardRequest::power),
                                          request(BoardRequest::state),
                                          request(BoardRequest::restore),
                                          change.bytes()};
  int answers = 0;
  for (int i = 0; i < 3000; ++i) {
    auto bytes = seeds[rng.below(seeds.size())];
    for (auto changes = rng.below(3); changes > 0 && !bytes.empty(); --changes)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    try {
      rig.server.answer(bytes);
      ++answers;
    } catch (const MessageError&) {
      EXPECT_TRUE(rig.server.finish());
    }
  }
  EXPECT_GT(answers, 300);
  EXPECT_TRUE(rig.server.finish());
  EXPECT_EQ(rig.contents(), before);
}

TEST(BoardServer, FoldersThatItIsToTrustAreRoots) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a folder of root's";
  Rig rig;
  const tests::TrustedDir dir;
  tests::tree_of(tests::agx_orin(true), true).write(dir.path());
  BoardServer server(rig.direct, rig.time, true);
  RemoteAccess remote([&](const std::string& request) { return server.answer(request); });
  JetsonOptions options;
  options.root = dir.path();
  EXPECT_TRUE(remote.open(options, rig.time)->restore().empty());
  server.finish();
  const auto refused = [&](const JetsonOptions& of, const std::string& part) {
    const auto error = error_of<DeviceError>([&] { remote.undo(of, false, false); });
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  refused(rig.options, "may write to /tmp");
  options.state = rig.folder / "state";
  refused(options, "may write to /tmp");
  EXPECT_FALSE(std::filesystem::exists(rig.folder / "state"));
  options.state = dir / "etc";  // root's, but not fewwatt's
  refused(options, "holds a file that is not fewwatt's");
  EXPECT_FALSE(std::filesystem::exists(dir / "etc/lock"));
  options.state = dir / "state";
  refused(options, "no such folder");
  EXPECT_FALSE(std::filesystem::exists(dir / "state"));
  ASSERT_EQ(::mkdir(options.state.c_str(), 0700), 0);
  EXPECT_EQ(remote.undo(options, false, false).controls, 0U);
}

TEST(BoardServer, PutsBackWhenTheSocketIsClosedAndWhenToldToStop) {
  for (const bool closes : {true, false}) {
    Rig rig;
    const auto before = rig.contents();
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    std::atomic<bool> stop = false;
    bool as_before = false;
    std::thread serving([&] {
      sigset_t none;
      sigemptyset(&none);
      as_before = rig.server.serve(ends[1], none, [&] { return stop.load(); });
      ::close(ends[1]);
    });
    RemoteAccess remote([&](const std::string& request) {
      ::send(ends[0], request.data(), request.size(), MSG_NOSIGNAL);
      std::string answer(kLongestAnswer, '\0');
      const auto got = ::recv(ends[0], answer.data(), answer.size(), 0);
      if (got <= 0) throw HelperError("gone", true);
      answer.resize(static_cast<std::size_t>(got));
      return answer;
    });
    auto board = remote.open(rig.options, rig.time);
    board->apply(kMode);
    EXPECT_NE(rig.contents(), before);
    if (closes) {
      ::shutdown(ends[0], SHUT_RDWR);
    } else {
      stop = true;  // seen after the next request, if not before it
      try {
        board->state();
      } catch (const HelperError&) {
      }
    }
    serving.join();
    EXPECT_TRUE(as_before);
    EXPECT_EQ(rig.contents(), before);
    ::close(ends[0]);
  }
}

TEST(Messages, ReadBackAsTheyWereWritten) {
  MessageWriter writer;
  writer.number(std::numeric_limits<std::int64_t>::min());
  writer.real(-0.5);
  writer.text(std::string("a\0b", 3));
  writer.text("");
  MessageReader reader(writer.bytes());
  EXPECT_EQ(reader.number(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(reader.real(), -0.5);
  EXPECT_EQ(reader.text(), std::string("a\0b", 3));
  EXPECT_THROW(reader.end(), MessageError);
  EXPECT_EQ(reader.text(), "");
  reader.end();
  EXPECT_THROW(reader.number(), MessageError);
}

}  // namespace board_server_test
}  // namespace fewwatt::hw
