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

#include "datasets/merge.hpp"
#include "datasets/profile_io.hpp"
#include "hw/random.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

using datasets::check_fold;
using datasets::DataError;
using datasets::fold;
using datasets::merge_profiles;
using datasets::Profile;
using datasets::ProfileStore;
using datasets::read_profiles;
using datasets::read_run_log;
using datasets::RunHeader;
using datasets::RunLog;
using datasets::RunRecord;
using datasets::RunRecords;
using datasets::to_profile;
using datasets::write_profiles;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Of the space of example_profile(), 2 x 3 modes.
RunHeader example_header() {
  const auto profile = example_profile();
  RunHeader header;
  header.device = profile.device;
  header.workload = profile.workload;
  header.attributes = profile.attributes;
  header.attributes.model = "a=b%\twith\nall\\kinds \xc3\xa9";
  header.attributes.flops = 1.0 / 3;
  header.space = profile.space;
  header.device_attributes = {{"board", "A board"}, {"rails=1", "VDD_IN - VDD_WIFI"}, {"empty", ""}};
  header.run_attributes = {{"boot_id", "0b5c"}};
  return header;
}

RunRecord example_record(std::size_t mode, double time_ms = 12.25) {
  RunRecord record;
  record.mode = example_profile().modes.at(mode);
  record.measured.time_ms = time_ms;
  record.measured.power_w = 7.0 / 3;
  record.measured.repeats = 10;
  record.time_std_ms = 0.1;
  record.power_std_w = 0;
  record.power_samples = 12.5;
  record.took_s = 3.75;
  return record;
}

RunRecord rejected_record(std::size_t mode) {
  auto record = example_record(mode);
  record.status = hw::AttemptStatus::trip_temperature;
  record.detail = "thermal_zone1: 97 C >= 95 C\tat=99%";
  record.measured = {kNan, std::numeric_limits<double>::infinity(), 0, true};
  record.time_std_ms = record.power_std_w = record.power_samples = kNan;
  return record;
}

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
  EXPECT_EQ(a.run_attributes, b.run_attributes);
}

std::vector<RunRecord> example_records() {
  auto no_power = example_record(1, 1e-3);
  no_power.measured.power_w = no_power.power_std_w = no_power.power_samples = kNan;
  auto throttled = example_record(3, 1234567.875);
  throttled.measured.throttled = true;
  return {example_record(0), no_power, rejected_record(2), throttled};
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

// The log of example_records(), as text.
std::string example_log(const TempDir& dir, const RunHeader& header = example_header(),
                        const std::vector<RunRecord>& records = example_records()) {
  const std::string path = dir / "example.log";
  std::filesystem::remove(path);
  auto log = RunLog::create(path, header);
  for (const auto& record : records) log.append(record);
  return read_text(path);
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

Profile profile_of(const RunHeader& header, std::vector<RunRecord> records) {
  return to_profile(RunRecords{"a.log", header, std::move(records), 0});
}

std::size_t row_of(const Profile& profile, const hw::PowerMode& mode) {
  return static_cast<std::size_t>(std::find(profile.modes.begin(), profile.modes.end(), mode) -
                                  profile.modes.begin());
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

TEST(RunProfile, HoldsTheRowsThatAreOk) {
  const auto records = example_records();
  const auto profile = profile_of(example_header(), {records[3], records[2], records[1], records[0]});
  const auto all = example_header().space->modes();
  EXPECT_EQ(profile.modes, (std::vector<hw::PowerMode>{all[0], all[1], all[3]}));
  EXPECT_EQ(profile.attributes, example_header().attributes);
  EXPECT_EQ(profile.measurements[0].time_ms, 12.25);
  EXPECT_TRUE(std::isnan(profile.measurements[1].power_w));
  EXPECT_TRUE(profile.measurements[2].throttled);
  EXPECT_EQ(profile.measurements[2].repeats, 10);
  EXPECT_EQ(profile.time_std_ms, (std::vector<double>{0.1, 0.1, 0.1}));
  EXPECT_TRUE(std::isnan(profile.power_std_w[1]));
  expect_data_error([&] { profile_of(example_header(), {records[2]}); }, {"a.log", "no mode"});
}

TEST(RunProfile, RepeatedModesAreOneSample) {
  auto a = example_record(0), b = example_record(0);  // 1 2 3 and 5 9
  a.measured = {2, 20, 3, false};
  a.time_std_ms = 1;
  a.power_std_w = kNan;
  b.measured = {7, kNan, 2, true};
  b.time_std_ms = std::sqrt(8.0);
  b.power_std_w = kNan;
  const auto profile = profile_of(example_header(), {a, rejected_record(0), b});
  ASSERT_EQ(profile.modes.size(), 1u);
  EXPECT_DOUBLE_EQ(profile.measurements[0].time_ms, 4);
  EXPECT_DOUBLE_EQ(profile.time_std_ms[0], std::sqrt(40.0 / 4));
  EXPECT_EQ(profile.measurements[0].power_w, 20);
  EXPECT_TRUE(profile.power_std_w.empty());
  EXPECT_EQ(profile.measurements[0].repeats, 5);
  EXPECT_TRUE(profile.measurements[0].throttled);

  a.measured = {1, 1, 1, false};
  b.measured = {3, 3, 1, false};
  a.time_std_ms = b.time_std_ms = kNan;
  const auto singles = profile_of(example_header(), {a, b});
  EXPECT_DOUBLE_EQ(singles.time_std_ms[0], std::sqrt(2.0));
  b.measured.repeats = 2;
  EXPECT_TRUE(profile_of(example_header(), {a, b}).time_std_ms.empty());
}

TEST(RunProfile, PowerIsEnergyByTimeWhereRepeatsTookDifferentlyLong) {
  auto a = example_record(0), b = example_record(0);
  a.measured = {20, 5, 10, false};
  b.measured = {500, 25, 10, false};
  a.time_std_ms = b.time_std_ms = a.power_std_w = b.power_std_w = 0;
  const auto profile = profile_of(example_header(), {a, b});
  EXPECT_DOUBLE_EQ(profile.measurements[0].time_ms, 260);
  const double watt = (0.2 * 5 + 5 * 25) / 5.2;
  EXPECT_DOUBLE_EQ(profile.measurements[0].power_w, watt);
  EXPECT_NEAR(profile.time_std_ms[0], std::sqrt(20 * 240. * 240 / 19), 1e-9);
  EXPECT_NEAR(profile.power_std_w[0],
              std::sqrt(20 * (0.2 * (5 - watt) * (5 - watt) + 5 * (25 - watt) * (25 - watt)) / 5.2 / 19),
              1e-9);
}

TEST(RunFold, MakesAFileAndRepeatsItself) {
  const TempDir dir;
  example_log(dir);
  fold(dir / "example.log", dir / "p.h5");
  const auto store = read_profiles(dir / "p.h5");
  ASSERT_EQ(store.profiles.size(), 1u);
  const auto expected = to_profile(read_run_log(dir / "example.log"));
  EXPECT_EQ(store.profiles[0].modes, expected.modes);
  EXPECT_EQ(store.profiles[0].attributes, expected.attributes);
  EXPECT_EQ(store.devices.at("board-1.5"), example_header().device_attributes);
  const auto bytes = read_text(dir / "p.h5");
  fold(dir / "example.log", dir / "p.h5");
  EXPECT_EQ(read_text(dir / "p.h5"), bytes);
}

TEST(RunFold, KeepsOtherWorkloadsAndRowsThatTheLogLacks) {
  const TempDir dir;
  auto old = example_profile();
  old.attributes.dataset = "CIFAR-10";
  auto other_device = example_profile();
  other_device.device = "another";
  ProfileStore store;
  store.devices["board-1.5"] = {{"cooling", "fan"}};
  store.profiles = {other_device, old, example_profile("vgg")};
  write_profiles(dir / "p.h5", store);
  example_log(dir);
  fold(dir / "example.log", dir / "p.h5");

  const auto read = read_profiles(dir / "p.h5");
  ASSERT_EQ(read.profiles.size(), 3u);
  expect_equal(*read.find("another", "resnet18"), other_device);
  expect_equal(*read.find("board-1.5", "vgg"), example_profile("vgg"));
  EXPECT_EQ(read.devices.at("board-1.5").at("cooling"), "fan");
  EXPECT_EQ(read.devices.at("board-1.5").at("board"), "A board");
  const auto& profile = *read.find("board-1.5", "resnet18");
  EXPECT_EQ(profile.attributes.dataset, "CIFAR-10");
  EXPECT_EQ(profile.attributes.flops, example_header().attributes.flops);
  ASSERT_EQ(profile.modes, old.modes);
  EXPECT_EQ(profile.measurements[0].time_ms, 12.25);
  EXPECT_EQ(profile.measurements[0].repeats, 10);
  EXPECT_TRUE(std::isnan(profile.measurements[1].power_w));
  for (const std::size_t kept : {2, 4, 5}) {
    EXPECT_EQ(profile.measurements[kept].time_ms, old.measurements[kept].time_ms);
    EXPECT_TRUE(std::isnan(profile.time_std_ms[kept]));
  }
}

TEST(RunFold, WhatDoesNotFitIsRefusedAndKnownBefore) {
  const TempDir dir;
  ProfileStore store;
  store.devices["board-1.5"] = {{"board", "A board"}};
  store.profiles = {example_profile()};
  write_profiles(dir / "p.h5", store);
  const auto bytes = read_text(dir / "p.h5");
  check_fold(example_header(), dir / "p.h5");
  check_fold(example_header(), dir / "none.h5");
  EXPECT_FALSE(std::filesystem::exists(dir / "none.h5"));
  const auto expect_refused = [&](std::initializer_list<std::string> what, auto change) {
    auto header = example_header();
    change(header);
    expect_data_error([&] { check_fold(header, dir / "p.h5"); }, what);
    expect_data_error([&] { fold(RunRecords{"a.log", header, example_records(), 0}, dir / "p.h5"); }, what);
    EXPECT_EQ(read_text(dir / "p.h5"), bytes);
  };
  expect_refused({dir / "p.h5", "board-1.5/resnet18", "time_of", "'minibatch' and 'epoch'"},
                 [](auto& h) { h.attributes.time_of = datasets::TimeOf::epoch; });
  expect_refused({"batch_size", "'16' and '32'"}, [](auto& h) { h.attributes.batch_size = 32; });
  expect_refused({"device board-1.5", "board differs: 'A board' and 'B'"},
                 [](auto& h) { h.device_attributes["board"] = "B"; });
  write_text(dir / "p.h5", "no HDF5");
  expect_data_error([&] { check_fold(example_header(), dir / "p.h5"); }, {dir / "p.h5"});
}

Profile with_modes(std::vector<hw::Knob> knobs, const std::vector<hw::PowerMode>& modes, bool is_list) {
  auto profile = example_profile();
  profile.space =
      std::make_shared<const hw::PowerModeSpace>(is_list ? hw::PowerModeSpace::list(std::move(knobs), modes)
                                                         : hw::PowerModeSpace::grid(std::move(knobs)));
  profile.modes = modes;
  profile.measurements.assign(modes.size(), {2, 5, 1, false});
  return profile;
}

ProfileStore store_of(const Profile& profile) {
  ProfileStore store;
  store.profiles = {profile};
  return store;
}

TEST(RunMerge, TwoRunsBecomeOneProfile) {
  auto a = example_profile(), b = example_profile();
  a.modes.pop_back();
  a.measurements.pop_back();
  b.modes.erase(b.modes.begin());
  b.measurements.erase(b.measurements.begin());
  a.attributes.layers = 18;
  b.attributes.model = "ResNet-18";
  const auto both = a.modes[2];
  a.measurements[2] = {1, kNan, 1, false};
  b.measurements[1] = {4, 6, 2, true};
  ASSERT_EQ(b.modes[1], both);
  const auto merged = merge_profiles(store_of(a), store_of(b), "a + b");
  ASSERT_EQ(merged.profiles.size(), 1u);
  const auto& profile = merged.profiles[0];
  EXPECT_EQ(profile.modes, example_profile().modes);
  EXPECT_EQ(*profile.space, *a.space);
  EXPECT_EQ(profile.attributes.layers, 18);
  EXPECT_EQ(profile.attributes.model, "ResNet-18");
  const auto& measured = profile.measurements[row_of(profile, both)];
  EXPECT_DOUBLE_EQ(measured.time_ms, 3);
  EXPECT_EQ(measured.power_w, 6);
  EXPECT_EQ(measured.repeats, 3);
  EXPECT_TRUE(measured.throttled);
  EXPECT_EQ(profile.measurements.front().time_ms, example_profile().measurements.front().time_ms);
  EXPECT_EQ(profile.measurements.back().time_ms, example_profile().measurements.back().time_ms);
}

TEST(RunMerge, ProfilesOfOneSideAreKept) {
  ProfileStore a = store_of(example_profile("vgg")), b = store_of(example_profile("bert"));
  a.devices["board-1.5"] = {{"board", "A board"}};
  b.devices["board-1.5"] = {{"jetpack", "6"}};
  b.devices["other"] = {};
  const auto merged = merge_profiles(a, b, "a + b");
  ASSERT_EQ(merged.profiles.size(), 2u);
  expect_equal(merged.profiles[0], example_profile("bert"));
  expect_equal(merged.profiles[1], example_profile("vgg"));
  EXPECT_EQ(merged.devices.size(), 2u);
  EXPECT_EQ(merged.devices.at("board-1.5"),
            (datasets::DeviceAttributes{{"board", "A board"}, {"jetpack", "6"}}));
}

TEST(RunMerge, LevelsAreUnited) {
  const auto gpu = [](std::vector<int> levels) {
    return std::vector<hw::Knob>{{hw::KnobRole::mem_khz, {7}}, {hw::KnobRole::gpu_khz, std::move(levels)}};
  };
  const auto grid = with_modes(gpu({1, 3}), {{7, 1}}, false);
  const auto other_grid = with_modes(gpu({2, 3}), {{7, 2}}, false);
  const auto list = with_modes(gpu({2, 3, 4}), {{7, 2}, {7, 4}}, true);
  const auto grids = merge_profiles(store_of(grid), store_of(other_grid), "x").profiles.at(0);
  EXPECT_EQ(*grids.space, hw::PowerModeSpace::grid(gpu({1, 2, 3})));
  EXPECT_EQ(grids.modes, (std::vector<hw::PowerMode>{{7, 1}, {7, 2}}));
  for (const auto& mixed : {merge_profiles(store_of(grid), store_of(list), "x").profiles.at(0),
                            merge_profiles(store_of(list), store_of(grid), "x").profiles.at(0)}) {
    EXPECT_EQ(*mixed.space, hw::PowerModeSpace::list(gpu({1, 2, 3, 4}), {{7, 1}, {7, 2}, {7, 3}, {7, 4}}));
    EXPECT_EQ(mixed.modes, (std::vector<hw::PowerMode>{{7, 1}, {7, 2}, {7, 4}}));
  }
}

TEST(RunMerge, WhatDiffersIsNamed) {
  const auto expect_refused = [](std::initializer_list<std::string> what, auto change) {
    auto a = store_of(example_profile()), b = a;
    a.devices["board-1.5"]["rails"] = "VDD_IN";
    change(b);
    expect_data_error([&] { merge_profiles(a, b, "a + b"); }, what);
  };
  expect_refused({"a + b: profile board-1.5/resnet18: time_of differs: 'minibatch' and 'epoch'"},
                 [](auto& b) { b.profiles[0].attributes.time_of = datasets::TimeOf::epoch; });
  expect_refused({"kind differs"},
                 [](auto& b) { b.profiles[0].attributes.kind = datasets::WorkloadKind::non_dnn; });
  expect_refused({"source differs: 'somebody' and 'me'"},
                 [](auto& b) { b.profiles[0].attributes.source = "me"; });
  expect_refused({"batch_size differs: '16' and '32'"},
                 [](auto& b) { b.profiles[0].attributes.batch_size = 32; });
  expect_refused({"device board-1.5: rails differs: 'VDD_IN' and 'VDD_CPU'"},
                 [](auto& b) { b.devices["board-1.5"]["rails"] = "VDD_CPU"; });
  expect_refused(
      {"board-1.5/resnet18: knobs differs: 'mem_khz, gpu_khz' and 'gpu_khz, mem_khz'"}, [](auto& b) {
        b.profiles[0] = with_modes({{hw::KnobRole::gpu_khz, {306000}}, {hw::KnobRole::mem_khz, {1}}},
                                   {{306000, 1}}, false);
      });
  auto a = example_profile(), b = example_profile();
  a.time_true_ms = b.time_true_ms = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(merge_profiles(store_of(a), store_of(b), "x").profiles[0].time_true_ms, a.time_true_ms);
  b.time_true_ms[1] = 9;
  expect_data_error([&] { merge_profiles(store_of(a), store_of(b), "x"); },
                    {"mem_khz=204000 gpu_khz=612000", "true value differs: '2' and '9'"});
  auto untimed = example_profile();
  untimed.modes = {untimed.modes[1]};
  untimed.measurements = {{kNan, 5, 1, false}};
  auto timed = untimed;
  timed.modes = {example_profile().modes[2]};
  timed.measurements = {{3, 5, 1, false}};
  expect_data_error([&] { merge_profiles(store_of(untimed), store_of(timed), "x"); },
                    {"x: profile board-1.5/resnet18", "time_ms is NaN for some modes"});
}

}  // namespace
}  // namespace fewwatt::tests
