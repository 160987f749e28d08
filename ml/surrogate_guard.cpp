#include "ml/surrogate_guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/network_elementwise.hpp"

namespace tramontane {

namespace {

/// Passes of the 3 x 3 mean over the scores: a window of 5 x 5 cells, heavier in the middle.
constexpr int kWindowPasses = 2;
/// Passes of the 3 x 3 mean over the weights. As many passes of the 3 x 3 minimum go before, so that a cell that has
/// tripped keeps its weight of zero.
constexpr int kTaperPasses = 2;

/// Over the whole sphere outputs count as foreign from this share of threshold and cutoff on. The root mean square of the
/// score over the sphere varies far less than that of a window: up to 1.4 for true targets of months never trained on.
constexpr float kWholeSphere = 0.5f;
constexpr double kScoreUnits = 1 << 20;  // per one, for sums that do not depend on their order

template <class Space>
void scale_elements(std::size_t count, float factor, float* values) {
  Kokkos::parallel_for(
      "scale_elements", Kokkos::RangePolicy<Space>(0, count), KOKKOS_LAMBDA(const std::size_t k) { values[k] *= factor; });
}

/// Sum over cells of the squared scores of the outputs, each cut off at `most`, in units of 1 / kScoreUnits.
template <class Space>
std::int64_t sum_of_output_scores(std::size_t cells, const float* scores, float most) {
  std::int64_t sum = 0;
  Kokkos::parallel_reduce(
      "sum_of_output_scores", Kokkos::RangePolicy<Space>(0, cells),
      KOKKOS_LAMBDA(const std::size_t cell, std::int64_t& part) {
        const float score = scores[2 * cell + 1];
        part += static_cast<std::int64_t>(static_cast<double>(score < most ? score : most) * kScoreUnits);
      },
      sum);
  return sum;
}

/// Values (6, n, n, width) of the whole sphere, cut to a rank's tiles.
template <class T>
std::vector<T> cut(const Tiling& tiling, int rank, const std::vector<T>& whole, std::size_t width) {
  std::vector<int> places(tiling.cell_count());
  for (std::size_t k = 0; k < places.size(); ++k) places[k] = static_cast<int>(k);
  std::vector<T> mine;
  for (int place : tiles_from_global(tiling, places, tiling.first_tile(rank), tiling.owned_count(rank)))
    mine.insert(mine.end(), whole.begin() + static_cast<std::ptrdiff_t>(place * width),
                whole.begin() + static_cast<std::ptrdiff_t>((place + 1) * width));
  return mine;
}

}  // namespace

SurrogateGuard::SurrogateGuard(const Tiling& tiling, MPI_Comm solvers, const CellPositions& positions,
                               const GuardOptions& options, Memory memory, double deadline_seconds)
    : tiling_(tiling),
      comm_(solvers),
      options_(options),
      memory_(memory),
      deadline_(deadline_seconds),
      grid_(positions),
      halo_(tiling, solvers, deadline_seconds, memory),
      cells_(static_cast<std::size_t>(halo_.images()) * tiling.cells_per_tile()) {
  if (grid_.n != tiling.n)
    throw InputError(fmt::format("the guard got positions of C{} for a grid of C{}", grid_.n, tiling.n));
  const std::size_t edge = tiling.tile_cells() + 2;
  channels_ = MemoryBuffer<float>("guarded channels", cells_ * kGuardChannels, memory);
  scores_ = MemoryBuffer<float>("scores of cells", cells_ * 2, memory);
  weights_ = MemoryBuffer<float>("weights of cells", cells_, memory);
  padded_ = MemoryBuffer<float>("padded cells of the guard", halo_.images() * edge * edge * kGuardChannels, memory);
  band_ = copied("belts of cells", cut(tiling, comm_.rank(), grid_.band, 1), memory);
  geometry_ = copied("geometry of cells", cut(tiling, comm_.rank(), grid_.geometry, kGuardGeometry), memory);
  host_weights_.assign(cells_, 1.0f);
}

void SurrogateGuard::set_model(const TrainingDistribution& distribution, const Normaliser& normaliser) {
  has_distribution_ = !distribution.empty();
  if (has_distribution_ && (distribution.n != tiling_.n || distribution.bands != grid_.bands))
    throw InputError(fmt::format("the model's training distribution is of C{} with {} belts, but this run has C{} with {}",
                                 distribution.n, distribution.bands, tiling_.n, grid_.bands));
  tables_ = {};
  for (int c = 0; c < kGuardChannels; ++c)
    tables_.bound[c] = c < std::ssize(normaliser.bound) ? static_cast<float>(normaliser.bound[c])
                                                       : std::numeric_limits<float>::infinity();
  const std::size_t inputs = std::max<std::size_t>(normaliser.input_std.size(), kInputVector + 3);
  std::vector<float> scale(inputs, 1.0f), shift(inputs, 0.0f);
  ones_ = copied("units", scale, memory_);
  zeros_ = copied("zeros", shift, memory_);
  for (std::size_t v = 0; v < normaliser.input_std.size(); ++v) {
    scale[v] = static_cast<float>(normaliser.input_std[v]);
    shift[v] = static_cast<float>(normaliser.input_mean[v]);
  }
  scale_ = copied("scales of inputs", scale, memory_);
  shift_ = copied("means of inputs", shift, memory_);
  if (!has_distribution_) return;
  mean_ = copied("means of features", distribution.mean, memory_);
  whitening_ = copied("whitening of features", distribution.whitening, memory_);
  std::vector<float> inverse;
  const auto half = distribution.target_square.begin() + tiling_.cell_count();
  for (const std::vector<float>& squares :
       {std::vector<float>(distribution.target_square.begin(), half), std::vector<float>(half, distribution.target_square.end())})
    for (float square : cut(tiling_, comm_.rank(), squares, 1))
      inverse.push_back(square > 0 ? 1 / square : std::numeric_limits<float>::max());
  target_inverse_ = copied("inverse squares of targets", inverse, memory_);
  tables_.geometry = geometry_.data();
  tables_.band = band_.data();
  tables_.mean = mean_.data();
  tables_.whitening = whitening_.data();
  tables_.target_inverse = target_inverse_.data();
}

void SurrogateGuard::fill_halo(const MemoryBuffer<float>& cells, int channels) {
  const ChannelRange all{channels, 0, channels};
  halo_.fill(CellLink::halo, 0, cells.data(), all, padded_.data(), all);
}

/// What a network that shouts all over the sphere keeps of its correction: 1 for most, 0 for one that is spoilt.
/// Collective; the same on every rank, whatever the ranks and tiles.
float SurrogateGuard::weight_of_sphere(std::int64_t sum) {
  if (comm_.size() > 1) {
    std::vector<MPI_Request> requests(1);
    MPI_Iallreduce(MPI_IN_PLACE, &sum, 1, MPI_INT64_T, MPI_SUM, comm_.get(), &requests[0]);
    wait_with_deadline(requests, deadline_, "the guard's sum over the outputs of all ranks");
  }
  const auto mean = static_cast<float>(static_cast<double>(sum) / kScoreUnits / tiling_.cell_count());
  const auto threshold = static_cast<float>(options_.threshold) * kWholeSphere,
             cutoff = static_cast<float>(options_.cutoff) * kWholeSphere;
  return std::clamp((cutoff - std::sqrt(mean)) / (cutoff - threshold), 0.0f, 1.0f);
}

/// Whether inputs or weights are not finite on any rank, and where. Collective.
void SurrogateGuard::find_broken(bool inputs, bool weights, GuardReport& report) const {
  int ranks[2] = {inputs ? comm_.rank() : -1, weights ? comm_.rank() : -1};
  if (comm_.size() > 1) {
    std::vector<MPI_Request> requests(1);
    MPI_Iallreduce(MPI_IN_PLACE, ranks, 2, MPI_INT, MPI_MAX, comm_.get(), &requests[0]);
    wait_with_deadline(requests, deadline_, "the guard's question whether the network is sound on all ranks");
  }
  report.rank_of_inputs = ranks[0];
  report.rank_of_weights = ranks[1];
  report.broken = ranks[0] >= 0 || ranks[1] >= 0;
}

GuardReport SurrogateGuard::judge(GuardedFields inputs, bool is_normalised, bool weights_finite, float* outputs,
                                  std::size_t cell_stride, std::size_t variable_stride) {
  const int size = tiling_.tile_cells();
  const auto threshold = static_cast<float>(options_.threshold), cutoff = static_cast<float>(options_.cutoff);
  GuardReport report;
  const float *scale = is_normalised ? scale_.data() : ones_.data(), *shift = is_normalised ? shift_.data() : zeros_.data();
  in_space(memory_, [&](auto space) {
    using Space = decltype(space);
    const int bad = gather_guard_channels<Space>(cells_, inputs, kInputVector, scale, shift, channels_.data());
    // A network of NaN, or with NaN to read, may say anything anywhere: some back ends' activations turn it into
    // numbers. So one on any rank disarms all of them.
    find_broken(bad > 0, !weights_finite, report);
    fill_halo(channels_, kGuardChannels);
    score_guarded_cells<Space>(cells_, size, padded_.data(), {outputs, cell_stride, variable_stride}, tables_,
                               scores_.data());
    const float of_sphere = weight_of_sphere(sum_of_output_scores<Space>(cells_, scores_.data(), cutoff * cutoff));
    for (int pass = 0; pass < kWindowPasses; ++pass) {
      fill_halo(scores_, 2);
      mean_of_neighbourhood<Space>(cells_, size, 2, padded_.data(), scores_.data());
    }
    const GuardCauses causes = weights_of_scores<Space>(cells_, scores_.data(), threshold, cutoff, weights_.data());
    report.input = report.broken ? static_cast<std::int64_t>(cells_) : causes.input;
    report.output = causes.output;
    if (of_sphere < 1) {
      report.output = static_cast<std::int64_t>(cells_);
      scale_elements<Space>(cells_, of_sphere, weights_.data());
    }
    if (report.broken) fill_elements<Space>(cells_, 0.0f, weights_.data());
    for (int pass = 0; pass < 2 * kTaperPasses; ++pass) {
      fill_halo(weights_, 1);
      if (pass < kTaperPasses)
        least_of_neighbourhood<Space>(cells_, size, padded_.data(), weights_.data());
      else
        mean_of_neighbourhood<Space>(cells_, size, 1, padded_.data(), weights_.data());
    }
    apply_weights<Space>(cells_, weights_.data(), kGuardChannels, cell_stride, variable_stride, outputs);
  });
  weights_.copy_to_host(host_weights_.data(), cells_);
  return report;
}

}  // namespace tramontane
