#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "hw/descriptor.hpp"

namespace fewwatt::datasets {

// What write_file() may replace. An empty file may always be replaced.
struct Replaceable {
  std::string name;  // of what is written, for messages: "a table of predictions"; "" for nothing
  std::function<bool(const std::string& path)> holds;  // whether the file that is there is such a one
};

// A file whose first 64 KB, or whole content where it is shorter, fit.
Replaceable text_file(const std::string& name, std::function<bool(std::string_view start)> fits);

std::string_view first_line(std::string_view text);  // without its end

// Writes `bytes` to a temporary name beside `path`, flushes, renames: `path` is the whole content or what it was before. The folder
// is opened once, and the file is made and renamed relative to it, by a name that cannot be guessed. A temporary file that a killed
// run left for the same path is removed. A file that is there is replaced only where it is what `replaceable` says.
// The last part of `path` is never followed as a link, but for /dev/stdout, /dev/stderr and /dev/fd/N, which are this process's
// own. A pipe that somebody reads and a character device such as /dev/null cannot be replaced: they are written to as they are.
// Throws DataError naming the file and why (a link, no such folder, no permission, disk full, another kind of file).
void write_file(const std::string& path, std::string_view bytes, const Replaceable& replaceable = {});

// Throws the DataError that write_file() would, for what is known before: so that hours of work are not lost on a wrong name.
void check_output(const std::string& path, const Replaceable& replaceable = {});

// A file to which lines are added, each as a whole. Made where there is none; one that is there must be what `replaceable` says, or
// empty. Links, pipes and devices as for write_file(). Throws DataError.
class LineFile {
 public:
  LineFile(const std::string& path, const Replaceable& replaceable);

  // `line` without its end. Throws DataError naming the file and why (disk full); of the line nothing stays in the file then.
  void add(std::string_view line);

 private:
  std::string path_;
  hw::Descriptor file_;
};

}  // namespace fewwatt::datasets
