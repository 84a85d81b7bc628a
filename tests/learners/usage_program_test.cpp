#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/run_program.hpp"

// What holds for the options of every program.
namespace fewwatt::tests {
namespace usage_program_test {

const char* const kVerbs[] = {"device",  "import",   "inspect", "simulate", "adapt",
                              "predict", "optimize", "profile", "govern",   "view"};

// Those that --help shows with a value, "out" of "  --out FILE".
std::vector<std::string> options_with_a_value(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find("--");
    if (at != 2 && at != 7) continue;  // 7: "  -q [ --quiet ]"
    const auto end = line.find(' ', at);
    if (end == line.npos) continue;
    const bool is_short = at == 7;
    const auto after = is_short ? end + 2 : end;
    if (after + 1 < line.size() && line[after + 1] != ' ') names.push_back(line.substr(at + 2, end - at - 2));
  }
  return names;
}

TEST(ProgramUsage, AnEmptyValueIsRefusedByEveryOption) {
  for (const std::string verb : kVerbs) {
    const auto names = options_with_a_value(run_program(verb, "--help").out);
    ASSERT_GE(names.size(), 3U) << verb;  // seed, config, user
    for (const auto& name : names) {
      if (name == "command") continue;
      const auto result = run_program(verb, "--" + name + " ''");
      EXPECT_EQ(result.code, 2) << verb << ' ' << name;
      EXPECT_EQ(result.err, "fewwatt " + verb + ": --" + name + ": expected a value, found an empty one\n");
    }
  }
  EXPECT_EQ(run_program("inspect", "''").code, 2);  // without its name
}

TEST(ProgramUsage, TheManualOfEveryProgramHasTheOptionsThatItsHelpShows) {
  for (const std::string verb : kVerbs) {
    const auto result = run_program(verb, "--manual-json");
    ASSERT_EQ(result.code, 0) << verb << result.err;
    std::vector<std::string> with_a_value;
    const auto manual = nlohmann::json::parse(result.out);
    for (const auto& group : manual["groups"])
      for (const auto& option : group["options"]) {
        EXPECT_NE(option["about"], "") << verb << option["name"];
        if (option.contains("value")) with_a_value.push_back(option["name"]);
      }
    EXPECT_EQ(with_a_value, options_with_a_value(run_program(verb, "--help").out)) << verb;
  }
}

TEST(ProgramUsage, AMisspeltOptionOrNameIsAskedBack) {
  for (const auto& [verb, arguments, question] :
       {std::tuple("adapt", "--mesurements m.csv --out m.h5",
                   "unrecognised option '--mesurements'; did you mean --measurements? (see --help)"),
        {"adapt", "--learner rigde --measurements m.csv --out m.h5", "; did you mean ridge?"},
        {"adapt", "--profiles p.h5 --device d --workload w --sampler maximim --out m.h5",
         ", found maximim; did you mean maximin?"},
        {"adapt", "--list-options rigde", "--list-options: unknown learner rigde, "},
        {"simulate", "--device orin-agx64 --out p.h5", "; the nearest are orin-agx-64"},
        {"profile", "--device simulated:tx2 --workload resnet18 --goal fastest --search predcit --out p.h5",
         ", found predcit; did you mean predict?"},
        {"profile", "--device simulated:tx2 --workload resnet18 --goal fastset --out p.h5",
         "; did you mean fastest?"},
        {"optimize", "--model m.h5 --objective enrgy", ", found enrgy; did you mean energy?"},
        {"optimize", "--model m.h5 --max-powr-w 30", "did you mean --max-power-w?"}}) {
    const auto result = run_program(verb, arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_NE(result.err.find(question), std::string::npos) << result.err;
  }
}

TEST(ProgramUsage, AnArgumentOfTheMeasuredProgramMayBeEmptyAndItsNameMayNot) {
  const TempDir dir;
  const std::string simulated =
      "--device simulated:orin-agx-64 --grid coarse --workload resnet18 --modes 1 --retries 0 --out " +
      (dir / "p.h5");
  const auto argument = run_program("profile", simulated + " -- /no/such/program ''");
  EXPECT_EQ(argument.code, 1);
  EXPECT_NE(argument.err.find("/no/such/program: cannot be started"), std::string::npos) << argument.err;
  const auto name = run_program("profile", simulated + " -- ''");
  EXPECT_EQ(name.code, 2);
  EXPECT_NE(name.err.find("expected a program, found an empty name"), std::string::npos) << name.err;
}

// 2.2, not 2.2000000000000002.
TEST(ProgramUsage, NumbersInHelpAreShort) {
  constexpr std::size_t kMostDigits = 6;
  for (const std::string verb : kVerbs) {
    const auto help = run_program(verb, "--help").out;
    for (auto at = help.find('.'); at != help.npos; at = help.find('.', at + 1)) {
      const auto end = std::find_if(help.begin() + static_cast<std::ptrdiff_t>(at) + 1, help.end(),
                                    [](unsigned char c) { return std::isdigit(c) == 0; });
      EXPECT_LE(static_cast<std::size_t>(end - help.begin()) - at - 1, kMostDigits)
          << verb << ": " << help.substr(at > 20 ? at - 20 : 0, 60);
    }
  }
}

TEST(ProgramUsage, JsonIsOneObjectOfOptionsAndOfVersionsToo) {
  const auto listed = run_program("adapt", "--list-options gp --json");
  ASSERT_EQ(listed.code, 0) << listed.err;
  const auto json = nlohmann::json::parse(listed.out);
  EXPECT_EQ(json.at("name"), "gp");
  const auto& options = json.at("options");
  const auto noise = std::find_if(options.begin(), options.end(),
                                  [](const auto& one) { return one.at("name") == "noise_median"; });
  ASSERT_NE(noise, options.end()) << json;
  for (const char* key : {"default", "about", "allowed"}) EXPECT_NE(noise->at(key), "") << key;
  EXPECT_EQ(nlohmann::json::parse(run_program("govern", "--json --list-options governor").out)
                .at("options")
                .at(0)
                .at("name")
                .get<std::string>()
                .rfind("governor.", 0),
            0U);
  EXPECT_TRUE(nlohmann::json::parse(run_program("inspect", "--version --json").out).contains("version"));
}

TEST(ProgramUsage, AnUnknownBoardGridOrWorkloadIsWrongUsageEverywhere) {
  const TempDir dir;
  const std::string out = " --out " + (dir / "x.h5"), measured = " --minutes 1 --max-power-w 9";
  const auto on = [](const std::string& board, const std::string& grid, const std::string& workload) {
    return "--device simulated:" + board + " --grid " + grid + " --workload " + workload;
  };
  for (const auto& [verb, arguments] :
       {std::pair<std::string, std::string>{"device", "show orin"},
        {"simulate", "--device orin" + out},
        {"simulate", "--device tx2 --grid none" + out},
        {"simulate", "--device tx2 --workloads none" + out},
        {"adapt", "--learner physics --measurements m.csv --space orin" + out},
        {"adapt", "--learner physics --measurements m.csv --space tx2:none" + out},
        {"profile", on("orin", "full", "resnet18") + out},
        {"profile", on("tx2", "none", "resnet18") + out},
        {"profile", on("tx2", "full", "none") + out},
        {"govern", on("orin", "full", "resnet18") + measured},
        {"govern", on("tx2", "none", "resnet18") + measured},
        {"govern", on("tx2", "full", "none") + measured}}) {
    const auto result = run_program(verb, arguments);
    EXPECT_EQ(result.code, 2) << verb << ' ' << arguments << ": " << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST(ProgramUsage, AnOptionWithoutEffectIsRefusedWithTheReason) {
  const TempDir dir;
  const std::string out = " --out " + (dir / "p.h5"),
                    simulated = "--device simulated:orin-agx-64 --grid coarse --workload resnet18 ";
  struct Refused {
    std::string verb, arguments, says;
  };
  for (const auto& [verb, arguments, says] :
       {Refused{"profile", simulated + "--goal fastest --sampler alc" + out,
                "--sampler: with --goal it is --search that chooses the modes"},
        {"profile", simulated + "--batch-size 8" + out,
         "--batch-size: what a simulated or replayed workload is"},
        {"profile", simulated + "--time-of epoch" + out, "--time-of: what a simulated"},
        {"profile", simulated + "--search ei" + out, "--search: it goes with --goal"},
        {"profile", simulated + "--max-time-ms 5" + out, "--max-time-ms: it goes with --goal"},
        {"profile", simulated + "--goal fastest --search random --set search.pool=9" + out,
         "--set search.pool: search random goes by no option"},
        {"profile", simulated + "--goal fastest --search ei --set search.safe=0.8" + out,
         "--set search.safe: search ei goes by designed, pool, "},
        {"profile", simulated + "--profiles x.h5" + out, "--profiles: it goes with --device replay"},
        {"profile", simulated + "--timeout-s 5" + out, "--timeout-s: no program is run here"},
        {"profile", simulated + "--root /" + out, "--root: it goes with --device jetson"},
        {"profile", "--merge a.h5 --merge b.h5 --modes 5" + out, "--modes: --merge measures nothing"},
        {"profile", "--merge a.h5 --merge b.h5 --device jetson" + out, "--device: --merge measures nothing"},
        {"profile", "--merge a.h5 --merge b.h5 --resume" + out, "--resume: --merge measures nothing"},
        {"device", "list --dry-run", "--dry-run: it goes with apply and restore"},
        {"optimize", "--model a.h5 --share 0.5", "--share: one workload has all units of work"},
        {"optimize", "--model a.h5 --model b.h5 --units 9 --switch-s 1", "--units: without --schedule"},
        {"optimize", "--model a.h5 --model b.h5 --schedule --units 9", "--units: it goes with --switch-s"},
        {"optimize", "--model a.h5,", "--model: expected one or more"}}) {
    const auto result = run_program(verb, arguments);
    EXPECT_EQ(result.code, 2) << verb << ' ' << arguments << ": " << result.err;
    EXPECT_EQ(result.err.find("fewwatt " + verb + ": " + says), 0U) << result.err;
  }
}

}  // namespace usage_program_test
}  // namespace fewwatt::tests
