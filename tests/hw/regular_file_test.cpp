#include "hw/regular_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/run_program.hpp"

namespace fewwatt::hw {
namespace regular_file_test {

using tests::TempDir;
using tests::write_text;

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(Descriptor, IsClosedOnceByItsOwner) {
  int number = -1;
  {
    Descriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = first.get();
    Descriptor second(std::move(first));
    EXPECT_FALSE(first);  // NOLINT: that it is empty is what is tested
    EXPECT_EQ(second.get(), number);
    first = std::move(second);
    EXPECT_TRUE(is_open(number));
    EXPECT_FALSE(second);
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Descriptor, WhatIsReplacedIsClosed) {
  Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = file.get();
  file = file.copy(number + 100);
  EXPECT_GE(file.get(), number + 100);
  EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(is_open(number));
  EXPECT_EQ(file.close(), 0);
  EXPECT_EQ(file.close(), 0);
  EXPECT_FALSE(Descriptor().copy());
}

TEST(Descriptor, ReleasedStaysOpen) {
  int number = -1;
  {
    Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = file.release();
  }
  ASSERT_TRUE(is_open(number));
  const Descriptor owner(number);
}

std::string why_not(const std::string& path, std::size_t most_bytes, Pipes pipes = Pipes::refused) {
  try {
    read_regular_file(path, most_bytes, pipes);
  } catch (const FileError& e) {
    EXPECT_EQ(e.what(), "cannot read " + path + ": " + e.why());
    return e.why();
  }
  return "read";
}

TEST(RegularFile, IsReadUpToItsLimit) {
  const TempDir dir;
  const std::string text(100'000, 'x');
  write_text(dir / "file", text);
  EXPECT_EQ(read_regular_file(dir / "file", text.size()), text);
  EXPECT_EQ(why_not(dir / "file", text.size() - 1), "it is larger than 99999 bytes");
  write_text(dir / "mega", std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(why_not(dir / "mega", 1 << 20), "it is larger than 1 MB");
  const auto file = open_regular_file(dir / "file");
  EXPECT_EQ(file.size, text.size());
  EXPECT_EQ(::fcntl(file.descriptor.get(), F_GETFD), FD_CLOEXEC);
}

TEST(RegularFile, NothingElseIsOpenedOrWaitedFor) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  for (const auto pipes : {Pipes::refused, Pipes::own}) {
    EXPECT_EQ(why_not(dir / "pipe", 10, pipes), "expected a file, found a pipe");
    EXPECT_EQ(why_not(dir.path().string(), 10, pipes), "it is a folder");
    EXPECT_EQ(why_not("/dev/zero", 10, pipes), "expected a file, found a device");
    EXPECT_EQ(why_not(dir / "none", 10, pipes), "No such file or directory");
  }
}

TEST(RegularFile, APipeOfOurOwnIsReadWhereItMayBe) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Descriptor out(ends[0]);
  Descriptor in(ends[1]);
  ASSERT_EQ(::write(in.get(), "text", 4), 4);
  in.close();
  const auto path = "/dev/fd/" + std::to_string(out.get());
  EXPECT_EQ(why_not(path, 10), "expected a file, found a pipe");
  EXPECT_EQ(read_regular_file(path, 10, Pipes::own), "text");
}

}  // namespace regular_file_test
}  // namespace fewwatt::hw
