#include "ml/backend.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>

#include "kernels/errors.hpp"
#include "kernels/network_convolution.hpp"
#include "ml/backends/onednn.hpp"

namespace tramontane {
namespace {

using Space = Kokkos::DefaultHostExecutionSpace;

template <class Scalar>
class ReferenceConvolution final : public Convolution<Scalar> {
 public:
  explicit ReferenceConvolution(const ConvolutionShape& shape) : shape_(shape) {}

  void set_weights(const Scalar* weights, const Scalar* bias) override {
    const ConvolutionExtents& e = shape_.extents;
    weights_.assign(weights, weights + static_cast<std::size_t>(e.kernel) * e.kernel * e.in_channels * e.out_channels);
    bias_.assign(bias, bias + e.out_channels);
  }
  void forward(const Scalar* x, Scalar* y) override {
    convolution_forward<Space>(shape_.extents, x, weights_.data(), bias_.data(),
                               shape_.activation == Activation::capped_leaky_relu, Scalar(kLeakySlope),
                               Scalar(kLeakyCap), y);
  }
  void backward_data(const Scalar* dy, Scalar* dx) override {
    convolution_backward_data<Space>(shape_.extents, dy, weights_.data(), dx);
  }
  void backward_weights(const Scalar* x, const Scalar* dy, Scalar* dweights, Scalar* dbias) override {
    convolution_backward_weights<Space>(shape_.extents, x, dy, dweights, dbias);
  }

 private:
  ConvolutionShape shape_;
  std::vector<Scalar> weights_, bias_;
};

template <class Scalar>
class StubConvolution final : public Convolution<Scalar> {
 public:
  explicit StubConvolution(const ConvolutionShape& shape) : e_(shape.extents) {}
  void set_weights(const Scalar*, const Scalar*) override {}
  void forward(const Scalar*, Scalar* y) override { std::fill_n(y, e_.y_at(e_.images, 0, 0), Scalar(0)); }
  void backward_data(const Scalar*, Scalar* dx) override { std::fill_n(dx, e_.x_at(e_.images, 0, 0), Scalar(0)); }
  void backward_weights(const Scalar*, const Scalar*, Scalar*, Scalar*) override {}

 private:
  ConvolutionExtents e_;
};

template <class Scalar, template <class> class Layer>
class SimpleBackend final : public Backend<Scalar> {
 public:
  explicit SimpleBackend(std::string name) : name_(std::move(name)) {}
  std::string name() const override { return name_; }
  std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) override {
    return std::make_unique<Layer<Scalar>>(shape);
  }

 private:
  std::string name_;
};

}  // namespace

std::vector<std::string> backend_names() {
  return {"onednn", "reference", "stub"};
}

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_backend(const std::string& name) {
  if (name == "reference") return std::make_shared<SimpleBackend<Scalar, ReferenceConvolution>>(name);
  if (name == "stub") return std::make_shared<SimpleBackend<Scalar, StubConvolution>>(name);
  if (name == "onednn" || name == "auto") {
    if constexpr (std::is_same_v<Scalar, float>)
      return make_onednn_backend();
    else
      throw InputError(
          fmt::format("the network back end '{}' computes in single precision only: use 'reference'", name));
  }
  throw InputError(
      fmt::format("unknown network back end '{}': choose one of auto, {}", name, fmt::join(backend_names(), ", ")));
}

template std::shared_ptr<Backend<float>> make_backend<float>(const std::string&);
template std::shared_ptr<Backend<double>> make_backend<double>(const std::string&);

}  // namespace tramontane
