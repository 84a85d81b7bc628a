#include "tests/fuzz/targets.hpp"

#include <filesystem>
#include <fstream>
#include <iomanip>
#include <sstream>

#include <boost/crc.hpp>

#include "datasets/csv.hpp"
#include "datasets/import.hpp"
#include "datasets/ini.hpp"
#include "datasets/mapping.hpp"
#include "datasets/merge.hpp"
#include "datasets/run_log.hpp"
#include "datasets/tegrastats.hpp"
#include "hw/jetson/power_meter.hpp"
#include "tests/fuzz/input.hpp"

namespace fewwatt::fuzz {

void csv(std::string_view input) {
  answered([&] {
    const MemoryFile file(input);
    const auto table = datasets::read_csv(file.path());
    for (std::size_t row = 0; row < table.rows.size(); ++row)
      for (std::size_t column = 0; column < table.header.size(); ++column)
        answered([&] { (void)table.number(row, column); });
  });
}

void ini(std::string_view input) {
  answered([&] {
    const MemoryFile file(input);
    for (const auto& section : datasets::read_ini(file.path()).sections)
      for (const auto& [key, text] : section.entries)
        answered([&, name = key] { (void)section.number(name); });
  });
}

// A mapping, and files that are imported by it: the first line of each is its name.
void import(std::string_view input) {
  const auto parts = parts_of(input);
  answered([&] {
    const MemoryFile mapping_file(parts[0]);
    const auto mapping = datasets::read_mapping(mapping_file.path());
    std::vector<std::string> paths;
    for (std::size_t i = 1; i < parts.size() && i < 4; ++i) {
      const auto end = parts[i].find('\n');
      if (end == std::string_view::npos) continue;
      std::string name(parts[i].substr(0, end));
      if (name.empty() || name.size() > 200 || name[0] == '.' ||
          name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
        continue;
      paths.push_back(scratch_folder() + '/' + name);
      std::ofstream(paths.back(), std::ios::binary) << parts[i].substr(end + 1);
    }
    answered([&] { datasets::import_profiles(mapping, paths); });
    for (const auto& path : paths) std::filesystem::remove(path);
  });
}

void tegrastats(std::string_view input) {
  answered([&] {
    const MemoryFile file(input);
    datasets::read_tegrastats(file.path());
  });
  for (std::size_t at = 0; at < input.size();) {
    const auto line = input.substr(at, input.find('\n', at) - at);
    hw::tegrastats_rails_w(line);
    at += line.size() + 1;
  }
}

// A run log whose checksums hold: each line gets its own.
void run_log(std::string_view input) {
  std::string text;
  for (std::size_t at = 0; at < input.size();) {
    const auto line = input.substr(at, input.find('\n', at) - at);
    at += line.size() + 1;
    boost::crc_32_type crc;
    crc.process_bytes(line.data(), line.size());
    std::ostringstream sum;
    sum << std::hex << std::setw(8) << std::setfill('0') << crc.checksum();
    text += std::string(line) + "\tcrc=" + sum.str() + '\n';
  }
  for (const std::string_view content : {std::string_view(text), input})
    answered([&] {
      const MemoryFile file(content);
      const auto run = datasets::read_run_log(file.path());
      datasets::to_profile(run);
    });
}

}  // namespace fewwatt::fuzz
