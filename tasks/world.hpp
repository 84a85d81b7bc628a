#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/profile.hpp"
#include "hw/device.hpp"
#include "hw/random.hpp"
#include "tasks/task.hpp"

namespace fewwatt::tasks {

inline constexpr double kNoBudget = std::numeric_limits<double>::infinity();  // W

// A device with a workload and a power budget, in steps of one measurement each. Agents, searches and the governor all run in it.
class World {
 public:
  virtual ~World() = default;
  // Begins an episode: draws what is drawn, such as the workload, the budget and the noise. The same seed and measurements give the same
  // results. Comes before all else.
  virtual void reset(std::uint64_t seed) = 0;
  // The device's modes in this episode. Another one may have other modes.
  virtual std::shared_ptr<const hw::PowerModeSpace> space() const = 0;
  virtual Characteristics characteristics() const { return {}; }  // of the workload that runs now
  virtual double budget_w() const = 0;                            // of this step; kNoBudget: there is none
  // What a mode of the space costs at this step, with noise. NaN: not measured; both NaN: the measurement was rejected. Throws
  // hw::DeviceError for a mode that the space lacks.
  virtual hw::Measurement measure(const hw::PowerMode& mode) = 0;
  // The next step begins: the workload and the budget may be others.
  virtual void advance() {}
  // What a mode costs at this step without noise; nullopt where nobody knows.
  virtual std::optional<hw::Measurement> truth(const hw::PowerMode&) const { return std::nullopt; }
  // Whether modes, workload and budget are the same at all steps of all episodes, so that a table of values can be learned.
  virtual bool fixed() const { return false; }
};

// The mode of least true time inside the budget of this step, the first of several; nullopt where none is inside, or nobody knows. Looks at
// every mode.
struct FastestMode {
  hw::PowerMode mode;     // the fastest one
  hw::Measurement truth;  // its time and power, without noise
};
std::optional<FastestMode> fastest_inside(const World& world);

// How a profile is replayed.
struct ReplayOptions {
  double budget_w = kNoBudget;  // > 0
  // A measurement is the profile's mean times exp(sd z), z standard normal, sd the profile's standard deviation over the mean where it has
  // one, else this, in [0, 1].
  double noise = kUsualNoise;
  bool measured_noise = true;  // false: `noise` for all values, whatever standard deviations the profile has
  std::string error() const;   // "" when valid
};

// What the modes of a profile cost, as ReplayWorld replays them. Made once, it serves any number of worlds.
class ReplayTable {
 public:
  // Of one mode.
  struct Row {
    hw::Measurement mean, truth;  // truth: without noise where it is known, else the mean
    double time_sd, power_sd;     // of logs
  };
  // options.budget_w has no effect. Throws datasets::DataError for a profile that is not valid; std::invalid_argument for options.error(),
  // and for a profile without times.
  ReplayTable(const datasets::Profile& profile, const ReplayOptions& options);
  const std::string& name() const { return name_; }                                  // DEVICE/WORKLOAD
  const std::shared_ptr<const hw::PowerModeSpace>& space() const { return space_; }  // the measured modes
  const Characteristics& characteristics() const { return characteristics_; }        // of the workload
  const std::vector<Row>& rows() const { return rows_; }                             // of space()->at(i)
  bool has_power() const { return has_power_; }                                      // of at least one mode

 private:
  std::string name_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
  Characteristics characteristics_;
  std::vector<Row> rows_;
  bool has_power_;
};

// A profile as a world: its measured modes, one workload, one budget. The truth is the profile's, without noise where it is known.
class ReplayWorld final : public World {
 public:
  // Throws as ReplayTable(), and as below.
  ReplayWorld(const datasets::Profile& profile, ReplayOptions options);
  // Throws std::invalid_argument without a table, unless budget_w > 0, and for a table without power where there is a budget.
  ReplayWorld(std::shared_ptr<const ReplayTable> table, double budget_w);
  void reset(std::uint64_t seed) override;
  std::shared_ptr<const hw::PowerModeSpace> space() const override { return table_->space(); }
  Characteristics characteristics() const override { return table_->characteristics(); }
  double budget_w() const override { return budget_w_; }
  hw::Measurement measure(const hw::PowerMode& mode) override;
  std::optional<hw::Measurement> truth(const hw::PowerMode& mode) const override;
  bool fixed() const override { return true; }

 private:
  const ReplayTable::Row& row(const hw::PowerMode& mode) const;

  std::shared_ptr<const ReplayTable> table_;
  double budget_w_;
  hw::Rng noise_{0};
};

// Any device as a world, such as a live board: its own noise, and nobody knows the truth. What it cannot measure is rejected.
class DeviceWorld final : public World {
 public:
  // The device must outlive it. Throws std::invalid_argument unless budget_w > 0.
  DeviceWorld(hw::Device& device, double budget_w, Characteristics characteristics = {});
  void reset(std::uint64_t) override {}
  std::shared_ptr<const hw::PowerModeSpace> space() const override { return space_; }
  Characteristics characteristics() const override { return characteristics_; }
  double budget_w() const override { return budget_w_; }
  hw::Measurement measure(const hw::PowerMode& mode) override;

 private:
  hw::Device* device_;
  std::shared_ptr<const hw::PowerModeSpace> space_;
  double budget_w_;
  Characteristics characteristics_;
};

}  // namespace fewwatt::tasks
