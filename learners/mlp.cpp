#include "learners/mlp.hpp"

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "learners/activation.hpp"

namespace fewwatt::learners {
namespace {

constexpr std::array<std::string_view, 3> kActivationNames = {"relu", "silu", "tanh"};

// Where layer l's weights and bias lie in flat parameters.
template <class T>
struct Layer {
  Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> weights;
  Eigen::Map<const Eigen::Matrix<T, 1, Eigen::Dynamic>> bias;
};

template <class T>
Layer<T> layer_of(const MlpShape& shape, const T* parameters, std::size_t l) {
  const T* start = parameters + shape.offset(l);
  return {{start, shape.sizes[l], shape.sizes[l + 1]},
          {start + Eigen::Index{shape.sizes[l]} * shape.sizes[l + 1], shape.sizes[l + 1]}};
}

// 1 / (1 + exp(-z)), as an expression over `z`. In single precision from tanh, for which Eigen has a rational
// function that is twice as fast as its exponential where SSE2 is all there is.
template <class M>
auto sigmoid(const M& z) {
  using T = typename M::Scalar;
  if constexpr (std::is_same_v<T, float>)
    return T(0.5) + T(0.5) * (T(0.5) * z.array()).tanh();
  else
    return (T(1) + (-z.array()).exp()).inverse();
}

// z -> activation(z), in place; where `slope` is given it gets the derivative at z.
template <class M>
void activate(Activation activation, M& z, M* slope) {
  using T = typename M::Scalar;
  switch (activation) {
    case Activation::relu:
      if (slope != nullptr) *slope = (z.array() > T(0)).template cast<T>().matrix();
      z = z.cwiseMax(T(0));
      return;
    case Activation::silu: {  // z s(z), s = 1 / (1 + exp(-z)); derivative s + z s (1 - s)
      if (slope == nullptr) {
        z.array() *= sigmoid(z);
        return;
      }
      const M s = sigmoid(z).matrix();
      *slope = (s.array() * (T(1) + z.array() * (T(1) - s.array()))).matrix();
      z = z.cwiseProduct(s);
      return;
    }
    case Activation::tanh:
      z = z.array().tanh().matrix();
      if (slope != nullptr) *slope = (T(1) - z.array().square()).matrix();
      return;
  }
}

}  // namespace

std::string_view to_string(Activation activation) {
  return kActivationNames[static_cast<std::size_t>(activation)];
}

Activation parse_activation(std::string_view name) {
  for (std::size_t i = 0; i < kActivationNames.size(); ++i) {
    if (kActivationNames[i] == name) return static_cast<Activation>(i);
  }
  throw std::invalid_argument("activation must be relu, silu or tanh, got " + std::string(name));
}

std::size_t MlpShape::offset(std::size_t layer) const {
  std::size_t start = 0;
  for (std::size_t l = 0; l < layer; ++l)
    start += (static_cast<std::size_t>(sizes[l]) + 1) * static_cast<std::size_t>(sizes[l + 1]);
  return start;
}

std::size_t MlpShape::num_parameters() const {
  return offset(num_layers());
}

template <class T>
Mlp<T>::Mlp(MlpShape shape, Flat parameters) : shape_(std::move(shape)), parameters_(std::move(parameters)) {
  if (shape_.sizes.size() < 2) throw std::invalid_argument("Mlp: needs an input and an output size");
  for (const int size : shape_.sizes)
    if (size < 1) throw std::invalid_argument("Mlp: sizes must be >= 1, got " + std::to_string(size));
  if (!shape_.dropout.empty() && shape_.dropout.size() != shape_.num_layers() - 1) {
    throw std::invalid_argument("Mlp: dropout needs one probability per hidden layer");
  }
  if (static_cast<std::size_t>(parameters_.size()) != shape_.num_parameters()) {
    throw std::invalid_argument("Mlp: the shape has " + std::to_string(shape_.num_parameters()) +
                                " parameters, got " + std::to_string(parameters_.size()));
  }
}

template <class T>
typename Mlp<T>::Matrix Mlp<T>::forward(const Matrix& inputs) const {
  Matrix a = inputs;
  for (std::size_t l = 0; l < shape_.num_layers(); ++l) {
    const auto layer = layer_of(shape_, parameters_.data(), l);
    Matrix z(a.rows(), shape_.sizes[l + 1]);
    z.noalias() = a * layer.weights;
    z.rowwise() += layer.bias;
    if (l + 1 < shape_.num_layers()) activate<Matrix>(shape_.activation, z, nullptr);
    a = std::move(z);
  }
  return a;
}

template <class T>
T Mlp<T>::loss(const Matrix& inputs, const Matrix& targets, Flat& gradient, hw::Rng* dropout,
               std::size_t first) const {
  const auto layers = shape_.num_layers();
  std::vector<Matrix> activations(layers + 1);  // of each layer's input, after dropout
  std::vector<Matrix> slopes(layers);           // d activation / d z, dropout's factor included
  activations[0] = inputs;
  for (std::size_t l = 0; l < layers; ++l) {
    const auto layer = layer_of(shape_, parameters_.data(), l);
    Matrix z = (activations[l] * layer.weights).rowwise() + layer.bias;
    if (l + 1 < layers) {
      activate<Matrix>(shape_.activation, z, &slopes[l]);
      const double p = dropout != nullptr && !shape_.dropout.empty() ? shape_.dropout[l] : 0.0;
      if (p > 0) {  // kept ones are scaled by 1/(1-p), so that prediction needs no change (Srivastava et al.
                    // 2014)
        const T keep = T(1.0 / (1.0 - p));
        for (Eigen::Index i = 0; i < z.size(); ++i) {
          const T factor = dropout->uniform() < p ? T(0) : keep;
          z.data()[i] *= factor;
          slopes[l].data()[i] *= factor;
        }
      }
    }
    activations[l + 1] = std::move(z);
  }

  const Matrix residual = activations[layers] - targets;
  const T scale = T(1) / static_cast<T>(residual.size());
  gradient.resize(parameters_.size());
  Matrix delta = residual * (T(2) * scale);  // d loss / d z of the current layer
  for (std::size_t l = layers; l-- > 0 && shape_.offset(l + 1) > first;) {
    const auto layer = layer_of(shape_, parameters_.data(), l);
    T* start = gradient.data() + shape_.offset(l);
    Eigen::Map<Matrix>(start, shape_.sizes[l], shape_.sizes[l + 1]).noalias() =
        activations[l].transpose() * delta;
    Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic>>(
        start + Eigen::Index{shape_.sizes[l]} * shape_.sizes[l + 1], shape_.sizes[l + 1]) =
        delta.colwise().sum();
    if (l > 0 && shape_.offset(l) > first)
      delta = (delta * layer.weights.transpose()).cwiseProduct(slopes[l - 1]);
  }
  return residual.squaredNorm() * scale;
}

template class Mlp<float>;
template class Mlp<double>;

Mlp<double>::Matrix activated(Activation activation, Mlp<double>::Matrix z) {
  activate<Mlp<double>::Matrix>(activation, z, nullptr);
  return z;
}

void randomize_layer(const MlpShape& shape, std::size_t layer, hw::Rng& rng, Eigen::VectorXd& parameters) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(shape.sizes[layer]));
  for (std::size_t i = shape.offset(layer); i < shape.offset(layer + 1); ++i) {
    parameters[static_cast<Eigen::Index>(i)] = rng.uniform(-bound, bound);
  }
}

Eigen::VectorXd random_parameters(const MlpShape& shape, hw::Rng& rng) {
  Eigen::VectorXd parameters(static_cast<Eigen::Index>(shape.num_parameters()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l) randomize_layer(shape, l, rng, parameters);
  return parameters;
}

}  // namespace fewwatt::learners
