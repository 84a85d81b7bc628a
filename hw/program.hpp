#pragma once

// What the main() of every program shares. Include it from <verb>_main.cpp only.

#include <boost/program_options.hpp>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "hw/jetson/board_access.hpp"
#include "hw/jetson/measured_boards.hpp"

namespace fewwatt::program {

namespace po = boost::program_options;

enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2, kNoModeFits = 3, kMeasuredOverBudget = 4 };

// The user asked for something that makes no sense; exit code 2.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws UsageError(otherwise) unless it holds.
void require(bool holds, const std::string& otherwise);

// check(), whose std::invalid_argument becomes a UsageError.
template <class Check>
auto as_usage(const Check& check) {
  try {
    return check();
  } catch (const std::invalid_argument& e) {
    throw UsageError(e.what());
  }
}

// Turns the error() of a struct of options, "PowerBudget: max_power_w must be > 0", into one about the option that the user typed:
// "--max-power-w must be > 0". Any other text stays as it is.
std::string of_option(const std::string& error);

// Runs `body`. Where memory, threads or processes run out, throws std::runtime_error saying that it was while `doing`: "reading P.h5".
template <class Body>
auto during(const std::string& doing, const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw std::runtime_error("not enough memory while " + doing);
  } catch (const std::length_error&) {  // of a vector that no memory could hold
    throw std::runtime_error("not enough memory while " + doing);
  } catch (const std::system_error& e) {
    throw std::runtime_error(std::string(e.what()) + " while " + doing);
  }
}

// A whole number >= 0 on the command line: unlike an unsigned type it refuses "-1" instead of wrapping it.
struct Count {
  std::uint64_t value = 0;
};
std::istream& operator>>(std::istream& in, Count& count);
std::ostream& operator<<(std::ostream& out, const Count& count);

struct CommonOptions {
  bool quiet = false;  // nothing but results (stdout) and errors (stderr): no summary, no progress
  bool json = false;   // exactly one JSON object on stdout
  std::uint64_t seed = 0;
};

// What --list-options NAME tells.
struct OptionList {
  // One of them.
  struct Option {
    std::string name, value, about, allowed;  // value: the default
  };
  std::string name, about;      // "gp", one line
  std::vector<Option> options;  // in the order in which they are told
};

struct Manual {
  std::string verb;      // "import"
  std::string synopsis;  // "--mapping M.ini --out P.h5 INPUT..."
  std::string about;     // what it does, one paragraph
  po::options_description options{"Options"};
  po::positional_options_description positional;  // none: arguments without a name are refused
  // Of a program that sets a board's clocks: where parse() puts the access to them, which it gives up for itself.
  std::shared_ptr<hw::BoardAccess>* access = nullptr;
  // Of a program with learners that have options: what --list-options NAME prints, and where parse() puts what --set KEY=VALUE gives.
  std::function<OptionList(const std::string&)> list_options = {};
  std::vector<std::string>* set = nullptr;
  std::string with_options = "learner";        // what --help says has such options
  std::vector<std::string> may_be_empty = {};  // options that take an empty value; of others it is refused
  // Options whose value may be left out, called "[VALUE]", each with whether a word that stands behind it is its value.
  std::map<std::string, std::function<bool(const std::string&)>> is_its_value = {};
  // The values of options and arguments that take one of a closed set, for completion: of "action" list, show, ...
  std::map<std::string, std::vector<std::string>> choices = {};
};

// The names of a table's entries, as choices.
template <class Table>
std::vector<std::string> names_in(const Table& table) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.emplace_back(entry.name);
  return names;
}
// The boards that are known, each alone and with its published grids: BOARD and BOARD:GRID.
std::vector<std::string> known_spaces();
// full, and the names of published grids of any board.
std::vector<std::string> known_grids();

// As root under sudo, or with --user, and without --as-root: first becomes that user for good, so that nothing of a user's is read as
// root. Where `manual.access` is set, it starts the process that keeps the right to set clocks before that.
// Then parses the command line, then the file of --config (INI, the same option names; the command line wins; messages do not quote its
// lines). Prints and returns nullopt for --help, --version and --list-options. Throws po::error or UsageError, also for an empty value,
// which would count as no value at all, and std::runtime_error where it cannot become the user.
// Two more options are for scripts, and stand alone: --manual-json prints the manual (manual_json()), and --meant NAME KNOWN... which of
// KNOWN is meant by NAME, as hw::meant_name().
std::optional<po::variables_map> parse(int argc, char** argv, const Manual& manual, CommonOptions& common);

// Whether an option stands on the command line or in the file of --config.
bool is_given(const po::variables_map& values, const std::string& option);

// Options that have an effect in some cases only.
struct Effect {
  std::vector<std::string> options;  // "units"
  bool has_effect;                   // now
  std::string why_not;               // "without --schedule the mode never changes"
};
// Throws UsageError for the first option that is given and has no effect: "--units: without --schedule the mode never changes".
void refuse_without_effect(const po::variables_map& values, const std::vector<Effect>& effects);

// The names of all options of a program but the common ones and those of `but`.
std::vector<std::string> names_of(const Manual& manual, const std::vector<std::string>& but);

// The pieces of an option's value between commas; {} for "", which is no value. Throws UsageError for an empty piece.
std::vector<std::string> list_in(const std::string& option, const std::string& value);

// The settings of an option's value, "cpu_cores=8,gpu_khz=918000", at least one. Throws UsageError for anything else, and for a knob that
// is named twice.
hw::Settings settings_in(const std::string& option, const std::string& value);

// An option of a number whose default is what `into` holds now; --help calls its value N where value_name() gives no other name. Any other
// option with a value must have a value_name(): tests/terminal_test.py.
po::typed_value<double>* real(double& into);

// An option that names a file, and the file; "": it is not given.
struct FileOption {
  std::string option, path;  // "--out"
};
// Throws UsageError where a file that is written is one of those that are read, and would be gone, or is written twice.
void refuse_overwriting(const std::vector<FileOption>& written, const std::vector<std::string>& read);

// Adds the options of the device, the program and its measurement, with what `options` holds as defaults; the program is what
// comes after "--".
void add_measuring_options(Manual& manual, hw::MeasuringOptions& options);
// When these options have an effect, and those of other names that say how a program is measured.
std::vector<Effect> measuring_effects(const hw::MeasuringOptions& options);

// From now on SIGINT, SIGTERM and SIGHUP ask to stop, and SIGPIPE and SIGXFSZ come as errors of what writes. Returns what was
// ignored and blocked before, for programs that are started.
hw::SignalState catch_signals();
bool told_to_stop();

// Runs `body`, and turns what it throws into one line on stderr, "fewwatt <verb>: ...", and an exit code:
// po::error and UsageError 2, everything else 1.
int run(const std::string& verb, const std::function<int()>& body);

}  // namespace fewwatt::program
