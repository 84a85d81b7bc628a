#include "datasets/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <functional>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace atomic_file_test {

using datasets::write_file;

std::size_t entries(const TempDir& dir) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(dir.path()), {}));
}

// Writing beyond `bytes` fails while this lives, as on a full disk.
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

// Says yes to files that begin so.
datasets::Replaceable files_with(const std::string& beginning) {
  return datasets::text_file("a file of tests",
                             [beginning](std::string_view start) { return start.starts_with(beginning); });
}

TEST(AtomicFile, ReplacesTheWholeFile) {
  const TempDir dir;
  write_file(dir / "a", "a longer text");
  write_file(dir / "a", "text", files_with("a longer"));
  EXPECT_EQ(read_text(dir / "a"), "text");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, ReplacesNothingUnlessToldTo) {
  const TempDir dir;
  write_file(dir / "a", "old");
  for (const auto& attempt : {std::function<void()>([&] { write_file(dir / "a", "new"); }),
                              std::function<void()>([&] { datasets::check_output(dir / "a"); })})
    expect_data_error(attempt, {"cannot write " + (dir / "a"), "it is there already"});
  EXPECT_EQ(read_text(dir / "a"), "old");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, AFileOfAnotherKindIsNotReplaced) {
  const TempDir dir;
  write_file(dir / "a", "my thesis");
  expect_data_error([&] { write_file(dir / "a", "new", files_with("h,e,a,d")); },
                    {dir / "a", "is not a file of tests"});
  expect_data_error([&] { datasets::check_output(dir / "a", files_with("h,e,a,d")); },
                    {dir / "a", "is not a file of tests"});
  EXPECT_EQ(read_text(dir / "a"), "my thesis");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, AnEmptyFileMayBeReplaced) {
  const TempDir dir;
  write_text(dir / "a", "");
  write_file(dir / "a", "new");
  EXPECT_EQ(read_text(dir / "a"), "new");
}

TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TempDir dir;
  write_file(dir / "a", "old");
  {
    const FullDisk full(1000);
    expect_data_error([&] { write_file(dir / "a", std::string(5000, 'x'), files_with("old")); },
                      {"cannot write " + (dir / "a")});
  }
  EXPECT_EQ(read_text(dir / "a"), "old");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, AFolderThatIsNotThereIsNamed) {
  const TempDir dir;
  expect_data_error([&] { write_file(dir / "no/a", "x"); }, {dir / "no/a", "No such file or directory"});
}

TEST(AtomicFile, AFileIsNoFolder) {
  const TempDir dir;
  write_file(dir / "a", "x");
  expect_data_error([&] { write_file(dir / "a/b", "x"); }, {dir / "a/b", "Not a directory"});
}

TEST(AtomicFile, AFolderIsNotReplaced) {
  const TempDir dir;
  expect_data_error([&] { write_file(dir.path().string(), "x"); }, {dir.path().string(), "it is a folder"});
}

TEST(AtomicFile, ALinkIsNotFollowed) {
  const TempDir dir;
  write_file(dir / "a", "old");
  std::filesystem::create_symlink("a", dir / "link");
  std::filesystem::create_symlink("nothing", dir / "dangling");
  for (const char* name : {"link", "dangling"}) {
    expect_data_error([&] { write_file(dir / name, "new", files_with("")); }, {dir / name, "symbolic link"});
    expect_data_error([&] { datasets::check_output(dir / name, files_with("")); },
                      {dir / name, "symbolic link"});
    EXPECT_TRUE(std::filesystem::is_symlink(dir / name));
  }
  EXPECT_EQ(read_text(dir / "a"), "old");
  EXPECT_EQ(entries(dir), 3u);
}

TEST(AtomicFile, FoldersOnTheWayMayBeLinks) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "folder");
  std::filesystem::create_symlink("folder", dir / "link");
  write_file(dir / "link/a", "text");
  EXPECT_EQ(read_text(dir / "folder/a"), "text");
}

TEST(AtomicFile, ItsOwnOutputIsNoLinkToAFile) {
  const TempDir dir;
  const int file = open((dir / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  write_file("/dev/fd/" + std::to_string(file), "one ");
  write_file("/proc/self/fd/" + std::to_string(file), "two");
  close(file);
  EXPECT_EQ(read_text(dir / "out"), "one two");
}

TEST(AtomicFile, ANameThatWasGuessedIsOfNoUse) {
  const TempDir dir;
  write_text(dir / "victim", "untouched");
  // What the name of a temporary file could be, if the process's id told it.
  for (const std::string& name : {"a.tmp-" + std::to_string(getpid()), std::string("a.tmp-0000000000000000")})
    std::filesystem::create_symlink("victim", dir / name);
  write_file(dir / "a", "text");
  EXPECT_EQ(read_text(dir / "a"), "text");
  EXPECT_EQ(read_text(dir / "victim"), "untouched");
}

TEST(AtomicFile, WhatAKilledRunLeftIsRemovedByTheNext) {
  const TempDir dir;
  const std::string left = dir / "a.tmp-0123456789abcdef", busy = dir / "a.tmp-00000000deadbeef";
  for (const auto& kept :
       {dir / "a.tmp-0123", dir / "b.tmp-0123456789abcdef", dir / "a.tmp-0123456789abcdeX"})
    write_text(kept, "of somebody else");
  write_text(left, "part of ");
  write_text(busy, "part of ");
  const int being_written = open(busy.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(flock(being_written, LOCK_EX | LOCK_NB), 0);
  write_file(dir / "a", "text");
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(busy));
  EXPECT_EQ(entries(dir), 5u);
  close(being_written);
}

TEST(AtomicFile, WhatAnotherUserLeftStays) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to make a file of another user";
  const TempDir dir;
  const std::string left = dir / "a.tmp-0123456789abcdef";
  write_text(left, "part of ");
  ASSERT_EQ(chown(left.c_str(), 65534, 65534), 0);
  write_file(dir / "a", "text");
  EXPECT_TRUE(std::filesystem::exists(left));
}

TEST(AtomicFile, AFolderThatOneMayNotWriteToIsNamed) {
  const TempDir dir;
  write_text(dir / "folder/a", "old");
  chmod(dir.path().c_str(), 0755);
  chmod((dir / "folder").c_str(), 0555);
  const bool is_root = geteuid() == 0;
  ASSERT_EQ(is_root ? seteuid(65534) : 0, 0);
  expect_data_error([&] { write_file(dir / "folder/b", "new"); }, {dir / "folder/b", "Permission denied"});
  expect_data_error([&] { datasets::check_output(dir / "folder/b"); },
                    {dir / "folder/b", "Permission denied"});
  expect_data_error([&] { write_file(dir / "folder/a", "new", files_with("old")); },
                    {dir / "folder/a", "Permission denied"});
  ASSERT_EQ(is_root ? seteuid(0) : 0, 0);
  EXPECT_EQ(read_text(dir / "folder/a"), "old");
}

TEST(AtomicFile, AnotherFileSystemIsAsGood) {
  struct stat here {
  }, there{};
  const TempDir dir;
  if (stat("/dev/shm", &there) != 0 || stat(dir.path().c_str(), &here) != 0 || here.st_dev == there.st_dev ||
      access("/dev/shm", W_OK) != 0)
    GTEST_SKIP() << "/dev/shm is not another file system";
  const std::string path = "/dev/shm/fewwatt-test-" + dir.path().filename().string();
  write_file(path, "old");
  write_file(path, "new", files_with("old"));
  EXPECT_EQ(read_text(path), "new");
  std::filesystem::remove(path);
}

TEST(AtomicFile, ALongNameHasRoomForATemporaryOne) {
  const TempDir dir;
  const std::string name(255, 'n');
  write_file(dir / name, "text");
  EXPECT_EQ(read_text(dir / name), "text");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, ADeviceIsWrittenToAndNotReplaced) {
  write_file("/dev/null", "x");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  expect_data_error([] { write_file("/dev/full", "x"); }, {"cannot write /dev/full", "No space left"});
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(LineFile, LinesAreAddedToItsOwnKind) {
  const TempDir dir;
  for (const char* line : {"{1}", "{2}"}) datasets::LineFile(dir / "log", files_with("{")).add(line);
  EXPECT_EQ(read_text(dir / "log"), "{1}\n{2}\n");
  write_text(dir / "thesis", "Chapter 1");
  expect_data_error([&] { datasets::LineFile(dir / "thesis", files_with("{")); },
                    {dir / "thesis", "is not a file of tests"});
  std::filesystem::create_symlink("elsewhere", dir / "link");
  expect_data_error([&] { datasets::LineFile(dir / "link", files_with("{")); },
                    {dir / "link", "symbolic link"});
  EXPECT_FALSE(std::filesystem::exists(dir / "elsewhere"));
  expect_data_error([&] { datasets::LineFile(dir / "no/log", files_with("{")); },
                    {dir / "no/log", "No such file"});
}

TEST(LineFile, AFullDiskLeavesWholeLines) {
  const TempDir dir;
  datasets::LineFile file(dir / "log", files_with("{"));
  file.add("{1}");
  {
    const FullDisk full(1000);
    expect_data_error([&] { file.add(std::string(5000, 'x')); }, {"cannot write " + (dir / "log")});
  }
  file.add("{2}");
  EXPECT_EQ(read_text(dir / "log"), "{1}\n{2}\n");
  expect_data_error([] { datasets::LineFile("/dev/full", {}).add("x"); }, {"/dev/full", "No space left"});
}

TEST(AtomicFile, APipeThatNobodyReadsIsSaidToBe) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  expect_data_error([&] { write_file(dir / "pipe", "x"); }, {dir / "pipe", "nobody reads"});
  EXPECT_TRUE(std::filesystem::is_fifo(dir / "pipe"));
}

TEST(AtomicFile, APipeGetsTheBytes) {
  const TempDir dir;
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_file(pipe, "text");
  std::array<char, 10> read_bytes{};
  EXPECT_EQ(read(reader, read_bytes.data(), read_bytes.size()), 4);
  EXPECT_STREQ(read_bytes.data(), "text");
  close(reader);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(entries(dir), 1u);
}

}  // namespace atomic_file_test
}  // namespace fewwatt::tests
