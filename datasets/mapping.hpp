#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/profile.hpp"

namespace fewwatt::datasets {

// How to read files that somebody else made into profiles. An INI file; a comment is a line of its own:
//
//   [profile]
//   device = tx2                     what the profiles are of: text, where {x} stands for, in this order, a part of
//   workload = {model_name}_{size}   the file's name (see pattern), the file's name without extension ({file}), or
//                                    the row's cell in column x
//   kind = dnn-inference             dnn-training, dnn-inference or non-dnn
//   time_of = minibatch              what one time is of: minibatch, epoch or run
//   space = from-data                levels are those in the data; or the name of a known board, whose levels are
//                                    then the only ones accepted
//   repeated = mean                  optional: several rows of a mode are measurements of it; refused: they are a mistake
//   source = ...                     optional, as licence, model, dataset (text), batch_size,
//                                    minibatches_per_epoch, layers, parameters, flops (numbers); all may use {x}
//   [rename]
//   CIFAR-10/ResNet 18 = resnet18    a device or workload as the lines above give it = as it is to be called. After
//                                    that, characters other than letters, digits and . _ + - become -
//   [device tx2]
//   board = Jetson TX2               optional free text about a device
//   [file *_results.csv]             what the columns of a kind of file are; the first whose glob (* ? [a-z]) fits a file's name
//   format = csv                     csv (the default) or tegrastats: a log, whose mean rails are its columns
//   pattern = Tegra_{app}_C_{cpu_khz:kHz}.csv    optional: parts of the file's name; with a unit, a knob's setting
//   cpu_khz = core_freq [kHz]        a knob role or a metric = columns added and subtracted [unit]. In double quotes
//   power_w = "VDD IN" - wifi * 1.05 [mW]        where a name has blanks, quotes doubled; * scales the whole sum
//
// Knob roles: see hw::KnobRole. Metrics: time_ms, power_w, time_std_ms, power_std_w, repeats, throttled.
// Units: us ms s min h; W mW; Hz kHz MHz GHz; count. Settings must be whole numbers in the role's unit.
// An empty cell is a missing power; knobs and times must be there.
//
// Rows of all files that give the same device, workload and mode are joined. Where two give the same metric:
// equal, one is dropped; different, the import fails. With repeated = mean, times and powers of both count, by the
// mean of log. Where a profile has times, modes without one are left out.

enum class Metric { time_ms, power_w, time_std_ms, power_std_w, repeats, throttled };

std::string_view to_string(Metric metric);

// value = scale * (sum of sign * column), in the unit that the knob's or metric's name says.
struct Expression {
  std::vector<std::pair<double, std::string>> terms;  // sign, column
  double scale = 1;
};

// Text with {x} in it.
struct Template {
  std::string text;

  // Replaces every {x} by value(x).
  template <class Value>
  std::string fill(const Value& value) const;
};

struct NamePart {
  std::string name;                  // "app", "cpu_khz"
  std::optional<hw::KnobRole> role;  // set when the part is a knob's setting
  double scale = 1;                  // to the role's unit
};

// Parts of a file's name: literals[0] parts[0] literals[1] .. parts[n - 1] literals[n].
struct NamePattern {
  std::string text;  // as written; "" = none
  std::vector<std::string> literals;
  std::vector<NamePart> parts;
};

// What each part stands for in a name that is as the pattern says; nullopt for any other name. A knob's setting is a number
// such as 12 or 1.5, as long as it can be; any other part is one character at least and as short as it can be, the first part
// before the others. Takes time in proportion to the length of the name and of the pattern, one by the other.
std::optional<std::vector<std::string>> match(const NamePattern& pattern, std::string_view name);

// Whether a name fits a glob: * any characters, ? one, [a-z_] or [!a-z_] one that is among them or not, \ the next as it is.
bool fits_glob(std::string_view glob, std::string_view name);

enum class FileFormat { csv, tegrastats };

struct FileMapping {
  std::string where;  // "mapping.ini: [file *.csv]", for messages
  std::string glob;
  FileFormat format = FileFormat::csv;
  NamePattern pattern;
  std::map<hw::KnobRole, Expression> knobs;  // those that pattern does not give
  std::map<Metric, Expression> metrics;

  std::vector<hw::KnobRole> roles() const;  // of knobs and pattern, ascending
};

struct Mapping {
  std::string path;
  Template device, workload;
  WorkloadKind kind = WorkloadKind::non_dnn;
  TimeOf time_of = TimeOf::run;
  std::string board;  // "" = space from the data
  bool mean_of_repeated = false;
  std::map<std::string, Template>
      attributes;  // of the workload, beside kind and time_of, as named in a file of profiles
  std::map<std::string, std::string> renamed;
  std::map<std::string, DeviceAttributes> devices;
  std::vector<FileMapping> files;  // at least one, all with the same roles
};

// Throws DataError naming the mapping, the section and the key, and what is known in its place.
Mapping read_mapping(const std::string& path);

template <class Value>
std::string Template::fill(const Value& value) const {
  std::string filled;
  for (std::size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      filled += text[i++];
    } else {
      filled += value(text.substr(i + 1, close - i - 1));
      i = close + 1;
    }
  }
  return filled;
}

}  // namespace fewwatt::datasets
