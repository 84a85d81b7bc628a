#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "hw/device.hpp"

namespace fewwatt::hw {

// A kernel file could not be read or written: "<path>: <what was tried>: <errno in words>".
class SysfsError : public DeviceError {
 public:
  SysfsError(std::string path, const std::string& tried, int code);  // code: an errno
  const std::string& path() const { return path_; }                  // of the file
  int code() const { return code_; }                                 // errno

 private:
  std::string path_;
  int code_;
};

// All files of the kernel are read and written through this: /sys, /proc/device-tree, /etc/nv_tegra_release. Paths are absolute,
// "/sys/...", below a root that only the implementation knows. Safe to use from several threads.
class Sysfs {
 public:
  virtual ~Sysfs() = default;
  // The content of a file, without the newlines, blanks and NULs at its end. Tries again a few times where the kernel says EAGAIN or
  // EINTR. Throws SysfsError.
  virtual std::string read(const std::string& path) const = 0;
  // Writes `value` and a newline in one write(2), so that an error of the kernel is not lost. Throws SysfsError.
  virtual void write(const std::string& path, const std::string& value) = 0;
  virtual bool exists(const std::string& path) const = 0;  // whether there is a file or folder
  // 0, or the errno with which opening the file for writing fails; nothing is written.
  virtual int write_error(const std::string& path) const = 0;
  // Names in a folder, ascending; none where there is no such folder.
  virtual std::vector<std::string> list(const std::string& folder) const = 0;
  // The path without links, below the same root. Throws SysfsError.
  virtual std::string resolve(const std::string& path) const = 0;
};

// Real files below `root` ("" for the board's own). Only files below /sys are written: any other path, a path with "..", and a link
// that leads out of /sys are DeviceErrors. A file of more than 1 MiB is not read. Below another root, links lead where they do on the
// board itself: a link that begins with / begins at the root, and none leads out of it.
class FileSysfs final : public Sysfs {
 public:
  explicit FileSysfs(std::string root = "");  // throws DeviceError when there is no such folder
  std::string read(const std::string& path) const override;
  void write(const std::string& path, const std::string& value) override;
  bool exists(const std::string& path) const override;
  int write_error(const std::string& path) const override;
  std::vector<std::string> list(const std::string& folder) const override;
  std::string resolve(const std::string& path) const override;

 private:
  std::string located(const std::string& path) const;

  std::string root_;
};

// Bounds of a number in a file; a number outside is refused, never cut off.
struct Bounds {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();  // that is accepted
  std::int64_t most = std::numeric_limits<std::int64_t>::max();   // that is accepted
};
// Of clocks in kHz: levels of a knob are ints.
inline constexpr Bounds kKhz{0, std::numeric_limits<int>::max()};
inline constexpr Bounds kHz{0, 1000 * kKhz.most};  // of clocks in Hz
// Of CPUs, and of clusters, which have the number of one of their CPUs.
inline constexpr Bounds kCpuNumbers{0, 4095};

// Each of the following reads a file, and throws DeviceError naming the path, what was expected and what was found.

std::int64_t read_number(const Sysfs& files, const std::string& path, Bounds bounds = {});  // one number
// Numbers, in the order of the file.
std::vector<std::int64_t> read_numbers(const Sysfs& files, const std::string& path, Bounds bounds = {});
std::vector<int> read_cpu_list(const Sysfs& files, const std::string& path);         // of "0-3,5"; ascending
std::vector<std::string> read_strings(const Sysfs& files, const std::string& path);  // texts between NULs

// Those above 0, ascending, each once.
std::vector<std::int64_t> sorted_levels(std::vector<std::int64_t> values);
// Text without blanks, newlines and NULs at its end.
std::string trimmed(std::string text);
// The whole number that the text is, after blanks; throws DeviceError naming `where`.
std::int64_t parse_number(const std::string& text, const std::string& where, Bounds bounds = {});

}  // namespace fewwatt::hw
