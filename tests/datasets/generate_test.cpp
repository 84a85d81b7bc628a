#include "datasets/generate.hpp"

#include <gtest/gtest.h>

#include <set>

#include <algorithm>
#include <cmath>

#include "datasets/profile_io.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::datasets {
namespace generate_test {

SimulationRequest orin(std::vector<std::string> workloads, std::string grid) {
  return {.devices = {"orin-agx-64"}, .workloads = std::move(workloads), .grid = std::move(grid)};
}

TEST(Generate, ProfilesAreValidAndSaySoWhatTheyAre) {
  const auto store = generate_profiles(orin({"resnet18", "lstm"}, "coarse"));
  ASSERT_EQ(store.profiles.size(), 2u);
  EXPECT_TRUE(store.devices.at("orin-agx-64").contains("simulated"));
  for (const auto& profile : store.profiles) {
    validate(profile, "generated");
    EXPECT_EQ(profile.modes.size(), 441u);
    EXPECT_TRUE(profile.space->is_grid());
    EXPECT_EQ(profile.attributes.kind, WorkloadKind::dnn_training);
    EXPECT_EQ(profile.attributes.time_of, TimeOf::minibatch);
    EXPECT_EQ(profile.attributes.batch_size, 16);
  }
  const auto* resnet = store.find("orin-agx-64", "resnet18");
  ASSERT_NE(resnet, nullptr);
  EXPECT_EQ(resnet->attributes.minibatches_per_epoch, 3125);
  EXPECT_EQ(resnet->attributes.layers, 18);
  EXPECT_EQ(resnet->attributes.dataset, "imagenet-val");
}

TEST(Generate, TrueValuesAreBesideTheNoisyOnes) {
  for (const bool noise : {true, false}) {
    auto request = orin({"yolov8n"}, "coarse");
    request.noise = noise;
    const auto profile = generate_profiles(request).profiles.front();
    std::size_t same = 0;
    for (std::size_t i = 0; i < profile.modes.size(); ++i) {
      EXPECT_NEAR(profile.measurements[i].time_ms / profile.time_true_ms[i], 1, 0.06);
      EXPECT_NEAR(profile.measurements[i].power_w / profile.power_true_w[i], 1, 0.09);
      same += profile.measurements[i].time_ms == profile.time_true_ms[i] &&
              profile.measurements[i].power_w == profile.power_true_w[i];
    }
    EXPECT_EQ(same, noise ? 0u : profile.modes.size());
  }
}

TEST(Generate, ANumberDrawsSoManyModesOfTheFullGrid) {
  auto request = orin({"lstm"}, "50");
  const auto profile = generate_profiles(request).profiles.front();
  EXPECT_EQ(profile.modes.size(), 50u);
  EXPECT_EQ(profile.space->size(), 18096u);
  EXPECT_EQ(generate_profiles(request).profiles.front().modes, profile.modes);
  request.seed = 1;
  EXPECT_NE(generate_profiles(request).profiles.front().modes, profile.modes);
}

TEST(Generate, PowertrainsGridHasItsModes) {
  const auto store = generate_profiles(orin(powertrain_workloads(), "powertrain"));
  EXPECT_EQ(store.profiles.size(), 5u);
  for (const auto& profile : store.profiles) EXPECT_EQ(profile.modes.size(), 4368u);
}

TEST(Generate, PopulationsHaveEveryWorkloadOnEveryDevice) {
  const SimulationRequest request{.random_devices = 4, .random_workloads = 3, .seed = 5};
  const auto store = generate_profiles(request);
  ASSERT_EQ(store.profiles.size(), 12u);
  EXPECT_EQ(store.devices.size(), 4u);
  for (const auto& profile : store.profiles) validate(profile, "generated");
  const tests::TempDir dir;
  write_profiles(dir / "one.h5", store);
  write_profiles(dir / "two.h5", generate_profiles(request));
  EXPECT_EQ(tests::read_text(dir / "one.h5"), tests::read_text(dir / "two.h5"));
}

TEST(Generate, RandomWorkloadsRunOnKnownBoardsToo) {
  const auto store = generate_profiles({.devices = {"tx2"}, .random_workloads = 2, .grid = "20"});
  EXPECT_EQ(store.profiles.size(), 2u);
}

TEST(Generate, PopulationHasTheModesItIsMadeFor) {
  const auto like = generate_profiles({.devices = {"tx2"}, .workloads = {"lstm"}, .grid = "20"}).profiles[0];
  const auto population = generate_population(like.space, like.modes, 3, {.seed = 5});
  ASSERT_EQ(population.size(), 3u);
  std::set<std::string> names;
  for (const auto& profile : population) {
    EXPECT_EQ(profile.modes, like.modes);
    EXPECT_EQ(profile.space, like.space);
    EXPECT_TRUE(profile.has_time() && profile.has_power());
    names.insert(profile.device + "/" + profile.workload);
  }
  EXPECT_EQ(names.size(), 3u);
  const auto longer = generate_population(like.space, like.modes, 4, {.seed = 5});
  EXPECT_EQ(longer[2].time_true_ms, population[2].time_true_ms);
  EXPECT_NE(longer[3].time_true_ms, population[2].time_true_ms);
  EXPECT_NE(generate_population(like.space, like.modes, 1, {.seed = 6})[0].time_true_ms,
            population[0].time_true_ms);
}

TEST(Generate, BadRequestsAreNamed) {
  const auto refusal = [](const SimulationRequest& request) -> std::string {
    try {
      generate_profiles(request);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const std::pair<SimulationRequest, const char*> bad[] = {
      {{.workloads = {"lstm"}}, "device"},
      {{.devices = {"tx2"}}, "workload"},
      {{.devices = {"tx2"}, .workloads = {"lstm"}, .random_devices = 1}, "devices exclude"},
      {{.devices = {"tx2"}, .workloads = {"lstm", "lstm"}}, "twice"},
      {{.devices = {"tx2"}, .workloads = {"lstm"}, .grid = "0"}, "grid"},
      {{.devices = {"tx2"}, .workloads = {"lstm"}, .grid = "powertrain"}, "powertrain"},
      {{.devices = {"tx2"}, .workloads = {"lstm"}, .grid = "-3"}, "-3"},
      {{.devices = {"tx2"}, .workloads = {"lstm"}, .grid = "99999999"}, "99999999"},
      {{.devices = {"tx3"}, .workloads = {"lstm"}}, "nearest are tx2"},
      {{.workloads = {"lstm"}, .random_devices = 4'294'967'296}, "at most 100000"},
      {{.devices = {"tx2"}, .random_workloads = 100'001}, "at most 100000"},
      {{.devices = {"orin-agx-64"}, .random_workloads = 2000}, "2000 times 18096"},
      {{.devices = {"nano"}, .workloads = {"lstm"}}, "no simulated board"},
      {{.devices = {"tx2"}, .workloads = {"resnet81"}}, "nearest are resnet18"},
  };
  for (const auto& [request, part] : bad)
    EXPECT_NE(refusal(request).find(part), std::string::npos) << refusal(request);
}

TEST(Generate, WorkloadBesideAnotherIsSlowerAndSharesItsPower) {
  const auto store = generate_profiles({.devices = {"orin-agx-64"},
                                        .workloads = {"lstm", "lstm+resnet18", "resnet18+lstm"},
                                        .grid = "40",
                                        .noise = false});
  const auto& alone = *store.find("orin-agx-64", "lstm");
  const auto& beside = *store.find("orin-agx-64", "lstm+resnet18");
  const auto& other = *store.find("orin-agx-64", "resnet18+lstm");
  for (std::size_t i = 0; i < alone.modes.size(); ++i) {
    EXPECT_GT(beside.measurements[i].time_ms, alone.measurements[i].time_ms);
    EXPECT_NE(beside.measurements[i].time_ms, other.measurements[i].time_ms);
    EXPECT_NEAR(beside.measurements[i].power_w / other.measurements[i].power_w, 1, 1e-9);
  }
  EXPECT_THROW(generate_profiles({.devices = {"orin-agx-64"}, .workloads = {"lstm+"}}),
               std::invalid_argument);
}

}  // namespace generate_test
}  // namespace fewwatt::datasets
