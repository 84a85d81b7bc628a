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
#include "hw/descriptor.hpp"

namespace fewwatt::datasets {

// The log of a profiling run on a board. A mode is in it, on the disk, as soon as it is measured; profiles
// (HDF5) are made from it. Text, a record a line, fields `name=value` between tabs, the last one of every
// line the checksum:
//   fewwatt-run-log=1  device= workload= kind= time_of= <attributes that are known>
//                      knobs=<role>:<levels>;...  modes=<settings>;... (the space is this list, else a grid)
//                      device:<name>=... run:<name>=... crc=
//   mode=<settings>    status= detail= time_ms= power_w= time_std_ms= power_std_w= repeats= throttled=
//                      power_samples= took_s= crc=
// Numbers between , are in the order of the knobs. A number that is not known is left out. crc is the CRC-32
// (IEEE 802.3), 8 lower-case hexadecimal digits, of the line before its tab. Bytes below 0x20, 0x7f, % and =
// are written as %XX in names and values.
inline constexpr int kRunLogVersion = 1;

// Whether a measurement of a mode holds, else why it does not.
enum class RunStatus {
  ok,
  over_current,
  cooling_device,
  trip_temperature,
  clocks_changed,
  boot_changed,
  timed_out,
  program_died,
  no_steps,
  device_error
};

std::string_view to_string(RunStatus status);  // "ok", "over-current", ...
std::optional<RunStatus> parse_run_status(std::string_view name);

struct RunHeader {
  std::string device, workload;
  WorkloadAttributes attributes;
  std::shared_ptr<const hw::PowerModeSpace> space;
  // What holds for all of the run and goes to the profile: board, jetpack, rails.
  DeviceAttributes device_attributes;
  // Of the run's first start only, not compared on resuming, not in the profile: boot id.
  DeviceAttributes run_attributes;
};

// One attempt at a mode.
struct RunRecord {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  hw::PowerMode mode;
  RunStatus status = RunStatus::ok;
  std::string detail;  // free text beside a status that is not ok
  // Where the status is ok: repeats >= 1, a time or a power, both positive, and the time in all records of a
  // run or in none. A number that is not finite is not known.
  hw::Measurement measured;
  double time_std_ms = kUnknown, power_std_w = kUnknown;  // spread of the repeats
  double power_samples = kUnknown;                        // effective number of samples in power_w
  double took_s = kUnknown;                               // the whole attempt, on a monotonic clock
};

struct RunRecords {
  std::string path;  // of the log, for messages
  RunHeader header;
  std::vector<RunRecord> records;
  std::size_t skipped_lines = 0;  // blank or damaged, between others
  std::size_t dropped_bytes = 0;  // of a last line that was cut short
};

// Throws DataError naming the file and the line: unreadable, no run log, no whole header, a newer version, or fields that do not
// make sense. A last line without its newline or with a wrong checksum is what a crash in the middle of a write leaves: it is
// dropped. Any other line that is blank, or whose checksum does not fit, is skipped and counted; where two records stand in one
// line because their newline was lost, both are read.
RunRecords read_run_log(const std::string& path);

// A log open for appending, locked: a second RunLog of the same file, in whichever process, is refused.
class RunLog {
 public:
  // Throws DataError when the file is there and not empty, cannot be written, is a symbolic link or no regular file, or is
  // locked; std::invalid_argument for a header that no profile could have.
  static RunLog create(const std::string& path, const RunHeader& header);

  // The file must exist. As read_run_log(), and cuts a dropped last line off the file. Throws DataError
  // saying what differs when the log's header is not `expected`, run_attributes aside; the file is then as it
  // was. A file that is empty or ends within its header has no record yet and is started anew with
  // `expected`.
  static RunLog open_to_append(const std::string& path, const RunHeader& expected);

  // The record is on the disk when this returns. Throws DataError naming the file and the system's reason
  // (disk full) with the file cut back to the records before; a later append may succeed. Throws
  // std::invalid_argument for a record that breaks its contract or whose mode the space lacks.
  void append(const RunRecord& record);

  const RunRecords& records() const { return records_; }

 private:
  RunLog(const std::string& path, int flags);
  void start(const RunHeader& header);
  void write(const std::string& line);

  RunRecords records_;
  hw::Descriptor file_;
  std::uint64_t end_bytes_ = 0;
  bool is_torn_ = false;  // a failed write could not be undone
};

// The records that are ok, one row per mode. Several of a mode become one by average(), over the records that know the quantity:
// times weighted by repeats, powers by repeats * time where all times are known. The sum of all repeats goes to repeats. Throws
// DataError when there is no such record.
Profile to_profile(const RunRecords& run);

// Puts the run's profile into the file of profiles, which is made when it is not there, by write_profiles().
// Other devices and workloads stay. So do those rows of the same workload whose modes the log lacks; for
// modes in both the log's row replaces the file's, so that folding again changes nothing. The space and the
// attributes are united as in merge_profiles(), with its errors. Two processes that fold into one file at
// once: the later one wins, fold again.
void fold(const RunRecords& run, const std::string& profile_path);
void fold(const std::string& log_path, const std::string& profile_path);

// Throws the DataError that fold() would for what is known before the first record.
void check_fold(const RunHeader& header, const std::string& profile_path);

// All profiles of both. Those of the same device and workload become one: modes in both by the rule of
// to_profile(), so that merging a run with itself counts it twice; attributes known in either; levels of
// either, where the space is a grid if both are, else the list of all modes in either. Throws DataError,
// naming `where`, the profile and what differs: kind, time_of, another attribute known in both, the knobs'
// roles or order, the true values of simulated modes, or device attributes; and as validate() does.
ProfileStore merge_profiles(const ProfileStore& a, const ProfileStore& b, const std::string& where);

}  // namespace fewwatt::datasets
