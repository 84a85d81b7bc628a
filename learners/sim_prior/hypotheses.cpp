#include "learners/sim_prior/hypotheses.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "learners/physics.hpp"

namespace fewwatt::learners {
namespace {

using tasks::kTargetNames;
using Index = Eigen::Index;

// Without training, from so many rows on several residuals are averaged over: fewer cannot tell them apart.
constexpr std::size_t kRowsForFamily = 8;

// Standard deviations 0 are fine: exp(-inf).
double log_of(double value) {
  return value > 0 ? std::log(value) : -std::numeric_limits<double>::infinity();
}

// The residuals that are averaged over where nothing is known of the knobs; variances, of about 1 in all.
std::vector<SimResidual> residual_family(Index d, Index p) {
  const auto make = [&](double joint, double length, double alone, double width, double slopes) {
    const double per_knob = std::sqrt(alone / static_cast<double>(d));
    const double per_feature = std::sqrt(slopes / static_cast<double>(std::max<Index>(1, p)));
    return SimResidual{{log_of(std::sqrt(joint)), Vector::Constant(d, std::log(length)),
                        Vector::Constant(d, log_of(per_knob)), Vector::Constant(d, std::log(width))},
                       Vector::Constant(p, log_of(per_feature))};
  };
  std::vector<SimResidual> family = {make(0.5, 2, 0.5, 1.5, 0), make(0.5, 1, 0.5, 0.7, 0),
                                     make(0.3, 1.2, 0.3, 1, 0.4)};
  for (Index k = 0; k < d; ++k) {  // most of it on one knob
    auto one = make(0.3, 2, 0, 0.9, 0);
    one.log_amplitudes[k] = log_of(std::sqrt(0.7));
    family.push_back(std::move(one));
  }
  return family;
}

double half_square(double value, double spread) {
  return 0.5 * value * value / (spread * spread);
}

// About the hyper-parameters that were fitted.
std::vector<Scale> scales_about(double log_noise, const SimPriorOptions& options,
                                std::initializer_list<double> simulated,
                                std::initializer_list<double> residual, std::initializer_list<double> noise) {
  std::vector<Scale> all;
  for (const double a : simulated)
    for (const double b : residual)
      for (const double q : noise)
        all.push_back({a, b, std::pow(q * std::exp(log_noise), 2),
                       -half_square(std::log(a), options.scale_spread) -
                           half_square(std::log(b), options.scale_spread) -
                           half_square(std::log(q), options.noise_spread)});
  return all;
}

// How much of its own a workload has in power, and how steady it is, differs more than in time.
std::vector<Scale> trained_scales(int t, double log_noise, const SimPriorOptions& options) {
  if (t == tasks::kTimeMs)
    return scales_about(log_noise, options, {0.3, 1}, {0.1, 0.3, 1, 3}, {0.5, 1, 2, 4});
  std::vector<Scale> all;
  for (const double a : {0.3, 1.0, 3.0})
    for (const double b : {1e-3, 0.03, 1.0})
      for (const double q : {0.25, 0.5, 1.0, 2.0, 4.0})
        all.push_back(
            {a, b, std::pow(q * std::exp(log_noise), 2), -half_square(std::log(a), options.scale_spread)});
  return all;
}

std::vector<Scale> untrained_scales(const SimPriorOptions& options) {
  std::vector<Scale> all;
  for (const double b : {2e-4, 1e-3, 5e-3, 2e-2, 8e-2})
    for (const double noise : {0.007, 0.014, 0.028, 0.05})
      all.push_back({1, b, noise * noise,
                     -half_square(std::log(noise / options.usual_noise), options.usual_noise_spread)});
  return all;
}

// Adds a residual and the scales that it is averaged over; the group's number.
std::size_t add_group(Hypotheses& h, SimResidual residual, std::vector<Scale> scales) {
  h.groups.push_back({std::move(residual), std::move(scales)});
  return h.groups.size() - 1;
}

// A workload that waits for something else draws about the same power in every mode.
void add_flat(Hypotheses& h, double scale, std::size_t group, const SimPriorOptions& options) {
  h.all.push_back({kAll, Mean::flat, options.flat_scale * scale, 0, group});
}

// Mixtures of the training workloads, and blends.
void add_mixed(Hypotheses& h, int target, const SimPriorTarget& trained, const Retrieved& retrieved,
               const SimPriorOptions& options) {
  if (!trained.mixed || retrieved.logs[target][kAllMixtures].size() == 0) return;
  const auto mixed =
      add_group(h, trained.mixed->residual, trained_scales(target, trained.mixed->log_noise, options));
  // The odds are not tempered.
  const double odds = std::log(trained.mixed_share / (1 - trained.mixed_share)) / options.temper;
  h.all.push_back({kRetrievedMixtures, Mean::cloud, 1, odds, mixed});
  h.all.push_back({kAllMixtures, Mean::cloud, std::exp(trained.mixed->log_scale), odds, mixed});
  if (retrieved.logs[target][kRetrievedBlends].size() > 0)
    h.all.push_back({kRetrievedBlends, Mean::cloud, 1, 0, mixed});
}

void add_trained(Hypotheses& h, int target, const Samples& support, const TargetSupport& known,
                 const SimInputs& inputs, const Retrieved& retrieved, const SimPriorOptions& options,
                 const MeanFunctions& means) {
  const auto& model = *retrieved.sources.model;
  const auto& trained = *model.targets[target];
  const auto& space = *support.space;
  if (trained.residual.log_slopes.size() != inputs.psi.cols())
    throw std::invalid_argument("sim_prior: residual of " + std::string(kTargetNames[target]) +
                                " must have " + std::to_string(inputs.psi.cols()) + " slopes, found " +
                                std::to_string(trained.residual.log_slopes.size()));
  const double scale = std::exp(trained.log_scale);
  const auto own = add_group(h, trained.residual, trained_scales(target, trained.log_noise, options));
  h.all.push_back({kRetrieved, Mean::cloud, 1, 0, own});
  if (means.curves[target].size() > 0) h.all.push_back({kAll, Mean::training, scale, 0, own});
  if (target == tasks::kPowerW) add_flat(h, scale, own, options);
  add_mixed(h, target, trained, retrieved, options);
  // A residual that knows nothing of the training workloads. Simulated power is less like measured power.
  if (target == tasks::kTimeMs)
    h.all.push_back({kRetrieved, Mean::cloud, 1, 0,
                     add_group(h, residual_family(inputs.knobs.cols(), inputs.psi.cols()).front(),
                               untrained_scales(options))});
  if (!model.stated) return;
  if (auto stated = model.stated->prior(target, space, support.characteristics, false)) {
    h.stated_logs = model.stated->logs(target, space, known.rows.modes, stated->which);
    h.stated = std::move(*stated);
    h.all.push_back({kStated, Mean::cloud, 1, 0, own});
  }
}

void add_untrained(Hypotheses& h, int target, const TargetSupport& known, const SimInputs& inputs,
                   const Retrieved& retrieved, const SimPriorOptions& options) {
  auto family = residual_family(inputs.knobs.cols(), inputs.psi.cols());
  if (!options.fitted || known.rows.modes.size() < kRowsForFamily) family.resize(1);
  for (const auto& residual : family)
    h.all.push_back({kRetrieved, Mean::cloud, 1, 0, add_group(h, residual, untrained_scales(options))});
  if (target == tasks::kTimeMs)
    h.all.push_back({kAll, Mean::physics, options.physics_scale, options.physics_log_prior, 0});
  else
    add_flat(h, 1, 0, options);
  if (!options.fitted || known.rows.modes.size() < options.rows_for_fit) return;
  const auto& logs = retrieved.logs[target][kRetrieved];
  const auto cloud = at_modes(retrieved.clouds[kRetrieved], logs, logs.rowwise().mean());
  SimPriorRows rows{inputs, (cloud.root.transpose() * cloud.root).cast<double>(), known.logs - cloud.mean,
                    known.rows.noise_factors};
  rows.left.array() -= rows.left.mean();
  const auto fitted = fit_to_support(rows, options.fit);
  h.all.push_back({kRetrieved, Mean::cloud, 1, fitted.log_prior,
                   add_group(h, fitted.residual,
                             scales_about(fitted.log_noise, options, {1}, {0.3, 1, 3}, {0.5, 1, 2}))});
}

}  // namespace

Vector MeanFunctions::operator()(int target, Mean kind, std::span<const hw::PowerMode> modes,
                                 const Vector& cloud) const {
  if (kind == Mean::cloud) return cloud;
  if (kind == Mean::flat) return Vector::Zero(cloud.size());
  if (kind == Mean::physics) return physics->predict(modes).log_mean.col(target);
  Vector mean = cloud;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const auto at = std::lower_bound(curve_modes.begin(), curve_modes.end(), modes[i]);
    if (at != curve_modes.end() && *at == modes[i])
      mean[static_cast<Index>(i)] = curves[target][at - curve_modes.begin()];
  }
  return mean;
}

MeanFunctions mean_functions_of(const Samples& support, const SimPriorModel* trained) {
  MeanFunctions means{Physics().adapt(support), {}, {}};
  if (trained == nullptr) return means;
  means.curve_modes = trained->modes;
  for (std::size_t t = 0; t < means.curves.size(); ++t) {
    if (!trained->targets[t] || trained->targets[t]->training.size() == 0) continue;
    const auto& logs = trained->targets[t]->training;
    means.curves[t] = (logs.colwise() - logs.rowwise().mean().eval()).colwise().mean().transpose();
  }
  return means;
}

Hypotheses hypotheses_of(int target, const Samples& support, const TargetSupport& known,
                         const SimInputs& inputs, const Retrieved& retrieved, const SimPriorOptions& options,
                         const MeanFunctions& means) {
  const auto& model = retrieved.sources.model;
  Hypotheses h;
  if (model && model->targets[target])
    add_trained(h, target, support, known, inputs, retrieved, options, means);
  else
    add_untrained(h, target, known, inputs, retrieved, options);
  return h;
}

}  // namespace fewwatt::learners
