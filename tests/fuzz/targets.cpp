#include "tests/fuzz/targets.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <stdexcept>

#include <boost/crc.hpp>

#include "datasets/csv.hpp"
#include "datasets/import.hpp"
#include "datasets/ini.hpp"
#include "datasets/mapping.hpp"
#include "datasets/run_log.hpp"
#include "datasets/tegrastats.hpp"
#include "hw/jetson/clocks.hpp"
#include "hw/jetson/monotonic.hpp"
#include "hw/jetson/nvpmodel.hpp"
#include "hw/jetson/power_meter.hpp"
#include "hw/jetson/rails.hpp"
#include "hw/jetson/validity.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/fuzz/input.hpp"

namespace fewwatt::fuzz {
namespace {

// Runs `body`. What it throws for bad input is its answer; anything else goes on.
template <class Body>
void answered(const Body& body) {
  try {
    body();
  } catch (const datasets::DataError&) {
  } catch (const hw::DeviceError&) {
  }
}

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

// A board on which files hold something else: lines of a file's number and what it holds.
class Board {
 public:
  explicit Board(std::size_t number) : files_(make(number)) {
    for (const auto& [path, content] : tree_.files) paths_.push_back(path);
  }
  void set(std::size_t file, std::string_view content) {
    const auto& path = paths_[file % paths_.size()];
    changed_.push_back(path);
    std::ofstream(root_ + path, std::ios::binary) << content;
  }
  void put_back() {
    for (const auto& path : changed_) std::ofstream(root_ + path, std::ios::binary) << tree_.files.at(path);
    changed_.clear();
  }
  hw::FileSysfs& files() { return files_; }

 private:
  hw::FileSysfs make(std::size_t number) {
    const auto boards = tests::fake_boards();
    tree_ = tests::tree_of(boards[number % boards.size()], true);
    root_ = scratch_folder() + "/board-" + std::to_string(number);
    tree_.write(root_);
    return hw::FileSysfs(root_);
  }
  tests::FakeTree tree_;
  std::string root_;
  std::vector<std::string> paths_, changed_;
  hw::FileSysfs files_;
};

Board& board_of(std::size_t number) {
  static std::array<Board, 2> boards{Board(0), Board(7)};
  return boards[number % boards.size()];
}

void board(std::string_view input) {
  if (input.empty()) return;
  auto& board = board_of(static_cast<unsigned char>(input[0]));
  input.remove_prefix(1);
  while (input.size() > 1) {
    const auto line = input.substr(0, input.find('\n'));
    if (line.size() > 2)
      board.set(static_cast<unsigned char>(line[0]) * 256U + static_cast<unsigned char>(line[1]),
                line.substr(2));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
  }
  auto& files = board.files();
  answered([&] {
    const auto found = hw::find_board(files);
    hw::SystemMonotonic time;
    const hw::Clocks clocks(files, time, found);
    answered([&] { clocks.current(); });
    answered([&] { hw::read_board_state(files, clocks.watched()); });
  });
  answered([&] {
    const auto rails = hw::find_rails(files);
    for (const auto& rail : rails) answered([&] { hw::read_power_w(files, rail); });
    hw::total_of(rails, {"nvidia,tegra234"});
  });
  board.put_back();
}

void nvpmodel(std::string_view input) {
  auto& board = board_of(0);
  static const auto found = hw::find_board(board.files());
  static const auto space = hw::space_of(found);
  answered([&] {
    const auto conf = hw::parse_nvpmodel(std::string(input), "nvpmodel.conf");
    const auto* base = conf.find(hw::nvpmodel_now(board.files(), conf));
    std::set<hw::KnobRole> roles;
    for (const auto& knob : space.knobs()) roles.insert(knob.role);
    if (base != nullptr)
      hw::nvpmodel_stanza(board.files(), conf, *base, found, space.at(0), roles, "FEWWATT");
  });
}

constexpr Target kTargets[] = {
    {"csv", csv},         {"ini", ini},     {"import", import},    {"tegrastats", tegrastats},
    {"run_log", run_log}, {"board", board}, {"nvpmodel", nvpmodel}};

}  // namespace

std::span<const Target> targets() {
  return kTargets;
}

const Target& find_target(std::string_view name) {
  for (const auto& target : kTargets)
    if (target.name == name) return target;
  throw std::invalid_argument("no fuzz target " + std::string(name));
}

}  // namespace fewwatt::fuzz
