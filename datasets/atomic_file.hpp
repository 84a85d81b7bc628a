#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "hw/descriptor.hpp"

namespace fewwatt::datasets {

// The kind of existing file that write_file() may replace. An empty file may always be replaced.
struct Replaceable {
  std::string name;  // what the file is, for messages: "a table of predictions"; "" for no file at all
  std::function<bool(const std::string& path)> holds;  // whether an existing file is of this kind
};

// The kind of files whose first 64 KB, or whole content where it is shorter, fit.
Replaceable text_file(const std::string& name, std::function<bool(std::string_view start)> fits);

std::string_view first_line(std::string_view text);  // without the line end

// Writes `bytes` to a temporary file beside `path`, flushes it, and renames it: `path` has the whole content, or what it had before. The
// folder is opened once, and the file is made and renamed relative to it, with a name that cannot be guessed. A temporary file that a
// killed run left for the same path is removed. An existing file is replaced only where it is of the kind `replaceable`.
// The last part of `path` is never followed as a link, except for /dev/stdout, /dev/stderr and /dev/fd/N, which are this process's
// own. A pipe that somebody reads and a character device such as /dev/null are not replaced; they are written to.
// Throws DataError naming the file and why (a link, no such folder, no permission, disk full, another kind of file).
void write_file(const std::string& path, std::string_view bytes, const Replaceable& replaceable = {});

// Throws the DataError that write_file() would throw now. Call it before long work, so that the work is not lost to a wrong name.
void check_output(const std::string& path, const Replaceable& replaceable = {});

// A file to which whole lines are added.
class LineFile {
 public:
  // Makes the file, or opens an existing one, which must be empty or of the kind `replaceable`. Links, pipes and devices as for
  // write_file(). Throws DataError.
  LineFile(const std::string& path, const Replaceable& replaceable);

  // Adds `line`, given without its end. Throws DataError naming the file and why (disk full); then no part of the line is in the file.
  void add(std::string_view line);

 private:
  std::string path_;
  hw::Descriptor file_;
};

}  // namespace fewwatt::datasets
