#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/random.hpp"
#include "learners/optimize/measured_search.hpp"

namespace fewwatt::learners {

// Times and powers of modes, drawn together from what is predicted; independently where no covariance is known.
class Draws {
 public:
  // repeat_error: SearchOptions::repeat_error.
  Draws(const Predictor& predictor, std::span<const hw::PowerMode> modes, double repeat_error);

  std::array<Vector, tasks::kNumTargets> operator()(hw::Rng& rng) const;  // ms, W; [n] each

 private:
  std::array<Vector, tasks::kNumTargets> mean_;
  std::array<Eigen::MatrixXd, tasks::kNumTargets> root_;
};

// A search that adapts a learner to all measurements before it asks for the next one.
class ModelSearch : public MeasuredSearch {
 public:
  // start: the sampler that asks for the first SearchOptions::start() modes.
  ModelSearch(std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
              Goal goal, SearchOptions options, std::string_view start);

  void aim(const Goal& goal) override;
  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override;
  double expected_gain(std::size_t more) override;

 protected:
  // The start, then what pick_again() and pick() choose.
  std::optional<hw::PowerMode> next() override;

  // Whether the next measurement is expected to gain less than SearchOptions::stop_gain.
  bool enough() { return options_.stop_gain > 0 && best_measured() && expected_gain(1) < options_.stop_gain; }

  // The probability that the mean of a measured mode keeps the limits after one more measurement: see pick_again of ImprovementSearch.
  double fits_after_one_more(const hw::PowerMode& mode,
                             const std::array<Logs, tasks::kNumTargets>& cost) const;

  // The row of pool_ to measure next, of those that were not asked for yet.
  virtual std::optional<Eigen::Index> pick() = 0;
  // A mode to measure again, where that is worth more than measuring any other.
  virtual std::optional<hw::PowerMode> pick_again() { return std::nullopt; }

  // The next mode of the start.
  std::optional<hw::PowerMode> started();

  void changed() override { predictor_.reset(); }

  // A measurement is noisy; the learner also knows those of the other modes.
  Judged judged(const hw::PowerMode& mode, double measured_score) override;

  // Adapts the learner and predicts the pool, unless nothing was told since the last time.
  void look();

  // p EI of a row of pool_ over the score `best`.
  double improvement(Eigen::Index i, double best) const;

  // The score to improve on: that of the answer, or of the mode that is surest to fit.
  double score_to_beat();

  Eigen::Index surest() const;  // the row of pool_ that is surest to fit

  // The row with the largest value among those not asked; nullopt when none is above -inf.
  std::optional<Eigen::Index> best_unasked(const std::function<double(Eigen::Index)>& value) const;

  std::shared_ptr<const Learner> learner_;      // adapted to all measurements
  std::unique_ptr<tasks::ModeSampler> start_;   // asks for the first modes
  std::unique_ptr<const Predictor> predictor_;  // of all measurements; nullptr: something was measured since
  std::vector<hw::PowerMode> pool_;             // the modes that are looked at
  Beliefs beliefs_;                             // of pool_
  // What is known of a measured mode.
  struct AtMeasured {
    Eigen::Index row;  // of measured_costs_
    Judged judged;     // by all measurements
    // The part of the variance of one measurement, about what is smooth, that another measurement draws anew.
    double repeated;
  };
  std::map<hw::PowerMode, AtMeasured> at_measured_;  // by mode
  Costs measured_costs_;                             // of the measured modes
  std::size_t looked_at_ = 0;  // number of measurements when the whole space was predicted

 private:
  // As in Samples, in the order of measured_. A mean of several measurements has less noise, but the mode's own part stays.
  Matrix noise_factors() const;

  void judge();           // fills at_measured_ and measured_costs_
  void keep_promising();  // of pool_ and beliefs_
};

}  // namespace fewwatt::learners
