#include "hw/jetson/state_folder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/device.hpp"
#include "tests/run_program.hpp"
#include "tests/trusted_dir.hpp"

namespace fewwatt::hw {
namespace state_folder_test {

namespace fs = std::filesystem;
using tests::TempDir;
using tests::TrustedDir;

// What is thrown; "" when nothing is.
template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
    return "";
  } catch (const DeviceError& e) {
    return e.what();
  }
}

void expect_says(const std::string& error, const std::string& part) {
  EXPECT_NE(error.find(part), std::string::npos) << "\"" << error << "\" does not say " << part;
}

TEST(StateFolder, IsMadeForItsOwnerAlone) {
  const TempDir dir;
  const StateFolder folder(dir / "run/fewwatt");
  struct stat status {};
  ASSERT_EQ(::stat((dir / "run/fewwatt").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  EXPECT_EQ(folder.stranger(), "");
}

TEST(StateFolder, KeepsWholeFiles) {
  const TempDir dir;
  const StateFolder folder(dir / "state");
  EXPECT_FALSE(folder.exists("clocks.kept"));
  folder.write("clocks.kept", "one\n");
  folder.write("clocks.kept", "two\n");
  EXPECT_EQ(folder.read("clocks.kept"), "two\n");
  folder.remove("clocks.kept");
  folder.remove("clocks.kept");
  EXPECT_FALSE(folder.exists("clocks.kept"));
  EXPECT_TRUE(fs::is_empty(dir / "state"));  // no temporary file
}

TEST(StateFolder, OneThatOthersMayWriteToIsRefused) {
  const TempDir dir;
  for (const int mode : {0770, 0707, 01777}) {
    fs::create_directory(dir / "state");
    ::chmod((dir / "state").c_str(), static_cast<mode_t>(mode));
    expect_says(error_of([&] { StateFolder(dir / "state"); }), "others may write");
    expect_says(error_of([&] { StateFolder::find(dir / "state"); }), "others may write");
    fs::remove(dir / "state");
  }
  EXPECT_FALSE(StateFolder::find(dir / "state"));
}

TEST(StateFolder, OneOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a folder of another user";
  const TempDir dir;
  fs::create_directory(dir / "state");
  ASSERT_EQ(::chown((dir / "state").c_str(), 65534, 65534), 0);
  expect_says(error_of([&] { StateFolder(dir / "state"); }), "belongs to user 65534, expected 0");
  fs::remove(dir / "state");
  const StateFolder folder(dir / "state");
  folder.write("clocks.journal", "x");
  ASSERT_EQ(::chown((dir / "state/clocks.journal").c_str(), 65534, 65534), 0);
  expect_says(error_of([&] { folder.read("clocks.journal"); }), "belongs to somebody else");
}

TEST(StateFolder, LinksAreNeverFollowed) {
  const TempDir dir;
  fs::create_directory(dir / "real");
  fs::create_directory_symlink(dir / "real", dir / "state");
  for (const std::string name : {"state", "state/", "state//"}) {
    expect_says(error_of([&] { StateFolder(dir / name); }), "no link");
    expect_says(error_of([&] { StateFolder::find(dir / name); }), "no link");
  }

  const StateFolder folder(dir / "real");
  tests::write_text(dir / "target", "kept");
  fs::create_symlink(dir / "target", dir / "real/clocks.journal");
  fs::create_symlink(dir / "none", dir / "real/lock");
  expect_says(error_of([&] { folder.read("clocks.journal"); }), "no link");
  expect_says(error_of([&] { folder.lock("lock"); }), "cannot open");
  folder.write("clocks.journal", "new");  // in place of the link
  EXPECT_EQ(tests::read_text(dir / "target"), "kept");
  EXPECT_EQ(folder.read("clocks.journal"), "new");
  EXPECT_FALSE(fs::exists(dir / "none"));
}

TEST(StateFolder, PipesAndHugeFilesAreNotRead) {
  const TempDir dir;
  const StateFolder folder(dir / "state");
  ASSERT_EQ(::mkfifo((dir / "state/clocks.journal").c_str(), 0600), 0);
  expect_says(error_of([&] { folder.read("clocks.journal"); }), "plain file");
  tests::write_text(dir / "state/clocks.kept", std::string((1 << 20) + 1, 'x'));
  expect_says(error_of([&] { folder.read("clocks.kept"); }), "more than 1 MiB");
}

TEST(StateFolder, LeftOversGoAndStrangersAreNamed) {
  const TempDir dir;
  const StateFolder folder(dir / "state");
  for (const std::string name : {"clocks.journal.0123456789abcdef.new", "clocks.journal.new"})
    tests::write_text(dir / ("state/" + name), "half");
  EXPECT_EQ(folder.stranger(), "");
  folder.remove_leftovers();
  EXPECT_TRUE(fs::is_empty(dir / "state"));
  tests::write_text(dir / "state/crontab", "");
  EXPECT_EQ(folder.stranger(), "crontab");
  folder.remove_leftovers();
  EXPECT_EQ(folder.stranger(), "crontab");
}

TEST(TrustedFolder, IsRootsAllTheWayDown) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a folder of root's";
  const TrustedDir dir;
  EXPECT_EQ(error_of([&] { require_trusted_folder(dir.path()); }), "");
  EXPECT_EQ(error_of([&] { require_trusted_folder(dir / "not/there/yet"); }), "");
  fs::create_directories(dir / "a/b");
  ASSERT_EQ(::chown((dir / "a").c_str(), 65534, 0), 0);
  expect_says(error_of([&] { require_trusted_folder(dir / "a/b"); }), dir / "a" + " belongs to user 65534");
  ASSERT_EQ(::chown((dir / "a").c_str(), 0, 0), 0);
  ::chmod((dir / "a").c_str(), 0775);
  expect_says(error_of([&] { require_trusted_folder(dir / "a/b"); }),
              "others than root may write to " + (dir / "a"));
  ::chmod((dir / "a").c_str(), 0755);
  fs::create_directory_symlink(dir / "a", dir / "link");
  expect_says(error_of([&] { require_trusted_folder(dir / "link/b"); }), "no link");
  tests::write_text(dir / "file", "");
  expect_says(error_of([&] { require_trusted_folder(dir / "file"); }), "as a folder");
  expect_says(error_of([&] { require_trusted_folder(dir / "a/../a"); }), "without ..");
  expect_says(error_of([&] { require_trusted_folder("run/fewwatt"); }), "whole path");
  // In /tmp everybody may write.
  const TempDir open;
  if (fs::temp_directory_path() == "/tmp")
    expect_says(error_of([&] { require_trusted_folder(open.path().string()); }), "may write to /tmp");
}

}  // namespace state_folder_test
}  // namespace fewwatt::hw
