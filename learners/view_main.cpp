// fewwatt view FILE... --out page.html [--board NAME]
//
// Makes a page that shows models, profiles, logs and rows of bench, and lets limits be moved: see docs/view.md.

#include <iostream>

#include "datasets/atomic_file.hpp"
#include "hw/counted.hpp"
#include "hw/json_text.hpp"
#include "hw/modules.hpp"
#include "hw/program.hpp"
#include "learners/programs/page.hpp"
#include "learners/programs/view_files.hpp"

namespace {

using namespace fewwatt;

struct Options {
  program::CommonOptions common;
  std::vector<std::string> files;
  std::string out;    // "-" = standard output
  std::string board;  // "" = by the names of devices
  program::Count max_modes{hw::kMostModes};
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  program::Manual manual;
  manual.verb = "view";
  manual.synopsis = "FILE... --out page.html";
  manual.about =
      "Makes a page for a browser, one file that needs no network. It shows models, profiles, logs of "
      "profile\n"
      "and govern, and the rows.jsonl of bench. Of models and profiles it shows time against power of all\n"
      "modes; limits and a confidence can be moved there, and the best mode, its margin and the runner-up\n"
      "follow: those that fewwatt optimize names.";
  auto add = manual.options.add_options();
  add("file", program::po::value(&options.files)->required()->value_name("FILE"),
      "file to show, one or more; --file itself may be left out");
  add("out", program::po::value(&options.out)->required()->value_name("FILE"),
      "page to write, or - for standard output; replaces a page of that name");
  add("board", program::po::value(&options.board)->value_name("NAME"),
      "board whose presets are shown, as fewwatt device list names it; if not given, the board that has the "
      "device's "
      "name");
  add("max-modes", program::po::value(&options.max_modes)->default_value(options.max_modes)->value_name("N"),
      "greatest number of modes of a device");
  manual.choices["board"] = program::names_in(hw::modules());
  manual.positional.add("file", -1);
  if (!program::parse(argc, argv, manual, options.common)) return std::nullopt;
  if (options.out == "-" && options.common.json)
    throw program::UsageError("--json and --out - cannot be given together: both write to standard output");
  return options;
}

datasets::Replaceable a_page() {
  return datasets::text_file("a page of fewwatt view", view::is_page);
}

int run(const Options& options) {
  if (!options.board.empty()) program::as_usage([&] { return hw::find_module(options.board); });
  const view::ReadAs as{.board = options.board, .max_modes = options.max_modes.value};
  program::refuse_overwriting({{"--out", options.out}}, options.files);
  if (options.out != "-") datasets::check_output(options.out, a_page());
  view::Page page;
  for (const auto& file : options.files)
    program::during("reading " + file, [&] { view::add_file(page, file, as); });
  const auto html = program::during("writing " + options.out, [&] { return view::to_html(page); });
  if (options.out == "-") {
    std::cout << html;
    return program::kDone;
  }
  datasets::write_file(options.out, html, a_page());
  if (options.common.json)
    std::cout << hw::json_text(
                     view::Json{{"out", options.out}, {"parts", page.entries.size()}, {"bytes", html.size()}})
              << '\n';
  else if (!options.common.quiet)
    std::cout << options.out << ": " << hw::counted(page.entries.size(), "part")
              << "; open it in a browser\n";
  return program::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run("view", [&] {
    const auto options = parse(argc, argv);
    return options ? run(*options) : program::kDone;
  });
}
