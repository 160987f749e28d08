#include "ml/onnx/graph_surrogate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/errors.hpp"
#include "ml/onnx/graph_evaluator.hpp"

namespace tramontane {

GraphSurrogate::GraphSurrogate(const OnnxModel& model, const Tiling& tiling, MPI_Comm solvers, double deadline_seconds)
    : model_(model), tiling_(tiling), comm_(solvers), deadline_(deadline_seconds) {
  model_.model.require({.n = tiling.n});
}

std::vector<float> GraphSurrogate::evaluate(const std::vector<float>& inputs) {
  const std::size_t variables = model_.model.inputs.size(), targets = model_.model.targets.size();
  const int me = comm_.rank(), cells = tiling_.cells_per_tile();
  if (inputs.size() != variables * tiling_.owned_count(me) * cells)
    throw InputError(fmt::format("the surrogate got {} input values for {} of its tiles", inputs.size(),
                                 variables * tiling_.owned_count(me) * cells));
  std::vector<int> counts, begins;
  int total = 0;
  for (int rank = 0; rank < comm_.size(); ++rank) {
    begins.push_back(total);
    counts.push_back(static_cast<int>(variables) * tiling_.owned_count(rank) * cells);
    total += counts.back();
  }
  std::vector<float> gathered(total);
  std::vector<MPI_Request> requests(1);
  MPI_Iallgatherv(inputs.data(), counts[me], MPI_FLOAT, gathered.data(), counts.data(), begins.data(), MPI_FLOAT,
                  comm_.get(), &requests[0]);
  wait_with_deadline(requests, deadline_, "the gathering of the sphere for the ONNX graph",
                     comm_.get());

  std::vector<float> whole, field;
  for (std::size_t v = 0; v < variables; ++v) {
    for (int rank = 0; rank < comm_.size(); ++rank) {
      const int owned = tiling_.owned_count(rank);
      tiles_to_global(tiling_, gathered.data() + begins[rank] + v * owned * cells, tiling_.first_tile(rank), owned,
                      field);
    }
    whole.insert(whole.end(), field.begin(), field.end());
  }
  const std::int64_t n = tiling_.n;
  const Tensor output =
      model_.graph->evaluate(Tensor::of({1, static_cast<std::int64_t>(variables), kPanels, n, n}, std::move(whole)));
  const std::size_t sphere = tiling_.cell_count();
  std::vector<float> result;
  for (std::size_t v = 0; v < targets; ++v) {
    const auto begin = output.real.begin() + static_cast<std::ptrdiff_t>(v * sphere);
    field.assign(begin, begin + static_cast<std::ptrdiff_t>(sphere));
    std::vector<float> mine = tiles_from_global(tiling_, field, tiling_.first_tile(me), tiling_.owned_count(me));
    if (!bounds().empty()) {
      const auto bound = static_cast<float>(bounds()[v]);
      for (float& value : mine) value = std::clamp(value, -bound, bound);
    }
    result.insert(result.end(), mine.begin(), mine.end());
  }
  return result;
}

}  // namespace tramontane
