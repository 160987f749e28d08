// Reconstruction and fluxes through the faces inside a panel. Faces on panel edges get no flux here: see
// shallow_water_edges.cpp.
#include "physics/shallow_water.hpp"
#include "physics/shallow_water_flux.hpp"
#include "physics/shallow_water_rows.hpp"

namespace tramontane {

// Means over alpha on the beta Gauss lines of every cell row, and over beta on the alpha Gauss lines: the first half of
// the two-dimensional reconstruction, shared by fluxes and sources.
template <int Order>
void ShallowWater::gauss_lines(const Region& region, const State& state) {
  constexpr int halo = Reconstruction<Order>::halo, reach = Reconstruction<Order>::reach;
  const int levels = options_.levels, rows = region.rows() + 2 * halo;
  const Reconstruction<Order> weights;
  const auto beta_lines = beta_lines_, slope_lines = slope_lines_, alpha_lines = alpha_lines_;

  for_rows(
      "gauss lines", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<Order> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * rows), level = flat / rows % levels, row = flat % rows;
        const int tile = region.tile_begin + local;
        const int state_row = region.j_begin + row - halo + kHalo, columns = region.columns();
        for (int v = 0; v < kPrognostic; ++v) {
          Row q = &state(tile, level, v, state_row, region.i_begin - reach + kHalo);
          OutputRow first = &alpha_lines(local, level, 2 * v, row, 0);
          OutputRow second = &alpha_lines(local, level, 2 * v + 1, row, 0);
          simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto at = [&](int k) { return q[i + k]; };
            const auto points = w.values(at);
            first[i] = points.first;
            second[i] = points.second;
          });
        }
        const int j = row - halo;
        if (j < 0 || j >= region.rows()) return;
        for (int v = 0; v < kPrognostic; ++v) {
          Row q = &state(tile, level, v, state_row - reach, region.i_begin - halo + kHalo);
          const int pitch = static_cast<int>(state.extent(4));
          OutputRow first = &beta_lines(local, level, 2 * v, j, 0);
          OutputRow second = &beta_lines(local, level, 2 * v + 1, j, 0);
          simd_for(team, 0, columns + 2 * halo, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto at = [&](int k) { return q[i + k * pitch]; };
            const auto points = w.values(at);
            first[i] = points.first;
            second[i] = points.second;
          });
          if (v > 0) continue;
          OutputRow slope0 = &slope_lines(local, level, 0, j, 0);
          OutputRow slope1 = &slope_lines(local, level, 1, j, 0);
          simd_for(team, 0, columns + 2 * halo, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto at = [&](int k) { return q[i + k * pitch]; };
            const auto points = w.slopes(at);
            slope0[i] = points.first;
            slope1[i] = points.second;
          });
        }
      });
}

template <int Order>
void ShallowWater::alpha_fluxes(const Region& region) {
  const int levels = options_.levels, rows = region.rows();
  const auto lines = beta_lines_, flux = alpha_flux_;
  const auto bottom = alpha_bottom_;
  const FaceMetric metric = grid_->alpha_faces();
  const auto gauss_tangent = grid_->gauss_tangent();
  const auto edge_tangent = grid_->edge_tangent();
  const TileOrigin origin(*grid_);
  const Real reference = static_cast<Real>(options_.reference), dissipation = static_cast<Real>(options_.dissipation);
  const Reconstruction<Order> weights;
  const auto mass_flux = mass_fluxes_.alpha;
  const bool keep_mass = mass_flux.size() > 0;

  for_rows(
      "alpha fluxes", region.tiles() * levels * rows, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<Order> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * rows), level = flat / rows % levels, j = flat % rows;
        const int tile = region.tile_begin + local, columns = region.columns();
        const int row = origin.row(tile) + region.j_begin + j, column = origin.column(tile) + region.i_begin;
        const bool first_on_edge = origin.on_panel_edge_alpha(tile, region.i_begin);
        const bool last_on_edge = origin.on_panel_edge_alpha(tile, region.i_end);
        OutputRow out_e = &flux(local, level, 0, j, 0);
        OutputRow out_a = &flux(local, level, 1, j, 0);
        OutputRow out_b = &flux(local, level, 2, j, 0);
        Row tangent = &edge_tangent(column);
        Row shift_n = &metric.shift_n(row, column), shift_t = &metric.shift_t(row, column);
        for (int g = 0; g < kGaussPoints; ++g) {
          Row e = &lines(local, level, g, j, 0), a = &lines(local, level, 2 + g, j, 0),
              b = &lines(local, level, 4 + g, j, 0);
          Row left = &metric.inverse_left(g, row, column), right = &metric.inverse_right(g, row, column);
          Row inverse_delta = &metric.inverse_delta(g, row, column);
          Row h = &bottom(tile, g, region.j_begin + j, region.i_begin);
          const Real y = gauss_tangent(g, row), yy = 1 + y * y;
          const bool is_first = g == 0;  // a choice, not a factor: zero times what an earlier blow-up left is not zero
          OutputRow mass = keep_mass ? &mass_flux(tile, level, g, region.j_begin + j, region.i_begin) : nullptr;
          const auto flux_at = [&](int f) TRAMONTANE_INLINE_BODY {
            const auto in = [&](Row q) { return [q, f](int k) { return q[f + k]; }; };
            const auto at_e = w.sides(in(e)), at_a = w.sides(in(a)), at_b = w.sides(in(b));
            // 1 / sqrt(G^aa) = sqrt(1 + X^2) / delta.
            const Real secant = std::sqrt(multiply_add(tangent[f], tangent[f], Real(1)));
            const Real d = inverse_delta[f], speed = secant * d;
            const FaceFlux x =
                face_flux({at_e.left, at_a.left, at_b.left}, {at_e.right, at_a.right, at_b.right},
                          {left[f], right[f], yy * d * speed, speed, multiply_add(yy, d, shift_n[f]),
                           multiply_add(tangent[f] * y, d, shift_t[f]), h[f]},
                          reference, dissipation);
            out_e[f] = (is_first ? Real(0) : out_e[f]) + Real(0.5) * x.e;
            out_a[f] = (is_first ? Real(0) : out_a[f]) + Real(0.5) * x.normal;
            out_b[f] = (is_first ? Real(0) : out_b[f]) + Real(0.5) * x.tangential;
            if (keep_mass) mass[f] = x.e;
          };
          // A row's last face apart: the others are whole vectors.
          simd_for(team, 0, columns, flux_at);
          if (!last_on_edge) simd_for(team, columns, columns + 1, flux_at);
        }
        const auto clear = [&](int f) { out_e[f] = out_a[f] = out_b[f] = 0; };
        if (last_on_edge) simd_for(team, columns, columns + 1, clear);
        if (first_on_edge) simd_for(team, 0, 1, clear);
      });
}

template <int Order>
void ShallowWater::beta_fluxes(const Region& region) {
  const int levels = options_.levels, faces = region.rows() + 1;
  const auto lines = alpha_lines_, flux = beta_flux_;
  const auto bottom = beta_bottom_;
  const FaceMetric metric = grid_->beta_faces();
  const auto gauss_tangent = grid_->gauss_tangent();
  const auto edge_tangent = grid_->edge_tangent();
  const TileOrigin origin(*grid_);
  const Real reference = static_cast<Real>(options_.reference), dissipation = static_cast<Real>(options_.dissipation);
  const Reconstruction<Order> weights;
  const auto mass_flux = mass_fluxes_.beta;
  const bool keep_mass = mass_flux.size() > 0;

  for_rows(
      "beta fluxes", region.tiles() * levels * faces, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<Order> w = weights;  // a copy that no store can alias stays in registers
        const int local = flat / (levels * faces), level = flat / faces % levels, face = flat % faces;
        const int tile = region.tile_begin + local, columns = region.columns();
        const int row = origin.row(tile) + region.j_begin + face, column = origin.column(tile) + region.i_begin;
        OutputRow out_e = &flux(local, level, 0, face, 0);
        OutputRow out_a = &flux(local, level, 1, face, 0);
        OutputRow out_b = &flux(local, level, 2, face, 0);
        if (origin.on_panel_edge_beta(tile, region.j_begin + face)) {
          simd_for(team, 0, columns, [&](int i) { out_e[i] = out_a[i] = out_b[i] = 0; });
          return;
        }
        Row shift_n = &metric.shift_n(row, column), shift_t = &metric.shift_t(row, column);
        const Real y = edge_tangent(row), secant = std::sqrt(multiply_add(y, y, Real(1)));
        const int pitch = static_cast<int>(lines.extent(4));
        for (int g = 0; g < kGaussPoints; ++g) {
          Row e = &lines(local, level, g, face, 0), a = &lines(local, level, 2 + g, face, 0),
              b = &lines(local, level, 4 + g, face, 0);
          Row left = &metric.inverse_left(g, row, column), right = &metric.inverse_right(g, row, column);
          Row inverse_delta = &metric.inverse_delta(g, row, column);
          Row tangent = &gauss_tangent(g, column);
          Row h = &bottom(tile, g, region.j_begin + face, region.i_begin);
          const bool is_first = g == 0;  // a choice, not a factor: zero times what an earlier blow-up left is not zero
          OutputRow mass = keep_mass ? &mass_flux(tile, level, g, region.j_begin + face, region.i_begin) : nullptr;
          simd_for(team, 0, columns, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto in = [&](Row q) { return [q, i, pitch](int k) { return q[i + k * pitch]; }; };
            const auto at_e = w.sides(in(e)), at_a = w.sides(in(a)), at_b = w.sides(in(b));
            const Real x = tangent[i], xx = multiply_add(x, x, Real(1));
            const Real d = inverse_delta[i], speed = secant * d;
            const FaceFlux z =
                face_flux({at_e.left, at_b.left, at_a.left}, {at_e.right, at_b.right, at_a.right},
                          {left[i], right[i], xx * d * speed, speed, multiply_add(xx, d, shift_n[i]),
                           multiply_add(x * y, d, shift_t[i]), h[i]},
                          reference, dissipation);
            out_e[i] = (is_first ? Real(0) : out_e[i]) + Real(0.5) * z.e;
            out_a[i] = (is_first ? Real(0) : out_a[i]) + Real(0.5) * z.tangential;
            out_b[i] = (is_first ? Real(0) : out_b[i]) + Real(0.5) * z.normal;
            if (keep_mass) mass[i] = z.e;
          });
        }
      });
}

#define TRAMONTANE_INSTANTIATE(Order)                                                  \
  template void ShallowWater::gauss_lines<Order>(const Region& region, const State& state); \
  template void ShallowWater::alpha_fluxes<Order>(const Region& region);               \
  template void ShallowWater::beta_fluxes<Order>(const Region& region);
TRAMONTANE_INSTANTIATE(3)
TRAMONTANE_INSTANTIATE(5)
TRAMONTANE_INSTANTIATE(7)

}  // namespace tramontane
