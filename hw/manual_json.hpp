#pragma once

// The options of a program as JSON, of which scripts/terminal_files makes completion for shells and pages for man.

#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace fewwatt::program {

struct Manual;

// Options under a title, as --help prints them.
struct OptionGroup {
  std::string title;  // "Common options"
  const boost::program_options::options_description* options;
};

// {"verb", "version", "synopsis", "about", "arguments": [ARGUMENT], "groups": [{"title", "options": [OPTION]}]}. An OPTION has "name" and
// "about"; "short", a letter, where it has one; "value", what its value is called, where it takes one, and then "default" and "choices"
// where there are such, and "required": true. An ARGUMENT is an option that is given without its name too: "name", and "most", how many
// there may be, 0 = any number.
std::string manual_json(const Manual& manual, const std::vector<OptionGroup>& groups);

}  // namespace fewwatt::program
