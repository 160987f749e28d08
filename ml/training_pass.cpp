#include "ml/training_pass.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/errors.hpp"

namespace tramontane {
namespace {

template <class Scalar>
class TypedPass final : public TrainingPass {
 public:
  TypedPass(std::shared_ptr<Backend<Scalar>> backend, const NetworkGraph& graph, const Tiling& grid, int samples)
      : samples_(samples),
        halo_(std::make_shared<LocalHalo<Scalar>>(grid, samples, backend->memory())),
        network_(graph, std::move(backend), halo_, false),
        gradient_(network_, halo_) {}

  Memory memory() const override { return network_.memory(); }
  void read_from(BatchLayout& layout) override {
    layout_ = &layout;
    layout.write_statics(samples_, network_.input_stride(), network_.input());
    if (!layout.frames().empty())
      network_.set_input_transform([this](Scalar* padded) {
        layout_->frames().to_panel(padded, network_.images(), network_.input_stride(), kInputVector);
      });
  }
  void set_parameters(const float* parameters) override { network_.set_parameters(parameters); }
  void gather(std::size_t first, int count, std::int64_t* not_finite) override {
    layout_->gather(first, count, network_.input_stride(), network_.input(), not_finite);
  }
  void forward() override { network_.forward(); }
  const MemoryBuffer<double>& errors(std::size_t first, int count, int planes) override {
    return layout_->errors(first, count, planes, network_.output_stride(), network_.output());
  }
  const MemoryBuffer<double>& loss(std::size_t first, int count, double scale) override {
    return layout_->errors(first, count, 1, network_.output_stride(), network_.output(), scale, samples_,
                           gradient_.output_gradient());
  }
  void backward(float* gradient, const BlocksDone& done) override { gradient_.backward(gradient, done); }
  std::string first_layer_not_finite() const override { return network_.first_layer_not_finite(); }

 private:
  int samples_;
  BatchLayout* layout_ = nullptr;
  std::shared_ptr<LocalHalo<Scalar>> halo_;
  Network<Scalar> network_;
  NetworkGradient<Scalar> gradient_;
};

}  // namespace

std::vector<std::string> training_precisions() {
  return {"f32", "tf32", "bf16"};
}

void check_precision(const std::string& precision, const std::string& backend) {
  const std::vector<std::string> known = training_precisions();
  if (std::find(known.begin(), known.end(), precision) == known.end())
    throw InputError(
        fmt::format("learner.precision = {} is unknown: choose one of {}", precision, fmt::join(known, ", ")));
  // Every device that cuDNN 9 runs on computes in bf16; asking would occupy one.
  if (precision == "bf16" && backend != "cudnn") make_backend<Bfloat16>(backend);
}

std::unique_ptr<TrainingPass> make_training_pass(const std::string& precision, const std::string& backend,
                                                 const NetworkGraph& graph, const Tiling& grid, int samples,
                                                 const BackendOptions& options) {
  check_precision(precision, backend);
  if (precision == "bf16")
    return std::make_unique<TypedPass<Bfloat16>>(make_backend<Bfloat16>(backend, options), graph, grid, samples);
  return std::make_unique<TypedPass<float>>(make_backend<float>(backend, options), graph, grid, samples);
}

}  // namespace tramontane
