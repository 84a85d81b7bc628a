#pragma once

#include <Eigen/Core>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/random.hpp"

namespace fewwatt::learners {

// A function between the layers of a net.
enum class Activation {
  relu,  // max(0, z)
  silu,  // z / (1 + exp(-z))
  tanh   // tanh z
};
std::string_view to_string(Activation activation);  // "relu", ...
// All of them, with their names.
inline constexpr std::array<std::pair<std::string_view, Activation>, 3> kActivations = {
    {{"relu", Activation::relu}, {"silu", Activation::silu}, {"tanh", Activation::tanh}}};
Activation parse_activation(std::string_view name);  // throws std::invalid_argument for an unknown name

// The shape of a fully connected net.
struct MlpShape {
  std::vector<int> sizes;                    // {inputs, hidden..., outputs}
  Activation activation = Activation::silu;  // of the hidden layers; the output is linear
  std::vector<double> dropout;  // probability per hidden layer; empty = none. Used in training only

  std::size_t num_layers() const { return sizes.size() - 1; }  // of weights
  std::size_t num_parameters() const;                          // of weights and biases, whatever the sizes
  // Where layer l's weights [in,out] (row-major) start in the flat parameters; its bias [out] follows them.
  std::size_t offset(std::size_t layer) const;
};

// A fully connected net with its gradient. All parameters are one flat vector, layer by layer, weights then
// bias, so that optimizers and checkpoints need not know the shape. Instantiated for float (run time) and
// double (parity, gradient checks).
template <class T>
class Mlp {
 public:
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // row = sample
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;                                  // all parameters

  Mlp(MlpShape shape, Flat parameters);  // throws std::invalid_argument when the sizes do not fit

  const MlpShape& shape() const { return shape_; }        // as it was given
  const Flat& parameters() const { return parameters_; }  // [num_parameters]
  Flat& parameters() { return parameters_; }              // [num_parameters]

  Matrix forward(const Matrix& inputs) const;  // [n,in] -> [n,out], without dropout

  // The mean over rows and outputs of (forward - targets)^2, with dropout where the shape has it and `dropout` is given. Its gradient
  // goes to `gradient` [num_parameters]; the part of layers whose parameters all stand before `first` is not computed, and stays as it
  // was.
  T loss(const Matrix& inputs, const Matrix& targets, Flat& gradient, hw::Rng* dropout = nullptr,
         std::size_t first = 0) const;

 private:
  MlpShape shape_;
  Flat parameters_;
};

// Random parameters of a net, or of one layer: weights and biases ~ U(-1/sqrt(in), 1/sqrt(in)), as LibTorch's Linear has them.
Eigen::VectorXd random_parameters(const MlpShape& shape, hw::Rng& rng);
void randomize_layer(const MlpShape& shape, std::size_t layer, hw::Rng& rng, Eigen::VectorXd& parameters);

}  // namespace fewwatt::learners
