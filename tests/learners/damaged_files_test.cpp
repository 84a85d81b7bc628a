// Models and checkpoints with a byte changed or the end cut off: read right, or one error; never another answer.

#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "tests/damaged.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::tests {
namespace damaged_files_test {

// As bytes, in which NaN is equal to NaN.
std::string bytes_of(const learners::Model& model) {
  const TempDir dir;
  learners::write_model(dir / "x.h5", model);
  return read_text(dir / "x.h5");
}

std::string bytes_of(const learners::Checkpoint& checkpoint) {
  const TempDir dir;
  learners::write_checkpoint(dir / "x.h5", checkpoint);
  return read_text(dir / "x.h5");
}

TEST(DamagedFiles, AModelIsReadRightOrRefused) {
  const TempDir dir;
  const auto whole = bytes_of(example_model());
  const auto read = [&] { return bytes_of(learners::read_model(dir / "damaged.h5", {.cpu_seconds = 1})); };
  write_text(dir / "damaged.h5", whole);
  const auto read_right = read();
  expect_damage_is_found<datasets::DataError>(whole, dir / "damaged.h5", 25, 2,
                                              [&] { EXPECT_TRUE(read() == read_right); });
}

using Made = std::pair<const char*, learners::Checkpoint (*)(const hw::PowerModeSpace&)>;
class DamagedCheckpoints : public testing::TestWithParam<Made> {};

TEST_P(DamagedCheckpoints, AreReadRightOrRefused) {
  const TempDir dir;
  const auto whole = bytes_of(GetParam().second(*example_space()));
  expect_damage_is_found<datasets::DataError>(whole, dir / "damaged.h5", 10, 3, [&] {
    EXPECT_EQ(bytes_of(learners::read_checkpoint(dir / "damaged.h5", {.cpu_seconds = 1})), whole);
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, DamagedCheckpoints,
    testing::Values(
        Made{"fine_tune", random_fine_tune},
        Made{"transfer", [](const auto& space) { return random_transfer(space, false); }},
        Made{"proto", [](const auto& space) { return random_proto(space).to_checkpoint(); }},
        Made{"ridge", [](const auto& space) { return random_ridge(space).to_checkpoint(); }},
        Made{"gp", [](const auto& space) { return random_gp(space).to_checkpoint(); }},
        Made{"sim_prior", [](const auto& space) { return usual_sim_prior(space).to_checkpoint(); }},
        Made{"ensemble",
             [](const auto& space) { return random_ensemble(space, learners::Combination::product); }}),
    [](const auto& made) { return made.param.first; });

}  // namespace damaged_files_test
}  // namespace fewwatt::tests
