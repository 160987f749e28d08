// The kernels of one Runge-Kutta stage of the shallow-water core, in the order in which ShallowWater::stage calls them.
#include <limits>

#include "kernels/rows.hpp"
#include "physics/shallow_water.hpp"
#include "physics/shallow_water_flux.hpp"

namespace tramontane {

namespace {

/// Weights of the two Gauss lines of a cell, value and slope, ready for capture.
struct LineWeights {
  double value[kGaussPoints][kStencil];
  double slope[kGaussPoints][kStencil];
};

LineWeights line_weights() {
  LineWeights w;
  for (int g = 0; g < kGaussPoints; ++g) {
    const auto value = average_weights(kStencilReach + 0.5 + kGaussNode[g]);
    const auto slope = average_weights(kStencilReach + 0.5 + kGaussNode[g], 1);
    for (int k = 0; k < kStencil; ++k) {
      w.value[g][k] = value[k];
      w.slope[g][k] = slope[k];
    }
  }
  return w;
}

using Row = const double* __restrict__;

KOKKOS_INLINE_FUNCTION double upwind_left(Row q, int f) {
  return face_value(q[f], q[f + 1], q[f + 2], q[f + 3], q[f + 4]);
}
KOKKOS_INLINE_FUNCTION double upwind_right(Row q, int f) {
  return face_value(q[f + 5], q[f + 4], q[f + 3], q[f + 2], q[f + 1]);
}

/// Where a tile lies in the metric tables of its panel.
struct TileOrigin {
  int first_tile, tiles_per_edge, size;
  KOKKOS_INLINE_FUNCTION int row(int tile) const {
    return (first_tile + tile) / tiles_per_edge % tiles_per_edge * size;
  }
  KOKKOS_INLINE_FUNCTION int column(int tile) const { return (first_tile + tile) % tiles_per_edge * size; }
};

TileOrigin tile_origin(const Grid& grid) {
  return {grid.first_tile(), grid.tiling().tiles_per_edge, grid.tile_cells()};
}

}  // namespace

// Means over alpha on the beta Gauss lines of every cell row, and over beta on the alpha Gauss lines: the first half of
// the two-dimensional reconstruction, shared by fluxes and sources.
void ShallowWater::gauss_lines(const State& state) {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const int ghosted = size + 2 * kHalo;
  const LineWeights w = line_weights();
  const auto beta_lines = beta_lines_, slope_lines = slope_lines_, alpha_lines = alpha_lines_;

  for_rows(
      "gauss lines", tiles * levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * ghosted), level = flat / ghosted % levels, row = flat % ghosted;
        for (int v = 0; v < kPrognostic; ++v) {
          const double* __restrict__ q = &state(tile, level, v, row, 0);
          double* __restrict__ first = &alpha_lines(tile, level, 2 * v, row, 0);
          double* __restrict__ second = &alpha_lines(tile, level, 2 * v + 1, row, 0);
          simd_for(team, 0, size, [&](int i) {
            const double c0 = q[i + 1], c1 = q[i + 2], c2 = q[i + 3], c3 = q[i + 4], c4 = q[i + 5];
            first[i] =
                w.value[0][0] * c0 + w.value[0][1] * c1 + w.value[0][2] * c2 + w.value[0][3] * c3 + w.value[0][4] * c4;
            second[i] =
                w.value[1][0] * c0 + w.value[1][1] * c1 + w.value[1][2] * c2 + w.value[1][3] * c3 + w.value[1][4] * c4;
          });
        }
        const int j = row - kHalo;
        if (j < 0 || j >= size) return;
        for (int v = 0; v < kPrognostic; ++v) {
          Row q0 = &state(tile, level, v, row - 2, 0), q1 = &state(tile, level, v, row - 1, 0),
              q2 = &state(tile, level, v, row, 0), q3 = &state(tile, level, v, row + 1, 0),
              q4 = &state(tile, level, v, row + 2, 0);
          double* __restrict__ first = &beta_lines(tile, level, 2 * v, j, 0);
          double* __restrict__ second = &beta_lines(tile, level, 2 * v + 1, j, 0);
          simd_for(team, 0, ghosted, [&](int i) {
            const double c0 = q0[i], c1 = q1[i], c2 = q2[i], c3 = q3[i], c4 = q4[i];
            first[i] =
                w.value[0][0] * c0 + w.value[0][1] * c1 + w.value[0][2] * c2 + w.value[0][3] * c3 + w.value[0][4] * c4;
            second[i] =
                w.value[1][0] * c0 + w.value[1][1] * c1 + w.value[1][2] * c2 + w.value[1][3] * c3 + w.value[1][4] * c4;
          });
          if (v > 0) continue;
          double* __restrict__ slope0 = &slope_lines(tile, level, 0, j, 0);
          double* __restrict__ slope1 = &slope_lines(tile, level, 1, j, 0);
          simd_for(team, 0, ghosted, [&](int i) {
            const double c0 = q0[i], c1 = q1[i], c2 = q2[i], c3 = q3[i], c4 = q4[i];
            slope0[i] =
                w.slope[0][0] * c0 + w.slope[0][1] * c1 + w.slope[0][2] * c2 + w.slope[0][3] * c3 + w.slope[0][4] * c4;
            slope1[i] =
                w.slope[1][0] * c0 + w.slope[1][1] * c1 + w.slope[1][2] * c2 + w.slope[1][3] * c3 + w.slope[1][4] * c4;
          });
        }
      });
}

void ShallowWater::alpha_fluxes() {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const auto lines = beta_lines_, flux = alpha_flux_;
  const auto bottom = alpha_bottom_;
  const FaceMetric metric = grid_->alpha_faces();
  const TileOrigin origin = tile_origin(*grid_);
  const double reference = options_.reference, dissipation = dissipation_;

  for_rows(
      "alpha fluxes", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        double* __restrict__ out_e = &flux(tile, level, 0, j, 0);
        double* __restrict__ out_a = &flux(tile, level, 1, j, 0);
        double* __restrict__ out_b = &flux(tile, level, 2, j, 0);
        Row e0 = &lines(tile, level, 0, j, 0), e1 = &lines(tile, level, 1, j, 0);
        Row a0 = &lines(tile, level, 2, j, 0), a1 = &lines(tile, level, 3, j, 0);
        Row b0 = &lines(tile, level, 4, j, 0), b1 = &lines(tile, level, 5, j, 0);
        Row l0 = &metric.left(0, row, column), l1 = &metric.left(1, row, column);
        Row r0 = &metric.right(0, row, column), r1 = &metric.right(1, row, column);
        Row g0 = &metric.sqrt_g(0, row, column), g1 = &metric.sqrt_g(1, row, column);
        Row s0 = &metric.speed(0, row, column), s1 = &metric.speed(1, row, column);
        Row n0 = &metric.pressure_n(0, row, column), n1 = &metric.pressure_n(1, row, column);
        Row t0 = &metric.pressure_t(0, row, column), t1 = &metric.pressure_t(1, row, column);
        Row h0 = &bottom(tile, 0, j, 0), h1 = &bottom(tile, 1, j, 0);
        simd_for(team, 0, size + 1, [&](int f) {
          const FaceFlux x = face_flux({upwind_left(e0, f), upwind_left(a0, f), upwind_left(b0, f)},
                                       {upwind_right(e0, f), upwind_right(a0, f), upwind_right(b0, f)},
                                       {l0[f], r0[f], g0[f], s0[f], n0[f], t0[f], h0[f]}, reference, dissipation);
          const FaceFlux y = face_flux({upwind_left(e1, f), upwind_left(a1, f), upwind_left(b1, f)},
                                       {upwind_right(e1, f), upwind_right(a1, f), upwind_right(b1, f)},
                                       {l1[f], r1[f], g1[f], s1[f], n1[f], t1[f], h1[f]}, reference, dissipation);
          out_e[f] = 0.5 * (x.e + y.e);
          out_a[f] = 0.5 * (x.normal + y.normal);
          out_b[f] = 0.5 * (x.tangential + y.tangential);
        });
      });
}

void ShallowWater::beta_fluxes() {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const auto lines = alpha_lines_, flux = beta_flux_;
  const auto bottom = beta_bottom_;
  const FaceMetric metric = grid_->beta_faces();
  const TileOrigin origin = tile_origin(*grid_);
  const double reference = options_.reference, dissipation = dissipation_;

  for_rows(
      "beta fluxes", tiles * levels * (size + 1), KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * (size + 1)), level = flat / (size + 1) % levels, face = flat % (size + 1);
        const int row = origin.row(tile) + face, column = origin.column(tile);
        double* __restrict__ out_e = &flux(tile, level, 0, face, 0);
        double* __restrict__ out_a = &flux(tile, level, 1, face, 0);
        double* __restrict__ out_b = &flux(tile, level, 2, face, 0);
        for (int g = 0; g < kGaussPoints; ++g) {
          Row e[6], a[6], b[6];
          for (int k = 0; k < 6; ++k) {
            e[k] = &lines(tile, level, g, face + k, 0);
            a[k] = &lines(tile, level, 2 + g, face + k, 0);
            b[k] = &lines(tile, level, 4 + g, face + k, 0);
          }
          Row e0 = e[0], e1 = e[1], e2 = e[2], e3 = e[3], e4 = e[4], e5 = e[5];
          Row a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5];
          Row b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3], b4 = b[4], b5 = b[5];
          Row left = &metric.left(g, row, column), right = &metric.right(g, row, column);
          Row sqrt_g = &metric.sqrt_g(g, row, column), speed = &metric.speed(g, row, column);
          Row pressure_n = &metric.pressure_n(g, row, column), pressure_t = &metric.pressure_t(g, row, column);
          Row h = &bottom(tile, g, face, 0);
          const bool first = g == 0;
          simd_for(team, 0, size, [&](int i) {
            const FaceFlux x =
                face_flux({face_value(e0[i], e1[i], e2[i], e3[i], e4[i]), face_value(b0[i], b1[i], b2[i], b3[i], b4[i]),
                           face_value(a0[i], a1[i], a2[i], a3[i], a4[i])},
                          {face_value(e5[i], e4[i], e3[i], e2[i], e1[i]), face_value(b5[i], b4[i], b3[i], b2[i], b1[i]),
                           face_value(a5[i], a4[i], a3[i], a2[i], a1[i])},
                          {left[i], right[i], sqrt_g[i], speed[i], pressure_n[i], pressure_t[i], h[i]}, reference,
                          dissipation);
            out_e[i] = (first ? 0.0 : out_e[i]) + 0.5 * x.e;
            out_a[i] = (first ? 0.0 : out_a[i]) + 0.5 * x.tangential;
            out_b[i] = (first ? 0.0 : out_b[i]) + 0.5 * x.normal;
          });
        }
      });
}

// Own-side state at the faces on panel edges, in the edge's frame: (eta, normal velocity, tangential velocity).
void ShallowWater::edge_states() {
  const int levels = options_.levels, size = grid_->tile_cells();
  const auto points = edges_.points();
  const auto own = edges_.own();
  const auto beta_lines = beta_lines_, alpha_lines = alpha_lines_;
  const auto edge_bottom = edge_bottom_;
  const FaceMetric alpha_metric = grid_->alpha_faces(), beta_metric = grid_->beta_faces();
  const TileOrigin origin = tile_origin(*grid_);
  const double reference = options_.reference;

  Kokkos::parallel_for(
      "edge states", Kokkos::RangePolicy<ExecutionSpace>(0, edges_.count()), KOKKOS_LAMBDA(int k) {
        const EdgePoint p = points(k);
        const bool across_alpha = p.side == kWest || p.side == kEast;
        const bool low = p.side == kWest || p.side == kSouth;
        const int face = low ? 0 : size;
        const FaceMetric& metric = across_alpha ? alpha_metric : beta_metric;
        const int row = origin.row(p.tile) + (across_alpha ? p.position : face);
        const int column = origin.column(p.tile) + (across_alpha ? face : p.position);
        const double mean = low ? metric.right(p.gauss, row, column) : metric.left(p.gauss, row, column);
        for (int level = 0; level < levels; ++level) {
          double q[kPrognostic];
          for (int v = 0; v < kPrognostic; ++v) {
            double c[kStencil];
            // Upwind order: the face's own side first comes last in the mirrored stencil.
            for (int s = 0; s < kStencil; ++s) {
              const int cell = low ? face + 5 - s : face + s;
              c[s] = across_alpha ? beta_lines(p.tile, level, 2 * v + p.gauss, p.position, cell)
                                  : alpha_lines(p.tile, level, 2 * v + p.gauss, cell, p.position);
            }
            q[v] = face_value(c[0], c[1], c[2], c[3], c[4]);
          }
          const double eta = q[0] / mean;
          const double scale = 1.0 / (mean * (eta + reference - edge_bottom(k)));
          own(level * kPrognostic, k) = eta;
          own(level * kPrognostic + 1, k) = (q[1] * p.to_normal[0] + q[2] * p.to_normal[1]) * scale;
          own(level * kPrognostic + 2, k) = (q[1] * p.to_tangent[0] + q[2] * p.to_tangent[1]) * scale;
        }
      });
}

// Replaces the fluxes on panel edges. Both panels run this with the same left and right state, so the mass flux agrees
// to the last bit; the two Gauss points of a face are neighbours in the list and summed by one iteration.
void ShallowWater::edge_fluxes() {
  const int levels = options_.levels, size = grid_->tile_cells();
  const auto points = edges_.points();
  const auto own = edges_.own(), other = edges_.other();
  const auto alpha_flux = alpha_flux_, beta_flux = beta_flux_;
  const auto edge_bottom = edge_bottom_;
  const FaceMetric alpha_metric = grid_->alpha_faces(), beta_metric = grid_->beta_faces();
  const TileOrigin origin = tile_origin(*grid_);
  const double reference = options_.reference, dissipation = dissipation_;

  Kokkos::parallel_for(
      "edge fluxes", Kokkos::RangePolicy<ExecutionSpace>(0, edges_.count() / kGaussPoints), KOKKOS_LAMBDA(int pair) {
        for (int level = 0; level < levels; ++level) {
          double mass[kGaussPoints];
          double momentum_alpha = 0.0, momentum_beta = 0.0;
          for (int g = 0; g < kGaussPoints; ++g) {
            const int k = kGaussPoints * pair + g;
            const EdgePoint& p = points(k);
            const bool across_alpha = p.side == kWest || p.side == kEast;
            const int c = level * kPrognostic;
            const double eta_l = p.own_is_left ? own(c, k) : other(c, k);
            const double eta_r = p.own_is_left ? other(c, k) : own(c, k);
            const double normal_l = p.own_is_left ? own(c + 1, k) : other(c + 1, k);
            const double normal_r = p.own_is_left ? other(c + 1, k) : own(c + 1, k);
            const double tangent_l = p.own_is_left ? own(c + 2, k) : other(c + 2, k);
            const double tangent_r = p.own_is_left ? other(c + 2, k) : own(c + 2, k);
            const double depth_l = eta_l + reference - edge_bottom(k), depth_r = eta_r + reference - edge_bottom(k);
            const InterfaceState at = riemann_lmars(0.5 * (depth_l + depth_r), eta_l, eta_r, normal_l, normal_r, dissipation);
            const bool from_left = at.velocity >= 0.0;
            const double flow = p.flux_scale * (at.velocity * (from_left ? depth_l : depth_r));
            const double normal = flow * (from_left ? normal_l : normal_r);
            const double tangent = flow * (from_left ? tangent_l : tangent_r);
            mass[g] = flow;

            const int face = p.side == kWest || p.side == kSouth ? 0 : size;
            const int row = origin.row(p.tile) + (across_alpha ? p.position : face);
            const int column = origin.column(p.tile) + (across_alpha ? face : p.position);
            const FaceMetric& metric = across_alpha ? alpha_metric : beta_metric;
            const double pressure = 0.5 * at.eta * (at.eta + 2.0 * reference);
            const double across = metric.pressure_n(g, row, column) * pressure;
            const double along = metric.pressure_t(g, row, column) * pressure;
            momentum_alpha +=
                0.5 * (normal * p.to_alpha[0] + tangent * p.to_alpha[1] + (across_alpha ? across : along));
            momentum_beta += 0.5 * (normal * p.to_beta[0] + tangent * p.to_beta[1] + (across_alpha ? along : across));
          }
          const EdgePoint& p = points(kGaussPoints * pair);
          // A sum of two is the same in either order, so a reversed neighbour gets the same bits.
          const double flow = 0.5 * (mass[0] + mass[1]);
          const int face = p.side == kWest || p.side == kSouth ? 0 : size;
          if (p.side == kWest || p.side == kEast) {
            alpha_flux(p.tile, level, 0, p.position, face) = flow;
            alpha_flux(p.tile, level, 1, p.position, face) = momentum_alpha;
            alpha_flux(p.tile, level, 2, p.position, face) = momentum_beta;
          } else {
            beta_flux(p.tile, level, 0, face, p.position) = flow;
            beta_flux(p.tile, level, 1, face, p.position) = momentum_alpha;
            beta_flux(p.tile, level, 2, face, p.position) = momentum_beta;
          }
        }
      });
}

// Flux divergence, sources at four Gauss points, forcing, and the Runge-Kutta combination.
void ShallowWater::update(const State& out, double a, const State& begin, double b, const State& state, double c) {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const auto beta_lines = beta_lines_, slope_lines = slope_lines_, alpha_flux = alpha_flux_, beta_flux = beta_flux_;
  const auto forcing = forcing_;
  const bool forced = forcing.size() > 0;
  const auto coriolis = coriolis_, bottom = volume_bottom_;
  const auto volume_value = grid_->volume_value(), volume_alpha = grid_->volume_alpha(),
             volume_beta = grid_->volume_beta();
  const auto tangent = grid_->gauss_tangent();
  const TileOrigin origin = tile_origin(*grid_);
  const LineWeights w = line_weights();
  const double reference = options_.reference;
  const double inverse_radius = 1.0 / grid_->radius();
  const double inverse_spacing = 1.0 / grid_->spacing();

  for_rows(
      "update", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        // Plain pointers: out may be state or begin, element by element.
        double *oe = &out(tile, level, 0, j + kHalo, kHalo), *oa = &out(tile, level, 1, j + kHalo, kHalo),
               *ob = &out(tile, level, 2, j + kHalo, kHalo);
        const double *e = &state(tile, level, 0, j + kHalo, kHalo), *ma = &state(tile, level, 1, j + kHalo, kHalo),
                     *mb = &state(tile, level, 2, j + kHalo, kHalo);

        // Sources first, one Gauss point after the other, gathered in the state's tendency: E has none.
        Row fe = &alpha_flux(tile, level, 0, j, 0), fa = &alpha_flux(tile, level, 1, j, 0),
            fb = &alpha_flux(tile, level, 2, j, 0);
        Row he = &beta_flux(tile, level, 0, j, 0), ha = &beta_flux(tile, level, 1, j, 0),
            hb = &beta_flux(tile, level, 2, j, 0);
        Row he1 = &beta_flux(tile, level, 0, j + 1, 0), ha1 = &beta_flux(tile, level, 1, j + 1, 0),
            hb1 = &beta_flux(tile, level, 2, j + 1, 0);
        const double *e0 = &begin(tile, level, 0, j + kHalo, kHalo), *ma0 = &begin(tile, level, 1, j + kHalo, kHalo),
                     *mb0 = &begin(tile, level, 2, j + kHalo, kHalo);
        Row qe[2] = {&beta_lines(tile, level, 0, j, 0), &beta_lines(tile, level, 1, j, 0)};
        Row qa[2] = {&beta_lines(tile, level, 2, j, 0), &beta_lines(tile, level, 3, j, 0)};
        Row qb[2] = {&beta_lines(tile, level, 4, j, 0), &beta_lines(tile, level, 5, j, 0)};
        Row qs[2] = {&slope_lines(tile, level, 0, j, 0), &slope_lines(tile, level, 1, j, 0)};
        Row x_at[2] = {&tangent(0, column), &tangent(1, column)};
        const double y_at[2] = {tangent(0, row), tangent(1, row)};
        Row value[4], slope_a[4], slope_b[4], f[4], hs[4];
        for (int point = 0; point < 4; ++point) {
          value[point] = &volume_value(point, row, column);
          slope_a[point] = &volume_alpha(point, row, column);
          slope_b[point] = &volume_beta(point, row, column);
          f[point] = &coriolis(tile, point, j, 0);
          hs[point] = &bottom(tile, point, j, 0);
        }

        simd_for(team, 0, size, [&](int i) {
          double source_a = 0.0, source_b = 0.0;
#pragma GCC unroll 4
          for (int point = 0; point < 4; ++point) {
            const int p = point % 2, q = point / 2;
            auto at = [&](Row line) {
              return w.value[p][0] * line[i + 1] + w.value[p][1] * line[i + 2] + w.value[p][2] * line[i + 3] +
                     w.value[p][3] * line[i + 4] + w.value[p][4] * line[i + 5];
            };
            const double mean = value[point][i];
            const double eta = at(qe[q]) / mean;
            const double m_a = at(qa[q]), m_b = at(qb[q]);
            const double e_a =
                (w.slope[p][0] * qe[q][i + 1] + w.slope[p][1] * qe[q][i + 2] + w.slope[p][2] * qe[q][i + 3] +
                 w.slope[p][3] * qe[q][i + 4] + w.slope[p][4] * qe[q][i + 5]) *
                inverse_spacing;
            const double e_b = at(qs[q]) * inverse_spacing;
            const double eta_a = (e_a - eta * slope_a[point][i]) / mean, eta_b = (e_b - eta * slope_b[point][i]) / mean;

            const double x = x_at[p][i], y = y_at[q];
            const double xx = 1.0 + x * x, yy = 1.0 + y * y, d2 = xx + y * y;
            const double inverse_d = 1.0 / std::sqrt(d2);
            // Christoffel symbols times delta^2: a_aa = 2 X Y^2, a_ab = -Y (1 + Y^2), b_bb = 2 X^2 Y, b_ab = -X (1 +
            // X^2).
            const double per_depth = inverse_d * inverse_d / (mean * (eta + reference - hs[point][i])) * inverse_radius;
            source_a -= 2.0 * y * m_a * (x * y * m_a - yy * m_b) * per_depth;
            source_b -= 2.0 * x * m_b * (x * y * m_b - xx * m_a) * per_depth;
            // -f (k x u): f u_beta / sqrt_g along alpha, -f u_alpha / sqrt_g along beta, with G_ij / sqrt_g.
            const double fd = f[point][i] * inverse_d;
            source_a += fd * (yy * m_b - x * y * m_a);
            source_b -= fd * (xx * m_a - x * y * m_b);
            // phi_s grad(eta), with sqrt_g G^ij = (1 + Y^2, X Y; X Y, 1 + X^2) / delta.
            const double hd = hs[point][i] * inverse_d * inverse_radius;
            source_a += hd * (yy * eta_a + x * y * eta_b);
            source_b += hd * (x * y * eta_a + xx * eta_b);
          }
          const double per_angle = inverse_spacing * inverse_radius;
          const double tendency_e = -((fe[i + 1] - fe[i]) + (he1[i] - he[i])) * per_angle;
          const double tendency_a = -((fa[i + 1] - fa[i]) + (ha1[i] - ha[i])) * per_angle + 0.25 * source_a;
          const double tendency_b = -((fb[i + 1] - fb[i]) + (hb1[i] - hb[i])) * per_angle + 0.25 * source_b;
          oe[i] = a * e0[i] + b * e[i] + c * tendency_e;
          oa[i] = a * ma0[i] + b * ma[i] + c * tendency_a;
          ob[i] = a * mb0[i] + b * mb[i] + c * tendency_b;
        });
        if (forced) {
          Row te = &forcing(tile, level, 0, j, 0), ta = &forcing(tile, level, 1, j, 0),
              tb = &forcing(tile, level, 2, j, 0);
          simd_for(team, 0, size, [&](int i) {
            oe[i] += c * te[i];
            oa[i] += c * ta[i];
            ob[i] += c * tb[i];
          });
        }
      });
}

double ShallowWater::largest_rate(const State& state) const {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const auto bottom = bottom_;
  const auto mean_sqrt_g = grid_->mean_sqrt_g_table();
  const auto tangent = grid_->gauss_tangent();
  const TileOrigin origin = tile_origin(*grid_);
  const double scale = 1.0 / (grid_->radius() * grid_->spacing());
  double largest = 0.0;
  Kokkos::parallel_reduce(
      "largest rate", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * levels * size * size),
      KOKKOS_LAMBDA(int flat, double& most) {
        const int i = flat % size, j = flat / size % size, level = flat / (size * size) % levels,
                  tile = flat / (size * size * levels);
        const int row = origin.row(tile) + j, column = origin.column(tile);
        const double sqrt_g_phi = state(tile, level, 0, j + kHalo, i + kHalo) - bottom(tile, j, i);
        const double phi = sqrt_g_phi / mean_sqrt_g(row + kHalo, column + i + kHalo);
        const double x = 0.5 * (tangent(0, column + i) + tangent(1, column + i)),
                     y = 0.5 * (tangent(0, row) + tangent(1, row));
        const Metric m = metric_at(x, y);
        const double c = std::sqrt(phi);
        const double rate =
            (std::abs(state(tile, level, 1, j + kHalo, i + kHalo) / sqrt_g_phi) + c * std::sqrt(m.h_aa) +
             std::abs(state(tile, level, 2, j + kHalo, i + kHalo) / sqrt_g_phi) + c * std::sqrt(m.h_bb)) *
            scale;
        if (!(rate <= most)) most = rate == rate ? rate : 1e300;
      },
      Kokkos::Max<double>(largest));
  return largest < 1e299 ? largest : std::numeric_limits<double>::infinity();
}

}  // namespace tramontane
