#include "datasets/name_pattern.hpp"

#include <algorithm>
#include <set>

#include "datasets/formula.hpp"
#include "datasets/mapping.hpp"

namespace fewwatt::datasets {

NamePattern parse_pattern(const std::string& text, const std::string& where) {
  NamePattern pattern;
  pattern.text = text;
  pattern.literals.emplace_back();
  std::set<std::string> names;
  for (std::size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      pattern.literals.back() += text[i++];
      continue;
    }
    const std::string inside = text.substr(i + 1, close - i - 1);
    const auto colon = inside.find(':');
    NamePart part{inside.substr(0, colon), std::nullopt, 1};
    if (part.name.empty() || !names.insert(part.name).second) {
      throw DataError(where + ": every part of the pattern needs a name of its own, found '" + text + "'");
    }
    if (colon != std::string::npos) {
      part.role = hw::parse_knob_role(part.name);
      if (!part.role) throw DataError(where + ": unknown knob role '" + part.name + "' in the pattern");
      part.scale = known_scale(known_unit(inside.substr(colon + 1), where), unit_of(*part.role), where);
    }
    pattern.parts.push_back(part);
    pattern.literals.emplace_back();
    i = close + 1;
  }
  return pattern;
}

std::optional<std::vector<std::string>> match(const NamePattern& pattern, std::string_view name) {
  // From the last part to the first: where in the name its literal can stand so that all that follows fits, and where in a number
  // one can be. fits[i][at]: literals[i] and what follows fit name from `at` on.
  const auto n = name.size();
  const auto is_digit = [&](std::size_t at) { return at < n && name[at] >= '0' && name[at] <= '9'; };
  const auto count = pattern.parts.size();
  std::vector<std::vector<bool>> fits(count + 1, std::vector<bool>(n + 1, false));
  std::vector<std::vector<bool>> whole(count), fraction(count);  // after a digit before the point, after it
  const auto literal_at = [&](std::size_t i, std::size_t at) {
    const auto& literal = pattern.literals[i];
    return literal.size() <= n - at && name.compare(at, literal.size(), literal) == 0;
  };
  const auto& last = pattern.literals[count];
  if (last.size() <= n && literal_at(count, n - last.size())) fits[count][n - last.size()] = true;
  for (std::size_t i = count; i-- > 0;) {
    const auto& next = fits[i + 1];
    std::vector<bool> starts(n + 1, false);  // where the part itself can start
    if (pattern.parts[i].role) {
      whole[i].assign(n + 1, false);
      fraction[i].assign(n + 1, false);
      for (std::size_t at = n + 1; at-- > 0;) {
        fraction[i][at] = next[at] || (is_digit(at) && fraction[i][at + 1]);
        whole[i][at] = next[at] || (is_digit(at) && whole[i][at + 1]) ||
                       (at < n && name[at] == '.' && is_digit(at + 1) && fraction[i][at + 2]);
        starts[at] = is_digit(at) && whole[i][at + 1];
      }
    } else {
      bool later = false;
      for (std::size_t at = n + 1; at-- > 0;) {
        starts[at] = later;
        later = later || next[at];
      }
    }
    const auto size = pattern.literals[i].size();
    for (std::size_t at = 0; at + size <= n; ++at) fits[i][at] = starts[at + size] && literal_at(i, at);
  }
  if (!fits[0][0]) return std::nullopt;

  std::vector<std::string> found;
  std::size_t at = pattern.literals[0].size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = at++;
    if (!pattern.parts[i].role) {
      while (!fits[i + 1][at]) ++at;
    } else {
      while (is_digit(at) && whole[i][at + 1]) ++at;
      if (at < n && name[at] == '.' && is_digit(at + 1) && fraction[i][at + 2]) {
        at += 2;
        while (is_digit(at) && fraction[i][at + 1]) ++at;
      }
    }
    found.emplace_back(name.substr(start, at - start));
    at += pattern.literals[i + 1].size();
  }
  return found;
}

namespace {

// One character of a glob that starts at `at`, which is moved behind it: whether `c` fits.
bool one_fits(std::string_view glob, std::size_t& at, char c) {
  const char first = glob[at++];
  if (first == '?') return true;
  if (first == '\\' && at < glob.size()) return glob[at++] == c;
  if (first != '[') return first == c;
  auto i = at;
  const bool others = i < glob.size() && (glob[i] == '!' || glob[i] == '^');
  if (others) ++i;
  const auto close = glob.find(']', i + 1);  // a bracket that stands first is one of the set
  if (close == std::string_view::npos) return c == '[';
  bool among = false;
  while (i < close) {
    const bool range = i + 2 < close && glob[i + 1] == '-';
    among = among || (range ? glob[i] <= c && c <= glob[i + 2] : glob[i] == c);
    i += range ? 3 : 1;
  }
  at = close + 1;
  return among != others;
}

}  // namespace

bool fits_glob(std::string_view glob, std::string_view name) {
  // Where it does not fit, the last * takes one more character; those before it need not be tried again.
  std::size_t g = 0, n = 0, star = std::string_view::npos, star_n = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_n = n;
      continue;
    }
    auto next = g;
    if (g < glob.size() && one_fits(glob, next, name[n])) {
      g = next;
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace fewwatt::datasets
