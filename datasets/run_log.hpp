#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/attempt.hpp"
#include "hw/descriptor.hpp"

namespace fewwatt::datasets {

// The log of a profiling run on a board. A mode is in it, on the disk, as soon as it is measured; profiles
// (HDF5) are made from it. Text, a record a line, fields `name=value` between tabs, the last one of every
// line the checksum:
//   fewwatt-run-log=1  device= workload= kind= time_of= <attributes that are known>
//                      knobs=<role>:<levels>;...  modes=<settings>;... (the space is this list, else a grid)
//                      device:<name>=... chosen:<name>=... run:<name>=... crc=
//   mode=<settings>    status= detail= time_ms= power_w= time_std_ms= power_std_w= repeats= throttled=
//                      power_samples= took_s= crc=
// Numbers between , are in the order of the knobs. A number that is not known is left out. crc is the CRC-32
// (IEEE 802.3), 8 lower-case hexadecimal digits, of the line before its tab. Bytes below 0x20, 0x7f, % and =
// are written as %XX in names and values.
inline constexpr int kRunLogVersion = 1;

// The first record of a log: what is measured, and where.
struct RunHeader {
  std::string device, workload;                     // names in the profile
  WorkloadAttributes attributes;                    // of the workload
  std::shared_ptr<const hw::PowerModeSpace> space;  // of the device
  // Attributes that hold for all of the run and go to the profile: board, jetpack, rails.
  DeviceAttributes device_attributes;
  // What chooses the modes: sampler, or goal and search; learner; seed. Not in the profile. Logs of earlier versions have none.
  DeviceAttributes chosen_by;
  // Attributes of the run's first start, such as the boot id. They are not compared when a run is resumed, and not in the profile.
  DeviceAttributes run_attributes;
};

// One attempt at a mode.
struct RunRecord {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();  // not known

  hw::PowerMode mode;  // that was tried
  hw::AttemptStatus status =
      hw::AttemptStatus::ok;  // neither interrupted nor program_ended: those are no attempts at a mode
  std::string detail;         // free text beside a status that is not ok
  // Where the status is ok: repeats >= 1, a time or a power, both positive, and the time in all records of a
  // run or in none. A number that is not finite is not known.
  hw::Measurement measured;
  double time_std_ms = kUnknown, power_std_w = kUnknown;  // spread of the repeats
  double power_samples = kUnknown;                        // effective number of samples in power_w
  double took_s = kUnknown;                               // the whole attempt, on a monotonic clock
};

// The content of a log.
struct RunRecords {
  std::string path;                // of the log, for messages
  RunHeader header;                // its first record
  std::vector<RunRecord> records;  // in the order in which they were written
  std::size_t skipped_lines = 0;   // number of blank or damaged lines between others
  std::size_t dropped_bytes = 0;   // length of a last line that was cut short
};

// Reads a log. Throws DataError naming the file and the line: unreadable, no run log, no whole header, a newer version, or fields that do
// not make sense. A last line without its newline, or with a wrong checksum, is what a crash in the middle of a write leaves: it is
// dropped. Any other line that is blank, or whose checksum does not fit, is skipped and counted. Where two records stand in one
// line because their newline was lost, both are read.
RunRecords read_run_log(const std::string& path);

// A log open for appending, locked: a second RunLog of the same file, in whichever process, is refused.
class RunLog {
 public:
  // Throws DataError when the file is there and not empty, cannot be written, is a symbolic link or no regular file, or is
  // locked; std::invalid_argument for a header that no profile could have.
  static RunLog create(const std::string& path, const RunHeader& header);

  // Opens an existing file. Reads it as read_run_log() does, and cuts a dropped last line off the file. Throws DataError saying what
  // differs when the log's header is not `expected` (run_attributes may differ, and chosen_by where the log has none); the file is then
  // as it was. A file that is empty or ends within its header has no record yet, and is started anew with `expected`.
  static RunLog open_to_append(const std::string& path, const RunHeader& expected);

  // Adds a record, which is on the disk when this returns. Throws DataError naming the file and the system's reason
  // (disk full), with the file cut back to the records before; a later append may succeed. Throws
  // std::invalid_argument for a record that breaks its contract or whose mode the space lacks.
  void append(const RunRecord& record);

  const RunRecords& records() const { return records_; }  // all that are in the file

 private:
  RunLog(const std::string& path, int flags);
  void start(const RunHeader& header);
  void write(const std::string& line);

  RunRecords records_;
  hw::Descriptor file_;
  std::uint64_t end_bytes_ = 0;
  bool is_torn_ = false;  // a failed write could not be undone
};

}  // namespace fewwatt::datasets
