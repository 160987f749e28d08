// Faces on panel edges: own states out, one Riemann problem from the same numbers on both panels, fluxes added.
#include "physics/shallow_water.hpp"

#include "kernels/riemann_lmars.hpp"
#include "physics/shallow_water_edges.hpp"
#include "physics/shallow_water_rows.hpp"

namespace tramontane {

// Own-side state at the faces on panel edges that a region touches, in the edge's frame: eta, normal and tangential
// velocity.
template <int Order>
void ShallowWater::edge_states(const Region& region) {
  const int levels = options_.levels, size = grid_->tile_cells();
  const auto segments = edges_.segments();
  const auto geometry = edges_.geometry();
  const auto table = edge_table_;
  const auto own = edges_.own();
  const auto beta_lines = beta_lines_, alpha_lines = alpha_lines_;
  const Real reference = static_cast<Real>(options_.reference);
  const Reconstruction<Order> w;

  for_rows(
      "edge states", edges_.segment_count() * kGaussPoints, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int segment = flat / kGaussPoints, g = flat % kGaussPoints;
        const EdgeSegment s = segments(segment);
        const bool across_alpha = s.side == kWest || s.side == kEast, low = s.side == kWest || s.side == kSouth;
        const int touched = across_alpha ? (low ? region.i_begin : size - region.i_end)
                                         : (low ? region.j_begin : size - region.j_end);
        if (s.tile < region.tile_begin || s.tile >= region.tile_end || touched != 0) return;
        const int local = s.tile - region.tile_begin;
        const int begin = across_alpha ? region.j_begin : region.i_begin;
        const int count = across_alpha ? region.rows() : region.columns();
        const auto& lines = across_alpha ? beta_lines : alpha_lines;
        // A west face's stencil lies to its right, mirrored: cells halo + reach down to halo - 1 of the line; an east
        // face's to its left, ending in the last cell but the ghosts' first.
        const int face = low ? 0 : (across_alpha ? region.columns() : region.rows());
        const int across = across_alpha ? 1 : static_cast<int>(lines.extent(4));
        const int along = across_alpha ? static_cast<int>(lines.extent(4)) : 1;
        const Real* q[kPrognostic];
        for (int v = 0; v < kPrognostic; ++v)
          q[v] = &lines(local, 0, 2 * v + g, across_alpha ? 0 : face, across_alpha ? face : 0);
        const std::size_t level_stride = levels > 1 ? &lines(local, 1, 0, 0, 0) - &lines(local, 0, 0, 0, 0) : 0;
        const int k = flat * size + begin;
        for (int level = 0; level < levels; ++level) {
          Row e = q[0] + level * level_stride, a = q[1] + level * level_stride, b = q[2] + level * level_stride;
          OutputRow eta_out = &own(level * kPrognostic, k), normal_out = &own(level * kPrognostic + 1, k),
                    tangent_out = &own(level * kPrognostic + 2, k);
          Row inverse_mean = &table(kEdgeInverseMean, k), bottom = &table(kEdgeBottom, k);
          Row na = &geometry(kNormalOfAlpha, k), nb = &geometry(kNormalOfBeta, k);
          Row ta = &geometry(kTangentOfAlpha, k), tb = &geometry(kTangentOfBeta, k);
          simd_for(team, 0, count, [&](int t) TRAMONTANE_INLINE_BODY {
            const auto value = [&](Row line) {
              const auto at = [&](int c) { return line[t * along + c * across]; };
              const auto sides = w.sides(at);
              return low ? sides.right : sides.left;
            };
            const Real eta = value(e) * inverse_mean[t], ma = value(a), mb = value(b);
            const Real scale = inverse_mean[t] / (eta + (reference - bottom[t]));
            eta_out[t] = eta;
            normal_out[t] = multiply_add(ma, na[t], mb * nb[t]) * scale;
            tangent_out[t] = multiply_add(ma, ta[t], mb * tb[t]) * scale;
          });
        }
      });
}

// Both panels run this with the same left and right state, so the mass flux agrees to the last bit. The sum over the two
// Gauss points is the same in either order, so a reversed neighbour gets the same bits too.
void ShallowWater::edge_fluxes() {
  const int levels = options_.levels, size = grid_->tile_cells();
  const auto segments = edges_.segments();
  const auto geometry = edges_.geometry(), own = edges_.own(), other = edges_.other();
  const auto table = edge_table_;
  const auto flux = edge_flux_;
  const auto alpha_mass = mass_fluxes_.alpha, beta_mass = mass_fluxes_.beta;
  const bool keep_mass = alpha_mass.size() > 0;
  const Real reference = static_cast<Real>(options_.reference), dissipation = static_cast<Real>(options_.dissipation);

  for_rows(
      "edge fluxes", edges_.segment_count() * levels, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int segment = flat / levels, level = flat % levels, c = level * kPrognostic;
        const EdgeSegment s = segments(segment);
        const bool own_is_left = s.own_is_left, across_alpha = s.side == kWest || s.side == kEast;
        const int face = s.side == kWest || s.side == kSouth ? 0 : size;
        const auto& left = own_is_left ? own : other;
        const auto& right = own_is_left ? other : own;
        OutputRow out_e = &flux(c, segment, 0), out_a = &flux(c + 1, segment, 0), out_b = &flux(c + 2, segment, 0);
        for (int g = 0; g < kGaussPoints; ++g) {
          const int k = (segment * kGaussPoints + g) * size;
          Row eta_left = &left(c, k), eta_right = &right(c, k);
          Row normal_left = &left(c + 1, k), normal_right = &right(c + 1, k);
          Row tangent_left = &left(c + 2, k), tangent_right = &right(c + 2, k);
          Row bottom = &table(kEdgeBottom, k), flux_scale = &geometry(kFluxScale, k);
          Row pressure_a = &table(kEdgePressureAlpha, k), pressure_b = &table(kEdgePressureBeta, k);
          Row an = &geometry(kAlphaOfNormal, k), at = &geometry(kAlphaOfTangent, k);
          Row bn = &geometry(kBetaOfNormal, k), bt = &geometry(kBetaOfTangent, k);
          const bool is_first = g == 0;  // a choice, not a factor: zero times what an earlier blow-up left is not zero
          simd_for(team, 0, size, [&](int t) TRAMONTANE_INLINE_BODY {
            const Real depth_l = eta_left[t] + (reference - bottom[t]), depth_r = eta_right[t] + (reference - bottom[t]);
            const Real depth = Real(0.5) * (depth_l + depth_r);
            const Real velocity = Real(0.5) * (normal_left[t] + normal_right[t]);
            const auto at_face = riemann_lmars(depth, Real(1) / depth, Real(0.5) * (eta_left[t] + eta_right[t]),
                                               eta_left[t] - eta_right[t], velocity,
                                               normal_left[t] - normal_right[t], dissipation);
            const bool from_left = at_face.velocity >= Real(0);
            const Real mass = flux_scale[t] * (at_face.velocity * (from_left ? depth_l : depth_r));
            const Real normal = mass * (from_left ? normal_left[t] : normal_right[t]);
            const Real tangent = mass * (from_left ? tangent_left[t] : tangent_right[t]);
            const Real pressure = at_face.eta * multiply_add(Real(0.5), at_face.eta, reference);
            const Real flux_a = multiply_add(normal, an[t], multiply_add(tangent, at[t], pressure_a[t] * pressure));
            const Real flux_b = multiply_add(normal, bn[t], multiply_add(tangent, bt[t], pressure_b[t] * pressure));
            if (keep_mass)
              (across_alpha ? alpha_mass(s.tile, level, g, t, face) : beta_mass(s.tile, level, g, face, t)) = mass;
            out_e[t] = (is_first ? Real(0) : out_e[t]) + Real(0.5) * mass;
            out_a[t] = (is_first ? Real(0) : out_a[t]) + Real(0.5) * flux_a;
            out_b[t] = (is_first ? Real(0) : out_b[t]) + Real(0.5) * flux_b;
          });
        }
      });
}

// Adds the edges' share of the flux divergence: first across alpha, then across beta, because a corner cell has both.
void ShallowWater::edge_update(const State& out, double c) {
  const int levels = options_.levels, size = grid_->tile_cells();
  const auto segments = edges_.segments();
  const auto flux = edge_flux_;
  const Real scale = static_cast<Real>(c / (grid_->spacing() * grid_->radius()));
  const int pitch = static_cast<int>(out.extent(4));
  for (const bool across_alpha : {true, false})
    for_rows(
        "edge update", edges_.segment_count() * levels, KOKKOS_LAMBDA(const RowMember& team, int flat) {
          const int segment = flat / levels, level = flat % levels;
          const EdgeSegment s = segments(segment);
          if ((s.side == kWest || s.side == kEast) != across_alpha) return;
          const bool low = s.side == kWest || s.side == kSouth;
          const int cell = low ? kHalo : kHalo + size - 1, step = across_alpha ? pitch : 1;
          const Real signed_scale = low ? scale : -scale;
          for (int v = 0; v < kPrognostic; ++v) {
            OutputRow to = &out(s.tile, level, v, across_alpha ? kHalo : cell, across_alpha ? cell : kHalo);
            Row from = &flux(level * kPrognostic + v, segment, 0);
            simd_for(team, 0, size,
                     [&](int t) { to[t * step] = multiply_add(signed_scale, from[t], to[t * step]); });
          }
        });
}

#define TRAMONTANE_INSTANTIATE(Order) template void ShallowWater::edge_states<Order>(const Region& region);
TRAMONTANE_INSTANTIATE(3)
TRAMONTANE_INSTANTIATE(5)
TRAMONTANE_INSTANTIATE(7)

}  // namespace tramontane
