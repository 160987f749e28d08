#include "ml/surrogate.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tramontane {

Surrogate::Surrogate(const Model& model, const Tiling& tiling, MPI_Comm solvers, const std::string& backend,
                     double deadline_seconds, const PanelAxesTable& axes)
    : model_(model), tiling_(tiling) {
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
  if (model_.vector_frame != "panel") return;
  if (axes.empty()) throw InputError("the model's vectors are in panel frames, but no table of panel axes was given");
  int rank = 0;
  MPI_Comm_rank(solvers, &rank);
  frames_ = PanelFrames(tiling, axes, tiling.first_tile(rank), tiling.owned_count(rank));
  input_frames_ = computer->memory() == Memory::host
                      ? frames_
                      : PanelFrames(tiling, axes, tiling.first_tile(rank), tiling.owned_count(rank), Memory::device);
  network_->set_input_transform([this](float* padded) {
    input_frames_.to_panel(padded, network_->images(), network_->input_stride(), kInputVector);
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
}

std::vector<float> Surrogate::evaluate(const std::vector<float>& inputs, const std::vector<float>& statics) {
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
  network_->copy_output(prediction_.data());
  if (!frames_.empty()) frames_.to_cartesian(prediction_.data(), network_->images(), output_stride, kTargetVector);
  const std::size_t outputs = model_.targets.size();
  std::vector<float> result(outputs * cells_);
  for (std::size_t v = 0; v < outputs; ++v) {
    const float deviation = static_cast<float>(scale.target_std[v]), bound = static_cast<float>(scale.bound[v]);
    for (std::size_t cell = 0; cell < cells_; ++cell)
      result[v * cells_ + cell] = std::clamp(deviation * prediction_[cell * output_stride + v], -bound, bound);
  }
  return result;
}

}  // namespace tramontane
