#include "hw/jetson/journal.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <sstream>

namespace fewwatt::hw {
namespace {

const std::string kHeader = "fewwatt-clocks 1";
constexpr int kTries = 3;

// FNV-1a, 64 bits.
std::string checksum(std::string_view text) {
  std::uint64_t hash = 14695981039346656037U;
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211U;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

// "limits" of which a path is one end; "" for another control.
std::string other_end(const std::string& path) {
  for (const auto& [low, high] :
       {std::pair<std::string, std::string>{"/scaling_min_freq", "/scaling_max_freq"},
        {"/min_freq", "/max_freq"}}) {
    if (path.ends_with(low)) return path.substr(0, path.size() - low.size()) + high;
    if (path.ends_with(high)) return path.substr(0, path.size() - high.size()) + low;
  }
  return "";
}
bool is_low_end(const std::string& path) {
  return path.ends_with("min_freq");
}
// The rate of a memory clock that was not locked: the kernel chose it, and chooses again.
bool was_free(const std::string& path, const std::vector<SavedControl>& saved) {
  if (!path.ends_with("/rate")) return false;
  const auto lock = path.substr(0, path.size() - 4) + "mrq_rate_locked";
  return std::any_of(saved.begin(), saved.end(), [&](const SavedControl& control) {
    return control.path == lock && control.value == "0";
  });
}
bool is_core(const std::string& path) {
  return path.ends_with("/online");
}

// "" when the control now holds `value`, else what is wrong.
std::string put_back(Sysfs& files, const std::string& path, const std::string& value) {
  std::string trouble;
  for (int i = 0; i < kTries; ++i) {
    try {
      if (files.read(path) == value) return "";
      files.write(path, value);
      const auto now = files.read(path);
      if (now == value) return "";
      trouble = path + ": was " + value + ", is " + now;
    } catch (const DeviceError& e) {
      trouble = e.what();
    }
  }
  return trouble;
}

std::optional<std::int64_t> number_at(const Sysfs& files, const std::string& path) {
  try {
    return read_number(files, path);
  } catch (const DeviceError&) {
    return std::nullopt;
  }
}

}  // namespace

Journal::Content Journal::read() const {
  const auto text = folder_.read(name_);
  const auto damaged = [&](const std::string& how) -> DeviceError {
    return DeviceError(path() + ": " + how +
                       "; it does not say any more what the clocks were. Restart the board, or set the "
                       "clocks and remove the file");
  };
  const auto end = text.rfind("end ");
  if (!text.starts_with(kHeader + " ")) throw damaged("expected \"" + kHeader + "\" at its start");
  if (end == std::string::npos || end == 0 || text[end - 1] != '\n') throw damaged("truncated");
  if (text.substr(end) != "end " + checksum(text.substr(0, end)) + '\n') throw damaged("damaged");
  std::istringstream lines(text.substr(0, end));
  std::string line;
  std::getline(lines, line);
  Content content{line.substr(kHeader.size() + 1), {}};
  while (std::getline(lines, line)) {
    const auto tab = line.find('\t');
    if (tab == std::string::npos) throw damaged("damaged");
    content.controls.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return content;
}

void Journal::write(const Content& content) const {
  std::string text = kHeader + ' ' + content.boot_id + '\n';
  for (const auto& [path, value] : content.controls) text += path + '\t' + value + '\n';
  text += "end " + checksum(text) + '\n';
  folder_.write(name_, text);
}

JournaledSysfs::JournaledSysfs(Sysfs& files, const Journal& journal, std::string boot_id)
    : files_(files), journal_(journal), content_{std::move(boot_id), {}} {}

bool JournaledSysfs::is_saved(const std::string& path) const {
  return std::any_of(content_.controls.begin(), content_.controls.end(),
                     [&](const SavedControl& control) { return control.path == path; });
}

void JournaledSysfs::save(const std::vector<std::string>& paths) {
  auto content = content_;
  for (const auto& path : paths) {
    const auto known = [&](const SavedControl& control) { return control.path == path; };
    if (std::any_of(content.controls.begin(), content.controls.end(), known)) continue;
    try {
      content.controls.push_back({path, files_.read(path)});
    } catch (const SysfsError&) {
    }
  }
  if (content.controls.size() == content_.controls.size()) return;
  journal_.write(content);
  content_ = std::move(content);
}

void JournaledSysfs::write(const std::string& path, const std::string& value) {
  if (!is_saved(path)) {
    save({path});
    if (!is_saved(path)) files_.read(path);  // says why not; what cannot be put back is not written
  }
  files_.write(path, value);
}

std::vector<std::string> restore(Sysfs& files, const std::vector<SavedControl>& saved) {
  std::vector<std::string> troubles;
  const auto try_back = [&](const SavedControl& control) {
    auto trouble = put_back(files, control.path, control.value);
    if (!trouble.empty() && !was_free(control.path, saved)) troubles.push_back(std::move(trouble));
  };
  // Cores that were on; all of them where limits of clocks are to be set, which those of a cluster that is off may not be,
  // whether they can be read or not.
  const bool all_on = std::any_of(saved.begin(), saved.end(), [&](const SavedControl& control) {
    if (control.path.find("/cpufreq/") == std::string::npos) return false;
    const auto now = number_at(files, control.path);
    return !now || std::to_string(*now) != control.value;
  });
  for (const auto& [path, value] : saved) {
    if (!is_core(path)) continue;
    if (value == "1")
      try_back({path, value});
    else if (all_on)
      put_back(files, path, "1");
  }
  for (const auto& [path, value] : saved) {
    const auto high = other_end(path);
    if (high.empty() || !is_low_end(path)) continue;
    const auto top =
        std::find_if(saved.begin(), saved.end(), [&](const SavedControl& c) { return c.path == high; });
    if (top == saved.end()) {
      try_back({path, value});
      continue;
    }
    const auto now = number_at(files, high);
    const bool raises = now && *now < parse_number(value, path);
    if (raises) try_back(*top);
    try_back({path, value});
    if (!raises) try_back(*top);
  }
  for (const auto& control : saved) {  // a high end whose low end was not saved
    const auto low = other_end(control.path);
    if (low.empty() || is_low_end(control.path)) continue;
    if (std::none_of(saved.begin(), saved.end(), [&](const SavedControl& c) { return c.path == low; }))
      try_back(control);
  }
  for (auto control = saved.rbegin(); control != saved.rend(); ++control)
    if (!is_core(control->path) && other_end(control->path).empty()) try_back(*control);
  for (auto control = saved.rbegin(); control != saved.rend(); ++control)
    if (is_core(control->path) && control->value == "0") try_back(*control);
  return troubles;
}

std::string boot_id(const Sysfs& files) {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  return files.exists(path) ? files.read(path) : "";
}

}  // namespace fewwatt::hw
