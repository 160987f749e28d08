// Reconstruction and fluxes through the faces inside a panel. Faces on panel edges get no flux here: see
// shallow_water_edges.cpp.
#include "physics/shallow_water.hpp"
#include "physics/shallow_water_flux.hpp"
#include "physics/shallow_water_rows.hpp"

namespace tramontane {

namespace {

/// Rows of one Gauss point of a row of faces: lines of the state, metric, orography, mass flux for tracers or null.
struct FaceRows {
  Row e, a, b;
  Row left, right, inverse_delta, bottom;
  OutputRow mass;
};

}  // namespace

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
          pack_for(team, 0, columns, [&](auto i) TRAMONTANE_INLINE_BODY {
            const auto points = w.values([&](int k) { return load(q, i + k); });
            store(first, i, points.first);
            store(second, i, points.second);
          });
        }
        const int j = row - halo;
        if (j < 0 || j >= region.rows()) return;
        OutputRow slope0 = &slope_lines(local, level, 0, j, 0), slope1 = &slope_lines(local, level, 1, j, 0);
        for (int v = 0; v < kPrognostic; ++v) {
          Row q = &state(tile, level, v, state_row - reach, region.i_begin - halo + kHalo);
          const int pitch = static_cast<int>(state.extent(4));
          OutputRow first = &beta_lines(local, level, 2 * v, j, 0);
          OutputRow second = &beta_lines(local, level, 2 * v + 1, j, 0);
          const bool with_slope = v == 0;
          pack_for(team, 0, columns + 2 * halo, [&](auto i) TRAMONTANE_INLINE_BODY {
            // The stencil's last row is read here for the first time.
            const auto at = [&](int k) { return k == 2 * reach ? stream(q, i + k * pitch) : load(q, i + k * pitch); };
            const auto points = w.values(at);
            store(first, i, points.first);
            store(second, i, points.second);
            if (!with_slope) return;
            const auto slopes = w.slopes(at);
            store(slope0, i, slopes.first);
            store(slope1, i, slopes.second);
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
  const auto edge_secant = edge_secant_;
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
        Row tangent = &edge_tangent(column), secants = &edge_secant(column);
        Row shift_n = &metric.shift_n(row, column), shift_t = &metric.shift_t(row, column);
        const auto point = [&](int g) {
          return FaceRows{&lines(local, level, g, j, 0),
                          &lines(local, level, 2 + g, j, 0),
                          &lines(local, level, 4 + g, j, 0),
                          &metric.inverse_left(g, row, column),
                          &metric.inverse_right(g, row, column),
                          &metric.inverse_delta(g, row, column),
                          &bottom(tile, g, region.j_begin + j, region.i_begin),
                          keep_mass ? &mass_flux(tile, level, g, region.j_begin + j, region.i_begin) : nullptr};
        };
        const FaceRows south = point(0), north = point(1);
        const Real y_south = gauss_tangent(0, row), y_north = gauss_tangent(1, row);
        const auto flux_at = [&](auto f) TRAMONTANE_INLINE_BODY {
          const auto x = load(tangent, f), secant = load(secants, f);
          const auto through = [&](const FaceRows& p, Real y) TRAMONTANE_INLINE_BODY {
            const auto in = [f](Row q) { return [q, f](int k) { return load(q, f + k); }; };
            const auto e = w.sides(in(p.e)), a = w.sides(in(p.a)), b = w.sides(in(p.b));
            const Real yy = 1 + y * y;
            // 1 / sqrt(G^aa) = sqrt(1 + X^2) / delta.
            const auto d = stream(p.inverse_delta, f), speed = secant * d;
            using T = std::decay_t<decltype(speed)>;
            const auto z = face_flux(FaceState<T>{e.left, a.left, b.left}, FaceState<T>{e.right, a.right, b.right},
                                     FacePoint<T>{stream(p.left, f), stream(p.right, f), yy * d * speed, speed,
                                                  multiply_add(yy, d, stream(shift_n, f)),
                                                  multiply_add(x * y, d, stream(shift_t, f)), stream(p.bottom, f)},
                                     reference, dissipation);
            if (keep_mass) store(p.mass, f, z.e);
            return z;
          };
          const auto first = through(south, y_south), second = through(north, y_north);
          store(out_e, f, Real(0.5) * (first.e + second.e));
          store(out_a, f, Real(0.5) * (first.normal + second.normal));
          store(out_b, f, Real(0.5) * (first.tangential + second.tangential));
        };
        // A row's last face apart: the others are whole packs.
        pack_for(team, 0, columns, flux_at);
        if (!last_on_edge) pack_for(team, columns, columns + 1, flux_at);
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
  const auto edge_secant = edge_secant_;
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
        const Real y = edge_tangent(row), secant = edge_secant(row);
        const int pitch = static_cast<int>(lines.extent(4));
        const auto point = [&](int g) {
          return FaceRows{&lines(local, level, g, face, 0),
                          &lines(local, level, 2 + g, face, 0),
                          &lines(local, level, 4 + g, face, 0),
                          &metric.inverse_left(g, row, column),
                          &metric.inverse_right(g, row, column),
                          &metric.inverse_delta(g, row, column),
                          &bottom(tile, g, region.j_begin + face, region.i_begin),
                          keep_mass ? &mass_flux(tile, level, g, region.j_begin + face, region.i_begin) : nullptr};
        };
        const FaceRows west = point(0), east = point(1);
        Row x_west = &gauss_tangent(0, column), x_east = &gauss_tangent(1, column);
        pack_for(team, 0, columns, [&](auto i) TRAMONTANE_INLINE_BODY {
          const auto through = [&](const FaceRows& p, Row tangent) TRAMONTANE_INLINE_BODY {
            const auto in = [i, pitch](Row q) { return [q, i, pitch](int k) { return load(q, i + k * pitch); }; };
            const auto e = w.sides(in(p.e)), a = w.sides(in(p.a)), b = w.sides(in(p.b));
            const auto x = load(tangent, i), xx = multiply_add(x, x, Real(1));
            const auto d = stream(p.inverse_delta, i), speed = secant * d;
            using T = std::decay_t<decltype(speed)>;
            const auto z = face_flux(FaceState<T>{e.left, b.left, a.left}, FaceState<T>{e.right, b.right, a.right},
                                     FacePoint<T>{stream(p.left, i), stream(p.right, i), xx * d * speed, speed,
                                                  multiply_add(xx, d, stream(shift_n, i)),
                                                  multiply_add(x * y, d, stream(shift_t, i)), stream(p.bottom, i)},
                                     reference, dissipation);
            if (keep_mass) store(p.mass, i, z.e);
            return z;
          };
          const auto first = through(west, x_west), second = through(east, x_east);
          store(out_e, i, Real(0.5) * (first.e + second.e));
          store(out_a, i, Real(0.5) * (first.tangential + second.tangential));
          store(out_b, i, Real(0.5) * (first.normal + second.normal));
        });
      });
}

#define TRAMONTANE_INSTANTIATE(Order)                                                       \
  template void ShallowWater::gauss_lines<Order>(const Region& region, const State& state); \
  template void ShallowWater::alpha_fluxes<Order>(const Region& region);                    \
  template void ShallowWater::beta_fluxes<Order>(const Region& region);
TRAMONTANE_INSTANTIATE(3)
TRAMONTANE_INSTANTIATE(5)
TRAMONTANE_INSTANTIATE(7)

}  // namespace tramontane
