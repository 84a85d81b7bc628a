#include "datasets/isolated_reader.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <limits>
#include <thread>

#include "datasets/hdf5_file.hpp"
#include "datasets/profile_io.hpp"
#include "tests/damaged.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

#ifdef FEWWATT_SECCOMP
#include <seccomp.h>
#endif

namespace fewwatt::tests {
namespace isolated_reader_test {

using datasets::Hdf5Reader;
using datasets::ReadOptions;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// An environment variable, as it was before at the end.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name), was_set_(std::getenv(name) != nullptr) {
    if (was_set_) before_ = std::getenv(name);
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { was_set_ ? setenv(name_, before_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  bool was_set_;
  std::string before_;
};

// A file that `fill` fills with the calls of the HDF5 library.
std::string made(const std::string& path, const std::function<void(hid_t file)>& fill) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_GE(file, 0);
  fill(file);
  EXPECT_GE(H5Fclose(file), 0);
  return path;
}

void make_group(hid_t file, const std::string& name) {
  H5Gclose(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

// Without values, of which there may be any number. `list` is closed.
void make_dataset(hid_t file, const std::string& name, std::vector<hsize_t> shape,
                  hid_t list = H5Pcreate(H5P_DATASET_CREATE), hid_t type = H5T_IEEE_F64LE) {
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t dataset = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, list, H5P_DEFAULT);
  EXPECT_GE(dataset, 0) << name;
  H5Dclose(dataset);
  H5Sclose(space);
  H5Pclose(list);
}

hid_t chunked(std::vector<hsize_t> chunk) {
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
  return list;
}

// Refused in both ways of reading.
void expect_refused(const std::string& path, std::initializer_list<std::string> fragments) {
  for (const bool isolated : {true, false})
    expect_data_error([&] { Hdf5Reader(path, {.isolated = isolated}); }, fragments);
}

std::string small_profile(const TempDir& dir) {
  const std::string path = dir / "p.h5";
  datasets::ProfileStore store;
  store.devices["board-1.5"] = {{"board", "A board"}};
  store.profiles = {example_profile()};
  datasets::write_profiles(path, store);
  return path;
}

TEST(IsolatedReader, OnlyHardLinksAreRead) {
  const TempDir dir;
  expect_refused(made(dir / "soft.h5",
                      [](hid_t file) { H5Lcreate_soft("/nowhere", file, "x", H5P_DEFAULT, H5P_DEFAULT); }),
                 {"soft.h5: /x", "only hard links"});
  expect_refused(made(dir / "cycle.h5",
                      [](hid_t file) {
                        H5Lcreate_soft("/y", file, "x", H5P_DEFAULT, H5P_DEFAULT);
                        H5Lcreate_soft("/x", file, "y", H5P_DEFAULT, H5P_DEFAULT);
                      }),
                 {"cycle.h5: /x", "only hard links"});
  const auto other = made(dir / "other.h5", [](hid_t file) { make_group(file, "secret"); });
  expect_refused(made(dir / "external.h5",
                      [&](hid_t file) {
                        H5Lcreate_external(other.c_str(), "/secret", file, "x", H5P_DEFAULT, H5P_DEFAULT);
                      }),
                 {"external.h5: /x", "only hard links"});
}

TEST(IsolatedReader, AnObjectStandsInOnePlace) {
  const TempDir dir;
  expect_refused(made(dir / "a.h5",
                      [](hid_t file) {
                        make_group(file, "/a");
                        H5Lcreate_hard(file, "/a", file, "/a/a", H5P_DEFAULT, H5P_DEFAULT);
                      }),
                 {"a.h5: /a/a", "the same object as another"});
  expect_refused(made(dir / "root.h5",
                      [](hid_t file) {
                        make_group(file, "/a");
                        H5Lcreate_hard(file, "/", file, "/a/b", H5P_DEFAULT, H5P_DEFAULT);
                      }),
                 {"root.h5: /a/b", "the same object as another"});
}

TEST(IsolatedReader, OtherFilesAreNotReadThroughADataset) {
  const TempDir dir;
  write_text(dir / "secret", std::string(80, 'x'));
  expect_refused(made(dir / "external.h5",
                      [&](hid_t file) {
                        const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
                        H5Pset_external(list, (dir / "secret").c_str(), 0, 80);
                        make_dataset(file, "/x", {10}, list);
                      }),
                 {"external.h5: /x", "other files"});
  expect_refused(made(dir / "virtual.h5",
                      [&](hid_t file) {
                        const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
                        const hsize_t ten = 10;
                        const hid_t space = H5Screate_simple(1, &ten, nullptr);
                        H5Pset_virtual(list, space, (dir / "other.h5").c_str(), "/x", space);
                        make_dataset(file, "/x", {10}, list);
                        H5Sclose(space);
                      }),
                 {"virtual.h5: /x", "virtual"});
}

TEST(IsolatedReader, FiltersAreTheThreeThatAreKnown) {
  const TempDir dir;
  const auto good = made(dir / "good.h5", [](hid_t file) {
    const hid_t list = chunked({10});
    H5Pset_shuffle(list);
    H5Pset_deflate(list, 6);
    H5Pset_fletcher32(list);
    make_dataset(file, "/x", {10}, list);
  });
  EXPECT_EQ(Hdf5Reader(good).doubles("/x"), std::vector<double>(10, 0.0));
  expect_refused(made(dir / "nbit.h5",
                      [](hid_t file) {
                        const hid_t list = chunked({10});
                        H5Pset_nbit(list);
                        make_dataset(file, "/x", {10}, list);
                      }),
                 {"nbit.h5: /x", "filter 5 (nbit)"});
  expect_refused(made(dir / "unknown.h5",
                      [](hid_t file) {
                        const hid_t list = chunked({10});
                        H5Pset_filter(list, 32999, H5Z_FLAG_OPTIONAL, 0, nullptr);
                        make_dataset(file, "/x", {10}, list);
                      }),
                 {"unknown.h5: /x", "filter 32999 is not read"});
  for (const auto& [filter, name] :
       {std::pair(32000, "lzf"), std::pair(32001, "blosc"), std::pair(32015, "zstd")})
    expect_refused(made(dir / "other.h5",
                        [of = filter](hid_t file) {
                          const hid_t list = chunked({10});
                          H5Pset_filter(list, of, H5Z_FLAG_OPTIONAL, 0, nullptr);
                          make_dataset(file, "/x", {10}, list);
                        }),
                   {"other.h5: /x", std::to_string(filter) + " (" + name + ")", "gzip"});
}

TEST(IsolatedReader, SizesThatAreOnlyClaimedAreRefused) {
  const TempDir dir;
  const auto late = [] {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE);
    return list;
  };
  for (const std::vector<hsize_t>& shape :
       {std::vector<hsize_t>{hsize_t{1} << 50}, {hsize_t{1} << 32, hsize_t{1} << 28}, {hsize_t{1} << 26}}) {
    expect_refused(made(dir / "large.h5", [&](hid_t file) { make_dataset(file, "/x", shape, late()); }),
                   {"large.h5: /x"});
    std::filesystem::remove(dir / "large.h5");
  }
  expect_refused(
      made(dir / "chunk.h5",
           [](hid_t file) {
             std::vector<hsize_t> chunk{1 << 28};
             const hid_t list = chunked(chunk);
             H5Pset_alloc_time(list, H5D_ALLOC_TIME_INCR);
             const hsize_t ten = 10, most = H5S_UNLIMITED;
             const hid_t space = H5Screate_simple(1, &ten, &most);
             H5Dclose(H5Dcreate2(file, "/x", H5T_IEEE_F64LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
             H5Sclose(space);
             H5Pclose(list);
           }),
      {"chunk.h5: /x", "impossible size of its chunks"});
  expect_refused(made(dir / "many.h5",
                      [&](hid_t file) {
                        for (int i = 0; i < 20; ++i)
                          make_dataset(file, "/x" + std::to_string(i), {1 << 21}, late());
                      }),
                 {"many.h5: /x", "256 MB", "FEWWATT_READER_MB"});
}

TEST(IsolatedReader, MemoryIsLimitedAndCanBeGiven) {
  const TempDir dir;
  const auto path = made(dir / "x.h5", [](hid_t file) {  // 24 MB of zeros in 24 KB
    const hid_t list = chunked({1 << 17});
    H5Pset_deflate(list, 9);
    make_dataset(file, "/x", {3 << 20}, list);
    const std::vector<double> zeros(3 << 20);
    const hid_t dataset = H5Dopen2(file, "/x", H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data());
    H5Dclose(dataset);
  });
  EXPECT_LT(std::filesystem::file_size(path), 100'000U);
  for (const bool isolated : {true, false}) {
    expect_data_error([&] { Hdf5Reader(path, {.isolated = isolated, .memory_bytes = 64 << 20}); },
                      {path, "/x", "16 MB", "FEWWATT_READER_MB"});
    EXPECT_EQ(Hdf5Reader(path, {.isolated = isolated, .memory_bytes = 200 << 20}).doubles("/x").size(),
              3U << 20);
  }
  const Variable memory("FEWWATT_READER_MB", "64");
  expect_data_error([&] { Hdf5Reader{path}; }, {path, "16 MB"});
  for (const char* bad : {"1", "many", "-1", "64.5", "99999999999"}) {
    const Variable wrong("FEWWATT_READER_MB", bad);
    expect_data_error([&] { Hdf5Reader{path}; }, {"FEWWATT_READER_MB", bad});
  }
}

TEST(IsolatedReader, AFileLargerThanItsMemoryIsSaidToBe) {
  const TempDir dir;
  const auto path = small_profile(dir);
  std::filesystem::resize_file(path, std::uintmax_t{80} << 20);  // a hole
  for (const bool isolated : {true, false}) {
    expect_data_error([&] { Hdf5Reader(path, {.isolated = isolated, .memory_bytes = 64 << 20}); },
                      {path, "needs more than 64 MB"});
  }
}

TEST(IsolatedReader, GroupsAreNotTooDeep) {
  const TempDir dir;
  expect_refused(made(dir / "deep.h5",
                      [](hid_t file) {
                        std::string path;
                        for (int i = 0; i < 40; ++i) make_group(file, path += "/g");
                      }),
                 {"deep.h5: /g/g", "deeper than 32"});
}

TEST(IsolatedReader, TextOfAnyLengthIsRead) {
  const TempDir dir;
  const auto path = made(dir / "x.h5", [](hid_t file) {
    const hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t attribute = H5Acreate2(file, "old", type, space, H5P_DEFAULT, H5P_DEFAULT);
    const char* value = "as older versions wrote it";
    H5Awrite(attribute, type, &value);
    H5Aclose(attribute);
    H5Tclose(type);
    H5Sclose(space);
  });
  for (const bool isolated : {true, false})
    EXPECT_EQ(Hdf5Reader(path, {.isolated = isolated}).text("/", "old"), "as older versions wrote it");
}

TEST(IsolatedReader, WhatNoFileOfOursHasIsNamedWhereItIsUsed) {
  const TempDir dir;
  const auto path = made(dir / "x.h5", [](hid_t file) {
    make_dataset(file, "/text", {2}, H5Pcreate(H5P_DATASET_CREATE), H5T_C_S1);
    make_dataset(file, "/cube", {2, 2, 2});
    const hsize_t two = 2;
    const hid_t space = H5Screate_simple(1, &two, nullptr);
    H5Aclose(H5Acreate2(file, "pair", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    const hid_t type = H5Tcopy(H5T_STD_I8LE);
    H5Tcommit2(file, "/type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
  });
  const Hdf5Reader file(path);
  expect_data_error([&] { file.doubles("/text"); },
                    {path, "/text", "expected floating-point numbers, found text"});
  expect_data_error([&] { file.double_table("/cube"); }, {path, "/cube", "expected 2 dimension(s), found 3"});
  expect_data_error([&] { file.integer("/", "pair"); }, {path, "'pair'", "single value"});
  expect_data_error([&] { file.doubles("/type"); }, {path, "/type"});
  expect_data_error([&] { file.verify(); }, {path});
}

TEST(IsolatedReader, NumbersThatDoNotFitAreRefused) {
  const TempDir dir;
  const auto file_of = [&](hid_t type, std::int64_t value) {
    return made(dir / "x.h5", [&](hid_t file) {
      make_dataset(file, "/x", {1}, H5Pcreate(H5P_DATASET_CREATE), type);
      const hid_t dataset = H5Dopen2(file, "/x", H5P_DEFAULT);
      H5Dwrite(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value);
      H5Dclose(dataset);
    });
  };
  expect_refused(file_of(H5T_STD_I64LE, std::int64_t{1} << 33), {"x.h5: /x", "8589934592"});
  expect_refused(file_of(H5T_STD_I64LE, 4297495696), {"x.h5: /x", "4297495696"});  // 2528400 in 32 bits
  expect_refused(file_of(H5T_STD_I64BE, -2147483649), {"x.h5: /x", "-2147483649"});
  expect_refused(file_of(H5T_STD_U32LE, 2147483648), {"x.h5: /x", "2147483648"});
  expect_refused(file_of(H5T_STD_U64LE, std::numeric_limits<std::int64_t>::max()),
                 {"x.h5: /x", "9223372036854775807"});
  for (const auto type : {H5T_STD_I64LE, H5T_STD_U64BE, H5T_STD_U32LE})
    EXPECT_EQ(Hdf5Reader(file_of(type, 2147483647)).ints("/x"), std::vector<int>{2147483647});
}

TEST(IsolatedReader, NamesFromAFileAreEscaped) {
  const TempDir dir;
  expect_refused(
      made(dir / "x.h5",
           [](hid_t file) { H5Lcreate_soft("/", file, "\x1b]0;owned\x07\n", H5P_DEFAULT, H5P_DEFAULT); }),
      {"/\\x1b]0;owned\\x07\\n"});
}

TEST(IsolatedReader, ADamagedProfileIsReadRightOrRefused) {
  const TempDir dir;
  const std::string path = small_profile(dir), whole = read_text(path);
  const auto profile = datasets::read_profiles(path).profiles.at(0);
  expect_damage_is_found<datasets::DataError>(whole, dir / "damaged.h5", 50, 1, [&] {
    const auto store = datasets::read_profiles(dir / "damaged.h5", {.cpu_seconds = 1});
    ASSERT_EQ(store.profiles.size(), 1U);
    expect_equal(store.profiles[0], profile);
  });
}

TEST(IsolatedReader, AChangeByAnotherProgramIsSaid) {
  const TempDir dir;
  const auto path = small_profile(dir);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t dataset = H5Dopen2(file, "/profiles/board-1.5/resnet18/time_ms", H5P_DEFAULT);
  ASSERT_GE(dataset, 0);
  const std::vector<double> values(6, 1.0);
  H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(dataset);
  H5Fclose(file);
  expect_refused(path, {path, "damaged or was changed by something else"});
}

TEST(IsolatedReader, AFileThatGrowsIsReadAsItWasOrRefused) {
  const TempDir dir;
  const auto path = small_profile(dir);
  const auto profile = datasets::read_profiles(path).profiles.at(0);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) {
      std::ofstream(path, std::ios::binary | std::ios::app) << std::string(1000, 'x') << std::flush;
      std::filesystem::resize_file(path, 20'000'000);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (int i = 0; i < 20; ++i) {
    try {
      expect_equal(datasets::read_profiles(path).profiles.at(0), profile);
    } catch (const datasets::DataError& e) {
      EXPECT_NE(std::string(e.what()).find("changed while it was read"), std::string::npos) << e.what();
    }
  }
  done = true;
  writer.join();
}

TEST(IsolatedReader, ThreadsReadAtOnce) {
  const TempDir dir;
  const auto path = small_profile(dir);
  const auto profile = datasets::read_profiles(path).profiles.at(0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) expect_equal(datasets::read_profiles(path).profiles.at(0), profile);
    });
  for (auto& thread : threads) thread.join();
}

// Programs in place of fewwatt-reader.
class OtherReader : public testing::Test {
 protected:
  std::string script(const std::string& lines) {
    write_text(dir_ / "reader", "#!/bin/sh\n" + lines + "\n");
    std::filesystem::permissions(dir_ / "reader", std::filesystem::perms::owner_all);
    return dir_ / "reader";
  }
  void expect_said(const std::string& program, std::initializer_list<std::string> fragments) {
    const Variable reader("FEWWATT_READER", program);
    expect_data_error([&] { Hdf5Reader(path_, {.cpu_seconds = 1}); }, fragments);
  }

  TempDir dir_;
  const std::string path_ = small_profile(dir_);
};

TEST_F(OtherReader, ACrashIsOneLine) {
  expect_said(script("kill -SEGV $$"), {path_ + " is damaged: its reader ended by signal 11"});
  expect_said(script("ulimit -c 0; printf S; kill -ABRT $$"),
              {path_ + " is damaged: its reader ended by signal 6"});
}

TEST_F(OtherReader, TooMuchTimeIsOneLine) {
  expect_said(script("ulimit -t 1; while :; do :; done"), {path_ + " is damaged: its reader"});
}

TEST_F(OtherReader, OneThatOnlyClosesItsPipeIsNotWaitedForForEver) {
  expect_said(script("exec sleep 100 >&-"), {path_ + " is damaged: its reader ended by signal 9"});
}

TEST_F(OtherReader, OneThatSleepsIsEndedAndOneAtWorkIsWaitedFor) {
  expect_said(script("exec sleep 100"), {path_ + " is damaged: its reader did not end within 7 s"});
  // As on a busy machine: some of its processor time in the time by the clock, and the rest later.
  const Variable reader("FEWWATT_READER",
                        script("i=0; while [ $i -lt 400000 ]; do i=$((i + 1)); done; sleep 8; exec " +
                               bin_dir() + "/fewwatt-reader \"$@\""));
  EXPECT_NO_THROW(Hdf5Reader(path_, {.cpu_seconds = 1}));
}

TEST_F(OtherReader, WhatMakesNoSenseIsOneLine) {
  expect_said(script("cat"), {path_});
  expect_said(script("printf SG"), {path_, "exit code 0"});
  expect_said(script("cat /dev/zero"), {path_});
  expect_said(script("exit 3"), {path_, "exit code 3"});
}

TEST_F(OtherReader, OneThatIsNotThereIsNamed) {
  expect_said(dir_ / "gone", {path_, "cannot start " + (dir_ / "gone")});
}

TEST_F(OtherReader, AProgramFindsItsReaderBesideItselfOrIsToldWhere) {
  if (!emulator().empty()) GTEST_SKIP() << "an emulator is not beside the program";
  const std::string inspect = dir_ / "fewwatt-inspect";
  std::filesystem::copy_file(bin_dir() + "/fewwatt-inspect", inspect);
  const auto run = [&](const std::string& before) {
    const int status =
        std::system((before + " " + inspect + " " + path_ + " >/dev/null 2>" + (dir_ / "err")).c_str());
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(run("env -u FEWWATT_READER"), 1);
  const auto said = read_text(dir_ / "err");
  EXPECT_NE(said.find("fewwatt-reader is neither beside this program"), std::string::npos) << said;
  EXPECT_EQ(run("FEWWATT_READER=" + bin_dir() + "/fewwatt-reader"), 0) << read_text(dir_ / "err");
  std::filesystem::create_symlink(bin_dir() + "/fewwatt-reader", dir_ / "fewwatt-reader");
  EXPECT_EQ(run("env -u FEWWATT_READER"), 0) << read_text(dir_ / "err");
}

TEST(Reader, IsNotForPeople) {
  const auto result = run_program("reader", "x.h5");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("is started by the other programs"), std::string::npos) << result.err;
  const auto version = run_program("reader", "--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("fewwatt ")) << version.out;
}

// What the system says of the reader while nobody takes what it sends.
TEST(Reader, HasNothingButTheFileAndThePipe) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs more";
  if (!emulator().empty()) GTEST_SKIP() << "an emulator has descriptors of its own";
  const TempDir dir;
  const std::string path = dir / "x.h5";
  datasets::Hdf5Writer writer(path, "fewwatt-test", 1);
  std::vector<double> values;
  for (int i = 0; i < 300'000; ++i) values.push_back(std::sqrt(i));
  writer.write("/x", values);
  writer.commit();

  const std::string size = std::to_string(std::filesystem::file_size(path));
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const pid_t reader = fork();
  if (reader == 0) {
    dup2(open(path.c_str(), O_RDONLY), STDIN_FILENO);
    dup2(pipe_ends[1], STDOUT_FILENO);
    for (int file = 10; file < 20; ++file) dup2(STDIN_FILENO, file);  // left open by mistake
    const std::string program = bin_dir() + "/fewwatt-reader";
    execl(program.c_str(), program.c_str(), size.c_str(), "1073741824", "268435456", "3", "all", "seccomp",
          nullptr);
    _exit(127);
  }
  close(pipe_ends[1]);
  char status = 0;
  ASSERT_EQ(read(pipe_ends[0], &status, 1), 1);
  const std::string proc = "/proc/" + std::to_string(reader);
  // The pipe is full once it waits there.
  for (int i = 0; i < 1000 && read_text(proc + "/wchan").find("pipe") == std::string::npos; ++i) usleep(1000);
  std::vector<std::string> descriptors;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd"))
    descriptors.push_back(entry.path().filename());
  const auto said = read_text(proc + "/status"), limits = read_text(proc + "/limits");
  kill(reader, SIGKILL);
  waitpid(reader, nullptr, 0);
  close(pipe_ends[0]);

  std::sort(descriptors.begin(), descriptors.end());
  EXPECT_EQ(descriptors, (std::vector<std::string>{"0", "1"}));
  EXPECT_NE(said.find("NoNewPrivs:\t1"), std::string::npos) << said;
  if (status == 'S') {
    EXPECT_NE(said.find("Seccomp:\t2"), std::string::npos) << said;
  }
  EXPECT_NE(limits.find("Max address space         1073741824"), std::string::npos) << limits;
  EXPECT_NE(limits.find("Max open files            0 "), std::string::npos) << limits;
  EXPECT_NE(limits.find("Max cpu time              3 "), std::string::npos) << limits;
  EXPECT_NE(limits.find("Max core file size        0 "), std::string::npos) << limits;
}

#ifdef FEWWATT_SECCOMP
TEST(Reader, ASystemWithoutSeccompIsSaidOnceAndFilesAreRead) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer leaves seccomp out";
  if (!emulator().empty()) GTEST_SKIP() << "an emulator has no seccomp anyway";
  const TempDir dir;
  const std::string path = small_profile(dir), inspect = bin_dir() + "/fewwatt-inspect";
  const pid_t child = fork();
  if (child == 0) {  // a system call filter that lets nobody make another one
    const auto rules = seccomp_init(SCMP_ACT_ALLOW);
    seccomp_rule_add(rules, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0);
    seccomp_rule_add(rules, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                     SCMP_A0(SCMP_CMP_EQ, 22 /* PR_SET_SECCOMP */));
    if (seccomp_load(rules) != 0) _exit(126);
    dup2(open((dir / "out").c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    dup2(open((dir / "err").c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    execl(inspect.c_str(), inspect.c_str(), path.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_NE(read_text(dir / "out").find("modes: 6 of 6"), std::string::npos);
  const auto said = read_text(dir / "err");  // inspect reads the file twice
  EXPECT_NE(said.find("no seccomp"), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), said.size() - 1) << said;
}
#endif

}  // namespace isolated_reader_test
}  // namespace fewwatt::tests
