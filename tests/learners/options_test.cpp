#include "learners/options.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

#include "learners/auto.hpp"
#include "learners/govern.hpp"
#include "learners/optimize/search.hpp"
#include "learners/settings_part.hpp"

namespace fewwatt::learners {
namespace options_test {

enum class Shape { round, square };
constexpr std::array<std::pair<std::string_view, Shape>, 2> kShapes = {
    {{"round", Shape::round}, {"square", Shape::square}}};

struct Some {
  double rate = 0.5;
  int steps = 3;
  std::size_t rows = 7;
  bool quick = false;
  std::vector<int> hidden = {64, 32};
  Shape shape = Shape::square;

  void each(OptionVisitor& on) {
    on.real("rate", rate, 0, 1, "how fast");
    on.whole("steps", steps, 1, 10, "how long");
    on.whole("rows", rows, 0, 100, "how many");
    on.flag("quick", quick, "whether");
    on.list("hidden", hidden, 1, 512, "sizes");
    on.choice<Shape>("shape", shape, kShapes, "which");
  }
};

Some with(const Settings& settings) {
  Some some;
  set_options(settings, "some", [&](OptionVisitor& on) { some.each(on); });
  return some;
}
std::string refusal(const Settings& settings) {
  try {
    with(settings);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(Options, AreSetByName) {
  const auto some = with({{"rate", "0.25"},
                          {"steps", "10"},
                          {"rows", "0"},
                          {"quick", "true"},
                          {"hidden", "8"},
                          {"shape", "round"}});
  EXPECT_EQ(some.rate, 0.25);
  EXPECT_EQ(some.steps, 10);
  EXPECT_EQ(some.rows, 0U);
  EXPECT_TRUE(some.quick);
  EXPECT_EQ(some.hidden, std::vector<int>{8});
  EXPECT_EQ(some.shape, Shape::round);
  EXPECT_EQ(with({}).hidden, (std::vector<int>{64, 32}));
}

TEST(Options, AnUnknownOneIsAnErrorThatNamesThoseThereAre) {
  EXPECT_EQ(refusal({{"ratio", "1"}}),
            "some has no option ratio; it has rate, steps, rows, quick, hidden, shape");
  EXPECT_THROW(set_options({{"a", "1"}}, "none", {}), std::invalid_argument);
}

TEST(Options, AValueThatIsNotAllowedIsNamedWithWhatIs) {
  EXPECT_EQ(refusal({{"rate", "1.5"}}), "some: rate must be in [0, 1], found 1.5");
  EXPECT_EQ(refusal({{"steps", "2.5"}}), "some: steps must be a whole number in [1, 10], found 2.5");
  EXPECT_EQ(refusal({{"quick", "yes"}}), "some: quick must be true or false, found yes");
  EXPECT_EQ(refusal({{"shape", "oval"}}), "some: shape must be one of round, square, found oval");
  for (const char* value : {"", "8,", ",8", "8,,8", "0", "8;8", "513", "4294967297"})
    EXPECT_NE(refusal({{"hidden", value}}), "") << value;
  for (const char* value : {"nan", "inf", "-1", "0.5x", ""})
    EXPECT_NE(refusal({{"rate", value}}), "") << value;
}

TEST(Options, AreListedWithDefaultAndMeaning) {
  Some some;
  const auto all = options_of([&](OptionVisitor& on) { some.each(on); });
  ASSERT_EQ(all.size(), 6U);
  EXPECT_EQ(all[0].name, "rate");
  EXPECT_EQ(all[0].value, "0.5");
  EXPECT_EQ(all[4].value, "64,32");
  EXPECT_EQ(all[5].value, "square");
}

TEST(Options, ThoseOfAPartAreTakenOut) {
  Settings all = {{"search.pool", "9"}, {"temper", "1"}, {"searching", "2"}};
  EXPECT_EQ(take_part(all, "search."), (Settings{{"search.pool", "9"}}));
  EXPECT_EQ(all, (Settings{{"temper", "1"}, {"searching", "2"}}));
}

// Each default is inside its own bounds, and makes options that are valid.
template <class Of>
void expect_good_defaults() {
  Of options;
  const auto each = [&](OptionVisitor& on) { options.each(on); };
  EXPECT_EQ(options.error(), "");
  for (const auto& one : options_of(each))
    EXPECT_NO_THROW(set_options({{one.name, one.value}}, "it", each)) << one.name << " " << one.value;
  EXPECT_EQ(options.error(), "");
}

TEST(Options, DefaultsAreAllowed) {
  expect_good_defaults<AutoOptions>();
  expect_good_defaults<EnsembleOptions>();
  expect_good_defaults<GovernorOptions>();
  expect_good_defaults<SearchOptions>();
  expect_good_defaults<SimPriorOptions>();
  expect_good_defaults<SupportFitOptions>();
}

TEST(Options, OfAPartHaveItsName) {
  Some some;
  const EachOption each = [&](OptionVisitor& on) {
    on.part("first.", [&](OptionVisitor& inner) { some.each(inner); });
  };
  set_options({{"first.steps", "4"}}, "whole", each);
  EXPECT_EQ(some.steps, 4);
  EXPECT_THROW(set_options({{"steps", "4"}}, "whole", each), std::invalid_argument);
}

TEST(Options, SettingsAreKeyAndValue) {
  Settings settings;
  add_setting(settings, "a=1=2");
  add_setting(settings, "b=");
  EXPECT_EQ(settings.at("a"), "1=2");
  EXPECT_EQ(settings.at("b"), "");
  for (const char* wrong : {"a=3", "c", "=3", ""})
    EXPECT_THROW(add_setting(settings, wrong), std::invalid_argument);
}

TEST(Options, OfSearchesAreThoseOfASearch) {
  SearchOptions all;
  const auto known = options_of([&](OptionVisitor& on) { all.each(on); });
  std::set<std::string> used;
  for (const auto& search : builtin_searches())
    for (const auto& name : search.goes_by) {
      EXPECT_TRUE(std::any_of(known.begin(), known.end(), [&](const auto& one) { return one.name == name; }))
          << search.name << ": " << name;
      used.insert(name);
    }
  EXPECT_EQ(used.size(), known.size());
}

}  // namespace options_test
}  // namespace fewwatt::learners
