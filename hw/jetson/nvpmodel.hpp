#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/jetson/board.hpp"

namespace fewwatt::hw {

// /etc/nvpmodel.conf: the power modes that a Jetson can be set to at its start.
struct NvpmodelConf {
  // A parameter: a group of control files.
  struct Param {
    std::string name;                                       // "CPU_ONLINE", "GPU"
    bool is_clock = false;                                  // its values are numbers
    std::vector<std::pair<std::string, std::string>> args;  // "CORE_1" and its path
  };
  // What a mode sets one control file to.
  struct Setting {
    std::string param, arg, value;  // names of a parameter and of one of its args; the value written
  };
  // A POWER_MODEL.
  struct Mode {
    int id = 0;                     // its number
    std::string name;               // "MAXN"
    std::vector<Setting> settings;  // as they stand in the file
  };
  std::vector<Param> params;      // as they stand in the file
  std::vector<Mode> modes;        // as they stand in the file
  std::optional<int> default_id;  // none: the file states none

  const Mode* find(int id) const;  // nullptr for none
};

// Parses the text of the file. Throws DeviceError naming `where` and the line.
NvpmodelConf parse_nvpmodel(const std::string& text, const std::string& where);

// The id of the mode of `conf` that the board was set to last; where that is not known or not in the file, the default's; where there is
// no default, that of the only mode. Throws DeviceError where the file has no default and several modes.
int nvpmodel_now(const Sysfs& files, const NvpmodelConf& conf);

// Whether a POWER_MODEL may be called so: letters, digits and . _ + - only, at least one.
bool is_nvpmodel_name(const std::string& name);

// A POWER_MODEL for nvpmodel.conf.
struct NvpmodelStanza {
  std::string text;  // lines to append to the file
  std::vector<std::string>
      notes;  // sentences about cores and clocks that the file has no parameter for: they stay as they are
};

// The stanza for a mode: that of `base`, with the settings that `mode`, a mode of space_of(board), has for the knobs `roles`. CPU and GPU
// clocks are pinned (the lowest allowed is the highest allowed); nvpmodel can only cap the memory's. The new id is one more than the
// highest id of the file. Throws DeviceError when the file has no parameter for one of the knobs, and
// std::invalid_argument where !is_nvpmodel_name(name).
NvpmodelStanza nvpmodel_stanza(const Sysfs& files, const NvpmodelConf& conf, const NvpmodelConf::Mode& base,
                               const Board& board, const PowerMode& mode, const std::set<KnobRole>& roles,
                               const std::string& name);

}  // namespace fewwatt::hw
