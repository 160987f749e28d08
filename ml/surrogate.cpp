#include "ml/surrogate.hpp"

#include <fmt/format.h>

#include "kernels/fault_injection.hpp"
#include "kernels/network_elementwise.hpp"

namespace tramontane {

namespace {

/// Values that the bounds cut off, infinite ones among them, and values that are not finite.
struct BoundedOutputs {
  std::int64_t cut = 0, not_finite = 0;
};

/// Outputs in channels [0, outputs) of cells (cells, stride) times their scales, cut off at their bounds. NaN stays.
template <class Space>
BoundedOutputs bound_outputs(std::size_t cells, int outputs, int stride, const float* scale, const float* bound,
                             float* values) {
  BoundedOutputs found;
  Kokkos::parallel_reduce(
      "bound_outputs", Kokkos::RangePolicy<Space>(0, cells),
      KOKKOS_LAMBDA(const std::size_t cell, std::int64_t& cut, std::int64_t& wild) {
        for (int v = 0; v < outputs; ++v) {
          float& value = values[cell * stride + v];
          const float physical = scale[v] * value, most = bound[v];
          value = physical < -most ? -most : most < physical ? most : physical;
          cut += value != physical && physical == physical ? 1 : 0;
          wild += physical - physical == 0.0f ? 0 : 1;
        }
      },
      found.cut, found.not_finite);
  return found;
}

}  // namespace

Surrogate::Surrogate(const Model& model, const Tiling& tiling, MPI_Comm solvers, const std::string& backend,
                     double deadline_seconds, const PanelAxesTable& axes)
    : model_(model), tiling_(tiling), comm_(solvers), deadline_(deadline_seconds) {
  model_.require({.n = tiling.n});
  // The network sees cells, not tiles: it may run on other tiles than it was trained on.
  NetworkSpec spec = model_.network;
  spec.tiles_per_edge = tiling.tiles_per_edge;
  auto computer = make_backend<float>(backend);
  auto halo = std::make_shared<DistributedHalo<float>>(tiling, solvers, deadline_seconds, computer->memory());
  cells_ = static_cast<std::size_t>(halo->images()) * tiling.cells_per_tile();
  network_ = std::make_unique<Network<float>>(build_graph(spec), computer, halo, true);
  network_->load_parameters(model_.weights.data());
  input_.assign(cells_ * network_->input_stride(), 0.0f);
  prediction_.resize(cells_ * network_->output_stride());
  physical_ = MemoryBuffer<float>("physical outputs", prediction_.size(), computer->memory());
  output_scale_ = MemoryBuffer<float>("scales of outputs", 2 * model_.targets.size(), computer->memory());
  scale_outputs();
  if (model_.vector_frame != "panel") return;
  if (axes.empty()) throw InputError("the model's vectors are in panel frames, but no table of panel axes was given");
  const int rank = comm_.rank();
  frames_ = PanelFrames(tiling, axes, tiling.first_tile(rank), tiling.owned_count(rank), computer->memory());
  network_->set_input_transform([this](float* padded) {
    frames_.to_panel(padded, network_->images(), network_->input_stride(), kInputVector);
  });
}

void Surrogate::update(const Model& model) {
  model.require({.kind = model_.kind,
                 .n = model_.network.n,
                 .interval_seconds = model_.interval_seconds,
                 .inputs = model_.inputs,
                 .targets = model_.targets,
                 .statics = model_.statics});
  NetworkSpec spec = model.network;
  spec.tiles_per_edge = model_.network.tiles_per_edge;
  if (spec != model_.network || model.vector_frame != model_.vector_frame)
    throw InputError("the new weights belong to a network of another type, width, depth or frame than the one at work");
  model_ = model;
  network_->load_parameters(model_.weights.data());
  scale_outputs();
  if (guard_) guard_->set_model(model_.distribution, model_.normaliser);
}

void Surrogate::set_guard(const GuardOptions& options, const CellPositions& positions) {
  guard_ = std::make_unique<SurrogateGuard>(tiling_, comm_.get(), positions, options, network_->memory(), deadline_);
  guard_->set_model(model_.distribution, model_.normaliser);
}

void Surrogate::scale_outputs() {
  std::vector<float> scale;
  for (const auto* list : {&model_.normaliser.target_std, &model_.normaliser.bound})
    for (double value : *list) scale.push_back(static_cast<float>(value));
  output_scale_.copy_from_host(scale.data(), scale.size());
}

std::vector<float> Surrogate::evaluate(std::span<const float> inputs, std::span<const float> statics) {
  const Normaliser& scale = model_.normaliser;
  const std::size_t input_count = model_.inputs.size(), static_count = model_.statics.size();
  if (inputs.size() != input_count * cells_ || statics.size() != static_count * cells_)
    throw InputError(fmt::format("the surrogate got {} input and {} static values for {} and {} of its tiles",
                                 inputs.size(), statics.size(), input_count * cells_, static_count * cells_));
  float* x = input_.data();
  const int stride = network_->input_stride();
  for (std::size_t v = 0; v < input_count; ++v) {
    const float mean = static_cast<float>(scale.input_mean[v]), inverse = static_cast<float>(1 / scale.input_std[v]);
    for (std::size_t cell = 0; cell < cells_; ++cell)
      x[cell * stride + v] = (inputs[v * cells_ + cell] - mean) * inverse;
  }
  for (std::size_t s = 0; s < static_count; ++s)
    for (std::size_t cell = 0; cell < cells_; ++cell) x[cell * stride + input_count + s] = statics[s * cells_ + cell];
  network_->load_input(x);
  network_->forward();
  const int output_stride = network_->output_stride();
  const std::size_t outputs = model_.targets.size();
  in_space(network_->memory(), [&](auto space) {
    using Space = decltype(space);
    copy_elements<Space>(physical_.size(), network_->output(), physical_.data());
    if (const auto wild = wild_value(fault_at("network-output")))
      fill_elements<Space>(1, *wild, physical_.data() + cells_ / 2 * static_cast<std::size_t>(output_stride));
    if (!frames_.empty()) frames_.to_cartesian(physical_.data(), network_->images(), output_stride, kTargetVector);
    const BoundedOutputs found = bound_outputs<Space>(cells_, static_cast<int>(outputs), output_stride, output_scale_.data(),
                                                      output_scale_.data() + outputs, physical_.data());
    clamped_ = found.cut;
    not_finite_ = found.not_finite;
  });
  if (guard_)
    guard_report_ = guard_->judge({network_->input(), static_cast<std::size_t>(stride), 1}, true,
                                  network_->has_finite_parameters(), physical_.data(), output_stride, 1);
  physical_.copy_to_host(prediction_.data(), prediction_.size());
  std::vector<float> result(outputs * cells_);
  for (std::size_t v = 0; v < outputs; ++v)
    for (std::size_t cell = 0; cell < cells_; ++cell) result[v * cells_ + cell] = prediction_[cell * output_stride + v];
  return result;
}

}  // namespace tramontane
