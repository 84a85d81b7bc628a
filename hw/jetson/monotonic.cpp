#include "hw/jetson/monotonic.hpp"

#include <chrono>
#include <thread>

namespace fewwatt::hw {

double SystemMonotonic::now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void SystemMonotonic::wait_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace fewwatt::hw
