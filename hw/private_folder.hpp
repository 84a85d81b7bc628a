#pragma once

#include <string>

#include "hw/descriptor.hpp"

namespace fewwatt::hw {

// A temporary folder that nobody else may enter. It is removed at the end, with the files in it. Its name cannot be guessed. Where others
// may rename what is in the folder above it (a TMPDIR of theirs), its path may come to lead elsewhere; its descriptor never does.
class PrivateFolder {
 public:
  PrivateFolder();  // throws DeviceError where it cannot be made
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const std::string& path() const { return path_; }  // absolute
  int descriptor() const { return folder_.get(); }   // of the folder; close-on-exec

 private:
  std::string path_;
  Descriptor folder_;
};

}  // namespace fewwatt::hw
