#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/suite.hpp"

// The kinds of suites. Each has a file that implements Suite, a function here, and a line of the table in suite.cpp.
namespace fewwatt::benchmarks {

// Each reads a suite of its kind; see read_suite().
std::unique_ptr<Suite> open_tables(const std::string& path, const meta::Registry& registry);
std::unique_ptr<Suite> open_drift(const std::string& path, const meta::Registry& registry);
std::unique_ptr<Suite> open_controllers(const std::string& path, const meta::Registry& registry);
std::unique_ptr<Suite> open_sinusoid(const std::string& path, const meta::Registry& registry);
std::unique_ptr<Suite> open_literature(const std::string& path, const meta::Registry& registry);

// A key whose value is a list of names. `check` throws std::invalid_argument for a name that may not be there. Where one is bad, `names`
// stays as it is. `names` must outlive the key.
SuiteKey key_of_names(const std::string& name, std::vector<std::string>& names,
                      std::function<void(const std::string&)> check);
std::string file_name(const std::string& path);  // "drift.ini" of "suites/drift.ini"

}  // namespace fewwatt::benchmarks
