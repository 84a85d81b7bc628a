#pragma once

// What the main() of every program shares. Include it from <verb>_main.cpp only.

#include <boost/program_options.hpp>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

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

struct Manual {
  std::string verb;      // "import"
  std::string synopsis;  // "--mapping M.ini --out P.h5 INPUT..."
  std::string about;     // what it does, one paragraph
  po::options_description options{"Options"};
  po::positional_options_description positional;  // none: arguments without a name are refused
  // Of a program that sets a board's clocks: where parse() puts the access to them, which it gives up for itself.
  std::shared_ptr<hw::BoardAccess>* access = nullptr;
  // Of a program with learners that have options: what --list-options NAME prints, and where parse() puts what --set KEY=VALUE gives.
  std::function<std::string(const std::string&)> describe_options = {};
  std::vector<std::string>* set = nullptr;
};

// As root under sudo, or with --user, and without --as-root: first becomes that user for good, so that nothing of a user's is read as
// root. Where `manual.access` is set, it starts the process that keeps the right to set clocks before that.
// Then parses the command line, then the file of --config (INI, the same option names; the command line wins; messages do not quote its
// lines). Prints and returns nullopt for --help, --version and --list-options. Throws po::error or UsageError, and std::runtime_error
// where it cannot become the user.
std::optional<po::variables_map> parse(int argc, char** argv, const Manual& manual, CommonOptions& common);

// Throws UsageError when `out` is one of the files that are read: it would be gone.
void refuse_overwriting(const std::string& out, const std::vector<std::string>& inputs);

// Adds the options of the device, the program and its measurement, with what `options` holds as defaults; the program is what
// comes after "--".
void add_measuring_options(Manual& manual, hw::MeasuringOptions& options);

// From now on SIGINT, SIGTERM and SIGHUP ask to stop, and SIGPIPE and SIGXFSZ come as errors of what writes. Returns what was
// ignored and blocked before, for programs that are started.
hw::SignalState catch_signals();
bool told_to_stop();

// Runs `body`, and turns what it throws into one line on stderr, "fewwatt <verb>: ...", and an exit code:
// po::error and UsageError 2, everything else 1.
int run(const std::string& verb, const std::function<int()>& body);

}  // namespace fewwatt::program
