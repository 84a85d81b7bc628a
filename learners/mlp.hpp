#pragma once

#include <Eigen/Core>
#include <string_view>
#include <vector>

#include "hw/random.hpp"

namespace fewwatt::learners {

enum class Activation { relu, silu, tanh };
std::string_view to_string(Activation activation);
Activation parse_activation(std::string_view name);  // throws std::invalid_argument

struct MlpShape {
  std::vector<int> sizes;                    // {inputs, hidden..., outputs}
  Activation activation = Activation::silu;  // of the hidden layers; the output is linear
  std::vector<double> dropout;  // probability per hidden layer; empty = none. Used in training only

  std::size_t num_layers() const { return sizes.size() - 1; }
  std::size_t num_parameters() const;  // in 64 bits, whatever the sizes
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
  using Flat = Eigen::Matrix<T, Eigen::Dynamic, 1>;

  Mlp(MlpShape shape, Flat parameters);  // throws std::invalid_argument when the sizes do not fit

  const MlpShape& shape() const { return shape_; }
  const Flat& parameters() const { return parameters_; }
  Flat& parameters() { return parameters_; }

  Matrix forward(const Matrix& inputs) const;  // [n,in] -> [n,out], without dropout

  // Mean over rows and outputs of (forward - targets)^2, with dropout where the shape has it and `dropout` is
  // given; its gradient goes to `gradient` [num_parameters]. Of layers that end before `first` it is not
  // computed, and is left as it was.
  T loss(const Matrix& inputs, const Matrix& targets, Flat& gradient, hw::Rng* dropout = nullptr,
         std::size_t first = 0) const;

 private:
  MlpShape shape_;
  Flat parameters_;
};

// Weights and biases ~ U(-1/sqrt(in), 1/sqrt(in)), what LibTorch's Linear starts from.
Eigen::VectorXd random_parameters(const MlpShape& shape, hw::Rng& rng);
void randomize_layer(const MlpShape& shape, std::size_t layer, hw::Rng& rng, Eigen::VectorXd& parameters);

}  // namespace fewwatt::learners
