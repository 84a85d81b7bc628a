#pragma once

#include <Eigen/Core>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fewwatt::tasks {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // row = sample
using Vector = Eigen::VectorXd;

// One few-shot problem as plain numbers: from the support rows follows how t targets depend on d inputs, and the query rows ask
// for it. What the numbers mean, their units and their scale are the business of whoever makes the episode.
struct Episode {
  Matrix support_x, support_y;  // [k,d], [k,t]; a target of NaN is unknown
  Matrix query_x, query_y;      // [q,d], [q,t]
  std::string name = {};        // of the problem, for messages: "tx2/sssp"

  // Throws std::invalid_argument naming the episode unless support and query have a row each, inputs and targets as many rows,
  // and support and query the same columns, at least one of inputs and one of targets.
  void check() const;
};

// The episode without the rows that have an unknown target; nullopt where no support row or no query row is left.
std::optional<Episode> known_rows(const Episode& episode);

// The episode with one column of its targets.
Episode with_target(const Episode& episode, Eigen::Index target);

// The episodes with as many support rows and as many query rows as the one that has the fewest: the first ones of each.
std::vector<Episode> even(std::span<const Episode> episodes);

}  // namespace fewwatt::tasks
