#include "learners/sim_prior/evidence.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

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

// A hypothesis with one residual and one scale.
struct Member {
  std::size_t hypothesis, residual;
  Scale scale;
  double log_evidence;
};

// All hypotheses of a target on its rows.
class Evidence {
 public:
  // Sets fit's levels and roots.
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
    for (const auto& residual : hypotheses.residuals)
      residuals_.push_back(sim_covariance(residual, fit.inputs, fit.inputs));
    for (const auto& h : hypotheses.all) {
      Vector mean = means(target, h.mean, fit.modes, cloud_means[h.cloud]);
      offsets_.push_back(mean.mean());
      mean.array() -= offsets_.back();
      means_.push_back(std::move(mean));
    }
  }

  std::vector<Member> members() const {
    const auto& all = hypotheses_.all;
    std::vector<Member> found;
    // Hypotheses with the same covariance one after the other, which is factorised once for all of them.
    const auto covariance_of = [&](std::size_t h) {
      return std::tuple(all[h].cloud, all[h].scale, all[h].group);
    };
    for (std::size_t first = 0, last = 0; first < all.size(); first = last) {
      while (last < all.size() && covariance_of(last) == covariance_of(first)) ++last;
      Eigen::MatrixXd left(known_.logs.size(), static_cast<Index>(last - first));
      for (std::size_t h = first; h < last; ++h)
        left.col(static_cast<Index>(h - first)) = known_.logs - means_[h];
      const auto& group = hypotheses_.groups[all[first].group];
      for (std::size_t r = group.from; r < group.to; ++r) {
        for (const auto& s : group.scales) {
          Member m{first, r, s, 0};
          const auto llt = factorised(m);
          if (llt.info() != Eigen::Success) continue;
          const double log_root = llt.matrixLLT().diagonal().array().log().sum();
          const Vector squares = llt.matrixL().solve(left).colwise().squaredNorm().transpose();
          for (; m.hypothesis < last; ++m.hypothesis) {
            m.log_evidence = -0.5 * squares[static_cast<Index>(m.hypothesis - first)] - log_root +
                             s.log_prior + all[m.hypothesis].log_prior;
            found.push_back(m);
          }
        }
      }
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
    const auto at = [&](const Member& m) { return m.hypothesis * residuals_.size() + m.residual; };
    std::vector<double> weights, shares(hypotheses_.all.size() * residuals_.size(), 0.0);
    double sum = 0;
    for (const auto& m : members) {
      weights.push_back(std::exp(options.temper * (m.log_evidence - best)));
      sum += weights.back();
      shares[at(m)] += weights.back();
    }
    double kept = 0;
    const double smallest = options.smallest_scale * sum;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const bool dropped = shares[at(members[i])] < options.smallest_share * sum || weights[i] < smallest;
      if (dropped) weights[i] = 0;
      kept += weights[i];
    }
    for (auto& weight : weights) weight /= kept;
    return weights;
  }

  // Adds members of weight to fit's components, and to what they say of rows left out.
  void average(const std::vector<Member>& members, const std::vector<double>& weights, TargetFit& fit) const {
    const auto k = known_.logs.size();
    std::vector<std::optional<Component>> found(std::size_t{kNumClouds} * residuals_.size());
    Vector error = Vector::Zero(k), second = Vector::Zero(k);  // of rows left out
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto& m = members[i];
      if (weights[i] == 0) continue;
      auto& component = found[hypotheses_.all[m.hypothesis].cloud * residuals_.size() + m.residual];
      if (!component)
        component = Component{.cloud = hypotheses_.all[m.hypothesis].cloud,
                              .residual = m.residual,
                              .mean_of = Vector::Zero(1 + 2 * k),
                              .moment = Eigen::MatrixXd::Zero(1 + 2 * k, 1 + 2 * k)};
      const auto [off, variance] = add(m, weights[i], *component);
      fit.noise_variance += weights[i] * m.scale.noise;
      error += weights[i] * off;
      second += weights[i] * (variance + off.cwiseAbs2());
    }
    for (auto& component : found) {
      if (!component) continue;
      if (fit.has_short_roots(component->cloud))
        use_roots(*component, fit.roots[component->cloud].cast<double>());
      fit.components.push_back(std::move(*component));
    }
    fit.left_out = {error, second - error.cwiseAbs2()};
  }

 private:
  Eigen::LLT<Eigen::MatrixXd> factorised(const Member& m) const {
    const auto& h = hypotheses_.all[m.hypothesis];
    Eigen::MatrixXd sum = h.scale * m.scale.a * clouds_[h.cloud] + m.scale.b * residuals_[m.residual];
    sum.array() += kSimLevelVariance;
    sum.diagonal() += m.scale.noise * known_.rows.noise_factors;
    return Eigen::LLT<Eigen::MatrixXd>(sum);
  }

  // The position of a hypothesis's mean function among those of the component.
  Index mean_in(Component& component, std::size_t hypothesis) const {
    const auto kind = hypotheses_.all[hypothesis].mean;
    const auto mean = static_cast<Index>(std::find_if(component.means.begin(), component.means.end(),
                                                      [&](const auto& one) { return one.kind == kind; }) -
                                         component.means.begin());
    if (mean < static_cast<Index>(component.means.size())) return mean;
    component.means.push_back({kind, offsets_[hypothesis]});
    const auto size = component.mean_of.size() + 1;
    component.mean_of.conservativeResizeLike(Vector::Zero(size));
    component.moment.conservativeResizeLike(Eigen::MatrixXd::Zero(size, size));
    return mean;
  }

  // What the member predicts of each row from the others: Rasmussen & Williams 2006, eq. 5.12.
  LeftOut add(const Member& m, double weight, Component& component) const {
    const auto k = known_.logs.size();
    const auto mean = mean_in(component, m.hypothesis);
    const auto llt = factorised(m);
    const double a = hypotheses_.all[m.hypothesis].scale * m.scale.a, b = m.scale.b;
    const Vector alpha = llt.solve(known_.logs - means_[m.hypothesis]);
    Vector coefficients = Vector::Zero(component.mean_of.size());
    coefficients.head(1 + 2 * k) << kSimLevelVariance * alpha.sum(), a * alpha, b * alpha;
    coefficients[1 + 2 * k + mean] = 1;
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
  std::vector<Matrix> residuals_;          // the same
  std::vector<Vector> means_;              // of each hypothesis, less its offset: [k]
  std::vector<double> offsets_;
};

}  // namespace

bool TargetFit::uses(std::size_t cloud) const {
  return std::any_of(components.begin(), components.end(),
                     [&](const Component& one) { return one.cloud == cloud; });
}

TargetFit fit_of(int target, const TargetSupport& known, SimInputs inputs, Hypotheses hypotheses,
                 const Retrieved& retrieved, const MeanFunctions& means, const SimPriorOptions& options) {
  TargetFit fit;
  fit.level = known.level;
  fit.modes = known.rows.modes;
  fit.inputs = std::move(inputs);
  const Evidence evidence(target, known, hypotheses, retrieved, means, fit);
  const auto members = evidence.members();
  evidence.average(members, evidence.weights_of(members, options), fit);
  fit.residuals = std::move(hypotheses.residuals);
  fit.stated = std::move(hypotheses.stated);
  return fit;
}

}  // namespace fewwatt::learners
