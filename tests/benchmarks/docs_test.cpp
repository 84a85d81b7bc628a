#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "benchmarks/rows.hpp"
#include "tests/paths.hpp"

namespace fewwatt::benchmarks {
namespace docs_test {

TEST(Docs, EveryMetricIsDefined) {
  std::ifstream file(tests::source_dir() + "/docs/metrics.md");
  std::ostringstream page;
  page << file.rdbuf();
  for (const auto& metric : metric_facts())
    EXPECT_NE(page.str().find("`" + std::string(metric.id) + "`"), std::string::npos) << metric.id;
}

}  // namespace docs_test
}  // namespace fewwatt::benchmarks
