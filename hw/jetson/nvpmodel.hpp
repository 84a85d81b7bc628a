#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/jetson/board.hpp"

namespace fewwatt::hw {

// /etc/nvpmodel.conf: the power modes that a Jetson takes at its start.
struct NvpmodelConf {
  struct Param {
    std::string name;                                       // "CPU_ONLINE", "GPU"
    bool is_clock = false;                                  // its values are numbers
    std::vector<std::pair<std::string, std::string>> args;  // "CORE_1" and its path
  };
  struct Setting {
    std::string param, arg, value;
  };
  struct Mode {
    int id = 0;
    std::string name;
    std::vector<Setting> settings;
  };
  std::vector<Param> params;
  std::vector<Mode> modes;
  std::optional<int> default_id;  // none: the file states none

  const Mode* find(int id) const;  // nullptr for none
};

// Throws DeviceError naming `where` and the line.
NvpmodelConf parse_nvpmodel(const std::string& text, const std::string& where);

// Id of the mode of `conf` that the board took last; of the default where that is not known or not there; else of the only one. Throws
// DeviceError where the file has neither, and more than one.
int nvpmodel_now(const Sysfs& files, const NvpmodelConf& conf);

// Letters, digits and . _ + - only, one at least: what a POWER_MODEL may be called.
bool is_nvpmodel_name(const std::string& name);

struct NvpmodelStanza {
  std::string text;
  std::vector<std::string>
      notes;  // sentences: cores and clocks that the file has no parameter for, and so stay as they are
};

// A POWER_MODEL stanza to append to the file: that of `base`, with the settings that `mode`, a mode of space_of(board), has for
// the knobs `roles`. CPU and GPU clocks are pinned, their lowest is their highest; nvpmodel can only cap the memory's. Its id
// is one more than the highest. Throws DeviceError when the file has no parameter for one of the knobs, and
// std::invalid_argument where !is_nvpmodel_name(name).
NvpmodelStanza nvpmodel_stanza(const Sysfs& files, const NvpmodelConf& conf, const NvpmodelConf::Mode& base,
                               const Board& board, const PowerMode& mode, const std::set<KnobRole>& roles,
                               const std::string& name);

}  // namespace fewwatt::hw
