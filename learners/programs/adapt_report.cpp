#include "learners/programs/adapt_report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <set>

#include "hw/counted.hpp"
#include "hw/printable.hpp"
#include "hw/readable.hpp"
#include "learners/registry.hpp"
#include "learners/spread.hpp"

namespace fewwatt::adapt {
namespace {

using Json = nlohmann::ordered_json;

// Of the workloads that the new one behaves like, those below are not printed: among many, it is like none of them.
constexpr double kLeastPercent = 10;

// Mean |predicted - measured| / measured over the profile's modes outside the support, in %; NaN where there
// is none.
std::array<double, tasks::kNumTargets> mape_on_others(const Input& input,
                                                      const learners::Predictor& predictor) {
  const std::set<hw::PowerMode> used(input.support.modes.begin(), input.support.modes.end());
  const auto all = tasks::samples_of(input.profile);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!used.contains(all.modes[i])) rows.push_back(i);
  }
  std::array<double, tasks::kNumTargets> mape;
  mape.fill(std::numeric_limits<double>::quiet_NaN());
  if (rows.empty()) return mape;
  const auto others = all.subset(rows);
  const auto prediction = predictor.predict(others.modes);
  for (int target = 0; target < tasks::kNumTargets; ++target) {
    double sum = 0;
    std::size_t n = 0;
    for (Eigen::Index i = 0; i < others.targets.rows(); ++i) {
      const double error = std::abs(prediction.median(i, target) / others.targets(i, target) - 1);
      if (std::isnan(error)) continue;
      sum += error;
      ++n;
    }
    if (n > 0) mape[static_cast<std::size_t>(target)] = 100 * sum / static_cast<double>(n);
  }
  return mape;
}

// Where the learner takes fewer rows than there are, says which.
void add_used_rows(const learners::Model& model, Input& input, Json& report) {
  const auto most = learners::find_learner(model.learner).most_rows;
  if (most == 0) return;
  const auto used = learners::spread_support(input.support, most);
  if (used.size() == input.support.size()) return;
  input.notices.push_back(model.learner + " takes at most " + std::to_string(most) + " rows: it uses " +
                          std::to_string(used.size()) + " of " + std::to_string(input.support.size()) +
                          " measured modes, those whose settings spread widest (--json lists them)");
  report["used"] = used.size();
  for (const auto& mode : used.modes)
    report["used_modes"].push_back(Json(std::vector<int>(mode.begin(), mode.end())));
}

// Says which values the learner left out.
void add_doubted(const learners::Model& model, Input& input, Json& report) {
  for (const auto& [mode, target] : model.doubted) {
    const auto row =
        static_cast<Eigen::Index>(std::find(model.support.modes.begin(), model.support.modes.end(), mode) -
                                  model.support.modes.begin());
    const double measured = model.support.targets(row, target);
    const double expected =
        model.prediction.median(static_cast<Eigen::Index>(*model.space->index_of(mode)), target);
    const std::string name = target == tasks::kTimeMs ? "time_ms" : "power_w";
    Json one;
    for (std::size_t k = 0; k < mode.size(); ++k)
      one["mode"][std::string(to_string(model.space->knobs()[k].role))] = mode[k];
    one[name] = {{"measured", measured}, {"expected", expected}};
    report["left_out"].push_back(std::move(one));
    const auto text = [target = target](double value) {
      return target == tasks::kTimeMs ? hw::readable_time(value) : hw::readable_power(value);
    };
    input.notices.push_back("left out: the " + std::string(tasks::kTargetNames[target]) + " of " +
                            text(measured) + " measured in " + hw::readable_mode(*model.space, mode) +
                            "; expected from the other rows: about " + text(expected));
  }
}

}  // namespace

Json report_of(const learners::Model& model, const learners::Predictor& predictor, Input& input,
               std::optional<std::size_t> fresh, const Took& took, const std::string& out) {
  Json report{{"out", out},
              {"device", model.device},
              {"workload", model.workload},
              {"learner", model.learner},
              {"shots", model.support.size()},
              {"modes", model.space->size()},
              {"adapt_ms", took.adapt_ms},
              {"predict_ms", took.predict_ms}};
  if (fresh) report["fresh"] = *fresh;
  add_used_rows(model, input, report);
  add_doubted(model, input, report);
  const auto mape = mape_on_others(input, predictor);
  const learners::Matrix medians = model.prediction.median();
  for (int target = 0; target < tasks::kNumTargets; ++target) {
    const Eigen::VectorXd column = medians.col(target);
    if (column.array().isNaN().any()) continue;
    auto& entry =
        report[tasks::kTargetNames[target]] = {{"least", column.minCoeff()}, {"greatest", column.maxCoeff()}};
    if (const double error = mape[static_cast<std::size_t>(target)]; !std::isnan(error))
      entry["mape"] = error;
    if (model.support.modes.empty()) {  // the median standard deviation of the log, %
      Eigen::VectorXd variance = model.prediction.log_variance.col(target);
      std::nth_element(variance.begin(), variance.begin() + variance.size() / 2, variance.end());
      entry["unsure"] = 100 * std::sqrt(variance[variance.size() / 2]);
    }
  }
  for (const auto& [workload, weight] : predictor.behaves_like())
    report["behaves_like"].push_back({{"workload", workload}, {"weight", weight}});
  for (const auto& [name, weights] : predictor.chosen()) {
    Json one{{"learner", name}};
    for (std::size_t t = 0; t < weights.size(); ++t)
      if (!std::isnan(weights[t])) one[tasks::kTargetNames[t]] = weights[t];
    report["weighs"].push_back(std::move(one));
  }
  return report;
}

void print(const Json& report) {
  std::cout << report["device"].get<std::string>() << '/' << report["workload"].get<std::string>() << ": "
            << report["learner"].get<std::string>()
            << (report["shots"] == 0
                    ? std::string(" without measured modes in ")
                    : " adapted to " + hw::counted(report["shots"].get<std::size_t>(), "measured mode") +
                          (report.contains("fresh") ? ", " + report["fresh"].dump() + " of them new," : "") +
                          " in ")
            << hw::readable_time(report["adapt_ms"]) << ", predicted "
            << hw::counted(report["modes"].get<std::size_t>(), "mode") << " in "
            << hw::readable_time(report["predict_ms"]) << '\n';
  for (const auto& [name, text] :
       {std::pair<const char*, std::string (*)(double, double)>("time", hw::readable_time),
        {"power", hw::readable_power}}) {
    if (!report.contains(name)) continue;
    const auto& target = report[name];
    std::cout << "  " << std::left << std::setw(6) << name << text(target["least"], 0) << " to "
              << text(target["greatest"], 0);
    if (target.contains("unsure"))
      std::cout << ", uncertain by about " << std::lround(target["unsure"].get<double>()) << " %";
    if (target.contains("mape"))
      std::cout << ", error on the other measured modes " << hw::readable_number(target["mape"], 2) << " %";
    std::cout << '\n';
  }
  if (report.contains("weighs")) {
    std::cout << "  weights: ";
    bool first = true;
    for (const auto& one : report["weighs"]) {
      std::cout << (first ? "" : ", ") << one["learner"].get<std::string>();
      for (const char* name : tasks::kTargetNames)
        if (one.contains(name))
          std::cout << ' ' << name << ' ' << std::lround(100 * one[name].get<double>()) << " %";
      first = false;
    }
    std::cout << '\n';
  }
  std::string like;
  for (const auto& similar : report.value("behaves_like", Json::array())) {
    const double percent = 100 * similar["weight"].get<double>();
    if (percent < kLeastPercent) break;  // falling by weight
    like += (like.empty() ? "" : ", ") + similar["workload"].get<std::string>() + ' ' +
            std::to_string(std::lround(percent)) + " %";
  }
  if (!like.empty()) std::cout << "  behaves like: " << hw::printable(like) << '\n';
  std::cout << "  -> " << report["out"].get<std::string>() << '\n';
}

}  // namespace fewwatt::adapt
