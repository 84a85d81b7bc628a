#pragma once

// A page for a browser that needs nothing but itself: learners/view/ with the library that draws, and the data of what it shows.

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fewwatt::view {

using Json = nlohmann::ordered_json;

// What a page shows. learners/view/js/ says what each kind of part holds.
struct Page {
  // For the list of parts: kind ("model", "profile", "run", "govern", "training", "bench"), title, file.
  struct Entry {
    std::string kind, title, file;  // title and file as hw::printable() gives them
    Json part;                      // an object
  };
  std::vector<Entry> entries;  // in the order of the list
  std::vector<Json> spaces;  // modes that several parts may share; a part names one by its position, "space"
  // The name of the run whose rows arrive while the page is open, from the server that it came from; "": nothing arrives, and the page
  // needs no network.
  std::string live = {};
};

// The page as HTML. Whatever texts the data holds, they end no element and start none: the data are ASCII without <.
std::string to_html(const Page& page);

// Whether a file that starts so was written by to_html().
bool is_page(std::string_view start);

}  // namespace fewwatt::view
