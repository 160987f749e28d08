// Flux divergence, sources and the combination of a Runge-Kutta stage; the largest rate of a state.
#include <limits>

#include "physics/shallow_water.hpp"
#include "physics/shallow_water_rows.hpp"
#include "physics/shallow_water_source.hpp"
#include "physics/viscosity.hpp"

namespace tramontane {

namespace {

/// 2 Omega . (delta r) on a panel is middle + along_x X + along_y Y.
struct PanelRotation {
  Real middle[kPanels], along_x[kPanels], along_y[kPanels];
  explicit PanelRotation(Vector3 rotation) {
    for (int panel = 0; panel < kPanels; ++panel) {
      const PanelAxes axes = panel_axes(panel);
      middle[panel] = static_cast<Real>(2 * dot(rotation, axes.centre));
      along_x[panel] = static_cast<Real>(2 * dot(rotation, axes.ex));
      along_y[panel] = static_cast<Real>(2 * dot(rotation, axes.ey));
    }
  }
};

/// The rows that the source needs on one beta Gauss line of a row of cells.
template <int Order>
struct SourceLine {
  Row e, a, b, slope;                                  ///< reconstructed along beta, from the stencil's first cell on
  Row x[2], inverse_value[2], slope_a[2], slope_b[2];  ///< by alpha Gauss point
  Row inverse_delta[2], relief[2];
  Real y, yy, rotation_x, rotation_rest;  ///< 2 Omega . (delta r) = rotation_x X + rotation_rest

  template <class Index, class T>
  KOKKOS_FORCEINLINE_FUNCTION MomentumSource<T> at_point(int p, Index i, const VolumeState<T>& at,
                                                         const T& inverse_mass, Real inverse_radius) const {
    const T here = load(x[p], i);
    return momentum_source(
        at,
        VolumePoint<T>{y, yy, here, multiply_add(here, here, Real(1)), here * y, stream(inverse_delta[p], i),
                       multiply_add(rotation_x, here, rotation_rest), load(relief[p], i)},
        inverse_mass, inverse_radius);
  }

  /// Sum over the line's two points in cell i.
  template <class Index>
  KOKKOS_FORCEINLINE_FUNCTION auto operator()(const Reconstruction<Order>& w, Index i, Real reference,
                                              Real inverse_spacing, Real inverse_radius) const {
    const auto in = [i](Row line) { return [line, i](int k) { return load(line, i + k); }; };
    const auto value = w.values(in(e)), along = w.slopes(in(e)), across = w.values(in(slope));
    const auto m_a = w.values(in(a)), m_b = w.values(in(b));
    const auto per0 = stream(inverse_value[0], i), per1 = stream(inverse_value[1], i);
    const auto eta0 = value.first * per0, eta1 = value.second * per1;
    const auto depth0 = eta0 + (reference - stream(relief[0], i)), depth1 = eta1 + (reference - stream(relief[1], i));
    const auto inverse = Real(1) / (depth0 * depth1);  // one division for both points
    const auto scale0 = per0 * inverse_spacing, scale1 = per1 * inverse_spacing;
    using T = std::decay_t<decltype(eta0)>;
    const auto s0 = at_point(
        0, i,
        VolumeState<T>{m_a.first, m_b.first, multiply_add(along.first, scale0, -(eta0 * stream(slope_a[0], i))),
                       multiply_add(across.first, scale0, -(eta0 * stream(slope_b[0], i)))},
        per0 * (inverse * depth1), inverse_radius);
    const auto s1 = at_point(
        1, i,
        VolumeState<T>{m_a.second, m_b.second, multiply_add(along.second, scale1, -(eta1 * stream(slope_a[1], i))),
                       multiply_add(across.second, scale1, -(eta1 * stream(slope_b[1], i)))},
        per1 * (inverse * depth0), inverse_radius);
    return MomentumSource<T>{s0.a + s1.a, s0.b + s1.b};
  }
};

}  // namespace

template <int Order>
void ShallowWater::update(const Region& region, const State& out, double a, const State& begin, double b,
                          const State& state, double c) {
  const int levels = options_.levels, rows = region.rows();
  const auto beta_lines = beta_lines_, slope_lines = slope_lines_, alpha_flux = alpha_flux_, beta_flux = beta_flux_,
             source = source_;
  const auto forcing = added_tendency();
  const bool forced = forcing.size() > 0;
  const auto bottom = volume_bottom_;
  const VolumeMetric volume = grid_->volume();
  const auto tangent = grid_->gauss_tangent();
  const TileOrigin origin(*grid_);
  const PanelRotation rotation(options_.rotation);
  const Reconstruction<Order> weights;
  const Real reference = static_cast<Real>(options_.reference);
  const Real inverse_radius = static_cast<Real>(1.0 / grid_->radius());
  const Real inverse_spacing = static_cast<Real>(1.0 / grid_->spacing());
  // a begin + b state as (a + b) state + a (begin - state): a + b rounds to one where the doubles 1/3 and 2/3
  // themselves add up to less, which would take 5.6e-17 of the mean at every step.
  const Real from_begin = static_cast<Real>(a), sum = static_cast<Real>(a + b), seconds = static_cast<Real>(c);

  for_rows(
      "update", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<Order> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, tile_row = region.j_begin + j, columns = region.columns();
        const int row = origin.row(tile) + tile_row, column = origin.column(tile) + region.i_begin;
        const int panel = origin.panel(tile);
        const int first = region.i_begin + kHalo, state_row = tile_row + kHalo;
        // Not restrict: out may be begin, element by element.
        Real *oe = &out(tile, level, 0, state_row, first), *oa = &out(tile, level, 1, state_row, first),
             *ob = &out(tile, level, 2, state_row, first);
        const Real *e0 = &begin(tile, level, 0, state_row, first), *a0 = &begin(tile, level, 1, state_row, first),
                   *b0 = &begin(tile, level, 2, state_row, first);
        Row e1 = &state(tile, level, 0, state_row, first), a1 = &state(tile, level, 1, state_row, first),
            b1 = &state(tile, level, 2, state_row, first);

        Row fe = &alpha_flux(local, level, 0, j, 0), fa = &alpha_flux(local, level, 1, j, 0),
            fb = &alpha_flux(local, level, 2, j, 0);
        Row south_e = &beta_flux(local, level, 0, j, 0), south_a = &beta_flux(local, level, 1, j, 0),
            south_b = &beta_flux(local, level, 2, j, 0);
        Row north_e = &beta_flux(local, level, 0, j + 1, 0), north_a = &beta_flux(local, level, 1, j + 1, 0),
            north_b = &beta_flux(local, level, 2, j + 1, 0);
        const Real middle = rotation.middle[panel], along_x = rotation.along_x[panel],
                   along_y = rotation.along_y[panel];
        const auto source_line = [&](int q) {
          // Lines start one cell before the volume stencil does.
          SourceLine<Order> line;
          line.e = &beta_lines(local, level, q, j, 1);
          line.a = &beta_lines(local, level, 2 + q, j, 1);
          line.b = &beta_lines(local, level, 4 + q, j, 1);
          line.slope = &slope_lines(local, level, q, j, 1);
          for (int p = 0; p < kGaussPoints; ++p) {
            const int point = kGaussPoints * q + p;
            line.x[p] = &tangent(p, column);
            line.inverse_value[p] = &volume.inverse_value(point, row, column);
            line.slope_a[p] = &volume.slope_a(point, row, column);
            line.slope_b[p] = &volume.slope_b(point, row, column);
            line.inverse_delta[p] = &volume.inverse_delta(point, row, column);
            line.relief[p] = &bottom(tile, point, tile_row, region.i_begin);
          }
          line.y = tangent(q, row);
          line.yy = multiply_add(line.y, line.y, Real(1));
          line.rotation_x = along_x;
          line.rotation_rest = multiply_add(along_y, line.y, middle);
          return line;
        };
        const SourceLine<Order> south_line = source_line(0), north_line = source_line(1);

        Row forcing_e = forced ? &forcing(tile, level, 0, tile_row, region.i_begin) : nullptr;
        Row forcing_a = forced ? &forcing(tile, level, 1, tile_row, region.i_begin) : nullptr;
        Row forcing_b = forced ? &forcing(tile, level, 2, tile_row, region.i_begin) : nullptr;
        const Real per_angle = -inverse_spacing * inverse_radius, share = Real(1) / (kGaussPoints * kGaussPoints);
        // One Gauss line at a time: both at once need more row pointers than a processor has registers.
        OutputRow source_a = &source(local, level, 0, j, 0), source_b = &source(local, level, 1, j, 0);
        pack_for(team, 0, columns, [&](auto i) TRAMONTANE_INLINE_BODY {
          const auto south = south_line(w, i, reference, inverse_spacing, inverse_radius);
          store(source_a, i, south.a);
          store(source_b, i, south.b);
        });
        pack_for_once(team, 0, columns, [&](auto i) TRAMONTANE_INLINE_BODY {
          const auto north = north_line(w, i, reference, inverse_spacing, inverse_radius);
          const auto divergence = [i](Row f, Row g_south, Row g_north) {
            return (load(f, i + 1) - load(f, i)) + (load(g_north, i) - load(g_south, i));
          };
          auto tendency_e = divergence(fe, south_e, north_e) * per_angle;
          auto tendency_a =
              multiply_add(divergence(fa, south_a, north_a), per_angle, share * (load(source_a, i) + north.a));
          auto tendency_b =
              multiply_add(divergence(fb, south_b, north_b), per_angle, share * (load(source_b, i) + north.b));
          if (forced) {
            tendency_e += load(forcing_e, i);
            tendency_a += load(forcing_a, i);
            tendency_b += load(forcing_b, i);
          }
          const auto combine = [&](const Real* q0, Row q1, const auto& tendency) {
            const auto now = load(q1, i);
            return multiply_add(seconds, tendency, multiply_add(from_begin, stream(q0, i) - now, sum * now));
          };
          store(oe, i, combine(e0, e1, tendency_e));
          store(oa, i, combine(a0, a1, tendency_a));
          store(ob, i, combine(b0, b1, tendency_b));
        });
      });
}

#define TRAMONTANE_INSTANTIATE(Order)                                                                             \
  template void ShallowWater::update<Order>(const Region& region, const State& out, double a, const State& begin, \
                                            double b, const State& state, double c);
TRAMONTANE_INSTANTIATE(3)
TRAMONTANE_INSTANTIATE(5)
TRAMONTANE_INSTANTIATE(7)

double ShallowWater::largest_rate(const State& state, double waves_to_decay) const {
  const int tiles = grid_->tile_count(), levels = options_.levels, size = grid_->tile_cells();
  const auto bottom = bottom_;
  const auto mean_sqrt_g = grid_->mean_sqrt_g_table();
  const auto tangent = grid_->gauss_tangent();
  const TileOrigin origin(*grid_);
  const double scale = 1.0 / (grid_->radius() * grid_->spacing());
  const double viscous = waves_to_decay * kViscousEigenvalue * options_.viscosity * scale * scale;
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
                scale +
            viscous * (m.h_aa + m.h_bb);
        if (!(rate <= most)) most = rate == rate ? rate : 1e300;
      },
      Kokkos::Max<double>(largest));
  return largest < 1e299 ? largest : std::numeric_limits<double>::infinity();
}

}  // namespace tramontane
