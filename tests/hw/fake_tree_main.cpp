// fake_tree BOARD FOLDER: writes the kernel's files of a board, as tests/fake_sysfs.hpp describes it, with a power sensor
// that averages over 1 ms. For tests that are scripts.

#include <iostream>

#include "tests/fake_sysfs.hpp"

int main(int argc, char** argv) {
  if (argc == 3) {
    for (const auto& board : fewwatt::tests::fake_boards()) {
      if (board.name != argv[1]) continue;
      auto tree = fewwatt::tests::tree_of(board, true);
      for (auto& [path, content] : tree.files) {
        if (path.ends_with("/samples") || path.ends_with("/update_interval")) content = "1\n";
      }
      tree.write(argv[2]);
      return 0;
    }
  }
  std::cerr << "usage: fake_tree BOARD FOLDER\n";
  return 2;
}
