#include "benchmarks/families.hpp"

#include <Eigen/QR>
#include <cmath>
#include <tuple>

namespace fewwatt::benchmarks {
namespace {

std::size_t support_of(const Rows& rows, std::uint64_t seed, std::uint64_t step) {
  auto rng = hw::Rng::stream(seed, "support rows", step);
  return rows.least_support + rng.below(rows.most_support - rows.least_support + 1);
}

Matrix normal(hw::Rng& rng, std::size_t rows, std::size_t cols) {
  Matrix m(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
  for (auto& value : m.reshaped<Eigen::RowMajor>()) value = rng.normal();
  return m;
}

}  // namespace

tasks::Episode SineSource::draw(std::uint64_t step, std::uint64_t number) const {
  auto rng = tasks::episode_rng(seed_, "sines", step, number);
  const auto from = [&](const std::array<double, 2>& range) { return rng.uniform(range[0], range[1]); };
  const double amplitude = from(family_.amplitude), frequency = from(family_.frequency),
               phase = from(family_.phase);
  tasks::Episode episode;
  episode.name = "sine curve";
  // The query first, so that it is the same whatever the number of support rows.
  for (auto [x, y, rows] : {std::tuple(&episode.query_x, &episode.query_y, rows_.query),
                            {&episode.support_x, &episode.support_y, support_of(rows_, seed_, step)}}) {
    x->resize(static_cast<Eigen::Index>(rows), 1);
    y->resize(x->rows(), 1);
    for (Eigen::Index row = 0; row < x->rows(); ++row) {
      const double at = from(family_.x);
      (*x)(row, 0) = at / family_.unit_x;
      (*y)(row, 0) = amplitude * std::sin(frequency * at - phase) + family_.noise * rng.normal();
    }
  }
  return episode;
}

ClassSource::ClassSource(GaussianClasses family, Rows rows, std::uint64_t seed)
    : family_(family), rows_(rows), seed_(seed) {
  auto rng = hw::Rng::stream(0, "informative directions");
  const Eigen::MatrixXd drawn = normal(rng, family_.dimensions, family_.informative);
  directions_ = Eigen::HouseholderQR<Eigen::MatrixXd>(drawn).householderQ() *
                Eigen::MatrixXd::Identity(drawn.rows(), drawn.cols());
}

tasks::Episode ClassSource::draw(std::uint64_t step, std::uint64_t number) const {
  auto rng = tasks::episode_rng(seed_, "classes", step, number);
  const Matrix means =
      family_.spread * normal(rng, family_.ways, family_.informative) * directions_.transpose();
  tasks::Episode episode;
  episode.name = "classes";
  for (auto [x, y, each] : {std::tuple(&episode.query_x, &episode.query_y, rows_.query),
                            {&episode.support_x, &episode.support_y, support_of(rows_, seed_, step)}}) {
    *x = normal(rng, family_.ways * each, family_.dimensions);
    *y = Matrix::Zero(x->rows(), means.rows());
    for (Eigen::Index row = 0; row < x->rows(); ++row) {
      const auto own = row % means.rows();  // the first rows of an episode are some of each class
      x->row(row) += means.row(own);
      (*y)(row, own) = 1;
    }
  }
  return episode;
}

Matrix ClassSource::optimum(const tasks::Episode& episode) const {
  const Matrix support = episode.support_x * directions_, query = episode.query_x * directions_;
  const auto ways = episode.support_y.cols();
  const double k = static_cast<double>(support.rows()) / static_cast<double>(ways);
  const double precision = k * family_.spread * family_.spread;
  const Matrix posterior = precision / (precision + 1) / k * episode.support_y.transpose() * support;
  Matrix scores(query.rows(), ways);
  for (Eigen::Index c = 0; c < ways; ++c)
    scores.col(c) = -(query.rowwise() - posterior.row(c)).rowwise().squaredNorm();
  return scores;
}

}  // namespace fewwatt::benchmarks
