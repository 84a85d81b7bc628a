#include <cmath>

#include "learners/govern.hpp"

namespace fewwatt::learners {

void GovernorOptions::each(OptionVisitor& on) {
  constexpr std::int64_t kMost = 1'000'000;
  on.real("kept", kept, 0.5, 0.999999,
          "probability that a measured mode keeps the budget, from which on it is kept");
  on.whole("candidates", candidates, 1, kMost,
           "modes looked at for a decision, besides measured ones and neighbours");
  on.whole("fewer", fewer, 1, kMost, "so many times fewer are looked at again with the same predictor");
  on.real("stay_windows", stay_windows, 1e-3, 1e6, "windows that a workload is expected to stay, at first");
  on.real("bias", bias, 1e-6, 10,
          "standard deviation of what predicted logs are off by beside what they say");
  on.real("least_noise", least_noise, 1e-6, 10, "standard deviation of a measurement's log, at least");
  on.real("change.allowance", change.allowance, 1e-6, 1e3,
          "half of the least shift that is noticed, standard deviations");
  on.real("change.threshold", change.threshold, 1e-6, 1e6,
          "sum of residuals from which on a workload has changed");
  on.real("surprise", surprise, 1e-6, 1e3, "standard deviations from which on a new mode is cause to check");
  on.real("same", same, 1e-6, 1e3, "standard deviations within which a workload of before is recognised");
  on.whole("left_alone_for", left_alone_for, 0, kMost,
           "windows after it was left in which a workload is not recognised");
  on.whole("unconfirmed_for", unconfirmed_for, 0, kMost,
           "windows after which a recognised workload needs no more proof");
  on.real("like_before", like_before, 1e-6, 10,
          "standard deviation of logs from those of the workload before, shifted");
  on.real("like_before_rows", like_before_rows, 0, 1e6, "rows that like_before counts as");
  on.whole("inherits_until", inherits_until, 0, kMost,
           "measured modes until which the workload before is gone by");
  on.real("odds_at_first", odds_at_first, -100, 100,
          "log odds that the workload before tells of the new one");
  on.real("unlike", unlike, -100, 100, "log odds from which on the workload before is done with");
  on.real("most_odds", most_odds, 1e-6, 100, "bound of the log odds, either way");
  on.real("temper", temper, 1e-6, 1, "what a log density counts for in the odds");
  on.real("vague", vague, 1e-6, 10, "standard deviation of a log that no prediction is better than");
  on.whole("explores_until", explores_until, 0, kMost, "measured modes until which it explores");
  on.real("explores_for", explores_for, 0, 1e6, "windows that a workload must be expected to stay for that");
  on.real("much_faster", much_faster, 0, 10, "log time that a mode must promise to gain for that");
  on.real("much_slower", much_slower, 0, 10, "log time that an explored mode may lose");
  on.whole("worth_keeping", worth_keeping, 1, kMost, "measured modes of a workload that is remembered");
  on.whole("workloads", workloads, 0, kMost, "workloads of before that are remembered");
  on.whole("rejected_for", rejected_for, 0, kMost,
           "windows in which a mode that could not be measured is left alone");
}

std::string GovernorOptions::error() const {
  for (const double value : {confidence, kept})
    if (!(value >= 0.5 && value < 1))
      return "GovernorOptions: confidence and kept must be at least 0.5 and below 1";
  for (const double value :
       {stay_windows, bias, least_noise, surprise, same, like_before, most_odds, temper, vague})
    if (!(value > 0) || !std::isfinite(value))
      return "GovernorOptions: stay_windows, bias, least_noise, surprise, same, like_before, most_odds, "
             "temper and "
             "vague must be > 0";
  for (const double value : {like_before_rows, explores_for, much_faster, much_slower})
    if (!(value >= 0) || !std::isfinite(value))
      return "GovernorOptions: like_before_rows, explores_for, much_faster and much_slower must be >= 0";
  if (candidates == 0 || fewer == 0) return "GovernorOptions: candidates and fewer must be > 0";
  if (auto bad = forgetting.error(); !bad.empty()) return bad;
  return change.error();
}

}  // namespace fewwatt::learners
