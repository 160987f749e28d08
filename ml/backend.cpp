#include "ml/backend.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <type_traits>

#include "kernels/errors.hpp"
#include "kernels/network_convolution.hpp"
#include "kernels/network_elementwise.hpp"
#include "ml/backend_options.hpp"
#include "ml/backends/engine_cache.hpp"
#include "ml/backends/onednn.hpp"
#include "ml/memory.hpp"

#if defined(TRAMONTANE_HAS_CUDNN)
#include "ml/backends/cudnn.hpp"
#endif

namespace tramontane {
namespace {

template <class Scalar>
class ReferenceConvolution final : public Convolution<Scalar> {
 public:
  using Parameter = ParameterOf<Scalar>;
  ReferenceConvolution(const ConvolutionShape& shape, Memory memory)
      : shape_(shape),
        memory_(memory),
        weights_("weights", shape.extents.weights(), memory),
        bias_("bias", shape.extents.out_channels, memory) {}

  void set_weights(const Parameter* weights, const Parameter* bias) override {
    in_space(memory_, [&](auto space) {
      copy_elements<decltype(space)>(weights_.size(), weights, weights_.data());
      copy_elements<decltype(space)>(bias_.size(), bias, bias_.data());
    });
  }
  void forward(const Scalar* x, Scalar* y) override {
    using Number = ArithmeticOf<Scalar>;
    in_space(memory_, [&](auto space) {
      convolution_forward<decltype(space)>(shape_.extents, x, weights_.data(), bias_.data(),
                                           shape_.activation == Activation::capped_leaky_relu, Number(kLeakySlope),
                                           Number(kLeakyCap), y);
    });
  }
  void backward_data(const Scalar* dy, Scalar* dx) override {
    in_space(memory_,
             [&](auto space) { convolution_backward_data<decltype(space)>(shape_.extents, dy, weights_.data(), dx); });
  }
  void backward_weights(const Scalar* x, const Scalar* dy, Parameter* dweights, Parameter* dbias) override {
    in_space(memory_, [&](auto space) {
      convolution_backward_weights<decltype(space)>(shape_.extents, x, dy, dweights, dbias);
    });
  }

 private:
  ConvolutionShape shape_;
  Memory memory_;
  MemoryBuffer<Parameter> weights_, bias_;
};

template <class Scalar>
class StubConvolution final : public Convolution<Scalar> {
 public:
  using Parameter = ParameterOf<Scalar>;
  StubConvolution(const ConvolutionShape& shape, Memory memory) : e_(shape.extents), memory_(memory) {}
  void set_weights(const Parameter*, const Parameter*) override {}
  void forward(const Scalar*, Scalar* y) override { zero(e_.y_at(e_.images, 0, 0), y); }
  void backward_data(const Scalar*, Scalar* dx) override { zero(e_.x_at(e_.images, 0, 0), dx); }
  void backward_weights(const Scalar*, const Scalar*, Parameter*, Parameter*) override {}

 private:
  void zero(std::size_t count, Scalar* to) const {
    in_space(memory_, [&](auto space) { fill_elements<decltype(space)>(count, static_cast<Scalar>(0), to); });
  }
  ConvolutionExtents e_;
  Memory memory_;
};

template <class Scalar, template <class> class Layer>
class SimpleBackend final : public Backend<Scalar> {
 public:
  SimpleBackend(std::string name, Memory memory) : name_(std::move(name)), memory_(memory) {}
  std::string name() const override { return name_; }
  Memory memory() const override { return memory_; }
  std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) override {
    return std::make_unique<Layer<Scalar>>(shape, memory_);
  }

 private:
  std::string name_;
  Memory memory_;
};

}  // namespace

std::vector<std::string> backend_names() {
  return {
#if defined(TRAMONTANE_HAS_CUDNN)
    "cudnn",
#endif
        "onednn", "reference", "stub"
  };
}

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_backend(const std::string& name) {
#if defined(TRAMONTANE_HAS_CUDNN)
  if constexpr (!std::is_same_v<Scalar, double>)
    if (name == "cudnn" || name == "auto") return make_backend<Scalar>(name, BackendOptions{});
#endif
  if (name == "reference") return make_reference_backend<Scalar>(Memory::host);
  if (name == "stub") return std::make_shared<SimpleBackend<Scalar, StubConvolution>>(name, Memory::host);
  if (name == "onednn" || name == "auto") {
    if constexpr (std::is_same_v<Scalar, double>)
      throw InputError(fmt::format("the network back end '{}' has no double precision: use 'reference'", name));
    else
      return make_onednn_backend<Scalar>();
  }
  throw InputError(
      fmt::format("unknown network back end '{}': choose one of auto, {}", name, fmt::join(backend_names(), ", ")));
}

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_backend(const std::string& name, [[maybe_unused]] const BackendOptions& options) {
#if defined(TRAMONTANE_HAS_CUDNN)
  if constexpr (!std::is_same_v<Scalar, double>)
    if (name == "cudnn" || name == "auto") {
      CudnnOptions cudnn;
      cudnn.tf32 = options.tf32;
      cudnn.measure = !options.deterministic;
      cudnn.cache_file = cache_path("cudnn-engines.txt");
      return make_cudnn_backend<Scalar>(cudnn);
    }
#endif
  return make_backend<Scalar>(name);
}

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_reference_backend(Memory memory) {
  return std::make_shared<SimpleBackend<Scalar, ReferenceConvolution>>("reference", memory);
}

template std::shared_ptr<Backend<float>> make_backend<float>(const std::string&);
template std::shared_ptr<Backend<double>> make_backend<double>(const std::string&);
template std::shared_ptr<Backend<Bfloat16>> make_backend<Bfloat16>(const std::string&);
template std::shared_ptr<Backend<float>> make_backend<float>(const std::string&, const BackendOptions&);
template std::shared_ptr<Backend<double>> make_backend<double>(const std::string&, const BackendOptions&);
template std::shared_ptr<Backend<Bfloat16>> make_backend<Bfloat16>(const std::string&, const BackendOptions&);
template std::shared_ptr<Backend<float>> make_reference_backend<float>(Memory);
template std::shared_ptr<Backend<double>> make_reference_backend<double>(Memory);
template std::shared_ptr<Backend<Bfloat16>> make_reference_backend<Bfloat16>(Memory);

}  // namespace tramontane
