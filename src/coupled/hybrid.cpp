#include "src/coupled/hybrid.hpp"

#include <cmath>

#include "src/coupled/learning.hpp"
#include "src/coupled/teacher.hpp"

namespace tramontane {

void require_fitting_model(const Deck& deck, const Model& model) {
  ModelExpectation expected;
  expected.kind = name_of(deck.surrogate.kind);
  expected.n = deck.surrogate.coarse_n;
  expected.interval_seconds = deck.surrogate.interval;
  expected.inputs = sample_inputs();
  expected.targets = sample_targets();
  expected.statics = surrogate_statics(deck.surrogate.coarse_n).variables;
  model.require(expected);
}

HybridCorrection::HybridCorrection(const Deck& deck, const Model& model, SolverPair& solvers) : solvers_(solvers) {
  require_fitting_model(deck, model);
  const Grid& grid = solvers.coarse().grid();
  const StaticFields statics = surrogate_statics(grid.n());
  surrogate_ = std::make_unique<Surrogate>(model, grid.tiling(), solvers.comm(), name_of(deck.surrogate.backend),
                                           deck.stream.deadline, statics.axes);
  const std::size_t cells = grid.tiling().cell_count();
  for (std::size_t k = 0; k < statics.variables.size(); ++k) {
    const std::vector<float> global(statics.values.begin() + static_cast<std::ptrdiff_t>(k * cells),
                                    statics.values.begin() + static_cast<std::ptrdiff_t>((k + 1) * cells));
    const std::vector<float> mine = tiles_from_global(grid.tiling(), global, grid.first_tile(), grid.tile_count());
    statics_.insert(statics_.end(), mine.begin(), mine.end());
  }
}

HybridCorrection::HybridCorrection(const Deck& deck, const OnnxModel& model, SolverPair& solvers) : solvers_(solvers) {
  const Grid& grid = solvers.coarse().grid();
  graph_ = std::make_unique<GraphSurrogate>(model, grid.tiling(), solvers.comm(), deck.stream.deadline);
}

CellFields HybridCorrection::operator()(const CellFields& coarse) {
  std::vector<float> inputs;
  for (const auto& variable : surrogate_inputs(coarse, solvers_.coarse().solver().orography()))
    inputs.insert(inputs.end(), variable.begin(), variable.end());
  const std::vector<float> out = graph_ ? graph_->evaluate(inputs) : surrogate_->evaluate(inputs, statics_);
  const std::size_t cells = coarse.depth.size();
  CellFields tendency;
  tendency.depth.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(cells));
  for (int c = 0; c < 3; ++c)
    tendency.velocity[c].assign(out.begin() + static_cast<std::ptrdiff_t>((c + 1) * cells),
                                out.begin() + static_cast<std::ptrdiff_t>((c + 2) * cells));
  const auto& bound = graph_ ? graph_->bounds() : surrogate_->model().normaliser.bound;
  for (std::size_t k = 0; k < out.size() && !bound.empty(); ++k)
    if (std::abs(out[k]) >= 0.999999 * bound[k / cells]) ++clamped_;
  values_ += static_cast<double>(out.size());
  return tendency;
}

double HybridCorrection::clamped_fraction() const {
  double sums[2] = {clamped_, values_};
  MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, solvers_.comm());
  return sums[1] > 0 ? sums[0] / sums[1] : 0.0;
}

}  // namespace tramontane
