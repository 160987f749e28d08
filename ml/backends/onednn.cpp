// The only translation unit that includes oneDNN. Written for the 2.x interface with operation descriptors and for
// 3.x without them.
#include "ml/backends/onednn.hpp"

#include <algorithm>
#include <dnnl.hpp>
#include <limits>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "kernels/errors.hpp"

namespace tramontane {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

template <class Scalar>
constexpr memory::data_type kDataType =
    std::is_same_v<Scalar, Bfloat16> ? memory::data_type::bf16 : memory::data_type::f32;

template <class Scalar>
memory::desc describe(memory::dims dims, Tag tag) {
  return {std::move(dims), kDataType<Scalar>, tag};
}

/// What oneDNN calls dilation counts the cells left out between two taps.
memory::dims dilates(int dilation) {
  return {dilation - 1, dilation - 1};
}

/// Below that, 16 bits are emulated, at a third of the speed of f32 or less.
bool computes_in_bf16() {
  constexpr int needed = static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc forward_descriptor(const dnnl::engine& engine, const memory::desc& x,
                                                             const memory::desc& w, const memory::desc& b,
                                                             const memory::desc& y, int dilation,
                                                             const dnnl::primitive_attr& attr) {
  return {engine,
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          x,
          w,
          b,
          y,
          {1, 1},
          dilates(dilation),
          {0, 0},
          {0, 0},
          attr};
}
dnnl::convolution_backward_data::primitive_desc data_descriptor(const dnnl::engine& engine, const memory::desc& x,
                                                                const memory::desc& w, const memory::desc& y,
                                                                int dilation,
                                                                const dnnl::convolution_forward::primitive_desc& hint) {
  return {engine, dnnl::algorithm::convolution_direct, x, w, y, {1, 1}, dilates(dilation), {0, 0}, {0, 0}, hint};
}
dnnl::convolution_backward_weights::primitive_desc weights_descriptor(
    const dnnl::engine& engine, const memory::desc& x, const memory::desc& w, const memory::desc& b,
    const memory::desc& y, int dilation, const dnnl::convolution_forward::primitive_desc& hint) {
  return {engine, dnnl::algorithm::convolution_direct, x, w, b, y, {1, 1}, dilates(dilation), {0, 0}, {0, 0}, hint};
}
void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
  ops.append_eltwise(algorithm, alpha, beta);
}
#else
dnnl::convolution_forward::primitive_desc forward_descriptor(const dnnl::engine& engine, const memory::desc& x,
                                                             const memory::desc& w, const memory::desc& b,
                                                             const memory::desc& y, int dilation,
                                                             const dnnl::primitive_attr& attr) {
  return {{dnnl::prop_kind::forward_training,
           dnnl::algorithm::convolution_direct,
           x,
           w,
           b,
           y,
           {1, 1},
           dilates(dilation),
           {0, 0},
           {0, 0}},
          attr,
          engine};
}
dnnl::convolution_backward_data::primitive_desc data_descriptor(const dnnl::engine& engine, const memory::desc& x,
                                                                const memory::desc& w, const memory::desc& y,
                                                                int dilation,
                                                                const dnnl::convolution_forward::primitive_desc& hint) {
  return {{dnnl::algorithm::convolution_direct, x, w, y, {1, 1}, dilates(dilation), {0, 0}, {0, 0}}, engine, hint};
}
dnnl::convolution_backward_weights::primitive_desc weights_descriptor(
    const dnnl::engine& engine, const memory::desc& x, const memory::desc& w, const memory::desc& b,
    const memory::desc& y, int dilation, const dnnl::convolution_forward::primitive_desc& hint) {
  return {{dnnl::algorithm::convolution_direct, x, w, b, y, {1, 1}, dilates(dilation), {0, 0}, {0, 0}}, engine, hint};
}
void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
  ops.append_eltwise(1.0f, algorithm, alpha, beta);
}
#endif

/// A primitive with its arguments: data handles are set at each call, all else is made once.
class Operation {
 public:
  void add(int argument, const memory::desc& desc, const dnnl::engine& engine) {
    arguments_.emplace(argument, memory(desc, engine, nullptr));
  }
  void set(int argument, const void* data) { arguments_.at(argument).set_data_handle(const_cast<void*>(data)); }
  void run(const dnnl::stream& stream) { primitive_.execute(stream, arguments_); }
  void bind(dnnl::primitive primitive) { primitive_ = std::move(primitive); }

 private:
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
};

/// Channels that arrive padded (network input and output) are convolved with zero weights there. With Bfloat16 the
/// activations, and the weights as packed, have 16 bits; sums, bias and the gradients of weights and bias have 32.
template <class Scalar>
class OnednnConvolution final : public Convolution<Scalar> {
 public:
  OnednnConvolution(const ConvolutionShape& shape, const dnnl::engine& engine, const dnnl::stream& stream)
      : e_(shape.extents),
        engine_(engine),
        stream_(stream),
        x_(describe<Scalar>({e_.images, e_.in_stride, e_.padded_height(), e_.padded_width()}, Tag::nhwc)),
        y_(describe<Scalar>({e_.images, e_.out_stride, e_.height, e_.width}, Tag::nhwc)),
        bias_(describe<float>({e_.out_stride}, Tag::a)),
        any_weights_(describe<Scalar>({e_.out_stride, e_.in_stride, e_.kernel, e_.kernel}, Tag::any)),
        any_gradient_(describe<float>({e_.out_stride, e_.in_stride, e_.kernel, e_.kernel}, Tag::any)),
        plain_weights_(describe<float>({e_.out_stride, e_.in_stride, e_.kernel, e_.kernel}, Tag::hwio)) {
    dnnl::primitive_attr attributes;
    if (shape.activation == Activation::capped_leaky_relu) {
      dnnl::post_ops ops;
      append_eltwise(ops, dnnl::algorithm::eltwise_relu, kLeakySlope, 0);
      append_eltwise(ops, dnnl::algorithm::eltwise_clip, std::numeric_limits<float>::lowest(), kLeakyCap);
      attributes.set_post_ops(ops);
    }
    const auto chosen = forward_descriptor(engine_, x_, any_weights_, bias_, y_, e_.dilation, attributes);
    forward_.bind(dnnl::convolution_forward(chosen));
    forward_weights_ = memory(chosen.weights_desc(), engine_);
    forward_bias_.assign(e_.out_stride, 0.0f);
    staged_.assign(plain_weights_.get_size() / sizeof(float), 0.0f);
    forward_.add(DNNL_ARG_SRC, x_, engine_);
    forward_.add(DNNL_ARG_WEIGHTS, chosen.weights_desc(), engine_);
    forward_.add(DNNL_ARG_BIAS, bias_, engine_);
    forward_.add(DNNL_ARG_DST, y_, engine_);
    forward_.set(DNNL_ARG_WEIGHTS, forward_weights_.get_data_handle());
    forward_.set(DNNL_ARG_BIAS, forward_bias_.data());
    // Hint for the backward passes: they know nothing of post-operations.
    hint_ = forward_descriptor(engine_, x_, any_weights_, bias_, y_, e_.dilation, dnnl::primitive_attr());
    pack_forward_.bind(
        dnnl::reorder(dnnl::reorder::primitive_desc(engine_, plain_weights_, engine_, chosen.weights_desc())));
    pack_forward_.add(DNNL_ARG_FROM, plain_weights_, engine_);
    pack_forward_.add(DNNL_ARG_TO, chosen.weights_desc(), engine_);
    pack_forward_.set(DNNL_ARG_TO, forward_weights_.get_data_handle());
  }

  void set_weights(const float* weights, const float* bias) override {
    const float* plain = weights;
    if (padded_channels()) {
      stage_weights(weights);
      plain = staged_.data();
    }
    std::copy_n(bias, e_.out_channels, forward_bias_.data());
    pack_forward_.set(DNNL_ARG_FROM, plain);
    pack_forward_.run(stream_);
    plain_ = plain;
    data_weights_current_ = false;
  }

  void forward(const Scalar* x, Scalar* y) override {
    forward_.set(DNNL_ARG_SRC, x);
    forward_.set(DNNL_ARG_DST, y);
    forward_.run(stream_);
    stream_.wait();
  }

  void backward_data(const Scalar* dy, Scalar* dx) override {
    if (!data_ready_) prepare_data();
    if (!data_weights_current_) {
      pack_data_.set(DNNL_ARG_FROM, plain_);
      pack_data_.run(stream_);
      data_weights_current_ = true;
    }
    data_.set(DNNL_ARG_DIFF_DST, dy);
    data_.set(DNNL_ARG_DIFF_SRC, dx);
    data_.run(stream_);
    stream_.wait();
  }

  void backward_weights(const Scalar* x, const Scalar* dy, float* dweights, float* dbias) override {
    if (!weights_ready_) prepare_weights();
    weights_.set(DNNL_ARG_SRC, x);
    weights_.set(DNNL_ARG_DIFF_DST, dy);
    weights_.run(stream_);
    // The reorder adds to the gradient; through the staging array where channels are padded.
    if (padded_channels()) {
      std::fill(staged_gradient_.begin(), staged_gradient_.end(), 0.0f);
      unpack_.set(DNNL_ARG_TO, staged_gradient_.data());
      unpack_.run(stream_);
      stream_.wait();
      add_padded_gradient(dweights);
    } else {
      unpack_.set(DNNL_ARG_TO, dweights);
      unpack_.run(stream_);
      stream_.wait();
    }
    for (int k = 0; k < e_.out_channels; ++k) dbias[k] += bias_gradient_[k];
  }

 private:
  bool padded_channels() const { return e_.in_stride != e_.in_channels || e_.out_stride != e_.out_channels; }
  std::size_t staged_at(int tap, int c) const {
    return (static_cast<std::size_t>(tap) * e_.in_stride + c) * e_.out_stride;
  }

  void stage_weights(const float* weights) {
    for (int tap = 0; tap < e_.kernel * e_.kernel; ++tap)
      for (int c = 0; c < e_.in_channels; ++c, weights += e_.out_channels)
        std::copy_n(weights, e_.out_channels, staged_.data() + staged_at(tap, c));
  }
  void add_padded_gradient(float* dweights) {
    for (int tap = 0; tap < e_.kernel * e_.kernel; ++tap)
      for (int c = 0; c < e_.in_channels; ++c, dweights += e_.out_channels)
        for (int k = 0; k < e_.out_channels; ++k) dweights[k] += staged_gradient_[staged_at(tap, c) + k];
  }

  void prepare_data() {
    const auto chosen = data_descriptor(engine_, x_, any_weights_, y_, e_.dilation, hint_);
    data_.bind(dnnl::convolution_backward_data(chosen));
    data_weights_ = memory(chosen.weights_desc(), engine_);
    data_.add(DNNL_ARG_DIFF_DST, y_, engine_);
    data_.add(DNNL_ARG_WEIGHTS, chosen.weights_desc(), engine_);
    data_.add(DNNL_ARG_DIFF_SRC, x_, engine_);
    data_.set(DNNL_ARG_WEIGHTS, data_weights_.get_data_handle());
    pack_data_.bind(
        dnnl::reorder(dnnl::reorder::primitive_desc(engine_, plain_weights_, engine_, chosen.weights_desc())));
    pack_data_.add(DNNL_ARG_FROM, plain_weights_, engine_);
    pack_data_.add(DNNL_ARG_TO, chosen.weights_desc(), engine_);
    pack_data_.set(DNNL_ARG_TO, data_weights_.get_data_handle());
    data_ready_ = true;
  }

  void prepare_weights() {
    const auto chosen = weights_descriptor(engine_, x_, any_gradient_, bias_, y_, e_.dilation, hint_);
    weights_.bind(dnnl::convolution_backward_weights(chosen));
    weight_gradient_ = memory(chosen.diff_weights_desc(), engine_);
    bias_gradient_.assign(e_.out_stride, 0.0f);
    weights_.add(DNNL_ARG_SRC, x_, engine_);
    weights_.add(DNNL_ARG_DIFF_DST, y_, engine_);
    weights_.add(DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc(), engine_);
    weights_.add(DNNL_ARG_DIFF_BIAS, bias_, engine_);
    weights_.set(DNNL_ARG_DIFF_WEIGHTS, weight_gradient_.get_data_handle());
    weights_.set(DNNL_ARG_DIFF_BIAS, bias_gradient_.data());
    dnnl::post_ops add;
    add.append_sum(1.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(add);
    unpack_.bind(dnnl::reorder(
        dnnl::reorder::primitive_desc(engine_, chosen.diff_weights_desc(), engine_, plain_weights_, attributes)));
    unpack_.add(DNNL_ARG_FROM, chosen.diff_weights_desc(), engine_);
    unpack_.add(DNNL_ARG_TO, plain_weights_, engine_);
    unpack_.set(DNNL_ARG_FROM, weight_gradient_.get_data_handle());
    if (padded_channels()) staged_gradient_.assign(staged_.size(), 0.0f);
    weights_ready_ = true;
  }

  ConvolutionExtents e_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  memory::desc x_, y_, bias_, any_weights_, any_gradient_, plain_weights_;
  dnnl::convolution_forward::primitive_desc hint_;
  Operation forward_, data_, weights_, pack_forward_, pack_data_, unpack_;
  memory forward_weights_, data_weights_, weight_gradient_;
  std::vector<float> forward_bias_, bias_gradient_, staged_, staged_gradient_;
  const float* plain_ = nullptr;
  bool data_ready_ = false, weights_ready_ = false, data_weights_current_ = false;
};

template <class Scalar>
class OnednnBackend final : public Backend<Scalar> {
 public:
  std::string name() const override { return "onednn"; }
  std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) override {
    return std::make_unique<OnednnConvolution<Scalar>>(shape, engine_, stream_);
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

}  // namespace

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_onednn_backend() {
  if (std::is_same_v<Scalar, Bfloat16> && !computes_in_bf16())
    throw InputError(
        "learner.precision = bf16 needs a processor that multiplies 16-bit numbers (AVX512_BF16 or AMX), and this one "
        "does not: choose learner.precision: f32");
  return std::make_shared<OnednnBackend<Scalar>>();
}

template std::shared_ptr<Backend<float>> make_onednn_backend<float>();
template std::shared_ptr<Backend<Bfloat16>> make_onednn_backend<Bfloat16>();

}  // namespace tramontane
