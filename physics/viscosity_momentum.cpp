// The second half of the viscous term: tendency of momentum at four Gauss points of each cell.
#include "physics/gauss_lines.hpp"
#include "physics/shallow_water_rows.hpp"
#include "physics/viscosity.hpp"

namespace tramontane {

namespace {

/// Rows of work space for a row of cells. On two beta Gauss lines each, means along alpha and slopes along beta (per
/// cell width) of what is differentiated; then sqrt_g phi and its change from the cell's centre to a Gauss point.
enum Line : int { kZeta = 0, kZetaSlope = 2, kDelta = 4, kDeltaSlope = 6, kMass = 8, kMassAlpha, kMassBeta };

/// The rows that one beta Gauss line of a row of cells needs.
struct MomentumLine {
  Row zeta, zeta_slope, delta, delta_slope;                             ///< from the stencil's first cell on
  Row x[2], inverse_mean[2], slope_a[2], slope_b[2], inverse_delta[2];  ///< by alpha Gauss point
  Row mass, mass_alpha, mass_beta;
  Real y, side;  ///< tangent of beta; -1 for the first line, 1 for the second

  struct Vector {
    Real a, b;
  };

  /// sqrt_g (grad delta + k x grad zeta) over per_mean, from reconstructed values and slopes of weighted means, with
  /// (k x grad zeta)^a = -d_b zeta / sqrt_g.
  KOKKOS_FORCEINLINE_FUNCTION Vector at_point(int p, int i, Real per_angle, Real z, Real z_along, Real z_across, Real d,
                                              Real d_along, Real d_across) const {
    const Real z_a = multiply_add(per_angle, z_along, -(z * slope_a[p][i]));
    const Real z_b = multiply_add(per_angle, z_across, -(z * slope_b[p][i]));
    const Real d_a = multiply_add(per_angle, d_along, -(d * slope_a[p][i]));
    const Real d_b = multiply_add(per_angle, d_across, -(d * slope_b[p][i]));
    const Real here = x[p][i], xx = multiply_add(here, here, Real(1)), yy = multiply_add(y, y, Real(1)), xy = here * y;
    return {multiply_add(multiply_add(yy, d_a, xy * d_b), inverse_delta[p][i], -z_b),
            multiply_add(multiply_add(xy, d_a, xx * d_b), inverse_delta[p][i], z_a)};
  }

  /// Sum of sqrt_g phi (grad delta + k x grad zeta) over the line's two points in cell i, times `scale`.
  KOKKOS_FORCEINLINE_FUNCTION Vector operator()(const Reconstruction<kStencil>& w, int i, Real per_angle,
                                                Real scale) const {
    const auto in = [i](Row line) { return [line, i](int k) { return line[i + k]; }; };
    const auto z = w.values(in(zeta)), z_along = w.slopes(in(zeta)), z_across = w.values(in(zeta_slope));
    const auto d = w.values(in(delta)), d_along = w.slopes(in(delta)), d_across = w.values(in(delta_slope));
    const Vector v0 = at_point(0, i, per_angle, z.first, z_along.first, z_across.first, d.first, d_along.first,
                               d_across.first),
                 v1 = at_point(1, i, per_angle, z.second, z_along.second, z_across.second, d.second, d_along.second,
                               d_across.second);
    const Real per0 = inverse_mean[0][i], per1 = inverse_mean[1][i];
    const Real middle = scale * multiply_add(side, mass_beta[i], mass[i]), beside = scale * mass_alpha[i];
    const Real factor0 = (middle - beside) * (per0 * per0), factor1 = (middle + beside) * (per1 * per1);
    return {multiply_add(factor0, v0.a, factor1 * v1.a), multiply_add(factor0, v0.b, factor1 * v1.b)};
  }
};

}  // namespace

void Viscosity::scalar_lines(const Region& region) {
  constexpr int reach = kStencilReach;
  const int levels = levels_, rows = region.rows();
  const Reconstruction<kStencil> weights;
  const auto scalars = scalars_, lines = scalar_lines_;
  for_rows(
      "viscous scalar lines", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<kStencil> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, pitch = static_cast<int>(scalars.extent(4));
        const auto reconstruct = [&](ViscousScalar scalar, int value_line, int slope_line) {
          Row q = &scalars(tile, level, scalar, region.j_begin + j - reach + kHalo, region.i_begin - reach + kHalo);
          OutputRow value0 = &lines(local, level, value_line, j, 0),
                    value1 = &lines(local, level, value_line + 1, j, 0),
                    slope0 = &lines(local, level, slope_line, j, 0),
                    slope1 = &lines(local, level, slope_line + 1, j, 0);
          simd_for(team, 0, region.columns() + 2 * reach, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto at = [&](int k) { return q[i + k * pitch]; };
            const auto values = w.values(at), slopes = w.slopes(at);
            value0[i] = values.first;
            value1[i] = values.second;
            slope0[i] = slopes.first;
            slope1[i] = slopes.second;
          });
        };
        reconstruct(kVorticity, kZeta, kZetaSlope);
        reconstruct(kDivergence, kDelta, kDeltaSlope);
      });
}

// The rotational and the divergent part at Gauss points: two derivatives follow each other there, so their errors must
// be small. The factors beside them vary slowly, and their means are products of means and of slopes, <f g> = <f><g> +
// (df dg)/12 with d the change over a cell, which is of fourth order too. A parabola's change from the centre to a
// Gauss point is the node times its slope there: the quadratic term vanishes.
void Viscosity::momentum(const Region& region, const View<Real*****>& state, const View<Real*****>& forcing) {
  const int levels = levels_, rows = region.rows();
  const bool forced = forcing.size() > 0;
  const auto scalars = scalars_, lines = scalar_lines_, tendency = tendency_;
  const auto bottom = ghosted_bottom_;
  const VolumeMetric volume = grid_->volume();
  const auto tangent = grid_->gauss_tangent();
  const Real per_angle = static_cast<Real>(1.0 / grid_->spacing()), scale = static_cast<Real>(nu_ / grid_->radius());
  const TileOrigin origin(*grid_);
  const Reconstruction<kStencil> weights;
  const Real gauss_node = static_cast<Real>(kGaussNode[1]);  // a constant array has no address on a device
  for_rows(
      "viscous momentum", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<kStencil> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, tile_row = region.j_begin + j, columns = region.columns();
        const int row = origin.row(tile) + tile_row, column = origin.column(tile) + region.i_begin;
        OutputRow mass = &lines(local, level, kMass, j, 0), mass_alpha = &lines(local, level, kMassAlpha, j, 0),
                  mass_beta = &lines(local, level, kMassBeta, j, 0);
        const auto momentum_line = [&](int q) {
          const auto line = [&](int field) { return &lines(local, level, field + q, j, 0); };
          MomentumLine m;
          m.zeta = line(kZeta);
          m.zeta_slope = line(kZetaSlope);
          m.delta = line(kDelta);
          m.delta_slope = line(kDeltaSlope);
          m.mass = mass;
          m.mass_alpha = mass_alpha;
          m.mass_beta = mass_beta;
          m.side = q == 0 ? Real(-1) : Real(1);
          for (int p = 0; p < kGaussPoints; ++p) {
            const int point = kGaussPoints * q + p;
            m.x[p] = &tangent(p, column);
            m.inverse_mean[p] = &volume.inverse_value(point, row, column);
            m.slope_a[p] = &volume.slope_a(point, row, column);
            m.slope_b[p] = &volume.slope_b(point, row, column);
            m.inverse_delta[p] = &volume.inverse_delta(point, row, column);
          }
          m.y = tangent(q, row);
          return m;
        };
        const MomentumLine south = momentum_line(0), north = momentum_line(1);
        OutputRow out_e = &tendency(tile, level, 0, tile_row, region.i_begin),
                  out_a = &tendency(tile, level, 1, tile_row, region.i_begin),
                  out_b = &tendency(tile, level, 2, tile_row, region.i_begin);
        Row e = &state(tile, level, 0, tile_row + kHalo, region.i_begin + kHalo),
            a = &state(tile, level, 1, tile_row + kHalo, region.i_begin + kHalo),
            b = &state(tile, level, 2, tile_row + kHalo, region.i_begin + kHalo),
            ground = &bottom(tile, tile_row + kHalo, region.i_begin + kHalo),
            surface = &scalars(tile, level, kSurfaceTendency, tile_row + kHalo, region.i_begin + kHalo);
        const int pitch = static_cast<int>(state.extent(4));
        // What diffuses carries no velocity of its own: <u^i D>, D the tendency of E, u^i = M^i / (sqrt_g phi).
        simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
          const auto mass_at = [&](int k) { return e[i + k] - ground[i + k]; };
          const auto change = [&](Row q, int step) { return Real(0.5) * (q[i + step] - q[i - step]); };
          const Real m = mass_at(0), growth = surface[i], inverse = Real(1) / m;
          const Real u_a = a[i] * inverse, u_b = b[i] * inverse, rate = growth * inverse;
          const Real m_alpha = Real(0.5) * (mass_at(1) - mass_at(-1)),
                     m_beta = Real(0.5) * (mass_at(pitch) - mass_at(-pitch));
          const Real d_alpha = multiply_add(-rate, m_alpha, change(surface, 1)),
                     d_beta = multiply_add(-rate, m_beta, change(surface, pitch));
          const Real share = inverse * Real(1.0 / 12);
          out_e[i] = growth;
          out_a[i] = multiply_add(share,
                                  multiply_add(multiply_add(-u_a, m_alpha, change(a, 1)), d_alpha,
                                               multiply_add(-u_a, m_beta, change(a, pitch)) * d_beta),
                                  u_a * growth);
          out_b[i] = multiply_add(share,
                                  multiply_add(multiply_add(-u_b, m_alpha, change(b, 1)), d_alpha,
                                               multiply_add(-u_b, m_beta, change(b, pitch)) * d_beta),
                                  u_b * growth);
          mass[i] = m;
          mass_alpha[i] = gauss_node * m_alpha;
          mass_beta[i] = gauss_node * m_beta;
        });
        // One Gauss line at a time: both at once need more row pointers than a processor has registers.
        const Real share = Real(1) / (kGaussPoints * kGaussPoints);
        simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
          const auto sum = south(w, i, per_angle, scale);
          out_a[i] = multiply_add(share, sum.a, out_a[i]);
          out_b[i] = multiply_add(share, sum.b, out_b[i]);
        });
        simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
          const auto sum = north(w, i, per_angle, scale);
          out_a[i] = multiply_add(share, sum.a, out_a[i]);
          out_b[i] = multiply_add(share, sum.b, out_b[i]);
        });
        if (!forced) return;
        Row fe = &forcing(tile, level, 0, tile_row, region.i_begin),
            fa = &forcing(tile, level, 1, tile_row, region.i_begin),
            fb = &forcing(tile, level, 2, tile_row, region.i_begin);
        simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
          out_e[i] += fe[i];
          out_a[i] += fa[i];
          out_b[i] += fb[i];
        });
      });
}

}  // namespace tramontane
