#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/text.hpp"
#include "learners/checkpoint.hpp"
#include "learners/control/controllers.hpp"
#include "learners/learner.hpp"
#include "learners/optimize/search.hpp"
#include "learners/options.hpp"
#include "learners/samplers/sampler.hpp"

namespace fewwatt::learners {

// "" where `name` can be an entry's: it starts with a letter, goes on with letters, digits, - _ and +, and does not end in +sim
// or -sim, which suites append. Else what is wrong with it.
std::string name_error(std::string_view name);

// Entries by name, in the order in which they were added.
template <class Entry>
class Named {
 public:
  // `what` is what messages call an entry, such as "learner".
  explicit Named(std::string what) : what_(std::move(what)) {}

  // References to other entries stay valid. Throws std::invalid_argument for a name that is there already or cannot be one,
  // and for an entry that makes nothing.
  void add(Entry entry) {
    if (const auto error = name_error(entry.name); !error.empty())
      throw std::invalid_argument(what_ + " '" + entry.name + "': " + error);
    if (look_up(entry.name) != nullptr)
      throw std::invalid_argument("there is a " + what_ + " " + entry.name + " already");
    if (const auto error = entry.error(); !error.empty())
      throw std::invalid_argument(what_ + " " + entry.name + ": " + error);
    entries_.push_back(std::move(entry));
  }
  // Throws std::invalid_argument naming those there are.
  const Entry& find(std::string_view name) const {
    if (const auto* found = look_up(name)) return *found;
    throw std::invalid_argument("unknown " + what_ + " " + std::string(name) +
                                ", known are: " + hw::join(names()) + hw::did_you_mean(name, names()));
  }
  // nullptr where there is none.
  const Entry* look_up(std::string_view name) const {
    for (const auto& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }
  // Valid as long as this is.
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> all;
    for (const auto& entry : entries_) all.emplace_back(entry.name);
    return all;
  }
  auto begin() const { return entries_.begin(); }  // of the entries, in the order in which they were added
  auto end() const { return entries_.end(); }      // of the same

 private:
  std::string what_;
  std::deque<Entry> entries_;
};

// What a learner is, asked before it is used, and how it is made.
struct LearnerEntry {
  std::string name;                // "gp"
  std::string about = {};          // one line
  bool needs_checkpoint = false;   // must be trained on other workloads first
  bool gives_uncertainty = false;  // its predictions are uncertain()
  bool weighs_rows = false;        // goes by Samples::noise_factors
  bool joint_targets = false;      // what is known of one target changes what is predicted of the other
  bool combines = false;           // consists of other learners, and cannot be a member of them
  bool fits_rows = false;    // fits hyper-parameters to the very rows that it is judged by: Member::fitted
  bool doubts_rows = false;  // leaves out values that the others speak against: Predictor::doubted()
  // Largest support that adapt() takes in full: of more rows with a target it takes spread_support(). 0: any.
  std::size_t most_rows = 0;
  // What can be set when it adapts, as it is by default. Empty: nothing.
  EachOption options = {};
  // The checkpoint is empty for a learner that needs none; the settings are among `options`. A learner that consists of others
  // makes them through the registry.
  std::function<std::unique_ptr<const Learner>(const Checkpoint&, const Settings&, const Registry&)> make =
      {};
  // Whether the learner of a checkpoint takes a support without rows: it has learned from workloads that state what they are.
  // Empty: it never does.
  std::function<bool(const Checkpoint&, const Registry&)> needs_no_rows = {};

  // "" when valid.
  std::string error() const { return make ? "" : "it has no function make"; }
};

// An entry whose options are a struct with each(), learners/options.hpp. make(checkpoint, options, registry)
template <class Options, class Make>
LearnerEntry with_options(LearnerEntry entry, Make make) {
  entry.options = [](OptionVisitor& on) { Options().each(on); };
  entry.make = [name = entry.name, make](const Checkpoint& checkpoint, const Settings& settings,
                                         const Registry& registry) -> std::unique_ptr<const Learner> {
    Options options;
    set_options(settings, name, [&](OptionVisitor& on) { options.each(on); });
    return make(checkpoint, options, registry);
  };
  return entry;
}

// All that can be named. A value: a program copies builtin() and adds its own.
struct Registry {
  Named<LearnerEntry> learners{"learner"};           // that adapt to measured modes
  Named<SamplerEntry> samplers{"sampler"};           // that choose modes to measure, to know all modes well
  Named<SearchEntry> searches{"search"};             // that choose modes to measure, to find the best one
  Named<ControllerEntry> controllers{"controller"};  // others that choose modes to measure, step by step
};

// What this library brings.
const Registry& builtin();

// Throws std::invalid_argument naming those there are.
const LearnerEntry& find_learner(std::string_view name, const Registry& registry = builtin());

// A learner that needs no checkpoint. Throws std::invalid_argument for one that does, and for settings that it does not have.
std::unique_ptr<const Learner> make_learner(std::string_view name, const Settings& settings = {},
                                            const Registry& registry = builtin());

// LearnerEntry::needs_no_rows.
bool needs_no_rows(const Checkpoint& checkpoint, const Registry& registry = builtin());

// The learner that a checkpoint is for. Throws std::invalid_argument when an entry is missing or has the
// wrong shape, or for settings that it does not have.
std::unique_ptr<const Learner> make_learner(const Checkpoint& checkpoint, const Settings& settings = {},
                                            const Registry& registry = builtin());

}  // namespace fewwatt::learners
