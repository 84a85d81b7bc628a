#include "datasets/run_log.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <optional>
#include <sstream>
#include <vector>

#include "hw/random.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/example_run.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace run_log_test {

using datasets::DataError;
using datasets::read_run_log;
using datasets::RunHeader;
using datasets::RunLog;
using datasets::RunRecord;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void expect_same(const RunRecord& a, const RunRecord& b) {
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.detail, b.detail);
  EXPECT_TRUE(same_number(a.measured.time_ms, b.measured.time_ms));
  EXPECT_TRUE(same_number(a.measured.power_w, b.measured.power_w));
  EXPECT_EQ(a.measured.repeats, b.measured.repeats);
  EXPECT_EQ(a.measured.throttled, b.measured.throttled);
  EXPECT_TRUE(same_number(a.time_std_ms, b.time_std_ms));
  EXPECT_TRUE(same_number(a.power_std_w, b.power_std_w));
  EXPECT_TRUE(same_number(a.power_samples, b.power_samples));
  EXPECT_TRUE(same_number(a.took_s, b.took_s));
}

void expect_same(const RunHeader& a, const RunHeader& b) {
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.workload, b.workload);
  EXPECT_EQ(a.attributes, b.attributes);
  EXPECT_EQ(*a.space, *b.space);
  EXPECT_EQ(a.device_attributes, b.device_attributes);
  EXPECT_EQ(a.chosen_by, b.chosen_by);
  EXPECT_EQ(a.run_attributes, b.run_attributes);
}

// Their logs are short: what is tried byte by byte takes a while.
RunHeader short_header() {
  RunHeader header;
  header.device = "d";
  header.workload = "w";
  header.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::grid({{hw::KnobRole::gpu_khz, {1, 2, 3}}}));
  return header;
}

std::vector<RunRecord> short_records() {
  std::vector<RunRecord> records(3);
  for (int i = 0; i < 3; ++i) records[static_cast<std::size_t>(i)].mode = {i + 1};
  records[0].measured.time_ms = records[2].measured.time_ms = 1.5;
  records[1].status = hw::AttemptStatus::timed_out;
  return records;
}

// Not over the old file: replacing the content of one is slow.
void write_anew(const std::string& path, const std::string& text) {
  std::filesystem::remove(path);
  write_text(path, text);
}

// A line of a log.
std::string with_checksum(const std::string& body) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : body) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  std::ostringstream line;
  line << body << "\tcrc=" << std::hex << std::setw(8) << std::setfill('0') << ~crc << '\n';
  return line.str();
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Writing beyond `bytes` of a file fails while this lives, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(RunLog, WhatIsAppendedIsRead) {
  const TempDir dir;
  EXPECT_EQ(lines_in(example_log(dir)), 5u);
  const auto run = read_run_log(dir / "example.log");
  expect_same(run.header, example_header());
  auto expected = example_records();
  expected[2].measured.power_w = kNan;  // infinite is not known
  ASSERT_EQ(run.records.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) expect_same(run.records[i], expected[i]);
  EXPECT_EQ(run.dropped_bytes, 0u);
  EXPECT_EQ(run.path, dir / "example.log");
}

TEST(RunLog, AListOfModesIsRead) {
  const TempDir dir;
  auto header = example_header();
  const auto modes = header.space->modes();
  header.space = std::make_shared<const hw::PowerModeSpace>(
      hw::PowerModeSpace::list(header.space->knobs(), {modes[0], modes[1], modes[2], modes[3]}));
  example_log(dir, header);
  expect_same(read_run_log(dir / "example.log").header, header);
}

// zlib.crc32, so that other programs can check a log.
TEST(RunLog, TheChecksumIsCrc32) {
  const TempDir dir;
  RunLog::create(dir / "a.log", short_header());
  EXPECT_EQ(read_text(dir / "a.log"),
            "fewwatt-run-log=1\tdevice=d\tworkload=w\tkind=non-dnn\ttime_of=run\tknobs=gpu_khz:1,2,3\t"
            "crc=9c5c051e\n");
}

TEST(RunLog, CreateDoesNotOverwrite) {
  const TempDir dir;
  const auto text = example_log(dir);
  expect_data_error([&] { RunLog::create(dir / "example.log", example_header()); },
                    {dir / "example.log", "there already"});
  EXPECT_EQ(read_text(dir / "example.log"), text);
  write_text(dir / "empty.log", "");
  RunLog::create(dir / "empty.log", example_header());
  EXPECT_EQ(read_run_log(dir / "empty.log").records.size(), 0u);
}

TEST(RunLog, ALinkIsNotFollowed) {
  const TempDir dir;
  std::filesystem::create_symlink("elsewhere", dir / "dangling.log");
  expect_data_error([&] { RunLog::create(dir / "dangling.log", example_header()); },
                    {dir / "dangling.log", "symbolic link"});
  EXPECT_FALSE(std::filesystem::exists(dir / "elsewhere"));
  write_text(dir / "victim", "");
  std::filesystem::create_symlink("victim", dir / "link.log");
  expect_data_error([&] { RunLog::open_to_append(dir / "link.log", example_header()); },
                    {dir / "link.log", "symbolic link"});
  EXPECT_EQ(read_text(dir / "victim"), "");
}

TEST(RunLog, ABadPathIsNamed) {
  const TempDir dir;
  expect_data_error([&] { RunLog::create(dir / "no/a.log", example_header()); },
                    {dir / "no/a.log", "No such file or directory"});
  expect_data_error([&] { RunLog::open_to_append(dir / "a.log", example_header()); },
                    {dir / "a.log", "No such file or directory"});
  expect_data_error([&] { read_run_log(dir / "a.log"); }, {dir / "a.log", "No such file or directory"});
  EXPECT_FALSE(std::filesystem::exists(dir / "a.log"));
  expect_data_error([] { RunLog::create("/dev/full", example_header()); }, {"/dev/full", "regular file"});
}

TEST(RunLog, ABadHeaderIsNotWritten) {
  const TempDir dir;
  const auto expect_refused = [&](const RunHeader& header) {
    EXPECT_THROW(RunLog::create(dir / "a.log", header), std::invalid_argument);
    EXPECT_FALSE(std::filesystem::exists(dir / "a.log"));
  };
  auto header = example_header();
  header.device = "a/b";
  expect_refused(header);
  header = example_header();
  header.space = nullptr;
  expect_refused(header);
  header = example_header();
  header.attributes.layers = -1;
  expect_refused(header);
  header = example_header();
  header.device_attributes[""] = "x";
  expect_refused(header);
}

TEST(RunLog, ABadRecordIsNotWritten) {
  const TempDir dir;
  auto log = RunLog::create(dir / "a.log", example_header());
  log.append(example_record(0));
  const auto before = read_text(dir / "a.log");
  const auto expect_refused = [&](const std::string& what, auto change) {
    auto record = example_record(1);
    change(record);
    try {
      log.append(record);
      ADD_FAILURE() << what;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  };
  expect_refused("the space has no mode", [](auto& r) { r.mode = {1, 2}; });
  expect_refused("the space has no mode", [](auto& r) { r.mode = {}; });
  expect_refused("time_ms", [](auto& r) { r.measured.time_ms = 0; });
  expect_refused("time_ms", [](auto& r) { r.measured.time_ms = 1e-310; });
  expect_refused("power_w", [](auto& r) { r.measured.power_w = -1; });
  expect_refused("power_w", [](auto& r) { r.measured.power_w = std::numeric_limits<double>::infinity(); });
  expect_refused("neither", [](auto& r) { r.measured.time_ms = r.measured.power_w = kNan; });
  expect_refused("time_ms is known in some", [](auto& r) { r.measured.time_ms = kNan; });
  expect_refused("time_std_ms", [](auto& r) { r.time_std_ms = -1; });
  expect_refused("repeats", [](auto& r) { r.measured.repeats = 0; });
  EXPECT_EQ(read_text(dir / "a.log"), before);
  EXPECT_EQ(log.records().records.size(), 1u);
}

TEST(RunLog, EveryCutLeavesTheWholeRecords) {
  const TempDir dir;
  const auto text = example_log(dir, short_header(), short_records());
  const std::string path = dir / "cut.log";
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const auto kept = text.substr(0, bytes);
    const auto whole_lines = lines_in(kept);
    const std::size_t end = whole_lines == 0 ? 0 : kept.rfind('\n') + 1;
    const std::size_t records = whole_lines == 0 ? 0 : whole_lines - 1;
    write_anew(path, kept);
    if (whole_lines == 0) {
      expect_data_error([&] { read_run_log(path); }, {path, "no whole header"});
    } else {
      EXPECT_EQ(read_run_log(path).records.size(), records);
      EXPECT_EQ(read_text(path), kept);
    }
    {
      auto log = RunLog::open_to_append(path, short_header());
      ASSERT_EQ(log.records().records.size(), records) << bytes;
      EXPECT_EQ(log.records().dropped_bytes, bytes - end) << bytes;
      ASSERT_EQ(read_text(path),
                whole_lines == 0 ? text.substr(0, text.find('\n') + 1) : text.substr(0, end));
      if (bytes % 8 != 0) continue;
      for (std::size_t i = records; i < 3; ++i) log.append(short_records()[i]);
    }
    ASSERT_EQ(read_text(path), text) << bytes;
  }
}

TEST(RunLog, EveryFlippedBitIsNoticed) {
  const TempDir dir;
  const auto text = example_log(dir, short_header(), short_records());
  const std::size_t header_end = text.find('\n');
  const std::string path = dir / "flipped.log";
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      write_anew(path, flipped);
      try {
        const auto run = read_run_log(path);
        EXPECT_GE(at, header_end) << "the header must be whole";
        if (text[at] == '\n') {  // lost, but the records on both sides of it are whole
          EXPECT_EQ(run.records.size(), 3u) << at << " bit " << bit;
          continue;
        }
        EXPECT_EQ(run.records.size(), 2u) << at << " bit " << bit;
        EXPECT_GT(run.skipped_lines + run.dropped_bytes, 0u) << at << " bit " << bit;
      } catch (const DataError& e) {
        EXPECT_LT(at, header_end) << at << " bit " << bit << ": " << e.what();
        EXPECT_NE(std::string(e.what()).find(path), std::string::npos);
      }
    }
  }
}

TEST(RunLog, BlankAndDamagedLinesAreSkippedAndStay) {
  const TempDir dir;
  auto text = example_log(dir, short_header(), short_records());
  const auto first = text.find("mode=");
  text[first + 6] ^= 1;
  text.insert(first, "\n  \n");
  const std::string path = dir / "a.log";
  write_anew(path, text);
  EXPECT_EQ(read_run_log(path).skipped_lines, 3u);
  {
    auto log = RunLog::open_to_append(path, short_header());
    EXPECT_EQ(log.records().records.size(), 2u);
    EXPECT_EQ(read_text(path), text) << "nothing is cut off";
    log.append(short_records()[0]);
  }
  EXPECT_EQ(read_run_log(path).records.size(), 3u);
}

TEST(RunLog, ALostNewlineLosesNoRecord) {
  const TempDir dir;
  const auto text = example_log(dir);
  write_text(dir / "a.log", text);
  const auto records = read_run_log(dir / "a.log").records.size();
  for (auto at = text.find('\n'); at + 1 < text.size(); at = text.find('\n', at + 1)) {
    auto damaged = text;
    damaged[at] = ' ';
    write_text(dir / "a.log", damaged);
    EXPECT_EQ(read_run_log(dir / "a.log").records.size(), records) << at;
    damaged.resize(text.find('\n', at + 1));  // and the next line is the last, and torn
    write_text(dir / "a.log", damaged);
    const auto run = read_run_log(dir / "a.log");
    EXPECT_GT(run.dropped_bytes, 0u) << at;
  }
}

TEST(RunLog, AnotherFileIsNotCut) {
  const TempDir dir;
  for (const std::string text : {"a text", "a text\nof lines\n", "fewwatt-profiles"}) {
    write_text(dir / "a.log", text);
    expect_data_error([&] { RunLog::open_to_append(dir / "a.log", example_header()); },
                      {dir / "a.log", "no run log"});
    EXPECT_EQ(read_text(dir / "a.log"), text);
  }
}

TEST(RunLog, IntegersAreNotCutOff) {
  const TempDir dir;
  const auto text = example_log(dir);
  const auto with = [&](const std::string& field, const std::string& value) {
    std::string changed;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      auto body = line.substr(0, line.rfind("\tcrc="));
      const auto at = body.find(field);
      if (at != body.npos) {
        const auto begin = at + field.size();
        body.replace(begin, body.find_first_of("\t,", begin) - begin, value);
      }
      changed += with_checksum(body);
    }
    write_anew(dir / "b.log", changed);
    return dir / "b.log";
  };
  EXPECT_NO_THROW(read_run_log(with("repeats=", "2147483647")));
  for (const std::string value : {"2147483648", "4294967297", "99999999999999999999", "1e3", ""}) {
    expect_data_error([&] { read_run_log(with("repeats=", value)); },
                      {"b.log:2", "repeats", "no whole number of 32 bits"});
    expect_data_error([&] { read_run_log(with("mode=", value)); },
                      {"b.log:2", "mode", "no whole number of 32 bits"});
    expect_data_error([&] { read_run_log(with("fewwatt-run-log=", value)); },
                      {"b.log:1", "no whole number of 32 bits"});
  }
}

TEST(RunLog, ANewerVersionIsRefused) {
  const TempDir dir;
  write_text(dir / "a.log", "fewwatt-run-log=2\tcrc=c6d6712d\n");
  expect_data_error([&] { read_run_log(dir / "a.log"); }, {dir / "a.log:1", "version 2", "newer"});
}

TEST(RunLog, AnotherRunIsNotResumed) {
  const TempDir dir;
  const auto text = example_log(dir) + "mode=torn";
  write_text(dir / "example.log", text);
  const auto expect_refused = [&](std::initializer_list<std::string> what, auto change) {
    auto header = example_header();
    change(header);
    expect_data_error([&] { RunLog::open_to_append(dir / "example.log", header); }, what);
    EXPECT_EQ(read_text(dir / "example.log"), text);
  };
  const auto with_knobs = [](std::vector<hw::Knob> knobs) {
    return [knobs](RunHeader& h) {
      h.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::grid(knobs));
    };
  };
  const hw::Knob mem{hw::KnobRole::mem_khz, {204000, 3199000}};
  const hw::Knob gpu{hw::KnobRole::gpu_khz, {306000, 612000, 1300500}};
  expect_refused({"device: 'board-1.5' in the log, now 'other'"}, [](auto& h) { h.device = "other"; });
  expect_refused({"workload", "'vgg'"}, [](auto& h) { h.workload = "vgg"; });
  expect_refused({"kind", "'non-dnn'"}, [](auto& h) { h.attributes.kind = datasets::WorkloadKind::non_dnn; });
  expect_refused({"time_of", "'epoch'"}, [](auto& h) { h.attributes.time_of = datasets::TimeOf::epoch; });
  expect_refused({"licence", "unknown in the log, now 'MIT'"}, [](auto& h) { h.attributes.licence = "MIT"; });
  expect_refused({"batch_size", "'16' in the log, now '32'"}, [](auto& h) { h.attributes.batch_size = 32; });
  expect_refused({"batch_size", "now unknown"}, [](auto& h) { h.attributes.batch_size.reset(); });
  expect_refused({"rails=1", "now 'VDD_IN'"}, [](auto& h) { h.device_attributes["rails=1"] = "VDD_IN"; });
  expect_refused({"jetpack", "unknown in the log"}, [](auto& h) { h.device_attributes["jetpack"] = "6"; });
  expect_refused({"seed: '0' in the log, now '1'"}, [](auto& h) { h.chosen_by["seed"] = "1"; });
  expect_refused({"goal: unknown in the log, now 'fastest'"}, [](auto& h) {
    h.chosen_by = {{"goal", "fastest"}};
  });
  expect_refused({"mem_khz, gpu_khz in the log, now gpu_khz, mem_khz"}, with_knobs({gpu, mem}));
  expect_refused({"now mem_khz"}, with_knobs({mem}));
  expect_refused({"gpu_khz: level 612000 is only in the log"},
                 with_knobs({mem, {gpu.role, {306000, 1300500}}}));
  expect_refused({"gpu_khz: level 400000 is not in the log"},
                 with_knobs({mem, {gpu.role, {306000, 400000, 612000, 1300500}}}));
  expect_refused({"mode mem_khz=204000 gpu_khz=612000 is only in the log"}, [&](auto& h) {
    auto modes = h.space->modes();
    modes.erase(modes.begin() + 1);
    h.space = std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::list({mem, gpu}, modes));
  });
  auto header = example_header();
  header.run_attributes["boot_id"] = "another";
  EXPECT_EQ(RunLog::open_to_append(dir / "example.log", header).records().header.run_attributes,
            example_header().run_attributes);
}

// Of a version that did not write it.
TEST(RunLog, ALogThatDoesNotSayWhatChoseItsModesIsResumed) {
  const TempDir dir;
  auto header = example_header();
  header.chosen_by.clear();
  example_log(dir, header);
  const auto log = RunLog::open_to_append(dir / "example.log", example_header());
  EXPECT_EQ(log.records().records.size(), example_records().size());
}

TEST(RunLog, ASecondOpenerIsRefused) {
  const TempDir dir;
  {
    auto log = RunLog::create(dir / "a.log", example_header());
    log.append(example_record(0));
    const auto moved = std::move(log);
    const auto expect_refused = [&] {
      expect_data_error([&] { RunLog::open_to_append(dir / "a.log", example_header()); },
                        {dir / "a.log", "another run has it open"});
      expect_data_error([&] { RunLog::create(dir / "a.log", example_header()); },
                        {dir / "a.log", "another run has it open"});
    };
    expect_refused();
    EXPECT_EQ(read_run_log(dir / "a.log").records.size(), 1u);
    const pid_t child = fork();
    if (child == 0) {
      expect_refused();
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  RunLog::open_to_append(dir / "a.log", example_header());
}

TEST(RunLog, AFullDiskLosesNoEarlierRecord) {
  const TempDir dir;
  auto log = RunLog::create(dir / "a.log", example_header());
  log.append(example_record(0));
  const auto before = read_text(dir / "a.log");
  for (const std::size_t room : {0, 1, 50}) {
    const FullDisk full(before.size() + room);
    expect_data_error([&] { log.append(example_record(1)); },
                      {"cannot write " + (dir / "a.log"), "too large"});
    EXPECT_EQ(read_text(dir / "a.log"), before);
  }
  EXPECT_EQ(log.records().records.size(), 1u);
  log.append(example_record(2));
  EXPECT_EQ(read_run_log(dir / "a.log").records.at(1).mode, example_record(2).mode);

  const FullDisk full(20);
  expect_data_error([&] { RunLog::create(dir / "b.log", example_header()); }, {dir / "b.log", "too large"});
  EXPECT_EQ(read_text(dir / "b.log"), "");
}

TEST(RunLog, ResumeContinues) {
  const TempDir dir;
  const auto whole = example_log(dir);
  const auto records = example_records();
  {
    auto log = RunLog::create(dir / "a.log", example_header());
    log.append(records[0]);
  }
  for (std::size_t i = 1; i < records.size(); ++i) {
    auto log = RunLog::open_to_append(dir / "a.log", example_header());
    EXPECT_EQ(log.records().records.size(), i);
    log.append(records[i]);
    EXPECT_EQ(log.records().records.size(), i + 1);
  }
  EXPECT_EQ(read_text(dir / "a.log"), whole);
}

// A child appends records numbered by took_s and tells each number when append() has returned.
TEST(RunLog, KillingTheProcessLosesNoRecordThatWasAppended) {
  const TempDir dir;
  const std::string path = dir / "a.log";
  RunLog::create(path, example_header());
  hw::Rng rng(1);
  std::size_t before = 0;
  for (int round = 0; round < 50; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto log = RunLog::open_to_append(path, example_header());
      for (auto i = static_cast<std::uint32_t>(before);; ++i) {
        auto record = example_record(i % 6);
        record.took_s = i;
        record.detail.assign(i % 3000, 'x');
        log.append(record);
        const std::uint32_t count = i + 1;
        if (write(ends[1], &count, sizeof count) != sizeof count) _exit(1);
      }
    }
    close(ends[1]);
    usleep(static_cast<useconds_t>(rng.below(30000)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    std::size_t returned = before;
    for (std::uint32_t count = 0; read(ends[0], &count, sizeof count) == sizeof count;) returned = count;
    close(ends[0]);

    const auto log = RunLog::open_to_append(path, example_header());
    const auto& records = log.records().records;
    ASSERT_GE(records.size(), returned);
    ASSERT_LE(records.size(), returned + 1);
    for (std::size_t i = 0; i < records.size(); ++i) ASSERT_EQ(records[i].took_s, static_cast<double>(i));
    before = records.size();
  }
  EXPECT_GT(before, 0u);
}

}  // namespace run_log_test
}  // namespace fewwatt::tests
