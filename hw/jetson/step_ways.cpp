#include "hw/jetson/step_ways.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "hw/numbers.hpp"
#include "hw/printable.hpp"

namespace fewwatt::hw {
namespace {

// A process of the program, as /proc describes it.
struct Process {
  pid_t parent = 0, group = 0;
  bool dead = false;
  std::string command;
  bool has_descriptor = true, can_report = true;  // true also where /proc does not say
  bool is_told = true;                            // whether its environment names one of the ways; likewise
};

bool read_text(const std::string& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

std::string text_of(const std::string& path) {
  std::string text;
  read_text(path, text);
  return text;
}

// "python3 train.py --epochs 3": without folders, shortened.
std::string command_of(const std::string& folder, const std::string& name) {
  constexpr std::size_t kMost = 60;
  std::istringstream arguments(text_of(folder + "/cmdline"));
  std::string text;
  for (std::string argument; std::getline(arguments, argument, '\0');)
    text += (text.empty() ? "" : " ") + argument.substr(argument.rfind('/') + 1);
  if (text.empty()) text = name;
  if (text.size() > kMost) text.replace(kMost, text.npos, "...");
  return printable(text);
}

// Finds out which ways a process has to report steps.
void find_ways(const std::string& folder, const StepEnds& ends, Process& process) {
  std::error_code error;
  const auto pipe = "pipe:[" + std::to_string(ends.pipe) + ']';
  bool pipe_open = false, path_open = false;
  std::filesystem::directory_iterator fds(folder + "/fd", error), end;
  for (; !error && fds != end; fds.increment(error)) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(fds->path(), gone).string();
    pipe_open = pipe_open || target == pipe;
    path_open = path_open || (!ends.path.empty() && target == ends.path);
  }
  if (error) return;
  process.has_descriptor = pipe_open;
  if (path_open) return;
  // The environment that a process was started with. A process that has written a title over it gives nothing.
  std::string environment;
  if (!read_text(folder + "/environ", environment)) return;
  // Within exec both are empty for a moment.
  if (environment.empty() && text_of(folder + "/cmdline").empty()) return;
  const std::string path_entry = std::string(kStepPathVariable) + '=' + ends.path,
                    fd_entry = std::string(kStepFdVariable) + '=' + std::to_string(kStepFd);
  bool has_path = false, has_fd = false;
  for (std::size_t at = 0; at < environment.size();) {
    const auto stop = std::min(environment.find('\0', at), environment.size());
    const auto one = std::string_view(environment).substr(at, stop - at);
    if (one.find('=') == one.npos) return;
    has_path = has_path || (one == path_entry && !ends.path.empty());
    has_fd = has_fd || one == fd_entry;
    at = stop + 1;
  }
  process.is_told = has_path || has_fd;
  if (pipe_open) return;  // it may know the number without being told
  // In a container the path may lead nowhere.
  struct stat status {};
  const bool reachable = ::stat((folder + "/root" + ends.path).c_str(), &status) == 0 || errno == EACCES;
  process.can_report = has_path && reachable;
}

std::map<pid_t, Process> processes_of(pid_t first, const StepEnds& ends) {
  std::map<pid_t, Process> all;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const auto pid = whole_int(it->path().filename().string(), 1);
    if (!pid) continue;
    // "NUMBER (NAME) STATE PARENT GROUP ...", where the name may hold anything.
    const auto status = text_of(it->path().string() + "/stat");
    const auto open = status.find('('), close = status.rfind(')');
    if (open == status.npos || close == status.npos) continue;
    std::istringstream fields(status.substr(close + 1));
    char state = ' ';
    Process process;
    if (!(fields >> state >> process.parent >> process.group)) continue;
    process.dead = state == 'Z' || state == 'X';
    process.command = status.substr(open + 1, close - open - 1);
    all.emplace(*pid, process);
  }
  // Processes of the program's group, and those that they have started.
  std::map<pid_t, Process> found;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [pid, process] : all)
      if (!process.dead && (pid == first || process.group == first || found.count(process.parent) > 0))
        more = found.emplace(pid, process).second || more;
  }
  for (auto& [pid, process] : found) {
    const auto folder = "/proc/" + std::to_string(pid);
    process.command = command_of(folder, process.command);
    find_ways(folder, ends, process);
  }
  return found;
}

}  // namespace

StepWays step_ways(pid_t first, const StepEnds& ends) {
  const auto processes = processes_of(first, ends);
  std::set<pid_t> parents;
  for (const auto& [pid, process] : processes) parents.insert(process.parent);
  StepWays ways;
  ways.none = !processes.empty();
  const std::pair<const pid_t, Process>* lacking = nullptr;
  for (const auto& entry : processes) {
    const bool is_last = parents.count(entry.first) == 0;
    if (is_last && entry.second.can_report) ways.none = false;
    if (!(entry.second.has_descriptor && entry.second.is_told) && (lacking == nullptr || is_last))
      lacking = &entry;
  }
  if (lacking == nullptr) return ways;
  const auto named = [](pid_t pid, const Process& process) {
    return std::to_string(pid) + " (" + process.command + ')';
  };
  const auto& [pid, process] = *lacking;
  const auto parent = processes.find(process.parent);
  const auto starter = parent == processes.end()
                           ? std::string()
                           : named(parent->first, parent->second) + ", which started it, ";
  ways.closed = "process " + named(pid, process) + " has ";
  if (process.has_descriptor) {
    ways.closed.append("neither ").append(kStepFdVariable).append(" nor ").append(kStepPathVariable);
    ways.closed += " in its environment: " +
                   (starter.empty() ? "it was started without them" : starter + "left them out") +
                   ", as env -i and sudo do";
    return ways;
  }
  ways.closed.append("not got the descriptor of ").append(kStepFdVariable).append(": ");
  ways.closed += (starter.empty() ? "it was closed" : starter + "closed it") +
                 ", as torchrun, accelerate, conda run and docker do";
  if (process.can_report)
    ways.closed.append("; it may open ")
        .append(kStepPathVariable)
        .append(" instead, as fewwatt_steps.py does by itself");
  else
    ways.closed.append(", and it has no ").append(kStepPathVariable).append(" that leads to our pipe either");
  return ways;
}

}  // namespace fewwatt::hw
