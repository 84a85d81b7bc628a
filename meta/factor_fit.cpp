#include "meta/factor_fit.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "hw/random.hpp"
#include "hw/readable.hpp"
#include "learners/optimizer.hpp"

namespace fewwatt::meta {
namespace {

using learners::FactorParameters;
using learners::FactorRows;
using learners::TargetRows;
using tasks::Matrix;
using tasks::Vector;
using Index = Eigen::Index;
using Modes = std::vector<hw::PowerMode>;

// So many of n, evenly.
std::vector<std::size_t> evenly(std::size_t n, std::size_t most) {
  std::vector<std::size_t> some;
  for (std::size_t i = 0; i < std::min(n, most); ++i) some.push_back(i * n / std::min(n, most));
  return some;
}

std::vector<TargetRows> workloads_of(std::span<const datasets::Profile> training, tasks::Target target,
                                     std::size_t most) {
  std::vector<TargetRows> all;
  for (const auto& profile : training) {
    auto rows = learners::rows_of(tasks::samples_of(profile), target);
    if (rows.modes.size() > 1) all.push_back(std::move(rows));
  }
  std::vector<TargetRows> some;
  for (const auto i : evenly(all.size(), most)) some.push_back(std::move(all[i]));
  return some;
}

Modes common(const Modes& a, const Modes& b) {
  Modes both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// Log targets of the workloads in modes that all of them have: [w,g].
Matrix logs_in(const std::vector<TargetRows>& workloads, const Modes& modes) {
  Matrix logs(static_cast<Index>(workloads.size()), static_cast<Index>(modes.size()));
  for (std::size_t w = 0; w < workloads.size(); ++w)
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const auto& of = workloads[w].modes;
      const auto at = std::lower_bound(of.begin(), of.end(), modes[i]) - of.begin();
      logs(static_cast<Index>(w), static_cast<Index>(i)) = std::log(workloads[w].values[at]);
    }
  return logs;
}

Matrix knobs_of(const hw::PowerModeSpace& space, const Modes& modes) {
  const auto settings = [&](const Modes& of) -> Matrix {
    return learners::encode(learners::FeatureSet::raw, space, of).array().log().matrix();
  };
  return learners::Scaler::fit(settings(space.modes()))(settings(modes));
}

// The workloads that are left out one by one, each with what the others have in some modes: some that all have, or, where there are
// none, some of its own, in which nothing is known of the others.
std::vector<FactorRows> rows_left_out(const std::vector<TargetRows>& workloads, const Matrix& logs,
                                      const Modes& modes, const FactorFitOptions& options,
                                      std::uint64_t seed) {
  std::vector<FactorRows> all;
  const auto some_of = [&](std::size_t n, std::uint64_t draw) {
    auto drawn = hw::Rng::stream(seed, "factor rows", draw).sample(n, std::min(n, options.rows));
    std::sort(drawn.begin(), drawn.end());
    return drawn;
  };
  const auto shared = some_of(modes.size(), 0);
  for (const auto w : evenly(workloads.size(), options.left_out)) {
    throw_if_told(options.interrupted);
    const auto& of = workloads[w];
    const auto drawn = modes.empty() ? some_of(of.modes.size(), w + 1) : shared;
    FactorRows rows;
    Modes at;
    rows.logs.resize(static_cast<Index>(drawn.size()));
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      at.push_back(modes.empty() ? of.modes[drawn[i]] : modes[drawn[i]]);
      rows.logs[static_cast<Index>(i)] = modes.empty()
                                             ? std::log(of.values[static_cast<Index>(drawn[i])])
                                             : logs(static_cast<Index>(w), static_cast<Index>(drawn[i]));
    }
    rows.knobs = knobs_of(*of.space, at);
    rows.mean = Vector::Zero(rows.logs.size());
    rows.factors.resize(0, rows.logs.size());
    if (!modes.empty() && workloads.size() > 1) {
      Matrix others(logs.rows() - 1, rows.logs.size());
      for (Index i = 0, row = 0; i < logs.rows(); ++i)
        if (i != static_cast<Index>(w)) others.row(row++) = logs.row(i)(drawn);
      others.colwise() -= others.rowwise().mean().eval();
      rows.mean = others.colwise().mean().transpose();
      const auto n = static_cast<double>(others.rows());
      if (others.rows() > 1)
        rows.factors = std::sqrt((1 + 1 / n) / (n - 1)) * (others.rowwise() - rows.mean.transpose());
    }
    all.push_back(std::move(rows));
  }
  return all;
}

}  // namespace

void FactorFitOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", steps, 0, kMostSteps, "greatest number of Adam's steps");
  on.real("rate", rate, 1e-9, 1e3, "learning rate of Adam");
  on.whole("rows", rows, 2, 10'000, "greatest number of rows of each workload");
  on.whole("workloads", workloads, 1, 1'000'000, "greatest number of workloads that are learned from");
  on.whole("left_out", left_out, 1, 1'000'000,
           "greatest number of these that are left out, one at a time, to be predicted from the others");
}

std::string FactorFitOptions::error() const {
  if (steps < 0) return "FactorFitOptions: steps must be >= 0, got " + std::to_string(steps);
  if (!(rate > 0) || !std::isfinite(rate))
    return "FactorFitOptions: rate must be > 0, got " + hw::number_text(rate);
  if (rows < 2 || workloads < 1 || left_out < 1)
    return "FactorFitOptions: rows must be >= 2, workloads and left_out >= 1";
  return "";
}

learners::FactorModel fit_factor(std::span<const datasets::Profile> training, const FactorFitOptions& options,
                                 std::uint64_t seed, const std::function<void(const std::string&)>& log) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  if (training.empty()) throw std::invalid_argument("factor: no profile to train on");
  learners::FactorModel model;
  model.knobs = learners::roles_text(*training[0].space);
  for (const auto& profile : training) learners::check_roles("factor", model.knobs, *profile.space);

  std::array<std::vector<TargetRows>, tasks::kNumTargets> workloads;
  std::optional<Modes> modes;
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    workloads[t] = workloads_of(training, static_cast<tasks::Target>(t), options.workloads);
    for (const auto& workload : workloads[t]) modes = modes ? common(*modes, workload.modes) : workload.modes;
  }
  if (modes && modes->size() > 1) model.modes = *modes;
  const auto d = static_cast<Index>(training[0].space->knobs().size());
  for (int t = 0; t < tasks::kNumTargets; ++t) {
    const auto w = workloads[t].size();
    if (w == 0) continue;
    const auto logs = logs_in(workloads[t], model.modes);
    const auto rows = rows_left_out(workloads[t], logs, model.modes, options, seed);
    const Vector middle = FactorParameters::medians(d, w).flat(),
                 precision = FactorParameters::spreads(d).flat().cwiseAbs2().cwiseInverse();
    const Vector best = learners::minimise(
        middle, options.steps, options.rate, learners::kManyRows, [&](const Vector& at, Vector* gradient) {
          throw_if_told(options.interrupted);
          *gradient = precision.cwiseProduct(at - middle);
          double sum = 0.5 * gradient->dot(at - middle);
          Vector slope;
          for (const auto& one : rows) {
            sum += learners::factor_objective(FactorParameters::from_flat(at), one, &slope);
            *gradient += slope;
          }
          return sum;
        });
    const auto found = FactorParameters::from_flat(best);
    const auto factors = learners::factors_of(logs);
    const double share = 1 / (1 + std::exp(-found.log_mean));
    model.targets[t] =
        learners::FactorTarget{share * factors.mean, std::exp(found.log_scale) * factors.roots,
                               static_cast<int>(w),  found.log_signal,
                               found.log_lengths,    learners::expected_log_noise(found.log_noise, w)};
    if (log)
      log(std::string(tasks::kTargetNames[t]) + ": " + std::to_string(w) + " workloads in " +
          std::to_string(model.modes.size()) + " common modes, " + std::to_string(factors.roots.rows()) +
          " factors, scale " + hw::readable_number(std::exp(found.log_scale)) + ", own part of a workload " +
          hw::readable_number(100 * std::exp(found.log_signal), 2) + " %, noise " +
          hw::readable_number(100 * std::exp(found.log_noise), 2) + " %");
  }
  return model;
}

}  // namespace fewwatt::meta
