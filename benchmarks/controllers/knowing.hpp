#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/controllers/course.hpp"
#include "hw/random.hpp"
#include "learners/control/controller.hpp"

// Contestants who know what modes truly cost: what others are compared with.
namespace fewwatt::benchmarks {

// Always measures, and recommends, the fastest mode inside the budget; where none is, that of least power.
class Oracle final : public learners::Controller {
 public:
  explicit Oracle(const tasks::World& world);  // which must outlive it
  std::optional<hw::PowerMode> next(const learners::Context& context) override;
  void tell(const hw::PowerMode&, const hw::Measurement&) override {}
  std::optional<learners::Answer> answer() override;

 private:
  const tasks::World* world_;
  FastestNow fastest_;
};

// The same who may choose among some modes only, such as a vendor's presets.
class KnowingSome final : public learners::Controller {
 public:
  // `world` must outlive it. `modes` are of its space, one or more.
  KnowingSome(const tasks::World& world, std::vector<hw::PowerMode> modes);
  std::optional<hw::PowerMode> next(const learners::Context& context) override;
  void tell(const hw::PowerMode&, const hw::Measurement&) override {}
  std::optional<learners::Answer> answer() override;

 private:
  const tasks::World* world_;
  std::vector<hw::PowerMode> modes_;
};

// Measures modes at random, none twice, and recommends the one of them that truly is the fastest inside the budget: what luck finds.
class BestMeasured final : public learners::Controller {
 public:
  BestMeasured(const tasks::World& world, std::uint64_t seed);  // `world` must outlive it
  std::optional<hw::PowerMode> next(const learners::Context& context) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& measurement) override;
  std::optional<learners::Answer> answer() override;

 private:
  const tasks::World* world_;
  std::vector<std::size_t> order_;  // numbers of all modes, in random order
  std::size_t next_ = 0;
  std::vector<hw::PowerMode> measured_;
};

// The contestant of that name: oracle, presets of a board (hw::find_module) or best-measured. Throws std::invalid_argument for another.
std::unique_ptr<learners::Controller> make_knowing(const std::string& name, const tasks::World& world,
                                                   const std::string& module, std::uint64_t seed);

}  // namespace fewwatt::benchmarks
