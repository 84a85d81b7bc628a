#include "datasets/atomic_file.hpp"

#include <sys/resource.h>

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

}  // namespace
}  // namespace fewwatt::tests
