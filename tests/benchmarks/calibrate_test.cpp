#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/data_root.hpp"
#include "tests/paths.hpp"
#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace calibrate_test {

ProgramResult calibrate(const std::string& data_root, const std::string& more = "") {
  const TempDir dir;
  const std::string command = tests::bin_dir() + "/calibrate_simulator --mappings " + tests::source_dir() +
                              "/datasets/mappings --data-root '" + data_root + "' " + more + " >" +
                              (dir / "out") + " 2>" + (dir / "err");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(dir / "out"), read_text(dir / "err")};
}

// Every limit is checked by the program itself, which fails when one is exceeded.
TEST(Calibration, SimulatorAgreesWithMeasurementsAndPublishedFigures) {
  FEWWATT_SKIP_WITHOUT_SET(root, "xavier-sigmetrics22");
  const auto result = calibrate(root);
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("calibration holds"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("LIMIT EXCEEDED"), std::string::npos) << result.out;
}

// The same measurements with every Xavier time a quarter longer are no longer what the shipped constants say.
TEST(Calibration, DriftFails) {
  FEWWATT_SKIP_WITHOUT_SET(root, "xavier-sigmetrics22");
  const TempDir dir;
  std::filesystem::create_directory(dir / "data");
  std::filesystem::copy(root + "/xavier-sigmetrics22", dir / "data/xavier-sigmetrics22",
                        std::filesystem::copy_options::recursive);
  EXPECT_EQ(calibrate(dir / "data", "--drift-only").code, 0);
  const auto file = dir / "data/xavier-sigmetrics22/modes.csv";
  std::istringstream rows(read_text(file));
  std::string changed, row;
  for (bool head = true; std::getline(rows, row); head = false) {
    std::vector<std::string> cells;
    std::istringstream parts(row);
    for (std::string cell; std::getline(parts, cell, ',');) cells.push_back(cell);
    if (!head) cells.at(6) = std::to_string(1.25 * std::stod(cells.at(6)));  // epoch_s
    for (std::size_t i = 0; i < cells.size(); ++i) changed += (i > 0 ? "," : "") + cells[i];
    changed += '\n';
  }
  std::filesystem::permissions(dir / "data/xavier-sigmetrics22", std::filesystem::perms::owner_all);
  std::filesystem::remove(file);
  write_text(file, changed);
  const auto result = calibrate(dir / "data", "--drift-only");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("LIMIT EXCEEDED: drift of time"), std::string::npos) << result.out << result.err;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir / "data"))
    if (entry.is_directory()) std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
}

TEST(Calibration, MissingDataIsNamed) {
  const auto result = calibrate("/no/such/folder");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("/no/such/folder"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

}  // namespace calibrate_test
}  // namespace fewwatt::tests
