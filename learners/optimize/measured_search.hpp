#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "learners/optimize/search.hpp"

// What the searches of builtin_searches() have in common.
namespace fewwatt::learners {

// The log of the objective of what was measured, or drawn.
double log_objective(const Objective& objective, double time_ms, double power_w);

// Whether time and power, and the energy that they give, keep all limits.
bool within(const PowerBudget& limits, double time_ms, double power_w);

// What modes are expected to cost, in logs, [n, targets]. Variances are 0 for a learner without uncertainty.
struct Costs {
  Matrix log_mean;         // medians
  Matrix smooth, own;      // variances of the part that neighbouring modes share, and of the mode's own part
  double repeat_variance;  // of repeated measurements of one mode
};

// repeat_error: SearchOptions::repeat_error.
Costs costs_of(const Prediction& prediction, double repeat_error);

// How good modes are expected to be for a goal.
struct Beliefs {
  Vector score, score_sd;  // log objective
  Vector fits;             // the probability that a measurement, or the mode itself, keeps all limits
};

// What must keep the limits: one more measurement, with its noise, or the mode itself.
enum class Keeps { a_measurement, the_mode };
// Of modes that are expected to cost this; [n] each.
Beliefs beliefs_of(const Goal& goal, const Costs& costs, Keeps which);

// Keeps the modes that were asked for or told of, and what they cost.
class MeasuredSearch : public Search {
 public:
  // The goal and the options are valid.
  MeasuredSearch(std::shared_ptr<const hw::PowerModeSpace> space, Goal goal, SearchOptions options)
      : space_(std::move(space)), goal_(std::move(goal)), options_(std::move(options)) {}

  std::optional<hw::PowerMode> ask() final;
  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override;
  std::optional<Answer> answer() override;
  std::optional<Answer> nearest() const override;
  double expected_gain(std::size_t more) override;
  void aim(const Goal& goal) override;

 protected:
  // What to measure next; nullopt: nothing.
  virtual std::optional<hw::PowerMode> next() = 0;
  virtual void changed() {}  // something was measured
  // How good a measured mode is: its log objective, and the probability that it keeps the limits. Here, by its measurements alone.
  struct Judged {
    double score, fits;  // log objective, and a probability
  };
  // measured_score: the log objective of the means of its measurements.
  virtual Judged judged(const hw::PowerMode&, double measured_score) { return {measured_score, 1}; }

  // The mode with the least score plus price of breaking limits, among those whose measurements are within the limits and that keep
  // them with the asked-for probability.
  std::optional<std::pair<hw::PowerMode, double>> best_measured();

  // Whether it asked for the mode, or was told of it.
  bool was_asked(const hw::PowerMode& mode) const { return asked_.contains(mode); }
  // How many measurements are left of those planned.
  std::size_t left() const { return options_.planned - std::min(options_.planned, num_asked_); }

  Samples support() const;  // the measured modes, in order, with the means of their measurements

  // The measurements of one mode; `sum` is that of their logs, which are normal.
  struct Logs {
    double sum = 0, of_values = 0;  // of logs, and of the values
    int count = 0;                  // number of measurements
    void add(double value);         // one more measurement, > 0
    double mean() const;            // NaN of none
  };

  std::shared_ptr<const hw::PowerModeSpace> space_;                         // of the device
  Goal goal_;                                                               // what is looked for
  SearchOptions options_;                                                   // how
  std::map<hw::PowerMode, std::array<Logs, tasks::kNumTargets>> measured_;  // what modes cost, by target
  std::set<hw::PowerMode> asked_;                                           // asked for, or told of
  std::multiset<hw::PowerMode> awaited_;                                    // asked for, and not told of yet
  std::size_t num_asked_ = 0;  // measurements asked for, or told of unasked
};

// As SearchEntry::make.
using MakeSearch = decltype(SearchEntry::make);

// `more` are what the constructor of S takes after the options.
template <class S, class... More>
MakeSearch maker(More... more) {
  return [=](std::shared_ptr<const hw::PowerModeSpace> space, std::shared_ptr<const Learner> learner,
             const Goal& goal, const SearchOptions& options) {
    return std::make_unique<S>(std::move(space), std::move(learner), goal, options, more...);
  };
}

// One search each; `start` is the sampler that begins.
MakeSearch improvement_search(std::string start);
MakeSearch thompson_search(std::string start);
MakeSearch safe_search(std::string start);
MakeSearch bisection_search();

}  // namespace fewwatt::learners
