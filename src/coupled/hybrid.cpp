#include "src/coupled/hybrid.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/communicator.hpp"
#include "kernels/fault_injection.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/teacher.hpp"

namespace tramontane {

namespace {
GuardOptions guard_options(const Deck& deck) {
  return {deck.guard.threshold, deck.guard.cutoff};
}

/// Throws BlowUp on all ranks where a value is not finite, and names the first such cell of the sphere: one step on it has
/// spread, and the solver could only name the middle of what it has spoilt.
void require_finite(const Grid& grid, MPI_Comm comm, const CellFields& tendency) {
  const int size = grid.tile_cells();
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k)
        if (!std::isfinite(tendency.depth[k] + tendency.velocity[0][k] + tendency.velocity[1][k] + tendency.velocity[2][k]))
          first = std::min(first, static_cast<std::int64_t>(
                                      grid.tiling().global_offset({place.panel, place.tj * size + j, place.ti * size + i})));
  }
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, comm);
  if (first == std::numeric_limits<std::int64_t>::max()) return;
  const int n = grid.n(), cell = static_cast<int>(first % (n * n));
  throw BlowUp(fmt::format("the correction of the hybrid on C{} is not finite at {}", n,
                           place_text(to_cartesian(grid.centre({static_cast<int>(first / (n * n)), cell / n, cell % n})))));
}
}  // namespace

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
  if (deck.guard.mode == "off") return;
  fallback_ = FallbackTally(grid);
  surrogate_->set_guard(guard_options(deck), cell_positions(grid.n()));
  guard_ = surrogate_->guard();
  say_if_bounds_only();
}

HybridCorrection::HybridCorrection(const Deck& deck, const OnnxModel& model, SolverPair& solvers) : solvers_(solvers) {
  const Grid& grid = solvers.coarse().grid();
  graph_ = std::make_unique<GraphSurrogate>(model, grid.tiling(), solvers.comm(), deck.stream.deadline);
  if (deck.guard.mode == "off") return;
  fallback_ = FallbackTally(grid);
  graph_guard_ = std::make_unique<SurrogateGuard>(grid.tiling(), solvers.comm(), cell_positions(grid.n()),
                                                  guard_options(deck), Memory::host, deck.stream.deadline);
  graph_guard_->set_model(model.model.distribution, model.model.normaliser);
  guard_ = graph_guard_.get();
  say_if_bounds_only();
}

/// A guard that knows no distribution is better said than found out.
void HybridCorrection::say_if_bounds_only() const {
  if (rank_in(comm()) == 0 && !guard_->has_distribution())
    spdlog::warn("the model does not say where its training samples lay: the guard knows its bounds only; train it again "
                 "with this version for more");
}

void HybridCorrection::update(const Model& model) {
  surrogate_->update(model);
}

CellFields HybridCorrection::operator()(const CellFields& coarse) {
  std::vector<float> inputs;
  for (const auto& variable : surrogate_inputs(coarse, solvers_.coarse().solver().orography()))
    inputs.insert(inputs.end(), variable.begin(), variable.end());
  std::vector<float> out = graph_ ? graph_->evaluate(inputs) : surrogate_->evaluate(inputs, statics_);
  const std::size_t cells = coarse.depth.size();
  GuardReport report;
  if (graph_) {
    const auto& bound = graph_->bounds();
    for (std::size_t k = 0; k < out.size() && !bound.empty(); ++k)
      if (std::abs(out[k]) >= 0.999999 * bound[k / cells]) ++clamped_;
    say_not_finite(std::ranges::count_if(out, [](float value) { return !std::isfinite(value); }));
    if (graph_guard_) report = graph_guard_->judge({inputs.data(), 1, cells}, false, true, out.data(), 1, cells);
  } else {
    clamped_ += static_cast<double>(surrogate_->clamped());
    report = surrogate_->guard_report();
    say_not_finite(surrogate_->not_finite());
  }
  values_ += static_cast<double>(out.size());
  CellFields tendency;
  tendency.depth.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(cells));
  for (int c = 0; c < 3; ++c)
    tendency.velocity[c].assign(out.begin() + static_cast<std::ptrdiff_t>((c + 1) * cells),
                                out.begin() + static_cast<std::ptrdiff_t>((c + 2) * cells));
  if (guard_) {
    const double lost = restore_mass(solvers_.coarse().grid(), solvers_.comm(), guard_->weights(), tendency.depth);
    fallback_.add(guard_->weights(), lost, report);
  }
  if (const auto wild = wild_value(fault_at("correction"))) tendency.depth[cells / 2] = *wild;
  require_finite(solvers_.coarse().grid(), solvers_.comm(), tendency);
  return tendency;
}

/// On the rank where it arose, and once: a network that has begun with it will go on.
void HybridCorrection::say_not_finite(std::int64_t values) {
  ++calls_;
  if (values == 0 || wild_calls_++ > 0) return;
  spdlog::error("solver rank {}: the network's output is not finite in {} values of its call {}{}", rank_in(comm()), values,
                calls_, guard_ ? ": physics alone runs there" : ", and there is no guard");
}

std::string HybridCorrection::fallback_text(double share) const {
  return fmt::format("the guard replaces its correction in {:.0f} % of the cells{}", 100 * share,
                     fallback_.is_broken() ? ": " + fallback_.why_broken() : std::string());
}

double HybridCorrection::clamped_fraction() const {
  double sums[2] = {clamped_, values_};
  MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, solvers_.comm());
  return sums[1] > 0 ? sums[0] / sums[1] : 0.0;
}

bool run_hybrid_forecasts(Forecast& forecast, HybridCorrection& correction, bool show_progress) {
  const FallbackTally before = correction.fallback();  // shadow and live runs may have gone before
  std::function<std::vector<double>()> take_fallback;
  if (correction.is_guarded()) take_fallback = [&] { return correction.fallback().take_map(); };
  const bool whole = forecast.run_hybrid([&](const CellFields& coarse) { return correction(coarse); }, show_progress,
                                         take_fallback);
  if (!correction.is_guarded()) return whole;
  const FallbackTally::Shares shares = correction.fallback().since(before, correction.comm());
  if (rank_in(correction.comm()) != 0) return whole;
  const auto percent = [](double share) { return fmt::format("{:.2g} %", 100 * share); };
  spdlog::info("guard: physics alone in {} of cells and intervals (inputs foreign in {}, outputs in {})",
               percent(shares.lost), percent(shares.input), percent(shares.output));
  if (shares.broken_calls > 0)
    spdlog::error("guard: in {} calls of the network physics alone ran everywhere: {}", shares.broken_calls,
                  correction.fallback().why_broken());
  return whole;
}

}  // namespace tramontane
