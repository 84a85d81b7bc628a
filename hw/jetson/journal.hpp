#pragma once

#include <map>
#include <string>
#include <vector>

#include "hw/jetson/state_folder.hpp"
#include "hw/jetson/sysfs.hpp"

namespace fewwatt::hw {

// What control files held before fewwatt wrote to them, in the order in which they were saved.
struct SavedControl {
  std::string path, value;  // of a control file, and what it held
};

// A file that outlives its process, so that what was changed can be put back after a crash. It is whole or not there.
class Journal {
 public:
  // File `name` of `folder`, which must outlive it.
  Journal(const StateFolder& folder, std::string name) : folder_(folder), name_(std::move(name)) {}

  // What the file holds.
  struct Content {
    std::string boot_id;                 // of the boot in which the controls were saved
    std::vector<SavedControl> controls;  // in the order in which they were saved
  };
  bool exists() const { return folder_.exists(name_); }  // whether the file is there
  // Reads the file. Throws DeviceError when it is damaged (truncated, or with another checksum), and as StateFolder::read().
  Content read() const;
  // Writes the file; returns when it is on the disk. Throws DeviceError.
  void write(const Content& content) const;
  void remove() const { folder_.remove(name_); }                     // throws DeviceError
  std::string path() const { return folder_.path() + '/' + name_; }  // of the file

 private:
  const StateFolder& folder_;
  std::string name_;
};

// Kernel files with a journal: before the first write to a control, what the control held is on the disk.
class JournaledSysfs final : public Sysfs {
 public:
  JournaledSysfs(Sysfs& files, const Journal& journal, std::string boot_id);  // both must outlive it

  // Saves the content of these files, where they can be read and were not saved before.
  void save(const std::vector<std::string>& paths);
  // What controls held, in the order of their saving.
  const std::vector<SavedControl>& saved() const { return content_.controls; }

  std::string read(const std::string& path) const override { return files_.read(path); }
  void write(const std::string& path, const std::string& value) override;
  bool exists(const std::string& path) const override { return files_.exists(path); }
  int write_error(const std::string& path) const override { return files_.write_error(path); }
  std::vector<std::string> list(const std::string& folder) const override { return files_.list(folder); }
  std::string resolve(const std::string& path) const override { return files_.resolve(path); }

 private:
  bool is_saved(const std::string& path) const;

  Sysfs& files_;
  const Journal& journal_;
  Journal::Content content_;
};

// Puts controls back: cores on, limits of clocks widened before they are narrowed, everything else in the reverse order of its saving,
// cores off. An error does not end it; what fails is tried several times. Returns a sentence for each control that is not as it was.
std::vector<std::string> restore(Sysfs& files, const std::vector<SavedControl>& saved);

std::string boot_id(const Sysfs& files);  // the kernel's id of this boot; "" where it has none

}  // namespace fewwatt::hw
