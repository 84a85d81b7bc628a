// A machine of one's own: anything that can be set and measured is a Device. This one is a server whose knobs are a power limit and
// the batch size of what it serves; in place of its formulas stand a library call that sets the limit and a meter that is read.
#include <cmath>
#include <fewwatt/hw/device.hpp>
#include <fewwatt/learners/optimize/search.hpp>
#include <fewwatt/learners/registry.hpp>
#include <iostream>

using namespace fewwatt;

class Server final : public hw::Device {
 public:
  const hw::PowerModeSpace& space() const override { return space_; }

  // One request, in ms, and what the server draws meanwhile.
  hw::Measurement measure(const hw::PowerMode& mode) override {
    if (!space_.index_of(mode)) throw hw::DeviceError("the server has no mode " + hw::describe(space_, mode));
    const double limit_w = mode[0] / 1000.0, batch = mode[1];
    const double speed = std::pow(limit_w / 300, 0.6) * (1 - std::exp(-batch / 12));
    return {.time_ms = 4 / speed + 0.05 * batch, .power_w = 40 + 0.8 * limit_w * (1 - std::exp(-batch / 9))};
  }

 private:
  hw::PowerModeSpace space_ = hw::PowerModeSpace::grid(
      {{hw::KnobRole::power_limit_mw, {100'000, 140'000, 180'000, 220'000, 260'000, 300'000}},
       {hw::KnobRole::batch_size, {1, 2, 4, 8, 16, 32, 64}}});
};

int main() {
  Server server;
  const auto space = std::make_shared<const hw::PowerModeSpace>(server.space());
  // The fastest mode within 200 W, found in eight measurements of 42.
  const std::shared_ptr<const learners::Learner> learner = learners::make_learner("gp");
  const auto search =
      learners::make_search("designed-ei", space, learner, {.limits = {.max_power_w = 200}}, {.planned = 8});
  while (const auto mode = search->ask()) {
    const auto measured = server.measure(*mode);
    std::cout << hw::describe(*space, *mode) << ": " << measured.time_ms << " ms, " << measured.power_w
              << " W\n";
    search->tell(*mode, measured);
  }
  const auto answer = search->answer();
  if (!answer) return 1;
  std::cout << "answer: " << hw::describe(*space, answer->mode) << ", " << answer->time_ms << " ms\n";
}
