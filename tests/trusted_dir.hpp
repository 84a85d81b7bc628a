#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fewwatt::tests {

// A folder of root's below folders of root's, as a helper that runs as root wants it; removed at the end. Root alone can make it.
class TrustedDir {
 public:
  TrustedDir() : path_("/var/lib/fewwatt-test-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make " + path_);
  }
  ~TrustedDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TrustedDir(const TrustedDir&) = delete;
  TrustedDir& operator=(const TrustedDir&) = delete;

  std::string operator/(const std::string& name) const { return path_ + '/' + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace fewwatt::tests
