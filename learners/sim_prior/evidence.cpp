#include "learners/sim_prior/evidence.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "learners/cholesky.hpp"

namespace fewwatt::learners {
namespace {

using Index = Eigen::Index;

// From functions with C(x, support) to those with root(x). root: of the support, [r, k].
void use_roots(Component& component, const Matrix& root) {
  const Index k = root.cols(), rest = component.mean_of.size() - 1 - k;
  const auto rows_of = [&](const Eigen::MatrixXd& old) {
    Eigen::MatrixXd rows(1 + root.rows() + rest, old.cols());
    rows << old.topRows(1), root * old.middleRows(1, k), old.bottomRows(rest);
    return rows;
  };
  component.mean_of = rows_of(component.mean_of);
  component.moment = rows_of(rows_of(component.moment).transpose());  // it is symmetric
}

// A hypothesis with one of its scales.
struct Member {
  std::size_t hypothesis;
  Scale scale;
  double log_evidence;
};

// All hypotheses of a target on its rows.
class Evidence {
 public:
  // Sets fit's levels, roots and residuals.
  Evidence(int target, const TargetSupport& known, const Hypotheses& hypotheses, const Retrieved& retrieved,
           const MeanFunctions& means, TargetFit& fit)
      : known_(known), hypotheses_(hypotheses) {
    std::array<Vector, kNumClouds> cloud_means;
    for (std::size_t c = 0; c < kNumClouds; ++c) {
      const auto& logs = c == kStated ? hypotheses.stated_logs : retrieved.logs[target][c];
      if (logs.size() == 0) continue;
      fit.levels[c] = logs.rowwise().mean();
      auto cloud = at_modes(c == kStated ? hypotheses.stated : retrieved.clouds[c], logs, fit.levels[c]);
      cloud_means[c] = std::move(cloud.mean);
      fit.roots[c] = std::move(cloud.root);
      const auto& root = fit.roots[c];
      if (fit.has_short_roots(c))
        clouds_[c] = root.transpose().cast<double>() * root.cast<double>();
      else
        clouds_[c] = (root.transpose() * root).cast<double>();
    }
    for (const auto& group : hypotheses.groups) {
      fit.residuals.push_back(group.residual);
      residuals_.push_back(sim_covariance(group.residual, fit.inputs, fit.inputs));
    }
    for (const auto& h : hypotheses.all) {
      const Vector mean = means(target, h.mean, known.rows.modes, cloud_means[h.cloud]);
      offsets_.push_back(mean.mean());
      left_.emplace_back(known.logs.array() - (mean.array() - offsets_.back()));
    }
  }

  std::vector<Member> members() const {
    std::vector<Member> found;
    for (std::size_t h = 0; h < hypotheses_.all.size(); ++h)
      for (const auto& scale : hypotheses_.groups[hypotheses_.all[h].group].scales) {
        Member m{h, scale, 0};
        const auto llt = factorised(m);
        if (llt.info() != Eigen::Success) continue;
        m.log_evidence = -0.5 * llt.matrixL().solve(left_[h]).squaredNorm() -
                         llt.matrixLLT().diagonal().array().log().sum() + scale.log_prior +
                         hypotheses_.all[h].log_prior;
        found.push_back(m);
      }
    if (found.empty())
      throw std::runtime_error("sim_prior: no covariance of " + std::to_string(known_.logs.size()) +
                               " support rows is positive definite");
    return found;
  }

  // Tempered, sum 1; 0 of those without weight.
  std::vector<double> weights_of(const std::vector<Member>& members, const SimPriorOptions& options) const {
    double best = -std::numeric_limits<double>::infinity();
    for (const auto& m : members) best = std::max(best, m.log_evidence);
    std::vector<double> weights, shares(hypotheses_.all.size(), 0.0);
    double sum = 0, kept = 0;
    for (const auto& m : members) {
      weights.push_back(std::exp(options.temper * (m.log_evidence - best)));
      sum += weights.back();
      shares[m.hypothesis] += weights.back();
    }
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (shares[members[i].hypothesis] < options.smallest_share * sum ||
          weights[i] < options.smallest_scale * sum)
        weights[i] = 0;
      kept += weights[i];
    }
    for (auto& weight : weights) weight /= kept;
    return weights;
  }

  // Sets fit's components, noise and what is said of rows left out.
  void average(const std::vector<Member>& members, const std::vector<double>& weights, TargetFit& fit) const {
    const auto k = known_.logs.size();
    std::vector<Component> components;
    for (std::size_t h = 0; h < hypotheses_.all.size(); ++h)
      components.push_back({.cloud = hypotheses_.all[h].cloud,
                            .mean = hypotheses_.all[h].mean,
                            .residual = hypotheses_.all[h].group,
                            .offset = offsets_[h],
                            .mean_of = Vector::Zero(2 + 2 * k),
                            .moment = Eigen::MatrixXd::Zero(2 + 2 * k, 2 + 2 * k)});
    Vector error = Vector::Zero(k), second = Vector::Zero(k);  // of rows left out
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (weights[i] == 0) continue;
      const auto [off, variance] = add(members[i], weights[i], components[members[i].hypothesis]);
      fit.noise_variance += weights[i] * members[i].scale.noise;
      error += weights[i] * off;
      second += weights[i] * (variance + off.cwiseAbs2());
    }
    for (auto& component : components) {
      if (component.constant == 0) continue;  // without weight
      if (fit.has_short_roots(component.cloud))
        use_roots(component, fit.roots[component.cloud].cast<double>());
      fit.components.push_back(std::move(component));
    }
    fit.left_out = {error, second - error.cwiseAbs2()};
  }

 private:
  Eigen::LLT<Eigen::MatrixXd> factorised(const Member& m) const {
    const auto& h = hypotheses_.all[m.hypothesis];
    Eigen::MatrixXd sum = h.scale * m.scale.a * clouds_[h.cloud] + m.scale.b * residuals_[h.group];
    sum.array() += kSimLevelVariance;
    sum.diagonal() += m.scale.noise * known_.rows.noise_factors;
    return Eigen::LLT<Eigen::MatrixXd>(sum);
  }

  // What the member predicts of each row from the others: Rasmussen & Williams 2006, eq. 5.12.
  LeftOut add(const Member& m, double weight, Component& component) const {
    const auto k = known_.logs.size();
    const auto llt = factorised(m);
    const double a = hypotheses_.all[m.hypothesis].scale * m.scale.a, b = m.scale.b;
    const Vector alpha = llt.solve(left_[m.hypothesis]);
    Vector coefficients(2 + 2 * k);
    coefficients << kSimLevelVariance * alpha.sum(), a * alpha, b * alpha, 1;
    // K^-1 between what [1, C, R] is to the covariance with the support: [level 1, a I, b I].
    const Eigen::MatrixXd inverse = inverse_of_squared(llt.matrixLLT());
    const Vector sums = kSimLevelVariance * inverse.rowwise().sum();
    Eigen::MatrixXd moment = coefficients * coefficients.transpose();
    moment(0, 0) -= kSimLevelVariance * sums.sum();
    for (const auto& [at, factor] : {std::pair{Index{1}, a}, std::pair{1 + k, b}}) {
      moment.block(at, 0, k, 1) -= factor * sums;
      moment.block(0, at, 1, k) -= factor * sums.transpose();
      moment.block(at, 1, k, k) -= factor * a * inverse;
      moment.block(at, 1 + k, k, k) -= factor * b * inverse;
    }
    component.a += weight * a;
    component.b += weight * b;
    component.constant += weight * (kSimLevelVariance + m.scale.noise);
    component.mean_of += weight * coefficients;
    component.moment += weight * moment;
    const Vector precision = inverse.diagonal();
    return {alpha.cwiseQuotient(precision), precision.cwiseInverse()};
  }

  const TargetSupport& known_;
  const Hypotheses& hypotheses_;
  std::array<Matrix, kNumClouds> clouds_;  // covariances on the support, [k,k]
  std::vector<Matrix> residuals_;          // of groups, the same
  std::vector<Vector> left_;               // by each hypothesis: logs less its mean function, [k]
  std::vector<double> offsets_;            // of these mean functions
};

}  // namespace

bool TargetFit::uses(std::size_t cloud) const {
  return std::any_of(components.begin(), components.end(),
                     [&](const Component& one) { return one.cloud == cloud; });
}

TargetFit fit_of(int target, const TargetSupport& known, SimInputs inputs, const Hypotheses& hypotheses,
                 const Retrieved& retrieved, const MeanFunctions& means, const SimPriorOptions& options) {
  TargetFit fit;
  fit.level = known.level;
  fit.inputs = std::move(inputs);
  fit.stated = hypotheses.stated;
  const Evidence evidence(target, known, hypotheses, retrieved, means, fit);
  const auto members = evidence.members();
  evidence.average(members, evidence.weights_of(members, options), fit);
  return fit;
}

}  // namespace fewwatt::learners
