#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::fuzz {

// A file in memory that readers of files can be given. Its path ends with `name` where that is given.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int file_;
  std::string path_;
};

// The parts of an input that stands for several files: between lines "----".
std::vector<std::string_view> parts_of(std::string_view input);

// A folder that lives as long as the process.
const std::string& scratch_folder();

}  // namespace fewwatt::fuzz
