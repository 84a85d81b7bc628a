#include "learners/encode.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "hw/numbers.hpp"

namespace fewwatt::learners {

std::string_view to_string(FeatureSet features) {
  return features == FeatureSet::raw ? "raw" : "physical";
}

FeatureSet parse_feature_set(std::string_view name) {
  for (const auto known : {FeatureSet::raw, FeatureSet::physical})
    if (to_string(known) == name) return known;
  throw std::invalid_argument("unknown features " + std::string(name) + "; known: raw, physical");
}

Matrix encode(FeatureSet features, const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  const auto n = static_cast<Eigen::Index>(modes.size());
  const auto knobs = static_cast<Eigen::Index>(space.knobs().size());
  Matrix x(n, knobs);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index k = 0; k < knobs; ++k) {
      const auto knob = static_cast<std::size_t>(k);
      x(i, k) = static_cast<double>(modes[static_cast<std::size_t>(i)][knob]) / space.max_level(knob);
    }
  }
  if (features == FeatureSet::raw) return x;

  const auto cores = space.knob_with(hw::KnobRole::cpu_cores);
  const auto cpu = space.knob_with(hw::KnobRole::cpu_khz);
  const bool has_product = cores && cpu;
  Matrix all(n, 3 * knobs + (has_product ? 1 : 0));
  all.leftCols(knobs) = x;
  all.middleCols(knobs, knobs) = x.cwiseInverse();
  all.middleCols(2 * knobs, knobs) = x.array().log().matrix();
  if (has_product) {
    all.col(3 * knobs) =
        (x.col(static_cast<Eigen::Index>(*cores)).array() * x.col(static_cast<Eigen::Index>(*cpu)).array())
            .inverse();
  }
  return all;
}

Matrix log_settings(const hw::PowerModeSpace& space, std::span<const hw::PowerMode> modes) {
  return encode(FeatureSet::raw, space, modes).array().log().matrix();
}

Scaler Scaler::fit(const Matrix& rows) {
  if (rows.rows() == 0) throw std::invalid_argument("Scaler: needs at least one row");
  Scaler scaler;
  scaler.mean = rows.colwise().mean().transpose();
  scaler.stddev = ((rows.rowwise() - scaler.mean.transpose()).array().square().colwise().mean())
                      .sqrt()
                      .matrix()
                      .transpose();
  for (auto& s : scaler.stddev) {
    if (!(s > 1e-12)) s = 0;  // constant
  }
  return scaler;
}

Matrix Scaler::operator()(const Matrix& rows) const {
  if (rows.cols() != mean.size()) {
    throw std::invalid_argument("Scaler: made for " + std::to_string(mean.size()) + " columns, got " +
                                std::to_string(rows.cols()));
  }
  const Vector inverse = (stddev.array() > 0).select(stddev.array().inverse(), 0.0);
  return (rows.rowwise() - mean.transpose()) * inverse.asDiagonal();
}

Matrix settings_of(std::span<const hw::PowerMode> modes) {
  Matrix settings(static_cast<Eigen::Index>(modes.size()),
                  modes.empty() ? 0 : static_cast<Eigen::Index>(modes[0].size()));
  for (std::size_t i = 0; i < modes.size(); ++i)
    for (std::size_t k = 0; k < modes[i].size(); ++k)
      settings(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)) = modes[i][k];
  return settings;
}

std::vector<hw::PowerMode> modes_of(const Checkpoint& checkpoint, const std::string& name) {
  const auto& settings = checkpoint.tensor(name);
  std::vector<hw::PowerMode> modes;
  for (Eigen::Index i = 0; i < settings.rows(); ++i) {
    std::vector<int> mode;
    for (const double setting : settings.row(i)) {
      const auto whole = hw::as_int(setting, 1);
      if (!whole)
        throw std::invalid_argument("checkpoint of " + checkpoint.learner + ": " + name + ": row " +
                                    std::to_string(i) + ": expected whole numbers above 0, found " +
                                    std::to_string(setting));
      mode.push_back(*whole);
    }
    modes.emplace_back(std::span<const int>(mode));
  }
  return modes;
}

bool covers(const std::vector<hw::PowerMode>& modes, const hw::PowerModeSpace& space) {
  for (std::size_t i = 0; i < space.size(); ++i)
    if (!std::binary_search(modes.begin(), modes.end(), space.at(i))) return false;
  return true;
}

Scaler read_scaler(const Checkpoint& checkpoint, const std::string& mean, const std::string& stddev) {
  Scaler scaler{checkpoint.vector(mean), checkpoint.vector(stddev)};
  const std::string of = "checkpoint of " + checkpoint.learner + ": " + mean + " and " + stddev;
  if (scaler.mean.size() != scaler.stddev.size()) throw std::invalid_argument(of + " differ in size");
  if (scaler.mean.size() > kMostWidth)
    throw std::invalid_argument(of + " must have at most " + std::to_string(kMostWidth) + " values, found " +
                                std::to_string(scaler.mean.size()));
  const auto usual = [](double value) { return std::abs(value) <= kMostFactor; };
  if (!std::all_of(scaler.mean.begin(), scaler.mean.end(), usual) ||
      !std::all_of(scaler.stddev.begin(), scaler.stddev.end(), usual) || (scaler.stddev.array() < 0).any())
    throw std::invalid_argument(of + " must be finite, and standard deviations not below 0");
  return scaler;
}

std::string roles_text(const hw::PowerModeSpace& space) {
  std::string text;
  for (const auto& knob : space.knobs()) {
    if (!text.empty()) text += ' ';
    text += to_string(knob.role);
  }
  return text;
}

void check_roles(const std::string& learner, const std::string& trained_for,
                 const hw::PowerModeSpace& space) {
  const auto found = roles_text(space);
  if (found != trained_for) {
    throw std::invalid_argument(learner + ": the checkpoint was made for the knobs " + trained_for +
                                ", but the device has " + found);
  }
}

}  // namespace fewwatt::learners
