#include "meta/proto_heads.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <set>

#include "hw/random.hpp"

namespace fewwatt::meta {
namespace {

using learners::ProtoInputs;
using learners::ProtoTarget;
using learners::TermKernel;

constexpr double kHeadRidge =
    1e-3;  // per squared log unit of beta, squared errors being in units of kHeadError
constexpr double kHeadError = 0.1;    // log units
constexpr double kHeadFloor = 0.01;   // of the greatest term, what the least may be
constexpr double kCurveNoise = 0.03;  // log units, of what the curves smooth

}  // namespace

Vector fit_head(const Matrix& log_terms, const Vector& logs) {
  // Levenberg-Marquardt; the sum of exp(beta) is the level.
  const auto n = static_cast<double>(logs.size());
  const auto p = log_terms.cols();
  const Matrix centring =
      Matrix::Identity(p, p) - Matrix::Constant(p, p, 1.0 / static_cast<double>(p));  // symmetric, idempotent
  const double error_weight = 1 / (n * kHeadError * kHeadError), ridge = kHeadRidge / static_cast<double>(p);
  const auto objective = [&](const Vector& beta) {
    return error_weight * (logs - learners::head(log_terms, beta)).squaredNorm() +
           ridge * (centring * beta).squaredNorm();
  };
  Vector beta = Vector::Zero(p);
  beta.array() += (logs - learners::head(log_terms, beta)).mean();
  double now = objective(beta), damping = 1e-3;
  for (int step = 0; step < 200 && damping < 1e8; ++step) {
    const Matrix terms = log_terms.rowwise() + beta.transpose();
    const Vector value = learners::head(log_terms, beta);
    const Matrix slopes = (terms.colwise() - value).array().exp();
    const Vector gradient = error_weight * slopes.transpose() * (logs - value) - ridge * centring * beta;
    Matrix curvature = error_weight * slopes.transpose() * slopes + ridge * centring;
    curvature.diagonal().array() += damping;
    const Vector next = beta + Eigen::LLT<Eigen::MatrixXd>(curvature).solve(gradient);
    const double then = objective(next);
    if (then < now) {
      const bool done = now - then < 1e-12 * now;
      beta = next;
      now = then;
      damping = std::max(1e-9, damping / 5);
      if (done) break;
    } else {
      damping *= 4;
    }
  }
  // The slope of a term is its share: one that died out no support set could bring back.
  const double greatest = beta.maxCoeff();
  beta = greatest + ((beta.array() - greatest).exp() + kHeadFloor).log();
  return beta.array() - learners::head(log_terms, beta).mean();
}

void fit_heads(ProtoTarget& target, const std::vector<ProtoInputs>& inputs, const std::vector<Vector>& logs,
               const StopCheck& interrupted) {
  target.heads.resize(static_cast<Eigen::Index>(inputs.size()), inputs[0].log_terms.cols());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    throw_if_told(interrupted);
    target.heads.row(static_cast<Eigen::Index>(i)) = fit_head(inputs[i].log_terms, logs[i]).transpose();
  }
}

void fit_curves(ProtoTarget& target, const std::vector<ProtoInputs>& inputs, const std::vector<Vector>& logs,
                std::size_t most, std::uint64_t seed, const StopCheck& interrupted) {
  std::set<std::vector<double>> distinct;
  for (const auto& input : inputs) {
    throw_if_told(interrupted);
    for (const auto& row : input.knobs.rowwise()) distinct.emplace(row.begin(), row.end());
  }
  const std::vector<std::vector<double>> all(distinct.begin(), distinct.end());
  auto rng = hw::Rng::stream(seed, "curve rows");
  const auto drawn = rng.sample(all.size(), std::min(all.size(), most));
  const auto d = inputs[0].knobs.cols(), r = static_cast<Eigen::Index>(drawn.size());
  target.curve_knobs.resize(r, d);
  for (Eigen::Index i = 0; i < r; ++i) {
    target.curve_knobs.row(i) =
        Eigen::Map<const Eigen::RowVectorXd>(all[drawn[static_cast<std::size_t>(i)]].data(), d);
  }
  target.curve_weights.resize(r, static_cast<Eigen::Index>(inputs.size()));
  const auto medians = TermKernel::medians(d, target.heads.cols());
  const Matrix among = learners::knob_covariance(medians, target.curve_knobs, target.curve_knobs);
  for (std::size_t w = 0; w < inputs.size(); ++w) {
    throw_if_told(interrupted);
    const auto column = static_cast<Eigen::Index>(w);
    const Vector left = logs[w] - learners::head(inputs[w].log_terms, target.heads.row(column).transpose());
    const Matrix cross = learners::knob_covariance(medians, inputs[w].knobs, target.curve_knobs);
    Eigen::MatrixXd normal = cross.transpose() * cross + kCurveNoise * kCurveNoise * among;
    normal.diagonal().array() += 1e-6 * normal.diagonal().mean();
    target.curve_weights.col(column) =
        Eigen::LLT<Eigen::MatrixXd>(normal).solve(cross.transpose() * (left.array() - left.mean()).matrix());
  }
}

}  // namespace fewwatt::meta
