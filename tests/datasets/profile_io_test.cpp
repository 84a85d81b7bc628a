#include "datasets/profile_io.hpp"

#include <algorithm>
#include <filesystem>

#include "datasets/hdf5_file.hpp"
#include "hw/random.hpp"
#include "tests/datasets/example_profile.hpp"
#include "tests/datasets/expect_data_error.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace profile_io_test {

using datasets::Hdf5Writer;
using datasets::ProfileStore;
using datasets::read_profiles;
using datasets::write_profiles;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A grid, a list that is the recorded modes, a list that is more, all optional columns, one target only.
ProfileStore every_kind() {
  ProfileStore store;
  store.devices["board-1.5"] = {{"board", "A board"}, {"rails", "VDD_IN - VDD_WIFI"}};
  auto full = example_profile("a-full");
  full.attributes.licence = "MIT";
  full.attributes.model = "ResNet-18";
  full.attributes.dataset = "CIFAR-10";
  full.attributes.minibatches_per_epoch = 100;
  full.attributes.layers = 18;
  full.attributes.parameters = 11.7e6;
  full.attributes.flops = 1.8e9;
  full.time_std_ms = full.power_std_w = {0, 1, 2, 3, 4, 5};
  full.time_true_ms = full.power_true_w = {1, 2, 3, 4, 5, 6};
  full.measurements[1].repeats = 5;
  full.measurements[2].throttled = true;
  full.measurements[3].power_w = kNan;

  auto part = example_profile("b-part");  // of a grid
  part.modes.erase(part.modes.begin() + 2);
  part.measurements.erase(part.measurements.begin() + 2);
  for (auto& measured : part.measurements) measured.power_w = kNan;

  auto listed = part;
  listed.workload = "c-listed";
  listed.space =
      std::make_shared<const hw::PowerModeSpace>(hw::PowerModeSpace::list(part.space->knobs(), part.modes));

  auto listed_more = listed;
  listed_more.workload = "d-listed-more";
  listed_more.modes.pop_back();
  listed_more.measurements.pop_back();
  for (auto& measured : listed_more.measurements) measured = {kNan, 3, 1, false};

  store.profiles = {full, part, listed, listed_more};
  return store;
}

TEST(ProfileIo, WriteThenReadIsIdentity) {
  const TempDir dir;
  const auto store = every_kind();
  write_profiles(dir / "p.h5", store);
  const auto read = read_profiles(dir / "p.h5");
  EXPECT_EQ(read.devices, store.devices);
  ASSERT_EQ(read.profiles.size(), store.profiles.size());
  for (std::size_t i = 0; i < store.profiles.size(); ++i) expect_equal(read.profiles[i], store.profiles[i]);
}

TEST(ProfileIo, SameStoreInAnyOrderGivesSameBytes) {
  const TempDir dir;
  auto store = every_kind();
  write_profiles(dir / "a.h5", store);
  std::reverse(store.profiles.begin(), store.profiles.end());
  write_profiles(dir / "b.h5", store);
  write_profiles(dir / "c.h5", read_profiles(dir / "a.h5"));
  EXPECT_EQ(read_text(dir / "a.h5"), read_text(dir / "b.h5"));
  EXPECT_EQ(read_text(dir / "a.h5"), read_text(dir / "c.h5"));
}

TEST(ProfileIo, ABadProfileIsNotWritten) {
  const TempDir dir;
  ProfileStore store;
  store.profiles = {example_profile(), example_profile()};
  expect_data_error([&] { write_profiles(dir / "p.h5", store); },
                    {dir / "p.h5", "board-1.5/resnet18", "twice"});
  store.profiles.pop_back();
  store.profiles[0].measurements[0].time_ms = -1;
  expect_data_error([&] { write_profiles(dir / "p.h5", store); }, {dir / "p.h5", "row 0"});
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(ProfileIo, ATruncatedFileIsRefused) {
  const TempDir dir;
  write_profiles(dir / "p.h5", every_kind());
  const std::string bytes = read_text(dir / "p.h5");
  write_text(dir / "p.h5", bytes.substr(0, bytes.size() * 2 / 3));
  expect_data_error([&] { read_profiles(dir / "p.h5"); }, {dir / "p.h5", "truncated"});
}

TEST(ProfileIo, AnOverwrittenHalfIsFound) {
  const TempDir dir;
  write_profiles(dir / "p.h5", every_kind());
  const std::string bytes = read_text(dir / "p.h5");
  const std::size_t half = bytes.size() / 2;
  write_text(dir / "p.h5", bytes.substr(0, half) + std::string(bytes.size() - half, '\0'));
  expect_data_error([&] { read_profiles(dir / "p.h5"); }, {dir / "p.h5"});
  hw::Rng rng(1);
  std::string noise = bytes.substr(0, 8);  // the signature
  while (noise.size() < bytes.size()) noise += static_cast<char>(rng.below(256));
  write_text(dir / "p.h5", noise);
  expect_data_error([&] { read_profiles(dir / "p.h5"); }, {dir / "p.h5", "damaged"});
}

// Writes a file of one profile by hand; what `leave_out` names is not in it.
struct ByHand {
  std::string leave_out = "";
  int version = 1;
  std::string format = "fewwatt-profiles";
  std::string kind = "non-dnn";
  std::string roles = "gpu_khz mem_khz";
  std::vector<int> gpu_khz{100, 200};
  std::vector<int> modes{100, 50, 200, 50};
  std::size_t columns = 2;
  std::vector<double> time_ms{2, 1};

  std::string write(const TempDir& dir) const {
    const std::string path = dir / "by_hand.h5", group = "/profiles/d/w";
    Hdf5Writer file(path, format, version);
    file.group(group + "/knobs");
    file.text(group, "kind", kind);
    file.text(group, "time_of", "run");
    file.text(group + "/knobs", "roles", roles);
    if (leave_out != "grid") file.integer(group + "/knobs", "grid", 1);
    if (leave_out != "gpu_khz") file.write(group + "/knobs/gpu_khz", gpu_khz);
    file.write(group + "/knobs/mem_khz", std::vector<int>{50});
    if (leave_out != "modes") file.write_table(group + "/modes", modes.size() / columns, columns, modes);
    if (leave_out != "time_ms") file.write(group + "/time_ms", time_ms);
    file.commit();
    return path;
  }
};

void expect_refused(const ByHand& by_hand, const std::string& object, const std::string& why) {
  const TempDir dir;
  const std::string path = by_hand.write(dir);
  expect_data_error([&] { read_profiles(path); }, {path, object, why});
}

TEST(ProfileIo, AFileByHandIsRead) {
  const TempDir dir;
  const auto store = read_profiles(ByHand{}.write(dir));
  ASSERT_EQ(store.profiles.size(), 1u);
  EXPECT_EQ(store.profiles[0].modes[1], (hw::PowerMode{200, 50}));
  EXPECT_EQ(store.profiles[0].measurements[1].time_ms, 1);
}

TEST(ProfileIo, AMissingObjectNamesFileAndPath) {
  expect_refused({.leave_out = "modes"}, "/profiles/d/w/modes", "no such dataset");
  expect_refused({.leave_out = "gpu_khz"}, "/profiles/d/w/knobs/gpu_khz", "no such dataset");
  expect_refused({.leave_out = "grid"}, "/profiles/d/w/knobs", "no attribute 'grid'");
  expect_refused({.leave_out = "time_ms"}, "/profiles/d/w", "time_ms and power_w");
}

TEST(ProfileIo, WrongShapesAreRefused) {
  expect_refused({.columns = 1}, "/profiles/d/w/modes", "2 knobs, found 1");
  expect_refused({.time_ms = {1, 2, 3}}, "/profiles/d/w/time_ms", "expected 2 values, found 3");
}

// One mode of one knob, with time and mode in the type of the values given.
template <class Times, class Modes>
std::string typed(const TempDir& dir, const Times& times, const Modes& modes) {
  const std::string path = dir / "p.h5", group = "/profiles/d/w";
  Hdf5Writer file(path, "fewwatt-profiles", 1);
  file.group(group + "/knobs");
  file.text(group, "kind", "non-dnn");
  file.text(group, "time_of", "run");
  file.text(group + "/knobs", "roles", "gpu_khz");
  file.integer(group + "/knobs", "grid", 1);
  file.write(group + "/knobs/gpu_khz", std::vector<int>{100});
  file.write_table(group + "/modes", 1, 1, modes);
  file.write(group + "/time_ms", times);
  file.commit();
  return path;
}

TEST(ProfileIo, IntegerTimesAreRead) {
  const TempDir dir;
  const auto store = read_profiles(typed(dir, std::vector<int>{5}, std::vector<int>{100}));
  EXPECT_EQ(store.profiles.at(0).measurements.at(0).time_ms, 5);
}

TEST(ProfileIo, AWrongTypeIsRefused) {
  const TempDir dir;
  const auto path = typed(dir, std::vector<double>{5}, std::vector<double>{100});
  expect_data_error([&] { read_profiles(path); },
                    {path, "/profiles/d/w/modes", "integers", "floating-point"});
}

TEST(ProfileIo, BadValuesAreRefused) {
  expect_refused({.time_ms = {1, 0}}, "d/w", "row 1: time_ms must be positive");
  expect_refused({.time_ms = {1, -3}}, "d/w", "row 1: time_ms must be positive");
  expect_refused({.time_ms = {1, kNan}}, "d/w", "row 1: time_ms is NaN");
  expect_refused({.modes = {100, 50, 150, 50}}, "d/w", "row 1: the space has no mode");
  expect_refused({.modes = {100, 50, 100, 50}}, "d/w", "row 1: the same mode");
  expect_refused({.gpu_khz = {200, 100}}, "/profiles/d/w/knobs", "gpu_khz");
  expect_refused({.kind = "poem"}, "/profiles/d/w", "unknown kind 'poem'");
  expect_refused({.roles = "gpu_khz warp_khz"}, "/profiles/d/w/knobs", "warp_khz");
}

TEST(ProfileIo, ANewerVersionOrAnotherFormatIsRefused) {
  expect_refused({.version = 2}, "version 2", "newer");
  expect_refused({.format = "fewwatt-model"}, "fewwatt-profiles", "fewwatt-model");
}

}  // namespace profile_io_test
}  // namespace fewwatt::tests
