#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <sstream>

#include "datasets/hdf5_file.hpp"
#include "datasets/hdf5_flat.hpp"
#include "datasets/isolated_reader.hpp"
#include "datasets/profile_io.hpp"
#include "learners/checkpoint_io.hpp"
#include "learners/model.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/learners/made_checkpoints.hpp"

namespace fewwatt::fuzz {
namespace {

using datasets::FlatObject;
using datasets::FlatTag;
using datasets::FlatTree;

const datasets::ReadOptions kHere{
    .isolated = false, .memory_bytes = std::uint64_t{256} << 20, .max_modes = 10'000};

class Bytes final : public datasets::FlatSource {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}
  void take(void* to, std::size_t size) override {
    if (size > left_.size()) throw datasets::DataError("ends early");
    std::memcpy(to, left_.data(), size);
    left_.remove_prefix(size);
  }

 private:
  std::string_view left_;
};

// A small file of ours, and what reads such a file and uses what it holds.
struct Kind {
  std::string format;
  FlatTree tree;
  std::function<void(const std::string& path)> use;
};

void use_checkpoint(const std::string& path) {
  const auto checkpoint = learners::read_checkpoint(path, kHere);
  answered_or_invalid([&] {
    const auto learner = learners::make_learner(checkpoint);
    learners::needs_no_rows(checkpoint);
    const auto support = tests::example_support(6, 1);
    learner->adapt(support)->predict(support.space->modes());
  });
}

void use_model(const std::string& path) {
  const auto model = learners::read_model(path, kHere);
  model.with_measurements();
  model.epoch_s(1);
}

datasets::ProfileStore example_profiles() {
  const auto support = tests::example_support(6, 2);
  datasets::Profile profile;
  profile.device = "board";
  profile.workload = "net";
  profile.space = support.space;
  profile.modes = support.modes;
  std::sort(profile.modes.begin(), profile.modes.end());
  for (const auto& mode : profile.modes)
    profile.measurements.push_back(
        {.time_ms = tests::example_time_ms(mode), .power_w = tests::example_power_w(mode), .repeats = 2});
  profile.time_std_ms.assign(profile.modes.size(), 0.1);
  return {{{"board", {{"jetpack", "6.2"}}}}, {profile}};
}

std::vector<Kind> make_kinds() {
  const auto path = scratch_folder() + "/whole.h5";
  std::vector<Kind> kinds;
  const auto add = [&](const char* format, std::function<void(const std::string&)> use) {
    kinds.push_back({format, datasets::load_flat(path, kHere).tree, std::move(use)});
    std::filesystem::remove(path);
  };
  datasets::write_profiles(path, example_profiles());
  add("fewwatt-profiles", [](const auto& file) { datasets::read_profiles(file, kHere); });
  learners::write_model(path, tests::example_model());
  add("fewwatt-model", use_model);
  const auto space = tests::example_space();
  for (const auto& checkpoint :
       {tests::random_fine_tune(*space), tests::random_transfer(*space, false),
        tests::random_proto(*space).to_checkpoint(), tests::random_ridge(*space).to_checkpoint(),
        tests::random_gp(*space).to_checkpoint(), tests::usual_sim_prior(*space).to_checkpoint(),
        tests::random_ensemble(*space, learners::Combination::product)}) {
    learners::write_checkpoint(path, checkpoint);
    add("fewwatt-checkpoint", use_checkpoint);
  }
  return kinds;
}

// Changes an object of a tree. An edit is one line:
//   delete O | copy O O | unset O A | text O A TEXT | number O A VALUE | integer O A VALUE |
//   value O I VALUE | fill O VALUE | size O ROWS COLS | rank O | type O
// O and A count objects and attributes in order, I counts values; all of them start again behind the last.
class Editor {
 public:
  explicit Editor(FlatTree tree) : tree_(std::move(tree)) {}

  void edit(const std::string& line) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    const auto at = object(words);
    auto& object = at->second;
    if (what == "delete") {
      if (at->first != "/") erase(at->first);
    } else if (what == "copy") {
      const auto other = this->object(words);
      if ((object.tag == FlatTag::group) == (other->second.tag == FlatTag::group)) object = other->second;
    } else if (what == "value" || what == "fill") {
      const std::size_t i = what == "value" ? count(words) : 0;
      const double value = number(words);
      set(object.doubles, i, what == "fill", value);
      set(object.ints, i, what == "fill", as_int(value));
    } else if (what == "size") {
      const auto rows = count(words) % 300, cols = object.rank == 2 ? count(words) % 300 : 1;
      object.shape = {rows, cols};
      if (object.tag == FlatTag::doubles) object.doubles.resize(rows * cols, 1.5);
      if (object.tag == FlatTag::ints) object.ints.resize(rows * cols, 2);
    } else if (what == "rank") {
      object.rank = 3 - object.rank;
      object.shape = {object.shape[0] * object.shape[1], 1};
    } else if (what == "type") {
      if (object.tag == FlatTag::doubles) {
        object.tag = FlatTag::ints;
        for (const double value : object.doubles) object.ints.push_back(as_int(value));
      } else if (object.tag == FlatTag::ints) {
        object.tag = FlatTag::doubles;
        object.doubles.assign(object.ints.begin(), object.ints.end());
      }
    } else if (!object.attributes.empty()) {
      const auto attribute = std::next(object.attributes.begin(),
                                       static_cast<std::ptrdiff_t>(count(words) % object.attributes.size()));
      auto& to = attribute->second;
      if (what == "unset") {
        object.attributes.erase(attribute);
      } else if (what == "text") {
        to.tag = FlatTag::text;
        std::getline(words >> std::ws, to.text);
      } else if (what == "number") {
        to.tag = FlatTag::number;
        to.number = number(words);
      } else if (what == "integer") {
        to.tag = FlatTag::integer;
        words >> to.integer;
      }
    }
  }

  void write(const std::string& path, const std::string& format) const {
    const auto& root = tree_.at("/").attributes;
    const auto version = root.find("version");
    datasets::Hdf5Writer file(path, format,
                              version == root.end() ? 1 : static_cast<int>(version->second.integer % 100));
    for (const auto& [name, object] : tree_) {
      if (object.tag == FlatTag::group && name != "/") file.group(name);
      const std::size_t rows = object.shape[0], cols = object.shape[1];
      if (object.tag == FlatTag::doubles)
        object.rank == 1 ? file.write(name, object.doubles)
                         : file.write_table(name, rows, cols, std::span(object.doubles));
      if (object.tag == FlatTag::ints)
        object.rank == 1 ? file.write(name, object.ints)
                         : file.write_table(name, rows, cols, std::span(object.ints));
      for (const auto& [key, attribute] : object.attributes) {
        if (name == "/" && (key == "format" || key == "version" || key == datasets::kChecksumAttribute))
          continue;
        if (attribute.tag == FlatTag::text) file.text(name, key, attribute.text);
        if (attribute.tag == FlatTag::number) file.number(name, key, attribute.number);
        if (attribute.tag == FlatTag::integer) file.integer(name, key, attribute.integer);
      }
    }
    file.commit();
  }

 private:
  static std::size_t count(std::istream& words) {
    std::size_t value = 0;
    words >> value;
    return value;
  }
  static double number(std::istream& words) {
    std::string word;
    words >> word;
    return std::strtod(word.c_str(), nullptr);
  }
  static int as_int(double value) {
    return value > -2e9 && value < 2e9 ? static_cast<int>(value) : std::numeric_limits<int>::max();
  }
  template <class T>
  static void set(std::vector<T>& values, std::size_t i, bool all, T value) {
    if (values.empty()) return;
    if (all)
      values.assign(values.size(), value);
    else
      values[i % values.size()] = value;
  }
  FlatTree::iterator object(std::istream& words) {
    return std::next(tree_.begin(), static_cast<std::ptrdiff_t>(count(words) % tree_.size()));
  }
  void erase(std::string path) {
    std::erase_if(
        tree_, [&](const auto& entry) { return entry.first == path || entry.first.starts_with(path + '/'); });
  }

  FlatTree tree_;
};

}  // namespace

// Any bytes, for the reader in its own process.
void hdf5(std::string_view input) {
  answered([&] {
    const MemoryFile file(input);
    const auto content = datasets::load_flat(file.path(), {.cpu_seconds = 1});
    // The library itself would say the same.
    if (content.tree.empty()) throw std::logic_error("a file without a root");
  });
}

// What such a reader might send, were it taken over.
void flat(std::string_view input) {
  answered([&] {
    Bytes bytes(input);
    datasets::read_flat(bytes, "x.h5", 1 << 24);
  });
}

// The number of a kind of file, and edits of one: files that HDF5 has nothing against.
void objects(std::string_view input) {
  static const auto kinds = make_kinds();
  std::istringstream lines{std::string(input)};
  std::string line;
  std::getline(lines, line);
  std::size_t number = 0;
  std::from_chars(line.data(), line.data() + line.size(), number);
  const auto& kind = kinds[number % kinds.size()];
  Editor editor(kind.tree);
  for (int edits = 0; edits < 100 && std::getline(lines, line); ++edits) editor.edit(line);
  const auto path = scratch_folder() + "/edited.h5";
  answered([&] {
    editor.write(path, kind.format);
    kind.use(path);
  });
  std::filesystem::remove(path);
}

}  // namespace fewwatt::fuzz
