#include "physics/ghost_cells.hpp"

#include <algorithm>

#include "physics/gauss_quadrature.hpp"

namespace tramontane {

namespace {

constexpr int kSources = kStencil * kStencil;
constexpr int kVariables = 3;

/// Interpolation of one ghost cell: owner cells and weights.
struct GhostWeights {
  std::array<std::int64_t, kSources> cell;
  std::array<std::array<double, kSources>, 5> weight{};
};

/// Stencil of the ghost cell (j, i) of `panel` (one of them outside [0, n)).
GhostWeights interpolate_ghost(const Grid& grid, int panel, int j, int i) {
  const int n = grid.n();
  const PanelPoint centre = to_panel(to_cartesian(PanelPoint{panel, grid.angle(i), grid.angle(j)}));
  const int owner = centre.panel;
  auto position = [&](double angle) { return (angle + kQuarterPi) / grid.spacing(); };  // in cells from the west edge
  auto first = [&](double angle) {
    return std::clamp(static_cast<int>(std::floor(position(angle))) - kStencilReach, 0, n - kStencil);
  };
  const int i0 = first(centre.alpha), j0 = first(centre.beta);

  GhostWeights out;
  for (int l = 0; l < kStencil; ++l)
    for (int k = 0; k < kStencil; ++k)
      out.cell[l * kStencil + k] = static_cast<std::int64_t>(grid.tiling().global_offset({owner, j0 + l, i0 + k}));

  constexpr GaussRule rule;
  for (int q = 0; q < 5; ++q)
    for (int p = 0; p < 5; ++p) {
      const PanelPoint here{panel, grid.angle(i, rule.node[p]), grid.angle(j, rule.node[q])};
      const PanelPoint there = to_panel(to_cartesian(here), owner);
      const auto wa = average_weights(position(there.alpha) - i0), wb = average_weights(position(there.beta) - j0);
      std::array<double, kSources> w;
      double reconstructed = 0.0;
      for (int l = 0; l < kStencil; ++l)
        for (int k = 0; k < kStencil; ++k) {
          w[l * kStencil + k] = wb[l] * wa[k];
          reconstructed += w[l * kStencil + k] * grid.mean_sqrt_g(j0 + l, i0 + k);
        }
      const double scale =
          rule.weight[p] * rule.weight[q] * metric_at(std::tan(here.alpha), std::tan(here.beta)).sqrt_g / reconstructed;
      const Contravariant from_alpha = to_contravariant(to_vector({1, 0}, there), here);
      const Contravariant from_beta = to_contravariant(to_vector({0, 1}, there), here);
      const double part[5] = {1.0, from_alpha.alpha, from_beta.alpha, from_alpha.beta, from_beta.beta};
      for (int kind = 0; kind < 5; ++kind)
        for (int s = 0; s < kSources; ++s) out.weight[kind][s] += scale * part[kind] * w[s];
    }
  return out;
}

template <class Device>
auto mirror(Device& view) {
  return Kokkos::create_mirror_view(view);
}

void pack_state(const View<double*****>& state, const View<int*>& slots, const View<double**>& packed, int size) {
  const int points = static_cast<int>(slots.extent(0)), levels = static_cast<int>(state.extent(1));
  Kokkos::parallel_for(
      "halo pack", Kokkos::RangePolicy<ExecutionSpace>(0, points), KOKKOS_LAMBDA(int k) {
        const int cell = slots(k), tile = cell / (size * size), j = cell / size % size, i = cell % size;
        for (int level = 0; level < levels; ++level)
          for (int v = 0; v < kVariables; ++v)
            packed(level * kVariables + v, k) = state(tile, level, v, j + kHalo, i + kHalo);
      });
}

void copy_ghosts(const View<double*****>& state, const View<int* [4]>& copies, const View<double**>& pool) {
  const int points = static_cast<int>(copies.extent(0)), levels = static_cast<int>(state.extent(1));
  Kokkos::parallel_for(
      "halo copy", Kokkos::RangePolicy<ExecutionSpace>(0, points), KOKKOS_LAMBDA(int k) {
        for (int level = 0; level < levels; ++level)
          for (int v = 0; v < kVariables; ++v)
            state(copies(k, 0), level, v, copies(k, 1), copies(k, 2)) = pool(level * kVariables + v, copies(k, 3));
      });
}

void interpolate_ghosts(const View<double*****>& state, const View<int* [3]>& ghosts,
                        const View<int* [kSources]>& sources, const View<double* [5][kSources]>& weights,
                        const View<double**>& pool, bool scalars, bool vectors) {
  const int points = static_cast<int>(ghosts.extent(0)), levels = static_cast<int>(state.extent(1));
  Kokkos::parallel_for(
      "halo interpolate", Kokkos::RangePolicy<ExecutionSpace>(0, points), KOKKOS_LAMBDA(int k) {
        const int* source = &sources(k, 0);
        const double* w = &weights(k, 0, 0);
        for (int level = 0; level < levels; ++level) {
          const double* e = &pool(level * kVariables, 0);
          const double* a = &pool(level * kVariables + 1, 0);
          const double* b = &pool(level * kVariables + 2, 0);
          const int tile = ghosts(k, 0), j = ghosts(k, 1), i = ghosts(k, 2);
          if (scalars) {
            double scalar = 0.0;
            for (int s = 0; s < kSources; ++s) scalar += w[s] * e[source[s]];
            state(tile, level, 0, j, i) = scalar;
          }
          if (!vectors) continue;
          double alpha = 0.0, beta = 0.0;
          for (int s = 0; s < kSources; ++s) {
            const double qa = a[source[s]], qb = b[source[s]];
            alpha += w[kSources + s] * qa + w[2 * kSources + s] * qb;
            beta += w[3 * kSources + s] * qa + w[4 * kSources + s] * qb;
          }
          state(tile, level, 1, j, i) = alpha;
          state(tile, level, 2, j, i) = beta;
        }
      });
}

}  // namespace

GhostCells::GhostCells(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double deadline_seconds)
    : grid_(std::move(grid)) {
  const Tiling& tiling = grid_->tiling();
  const int n = tiling.n, size = tiling.tile_cells();

  struct Copy {
    int tile, j, i;
    std::int64_t source;
  };
  struct Interpolation {
    int tile, j, i;
    GhostWeights weights;
  };
  std::vector<Copy> copies;
  std::vector<Interpolation> interpolations;
  std::vector<std::int64_t> needed;
  for (int tile = 0; tile < grid_->tile_count(); ++tile) {
    const TilePlace place = tiling.place(grid_->first_tile() + tile);
    for (int j = -kHalo; j < size + kHalo; ++j)
      for (int i = -kHalo; i < size + kHalo; ++i) {
        if (j >= 0 && j < size && i >= 0 && i < size) continue;
        const int panel_j = place.tj * size + j, panel_i = place.ti * size + i;
        if (panel_j >= 0 && panel_j < n && panel_i >= 0 && panel_i < n) {
          copies.push_back({tile, j + kHalo, i + kHalo,
                            static_cast<std::int64_t>(tiling.global_offset({place.panel, panel_j, panel_i}))});
          needed.push_back(copies.back().source);
        } else {
          interpolations.push_back(
              {tile, j + kHalo, i + kHalo, interpolate_ghost(*grid_, place.panel, panel_j, panel_i)});
          const auto& cells = interpolations.back().weights.cell;
          needed.insert(needed.end(), cells.begin(), cells.end());
        }
      }
  }
  std::sort(needed.begin(), needed.end());
  needed.erase(std::unique(needed.begin(), needed.end()), needed.end());

  auto cell_of = [n](std::int64_t number) {
    return PanelCell{static_cast<int>(number / (static_cast<std::int64_t>(n) * n)), static_cast<int>(number / n % n),
                     static_cast<int>(number % n)};
  };
  exchange_ = std::make_unique<PointExchange>(
      comm, std::move(needed), [&](std::int64_t number) { return tiling.owner(tiling.tile_of(cell_of(number))); },
      [&](std::int64_t number) {
        const PanelCell c = cell_of(number);
        return ((tiling.tile_of(c) - grid_->first_tile()) * size + c.j % size) * size + c.i % size;
      },
      levels * kVariables, deadline_seconds);

  copies_ = decltype(copies_)("halo copies", copies.size());
  auto copy_host = mirror(copies_);
  for (std::size_t k = 0; k < copies.size(); ++k) {
    copy_host(k, 0) = copies[k].tile;
    copy_host(k, 1) = copies[k].j;
    copy_host(k, 2) = copies[k].i;
    copy_host(k, 3) = exchange_->pool_index(copies[k].source);
  }
  Kokkos::deep_copy(copies_, copy_host);

  ghosts_ = decltype(ghosts_)("halo ghosts", interpolations.size());
  sources_ = decltype(sources_)("halo sources", interpolations.size());
  weights_ = decltype(weights_)("halo weights", interpolations.size());
  auto ghost_host = mirror(ghosts_);
  auto source_host = mirror(sources_);
  auto weight_host = mirror(weights_);
  for (std::size_t k = 0; k < interpolations.size(); ++k) {
    const Interpolation& g = interpolations[k];
    ghost_host(k, 0) = g.tile;
    ghost_host(k, 1) = g.j;
    ghost_host(k, 2) = g.i;
    for (int s = 0; s < kSources; ++s) {
      source_host(k, s) = exchange_->pool_index(g.weights.cell[s]);
      for (int kind = 0; kind < 5; ++kind) weight_host(k, kind, s) = g.weights.weight[kind][s];
    }
  }
  Kokkos::deep_copy(ghosts_, ghost_host);
  Kokkos::deep_copy(sources_, source_host);
  Kokkos::deep_copy(weights_, weight_host);
}

void GhostCells::start(const View<double*****>& state) {
  pack_state(state, exchange_->slots(), exchange_->packed(), grid_->tile_cells());
  exchange_->start();
}

void GhostCells::finish(const View<double*****>& state, bool scalar, bool vector) {
  exchange_->finish();
  copy_ghosts(state, copies_, exchange_->pool());
  interpolate_ghosts(state, ghosts_, sources_, weights_, exchange_->pool(), scalar, vector);
}

}  // namespace tramontane
