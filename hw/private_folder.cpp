#include "hw/private_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "hw/device.hpp"

namespace fewwatt::hw {

PrivateFolder::PrivateFolder() {
  std::error_code error;
  const auto above = std::filesystem::absolute(std::filesystem::temp_directory_path(error), error);
  if (error) throw DeviceError("no folder for temporary files: " + error.message());
  path_ = (above / "fewwatt-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr)
    throw DeviceError(path_ + ": cannot create: " + std::strerror(errno));
  struct stat status {};
  folder_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder_ && ::fstat(folder_.get(), &status) == 0 && status.st_uid == ::geteuid() &&
      (status.st_mode & 077) == 0)
    return;
  throw DeviceError(path_ + ": expected the folder that was just made, found another");
}

PrivateFolder::~PrivateFolder() {
  // By the descriptor: the path may lead to somebody else's folder by now.
  if (DIR* folder = ::fdopendir(folder_.copy().release()); folder != nullptr) {
    while (const auto* entry = ::readdir(folder))
      if (entry->d_type != DT_DIR) ::unlinkat(folder_.get(), entry->d_name, 0);
    ::closedir(folder);
  }
  ::rmdir(path_.c_str());
}

}  // namespace fewwatt::hw
