#include "tests/fuzz/input.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace fewwatt::fuzz {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Scratch {
  std::string path;
  Scratch() {
    std::string name = (std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp") +
                       std::string("/fewwatt-fuzz-XXXXXX");
    if (mkdtemp(name.data()) == nullptr) fail("mkdtemp");
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

MemoryFile::MemoryFile(std::string_view content) : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
  if (file_ < 0) fail("memfd_create");
  while (!content.empty()) {
    const ssize_t written = write(file_, content.data(), content.size());
    if (written < 0) fail("write");
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  path_ = "/proc/self/fd/" + std::to_string(file_);
}

MemoryFile::~MemoryFile() {
  close(file_);
}

std::vector<std::string_view> parts_of(std::string_view input) {
  constexpr std::string_view kBetween = "\n----\n";
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = input.find(kBetween);
    parts.push_back(input.substr(0, end));
    if (end == std::string_view::npos) return parts;
    input.remove_prefix(end + kBetween.size());
  }
}

const std::string& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

}  // namespace fewwatt::fuzz
