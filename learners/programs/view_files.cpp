#include "learners/programs/view_files.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "datasets/csv.hpp"
#include "datasets/hdf5_file.hpp"
#include "datasets/input_file.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/run_log.hpp"
#include "hw/modules.hpp"
#include "hw/printable.hpp"
#include "learners/model.hpp"
#include "learners/programs/shown_run.hpp"
#include "learners/programs/view_rows.hpp"

namespace fewwatt::view {
namespace {

using datasets::DataError;

static_assert(std::endian::native == std::endian::little, "the page reads little-endian numbers");

// The bytes of numbers in base64 (RFC 4648).
template <class Number>
std::string base64(std::span<const Number> numbers) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto bytes = std::as_bytes(numbers);
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t b = 0; b < 3; ++b)
      group = group << 8 | (b < count ? std::to_integer<std::uint32_t>(bytes[i + b]) : 0);
    for (std::size_t d = 0; d < 4; ++d) text += d <= count ? kDigits[group >> (18 - 6 * d) & 63] : '=';
  }
  return text;
}

// A column of doubles, or null where no value of it is known.
Json column(const std::vector<double>& values) {
  if (std::all_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }))
    return nullptr;
  return base64(std::span<const double>(values));
}
Json column(const learners::Matrix& table, Eigen::Index target) {
  if (table.size() == 0) return nullptr;
  std::vector<double> values(static_cast<std::size_t>(table.rows()));
  for (Eigen::Index row = 0; row < table.rows(); ++row)
    values[static_cast<std::size_t>(row)] = table(row, target);
  return column(values);
}

// The position of a space among those of the page.
std::size_t add_space(Page& page, const std::vector<hw::Knob>& knobs, std::span<const hw::PowerMode> modes) {
  Json space{{"knobs", knobs_json(knobs)}};
  std::vector<int> settings;
  settings.reserve(modes.size() * knobs.size());
  for (const auto& mode : modes) settings.insert(settings.end(), mode.begin(), mode.end());
  static_assert(sizeof(int) == 4);
  space["modes"] = base64(std::span<const int>(settings));
  const auto found = std::find(page.spaces.begin(), page.spaces.end(), space);
  if (found != page.spaces.end()) return static_cast<std::size_t>(found - page.spaces.begin());
  page.spaces.push_back(std::move(space));
  return page.spaces.size() - 1;
}

// The vendor's presets that `modes`, ascending, has a row of.
Json presets(const std::string& device, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes,
             const ReadAs& as) {
  Json found = Json::array();
  for (const auto& board : hw::modules()) {
    if (board.name != (as.board.empty() ? device : as.board)) continue;
    for (const auto& preset : board.presets) {
      const auto mode = hw::apply_limits(space, board.knobs, preset.limits);
      const auto row = std::lower_bound(modes.begin(), modes.end(), mode);
      if (row != modes.end() && *row == mode)
        found.push_back({{"name", preset.name}, {"row", row - modes.begin()}});
    }
  }
  return found;
}

void add_model(Page& page, const std::string& path, const ReadAs& as) {
  const auto model = learners::read_model(path, {.max_modes = as.max_modes});
  const auto decided_with = model.with_measurements();
  const auto modes = model.space->modes();
  Json support = Json::array();
  for (std::size_t i = 0; i < model.support.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    Json one{{"row", *model.space->index_of(model.support.modes[i])},
             {"time_ms", known(model.support.targets(row, tasks::kTimeMs))},
             {"power_w", known(model.support.targets(row, tasks::kPowerW))}};
    for (const auto& [mode, target] : model.doubted)
      if (mode == model.support.modes[i])
        one["left_out"].push_back(target == tasks::kTimeMs ? "time" : "power");
    support.push_back(one);
  }
  const auto epoch_s = model.epoch_s(1);
  Json part{{"device", hw::printable(model.device)},
            {"workload", hw::printable(model.workload)},
            {"learner", hw::printable(model.learner)},
            {"time_of", to_string(model.attributes.time_of)},
            {"epoch_s_per_ms", epoch_s ? Json(*epoch_s) : Json()},
            {"space", add_space(page, model.space->knobs(), modes)},
            {"log_time", column(decided_with.log_mean, tasks::kTimeMs)},
            {"log_power", column(decided_with.log_mean, tasks::kPowerW)},
            {"var_time", column(decided_with.log_variance, tasks::kTimeMs)},
            {"var_power", column(decided_with.log_variance, tasks::kPowerW)},
            {"measured", support},
            {"presets", presets(model.device, *model.space, modes, as)}};
  page.entries.push_back({"model",
                          hw::printable(model.device + '/' + model.workload + " (" + model.learner + ')'),
                          hw::printable(path), std::move(part)});
}

void add_profiles(Page& page, const std::string& path, const ReadAs& as) {
  const auto store = datasets::read_profiles(path, {.max_modes = as.max_modes});
  if (store.profiles.empty()) throw DataError(path + ": expected a profile, found none");
  for (const auto& profile : store.profiles) {
    std::vector<double> log_time, log_power;
    Json throttled = Json::array();
    for (std::size_t i = 0; i < profile.modes.size(); ++i) {
      log_time.push_back(std::log(profile.measurements[i].time_ms));
      log_power.push_back(std::log(profile.measurements[i].power_w));
      if (profile.measurements[i].throttled) throttled.push_back(i);
    }
    const auto& attributes = profile.attributes;
    Json epoch_s;
    if (attributes.time_of == datasets::TimeOf::epoch)
      epoch_s = 1e-3;
    else if (attributes.time_of == datasets::TimeOf::minibatch && attributes.minibatches_per_epoch)
      epoch_s = *attributes.minibatches_per_epoch / 1000;
    Json part{{"device", hw::printable(profile.device)},
              {"workload", hw::printable(profile.workload)},
              {"time_of", to_string(attributes.time_of)},
              {"epoch_s_per_ms", epoch_s},
              {"space", add_space(page, profile.space->knobs(), profile.modes)},
              {"log_time", column(log_time)},
              {"log_power", column(log_power)},
              {"var_time", nullptr},
              {"var_power", nullptr},
              {"throttled", throttled},
              {"presets", presets(profile.device, *profile.space, profile.modes, as)}};
    page.entries.push_back({"profile", hw::printable(profile.device + '/' + profile.workload),
                            hw::printable(path), std::move(part)});
  }
}

void add_run(Page& page, const std::string& path) {
  const auto run = datasets::read_run_log(path);
  if (run.records.empty()) throw DataError(path + ": expected an attempt at a mode, found none yet");
  std::vector<hw::PowerMode> modes;
  for (const auto& record : run.records) modes.push_back(record.mode);
  std::sort(modes.begin(), modes.end());
  modes.erase(std::unique(modes.begin(), modes.end()), modes.end());
  Json steps = Json::array();
  for (const auto& record : run.records) {
    Json step{{"row", std::lower_bound(modes.begin(), modes.end(), record.mode) - modes.begin()}};
    step.update(run_step(record));
    steps.push_back(std::move(step));
  }
  auto part = run_part(run.header);
  part["space"] = add_space(page, run.header.space->knobs(), modes);
  part["steps"] = std::move(steps);
  page.entries.push_back({"run", run_title(run.header), hw::printable(path), std::move(part)});
}

// Whether a header line is that of a log of govern.
bool is_govern_header(std::string_view line) {
  return line.starts_with("t_s,") && line.ends_with(",time_ms,power_w,budget_w,reason,event");
}

void add_govern(Page& page, const std::string& path) {
  const auto table = datasets::read_csv(path);
  Json knobs = Json::array(), settings = Json::array();
  Json part = Json::object();
  for (const auto& name : table.header) {
    const auto at = table.column(name);
    Json values = Json::array();
    const bool is_text = name == "reason" || name == "event";
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (is_text)
        values.push_back(hw::printable(table.rows[row][at]));
      else
        values.push_back(known(table.number(row, at)));
    }
    if (hw::parse_knob_role(name)) {
      knobs.push_back(name);
      settings.push_back(std::move(values));
    } else if (is_text || name == "t_s" || name == "time_ms" || name == "power_w" || name == "budget_w") {
      part[name] = std::move(values);
    } else {
      throw DataError(path +
                      ": expected columns t_s, knobs, time_ms, power_w, budget_w, reason and event, found " +
                      hw::printable(name));
    }
  }
  part["knobs"] = std::move(knobs);
  part["settings"] = std::move(settings);
  for (const auto& t : part["t_s"])
    if (t.is_null()) throw DataError(path + ": t_s: expected a number of seconds in every row, found none");
  page.entries.push_back({"govern", "governor", hw::printable(path), std::move(part)});
}

// What a file starts with, shorter where it is.
std::string start_of(const std::string& path) {
  const auto file = datasets::open_input(path);
  std::string start(4096, '\0');
  const auto got = ::pread(file.descriptor.get(), start.data(), start.size(), 0);
  start.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return start;
}

}  // namespace

void add_file(Page& page, const std::string& path, const ReadAs& as) {
  const auto start = start_of(path);
  if (start.starts_with("\x89HDF")) {
    const auto format = datasets::format_of(path);
    if (format == "fewwatt-profiles") return add_profiles(page, path, as);
    // A damaged file has no format: the reader of models says what is wrong with it.
    if (format.empty() || format == "fewwatt-model") return add_model(page, path, as);
    throw DataError(path + ": expected a model or profiles, found a " + hw::printable(format) + " file");
  }
  if (start.starts_with("fewwatt-run-log=")) return add_run(page, path);
  if (start.starts_with("{")) return add_rows(page, datasets::read_lines(path), path);
  if (is_govern_header(start.substr(0, start.find_first_of("\r\n")))) return add_govern(page, path);
  throw DataError(path +
                  ": expected a model, profiles, a log of profile or govern, or rows of bench, found " +
                  (start.empty() ? "an empty file" : "another file"));
}

}  // namespace fewwatt::view
