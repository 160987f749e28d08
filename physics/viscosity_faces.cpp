// Circulation, outflow and surface flux at faces, and the cell means that follow from them: vorticity, divergence and
// the diffusion of height.
#include "physics/gauss_lines.hpp"
#include "physics/shallow_water_rows.hpp"
#include "physics/viscosity.hpp"

namespace tramontane {

namespace {

/// Fields on the Gauss lines of either direction, two lines each: E, its slope across the line's own direction (per
/// cell width), and momentum.
enum Line : int { kSurface = 0, kSlope = 2, kMomentumAlpha = 4, kMomentumBeta = 6 };
/// Fields on faces, per panel angle: covariant velocity along, flux of velocity through, sqrt_g G^nj d_j eta.
enum Face : int { kCirculation, kOutflow, kSurfaceFlux };

/// The rows that one Gauss point of a row of faces needs; the first four from the first cell of the stencil on.
struct FaceRows {
  Row e, slope, across, along;
  Row inverse_mean, normal, tangential, bottom, inverse_delta;
};

struct FaceMeans {
  Real circulation, outflow, surface;
};

template <class At>
KOKKOS_FORCEINLINE_FUNCTION Real surface_flux(const FaceRows& p, int f, Real e, const At& in, Real yy, Real xy) {
  const Real eta = e * p.inverse_mean[f];
  const Real normal = multiply_add(-eta, p.normal[f], centred_face_slope(in(p.e)));
  const Real tangential = multiply_add(-eta, p.tangential[f], centred_face_value(in(p.slope)));
  return multiply_add(yy, normal, xy * tangential) * (p.inverse_mean[f] * p.inverse_delta[f]);
}

/// Means over the two Gauss points p and q of face f; x is the tangent of its fixed angle, y those of the points,
/// `stride` leads from one cell across the face to the next.
KOKKOS_FORCEINLINE_FUNCTION FaceMeans face_means(const FaceRows& p, const FaceRows& q, int f, int stride, Real x,
                                                 Real y_p, Real y_q) {
  const auto in = [f, stride](Row r) { return [r, f, stride](int k) { return r[f + k * stride]; }; };
  const Real xx = multiply_add(x, x, Real(1)), yy_p = multiply_add(y_p, y_p, Real(1)),
             yy_q = multiply_add(y_q, y_q, Real(1)), xy_p = x * y_p, xy_q = x * y_q;
  const Real e_p = centred_face_value(in(p.e)), e_q = centred_face_value(in(q.e));
  const Real mass_p = e_p - p.bottom[f], mass_q = e_q - q.bottom[f];
  const Real inverse = Real(1) / (mass_p * mass_q);  // one division for both points
  const Real per_p = inverse * mass_q, per_q = inverse * mass_p;
  const auto u_p = face_velocity(xx, yy_p, xy_p, p.inverse_delta[f], centred_face_value(in(p.across)) * per_p,
                                 centred_face_value(in(p.along)) * per_p);
  const auto u_q = face_velocity(xx, yy_q, xy_q, q.inverse_delta[f], centred_face_value(in(q.across)) * per_q,
                                 centred_face_value(in(q.along)) * per_q);
  const Real surface_p = surface_flux(p, f, e_p, in, yy_p, xy_p), surface_q = surface_flux(q, f, e_q, in, yy_q, xy_q);
  return {Real(0.5) * (u_p.along + u_q.along), Real(0.5) * (u_p.flux + u_q.flux), Real(0.5) * (surface_p + surface_q)};
}

}  // namespace

void Viscosity::state_lines(const Region& region, const View<Real*****>& state) {
  constexpr int halo = kCentredReach, reach = kStencilReach;
  const int levels = levels_, rows = region.rows() + 2 * halo;
  const Reconstruction<kStencil> weights;
  const Reconstruction<kSlopeStencil> slope_weights;
  const auto beta_lines = beta_lines_, alpha_lines = alpha_lines_;
  for_rows(
      "viscous state lines", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<kStencil> w = weights;  // copies that no store can alias stay in registers
        const Reconstruction<kSlopeStencil> w_slope = slope_weights;
        const int local = flat / (levels * rows), level = flat / rows % levels, row = flat % rows;
        const int tile = region.tile_begin + local, columns = region.columns();
        const int state_row = region.j_begin + row - halo + kHalo, pitch = static_cast<int>(state.extent(4));
        const auto reconstruct = [&](const View<Real*****>& lines, int v, int line_row, Row q, int stride, int count) {
          const int line = v == 0 ? kSurface : v == 1 ? kMomentumAlpha : kMomentumBeta;
          OutputRow first = &lines(local, level, line, line_row, 0),
                    second = &lines(local, level, line + 1, line_row, 0);
          simd_for(team, 0, count, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto points = w.values([&](int k) { return q[i + k * stride]; });
            first[i] = points.first;
            second[i] = points.second;
          });
          if (v > 0) return;
          Row from = q - (kSlopeStencil / 2 - reach) * stride;
          OutputRow slope0 = &lines(local, level, kSlope, line_row, 0),
                    slope1 = &lines(local, level, kSlope + 1, line_row, 0);
          simd_for(team, 0, count, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto points = w_slope.slopes([&](int k) { return from[i + k * stride]; });
            slope0[i] = points.first;
            slope1[i] = points.second;
          });
        };
        for (int v = 0; v < 3; ++v)
          reconstruct(alpha_lines, v, row, &state(tile, level, v, state_row, region.i_begin - reach + kHalo), 1,
                      columns);
        const int j = row - halo;
        if (j < 0 || j >= region.rows()) return;
        for (int v = 0; v < 3; ++v)
          reconstruct(beta_lines, v, j, &state(tile, level, v, state_row - reach, region.i_begin - halo + kHalo), pitch,
                      columns + 2 * halo);
      });
}

void Viscosity::alpha_faces(const Region& region) {
  const int levels = levels_, rows = region.rows(), size = grid_->tile_cells();
  const auto lines = beta_lines_, faces = alpha_faces_;
  const FaceTable table = alpha_table_;
  const auto inverse_delta = grid_->alpha_faces().inverse_delta;
  const auto gauss_tangent = grid_->gauss_tangent();
  const auto edge_tangent = grid_->edge_tangent();
  const auto segment_of = segment_of_;
  const auto geometry = edges_.geometry(), own = edges_.own();
  const TileOrigin origin(*grid_);
  for_rows(
      "viscous alpha faces", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, tile_row = region.j_begin + j, columns = region.columns();
        const int row = origin.row(tile) + tile_row, column = origin.column(tile) + region.i_begin;
        OutputRow circulation = &faces(local, level, kCirculation, j, 0),
                  outflow = &faces(local, level, kOutflow, j, 0), surface = &faces(local, level, kSurfaceFlux, j, 0);
        const auto rows_of = [&](int g) {
          const auto line = [&](int field) { return &lines(local, level, field + g, j, 0); };
          return FaceRows{line(kSurface),
                          line(kSlope),
                          line(kMomentumAlpha),
                          line(kMomentumBeta),
                          &table.inverse_mean(g, row, column),
                          &table.normal(g, row, column),
                          &table.tangential(g, row, column),
                          &table.bottom(tile, g, tile_row, region.i_begin),
                          &inverse_delta(g, row, column)};
        };
        const FaceRows p = rows_of(0), q = rows_of(1);
        Row x = &edge_tangent(column);
        const Real y_p = gauss_tangent(0, row), y_q = gauss_tangent(1, row);
        const auto at_face = [&](int f) TRAMONTANE_INLINE_BODY {
          const FaceMeans m = face_means(p, q, f, 1, x[f], y_p, y_q);
          circulation[f] = m.circulation;
          outflow[f] = m.outflow;
          surface[f] = m.surface;
        };
        // A row's last face apart: the others are whole vectors.
        simd_for(team, 0, columns, at_face);
        simd_for(team, columns, columns + 1, at_face);
        // On a panel edge both panels hand in their flux, in the edge's frame: see edge_fluxes().
        const auto hand_in = [&](int face, int segment) {
          simd_for(team, face, face + 1, [&](int f) {
            for (int g = 0; g < kGaussPoints; ++g) {
              const int k = (segment * kGaussPoints + g) * size + tile_row;
              own(level, k) = geometry(kFluxScale, k) > 0 ? surface[f] : -surface[f];
            }
            surface[f] = 0;
          });
        };
        if (origin.on_panel_edge_alpha(tile, region.i_begin)) hand_in(0, segment_of(tile, kWest));
        if (origin.on_panel_edge_alpha(tile, region.i_end)) hand_in(columns, segment_of(tile, kEast));
      });
}

void Viscosity::beta_faces(const Region& region) {
  const int levels = levels_, count = region.rows() + 1, size = grid_->tile_cells();
  const auto lines = alpha_lines_, faces = beta_faces_;
  const FaceTable table = beta_table_;
  const auto inverse_delta = grid_->beta_faces().inverse_delta;
  const auto gauss_tangent = grid_->gauss_tangent();
  const auto edge_tangent = grid_->edge_tangent();
  const auto segment_of = segment_of_;
  const auto geometry = edges_.geometry(), own = edges_.own();
  const TileOrigin origin(*grid_);
  for_rows(
      "viscous beta faces", region.tiles() * levels * count, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int local = flat / (levels * count), level = flat / count % levels, face = flat % count;
        const int tile = region.tile_begin + local, tile_face = region.j_begin + face, columns = region.columns();
        const int row = origin.row(tile) + tile_face, column = origin.column(tile) + region.i_begin;
        OutputRow circulation = &faces(local, level, kCirculation, face, 0),
                  outflow = &faces(local, level, kOutflow, face, 0),
                  surface = &faces(local, level, kSurfaceFlux, face, 0);
        const auto rows_of = [&](int g) {
          const auto line = [&](int field) { return &lines(local, level, field + g, face, 0); };
          return FaceRows{line(kSurface),
                          line(kSlope),
                          line(kMomentumBeta),
                          line(kMomentumAlpha),
                          &table.inverse_mean(g, row, column),
                          &table.normal(g, row, column),
                          &table.tangential(g, row, column),
                          &table.bottom(tile, g, tile_face, region.i_begin),
                          &inverse_delta(g, row, column)};
        };
        const FaceRows p = rows_of(0), q = rows_of(1);
        Row y_p = &gauss_tangent(0, column), y_q = &gauss_tangent(1, column);
        const Real x = edge_tangent(row);
        const int pitch = static_cast<int>(lines.extent(4));
        simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
          const FaceMeans m = face_means(p, q, i, pitch, x, y_p[i], y_q[i]);
          circulation[i] = m.circulation;
          outflow[i] = m.outflow;
          surface[i] = m.surface;
        });
        if (!origin.on_panel_edge_beta(tile, tile_face)) return;
        const int segment = segment_of(tile, tile_face == 0 ? kSouth : kNorth);
        for (int g = 0; g < kGaussPoints; ++g) {
          const int k = (segment * kGaussPoints + g) * size + region.i_begin;
          Row scale = &geometry(kFluxScale, k);
          OutputRow out = &own(level, k);
          simd_for(team, 0, columns, [&](int i) { out[i] = scale[i] > 0 ? surface[i] : -surface[i]; });
        }
        simd_for(team, 0, columns, [&](int i) { surface[i] = 0; });
      });
}

void Viscosity::scalars(const Region& region) {
  const int levels = levels_, rows = region.rows();
  const auto alpha = alpha_faces_, beta = beta_faces_, out = scalars_;
  const Real scale = static_cast<Real>(1.0 / (grid_->spacing() * grid_->radius()));
  // Slopes are per cell width: one spacing for them, one for the divergence.
  const Real surface_scale =
      static_cast<Real>(nu_ / (grid_->radius() * grid_->radius() * grid_->spacing() * grid_->spacing()));
  for_rows(
      "viscous scalars", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, row = region.j_begin + j + kHalo, first = region.i_begin + kHalo;
        OutputRow zeta = &out(tile, level, kVorticity, row, first), delta = &out(tile, level, kDivergence, row, first),
                  tendency = &out(tile, level, kSurfaceTendency, row, first);
        const auto west = [&](int field) { return &alpha(local, level, field, j, 0); };
        const auto south = [&](int field) { return &beta(local, level, field, j, 0); };
        const auto north = [&](int field) { return &beta(local, level, field, j + 1, 0); };
        Row ca = west(kCirculation), cs = south(kCirculation), cn = north(kCirculation);
        Row oa = west(kOutflow), os = south(kOutflow), on = north(kOutflow);
        Row fa = west(kSurfaceFlux), fs = south(kSurfaceFlux), fn = north(kSurfaceFlux);
        simd_for(team, 0, region.columns(), [&](int i) TRAMONTANE_INLINE_BODY {
          zeta[i] = ((ca[i + 1] - ca[i]) - (cn[i] - cs[i])) * scale;
          delta[i] = ((oa[i + 1] - oa[i]) + (on[i] - os[i])) * scale;
          tendency[i] = ((fa[i + 1] - fa[i]) + (fn[i] - fs[i])) * surface_scale;
        });
      });
}

// One flux per face of a panel edge, the mean of the two panels': the same bits on both sides, so mass is conserved.
// Its share of the divergence comes after the rest, first across alpha, then across beta, because a corner cell has
// both.
void Viscosity::edge_fluxes() {
  const int levels = levels_, size = grid_->tile_cells();
  const auto segments = edges_.segments();
  const auto geometry = edges_.geometry(), own = edges_.own(), other = edges_.other();
  const auto scalars = scalars_;
  const Real scale =
      static_cast<Real>(0.5 * nu_ / (grid_->radius() * grid_->radius() * grid_->spacing() * grid_->spacing()));
  const int pitch = static_cast<int>(scalars.extent(4));
  for (const bool across_alpha : {true, false})
    for_rows(
        "viscous edge fluxes", edges_.segment_count() * levels, KOKKOS_LAMBDA(const RowMember& team, int flat) {
          const int segment = flat / levels, level = flat % levels;
          const EdgeSegment s = segments(segment);
          if ((s.side == kWest || s.side == kEast) != across_alpha) return;
          const bool low = s.side == kWest || s.side == kSouth;
          const int cell = low ? kHalo : kHalo + size - 1, step = across_alpha ? pitch : 1;
          const int k = segment * kGaussPoints * size;
          OutputRow to =
              &scalars(s.tile, level, kSurfaceTendency, across_alpha ? kHalo : cell, across_alpha ? cell : kHalo);
          Row here = &own(level, k), there = &other(level, k), along_axis = &geometry(kFluxScale, k);
          simd_for(team, 0, size, [&](int t) {
            const Real flux = here[t] + there[t];
            const Real inward = low == (along_axis[t] > 0) ? -scale : scale;
            to[t * step] = multiply_add(inward, flux, to[t * step]);
          });
        });
}

}  // namespace tramontane
