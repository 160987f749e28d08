#include "ml/training_distribution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/errors.hpp"
#include "ml/cell_table.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

namespace {

/// Belts of ten degrees, or as many as leave each some cells of a coarse grid. Ten degrees tell the belt of a jet from
/// its flanks and still hold hundreds of cells a sample.
int bands_of(int n) {
  return std::clamp(3 * n / 4, 2, 18);
}

/// Correlations are drawn towards none by this much: features that go together exactly in training would otherwise make
/// any round-off between them infinitely foreign.
constexpr double kShrinkage = 0.01;
/// A feature's deviation in a belt counts as at least this share of its deviation over all belts.
constexpr double kLeastDeviation = 0.05;
/// A target's mean square about a cell counts as at least this share of its belt's: a few months leave calm places
/// calmer than they are.
constexpr double kLeastSquare = 0.25;

struct Axis {
  double x, y, z;
};
Axis operator-(Axis a, Axis b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
Axis operator*(double s, Axis a) {
  return {s * a.x, s * a.y, s * a.z};
}
double dot(Axis a, Axis b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
Axis cross(Axis a, Axis b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
void append(std::vector<float>& list, Axis a) {
  for (double component : {a.x, a.y, a.z}) list.push_back(static_cast<float>(component));
}

/// Place in the lower triangle.
int at(int row, int column) {
  return row * (row + 1) / 2 + column;
}

/// Inverse of the Cholesky factor of a symmetric positive definite matrix, both as lower triangles.
std::vector<double> inverse_factor(const std::vector<double>& matrix, int size) {
  std::vector<double> factor(matrix.size()), inverse(matrix.size(), 0.0);
  for (int i = 0; i < size; ++i)
    for (int j = 0; j <= i; ++j) {
      double sum = matrix[at(i, j)];
      for (int k = 0; k < j; ++k) sum -= factor[at(i, k)] * factor[at(j, k)];
      factor[at(i, j)] = i == j ? std::sqrt(sum) : sum / factor[at(j, j)];
    }
  for (int j = 0; j < size; ++j)
    for (int i = j; i < size; ++i) {
      double sum = i == j ? 1.0 : 0.0;
      for (int k = j; k < i; ++k) sum -= factor[at(i, k)] * inverse[at(k, j)];
      inverse[at(i, j)] = sum / factor[at(i, i)];
    }
  return inverse;
}

}  // namespace

bool TrainingDistribution::has_right_sizes() const {
  const std::size_t belts = bands, cells = static_cast<std::size_t>(kPanels) * n * n;
  return n > 0 && bands > 0 && mean.size() == belts * kGuardFeatures && whitening.size() == belts * kGuardTriangle &&
         target_square.size() == 2 * cells;
}

GuardGrid::GuardGrid(const CellPositions& positions)
    : n(static_cast<int>(std::lround(std::sqrt(static_cast<double>(positions.size()) / (3 * kPanels))))),
      bands(bands_of(n)) {
  const int count = kPanels * n * n;
  if (n < 1 || positions.size() != static_cast<std::size_t>(3) * count)
    throw InputError(fmt::format("{} numbers are no positions of the cells of a sphere", positions.size()));
  const auto position = [&](int cell) {
    return Axis{positions[cell], positions[count + cell], positions[2 * count + cell]};
  };
  const CellTable halo = halo_table(Tiling(n, 1, 1));
  const int extent = n + 2;
  for (int cell = 0; cell < count; ++cell) {
    const int panel = cell / (n * n), j = cell / n % n + 1, i = cell % n + 1;
    // Beyond an edge, not a corner, one cell is meant.
    const auto beside = [&](int dj, int di) {
      return halo.source[halo.row_begin[(panel * extent + j + dj) * extent + i + di]];
    };
    const int west = beside(0, -1), east = beside(0, 1), south = beside(-1, 0), north = beside(1, 0);
    for (int other : {west, east, south, north}) neighbour.push_back(other);
    const Axis r = position(cell), u = position(east) - position(west), v = position(north) - position(south);
    const double uu = dot(u, u), uv = dot(u, v), vv = dot(v, v), area = uu * vv - uv * uv;
    const double scale = area > 0 ? 1 / area : 0;
    const Axis a = scale * (vv * u - uv * v), b = scale * (uu * v - uv * u);
    const double belt = std::hypot(r.x, r.y);
    // At a pole any direction is east.
    const Axis to_east = belt > 1e-6 ? Axis{-r.y / belt, r.x / belt, 0} : Axis{0, 1, 0};
    for (const Axis& axis : {a, b, cross(r, a), cross(r, b), to_east, cross(r, to_east)}) append(geometry, axis);
    const double latitude = std::asin(std::clamp(r.z, -1.0, 1.0)) / M_PI + 0.5;  // 0 to 1 from pole to pole
    band.push_back(std::clamp(static_cast<int>(latitude * bands), 0, bands - 1));
  }
}

DistributionStatistics::DistributionStatistics(const CellPositions& positions)
    : grid_(positions),
      belts_(static_cast<std::size_t>(grid_.bands) * kRow, 0.0),
      squares_(2 * static_cast<std::size_t>(grid_.cells()), 0.0),
      channels_(static_cast<std::size_t>(grid_.cells()) * kGuardChannels) {
  for (int band = 0; band < grid_.bands; ++band) {
    belt_begin_.push_back(static_cast<int>(order_.size()));
    for (int cell = 0; cell < grid_.cells(); ++cell)
      if (grid_.band[cell] == band) order_.push_back(cell);
  }
  belt_begin_.push_back(static_cast<int>(order_.size()));
}

void DistributionStatistics::add(const Sample& sample) {
  const std::size_t cells = grid_.cells();
  if (sample.input.size() != cells * sample_inputs().size() || sample.target.size() != cells * sample_targets().size())
    throw RunError(fmt::format("sample {} has {} input and {} target values, the training distribution expects {} and {}",
                               sample.info.number, sample.input.size(), sample.target.size(),
                               cells * sample_inputs().size(), cells * sample_targets().size()));
  for (std::size_t cell = 0; cell < cells; ++cell)
    for (int c = 0; c < kGuardChannels; ++c)
      channels_[cell * kGuardChannels + c] = sample.input[(c == 0 ? 0 : kInputVector + c - 1) * cells + cell];
  std::vector<double> belts(belts_.size(), 0.0), squares(squares_.size());
  std::vector<double> values;
  for (int band = 0; band < grid_.bands; ++band) {
    const int begin = belt_begin_[band], count = belt_begin_[band + 1] - begin;
    values.resize(static_cast<std::size_t>(count) * kGuardFeatures);
    double* row = &belts[static_cast<std::size_t>(band) * kRow];
    double *mean = row + 1, *products = mean + kGuardFeatures;
    row[0] = count;
    for (int k = 0; k < count; ++k) {
      const int cell = order_[begin + k];
      const int* beside = &grid_.neighbour[static_cast<std::size_t>(cell) * 4];
      const auto channels = [&](int place) { return &channels_[static_cast<std::size_t>(place) * kGuardChannels]; };
      double* x = &values[static_cast<std::size_t>(k) * kGuardFeatures];
      guard_features(channels(cell), channels(beside[0]), channels(beside[1]), channels(beside[2]),
                     channels(beside[3]), &grid_.geometry[static_cast<std::size_t>(cell) * kGuardGeometry], x);
      for (int f = 0; f < kGuardFeatures; ++f) mean[f] += x[f] / count;
    }
    for (int k = 0; k < count; ++k) {
      double* x = &values[static_cast<std::size_t>(k) * kGuardFeatures];
      for (int f = 0; f < kGuardFeatures; ++f) x[f] -= mean[f];
      for (int f = 0; f < kGuardFeatures; ++f)
        for (int g = 0; g <= f; ++g) products[at(f, g)] += x[f] * x[g];
    }
  }
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const double first = sample.target[cell];
    squares[cell] = first * first;
    double sum = 0;
    for (int c = 0; c < 3; ++c) {
      const double component = sample.target[(kTargetVector + c) * cells + cell];
      sum += component * component;
    }
    squares[cells + cell] = sum;
  }
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::all_of(belts.begin(), belts.end(), finite) || !std::all_of(squares.begin(), squares.end(), finite))
    throw RunError(fmt::format("sample {} has a value that is not finite", sample.info.number));
  merge_numbers(belts, squares, 1);
}

void DistributionStatistics::merge_row(const double* from, double* to) {
  if (from[0] == 0) return;
  const double total = from[0] + to[0], share = from[0] / total, together = from[0] * to[0] / total;
  double delta[kGuardFeatures];
  for (int f = 0; f < kGuardFeatures; ++f) {
    delta[f] = from[1 + f] - to[1 + f];
    to[1 + f] += delta[f] * share;
  }
  const double* products = from + 1 + kGuardFeatures;
  double* sums = to + 1 + kGuardFeatures;
  for (int f = 0; f < kGuardFeatures; ++f)
    for (int g = 0; g <= f; ++g) sums[at(f, g)] += products[at(f, g)] + delta[f] * delta[g] * together;
  to[0] = total;
}

void DistributionStatistics::merge_numbers(const std::vector<double>& belts, const std::vector<double>& squares,
                                           std::int64_t samples) {
  for (std::size_t row = 0; row < belts.size(); row += kRow) merge_row(&belts[row], &belts_[row]);
  for (std::size_t k = 0; k < squares.size(); ++k) squares_[k] += squares[k];
  samples_ += samples;
}

void DistributionStatistics::merge(const DistributionStatistics& other) {
  merge_numbers(other.belts_, other.squares_, other.samples_);
}

void DistributionStatistics::reduce(MPI_Comm comm, double deadline_seconds) {
  const OwnedCommunicator own(comm);
  if (own.size() == 1) return;
  const std::vector<double> mine = numbers();
  std::vector<double> all(mine.size() * own.size());
  std::vector<MPI_Request> requests(1);
  const int count = static_cast<int>(mine.size());
  MPI_Iallgather(mine.data(), count, MPI_DOUBLE, all.data(), count, MPI_DOUBLE, own.get(), &requests[0]);
  wait_with_deadline(requests, deadline_seconds, "the reduction of the training distribution over the learner ranks");
  clear();
  for (int rank = 0; rank < own.size(); ++rank) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * mine.size());
    const auto belts = begin + 1, squares = belts + std::ssize(belts_);
    merge_numbers({belts, squares}, {squares, squares + std::ssize(squares_)}, static_cast<std::int64_t>(*begin));
  }
}

void DistributionStatistics::clear() {
  samples_ = 0;
  std::fill(belts_.begin(), belts_.end(), 0.0);
  std::fill(squares_.begin(), squares_.end(), 0.0);
}

std::vector<double> DistributionStatistics::numbers() const {
  // The count, the belts, the squares.
  std::vector<double> all = {static_cast<double>(samples_)};
  all.insert(all.end(), belts_.begin(), belts_.end());
  all.insert(all.end(), squares_.begin(), squares_.end());
  return all;
}

void DistributionStatistics::restore(const std::vector<double>& numbers) {
  if (numbers.size() != 1 + belts_.size() + squares_.size())
    throw RunError(fmt::format("a training distribution of {} numbers is not one of C{}", numbers.size(), grid_.n));
  const auto belts = numbers.begin() + 1, squares = belts + std::ssize(belts_);
  samples_ = static_cast<std::int64_t>(numbers[0]);
  belts_.assign(belts, squares);
  squares_.assign(squares, numbers.end());
}

TrainingDistribution DistributionStatistics::finish() const {
  TrainingDistribution result;
  if (samples_ == 0) return result;
  result.n = grid_.n;
  result.bands = grid_.bands;
  const auto row_of = [&](int band) { return &belts_[static_cast<std::size_t>(band) * kRow]; };
  const auto variance = [&](int band, int f) { return row_of(band)[1 + kGuardFeatures + at(f, f)] / row_of(band)[0]; };
  double overall[kGuardFeatures] = {};  // deviation over all belts
  for (int f = 0; f < kGuardFeatures; ++f) {
    for (int band = 0; band < grid_.bands; ++band) overall[f] += variance(band, f) / grid_.bands;
    overall[f] = std::sqrt(overall[f]);
  }
  for (int band = 0; band < grid_.bands; ++band) {
    const double *mean = row_of(band) + 1, *products = mean + kGuardFeatures;
    double deviation[kGuardFeatures];
    std::vector<double> correlation(kGuardTriangle);
    for (int f = 0; f < kGuardFeatures; ++f) {
      deviation[f] = std::max(std::sqrt(variance(band, f)), kLeastDeviation * overall[f]);
      // A feature that never changed, as far as round-off can tell, has no scale of its own.
      if (!(deviation[f] > 1e-7 * std::abs(mean[f]))) deviation[f] = 1;
    }
    for (int f = 0; f < kGuardFeatures; ++f)
      for (int g = 0; g <= f; ++g)
        correlation[at(f, g)] =
            f == g ? 1.0 : (1 - kShrinkage) * products[at(f, g)] / row_of(band)[0] / (deviation[f] * deviation[g]);
    const std::vector<double> inverse = inverse_factor(correlation, kGuardFeatures);
    for (int f = 0; f < kGuardFeatures; ++f) {
      result.mean.push_back(static_cast<float>(mean[f]));
      for (int g = 0; g <= f; ++g)
        result.whitening.push_back(
            static_cast<float>(inverse[at(f, g)] / deviation[g] / std::sqrt(static_cast<double>(kGuardFeatures))));
    }
  }
  const std::size_t cells = grid_.cells();
  for (int target = 0; target < 2; ++target) {
    std::vector<double> square(squares_.begin() + static_cast<std::ptrdiff_t>(target * cells),
                               squares_.begin() + static_cast<std::ptrdiff_t>((target + 1) * cells));
    for (double& value : square) value /= static_cast<double>(samples_);
    for (int pass = 0; pass < 2; ++pass) {  // over the cell's surroundings, as the guard will look at outputs
      const std::vector<double> before = square;
      for (std::size_t cell = 0; cell < cells; ++cell) {
        for (int side = 0; side < 4; ++side) square[cell] += before[grid_.neighbour[4 * cell + side]];
        square[cell] /= 5;
      }
    }
    std::vector<double> belt(grid_.bands, 0.0);
    for (std::size_t cell = 0; cell < cells; ++cell) belt[grid_.band[cell]] += square[cell];
    for (std::size_t cell = 0; cell < cells; ++cell) {
      const int band = grid_.band[cell];
      const double mean = belt[band] / (belt_begin_[band + 1] - belt_begin_[band]);
      result.target_square.push_back(static_cast<float>(std::max(square[cell], kLeastSquare * mean)));
    }
  }
  return result;
}

}  // namespace tramontane
