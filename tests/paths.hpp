#pragma once

#include <string>

namespace fewwatt::tests {

// Where this build lies. Functions, because a path in a macro would compile every test anew in every other folder.
std::string source_dir();  // the project's root
std::string bin_dir();     // the programs
std::string emulator();    // what starts programs of another machine, with a space behind it; else ""

}  // namespace fewwatt::tests
