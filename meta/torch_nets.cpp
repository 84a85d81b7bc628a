#include "meta/torch_nets.hpp"

#include <dlfcn.h>

#include <algorithm>

namespace fewwatt::meta {
namespace {

at::Tensor activate(learners::Activation activation, const at::Tensor& z) {
  switch (activation) {
    case learners::Activation::relu:
      return at::relu(z);
    case learners::Activation::silu:
      return at::silu(z);
    case learners::Activation::tanh:
      return at::tanh(z);
  }
  return z;
}

}  // namespace

void use_one_thread() {
  static const bool done = [] {
    at::set_num_threads(1);
    if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); set != nullptr) {
      reinterpret_cast<void (*)(int)>(set)(1);
    }
    return true;
  }();
  (void)done;
}

at::Tensor to_tensor(const tasks::Matrix& m) {
  auto t = at::empty({m.rows(), m.cols()}, at::kDouble);
  std::copy(m.data(), m.data() + m.size(), t.data_ptr<double>());
  return t;
}

at::Tensor to_tensor(const tasks::Vector& v) {
  auto t = at::empty({v.size()}, at::kDouble);
  std::copy(v.data(), v.data() + v.size(), t.data_ptr<double>());
  return t;
}

tasks::Matrix to_matrix(const at::Tensor& t) {
  const auto flat = t.detach().contiguous();
  return Eigen::Map<const tasks::Matrix>(flat.data_ptr<double>(), t.size(0), t.size(1));
}

at::Tensor forward(const learners::MlpShape& shape, const at::Tensor& parameters, at::Tensor rows) {
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const std::int64_t in = shape.sizes[l], out = shape.sizes[l + 1];
    const auto at = static_cast<std::int64_t>(shape.offset(l));
    rows = at::matmul(rows, parameters.narrow(0, at, in * out).view({in, out})) +
           parameters.narrow(0, at + in * out, out);
    if (l + 1 < shape.num_layers()) rows = activate(shape.activation, rows);
  }
  return rows;
}

at::Tensor times(const at::Tensor& matrix, const at::Tensor& vector) {
  return at::matmul(matrix, vector.unsqueeze(-1)).squeeze(-1);
}

}  // namespace fewwatt::meta
