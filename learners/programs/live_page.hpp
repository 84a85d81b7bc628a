#pragma once

// --live: a page of what a program does, while it does it. Include it from programs only.

#include <optional>
#include <string>

#include "hw/program.hpp"
#include "learners/programs/live.hpp"
#include "learners/programs/page.hpp"

namespace fewwatt::program {

// Adds --live; `address` gets what it says, and stays without a value where it is not given.
void add_live_option(Manual& manual, std::optional<std::string>& address);

// The page of --live, where it is given; else nothing is served.
class LivePage {
 public:
  // Listens. Throws UsageError for an address that is none, and std::runtime_error naming it where nobody can listen there.
  explicit LivePage(const std::optional<std::string>& address);

  explicit operator bool() const { return server_.has_value(); }  // whether there is a page
  // Shows a part to which rows are added, and says on standard error where. To be called once.
  void show(view::Page::Entry entry);
  // Adds a row: JSON in one line, as the part's kind has it. Takes microseconds, whoever watches or not.
  void add(std::string row);

 private:
  std::optional<live::Server> server_;  // its end waits for browsers, after all else has ended
};

}  // namespace fewwatt::program
