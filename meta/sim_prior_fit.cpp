#include "meta/sim_prior_fit.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "hw/numbers.hpp"
#include "hw/random.hpp"
#include "hw/readable.hpp"
#include "learners/optimizer.hpp"
#include "meta/net_state.hpp"

namespace fewwatt::meta {
namespace {

using learners::SimPriorFitted;
using learners::SimPriorRows;
using learners::SimPriorTarget;
using tasks::kNumTargets;
using tasks::kTargetNames;
using tasks::Matrix;
using tasks::Vector;
using Index = Eigen::Index;

// Rows of all workloads together for which it is kept what the simulated ones do there, 0.5 GB; rows that workloads share count
// once. Where there are more, each workload is fitted to so many of its rows as are its share.
constexpr std::size_t kMostKept = 400'000;

std::string percent(double share) {
  return hw::readable_number(100 * share) + " %";
}

// Modes that workloads were measured in, and what the simulated ones do there.
struct Measured {
  std::shared_ptr<const hw::PowerModeSpace> space;
  std::vector<hw::PowerMode> modes;
  learners::SimInputs inputs;
  learners::SimPopulation::Rows logs;  // [simulated, n]
  Vector levels;                       // [simulated] their means
};

// The known rows of a workload, beside those of the simulated workloads, or of other workloads.
struct Workload {
  std::shared_ptr<const Measured> measured;
  std::shared_ptr<const Matrix> others;  // [w,n] centred logs of all workloads; nullptr: the simulated ones
  Index self = 0;                        // row of `others` that is left out
  Vector logs;                           // [n]
};

std::shared_ptr<const Measured> measured_in(std::shared_ptr<const hw::PowerModeSpace> space,
                                            std::vector<hw::PowerMode> modes, tasks::Target target,
                                            const learners::SimPopulation& population) {
  auto measured = std::make_shared<Measured>();
  std::vector<std::size_t> which(population.size());
  std::iota(which.begin(), which.end(), std::size_t{0});
  auto logs = population.simulate(*space, modes, which);
  measured->logs = std::move(target == tasks::kTimeMs ? logs.time : logs.power);
  measured->levels = Matrix(measured->logs.cast<double>()).rowwise().mean();
  measured->inputs = learners::SimEncoder(*space)(modes);
  measured->space = std::move(space);
  measured->modes = std::move(modes);
  return measured;
}

bool same_modes(const learners::TargetRows& a, const learners::TargetRows& b) {
  return a.modes == b.modes && *a.space == *b.space;
}

// Of the training profiles that have more than one row with the target. logs: of all of their rows.
std::vector<Workload> workloads_of(std::span<const datasets::Profile> training, tasks::Target target,
                                   const learners::SimPopulation& population, std::uint64_t seed,
                                   const StopCheck& interrupted, std::vector<Vector>& logs) {
  std::vector<learners::TargetRows> distinct;  // in their modes
  std::vector<std::size_t> of;                 // of each workload
  std::size_t rows = 0;
  for (const auto& profile : training) {
    throw_if_told(interrupted);
    auto known = learners::rows_of(tasks::samples_of(profile), target);
    if (known.modes.size() < 2) continue;
    logs.emplace_back(known.values.array().log());
    const auto found = std::find_if(distinct.begin(), distinct.end(),
                                    [&](const auto& other) { return same_modes(known, other); });
    of.push_back(static_cast<std::size_t>(found - distinct.begin()));
    if (found != distinct.end()) continue;
    rows += known.modes.size();
    distinct.push_back(std::move(known));
  }
  std::vector<std::shared_ptr<const Measured>> measured;
  std::vector<std::vector<std::size_t>> kept(distinct.size());  // empty: all
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    throw_if_told(interrupted);
    auto& [space, modes, values, noise_factors] = distinct[i];
    if (rows > kMostKept) {
      auto rng = hw::Rng::stream(seed, "sim_prior kept rows");
      const auto share = std::max<std::size_t>(2, kMostKept / distinct.size());
      kept[i] = rng.sample(modes.size(), std::min(modes.size(), share));
      std::sort(kept[i].begin(), kept[i].end());
      std::vector<hw::PowerMode> some;
      for (const auto row : kept[i]) some.push_back(modes[row]);
      modes = std::move(some);
    }
    measured.push_back(measured_in(std::move(space), std::move(modes), target, population));
  }
  std::vector<Workload> workloads;
  for (std::size_t w = 0; w < of.size(); ++w)
    workloads.push_back(
        {measured[of[w]], nullptr, 0, kept[of[w]].empty() ? logs[w] : Vector(logs[w](kept[of[w]]))});
  return workloads;
}

SimPriorRows some_rows(const Workload& workload, const std::vector<std::size_t>& drawn) {
  SimPriorRows rows;
  const auto& inputs = workload.measured->inputs;
  rows.inputs = {inputs.knobs(drawn, Eigen::all), inputs.psi(drawn, Eigen::all)};
  Matrix logs;
  if (workload.others == nullptr) {
    logs = workload.measured->logs(Eigen::all, drawn).cast<double>();
    logs.colwise() -= workload.measured->levels;
  } else {
    const auto& all = *workload.others;
    const auto before = workload.self, after = all.rows() - 1 - workload.self;
    logs.resize(before + after, static_cast<Index>(drawn.size()));
    logs.topRows(before) = all.topRows(before)(Eigen::all, drawn);
    logs.bottomRows(after) = all.bottomRows(after)(Eigen::all, drawn);
  }
  const Eigen::RowVectorXd mean = logs.colwise().mean();
  logs.rowwise() -= mean;
  rows.simulated = logs.transpose() * logs / static_cast<double>(logs.rows());
  rows.left = workload.logs(drawn) - mean.transpose();
  rows.left.array() -= rows.left.mean();
  return rows;
}

std::vector<std::size_t> drawn_rows(const Workload& workload, const SimPriorFitOptions& options,
                                    hw::Rng& rng) {
  const auto n = static_cast<std::size_t>(workload.logs.size());
  return rng.sample(n, std::min(n, options.rows));
}

// The modes in which every profile that has the target was measured; empty when they differ.
std::vector<hw::PowerMode> common_modes(std::span<const datasets::Profile> training) {
  for (const auto& profile : training)
    if (profile.modes != training[0].modes) return {};
  return training[0].modes;
}

}  // namespace

void SimPriorFitOptions::each(learners::OptionVisitor& on) {
  on.whole("steps", steps, 0, kMostSteps, "steps of Adam");
  on.real("rate", rate, 1e-9, 1e3, "Adam's rate");
  on.whole("rows", rows, 2, 10'000, "rows of each workload, drawn anew in each step");
  on.real("pull", pull, 0, 1e6, "how strongly hyper-parameters are pulled to the usual ones");
  on.whole("simulated", simulated, 2, 100'000, "simulated workloads that the covariance is of");
}

std::string SimPriorFitOptions::error() const {
  if (steps < 0) return "SimPriorFitOptions: steps must be >= 0, got " + std::to_string(steps);
  if (rows < 1) return "SimPriorFitOptions: rows must be >= 1, got 0";
  if (simulated < 2) return "SimPriorFitOptions: simulated must be >= 2, got " + std::to_string(simulated);
  if (!(rate > 0) || !std::isfinite(rate))
    return "SimPriorFitOptions: rate must be > 0, got " + hw::number_text(rate);
  if (!(pull >= 0) || !std::isfinite(pull))
    return "SimPriorFitOptions: pull must be >= 0, got " + hw::number_text(pull);
  return "";
}

namespace {

// Adam on the objective, from where `target` is, drawn to `usual`. Returns the last value.
double fit(const std::vector<Workload>& workloads, const SimPriorFitOptions& options, std::uint64_t seed,
           const std::string& stream, const SimPriorFitted& usual, SimPriorFitted& target) {
  const Vector middle = learners::sim_prior_parameters(usual);
  const auto count = static_cast<double>(workloads.size());
  Vector parameters = learners::sim_prior_parameters(target), gradient;
  learners::Adam<double> adam(parameters.size(), options.rate);
  double objective = 0;
  for (int step = 0; step < options.steps; ++step) {
    objective = options.pull * (parameters - middle).squaredNorm();
    Vector sum = 2 * options.pull * (parameters - middle);
    for (std::size_t w = 0; w < workloads.size(); ++w) {
      throw_if_told(options.interrupted);
      auto rng = hw::Rng::stream(seed, stream, static_cast<std::uint64_t>(step) * workloads.size() + w);
      const auto rows = some_rows(workloads[w], drawn_rows(workloads[w], options, rng));
      objective += learners::sim_prior_objective(target, rows, &gradient) / count;
      sum += gradient / count;
    }
    adam.step(parameters, sum);
    learners::set_sim_prior_parameters(target, parameters);
  }
  return objective;
}

// Workloads that were measured in the same modes, each with the others in place of the simulated ones.
std::vector<Workload> each_by_the_others(const std::vector<Workload>& workloads) {
  Matrix centred(static_cast<Index>(workloads.size()), workloads[0].logs.size());
  for (std::size_t w = 0; w < workloads.size(); ++w)
    centred.row(static_cast<Index>(w)) = (workloads[w].logs.array() - workloads[w].logs.mean()).transpose();
  const auto others = std::make_shared<const Matrix>(std::move(centred));
  auto all = workloads;
  for (std::size_t w = 0; w < all.size(); ++w) {
    all[w].others = others;
    all[w].self = static_cast<Index>(w);
  }
  return all;
}

// Of the workloads, how many `a` explains rather than `b`, with one more for either.
double share_of(const std::vector<Workload>& by_a, const SimPriorFitted& a, const std::vector<Workload>& by_b,
                const SimPriorFitted& b, const SimPriorFitOptions& options, std::uint64_t seed) {
  double sum = 1;
  for (std::size_t w = 0; w < by_a.size(); ++w) {
    throw_if_told(options.interrupted);
    auto rng = hw::Rng::stream(seed, "sim_prior share", w);
    const auto drawn = drawn_rows(by_a[w], options, rng);
    const double more = static_cast<double>(drawn.size()) *
                        (learners::sim_prior_objective(b, some_rows(by_b[w], drawn), nullptr) -
                         learners::sim_prior_objective(a, some_rows(by_a[w], drawn), nullptr));
    sum += 1 / (1 + std::exp(-more));
  }
  return sum / (static_cast<double>(by_a.size()) + 2);
}

// Those of the profiles that state what their workloads are; nullopt, and why, when they are too few or on boards that differ.
std::optional<learners::StatedWorkloads> stated_workloads(
    std::span<const datasets::Profile> training, const std::function<void(const std::string&)>& log) {
  const auto states = [](const tasks::Characteristics& c) {
    return std::any_of(std::begin(tasks::kCharacteristics), std::end(tasks::kCharacteristics),
                       [&](const auto& one) { return (c.*one.second).has_value(); });
  };
  std::vector<tasks::Samples> all;
  for (const auto& profile : training) {
    auto samples = tasks::samples_of(profile);
    if (states(samples.characteristics)) all.push_back(std::move(samples));
  }
  if (const auto most = static_cast<std::size_t>(learners::kMostStated); all.size() > most) {  // evenly
    if (log)
      log("stated characteristics: " + std::to_string(most) + " of " + std::to_string(all.size()) +
          " workloads are used");
    std::vector<tasks::Samples> some;
    for (std::size_t i = 0; i < most; ++i) some.push_back(std::move(all[i * all.size() / most]));
    all = std::move(some);
  }
  const auto w = static_cast<Index>(all.size());
  if (w < learners::kFewestStated) return std::nullopt;
  learners::StatedWorkloads stated;
  stated.characteristics =
      Matrix::Constant(w, static_cast<Index>(std::size(tasks::kCharacteristics)), std::nan(""));
  for (std::size_t k = 0; k < all[0].space->knobs().size(); ++k)
    stated.highest.push_back(all[0].space->max_level(k));
  stated.lowest = Vector::Ones(static_cast<Index>(stated.highest.size()));
  for (Index i = 0; i < w; ++i) {
    const auto& samples = all[static_cast<std::size_t>(i)];
    const Matrix x = learners::encode(learners::FeatureSet::raw, *samples.space, samples.modes);
    stated.lowest = stated.lowest.cwiseMin(x.colwise().minCoeff().transpose());
    for (std::size_t k = 0; k < stated.highest.size(); ++k) {
      if (samples.space->max_level(k) == stated.highest[k]) continue;
      if (log) log("stated characteristics are not used: the training profiles are of different boards");
      return std::nullopt;
    }
    for (Index j = 0; j < stated.characteristics.cols(); ++j)
      stated.characteristics(i, j) =
          (samples.characteristics.*tasks::kCharacteristics[j].second).value_or(std::nan(""));
    stated.time_of.push_back(static_cast<int>(samples.characteristics.time_of));
  }
  for (int t = 0; t < kNumTargets; ++t) {
    Matrix curves;
    double squares = 0;
    for (const auto& samples : all) {
      const auto rows = learners::rows_of(samples, static_cast<tasks::Target>(t));
      if (rows.modes.empty()) {
        curves.resize(0, 0);
        break;
      }
      const auto curve = learners::fit_curve(learners::curve_features(*rows.space, rows.modes, stated.lowest),
                                             rows.values.array().log());
      curves.conservativeResize(curves.rows() + 1, curve.coefficients.size());
      curves.bottomRows(1) = curve.coefficients.transpose();
      squares += curve.error * curve.error;
    }
    if (curves.size() == 0) continue;
    stated.curves[t] = std::move(curves);
    stated.curve_errors[t] = std::sqrt(squares / static_cast<double>(w));
    if (log)
      log(std::string(kTargetNames[t]) + ": curves of " + std::to_string(w) +
          " workloads with characteristics, off by " + percent(stated.curve_errors[t]));
  }
  return stated;
}

}  // namespace

learners::SimPriorModel fit_sim_prior(std::span<const datasets::Profile> training,
                                      const SimPriorFitOptions& options, std::uint64_t seed,
                                      const std::function<void(const std::string&)>& log,
                                      const learners::SimPriorModel* start) {
  if (const auto error = options.error(); !error.empty()) throw std::invalid_argument(error);
  if (training.empty()) throw std::invalid_argument("sim_prior: no profile to train on");
  learners::SimPriorModel model;
  model.workloads = static_cast<int>(training.size());
  model.knobs = learners::roles_text(*training[0].space);
  const auto d = static_cast<Index>(training[0].space->knobs().size());
  const auto p = learners::sim_features(*training[0].space);
  for (const auto& profile : training) {
    learners::check_roles("sim_prior", model.knobs, *profile.space);
    if (learners::sim_features(*profile.space) != p)
      throw std::invalid_argument("sim_prior: knobs of " + profile.device + "/" + profile.workload +
                                  " that have one level have more in other profiles");
  }
  if (start != nullptr) check_start(start->knobs, model.knobs);
  model.modes = common_modes(training);
  SimPriorFitted usual;
  usual.residual = learners::usual_residual(d, p);
  model.stated = stated_workloads(training, log);
  const learners::SimPopulation population(options.simulated, 0);
  for (int t = 0; t < kNumTargets; ++t) {
    std::vector<Vector> logs;
    const auto workloads =
        workloads_of(training, static_cast<tasks::Target>(t), population, seed, options.interrupted, logs);
    if (workloads.empty()) continue;
    const auto* had = start != nullptr && start->targets[t] ? &*start->targets[t] : nullptr;
    SimPriorTarget target;
    static_cast<SimPriorFitted&>(target) = had != nullptr ? static_cast<const SimPriorFitted&>(*had) : usual;
    const std::string name = kTargetNames[t];
    const double objective = fit(workloads, options, seed, "sim_prior rows of " + name, usual, target);
    const bool same_rows = std::all_of(logs.begin(), logs.end(), [&](const Vector& of_one) {
      return static_cast<std::size_t>(of_one.size()) == model.modes.size();
    });
    if (!model.modes.empty() && same_rows) {
      target.training.resize(static_cast<Index>(workloads.size()), static_cast<Index>(model.modes.size()));
      for (std::size_t w = 0; w < workloads.size(); ++w)
        target.training.row(static_cast<Index>(w)) = logs[w].transpose();
    }
    std::string mixed;
    if (target.training.rows() > 1) {
      const auto others = each_by_the_others(workloads);
      target.mixed = had != nullptr && had->mixed ? *had->mixed : usual;
      const double mixed_objective =
          fit(others, options, seed, "sim_prior mixed rows of " + name, usual, *target.mixed);
      target.mixed_share = share_of(others, *target.mixed, workloads, target, options, seed);
      mixed = "; " + percent(target.mixed_share) +
              " of the workloads are more like mixtures of the others than like simulated ones: noise " +
              percent(std::exp(target.mixed->log_noise)) + ", -log likelihood per row " +
              hw::readable_number(mixed_objective);
    }
    target.log_noise = learners::expected_log_noise(target.log_noise, workloads.size());
    if (target.mixed)
      target.mixed->log_noise = learners::expected_log_noise(target.mixed->log_noise, workloads.size());
    if (log)
      log(name + ": noise " + percent(std::exp(target.log_noise)) + ", residual " +
          percent(std::exp(target.residual.log_signal)) + ", -log likelihood per row " +
          hw::readable_number(objective) + mixed);
    model.targets[t] = std::move(target);
  }
  return model;
}

}  // namespace fewwatt::meta
