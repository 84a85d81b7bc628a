#include "datasets/profile.hpp"

#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/expect_data_error.hpp"

namespace fewwatt::tests {
namespace profile_test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void expect_refused(const datasets::Profile& profile, const std::string& why) {
  expect_data_error([&] { validate(profile, "here"); }, {"here", profile.device, why});
}

TEST(Profile, AGoodOneIsValid) {
  EXPECT_NO_THROW(validate(example_profile(), "here"));
  EXPECT_TRUE(example_profile().has_time());
  EXPECT_TRUE(example_profile().has_power());
}

TEST(Profile, OneTargetIsEnough) {
  auto time_only = example_profile(), power_only = example_profile();
  for (auto& measured : time_only.measurements) measured.power_w = kNan;
  for (auto& measured : power_only.measurements) measured.time_ms = kNan;
  EXPECT_NO_THROW(validate(time_only, "here"));
  EXPECT_NO_THROW(validate(power_only, "here"));
  EXPECT_FALSE(time_only.has_power());
  EXPECT_FALSE(power_only.has_time());
}

TEST(Profile, BadTimesAreRefused) {
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    auto profile = example_profile();
    profile.measurements[2].time_ms = bad;
    expect_refused(profile, "row 2: time_ms must be positive");
  }
  auto profile = example_profile();
  profile.measurements[2].time_ms = kNan;
  expect_refused(profile, "row 2: time_ms is NaN");
}

TEST(Profile, BadPowersAreRefused) {
  auto profile = example_profile();
  profile.measurements[0].power_w = -2;
  expect_refused(profile, "row 0: power_w must be positive");
  profile.measurements[0].power_w = kNan;
  EXPECT_NO_THROW(validate(profile, "here"));
}

TEST(Profile, NothingMeasuredIsRefused) {
  auto profile = example_profile();
  for (auto& measured : profile.measurements) measured = {};
  expect_refused(profile, "neither times nor powers");
}

TEST(Profile, ModesMustBeInTheSpaceAndAscending) {
  auto off = example_profile();
  off.modes[1][1] = 612001;
  expect_refused(off, "row 1: the space has no mode mem_khz=204000 gpu_khz=612001");
  auto twice = example_profile();
  twice.modes[1] = twice.modes[0];
  expect_refused(twice, "row 1: the same mode");
  auto unsorted = example_profile();
  std::swap(unsorted.modes[0], unsorted.modes[1]);
  expect_refused(unsorted, "not ascending");
}

TEST(Profile, ColumnsMustFitTheModes) {
  auto profile = example_profile();
  profile.time_std_ms = {1, 2};
  expect_refused(profile, "time_std_ms has 2 values for 6 modes");
  profile = example_profile();
  profile.measurements.pop_back();
  expect_refused(profile, "6 modes, but 5 measurements");
  profile = example_profile();
  profile.measurements[3].repeats = 0;
  expect_refused(profile, "row 3: repeats");
}

TEST(Profile, AttributesThatContradictItAreRefused) {
  for (const double bad : {0.0, -3.0, kNan, std::numeric_limits<double>::infinity()}) {
    auto profile = example_profile();
    profile.attributes.flops = bad;
    expect_refused(profile, "flops: expected a positive, finite number");
  }
  auto knobs = example_profile().space->knobs();
  knobs.push_back({hw::KnobRole::batch_size, {8, 16}});
  const auto space = hw::PowerModeSpace::grid(knobs);
  datasets::WorkloadAttributes attributes;
  attributes.batch_size = 16;
  EXPECT_EQ(attributes_error(attributes, space), "");
  attributes.batch_size = 12;
  EXPECT_EQ(attributes_error(attributes, space),
            "batch_size: expected one of the knob's levels 8, 16, found 12");
  EXPECT_EQ(attributes_error(attributes, *example_profile().space), "");
}

TEST(Profile, NamesAreLimited) {
  for (const char* name : {"", "a/b", "a b", "..", "é"})
    EXPECT_FALSE(datasets::is_profile_name(name)) << name;
  EXPECT_TRUE(datasets::is_profile_name("ResNet-18_v1.5+x"));
  auto profile = example_profile("a/b");
  expect_refused(profile, "names have letters");
}

TEST(Profile, EnumeratorsPrintAndParse) {
  for (const auto kind : {datasets::WorkloadKind::dnn_training, datasets::WorkloadKind::dnn_inference,
                          datasets::WorkloadKind::non_dnn}) {
    EXPECT_EQ(datasets::parse_workload_kind(to_string(kind)), kind);
  }
  for (const auto time_of : {datasets::TimeOf::minibatch, datasets::TimeOf::epoch, datasets::TimeOf::run}) {
    EXPECT_EQ(datasets::parse_time_of(to_string(time_of)), time_of);
  }
  EXPECT_FALSE(datasets::parse_time_of("fortnight"));
}

TEST(ProfileStore, FindsByDeviceAndWorkload) {
  datasets::ProfileStore store;
  store.profiles = {example_profile("a"), example_profile("b")};
  EXPECT_EQ(store.find("board-1.5", "b"), &store.profiles[1]);
  EXPECT_EQ(store.find("board-1.5", "c"), nullptr);
  EXPECT_EQ(store.find("other", "a"), nullptr);
}

}  // namespace profile_test
}  // namespace fewwatt::tests
