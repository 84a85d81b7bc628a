#include "learners/options.hpp"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "hw/text.hpp"

namespace fewwatt::learners {
namespace {

class Lister final : public OptionVisitor {
 public:
  std::vector<OptionFacts> all;

 private:
  void option(OptionFacts facts, const std::function<bool(std::string_view)>&) override {
    all.push_back(std::move(facts));
  }
};

class Setter final : public OptionVisitor {
 public:
  Setter(const Settings& settings, const std::string& owner) : settings_(settings), owner_(owner) {}

  void check_all_used() const {
    for (const auto& [name, value] : settings_) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      throw std::invalid_argument(owner_ + " has no option " + name +
                                  (known_.empty() ? "; it has none" : "; it has " + hw::join(known_)) +
                                  hw::did_you_mean(name, known_));
    }
  }

 private:
  void option(OptionFacts facts, const std::function<bool(std::string_view)>& set) override {
    if (const auto found = settings_.find(facts.name); found != settings_.end() && !set(found->second))
      throw std::invalid_argument(owner_ + ": " + facts.name + " must be " + facts.allowed + ", found " +
                                  found->second);
    known_.push_back(std::move(facts.name));
  }

  const Settings& settings_;
  const std::string& owner_;
  std::vector<std::string> known_;
};

}  // namespace

void OptionVisitor::visit(OptionFacts facts, const std::function<bool(std::string_view)>& set) {
  facts.name = prefix_ + facts.name;
  option(std::move(facts), set);
}

void OptionVisitor::real(const std::string& name, double& value, double least, double most,
                         const std::string& about) {
  visit({name, about, "in [" + hw::number_text(least) + ", " + hw::number_text(most) + "]",
         hw::number_text(value)},
        [&](std::string_view text) {
          const auto found = hw::real_number(text, least, most);
          if (found) value = *found;
          return found.has_value();
        });
}

void OptionVisitor::whole_number(const std::string& name, std::int64_t& value, std::int64_t least,
                                 std::int64_t most, const std::string& about) {
  visit({name, about, "a whole number in [" + std::to_string(least) + ", " + std::to_string(most) + "]",
         std::to_string(value)},
        [&](std::string_view text) {
          const auto found = hw::whole_number(text, least, most);
          if (found) value = *found;
          return found.has_value();
        });
}

void OptionVisitor::flag(const std::string& name, bool& value, const std::string& about) {
  visit({name, about, "true or false", value ? "true" : "false"}, [&](std::string_view text) {
    if (text != "true" && text != "false") return false;
    value = text == "true";
    return true;
  });
}

void OptionVisitor::list(const std::string& name, std::vector<int>& values, int least, int most,
                         const std::string& about) {
  visit(
      {name, about,
       "whole numbers in [" + std::to_string(least) + ", " + std::to_string(most) + "], separated by commas",
       hw::join(values, ",")},
      [&](std::string_view text) {
        std::vector<int> found;
        for (const auto piece : hw::split(text, ',')) {
          const auto one = hw::whole_int(piece, least, most);
          if (!one) return false;
          found.push_back(*one);
        }
        values = std::move(found);
        return true;
      });
}

void OptionVisitor::one_of(const std::string& name, std::size_t& at, std::span<const std::string_view> names,
                           const std::string& about) {
  visit({name, about, "one of " + hw::join(names), std::string(names[at])}, [&](std::string_view text) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return false;
    at = static_cast<std::size_t>(found - names.begin());
    return true;
  });
}

void OptionVisitor::part(const std::string& prefix, const std::function<void(OptionVisitor&)>& each) {
  const auto outer = prefix_;
  prefix_ += prefix;
  each(*this);
  prefix_ = outer;
}

std::vector<OptionFacts> options_of(const EachOption& each) {
  Lister lister;
  if (each) each(lister);
  return std::move(lister.all);
}

void set_options(const Settings& settings, const std::string& owner, const EachOption& each) {
  Setter setter(settings, owner);
  if (each) each(setter);
  setter.check_all_used();
}

void add_setting(Settings& settings, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw std::invalid_argument("expected KEY=VALUE, found " + std::string(text));
  const std::string key(text.substr(0, equals));
  if (!settings.emplace(key, text.substr(equals + 1)).second)
    throw std::invalid_argument(key + " is set twice");
}

Settings settings_of(std::span<const std::string> texts) {
  Settings settings;
  for (const auto& text : texts) add_setting(settings, text);
  return settings;
}

std::string to_text(const Settings& settings) {
  return hw::join(settings, " ", [](const auto& one) { return one.first + "=" + one.second; });
}

}  // namespace fewwatt::learners
