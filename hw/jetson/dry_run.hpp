#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

// Kernel files for a dry run: writes are remembered and not made, and reads of the same files give what was written.
class DryRunSysfs final : public Sysfs {
 public:
  explicit DryRunSysfs(const Sysfs& files) : files_(files) {}  // `files` must outlive it
  // Paths and values of what would have been written, in order.
  const std::vector<std::pair<std::string, std::string>>& writes() const { return writes_; }

  std::string read(const std::string& path) const override {
    const auto written = now_.find(path);
    return written != now_.end() ? written->second : files_.read(path);
  }
  void write(const std::string& path, const std::string& value) override {
    writes_.emplace_back(path, value);
    now_[path] = value;
  }
  bool exists(const std::string& path) const override { return files_.exists(path); }
  int write_error(const std::string& path) const override { return files_.write_error(path); }
  std::vector<std::string> list(const std::string& folder) const override { return files_.list(folder); }
  std::string resolve(const std::string& path) const override { return files_.resolve(path); }

 private:
  const Sysfs& files_;
  std::vector<std::pair<std::string, std::string>> writes_;
  std::map<std::string, std::string> now_;
};

}  // namespace fewwatt::hw
