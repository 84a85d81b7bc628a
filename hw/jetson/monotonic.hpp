#pragma once

namespace fewwatt::hw {

// Time that only goes forward, and waiting. Tests put another one in its place, and need not wait. Safe to use from several threads.
class Monotonic {
 public:
  virtual ~Monotonic() = default;
  virtual double now_s() = 0;
  virtual void wait_s(double seconds) = 0;
};

// CLOCK_MONOTONIC.
class SystemMonotonic final : public Monotonic {
 public:
  double now_s() override;
  void wait_s(double seconds) override;
};

}  // namespace fewwatt::hw
