#include "meta/rl/choices.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace fewwatt::meta {
namespace {

bool equal(const tasks::Matrix& a, const tasks::Matrix& b) {
  return a.rows() == b.rows() && std::equal(a.data(), a.data() + a.size(), b.data(), b.data() + b.size());
}

}  // namespace

Choices::Choices(std::span<const ActionSet> of_rows, std::vector<std::vector<std::size_t>> spent_of)
    : spent(std::move(spent_of)) {
  if (of_rows.empty() || of_rows[0] == nullptr) return;
  std::map<const tasks::Matrix*, std::int64_t> known;
  for (const auto& set : of_rows) {
    const auto [at, is_new] = known.try_emplace(set.get(), 0);
    if (is_new) {
      const auto same =
          std::find_if(sets.begin(), sets.end(), [&](const auto& one) { return equal(*one, *set); });
      at->second = same - sets.begin();
      if (same == sets.end()) sets.push_back(set);
    }
    set_of.push_back(at->second);
  }
}

}  // namespace fewwatt::meta
