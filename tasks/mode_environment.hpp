#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tasks/environment.hpp"
#include "tasks/mode_mdp.hpp"
#include "tasks/value_iteration.hpp"
#include "tasks/world.hpp"

namespace fewwatt::tasks {

// The choice of power modes in a world, as an environment: mode_mdp.hpp says what is acted, observed and rewarded. reset() makes an episode's
// first measurement, and each step one more. t_ref is the true time in the reference mode of the present workload, where it is known, else
// the first time that was measured. find ends by termination, since nothing counts after its last measurement; run is truncated.
//
// States can be counted with run in a fixed world: a state is the number of the present mode.
class ModeEnvironment final : public Environment {
 public:
  // random_start: an episode begins in a mode drawn at random instead of the reference mode, so that a table gets to know all states.
  // shielded: actions that lead to modes truly over the budget of the step are among the spent ones, as by a shield that is never wrong
  // (Alshiekh et al. 2018). Where all others are over, the one of least power may be taken. Without effect where nobody knows the truth.
  // Throws std::invalid_argument for options.error(), or without a world.
  ModeEnvironment(std::unique_ptr<World> world, ModeMdpOptions options, bool random_start = false,
                  bool shielded = false);

  std::size_t observation_size() const override { return kObservation; }
  // Throws std::logic_error before reset(), as actions() and mode() do.
  const Matrix& actions() const override;
  bool fixed_actions() const override { return false; }
  std::span<const std::size_t> spent() const override { return barred_; }
  std::optional<std::size_t> num_states() const override;
  std::size_t state() const override;         // throws std::logic_error before reset()
  Vector reset(std::uint64_t seed) override;  // throws what World::reset() throws
  Step step(std::size_t action) override;

  const hw::PowerMode& mode() const;                             // that was measured last
  const hw::Measurement& measured() const { return measured_; }  // there
  // What it truly cost when it was measured; nullopt where nobody knows. The world may be another one since.
  const std::optional<hw::Measurement>& truth() const { return truth_; }
  const World& world() const { return *world_; }  // where modes are measured

  // The process of this episode's actions, with the true times and powers, where states can be counted and the truth is known. Throws
  // std::logic_error before reset().
  std::optional<FiniteMdp> finite() const;

 private:
  void measure(const hw::PowerMode& mode);
  void bar();
  std::optional<double> reference_ms() const;
  void check_begun() const;

  std::unique_ptr<World> world_;
  ModeMdpOptions options_;
  bool random_start_, shielded_;
  std::shared_ptr<const hw::PowerModeSpace> space_;  // of this episode
  hw::PowerMode lowest_;                             // of it
  std::optional<ModeActions> actions_;
  std::optional<ModeObserver> observer_;
  SpentActions spent_;
  std::vector<std::size_t> barred_;  // spent, and those that the shield keeps back
  hw::Measurement measured_;
  std::optional<hw::Measurement> truth_;
  double reward_ = 0;
  bool ended_ = true;
};

}  // namespace fewwatt::tasks
