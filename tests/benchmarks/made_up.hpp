#pragma once

#include <cmath>
#include <string>

#include "tests/run_program.hpp"

namespace fewwatt::tests {

// Three workloads on a board of 36 modes that nobody built, as CSV files below dir/data, and a mapping for
// them.
inline void write_made_up_data(const TempDir& dir) {
  write_text(dir / "mapping.ini",
             "[profile]\ndevice = toy\nworkload = {file}\nkind = non-dnn\ntime_of = run\nspace = from-data\n"
             "[file *.csv]\ncpu_khz = cpu [MHz]\ngpu_khz = gpu [MHz]\nmem_khz = mem [MHz]\n"
             "time_ms = time [ms]\npower_w = power [W]\n");
  int number = 0;
  for (const std::string name : {"alpha", "beta", "gamma"}) {
    ++number;
    std::string csv = "cpu,gpu,mem,time,power\n";
    for (const int cpu : {400, 800, 1200, 1600})
      for (const int gpu : {300, 600, 900})
        for (const int mem : {500, 1000, 1500}) {
          const double time = 5 * number + 3e4 / gpu + 1e4 * number / cpu + 2e4 / mem;
          const double power = 2 + 0.1 * number + 1e-3 * cpu + 4e-3 * gpu + 1e-3 * mem;
          csv += std::to_string(cpu) + ',' + std::to_string(gpu) + ',' + std::to_string(mem) + ',' +
                 std::to_string(time) + ',' + std::to_string(power) + '\n';
        }
    write_text(dir / ("data/profiles/" + name + ".csv"), csv);
  }
}

// The head of a suite on them; splits are to follow.
inline std::string made_up_suite_head() {
  return "[suite]\nname = made-up\nmapping = mapping.ini\ninputs = profiles\ntargets = time, power\n"
         "shots = 4, 8\nseeds = 2\nsamplers = random\nlearners = scratch-log, physics\nbudgets = 6\n"
         "excess_margin = 5%\n";
}

inline std::string write_made_up_suite(const TempDir& dir) {
  write_made_up_data(dir);
  write_text(
      dir / "suite.ini",
      made_up_suite_head() + "[split alpha]\ntest = alpha\n[split rest]\ntrain = alpha\ntest = beta, g*\n");
  return dir / "suite.ini";
}

}  // namespace fewwatt::tests
