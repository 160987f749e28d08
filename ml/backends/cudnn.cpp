// The only translation unit that includes cuDNN. Its graph API is used through the header-only frontend, without the
// JSON library that comes along: its specialisation for float would clash with the one the program uses.
#include "ml/backends/cudnn.hpp"

#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cuda_runtime.h>
#include <cudnn.h>
#include <cudnn_frontend.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/convolution_layout_size.hpp"
#include "kernels/errors.hpp"
#include "ml/backends/cudnn_kernels.hpp"
#include "ml/backends/engine_cache.hpp"
#include "ml/notices.hpp"

namespace tramontane {
namespace {

namespace fe = cudnn_frontend;
using Graph = fe::graph::Graph;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;
/// Device pointers by the numbers below.
using Arrays = std::unordered_map<std::int64_t, void*>;
enum : std::int64_t { kX = 1, kFilter, kBias, kY, kDy, kDx, kFilterGradient };

constexpr int kCandidates = 8;   ///< engines that are timed
constexpr int kRepetitions = 5;  ///< of each; the shortest counts

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw RunError(fmt::format("{} failed: {}", call, cudaGetErrorString(status)));
}
void check(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) throw RunError(fmt::format("{} failed: {}", call, cudnnGetErrorString(status)));
}

/// What cuDNN itself says about its last failure.
std::string last_words() {
  std::array<char, 512> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  return text.data();
}

template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::size_t size) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), std::max<std::size_t>(size, 1) * sizeof(T)), "cudaMalloc");
  }
  DeviceArray(DeviceArray&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~DeviceArray() {
    if (data_) cudaFree(data_);
  }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

/// Work space that all convolutions of a back end share: their calls are in one order. A captured step keeps pointers,
/// so blocks that became too small stay.
class Arena {
 public:
  void* at_least(std::size_t bytes) {
    if (bytes > size_) {
      blocks_.emplace_back(bytes);
      size_ = bytes;
    }
    return blocks_.empty() ? nullptr : blocks_.back().data();
  }

 private:
  std::vector<DeviceArray<char>> blocks_;
  std::size_t size_ = 0;
};

/// What the convolutions of a back end have in common.
struct Session {
  explicit Session(const CudnnOptions& o) : options(o), cache(o.cache_file) {
    if (cudnnGetVersion() / 10000 != CUDNN_VERSION / 10000)
      throw InputError(
          fmt::format("this program was built for cuDNN {} and found {}: load the module it was built with",
                      CUDNN_MAJOR, cudnnGetVersion() / 10000));
    check(cudaSetDevice(device::default_device()), "cudaSetDevice");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device::default_device()), "cudaGetDeviceProperties");
    gpu = properties.name;
    stream = static_cast<cudaStream_t>(device::default_stream());
    check(cudnnCreate(&handle), "cudnnCreate");
    check(cudnnSetStream(handle, stream), "cudnnSetStream");
    say_problem();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { cudnnDestroy(handle); }

  void say_problem() {
    if (const std::string problem = cache.take_problem(); !problem.empty()) notice(problem);
  }
  bool capturing() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
  }

  CudnnOptions options;
  EngineCache cache;
  cudnnHandle_t handle = nullptr;
  cudaStream_t stream = nullptr;
  std::string gpu;
  Arena arena;
};

/// One way to put an operation to cuDNN.
struct Variant {
  std::string name;
  std::function<std::shared_ptr<Graph>()> describe;
};

/// An operation bound to its shapes, and from its first execution on to an engine.
class Operation {
 public:
  /// Throws InputError if no engine takes any of the variants, which are tried in order.
  Operation(std::shared_ptr<Session> session, EngineKey key, std::vector<Variant> variants)
      : session_(std::move(session)), key_(std::move(key)) {
    if (from_cache(variants)) return;
    std::string reasons;
    for (const Variant& variant : variants) {
      const std::string reason = propose(variant);
      if (reason.empty()) return;
      reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", variant.name, reason);
    }
    throw InputError(
        fmt::format("cuDNN has no engine for {} of {} in {} on {}: choose a width that is a multiple of 8 "
                    "({})",
                    key_.operation, shape_text(key_.extents), key_.type, session_->gpu, reasons));
  }

  const std::string& variant() const { return variant_; }

  void execute(Arrays arrays) {
    if (!chosen_) choose(arrays);
    run(arrays, engine_, session_->arena.at_least(workspace_));
  }

 private:
  /// Throws RunError naming the call and the shape.
  void check(const fe::error_t& status, const char* call) const {
    if (status.is_good()) return;
    throw RunError(fmt::format("cuDNN: {} failed for {} of {} in {} on {}: {} ({})", call, key_.operation,
                               shape_text(key_.extents), key_.type, session_->gpu, status.err_msg, last_words()));
  }

  void run(Arrays& arrays, std::int64_t engine, void* workspace) const {
    check(graph_->execute_plan_at_index(session_->handle, arrays, workspace, engine), "execute");
  }

  /// Engines that would give other results than asked for are out: float must not become less by itself.
  void exclude(Graph& graph) const {
    std::vector<fe::NumericalNote_t> notes = {fe::NumericalNote_t::NONDETERMINISTIC,
                                              fe::NumericalNote_t::DOWN_CONVERT_INPUTS,
                                              fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
    if (key_.type == "f32") notes.push_back(fe::NumericalNote_t::TENSOR_CORE);
    graph.deselect_numeric_notes(notes);
    graph.deselect_workspace_greater_than(static_cast<std::int64_t>(session_->options.workspace_bytes));
  }

  /// The engine of an earlier run. Whatever is wrong with it, the heuristics are asked instead.
  bool from_cache(const std::vector<Variant>& variants) {
    // What was fastest one day must not decide the bits of a run that asks for the same ones every day.
    const EngineChoice* choice = session_->options.measure ? session_->cache.find(key_) : nullptr;
    if (choice == nullptr) return false;
    for (const Variant& variant : variants) {
      if (variant.name != choice->variant) continue;
      std::unordered_map<fe::KnobType_t, std::int64_t> knobs;
      for (const auto& [knob, value] : choice->knobs) knobs[static_cast<fe::KnobType_t>(knob)] = value;
      auto graph = variant.describe();
      if (graph->validate().is_bad() || graph->build_operation_graph(session_->handle).is_bad() ||
          graph->create_execution_plan(choice->engine, knobs).is_bad())
        return false;
      exclude(*graph);
      if (graph->build_plan_at_index(0).is_bad()) return false;
      graph_ = std::move(graph);
      variant_ = variant.name;
      use(0);
      return true;
    }
    return false;
  }

  /// Asks the heuristics. Returns why not, or "".
  std::string propose(const Variant& variant) {
    auto graph = variant.describe();
    const auto bad = [](const fe::error_t& status) { return status.is_bad() ? status.err_msg : std::string(); };
    std::string reason = bad(graph->validate());
    if (reason.empty()) reason = bad(graph->build_operation_graph(session_->handle));
    if (reason.empty()) reason = bad(graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}));
    if (!reason.empty()) return reason;
    exclude(*graph);
    reason = bad(graph->check_support());
    if (!reason.empty()) return reason;
    graph_ = std::move(graph);
    variant_ = variant.name;
    return "";
  }

  void use(std::int64_t engine) {
    engine_ = engine;
    std::int64_t bytes = 0;
    check(graph_->get_workspace_size_plan_at_index(engine, bytes), "get_workspace_size");
    workspace_ = static_cast<std::size_t>(bytes);
    chosen_ = true;
  }

  /// Microseconds of a call, or infinity if the engine fails.
  double time(Arrays& arrays, std::int64_t engine, void* workspace) const {
    struct Event {
      Event() { tramontane::check(cudaEventCreate(&event), "cudaEventCreate"); }
      ~Event() { cudaEventDestroy(event); }
      cudaEvent_t event = nullptr;
    } begin, end;
    double shortest = std::numeric_limits<double>::infinity();
    for (int repetition = -1; repetition < kRepetitions; ++repetition) {  // the first is to warm up
      tramontane::check(cudaEventRecord(begin.event, session_->stream), "cudaEventRecord");
      if (graph_->execute_plan_at_index(session_->handle, arrays, workspace, engine).is_bad())
        return std::numeric_limits<double>::infinity();
      tramontane::check(cudaEventRecord(end.event, session_->stream), "cudaEventRecord");
      tramontane::check(cudaEventSynchronize(end.event), "cudaEventSynchronize");
      float milliseconds = 0;
      tramontane::check(cudaEventElapsedTime(&milliseconds, begin.event, end.event), "cudaEventElapsedTime");
      if (repetition >= 0) shortest = std::min(shortest, 1e3 * static_cast<double>(milliseconds));
    }
    return shortest;
  }

  /// The fastest of the first engines that work or, without measuring, the first. Writes the operation's result many
  /// times over, which does no harm: every operation here overwrites.
  void choose(Arrays& arrays) {
    if (session_->capturing())
      throw RunError(fmt::format("cuDNN: no engine was chosen yet for {} of {} when a graph was being captured",
                                 key_.operation, shape_text(key_.extents)));
    const int wanted = session_->options.measure ? kCandidates : 1;
    std::int64_t best = -1;
    double shortest = std::numeric_limits<double>::infinity();
    std::string last;
    for (std::int64_t engine = 0, tried = 0; engine < graph_->get_execution_plan_count() && tried < wanted; ++engine) {
      const auto status = graph_->build_plan_at_index(engine);
      std::int64_t bytes = 0;
      if (status.is_bad() || graph_->get_workspace_size_plan_at_index(engine, bytes).is_bad() ||
          static_cast<std::size_t>(bytes) > session_->options.workspace_bytes) {
        if (status.is_bad()) last = status.err_msg;
        continue;
      }
      ++tried;
      const double spent = session_->options.measure
                               ? time(arrays, engine, session_->arena.at_least(static_cast<std::size_t>(bytes)))
                               : 0.0;
      if (!(spent < shortest)) continue;
      shortest = spent;
      best = engine;
    }
    if (best < 0)
      throw RunError(fmt::format("cuDNN: none of the engines proposed for {} of {} in {} on {} works: {} ({})",
                                 key_.operation, shape_text(key_.extents), key_.type, session_->gpu, last,
                                 last_words()));
    use(best);
    if (session_->options.measure) remember(shortest);
  }

  void remember(double microseconds) {
    EngineChoice choice;
    choice.variant = variant_;
    choice.microseconds = microseconds;
    std::unordered_map<fe::KnobType_t, std::int64_t> knobs;
    if (graph_->get_engine_and_knobs_at_index(engine_, choice.engine, knobs).is_bad()) return;
    for (const auto& [knob, value] : knobs) choice.knobs[static_cast<std::int64_t>(knob)] = value;
    session_->cache.insert(key_, std::move(choice));
    session_->cache.save();
    session_->say_problem();
  }

  std::shared_ptr<Session> session_;
  EngineKey key_;
  std::shared_ptr<Graph> graph_;
  std::string variant_;
  bool chosen_ = false;
  std::int64_t engine_ = 0;
  std::size_t workspace_ = 0;
};

template <class Scalar>
constexpr fe::DataType_t type_of() {
  return std::is_same_v<Scalar, Bfloat16> ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
}

template <class Scalar>
class CudnnConvolution final : public Convolution<Scalar> {
 public:
  CudnnConvolution(std::shared_ptr<Session> session, const ConvolutionShape& shape)
      : session_(std::move(session)),
        e_(shape.extents),
        activated_(shape.activation == Activation::capped_leaky_relu),
        filter_(packed_filter_size(e_)),
        bias_(e_.out_stride) {
    // cuDNN's own indices have 32 bits: beyond, it falls to very slow engines or fails.
    const std::size_t largest = std::max(e_.x_at(e_.images, 0, 0), e_.y_at(e_.images, 0, 0));
    if (largest > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      throw InputError(
          fmt::format("a convolution over {} has {} elements, more than cuDNN's 2^31 - 1: lower "
                      "learner.micro_batch",
                      shape_text(e_), largest));
    forward_ = operation("forward", {{"fused", [this] { return describe_forward(true); }},
                                     {"plain", [this] { return describe_forward(false); }}});
  }

  void set_weights(const float* weights, const float* bias) override {
    device::pack_filter(e_, weights, filter_.data());
    device::pad_bias(e_, bias, bias_.data());
  }

  void forward(const Scalar* x, Scalar* y) override {
    const bool fused = forward_->variant() == "fused";
    Arrays arrays{{kX, pointer(x)}, {kFilter, filter_.data()}, {kY, y}};
    if (fused) arrays[kBias] = bias_.data();
    forward_->execute(std::move(arrays));
    if (!fused) device::add_bias_and_activate(e_, bias_.data(), activated_, y);
  }

  void backward_data(const Scalar* dy, Scalar* dx) override {
    if (!data_) data_ = operation("backward_data", {{"plain", [this] { return describe_data(); }}});
    data_->execute({{kDy, pointer(dy)}, {kFilter, filter_.data()}, {kDx, dx}});
  }

  void backward_weights(const Scalar* x, const Scalar* dy, float* dweights, float* dbias) override {
    if (!weights_) prepare_weights();
    void* gradient = float_gradient_.data() ? static_cast<void*>(float_gradient_.data()) : gradient_.data();
    weights_->execute({{kX, pointer(x)}, {kDy, pointer(dy)}, {kFilterGradient, gradient}});
    if (float_gradient_.data())
      device::add_packed_filter(e_, float_gradient_.data(), dweights);
    else
      device::add_packed_filter(e_, gradient_.data(), dweights);
    device::add_bias_gradient(e_, dy, partial_.data(), dbias);
  }

 private:
  static void* pointer(const Scalar* p) { return const_cast<Scalar*>(p); }

  std::unique_ptr<Operation> operation(const std::string& name, std::vector<Variant> variants) const {
    if (session_->capturing())
      throw RunError(
          fmt::format("cuDNN: {} of {} was first asked for when a graph was being captured", name, shape_text(e_)));
    EngineKey key;
    key.operation = name;
    key.extents = e_;
    key.activated = activated_ && name == "forward";
    key.type = std::is_same_v<Scalar, Bfloat16> ? "bf16" : session_->options.tf32 ? "tf32" : "f32";
    key.device = session_->gpu;
    const std::size_t version = cudnnGetVersion();
    key.library = fmt::format("cuDNN {}.{}.{}, frontend {}", version / 10000, version / 100 % 100, version % 100,
                              CUDNN_FRONTEND_VERSION);  // which numbers the engines' settings
    return std::make_unique<Operation>(session_, std::move(key), std::move(variants));
  }

  /// Gradients of bf16 weights are best kept in float from the start; not every engine writes that.
  void prepare_weights() {
    weights_ = operation("backward_weights", {{"float", [this] { return describe_weights(fe::DataType_t::FLOAT); }},
                                              {"own", [this] { return describe_weights(type_of<Scalar>()); }}});
    if (weights_->variant() == "float")
      float_gradient_ = DeviceArray<float>(packed_filter_size(e_));
    else
      gradient_ = DeviceArray<Scalar>(packed_filter_size(e_));
    partial_ = DeviceArray<float>(static_cast<std::size_t>(bias_chunks(e_)) * e_.out_channels);
  }

  // Dimensions are named in the order (images, channels, rows, columns) whatever the layout; strides say that channels
  // are contiguous.
  static std::vector<std::int64_t> channels_last(const std::vector<std::int64_t>& d) {
    return {d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]};
  }
  std::vector<std::int64_t> x_dims() const { return {e_.images, e_.in_stride, e_.padded_height(), e_.padded_width()}; }
  std::vector<std::int64_t> y_dims() const { return {e_.images, e_.out_stride, e_.height, e_.width}; }
  std::vector<std::int64_t> filter_dims() const { return {e_.out_stride, e_.in_stride, e_.kernel, e_.kernel}; }

  static std::shared_ptr<Graph> new_graph() {
    auto graph = std::make_shared<Graph>();
    graph->set_io_data_type(type_of<Scalar>())
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    return graph;
  }
  static Tensor input(Graph& graph, const char* name, std::int64_t number, const std::vector<std::int64_t>& dims,
                      fe::DataType_t type = type_of<Scalar>()) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_name(name)
                            .set_uid(number)
                            .set_dim(dims)
                            .set_stride(channels_last(dims))
                            .set_data_type(type));
  }
  static void output(const Tensor& tensor, std::int64_t number, const std::vector<std::int64_t>& dims,
                     fe::DataType_t type = type_of<Scalar>()) {
    tensor->set_output(true).set_uid(number).set_dim(dims).set_stride(channels_last(dims)).set_data_type(type);
  }
  template <class Attributes>
  Attributes geometry() const {
    return Attributes().set_padding({0, 0}).set_stride({1, 1}).set_dilation({e_.dilation, e_.dilation});
  }

  /// activation(x * filter + bias) in one kernel, or the convolution alone.
  std::shared_ptr<Graph> describe_forward(bool fused) const {
    auto graph = new_graph();
    const Tensor x = input(*graph, "x", kX, x_dims()), filter = input(*graph, "filter", kFilter, filter_dims());
    Tensor y = graph->conv_fprop(x, filter, geometry<fe::graph::Conv_fprop_attributes>());
    if (fused) {
      const Tensor bias = input(*graph, "bias", kBias, {1, e_.out_stride, 1, 1}, fe::DataType_t::FLOAT);
      y = graph->pointwise(y, bias, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
      if (activated_)
        y = graph->pointwise(y, fe::graph::Pointwise_attributes()
                                    .set_mode(fe::PointwiseMode_t::RELU_FWD)
                                    .set_relu_lower_clip_slope(static_cast<float>(kLeakySlope))
                                    .set_relu_upper_clip(static_cast<float>(kLeakyCap)));
    }
    output(y, kY, y_dims());
    return graph;
  }

  std::shared_ptr<Graph> describe_data() const {
    auto graph = new_graph();
    const Tensor dy = input(*graph, "dy", kDy, y_dims()), filter = input(*graph, "filter", kFilter, filter_dims());
    output(graph->conv_dgrad(dy, filter, geometry<fe::graph::Conv_dgrad_attributes>()), kDx, x_dims());
    return graph;
  }

  std::shared_ptr<Graph> describe_weights(fe::DataType_t type) const {
    auto graph = new_graph();
    const Tensor dy = input(*graph, "dy", kDy, y_dims()), x = input(*graph, "x", kX, x_dims());
    output(graph->conv_wgrad(dy, x, geometry<fe::graph::Conv_wgrad_attributes>()), kFilterGradient, filter_dims(),
           type);
    return graph;
  }

  std::shared_ptr<Session> session_;
  ConvolutionExtents e_;
  bool activated_;
  DeviceArray<Scalar> filter_, gradient_;
  DeviceArray<float> bias_, float_gradient_, partial_;
  std::unique_ptr<Operation> forward_, data_, weights_;
};

template <class Scalar>
class CudnnBackend final : public Backend<Scalar> {
 public:
  explicit CudnnBackend(const CudnnOptions& options) : session_(std::make_shared<Session>(options)) {}
  std::string name() const override { return "cudnn"; }
  Memory memory() const override { return Memory::device; }
  std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) override {
    return std::make_unique<CudnnConvolution<Scalar>>(session_, shape);
  }

 private:
  std::shared_ptr<Session> session_;
};

}  // namespace

template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_cudnn_backend(const CudnnOptions& options) {
  return std::make_shared<CudnnBackend<Scalar>>(options);
}
template std::shared_ptr<Backend<float>> make_cudnn_backend<float>(const CudnnOptions&);
template std::shared_ptr<Backend<Bfloat16>> make_cudnn_backend<Bfloat16>(const CudnnOptions&);

std::string cudnn_version_text() {
  const std::size_t found = cudnnGetVersion();
  return fmt::format("{}.{}.{} built, {}.{}.{} found, frontend {}.{}.{}", CUDNN_MAJOR, CUDNN_MINOR, CUDNN_PATCHLEVEL,
                     found / 10000, found / 100 % 100, found % 100, CUDNN_FRONTEND_MAJOR_VERSION,
                     CUDNN_FRONTEND_MINOR_VERSION, CUDNN_FRONTEND_PATCH_VERSION);
}

}  // namespace tramontane
