#pragma once

namespace fewwatt::hw {

// A clock that only goes forward, and waiting by it. Tests use one of their own and need not wait. Safe to use from several threads.
class Monotonic {
 public:
  virtual ~Monotonic() = default;
  virtual double now_s() = 0;               // seconds since some fixed moment
  virtual void wait_s(double seconds) = 0;  // returns when they have passed
};

// The system's CLOCK_MONOTONIC.
class SystemMonotonic final : public Monotonic {
 public:
  double now_s() override;
  void wait_s(double seconds) override;
};

}  // namespace fewwatt::hw
