#include "tests/fuzz/targets.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>

#include "hw/jetson/board_messages.hpp"
#include "hw/jetson/board_server.hpp"
#include "hw/jetson/clocks.hpp"
#include "hw/jetson/monotonic.hpp"
#include "hw/jetson/nvpmodel.hpp"
#include "hw/jetson/power_meter.hpp"
#include "hw/jetson/rails.hpp"
#include "hw/jetson/session.hpp"
#include "hw/jetson/validity.hpp"
#include "tests/fake_sysfs.hpp"
#include "tests/fuzz/input.hpp"

namespace fewwatt::fuzz {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
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
  const std::string& root() const { return root_; }
  // The first file that does not hold what it did; "" when there is none. It holds it again afterwards.
  std::string put_back_all() {
    std::string first;
    for (const auto& [path, content] : tree_.files) {
      if (trimmed(content_of(root_ + path)) == trimmed(content)) continue;
      if (first.empty()) first = path;
      std::ofstream(root_ + path, std::ios::binary) << content;
    }
    return first;
  }

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

// What a request names as root and state folder stays within that of the input.
class Confined final : public hw::BoardAccess {
 public:
  Confined(std::string root, std::string state) : root_(std::move(root)), state_(std::move(state)) {}
  std::unique_ptr<hw::LiveBoard> open(const hw::JetsonOptions& options, hw::Monotonic& time) override {
    return direct_.open(confined(options), time);
  }
  hw::BoardView view(const std::string&) override { return direct_.view(root_); }
  hw::Change change(const hw::JetsonOptions& options, const hw::Settings& settings, bool dry_run) override {
    return direct_.change(confined(options), settings, dry_run);
  }
  hw::Undone undo(const hw::JetsonOptions& options, bool give_up, bool dry_run) override {
    return direct_.undo(confined(options), give_up, dry_run);
  }

 private:
  hw::JetsonOptions confined(hw::JetsonOptions options) const {
    options.root = root_;
    options.state = state_;
    return options;
  }
  std::string root_, state_;
  hw::DirectAccess direct_;
};

}  // namespace

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

// What the other end of the helper's socket sends: a byte that chooses the board, then requests, each behind two bytes that are its
// length. Whatever they are, the board is afterwards as it was.
void requests(std::string_view input) {
  if (input.empty()) return;
  auto& board = board_of(static_cast<unsigned char>(input[0]));
  input.remove_prefix(1);
  const auto state = scratch_folder() + "/state";
  Confined access(board.root(), state);
  hw::SystemMonotonic time;
  hw::BoardServer server(access, time, true);
  try {
    while (input.size() >= 2) {
      const std::size_t size =
          static_cast<unsigned char>(input[0]) + 256U * static_cast<unsigned char>(input[1]);
      input.remove_prefix(2);
      const auto answer = server.answer(input.substr(0, size));
      if (answer.size() > hw::kLongestAnswer + 64) throw std::logic_error("an answer that is too long");
      input.remove_prefix(std::min(size, input.size()));
    }
  } catch (const hw::MessageError&) {
  }
  if (!server.finish()) throw std::logic_error("the board is not as it was");
  access.undo({}, false, false);
  const auto changed = board.put_back_all();
  if (!changed.empty()) throw std::logic_error(changed + " is not as it was");
  std::filesystem::remove_all(state);
}

// A journal that a crash left, as it is and with a header and a checksum that hold. What is no setting of a clock stays as it is.
void journal(std::string_view input) {
  auto& board = board_of(0);
  auto& files = board.files();
  const auto folder = scratch_folder() + "/journals";
  static const auto boot = hw::boot_id(files);
  for (const bool whole : {false, true}) {
    {
      const hw::StateFolder state(folder);
      if (!whole) {
        state.write("clocks.journal", std::string(input));
      } else {
        std::vector<hw::SavedControl> controls;
        for (std::size_t at = 0; at < input.size();) {
          const auto line = input.substr(at, input.find('\n', at) - at);
          at += line.size() + 1;
          const auto tab = line.find('\t');
          if (tab == std::string_view::npos) continue;
          controls.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))});
        }
        hw::Journal(state, "clocks.journal").write({boot, controls});
      }
    }
    answered([&] { const hw::ClockSession session(files, folder); });
    answered([&] { const hw::ClockSession session(files, folder, true); });
    const auto changed = board.put_back_all();  // by path: what is not below /sys comes first
    if (!changed.empty() && !changed.starts_with("/sys/"))
      throw std::logic_error(changed + " was written to");
    std::filesystem::remove_all(folder);
  }
}

}  // namespace fewwatt::fuzz
