#include "datasets/atomic_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace {

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

TEST(AtomicFile, ReplacesTheWholeFile) {
  const TempDir dir;
  write_file(dir / "a", "a longer text");
  write_file(dir / "a", "text");
  EXPECT_EQ(read_text(dir / "a"), "text");
  EXPECT_EQ(entries(dir), 1u);
}

TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TempDir dir;
  write_file(dir / "a", "old");
  {
    const FullDisk full(1000);
    expect_data_error([&] { write_file(dir / "a", std::string(5000, 'x')); },
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

TEST(AtomicFile, ALinkStaysALink) {
  const TempDir dir;
  write_file(dir / "a", "old");
  std::filesystem::create_symlink("a", dir / "link");
  write_file(dir / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(read_text(dir / "a"), "new");
  EXPECT_EQ(entries(dir), 2u);
}

TEST(AtomicFile, ADeviceIsWrittenToAndNotReplaced) {
  write_file("/dev/null", "x");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  expect_data_error([] { write_file("/dev/full", "x"); }, {"cannot write /dev/full", "No space left"});
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
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

}  // namespace
}  // namespace fewwatt::tests
