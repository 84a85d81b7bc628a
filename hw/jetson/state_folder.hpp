#pragma once

#include <optional>
#include <string>

#include "hw/descriptor.hpp"

namespace fewwatt::hw {

// The folder with the notes of what is to be put back on a board. It and its files belong to the effective user, root on a board, and
// nobody else may write to them. Files are reached through the folder's descriptor, never through a link.
class StateFolder {
 public:
  // Makes the folder, mode 0700, where it is missing. Throws DeviceError in one sentence: it cannot be made or opened, is a link
  // or no folder, belongs to somebody else, or others may write to it.
  explicit StateFolder(const std::string& path);
  // The same for a folder that is there; nullopt where there is none.
  static std::optional<StateFolder> find(const std::string& path);

  const std::string& path() const { return path_; }  // as it was given

  bool exists(const std::string& name) const;  // whether the folder has such a file
  // The content of a file. Throws DeviceError: it cannot be read, is no plain file, may be written by others, or has more than 1 MiB.
  std::string read(const std::string& name) const;
  // Replaces the file; returns when it is on the disk. It is whole or as it was. Throws DeviceError.
  void write(const std::string& name, const std::string& content) const;
  void remove(const std::string& name) const;  // throws DeviceError, but not for a file that is not there

  // Locks a file; the lock ends with the descriptor, which exec closes. Throws DeviceError where another process has the lock.
  Descriptor lock(const std::string& name) const;
  // Removes temporary files that killed processes left in the middle of write(). Call it only with the lock.
  void remove_leftovers() const;
  // The name of a file in the folder that is not fewwatt's; "" when there is none.
  std::string stranger() const;

 private:
  StateFolder(std::string path, Descriptor folder);
  std::string path_;
  Descriptor folder_;
};

// Throws DeviceError in one sentence unless `path` is absolute, and it and every folder above it is a folder (no link) that belongs to root
// or to the effective user, and that nobody else may write to. The last folders of the path may be missing.
void require_trusted_folder(const std::string& path);

}  // namespace fewwatt::hw
