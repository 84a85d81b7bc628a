#include "meta/maml_gradient.hpp"

#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "meta/options_error.hpp"

namespace fewwatt::meta {
namespace {

void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
          const float* b, int ldb, float beta, float* c) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0F, a, lda, b, ldb, beta, c, n);
}
void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda,
          const double* b, int ldb, double beta, double* c) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, beta, c, n);
}

// The loss of a net on one task's rows: its gradient, and its Hessian times a vector. With
// a[0] = x, layer l gives  z[l+1] = a[l] W[l] + b[l],  a[l+1] = activation(z[l+1]);  the last a is z.
template <class T>
class TaskLoss {
 public:
  using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  // What gradient() leaves for hessian_times(); entry l is of a[l] and z[l], rows of the task.
  struct Trace {
    std::vector<Rows> a;      // a[0] = x
    std::vector<Rows> slope;  // activation'(z)
    std::vector<Rows> bend;   // activation''(z) d loss / d a
    std::vector<Rows> delta;  // d loss / d z
    Rows p;                   // of the classes, with cross-entropy
  };

  TaskLoss(const learners::MlpShape& shape, EpisodeLoss kind)
      : shape_(shape), layers_(shape.num_layers()), kind_(kind) {}

  // Returns the loss at theta; its gradient goes to g. Needs no trace for hessian_times() unless `second`.
  T gradient(const Flat& theta, const Rows& x, const Rows& y, bool second, Trace& trace, Flat& g) const {
    auto& [a, slope, bend, delta, p] = trace;
    for (auto* part : {&a, &slope, &bend, &delta}) part->resize(layers_ + 1);
    a[0] = x;
    for (std::size_t l = 0; l < layers_; ++l) {
      a[l + 1].resize(x.rows(), shape_.sizes[l + 1]);
      a[l + 1].rowwise() = bias(theta, l);
      multiply(a[l], weights(theta, l), T(1), a[l + 1].data());
      if (l + 1 < layers_) activate(a[l + 1], slope[l + 1], second ? &bend[l + 1] : nullptr);
    }
    const T loss = kind_ == EpisodeLoss::cross_entropy ? cross_entropy(a[layers_], y, delta[layers_], p)
                                                       : squared(a[layers_], y, delta[layers_]);
    g.resize(theta.size());
    for (std::size_t l = layers_; l-- > 0;) {
      multiply(transposed(a[l]), delta[l + 1], T(0), g.data() + shape_.offset(l));
      bias(g, l) = delta[l + 1].colwise().sum();
      if (l == 0) break;
      delta[l].resize(x.rows(), shape_.sizes[l]);
      multiply(delta[l + 1], transposed(weights(theta, l)), T(0), delta[l].data());
      if (second) bend[l].array() *= delta[l].array();
      delta[l].array() *= slope[l].array();
    }
    return loss;
  }

  // The Hessian times v goes to hv: the derivative of gradient() along v at the theta and trace of one call of
  // it, Pearlmutter 1994. r_* is the derivative of *.
  void hessian_times(const Flat& theta, const Trace& trace, const Flat& v, Flat& hv) {
    const auto& [a, slope, bend, delta, p] = trace;
    auto& [r_a, r_z, r_delta] = along_;
    for (auto* part : {&r_a, &r_z, &r_delta}) part->resize(layers_ + 1);
    const auto rows = a[0].rows();
    for (std::size_t l = 0; l < layers_; ++l) {
      r_z[l + 1].resize(rows, shape_.sizes[l + 1]);
      r_z[l + 1].rowwise() = bias(v, l);
      multiply(a[l], weights(v, l), T(1), r_z[l + 1].data());
      if (l > 0) multiply(r_a[l], weights(theta, l), T(1), r_z[l + 1].data());
      if (l + 1 < layers_) r_a[l + 1] = r_z[l + 1].cwiseProduct(slope[l + 1]);
    }
    if (kind_ == EpisodeLoss::cross_entropy) {  // d p / d z = diag(p) - p p'
      const Rows r_p = p.cwiseProduct(r_z[layers_]);
      const Flat sums = r_p.rowwise().sum();
      r_delta[layers_] = (r_p - sums.asDiagonal() * p) / static_cast<T>(rows);
    } else {
      r_delta[layers_] = T(2) / static_cast<T>(r_z[layers_].size()) * r_z[layers_];
    }
    hv.resize(theta.size());
    for (std::size_t l = layers_; l-- > 0;) {
      multiply(transposed(a[l]), r_delta[l + 1], T(0), hv.data() + shape_.offset(l));
      if (l > 0) multiply(transposed(r_a[l]), delta[l + 1], T(1), hv.data() + shape_.offset(l));
      bias(hv, l) = r_delta[l + 1].colwise().sum();
      if (l == 0) break;
      r_delta[l].resize(rows, shape_.sizes[l]);
      multiply(r_delta[l + 1], transposed(weights(theta, l)), T(0), r_delta[l].data());
      multiply(delta[l + 1], transposed(weights(v, l)), T(1), r_delta[l].data());
      r_delta[l] = r_delta[l].cwiseProduct(slope[l]) + bend[l].cwiseProduct(r_z[l]);
    }
  }

 private:
  // Losses of outputs z, and d loss / d z.
  static T squared(const Rows& z, const Rows& y, Rows& delta) {
    const T scale = T(1) / static_cast<T>(y.size());
    delta = T(2) * scale * (z - y);
    return (z - y).squaredNorm() * scale;
  }
  static T cross_entropy(const Rows& z, const Rows& y, Rows& delta, Rows& p) {
    const T scale = T(1) / static_cast<T>(y.rows());
    const Flat highest = z.rowwise().maxCoeff();
    Rows log_p = z.colwise() - highest;
    const Flat log_sums = log_p.array().exp().rowwise().sum().log();
    log_p.colwise() -= log_sums;
    p = log_p.array().exp();
    delta = scale * (p - y);
    return -scale * log_p.cwiseProduct(y).sum();
  }

  // A row-major matrix in anyone's memory, or its transpose.
  struct Factor {
    Factor(const T* values, Eigen::Index rows_stored, Eigen::Index cols_stored)
        : data(values),
          stored_rows(static_cast<int>(rows_stored)),
          stored_cols(static_cast<int>(cols_stored)) {}
    Factor(const Rows& m) : Factor(m.data(), m.rows(), m.cols()) {}
    int rows() const { return op == CblasTrans ? stored_cols : stored_rows; }
    int cols() const { return op == CblasTrans ? stored_rows : stored_cols; }

    const T* data;
    int stored_rows, stored_cols;
    CBLAS_TRANSPOSE op = CblasNoTrans;
  };
  static Factor transposed(Factor factor) {
    factor.op = CblasTrans;
    return factor;
  }
  // c = a b + beta c, row-major. BLAS knows what the processor can do; Eigen is built for every x86.
  static void multiply(const Factor& a, const Factor& b, T beta, T* c) {
    gemm(a.op, b.op, a.rows(), b.cols(), a.cols(), a.data, a.stored_cols, b.data, b.stored_cols, beta, c);
  }

  Factor weights(const Flat& theta, std::size_t l) const {
    return {theta.data() + shape_.offset(l), shape_.sizes[l], shape_.sizes[l + 1]};
  }
  template <class F>
  auto bias(F& theta, std::size_t l) const {
    const auto size = shape_.sizes[l + 1];
    return theta.segment(static_cast<Eigen::Index>(shape_.offset(l + 1)) - size, size).transpose();
  }

  // z -> activation(z) in place, and its derivatives at z. What is not finite stays so.
  void activate(Rows& z, Rows& slope, Rows* curve) const {
    switch (shape_.activation) {
      case learners::Activation::relu:
        slope = (z.array() > T(0)).template cast<T>().matrix();
        z.array() *= slope.array();
        if (curve != nullptr) curve->setZero(z.rows(), z.cols());
        return;
      case learners::Activation::silu: {  // z s, s = 1 / (1 + exp(-z))
        const Rows s = (T(1) + (-z.array()).exp()).inverse().matrix();
        slope = (s.array() * (T(1) + z.array() * (T(1) - s.array()))).matrix();
        if (curve != nullptr)
          *curve = (s.array() * (T(1) - s.array()) * (T(2) + z.array() * (T(1) - T(2) * s.array()))).matrix();
        z.array() *= s.array();
        return;
      }
      case learners::Activation::tanh:
        z = z.array().tanh().matrix();
        slope = (T(1) - z.array().square()).matrix();
        if (curve != nullptr) *curve = (T(-2) * z.array() * slope.array()).matrix();
        return;
    }
  }

  const learners::MlpShape& shape_;
  std::size_t layers_;
  EpisodeLoss kind_;
  struct {
    std::vector<Rows> a, z, delta;
  } along_;
};

void check_size(const char* what, Eigen::Index expected, Eigen::Index found) {
  if (expected == found) return;
  throw std::invalid_argument("maml_gradient: " + std::string(what) + " must be " + std::to_string(expected) +
                              ", got " + std::to_string(found));
}

bool are_probabilities(const Matrix& y) {
  return (y.array() >= 0).all() && ((y.rowwise().sum().array() - 1).abs() < 1e-6).all();
}

void check(const learners::MlpShape& shape, const Vector& parameters, std::span<const Episode> episodes,
           const InnerLoop& inner) {
  if (const auto error = inner.error(); !error.empty()) throw std::invalid_argument(error);
  if (episodes.empty()) throw std::invalid_argument("maml_gradient: needs at least one episode");
  check_size("parameters", static_cast<Eigen::Index>(shape.num_parameters()), parameters.size());
  if (inner.rates.size() > 0)
    check_size("columns of rates", static_cast<Eigen::Index>(shape.num_parameters()), inner.rates.cols());
  for (const auto& episode : episodes) {
    if (episode.support_x.rows() == 0 || episode.query_x.rows() == 0)
      throw std::invalid_argument("maml_gradient: an episode needs support and query rows");
    check_size("support_y rows", episode.support_x.rows(), episode.support_y.rows());
    check_size("query_y rows", episode.query_x.rows(), episode.query_y.rows());
    check_size("support_x columns", shape.sizes.front(), episode.support_x.cols());
    check_size("query_x columns", shape.sizes.front(), episode.query_x.cols());
    check_size("support_y columns", shape.sizes.back(), episode.support_y.cols());
    check_size("query_y columns", shape.sizes.back(), episode.query_y.cols());
    if (inner.loss == EpisodeLoss::cross_entropy &&
        !(are_probabilities(episode.support_y) && are_probabilities(episode.query_y)))
      throw std::invalid_argument(
          "episode " + episode.name +
          ": with cross-entropy, expected targets from 0 on that sum to 1 in each row");
  }
}

// The rates of inner steps, [steps or fewer, parameters]; the last row is that of all further steps.
template <class T>
class Rates {
 public:
  using Flat = typename TaskLoss<T>::Flat;
  Rates(const InnerLoop& inner, Eigen::Index parameters) {
    for (const auto& row : inner.rates.rowwise()) rows_.push_back(row.transpose().template cast<T>());
    if (rows_.empty()) rows_.push_back(Flat::Constant(parameters, static_cast<T>(inner.rate)));
  }
  std::size_t row(std::size_t step) const { return std::min(step, rows_.size() - 1); }
  const Flat& operator[](std::size_t step) const { return rows_[row(step)]; }

 private:
  std::vector<Flat> rows_;
};

template <class T>
OuterGradient gradient_of(const learners::MlpShape& shape, const Vector& parameters,
                          std::span<const Episode> episodes, const InnerLoop& inner) {
  using Rows = typename TaskLoss<T>::Rows;
  using Flat = typename TaskLoss<T>::Flat;
  const auto steps = static_cast<std::size_t>(inner.steps);
  const Rates<T> rates(inner, parameters.size());
  // Of the query loss at theta[s].
  std::vector<double> weights(steps + 1, 0.0);
  weights[steps] = 1;
  std::copy(inner.step_weights.begin(), inner.step_weights.end(), weights.begin() + 1);

  OuterGradient outer;
  outer.gradient = Vector::Zero(parameters.size());
  outer.rate_gradient = Matrix::Zero(inner.rates.rows(), inner.rates.cols());
  TaskLoss<T> loss(shape, inner.loss);
  std::vector<Flat> theta(steps + 1), g(steps);
  std::vector<typename TaskLoss<T>::Trace> traces(steps);
  typename TaskLoss<T>::Trace query_trace;
  Flat query_g, back, hv;
  const double share = 1.0 / static_cast<double>(episodes.size());
  theta[0] = parameters.cast<T>();
  for (const auto& episode : episodes) {
    const Rows support_x = episode.support_x.cast<T>(), support_y = episode.support_y.cast<T>();
    const Rows query_x = episode.query_x.cast<T>(), query_y = episode.query_y.cast<T>();
    // Algorithm 2, line 6.
    for (std::size_t s = 0; s < steps; ++s) {
      loss.gradient(theta[s], support_x, support_y, !inner.first_order, traces[s], g[s]);
      theta[s + 1] = theta[s] - rates[s].cwiseProduct(g[s]);
    }
    // Line 8: back = d task_loss / d theta[s], from the last s to the first, by
    //   d theta[s+1] / d theta[s] = I - rates H(theta[s]),   H the Hessian of the support loss.
    double task_loss = 0;
    back = Flat::Zero(parameters.size());
    for (std::size_t s = steps + 1; s-- > 0;) {
      if (s < steps) {
        if (inner.rates.size() > 0)
          outer.rate_gradient.row(static_cast<Eigen::Index>(rates.row(s))) -=
              share * back.cwiseProduct(g[s]).transpose().template cast<double>();
        if (!inner.first_order) {
          loss.hessian_times(theta[s], traces[s], rates[s].cwiseProduct(back), hv);
          back -= hv;
        }
      }
      if (weights[s] == 0) continue;
      task_loss += weights[s] * static_cast<double>(
                                    loss.gradient(theta[s], query_x, query_y, false, query_trace, query_g));
      back += static_cast<T>(weights[s]) * query_g;
    }
    outer.task_losses.push_back(task_loss);
    outer.loss += share * task_loss;
    outer.gradient += share * back.template cast<double>();
  }
  return outer;
}

}  // namespace

std::string InnerLoop::error() const {
  const auto wrong = OptionsError("InnerLoop").at_least("steps", steps, 0).finite_above_0("rate", rate);
  if (!wrong.text().empty()) return wrong.text();
  if (!rates.allFinite()) return "InnerLoop: rates must be finite";
  if (!step_weights.empty() && static_cast<int>(step_weights.size()) != steps) {
    return "InnerLoop: step_weights must be one per step, " + std::to_string(steps) + ", got " +
           std::to_string(step_weights.size());
  }
  return "";
}

OuterGradient maml_gradient(const learners::MlpShape& shape, const Vector& parameters,
                            std::span<const Episode> episodes, const InnerLoop& inner, Precision precision) {
  check(shape, parameters, episodes, inner);
  use_one_blas_thread();
  return precision == Precision::float32 ? gradient_of<float>(shape, parameters, episodes, inner)
                                         : gradient_of<double>(shape, parameters, episodes, inner);
}

Vector adapted(const learners::MlpShape& shape, const Vector& parameters, const Episode& episode,
               const InnerLoop& inner) {
  check(shape, parameters, std::span(&episode, 1), inner);
  use_one_blas_thread();
  const TaskLoss<double> loss(shape, inner.loss);
  const Rates<double> rates(inner, parameters.size());
  TaskLoss<double>::Trace trace;
  Vector theta = parameters, g;
  for (std::size_t s = 0; s < static_cast<std::size_t>(inner.steps); ++s) {
    loss.gradient(theta, episode.support_x, episode.support_y, /*second=*/false, trace, g);
    theta -= rates[s].cwiseProduct(g);
  }
  return theta;
}

void use_one_blas_thread() {
  static const bool done = [] {  // threads that start later inherit it
    if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); set != nullptr) {
      reinterpret_cast<void (*)(int)>(set)(1);
    }
    return true;
  }();
  (void)done;
}

std::string blas_warning() {
  if (dlsym(RTLD_DEFAULT, "openblas_get_config") != nullptr) return "";
  return "matrix products run on a slow BLAS, training takes 10 times longer; install "
         "libopenblas0-pthread";
}

}  // namespace fewwatt::meta
