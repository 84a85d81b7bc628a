#pragma once

// Numbers and modes as people say them. What machines read, JSON, CSV and files, keeps every digit.

#include <string>

#include "hw/device.hpp"
#include "hw/power_mode.hpp"

namespace fewwatt::hw {

// To so many significant digits, without an exponent and without zeros at the end: 77.123 is "77.1", 0.04401 "0.044", 18096.2 "18096".
std::string readable_number(double value, int digits = 3);

// "77 ms", "1.25 s", "12.5 min", "3.2 h". With a spread > 0 "77 ms ± 2.1", the spread in the unit of the value.
std::string readable_time(double ms, double spread_ms = 0);
std::string readable_power(double w, double spread_w = 0);  // "28.1 W", "28.1 W ± 1.3"
std::string readable_energy(double j);                      // "44 mJ", "2.16 J", "12.5 kJ"

// A probability, rounded down: "92 %"; "over 99 %" and "under 1 %" at the ends.
std::string readable_chance(double probability);

// "77 ms, 28.1 W"; "no time, 28.1 W" where it is not known; "nothing measured".
std::string readable_measurement(const Measurement& measured);

std::string readable_setting(KnobRole role, int setting);  // "GPU 828.75 MHz", "8 cores"
// "8 cores, CPU 1728 MHz, GPU 828.75 MHz, memory 3199 MHz"; the mode has a setting for each knob.
std::string readable_mode(const PowerModeSpace& space, const PowerMode& mode);
// "cpu_cores=8,gpu_khz=918000", as --mode takes it.
std::string settings_text(const PowerModeSpace& space, const PowerMode& mode);

}  // namespace fewwatt::hw
