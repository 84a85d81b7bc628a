#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/run_program.hpp"

namespace fewwatt::tests {
namespace json_program_test {

using nlohmann::json;

// Of every program that prints JSON, whatever bytes are in the paths that it is given: one whole object.
TEST(ProgramJson, IsOneObjectForPathsThatAreNotUtf8) {
  const TempDir dir;
  const auto path = [&](const std::string& name) { return '\'' + (dir / (name + "\xff\xc3.h5")) + '\''; };
  const auto printed = [&](const std::string& verb, const std::string& arguments) {
    const auto result = run_program(verb, arguments + " --json --quiet");
    EXPECT_EQ(result.code, 0) << verb << ": " << result.err;
    json object;
    EXPECT_NO_THROW(object = json::parse(result.out)) << verb << ": " << result.out;
    return object;
  };
  const std::string board = "orin-nano-8", replaced = "\xef\xbf\xbd\xef\xbf\xbd.h5";
  const auto sim = path("sim"), model = path("model"), measured = path("measured");
  const auto simulated =
      printed("simulate", "--device " + board + " --workloads resnet18 --grid powertrain --out " + sim);
  EXPECT_TRUE(simulated.at("out").get<std::string>().ends_with("sim" + replaced));
  printed("inspect", sim);
  printed("adapt", "--learner physics --profiles " + sim + " --device " + board +
                       " --workload resnet18 --shots 8 --out " + model);
  printed("optimize", "--model " + model);
  printed("optimize", "--model " + model + " --pareto");
  printed("predict", "--model " + model + " --out " + path("table"));
  printed("profile", "--device simulated:" + board +
                         " --grid powertrain --workload resnet18 --modes 3 --out " + measured);
  printed("profile", "--merge " + sim + " --merge " + sim + " --out " + path("merged"));
  printed("govern", "--device simulated:" + board +
                        " --grid powertrain --workload resnet18 --learner gp --max-power-w 50 "
                        "--minutes 0.5 --log " +
                        path("log"));
  write_text(dir / "a\xff.csv", "gpu_khz,time_ms\n306000,10\n510000,8\n");
  write_text(dir / "m.ini",
             "[profile]\ndevice = d\nworkload = w\nkind = non-dnn\ntime_of = run\nspace = from-data\n"
             "[file *.csv]\ngpu_khz = gpu_khz [kHz]\ntime_ms = time_ms [ms]\n");
  printed("import",
          "--mapping " + (dir / "m.ini") + " --out " + path("imported") + " '" + (dir / "a\xff.csv") + "'");
}

}  // namespace json_program_test
}  // namespace fewwatt::tests
