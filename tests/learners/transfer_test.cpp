#include "learners/transfer.hpp"

#include <gtest/gtest.h>

#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::learners {
namespace transfer_test {

TEST(PublishedRecipe, BadNumbersAreNamed) {
  EXPECT_EQ(PublishedRecipe{}.error(), "");
  const std::pair<PublishedRecipe, const char*> bad[] = {{{.epochs = 0}, "epochs"},
                                                         {{.batch = 0}, "batch"},
                                                         {{.rate = 0}, "rate"},
                                                         {{.rows_per_mode = 0}, "rows_per_mode"}};
  for (const auto& [recipe, name] : bad) {
    EXPECT_NE(recipe.error().find(name), std::string::npos) << recipe.error();
    EXPECT_THROW(Scratch(false, recipe), std::invalid_argument) << name;
  }
}

// So many rows that say the same are so many passes over one of them.
TEST(PublishedRecipe, RowsPerModeMultiplyTheEpochs) {
  const auto support = tests::example_support(6, 1);
  const auto modes = tests::example_space()->modes();
  const auto predict = [&](const PublishedRecipe& recipe) {
    return Scratch(false, recipe).adapt(support)->predict(modes).median();
  };
  EXPECT_EQ(predict({.epochs = 5, .rows_per_mode = 4}), predict({.epochs = 20}));
  EXPECT_NE(predict({.epochs = 5, .rows_per_mode = 4}), predict({.epochs = 5}));
}

}  // namespace transfer_test
}  // namespace fewwatt::learners
