#include "hw/program.hpp"

#include <malloc.h>

#include <charconv>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "hw/version.hpp"

namespace fewwatt::program {

std::istream& operator>>(std::istream& in, Count& count) {
  std::string text;
  in >> text;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count.value);
  if (error != std::errc() || stop != end) in.setstate(std::ios::failbit);
  return in;
}

std::ostream& operator<<(std::ostream& out, const Count& count) {
  return out << count.value;
}

std::optional<po::variables_map> parse(int argc, char** argv, const Manual& manual, CommonOptions& common) {
  Count seed;
  po::options_description shared("Common options");
  auto add = shared.add_options();
  add("help,h", "print this text");
  add("version", "print the version");
  add("quiet,q", po::bool_switch(&common.quiet), "print results and errors only");
  add("json", po::bool_switch(&common.json), "print one JSON object on stdout");
  add("seed", po::value(&seed)->default_value(seed)->value_name("N"), "seed of every random draw");
  add("config", po::value<std::string>()->value_name("FILE"), "INI file of options; the command line wins");
  po::options_description all;
  all.add(manual.options).add(shared);

  po::variables_map values;
  po::store(po::command_line_parser(argc, argv)
                .options(all)
                .positional(manual.positional)
                .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                .run(),
            values);
  if (values.count("help") > 0) {
    std::cout << "fewwatt " << manual.verb << ' ' << manual.synopsis << "\n\n"
              << manual.about << "\n\n"
              << all;
    return std::nullopt;
  }
  if (values.count("version") > 0) {
    std::cout << "fewwatt " << hw::version() << " (" << hw::git_revision() << ")\n";
    return std::nullopt;
  }
  if (values.count("config") > 0) {
    const auto path = values["config"].as<std::string>();
    std::ifstream file(path);
    if (!file) throw UsageError("cannot read --config file " + path);
    po::store(po::parse_config_file(file, all), values);
  }
  po::notify(values);
  common.seed = seed.value;
  return values;
}

void refuse_overwriting(const std::string& out, const std::vector<std::string>& inputs) {
  for (const auto& input : inputs) {
    std::error_code ignored;  // of files that do not exist
    if (std::filesystem::equivalent(out, input, ignored)) {
      throw UsageError("--out " + out + " is a file to read from, it would be overwritten");
    }
  }
}

int run(const std::string& verb, const std::function<int()>& body) {
  // Freed memory is kept: predicting all modes takes and gives back the same megabytes again and again.
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 26);
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout) throw std::runtime_error("cannot write to standard output");
    return code;
  } catch (const po::error& e) {
    std::cerr << "fewwatt " << verb << ": " << e.what() << " (see --help)\n";
    return kUsage;
  } catch (const UsageError& e) {
    std::cerr << "fewwatt " << verb << ": " << e.what() << '\n';
    return kUsage;
  } catch (const std::exception& e) {
    std::cerr << "fewwatt " << verb << ": " << e.what() << '\n';
    return kFailed;
  }
}

}  // namespace fewwatt::program
