#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tests/fake_sysfs.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {

// A board in a folder, and what its files held.
class BoardFolder {
 public:
  explicit BoardFolder(FakeBoard board = agx_orin(true)) {
    auto tree = tree_of(board, true);
    for (auto& [path, content] : tree.files)
      if (path.ends_with("/samples") || path.ends_with("/update_interval")) content = "1\n";
    tree.write(dir_.path().string());
    before_ = contents();
  }
  std::string root() const { return dir_.path().string(); }
  void put(const std::string& path, const std::string& text) { write_text(root() + path, text); }

  // A line for each file that is not as it was.
  std::string changes() const {
    std::string text;
    const auto now = contents();
    for (const auto& [path, content] : before_)
      if (const auto found = now.find(path); found == now.end() || found->second != content)
        text += path + " was " + content + ", is " + (found == now.end() ? "gone" : found->second) + '\n';
    return text;
  }

 private:
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path()))
      if (entry.is_regular_file() && !entry.is_symlink() &&
          entry.path().string().find("/run/fewwatt") == std::string::npos)
        all[entry.path().string()] = read_text(entry.path().string());
    return all;
  }
  TempDir dir_;
  std::map<std::string, std::string> before_;
};

}  // namespace fewwatt::tests
