#include "tasks/episode.hpp"

#include <algorithm>
#include <stdexcept>

namespace fewwatt::tasks {
namespace {

std::string size_text(const Matrix& m) {
  return "[" + std::to_string(m.rows()) + "," + std::to_string(m.cols()) + "]";
}

std::vector<Eigen::Index> rows_without_nan(const Matrix& y) {
  std::vector<Eigen::Index> rows;
  for (Eigen::Index row = 0; row < y.rows(); ++row)
    if (!y.row(row).array().isNaN().any()) rows.push_back(row);
  return rows;
}

}  // namespace

void Episode::check() const {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument("episode " + (name.empty() ? "without a name" : name) + ": " + what);
  };
  if (support_x.rows() == 0) refuse("expected at least one support row, found none");
  if (query_x.rows() == 0) refuse("expected at least one query row, found none");
  if (support_x.cols() == 0 || support_y.cols() == 0)
    refuse("expected at least one input and one target, found " + std::to_string(support_x.cols()) + " and " +
           std::to_string(support_y.cols()));
  const auto expect = [&](const char* field, const Matrix& m, Eigen::Index rows, Eigen::Index cols) {
    if (m.rows() != rows || m.cols() != cols)
      refuse("expected " + std::string(field) + " [" + std::to_string(rows) + "," + std::to_string(cols) +
             "], found " + size_text(m));
  };
  expect("support_y", support_y, support_x.rows(), support_y.cols());
  expect("query_x", query_x, query_x.rows(), support_x.cols());
  expect("query_y", query_y, query_x.rows(), support_y.cols());
}

std::optional<Episode> known_rows(const Episode& episode) {
  const auto support = rows_without_nan(episode.support_y), query = rows_without_nan(episode.query_y);
  if (support.empty() || query.empty()) return std::nullopt;
  return Episode{episode.support_x(support, Eigen::all), episode.support_y(support, Eigen::all),
                 episode.query_x(query, Eigen::all), episode.query_y(query, Eigen::all), episode.name};
}

Episode with_target(const Episode& episode, Eigen::Index target) {
  return {episode.support_x, episode.support_y.col(target), episode.query_x, episode.query_y.col(target),
          episode.name};
}

std::vector<Episode> even(std::span<const Episode> episodes) {
  std::vector<Episode> all(episodes.begin(), episodes.end());
  if (all.empty()) return all;
  Eigen::Index k = all[0].support_x.rows(), q = all[0].query_x.rows();
  for (const auto& e : all) {
    k = std::min(k, e.support_x.rows());
    q = std::min(q, e.query_x.rows());
  }
  for (auto& e : all) {
    for (auto* part : {&e.support_x, &e.support_y}) part->conservativeResize(k, Eigen::NoChange);
    for (auto* part : {&e.query_x, &e.query_y}) part->conservativeResize(q, Eigen::NoChange);
  }
  return all;
}

}  // namespace fewwatt::tasks
