#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "datasets/run_log.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {

// Of the space of example_profile(), 2 x 3 modes.
inline datasets::RunHeader example_header() {
  const auto profile = example_profile();
  datasets::RunHeader header;
  header.device = profile.device;
  header.workload = profile.workload;
  header.attributes = profile.attributes;
  header.attributes.model = "a=b%\twith\nall\\kinds \xc3\xa9";
  header.attributes.flops = 1.0 / 3;
  header.space = profile.space;
  header.device_attributes = {{"board", "A board"}, {"rails=1", "VDD_IN - VDD_WIFI"}, {"empty", ""}};
  header.chosen_by = {{"sampler", "random"}, {"seed", "0"}};
  header.run_attributes = {{"boot_id", "0b5c"}};
  return header;
}

inline datasets::RunRecord example_record(std::size_t mode, double time_ms = 12.25) {
  datasets::RunRecord record;
  record.mode = example_profile().modes.at(mode);
  record.measured.time_ms = time_ms;
  record.measured.power_w = 7.0 / 3;
  record.measured.repeats = 10;
  record.time_std_ms = 0.1;
  record.power_std_w = 0;
  record.power_samples = 12.5;
  record.took_s = 3.75;
  return record;
}

inline datasets::RunRecord rejected_record(std::size_t mode) {
  auto record = example_record(mode);
  record.status = hw::AttemptStatus::trip_temperature;
  record.detail = "thermal_zone1: 97 C >= 95 C\tat=99%";
  record.measured = {datasets::RunRecord::kUnknown, std::numeric_limits<double>::infinity(), 0, true};
  record.time_std_ms = record.power_std_w = record.power_samples = datasets::RunRecord::kUnknown;
  return record;
}

inline std::vector<datasets::RunRecord> example_records() {
  auto no_power = example_record(1, 1e-3);
  no_power.measured.power_w = no_power.power_std_w = no_power.power_samples = datasets::RunRecord::kUnknown;
  auto throttled = example_record(3, 1234567.875);
  throttled.measured.throttled = true;
  return {example_record(0), no_power, rejected_record(2), throttled};
}

// The log of example_records(), as text.
inline std::string example_log(const TempDir& dir, const datasets::RunHeader& header = example_header(),
                               const std::vector<datasets::RunRecord>& records = example_records()) {
  const std::string path = dir / "example.log";
  std::filesystem::remove(path);
  auto log = datasets::RunLog::create(path, header);
  for (const auto& record : records) log.append(record);
  return read_text(path);
}

}  // namespace fewwatt::tests
