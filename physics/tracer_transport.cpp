#include "physics/tracer_transport.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/rows.hpp"
#include "physics/shallow_water.hpp"

namespace tramontane {

namespace {

using Row = const Real* __restrict__;
using OutRow = Real* __restrict__;
using TableRow = const Real* __restrict__;

/// Extents that every kernel needs.
struct Extents {
  int tiles, levels, size, tracers;
  int first_tile = 0;  ///< of the `tiles` that a kernel works on
};

struct LineWeights {
  double at[kGaussPoints][kStencil];
};

LineWeights line_weights() {
  LineWeights w;
  for (int g = 0; g < kGaussPoints; ++g) {
    const auto value = average_weights(kStencilReach + 0.5 + kGaussNode[g]);
    for (int k = 0; k < kStencil; ++k) w.at[g][k] = value[k];
  }
  return w;
}

// sqrt_g phi and the mixing ratios of all cells, ghosts included.
void cell_contents(Extents n, const State& state, const View<Real***>& bottom, const View<Real****>& mass,
                   const View<Real*****>& mixing_ratio) {
  const int ghosted = n.size + 2 * kHalo;
  for_rows(
      "tracer contents", n.tiles * n.levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = n.first_tile + flat / (n.levels * ghosted), level = flat / ghosted % n.levels,
                  row = flat % ghosted;
        Row e = &state(tile, level, 0, row, 0);
        TableRow b = &bottom(tile, row, 0);
        OutRow m = &mass(tile, level, row, 0);
        simd_for(team, 0, ghosted, [&](int i) { m[i] = static_cast<Real>(e[i] - b[i]); });
        for (int t = 0; t < n.tracers; ++t) {
          Row q = &state(tile, level, kPrognostic + t, row, 0);
          OutRow ratio = &mixing_ratio(tile, level, t, row, 0);
          simd_for(team, 0, ghosted, [&](int i) { ratio[i] = q[i] / static_cast<Real>(e[i] - b[i]); });
        }
      });
}

// Means over alpha on the beta Gauss lines of every cell row, and over beta on the alpha Gauss lines.
void gauss_lines(Extents n, const State& state, const View<Real****>& mass, const View<Real*****>& beta_lines,
                 const View<Real*****>& alpha_lines) {
  const int ghosted = n.size + 2 * kHalo;
  const LineWeights weights = line_weights();
  for_rows(
      "tracer lines", n.tiles * n.levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int block = flat / (n.levels * ghosted), level = flat / ghosted % n.levels, row = flat % ghosted;
        const int tile = n.first_tile + block;
        const int j = row - kHalo;
        for (int v = 0; v <= n.tracers; ++v) {
          auto cells = [&](int r) {
            return v == 0 ? &mass(tile, level, r, 0) : &state(tile, level, kPrognostic + v - 1, r, 0);
          };
          for (int g = 0; g < kGaussPoints; ++g) {
            const double w0 = weights.at[g][0], w1 = weights.at[g][1], w2 = weights.at[g][2], w3 = weights.at[g][3],
                         w4 = weights.at[g][4];
            Row q = cells(row) + (kHalo - kStencilReach);
            OutRow across = &alpha_lines(block, level, kGaussPoints * v + g, row, 0);
            simd_for(team, 0, n.size, [&](int i) {
              across[i] = static_cast<Real>(w0 * q[i] + w1 * q[i + 1] + w2 * q[i + 2] + w3 * q[i + 3] + w4 * q[i + 4]);
            });
            if (j < 0 || j >= n.size) continue;
            Row q0 = cells(row - 2), q1 = cells(row - 1), q2 = cells(row), q3 = cells(row + 1), q4 = cells(row + 2);
            OutRow along = &beta_lines(block, level, kGaussPoints * v + g, j, 0);
            simd_for(team, 0, ghosted, [&](int i) {
              along[i] = static_cast<Real>(w0 * q0[i] + w1 * q1[i] + w2 * q2[i] + w3 * q3[i] + w4 * q4[i]);
            });
          }
        }
      });
}

// Mixing ratio at the eight face points of every cell, from inside the cell.
void face_values(Extents n, const View<Real*****>& beta_lines, const View<Real*****>& alpha_lines,
                 const View<Real*****>& faces) {
  for_rows(
      "tracer face values", n.tiles * n.levels * n.size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int block = flat / (n.levels * n.size), level = flat / n.size % n.levels, j = flat % n.size;
        const int tile = n.first_tile + block;
        constexpr int first = kHalo - kStencilReach;
        for (int t = 0; t < n.tracers; ++t)
          for (int g = 0; g < kGaussPoints; ++g) {
            const int v = kGaussPoints * (1 + t) + g;
            auto out = [&](int side) {
              return &faces(tile, level, kFaceSlots * t + kGaussPoints * side + g, j + 1, 1);
            };
            Row q = &beta_lines(block, level, v, j, first), m = &beta_lines(block, level, g, j, first);
            OutRow west = out(kWest), east = out(kEast), south = out(kSouth), north = out(kNorth);
            simd_for(team, 0, n.size, [&](int i) {
              west[i] = static_cast<Real>(face_value(q[i + 4], q[i + 3], q[i + 2], q[i + 1], q[i]) /
                                          face_value(m[i + 4], m[i + 3], m[i + 2], m[i + 1], m[i]));
              east[i] = static_cast<Real>(face_value(q[i], q[i + 1], q[i + 2], q[i + 3], q[i + 4]) /
                                          face_value(m[i], m[i + 1], m[i + 2], m[i + 3], m[i + 4]));
            });
            const int r = j + first;
            Row q0 = &alpha_lines(block, level, v, r, 0), q1 = &alpha_lines(block, level, v, r + 1, 0),
                q2 = &alpha_lines(block, level, v, r + 2, 0), q3 = &alpha_lines(block, level, v, r + 3, 0),
                q4 = &alpha_lines(block, level, v, r + 4, 0);
            Row m0 = &alpha_lines(block, level, g, r, 0), m1 = &alpha_lines(block, level, g, r + 1, 0),
                m2 = &alpha_lines(block, level, g, r + 2, 0), m3 = &alpha_lines(block, level, g, r + 3, 0),
                m4 = &alpha_lines(block, level, g, r + 4, 0);
            simd_for(team, 0, n.size, [&](int i) {
              south[i] = static_cast<Real>(face_value(q4[i], q3[i], q2[i], q1[i], q0[i]) /
                                           face_value(m4[i], m3[i], m2[i], m1[i], m0[i]));
              north[i] = static_cast<Real>(face_value(q0[i], q1[i], q2[i], q3[i], q4[i]) /
                                           face_value(m0[i], m1[i], m2[i], m3[i], m4[i]));
            });
          }
      });
}

/// What a cell gives away in an Euler step, and the extremes of its own reconstruction that the limiter looks at.
struct Outflow {
  double leaving, surplus;  ///< mass, and tracer beyond what that mass holds at the mean
  double smallest, greatest;
};

KOKKOS_FORCEINLINE_FUNCTION Outflow through(Outflow o, double flux, double value, double mean) {
  const bool leaves = flux > 0.0;
  const double amount = leaves ? flux : 0.0, seen = leaves ? value : mean;
  return {o.leaving + amount, o.surplus + amount * (value - mean), o.smallest < seen ? o.smallest : seen,
          o.greatest > seen ? o.greatest : seen};
}

/// Factor by which the face values must approach the mean so that they and the mean of what stays behind lie in bounds.
/// A cell that would be emptied keeps its mean everywhere, as does a mean that round-off has put out of bounds.
KOKKOS_FORCEINLINE_FUNCTION double limiting_factor(Outflow o, double rate, double content, double mean, double low,
                                                   double high) {
  const double staying = content - rate * o.leaving;
  const bool emptied = !(staying > 0.0);
  const double remainder = mean - rate * o.surplus / (emptied ? 1.0 : staying);
  const double need_above = (o.greatest > remainder ? o.greatest : remainder) - mean;
  const double need_below = mean - (o.smallest < remainder ? o.smallest : remainder);
  const double room_above = high > mean ? high - mean : 0.0, room_below = mean > low ? mean - low : 0.0;
  const double above = need_above > room_above ? room_above / need_above : 1.0;
  const double below = need_below > room_below ? room_below / need_below : 1.0;
  const double factor = above < below ? above : below;
  return emptied ? 0.0 : factor;
}

// The bounds of every cell: its own mean and those of its eight neighbours, within the tracer's.
void local_bounds(Extents n, int t, const TracerOptions& tracer, const View<Real*****>& mixing_ratio,
                  const View<Real*****>& bounds) {
  const double lower = tracer.lower, upper = tracer.upper;
  for_rows(
      "tracer bounds", n.tiles * n.levels * n.size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (n.levels * n.size), level = flat / n.size % n.levels, j = flat % n.size;
        OutRow low = &bounds(tile, level, 0, j, 0), high = &bounds(tile, level, 1, j, 0);
        simd_for(team, 0, n.size, [&](int i) {
          low[i] = static_cast<Real>(upper);
          high[i] = static_cast<Real>(lower);
        });
        for (int row = j - 1; row <= j + 1; ++row) {
          Row q = &mixing_ratio(tile, level, t, row + kHalo, kHalo - 1);
          simd_for(team, 0, n.size, [&](int i) {
            const Real least = q[i] < q[i + 1] ? q[i] : q[i + 1], most = q[i] > q[i + 1] ? q[i] : q[i + 1];
            const Real smallest = least < q[i + 2] ? least : q[i + 2], greatest = most > q[i + 2] ? most : q[i + 2];
            low[i] = low[i] < smallest ? low[i] : smallest;
            high[i] = high[i] > greatest ? high[i] : greatest;
          });
        }
        simd_for(team, 0, n.size, [&](int i) {
          low[i] = low[i] > lower ? low[i] : static_cast<Real>(lower);
          high[i] = high[i] < upper ? high[i] : static_cast<Real>(upper);
        });
      });
}

void constant_bounds(const TracerOptions& tracer, const View<Real*****>& bounds) {
  Kokkos::deep_copy(Kokkos::subview(bounds, Kokkos::ALL, Kokkos::ALL, 0, Kokkos::ALL, Kokkos::ALL), tracer.lower);
  Kokkos::deep_copy(Kokkos::subview(bounds, Kokkos::ALL, Kokkos::ALL, 1, Kokkos::ALL, Kokkos::ALL), tracer.upper);
}

// Scales the face values of every cell towards its mean until those through which the cell loses mass, and what remains
// in it, lie within the bounds. `rate` times a mass flux is what leaves through a Gauss point in the Euler step that
// the stage is made of.
void limit(Extents n, int t, const View<Real****>& mass, const View<Real*****>& mixing_ratio,
           const View<Real*****>& bounds, const MassFluxes& fluxes, const View<Real*****>& faces, double rate) {
  const auto alpha = fluxes.alpha, beta = fluxes.beta;
  for_rows(
      "tracer limiter", n.tiles * n.levels * n.size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (n.levels * n.size), level = flat / n.size % n.levels, j = flat % n.size;
        auto value = [&](int slot) { return &faces(tile, level, kFaceSlots * t + slot, j + 1, 1); };
        OutRow w0 = value(0), w1 = value(1), e0 = value(2), e1 = value(3), s0 = value(4), s1 = value(5), n0 = value(6),
               n1 = value(7);
        Row f0 = &alpha(tile, level, 0, j, 0), f1 = &alpha(tile, level, 1, j, 0);
        Row h0 = &beta(tile, level, 0, j, 0), h1 = &beta(tile, level, 1, j, 0);
        Row k0 = &beta(tile, level, 0, j + 1, 0), k1 = &beta(tile, level, 1, j + 1, 0);
        Row content = &mass(tile, level, j + kHalo, kHalo), mean = &mixing_ratio(tile, level, t, j + kHalo, kHalo);
        Row low = &bounds(tile, level, 0, j, 0), high = &bounds(tile, level, 1, j, 0);
        simd_for(team, 0, n.size, [&](int i) {
          const double q = mean[i];
          Outflow o{0.0, 0.0, q, q};
          o = through(o, -f0[i], w0[i], q);
          o = through(o, -f1[i], w1[i], q);
          o = through(o, f0[i + 1], e0[i], q);
          o = through(o, f1[i + 1], e1[i], q);
          o = through(o, -h0[i], s0[i], q);
          o = through(o, -h1[i], s1[i], q);
          o = through(o, k0[i], n0[i], q);
          o = through(o, k1[i], n1[i], q);
          const double factor = limiting_factor(o, rate, content[i], q, low[i], high[i]);
          w0[i] = static_cast<Real>(q + factor * (w0[i] - q));
          w1[i] = static_cast<Real>(q + factor * (w1[i] - q));
          e0[i] = static_cast<Real>(q + factor * (e0[i] - q));
          e1[i] = static_cast<Real>(q + factor * (e1[i] - q));
          s0[i] = static_cast<Real>(q + factor * (s0[i] - q));
          s1[i] = static_cast<Real>(q + factor * (s1[i] - q));
          n0[i] = static_cast<Real>(q + factor * (n0[i] - q));
          n1[i] = static_cast<Real>(q + factor * (n1[i] - q));
        });
      });
}

KOKKOS_INLINE_FUNCTION double upwind(double mass, double before, double behind) {
  return mass * (mass >= 0.0 ? before : behind);
}

// Flux divergence and the Runge-Kutta combination of one tracer.
void update(Extents n, int t, const View<Real*****>& faces, const MassFluxes& fluxes, const State& out, double a,
            const State& begin, double b, const State& state, double c, double per_angle) {
  const auto alpha = fluxes.alpha, beta = fluxes.beta;
  // a + b rounds to one where the doubles 1/3 and 2/3 add up to less: written as a * begin + b * state each step would
  // lose 5.6e-17 of the content.
  const double sum = a + b;
  for_rows(
      "tracer update", n.tiles * n.levels * n.size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (n.levels * n.size), level = flat / n.size % n.levels, j = flat % n.size;
        const int v = kPrognostic + t;
        auto q = [&](int side, int g, int row) {
          return &faces(tile, level, kFaceSlots * t + kGaussPoints * side + g, row, 1);
        };
        // Plain pointers: out may be state or begin, element by element.
        Real* result = &out(tile, level, v, j + kHalo, kHalo);
        const Real *now = &state(tile, level, v, j + kHalo, kHalo), *before = &begin(tile, level, v, j + kHalo, kHalo);
        Row w0 = q(kWest, 0, j + 1), w1 = q(kWest, 1, j + 1), e0 = q(kEast, 0, j + 1), e1 = q(kEast, 1, j + 1);
        Row s0 = q(kSouth, 0, j + 1), s1 = q(kSouth, 1, j + 1), n0 = q(kNorth, 0, j + 1), n1 = q(kNorth, 1, j + 1);
        Row below0 = q(kNorth, 0, j), below1 = q(kNorth, 1, j), above0 = q(kSouth, 0, j + 2),
            above1 = q(kSouth, 1, j + 2);
        Row f0 = &alpha(tile, level, 0, j, 0), f1 = &alpha(tile, level, 1, j, 0);
        Row h0 = &beta(tile, level, 0, j, 0), h1 = &beta(tile, level, 1, j, 0);
        Row k0 = &beta(tile, level, 0, j + 1, 0), k1 = &beta(tile, level, 1, j + 1, 0);
        simd_for(team, 0, n.size, [&](int i) {
          const double west = 0.5 * (upwind(f0[i], e0[i - 1], w0[i]) + upwind(f1[i], e1[i - 1], w1[i]));
          const double east = 0.5 * (upwind(f0[i + 1], e0[i], w0[i + 1]) + upwind(f1[i + 1], e1[i], w1[i + 1]));
          const double south = 0.5 * (upwind(h0[i], below0[i], s0[i]) + upwind(h1[i], below1[i], s1[i]));
          const double north = 0.5 * (upwind(k0[i], n0[i], above0[i]) + upwind(k1[i], n1[i], above1[i]));
          const double tendency = -((east - west) + (north - south)) * per_angle;
          result[i] = static_cast<Real>(sum * now[i] + (a * (before[i] - now[i]) + c * tendency));
        });
      });
}

// A cell gains mass at its own mixing ratio.
void add_mass(Extents n, int t, const View<Real*****>& mixing_ratio, const View<Real*****>& added_mass,
              const State& out, double c) {
  for_rows(
      "tracer of added mass", n.tiles * n.levels * n.size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (n.levels * n.size), level = flat / n.size % n.levels, j = flat % n.size;
        OutRow result = &out(tile, level, kPrognostic + t, j + kHalo, kHalo);
        Row ratio = &mixing_ratio(tile, level, t, j + kHalo, kHalo), added = &added_mass(tile, level, 0, j, 0);
        simd_for(team, 0, n.size, [&](int i) { result[i] += static_cast<Real>(c * ratio[i] * added[i]); });
      });
}

/// Tiles whose lines exist at the same time. One on the host: between the kernels that write and read them they stay in
/// the cache. All on a device, which wants large kernels.
int tiles_at_once(int tiles) {
#if defined(TRAMONTANE_DEVICE_LAYOUT)
  return tiles;
#else
  return std::min(tiles, 1);
#endif
}

}  // namespace

TracerTransport::TracerTransport(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels,
                                 std::vector<TracerOptions> tracers, const View<Real***>& ghosted_bottom,
                                 double deadline_seconds)
    : grid_(std::move(grid)),
      levels_(levels),
      tracers_(std::move(tracers)),
      sides_(grid_, comm, levels, count(), deadline_seconds),
      bottom_(ghosted_bottom) {
  for (const TracerOptions& tracer : tracers_)
    if (!(tracer.lower <= tracer.upper))
      throw InputError(fmt::format("tracer {}: the lower bound {:g} is not below the upper bound {:g}: exchange them",
                                   tracer.name, tracer.lower, tracer.upper));
  const int tiles = grid_->tile_count(), size = grid_->tile_cells(), ghosted = size + 2 * kHalo;
  const int lines = kGaussPoints * (1 + count());
  fluxes_.alpha = View<Real*****>("mass flux across alpha", tiles, levels, kGaussPoints, size, size + 1);
  fluxes_.beta = View<Real*****>("mass flux across beta", tiles, levels, kGaussPoints, size + 1, size);
  mass_ = View<Real****>("mass of cells", tiles, levels, ghosted, ghosted);
  mixing_ratio_ = View<Real*****>("mixing ratios", tiles, levels, count(), ghosted, ghosted);
  beta_lines_ = View<Real*****>("tracer beta lines", tiles_at_once(tiles), levels, lines, size, ghosted);
  alpha_lines_ = View<Real*****>("tracer alpha lines", tiles_at_once(tiles), levels, lines, ghosted, size);
  for (const TracerOptions& tracer : tracers_)
    if (tracer.limiter != TracerLimiter::none && bounds_.size() == 0)
      bounds_ = View<Real*****>("tracer bounds", tiles, levels, 2, size, size);
  faces_ = View<Real*****>("tracer face values", tiles, levels, kFaceSlots * count(), size + 2, size + 2);
}

void TracerTransport::reconstruct(const State& state) {
  const int tiles = grid_->tile_count(), block = tiles_at_once(tiles);
  for (int first = 0; first < tiles; first += block) {
    const Extents n{block, levels_, grid_->tile_cells(), count(), first};
    cell_contents(n, state, bottom_, mass_, mixing_ratio_);
    gauss_lines(n, state, mass_, beta_lines_, alpha_lines_);
    face_values(n, beta_lines_, alpha_lines_, faces_);
  }
}

void TracerTransport::advance(const State& out, double a, const State& begin, double b, const State& state, double c,
                              const View<Real*****>& added_mass) {
  const Extents n{grid_->tile_count(), levels_, grid_->tile_cells(), count()};
  const double per_angle = 1.0 / (grid_->radius() * grid_->spacing());
  // The stage is a times begin plus b times an Euler step of c / b seconds (Shu and Osher); a bare tendency has none.
  const double euler_step = std::max(0.0, b > 0.0 ? c / b : c);
  for (int t = 0; t < count(); ++t) {
    const TracerOptions& tracer = tracers_[t];
    if (tracer.limiter == TracerLimiter::none) continue;
    if (tracer.limiter == TracerLimiter::local)
      local_bounds(n, t, tracer, mixing_ratio_, bounds_);
    else
      constant_bounds(tracer, bounds_);
    limit(n, t, mass_, mixing_ratio_, bounds_, fluxes_, faces_, euler_step * per_angle / kGaussPoints);
  }
  sides_.start(faces_);
  sides_.finish(faces_);
  for (int t = 0; t < count(); ++t) {
    update(n, t, faces_, fluxes_, out, a, begin, b, state, c, per_angle);
    if (added_mass.size() > 0) add_mass(n, t, mixing_ratio_, added_mass, out, c);
  }
}

double TracerTransport::largest_outflow() const {
  const int tiles = grid_->tile_count(), levels = levels_, size = grid_->tile_cells();
  const auto alpha = fluxes_.alpha, beta = fluxes_.beta;
  const auto mass = mass_;
  const double scale = 1.0 / (grid_->radius() * grid_->spacing() * kGaussPoints);
  double most = 0.0;
  Kokkos::parallel_reduce(
      "largest outflow", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * levels * size * size),
      KOKKOS_LAMBDA(int flat, double& greatest) {
        const int i = flat % size, j = flat / size % size, level = flat / (size * size) % levels,
                  tile = flat / (size * size * levels);
        double leaving = 0.0;
        for (int g = 0; g < kGaussPoints; ++g) {
          const double flux[kSides] = {-alpha(tile, level, g, j, i), alpha(tile, level, g, j, i + 1),
                                       -beta(tile, level, g, j, i), beta(tile, level, g, j + 1, i)};
          for (double outward : flux) leaving += outward > 0.0 ? outward : 0.0;
        }
        const double share = scale * leaving / mass(tile, level, j + kHalo, i + kHalo);
        if (share > greatest) greatest = share;
      },
      Kokkos::Max<double>(most));
  return most;
}

}  // namespace tramontane
