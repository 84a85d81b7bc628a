#include <iostream>
#include <nlohmann/json.hpp>

#include "datasets/import.hpp"
#include "datasets/profile_io.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "hw/program.hpp"

namespace {

namespace program = fewwatt::program;
namespace po = fewwatt::program::po;
using namespace fewwatt::datasets;

nlohmann::json to_json(const ImportReport& report, const std::string& out) {
  auto profiles = nlohmann::json::array();
  for (const auto& profile : report.profiles) {
    profiles.push_back({{"device", profile.device},
                        {"workload", profile.workload},
                        {"modes", profile.modes},
                        {"left_out", profile.left_out}});
  }
  auto notices = nlohmann::json::array();
  for (const auto& notice : report.notices) notices.push_back(fewwatt::hw::printable(notice));
  return {{"out", out},
          {"files", report.files},
          {"skipped_files", report.skipped_files},
          {"rows", report.rows},
          {"duplicates", report.duplicates},
          {"repeated", report.repeated},
          {"comments", report.comments},
          {"skipped_lines", report.skipped_lines},
          {"notices", notices},
          {"profiles", profiles}};
}

const char* name_of(Average average) {
  switch (average) {
    case Average::mean:
      return "mean";
    case Average::median:
      return "median";
    case Average::trimmed:
      return "trimmed mean";
  }
  return "";
}

void print(const ImportReport& report, const Mapping& mapping, const std::string& out) {
  for (const auto& profile : report.profiles) {
    std::cout << profile.device << '/' << profile.workload << ": "
              << fewwatt::hw::counted(profile.modes, "mode");
    if (profile.left_out > 0) std::cout << ", " << profile.left_out << " left out: a value is missing";
    std::cout << '\n';
  }
  using fewwatt::hw::counted;
  std::cout << counted(report.profiles.size(), "profile") << " of " << counted(report.rows, "row") << " in "
            << counted(report.files, "file") << " -> " << out;
  if (report.repeated > 0)
    std::cout << ", " << counted(report.repeated, "row") << " of modes with an earlier row, where the "
              << name_of(mapping.repeated.value_or(Average::mean)) << " counts";
  if (report.duplicates > 0) std::cout << ", " << counted(report.duplicates, "repeated row") << " dropped";
  if (report.skipped_lines > 0)
    std::cout << ", " << counted(report.skipped_lines, "cut or torn line") << " of logs skipped";
  if (report.comments > 0) std::cout << ", " << counted(report.comments, "line") << " of comments skipped";
  if (report.skipped_files > 0)
    std::cout << ", " << counted(report.skipped_files, "other file") << " skipped";
  std::cout << '\n';
}

int import(int argc, char** argv) {
  program::Manual manual;
  manual.verb = "import";
  manual.synopsis = "--mapping M.ini --out P.h5 INPUT...";
  manual.about =
      "Makes profiles of measurements in CSV files or tegrastats logs. The mapping says what their columns\n"
      "are; docs/mappings.md says how to write one (installed as /usr/share/doc/fewwatt/docs/mappings.md).\n"
      "An INPUT is a file, or a folder from which all files are taken that the mapping knows.";
  program::CommonOptions common;
  std::string mapping_path, out;
  std::vector<std::string> inputs;
  auto add = manual.options.add_options();
  add("mapping", po::value(&mapping_path)->required()->value_name("FILE"),
      "mapping file, which says what the columns are");
  add("out", po::value(&out)->required()->value_name("FILE"),
      "file of profiles to write; replaces one of that name");
  bool trust_units = false;
  add("trust-units", po::bool_switch(&trust_units),
      "take clocks, powers and times as they are, even where they seem to be in another unit");
  add("input", po::value(&inputs)->required()->value_name("PATH"),
      "file or folder to read; --input itself may be left out");
  manual.positional.add("input", -1);
  if (!program::parse(argc, argv, manual, common)) return program::kDone;

  auto read = inputs;
  read.push_back(mapping_path);
  program::refuse_overwriting({{"--out", out}}, read);
  check_profiles_output(out);
  ImportReport report;
  auto mapping = read_mapping(mapping_path);
  mapping.trust_units = mapping.trust_units || trust_units;
  const auto store = import_profiles(mapping, inputs, &report);
  write_profiles(out, store);
  if (common.json) {
    std::cout << fewwatt::hw::json_text(to_json(report, out)) << '\n';
  } else if (!common.quiet) {
    print(report, mapping, out);
  }
  if (!common.quiet)
    for (const auto& notice : report.notices)
      std::cerr << "fewwatt import: " << fewwatt::hw::printable(notice) << '\n';
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("import", [&] { return import(argc, argv); });
}
