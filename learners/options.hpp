#pragma once

#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fewwatt::learners {

// Options as people write them, value by key: from `--set KEY=VALUE`, or a section [learner NAME] of a suite.
using Settings = std::map<std::string, std::string>;

// One option, for people.
struct OptionFacts {
  std::string name;     // "inner_rate"
  std::string about;    // what it means
  std::string allowed;  // "in [0, 10]", "true or false"
  std::string value;    // its present value, which is the default in a new struct of options
};

// Visits the options of an algorithm, to list or to set them. A struct of options names each of its fields once,
//   void each(OptionVisitor& on) { on.real("inner_rate", inner_rate, 1e-6, 10, "learning rate of the inner loop"); }
// and --set, --list-options and the messages about wrong options all follow from that.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  // A number in [least, most].
  void real(const std::string& name, double& value, double least, double most, const std::string& about);
  // A whole number in [least, most].
  template <std::integral T>
  requires(!std::same_as<T, bool>) void whole(const std::string& name, T& value, std::int64_t least,
                                              std::int64_t most, const std::string& about) {
    auto wide = static_cast<std::int64_t>(value);
    whole_number(name, wide, least, most, about);
    value = static_cast<T>(wide);
  }
  // true or false.
  void flag(const std::string& name, bool& value, const std::string& about);
  // One or more whole numbers in [least, most], separated by commas.
  void list(const std::string& name, std::vector<int>& values, int least, int most, const std::string& about);
  // One of `names`, each with the value that it stands for.
  template <class E>
  void choice(const std::string& name, E& value, std::span<const std::pair<std::string_view, E>> names,
              const std::string& about) {
    std::vector<std::string_view> all;
    std::size_t at = 0;
    for (const auto& [text, one] : names) {
      if (one == value) at = all.size();
      all.push_back(text);
    }
    one_of(name, at, all, about);
    value = names[at].second;
  }

  // The options of a part. Their names get the prefix: with "proto.", outer_rate becomes proto.outer_rate.
  void part(const std::string& prefix, const std::function<void(OptionVisitor&)>& each);

 protected:
  // Called for each option. `set` takes another value as text, and returns false where that is not allowed.
  virtual void option(OptionFacts facts, const std::function<bool(std::string_view)>& set) = 0;

 private:
  void whole_number(const std::string& name, std::int64_t& value, std::int64_t least, std::int64_t most,
                    const std::string& about);
  void one_of(const std::string& name, std::size_t& at, std::span<const std::string_view> names,
              const std::string& about);
  void visit(OptionFacts facts, const std::function<bool(std::string_view)>& set);

  std::string prefix_;
};
using EachOption = std::function<void(OptionVisitor&)>;  // visits all options of an algorithm

// All options, in the order in which `each` visits them.
std::vector<OptionFacts> options_of(const EachOption& each);

// Sets the options that `settings` name. Throws std::invalid_argument, "proto has no option inner_rate; it has outer_rate, ..." or
// "proto: outer_rate must be in [1e-06, 10], found x"; some options may be set by then.
void set_options(const Settings& settings, const std::string& owner, const EachOption& each);

// Adds "KEY=VALUE" to the settings. Throws std::invalid_argument where there is no '=' or no key, or the key is there already.
void add_setting(Settings& settings, std::string_view text);

// The settings of several "KEY=VALUE". Throws as add_setting().
Settings settings_of(std::span<const std::string> texts);
std::string to_text(const Settings& settings);  // "a=1 b=2"

}  // namespace fewwatt::learners
