#include "datasets/tegrastats.hpp"

#include <algorithm>
#include <cctype>

#include "datasets/csv.hpp"
#include "datasets/input_file.hpp"
#include "datasets/profile.hpp"
#include "hw/text.hpp"

namespace fewwatt::datasets {
namespace {

constexpr std::size_t kMostRails = 1000;       // of a log; a board has some ten
constexpr std::size_t kLongestLine = 1 << 16;  // bytes; tegrastats writes some hundred

// Pieces between blanks, however many.
std::vector<std::string_view> words_of(std::string_view text) {
  auto words = hw::split(text, ' ');
  std::erase(words, std::string_view());
  return words;
}

// The number that `text` is after removing `suffix`; nullopt when either is not there.
std::optional<double> number_before(std::string_view text, std::string_view suffix) {
  double value = 0;
  if (!text.ends_with(suffix)) return std::nullopt;
  text.remove_suffix(suffix.size());
  if (text.empty() || !parse_number(text, value)) return std::nullopt;
  return value;
}

std::string_view without_brackets(std::string_view text) {
  if (text.starts_with('[')) text.remove_prefix(1);
  if (text.ends_with(']')) text.remove_suffix(1);
  return text;
}

// "1383/1383", "831mW/831mW", "5139mW/5139mW/5139mW": the first, where all are whole numbers of the same
// form.
std::optional<double> rail_mw(std::string_view text) {
  const auto parts = hw::split(text, '/');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  const std::string_view suffix = parts[0].ends_with("mW") ? "mW" : "";
  for (const auto part : parts) {
    if (!number_before(part, suffix)) return std::nullopt;
  }
  return number_before(parts[0], suffix);
}

// "41.437C", "52.968C/52.968C"
std::optional<double> temperature_c(std::string_view text) {
  return number_before(hw::split(text, '/')[0], "C");
}

// "[31%@102,off]": loads; a core that is off is NaN.
std::vector<double> cpu_loads(std::string_view text) {
  std::vector<double> loads;
  for (const auto core : hw::split(without_brackets(text), ',')) {
    loads.push_back(number_before(core.substr(0, core.find('@')), "%").value_or(TegrastatsLine::kUnknown));
  }
  return loads;
}

// "10%@76", "3%", "@[1000,1000]", "0%@[305]": load and clocks.
void load_and_clocks(std::string_view text, double& load_pct, std::vector<double>& clocks_mhz) {
  const auto mark = text.find('@');
  load_pct = number_before(text.substr(0, mark), "%").value_or(TegrastatsLine::kUnknown);
  if (mark == std::string_view::npos) return;
  for (const auto clock : hw::split(without_brackets(text.substr(mark + 1)), ',')) {
    if (const auto mhz = number_before(clock, "")) clocks_mhz.push_back(*mhz);
  }
}

// Whether every rail of `part` is one of `line`, and there are fewer.
bool lacks_rails(const TegrastatsLine& part, const TegrastatsLine& line) {
  return part.rails_mw.size() < line.rails_mw.size() &&
         std::all_of(part.rails_mw.begin(), part.rails_mw.end(),
                     [&](const auto& rail) { return line.rails_mw.contains(rail.first); });
}

void add(const TegrastatsLine& line, TegrastatsLog& log) {
  for (const auto& [rail, mw] : line.rails_mw) {
    log.rails_mw[rail] += mw;
    ++log.rail_lines[rail];
  }
  log.twice.insert(line.twice.begin(), line.twice.end());
  ++log.lines;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::optional<TegrastatsLine> parse_tegrastats_line(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  if (text.size() > kLongestLine) return std::nullopt;
  const auto words = words_of(text);
  if (std::count(words.begin(), words.end(), "RAM") != 1) return std::nullopt;
  if (std::find(words.begin(), words.end(), "CPU") == words.end()) return std::nullopt;
  TegrastatsLine line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto word = words[i];
    if (const auto mark = word.find('@'); mark != std::string_view::npos && mark > 0) {
      const auto celsius = temperature_c(word.substr(mark + 1));
      if (celsius && *celsius > -256) line.temperatures_c[std::string(word.substr(0, mark))] = *celsius;
    }
    if (i + 1 == words.size()) continue;
    const auto value = words[i + 1];
    if (word == "CPU" && value.starts_with('[')) {
      if (!line.cpu_loads_pct.empty()) return std::nullopt;
      line.cpu_loads_pct = cpu_loads(value);
    } else if (word == "GR3D_FREQ") {
      load_and_clocks(value, line.gr3d_pct, line.gr3d_mhz);
    } else if (word == "EMC_FREQ") {
      std::vector<double> clocks_mhz;
      load_and_clocks(value, line.emc_pct, clocks_mhz);
      if (!clocks_mhz.empty()) line.emc_mhz = clocks_mhz.front();
    } else if (const auto mw = rail_mw(value); mw && word != "NC") {  // NC = not connected
      const std::string rail(word);
      if (!line.rails_mw.emplace(rail, *mw).second) line.twice.insert(rail);
    }
  }
  line.ends_in_rail = rail_mw(words.back()).has_value();
  return line;
}

TegrastatsLog read_tegrastats(const std::string& path) {
  const std::string text = read_lines(path);
  std::size_t all = 0, number = 0;
  std::string first_bad;
  bool end_in_rails = false;
  TegrastatsLog whole, cut;  // of lines that end in a rail, and of others
  std::optional<TegrastatsLine> before;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = rest.find('\n');
    const auto one = rest.substr(0, end);
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    ++number;
    if (is_blank(one)) continue;
    ++all;
    auto line = parse_tegrastats_line(one);
    const bool good = line && !line->rails_mw.empty();
    if (!good && first_bad.empty())
      first_bad = path + ":" + std::to_string(number) +
                  (line ? ": no power rail in this line of tegrastats" : ": not a line of tegrastats");
    if (!good) continue;
    end_in_rails = end_in_rails || line->ends_in_rail;
    const bool last = end == std::string_view::npos;
    if (!last || !before || !lacks_rails(*line, *before)) add(*line, line->ends_in_rail ? whole : cut);
    if (whole.rails_mw.size() + cut.rails_mw.size() > kMostRails)
      throw DataError(path + ":" + std::to_string(number) +
                      ": this line and those before it name more than " + std::to_string(kMostRails) +
                      " power rails");
    before = std::move(line);
  }
  if (all == 0) throw DataError(path + " is empty");
  auto log = std::move(end_in_rails ? whole : cut);
  log.skipped = all - log.lines;
  if (log.lines < log.skipped && !first_bad.empty()) throw DataError(first_bad);
  for (auto& [rail, mw] : log.rails_mw) mw /= static_cast<double>(log.rail_lines.at(rail));
  return log;
}

}  // namespace fewwatt::datasets
