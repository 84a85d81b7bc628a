#pragma once

#include <optional>
#include <string>

#include "hw/descriptor.hpp"

namespace fewwatt::hw {

// The folder of what is to be put back on a board. It and its files belong to the effective user, root on a board, and nobody
// else may write to them. Files are reached through the folder's descriptor, never through a link.
class StateFolder {
 public:
  // Makes the folder, mode 0700, where it is missing. Throws DeviceError in one sentence: it cannot be made or opened, is a link
  // or no folder, belongs to somebody else, or others may write to it.
  explicit StateFolder(const std::string& path);
  // nullopt where there is no such folder; else as above.
  static std::optional<StateFolder> find(const std::string& path);

  const std::string& path() const { return path_; }

  bool exists(const std::string& name) const;
  // The whole file. Throws DeviceError: it cannot be read, is no plain file, may be written by others, or has more than 1 MiB.
  std::string read(const std::string& name) const;
  // Replaces the file; returns when it is on the disk. It is whole or as it was. Throws DeviceError.
  void write(const std::string& name, const std::string& content) const;
  void remove(const std::string& name) const;  // throws DeviceError; a file that is not there is removed

  // The locked file, closed by exec. Throws DeviceError where another process has it.
  Descriptor lock(const std::string& name) const;
  // Removes what killed processes left of write(); only with the lock.
  void remove_leftovers() const;
  // A name in the folder that is none of ours; "" when there is none.
  std::string stranger() const;

 private:
  StateFolder(std::string path, Descriptor folder);
  std::string path_;
  Descriptor folder_;
};

// Throws DeviceError in one sentence unless `path` is absolute and it and every folder above it is a folder, no link, that
// belongs to root, or to the effective user, and that nobody else may write to. Folders that are missing at its end may be.
void require_trusted_folder(const std::string& path);

}  // namespace fewwatt::hw
