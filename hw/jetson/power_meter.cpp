#include "hw/jetson/power_meter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <sstream>

#include "hw/descriptor.hpp"
#include "hw/numbers.hpp"

namespace fewwatt::hw {
namespace {

constexpr double kLongestNap_s = 0.1;        // so that a meter with a long interval stops soon
constexpr std::size_t kLongestLine = 65536;  // of tegrastats
constexpr std::int64_t kMostMw = 1'000'000'000;

std::string text_of(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

// Times of Monotonic have many digits in front of those that matter.
std::string seconds_text(double at_s) {
  std::ostringstream text;
  text.setf(std::ios::fixed);
  text.precision(3);
  text << at_s << " s";
  return text.str();
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.find_first_not_of(" \t\r\n", at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    words.push_back(text.substr(begin, at - begin));
  }
  return words;
}

// "1383/1383", "831mW/831mW", "5139mW/5139mW/5139mW": the first, where all are whole numbers of the same form.
std::optional<double> first_mw(std::string_view text) {
  std::optional<std::int64_t> first;
  std::string_view unit;
  int count = 0;
  for (;;) {
    const auto digits = text.substr(0, text.find_first_not_of("-0123456789"));
    const auto value = whole_number(digits, -kMostMw, kMostMw);
    if (!value) return std::nullopt;
    text.remove_prefix(digits.size());
    const auto its_unit = text.substr(0, text.find('/'));
    if (!its_unit.empty() && its_unit != "mW") return std::nullopt;
    if (first && its_unit != unit) return std::nullopt;
    if (!first) {
      first = *value;
      unit = its_unit;
    }
    ++count;
    text.remove_prefix(its_unit.size());
    if (text.empty()) break;
    text.remove_prefix(1);
  }
  if (count != 2 && count != 3) return std::nullopt;
  return static_cast<double>(*first);
}

double interpolated_w(const PowerSample& a, const PowerSample& b, double at_s) {
  return a.power_w + (b.power_w - a.power_w) * (at_s - a.at_s) / (b.at_s - a.at_s);
}

std::string positive(const char* field, double value) {
  if (std::isfinite(value) && value > 0) return "";
  return std::string(field) + " must be > 0, got " + text_of(value);
}

}  // namespace

// ---- Rails ----

double RailPower::power_w() {
  double sum_w = 0;
  for (const auto& rail : total_.rails) sum_w += read_power_w(files_, rail);
  return sum_w;
}

double RailPower::averaging_s() const {
  double longest_s = 0;
  for (const auto& rail : total_.rails) longest_s = std::max(longest_s, rail.averaging_s);
  return longest_s;
}

std::string RailPower::describe() const {
  return "rails " + total_.note;
}

// ---- tegrastats ----

std::multimap<std::string, double> tegrastats_rails_w(std::string_view line) {
  std::multimap<std::string, double> rails;
  const auto words = words_of(line);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "NC" || std::isalpha(static_cast<unsigned char>(words[i].front())) == 0) continue;
    if (const auto mw = first_mw(words[i + 1])) rails.emplace(words[i], *mw / 1000);
  }
  return rails;
}

std::string TegrastatsOptions::error() const {
  if (command.empty()) return "TegrastatsOptions: command must not be empty";
  if (interval_ms <= 0)
    return "TegrastatsOptions: interval_ms must be > 0, got " + std::to_string(interval_ms);
  if (const auto wrong = positive("patience_s", patience_s); !wrong.empty())
    return "TegrastatsOptions: " + wrong;
  return "";
}

// A process in a group of its own, so that Ctrl-C does not end it before us; its output can be read without waiting.
class TegrastatsPower::Child {
 public:
  explicit Child(std::vector<std::string> command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw DeviceError(std::string("pipe: ") + std::strerror(errno));
    output_ = Descriptor(ends[0]);
    const Descriptor input(ends[1]);
    ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    for (auto& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int code = ::posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) throw DeviceError(command[0] + ": cannot start: " + std::strerror(code));
  }
  // The signal may not be ours to send (sudo); output without a reader ends the child as well.
  ~Child() {
    output_.close();
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Appends what there is; false: there will be no more.
  bool read(std::string& text, double wait_s) const {
    pollfd poll{output_.get(), POLLIN, 0};
    ::poll(&poll, 1, static_cast<int>(wait_s * 1e3));
    char buffer[4096];
    for (;;) {
      const auto got = ::read(output_.get(), buffer, sizeof buffer);
      if (got == 0) return false;
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  Descriptor output_;
  pid_t pid_ = -1;
};

TegrastatsPower::TegrastatsPower(Monotonic& clock, const std::vector<std::string>& compatible,
                                 TegrastatsOptions options)
    : clock_(clock), options_(std::move(options)) {
  if (const auto wrong = options_.error(); !wrong.empty()) throw std::invalid_argument(wrong);
  auto command = options_.command;
  command.insert(command.end(), {"--interval", std::to_string(options_.interval_ms)});
  child_ = std::make_unique<Child>(std::move(command));
  const double start_s = clock_.now_s();
  while (!read_lines(kLongestNap_s)) {
    if (clock_.now_s() - start_s > options_.patience_s)
      throw DeviceError(options_.command[0] + ": no line with power rails within " +
                        text_of(options_.patience_s) + " s (it prints them to root only on some JetPacks)");
  }
  std::vector<Rail> rails;
  for (const auto& [label, power_w] : newest_) {
    rails.emplace_back();
    rails.back().label = label;
    rails.back().channel = static_cast<int>(rails.size());
  }
  total_ = total_of(rails, compatible);
}

TegrastatsPower::~TegrastatsPower() = default;

bool TegrastatsPower::read_lines(double wait_s) {
  const bool more = child_->read(unfinished_, wait_s);
  bool found = false;
  std::size_t begin = 0;
  for (auto end = unfinished_.find('\n'); end != std::string::npos; end = unfinished_.find('\n', begin)) {
    auto rails = tegrastats_rails_w(std::string_view(unfinished_).substr(begin, end - begin));
    begin = end + 1;
    if (rails.empty()) continue;
    newest_ = std::move(rails);
    newest_s_ = clock_.now_s();
    found = true;
  }
  unfinished_.erase(0, begin);
  if (unfinished_.size() > kLongestLine) unfinished_.clear();
  if (!more && !found) throw DeviceError(options_.command[0] + " has ended");
  return found;
}

double TegrastatsPower::power_w() {
  const double now_s = clock_.now_s();
  if (!read_lines(0) && now_s - newest_s_ > options_.patience_s)
    throw DeviceError(options_.command[0] + ": no line for " + text_of(now_s - newest_s_) + " s");
  double sum_w = 0;
  for (const auto& rail : total_.rails) {
    const auto found = newest_.find(rail.label);
    if (found == newest_.end())
      throw DeviceError(options_.command[0] + ": its newest line lacks " + rail.label);
    sum_w += found->second;
  }
  return sum_w;
}

double TegrastatsPower::averaging_s() const {
  return std::max(kSensorAveraging_s, options_.interval_ms * 1e-3);
}

std::string TegrastatsPower::describe() const {
  std::string text =
      options_.command[0] + " every " + std::to_string(options_.interval_ms) + " ms: " + total_.note;
  return options_.why.empty() ? text : text + "; because " + options_.why;
}

std::unique_ptr<PowerSource> find_power_source(const Sysfs& files, Monotonic& clock,
                                               const std::vector<std::string>& compatible,
                                               TegrastatsOptions fall_back) {
  try {
    return std::make_unique<RailPower>(files, total_of(find_channels(files), compatible));
  } catch (const DeviceError& rails) {
    fall_back.why = rails.what();
  }
  try {
    return std::make_unique<TegrastatsPower>(clock, compatible, fall_back);
  } catch (const DeviceError& tegrastats) {
    throw DeviceError(fall_back.why + "; and tegrastats does not help: " + tegrastats.what());
  }
}

// ---- The meter ----

std::string PowerMeterOptions::error() const {
  for (const auto& wrong : {positive("interval_s", interval_s), positive("max_gap_s", max_gap_s),
                            positive("keep_s", keep_s), positive("max_failures", max_failures)})
    if (!wrong.empty()) return "PowerMeterOptions: " + wrong;
  if (interval_s >= max_gap_s)
    return "PowerMeterOptions: interval_s must be < max_gap_s, got " + text_of(interval_s);
  return "";
}

PowerMeter::PowerMeter(PowerSource& source, Monotonic& clock, PowerMeterOptions options)
    : source_(source), clock_(clock), options_(options) {
  if (const auto wrong = options_.error(); !wrong.empty()) throw std::invalid_argument(wrong);
}

void PowerMeter::start() {
  if (thread_.joinable()) return;
  stopping_ = false;
  sample();
  thread_ = std::thread([this] { run(); });
}

void PowerMeter::stop() noexcept {
  if (!thread_.joinable()) return;
  stopping_ = true;
  thread_.join();
  sample();
}

void PowerMeter::run() noexcept {
  double due_s = clock_.now_s() + options_.interval_s;
  while (!stopping_) {
    const double left_s = due_s - clock_.now_s();
    if (left_s > 0 && left_s <= options_.interval_s) {
      clock_.wait_s(std::min(left_s, kLongestNap_s));
      continue;
    }
    sample();
    const double now_s = clock_.now_s();
    due_s += options_.interval_s;
    if (due_s <= now_s || due_s > now_s + options_.interval_s) due_s = now_s + options_.interval_s;
  }
}

void PowerMeter::sample() noexcept {
  const double start_s = clock_.now_s();
  double power_w = 0;
  std::string problem;
  try {
    power_w = source_.power_w();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  const double end_s = clock_.now_s();
  const PowerSample taken{start_s + (end_s - start_s) / 2, power_w};

  const std::lock_guard lock(mutex_);
  if (problem.empty() && !std::isfinite(power_w)) problem = "a reading that is no number";
  if (problem.empty() && end_s - start_s > options_.max_gap_s)
    problem = "a reading took " + text_of(end_s - start_s) + " s";
  if (problem.empty() && (end_s < start_s || (!samples_.empty() && taken.at_s <= samples_.back().at_s)))
    problem = "the clock did not go forward, at " + seconds_text(start_s);
  if (problem.empty()) {
    samples_.push_back(taken);
    failing_ = false;
  } else {
    fail(taken.at_s, problem);
  }
  drop_before(taken.at_s - options_.keep_s);
}

void PowerMeter::fail(double at_s, const std::string& why) {
  if (!failing_) failures_.push_back({at_s, at_s, 0, ""});
  failing_ = true;
  ++failed_;
  auto& run = failures_.back();
  run.first_s = std::min(run.first_s, at_s);
  run.last_s = std::max(run.last_s, at_s);
  ++run.count;
  run.last = why;
}

void PowerMeter::drop_before(double t_s) {
  while (samples_.size() > 1 && samples_[1].at_s <= t_s) samples_.pop_front();
  while (!failures_.empty() && failures_.front().last_s < t_s && !(failing_ && failures_.size() == 1))
    failures_.pop_front();
}

void PowerMeter::forget_before(double t_s) {
  const std::lock_guard lock(mutex_);
  drop_before(t_s);
}

std::string PowerMeter::last_failure(double since_s) const {
  if (failures_.empty() || failures_.back().last_s < since_s) return "";
  return "; last problem: " + failures_.back().last;
}

void PowerMeter::wait_past(double to_s) const {
  if (!std::isfinite(to_s)) throw std::invalid_argument("PowerMeter: to_s must be finite");
  const double patience_s = options_.max_gap_s + options_.interval_s;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (!samples_.empty() && samples_.back().at_s >= to_s) return;
      if (clock_.now_s() > to_s + patience_s)
        throw DeviceError("no reading of power for " + text_of(patience_s) + " s after " +
                          seconds_text(to_s) + last_failure(to_s));
    }
    clock_.wait_s(options_.interval_s / 4);
  }
}

PowerReading PowerMeter::over(double from_s, double to_s) const {
  if (!std::isfinite(from_s) || !std::isfinite(to_s) || from_s >= to_s)
    throw std::invalid_argument("PowerMeter: from_s must be < to_s, got " + text_of(from_s) + " and " +
                                text_of(to_s));
  const std::lock_guard lock(mutex_);
  const std::string window = "power from " + seconds_text(from_s) + " to " + seconds_text(to_s);
  for (const auto& run : failures_) {
    if (run.count >= options_.max_failures && run.first_s <= to_s && run.last_s >= from_s)
      throw DeviceError(window + ": " + std::to_string(run.count) +
                        " readings in a row failed, the last with: " + run.last);
  }
  // From the last sample at or before the window to the first at or after it.
  auto first = std::upper_bound(samples_.begin(), samples_.end(), from_s,
                                [](double at_s, const PowerSample& sample) { return at_s < sample.at_s; });
  const auto last =
      std::lower_bound(samples_.begin(), samples_.end(), to_s,
                       [](const PowerSample& sample, double at_s) { return sample.at_s < at_s; });
  if (first == samples_.begin() || last == samples_.end())
    throw DeviceError(window + " is not covered by samples: " +
                      (samples_.empty() ? "there are none"
                                        : "they go from " + seconds_text(samples_.front().at_s) + " to " +
                                              seconds_text(samples_.back().at_s)) +
                      last_failure(from_s));
  --first;

  PowerReading reading;
  reading.seconds = to_s - from_s;
  for (auto a = first, b = first + 1; a != last; ++a, ++b) {
    const double gap_s = b->at_s - a->at_s;
    if (gap_s > options_.max_gap_s)
      throw DeviceError(window + ": no samples for " + text_of(gap_s) + " s after " + seconds_text(a->at_s) +
                        " (the clock jumped, or the thread that samples was held up)" + last_failure(from_s));
    reading.longest_gap_s = std::max(reading.longest_gap_s, gap_s);
    const double begin_s = std::max(a->at_s, from_s), end_s = std::min(b->at_s, to_s);
    reading.energy_j +=
        (interpolated_w(*a, *b, begin_s) + interpolated_w(*a, *b, end_s)) / 2 * (end_s - begin_s);
  }
  reading.mean_w = reading.energy_j / reading.seconds;

  double sum_w = 0, sum_squares = 0;
  std::optional<double> before_w;
  const auto inside = [&](const auto& visit) {
    for (auto it = first; it != last + 1; ++it)
      if (it->at_s >= from_s && it->at_s <= to_s) visit(it->power_w);
  };
  inside([&](double power_w) {
    ++reading.samples;
    sum_w += power_w;
    if (before_w != power_w) ++reading.effective_samples;
    before_w = power_w;
  });
  if (reading.samples > 1) {
    const auto n = static_cast<double>(reading.samples);
    inside([&](double power_w) { sum_squares += (power_w - sum_w / n) * (power_w - sum_w / n); });
    reading.stddev_w = std::sqrt(sum_squares / (n - 1));
  }
  if (const double averaging_s = source_.averaging_s(); averaging_s > 0) {
    constexpr double kRounding = 1e-9;
    reading.effective_samples = std::min(reading.effective_samples,
                                         static_cast<std::size_t>(reading.seconds / averaging_s + kRounding));
  }
  return reading;
}

std::vector<PowerSample> PowerMeter::samples() const {
  const std::lock_guard lock(mutex_);
  return {samples_.begin(), samples_.end()};
}

std::size_t PowerMeter::failures() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

}  // namespace fewwatt::hw
