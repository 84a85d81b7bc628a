#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fewwatt::hw {

// What a knob does, and the unit of its settings. Files store the names, so new roles may be added at the end.
enum class KnobRole {
  cpu_cores,       // number of cores that are on
  cpu_khz,         // clock of the CPU, kHz
  gpu_khz,         // clock of the GPU, kHz
  mem_khz,         // clock of the memory, kHz
  power_limit_mw,  // limit that the device keeps by itself, mW
  batch_size       // samples in a minibatch
};

// All roles, in the order of KnobRole.
inline constexpr std::array kKnobRoles = {KnobRole::cpu_cores,      KnobRole::cpu_khz,
                                          KnobRole::gpu_khz,        KnobRole::mem_khz,
                                          KnobRole::power_limit_mw, KnobRole::batch_size};

std::string_view to_string(KnobRole role);                       // "cpu_khz"
std::optional<KnobRole> parse_knob_role(std::string_view name);  // nullopt for an unknown name

// One adjustable setting of a device and the values it can take.
struct Knob {
  KnobRole role;            // what it adjusts
  std::vector<int> levels;  // strictly increasing, > 0, in the role's unit

  bool operator==(const Knob&) const = default;
};

// One setting per knob, in the order of the space it belongs to. A value: ordered, cheap to copy.
class PowerMode {
 public:
  static constexpr std::size_t kMaxKnobs = 8;  // greatest number of settings

  PowerMode() = default;
  PowerMode(std::initializer_list<int> settings);     // throws std::invalid_argument beyond kMaxKnobs
  explicit PowerMode(std::span<const int> settings);  // throws std::invalid_argument beyond kMaxKnobs

  std::size_t size() const { return size_; }                          // number of settings
  int operator[](std::size_t knob) const { return settings_[knob]; }  // knob < size(), not checked
  int& operator[](std::size_t knob) { return settings_[knob]; }       // knob < size(), not checked
  const int* begin() const { return settings_.data(); }               // first setting
  const int* end() const { return settings_.data() + size_; }         // behind the last setting

  auto operator<=>(const PowerMode&) const = default;

 private:
  std::array<int, kMaxKnobs> settings_{};  // unused ones stay 0, so that the default comparison holds
  std::size_t size_ = 0;
};

// Greatest number of modes of a space, unless its maker says otherwise: some hundred times that of any board. Their predictions take
// about 1 GB.
inline constexpr std::size_t kMostModes = 4'000'000;

// How many combinations the levels have; nullopt beyond `most`.
std::optional<std::size_t> combinations(const std::vector<Knob>& knobs, std::size_t most = kMostModes);

// The power modes of a device: knobs, and either every combination of their levels or an explicit list.
// Modes are numbered in ascending order, the last knob running fastest, whichever way the space was made.
class PowerModeSpace {
 public:
  // Every combination of levels. Throws std::invalid_argument naming the knob when there is none, one has no
  // level, its levels are not strictly increasing and positive, or two knobs have the same role; and naming the knob with the
  // most levels when there are more than `most` combinations.
  static PowerModeSpace grid(std::vector<Knob> knobs, std::size_t most = kMostModes);

  // The given modes only, in any order, any number of them. Throws as grid() does for bad knobs, and when a mode is off the
  // knobs' levels or given twice.
  static PowerModeSpace list(std::vector<Knob> knobs, std::vector<PowerMode> modes);

  const std::vector<Knob>& knobs() const { return knobs_; }  // in the order of a mode's settings
  bool is_grid() const { return modes_.empty(); }            // whether every combination of levels is a mode
  std::size_t size() const { return size_; }                 // number of modes

  PowerMode at(std::size_t index) const;                             // throws std::out_of_range
  std::optional<std::size_t> index_of(const PowerMode& mode) const;  // nullopt when the space lacks it
  std::vector<PowerMode> modes() const;                              // all of them, at(0) first
  PowerMode lowest() const;  // of least sum of log settings; throws std::out_of_range when there is no mode

  std::optional<std::size_t> knob_with(KnobRole role) const;  // its position among knobs(); nullopt for none
  int max_level(std::size_t knob) const { return knobs_[knob].levels.back(); }  // highest level of a knob

  bool operator==(const PowerModeSpace&) const = default;

 private:
  PowerModeSpace(std::vector<Knob> knobs, std::vector<PowerMode> modes);

  std::vector<Knob> knobs_;
  std::vector<PowerMode> modes_;  // sorted; empty for a grid
  std::size_t size_ = 0;
};

// The mode as text: "cpu_khz=345600 gpu_khz=114750 mem_khz=40800".
std::string describe(const PowerModeSpace& space, const PowerMode& mode);

// The roles of all knobs as text: "cpu_cores, cpu_khz, gpu_khz, mem_khz".
std::string describe_roles(const PowerModeSpace& space);

}  // namespace fewwatt::hw
