#include "physics/ghost_cells.hpp"

#include <algorithm>

#include "kernels/rows.hpp"
#include "physics/gauss_quadrature.hpp"

namespace tramontane {

namespace {

/// Columns of a strip before the one that belongs to the tile's first cell, and blocks of ghosts start this many
/// before.
constexpr int kMargin = 16;
constexpr int kLead = 8;
constexpr int kKinds = 3;

/// Interpolation of one ghost cell: weights of Rows x Along cells of the neighbour, (row from the edge, along).
struct GhostWeights {
  int first_along = 0;
  std::vector<double> weight[kKinds];
};

/// Ghost `depth` cells beyond the east side of panel 0, at `along` of it; its neighbour there is panel 1, whose alpha
/// is the same coordinate and whose beta runs the same way. All other sides are mirror images.
template <int Rows, int Along>
GhostWeights interpolate_ghost(const Grid& grid, int depth, int along) {
  constexpr int panel = 0, neighbour = 1;
  const int n = grid.n(), i = n + depth;
  const auto position = [&](double angle) { return (angle + kQuarterPi) / grid.spacing(); };  // cells from the edge
  const auto centre = to_panel(to_cartesian(PanelPoint{panel, grid.angle(i), grid.angle(along)}), neighbour);
  GhostWeights out;
  out.first_along = std::clamp(static_cast<int>(std::floor(position(centre.beta))) - Along / 2, 0, n - Along);
  for (auto& weight : out.weight) weight.assign(Rows * Along, 0.0);

  constexpr GaussRule rule;
  for (int q = 0; q < 5; ++q)
    for (int p = 0; p < 5; ++p) {
      const PanelPoint here{panel, grid.angle(i, rule.node[p]), grid.angle(along, rule.node[q])};
      const PanelPoint there = to_panel(to_cartesian(here), neighbour);
      const auto across = average_weights<Rows>(position(there.alpha));
      const auto beside = average_weights<Along>(position(there.beta) - out.first_along);
      double reconstructed = 0.0;
      for (int l = 0; l < Rows; ++l)
        for (int k = 0; k < Along; ++k)
          reconstructed += across[l] * beside[k] * grid.mean_sqrt_g(out.first_along + k, l);
      const double scale =
          rule.weight[p] * rule.weight[q] * metric_at(std::tan(here.alpha), std::tan(here.beta)).sqrt_g / reconstructed;
      const double part[kKinds] = {1.0, to_contravariant(to_vector({1, 0}, there), here).beta,
                                   to_contravariant(to_vector({0, 1}, there), here).beta};
      for (int kind = 0; kind < kKinds; ++kind)
        for (int l = 0; l < Rows; ++l)
          for (int k = 0; k < Along; ++k) out.weight[kind][l * Along + k] += scale * part[kind] * across[l] * beside[k];
    }
  return out;
}

/// Turns a component of the neighbour's momentum to (outward, along): the variable it becomes and the sign it takes.
struct Turned {
  int variable;
  Real sign;
};
KOKKOS_INLINE_FUNCTION Turned turn(const GhostCells::Segment& s, int variable, bool has_vector) {
  if (!has_vector || (variable != 1 && variable != 2)) return {variable, Real(1)};
  const int into = (variable == 1) == s.alpha_is_normal ? 1 : 2;
  return {into, into == 1 ? s.normal_sign : s.along_sign};
}

/// Reads a cell of a state by component (level, variable) and slot (tile, j, i), both flat.
struct ReadCell {
  View<Real*****> state;
  KOKKOS_INLINE_FUNCTION Real operator()(int component, int slot) const {
    const int plane = static_cast<int>(state.extent(3) * state.extent(4)), tile = slot / plane;
    const int components = static_cast<int>(state.extent(1) * state.extent(2));
    return state.data()[slot + (static_cast<std::size_t>(tile) * (components - 1) + component) * plane];
  }
};

/// Writes what arrives from other ranks: targets are the strips' cells, then the state's.
struct WriteCell {
  View<Real*****> state, strips;
  View<GhostCells::Segment*> segments;
  bool has_vector;
  KOKKOS_INLINE_FUNCTION void operator()(int component, int target, Real value) const {
    const int strip = static_cast<int>(strips.extent(3) * strips.extent(4));
    const int in_strips = static_cast<int>(segments.extent(0)) * strip;
    if (target >= in_strips) {
      const int slot = target - in_strips, plane = static_cast<int>(state.extent(3) * state.extent(4));
      const int components = static_cast<int>(state.extent(1) * state.extent(2));
      state.data()[slot + (static_cast<std::size_t>(slot / plane) * (components - 1) + component) * plane] = value;
      return;
    }
    const int variables = static_cast<int>(state.extent(2)), segment = target / strip;
    const Turned to = turn(segments(segment), component % variables, has_vector);
    (&strips(segment, component / variables, to.variable, 0, 0))[target % strip] = to.sign * value;
  }
};

/// Points of this rank's own, in runs of equal stride.
std::vector<GhostCells::Run> make_runs(const std::vector<std::pair<int, int>>& points, int plane, int strip,
                                       int in_strips) {
  std::vector<GhostCells::Run> runs;
  for (std::size_t k = 0; k < points.size();) {
    const auto [slot, target] = points[k];
    const auto same_place = [&](std::size_t l) {
      const bool strips = target < in_strips;
      const int part = strips ? target / strip : (target - in_strips) / plane;
      const int other = strips ? points[l].second / strip : (points[l].second - in_strips) / plane;
      return (points[l].second < in_strips) == strips && part == other && points[l].first / plane == slot / plane;
    };
    std::size_t count = 1;
    int stride = 1;
    while (k + count < points.size() && same_place(k + count) &&
           points[k + count].second == target + static_cast<int>(count)) {
      if (count == 1) stride = points[k + 1].first - slot;
      if (points[k + count].first != slot + static_cast<int>(count) * stride) break;
      ++count;
    }
    GhostCells::Run run{slot / plane, slot % plane, stride, -1, 0, 0, static_cast<int>(count)};
    if (target < in_strips) {
      run.segment = target / strip;
      run.target = target % strip;
    } else {
      run.target_tile = (target - in_strips) / plane;
      run.target = (target - in_strips) % plane;
    }
    runs.push_back(run);
    k += count;
  }
  return runs;
}

bool side_on_panel_edge(const Tiling& tiling, TilePlace place, int side) {
  const int last = tiling.tiles_per_edge - 1;
  return (side == kWest && place.ti == 0) || (side == kEast && place.ti == last) || (side == kSouth && place.tj == 0) ||
         (side == kNorth && place.tj == last);
}

}  // namespace

GhostCells::GhostCells(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, int variables,
                       double deadline_seconds, GhostOptions options)
    : grid_(std::move(grid)),
      levels_(levels),
      variables_(variables),
      rows_(kStencil),
      along_(options.degree_along + 1),
      width_(options.width > 0 ? options.width : std::max(kStencil, grid_->order()) / 2 + 1),
      has_vector_(options.has_vector) {
  const Tiling& tiling = grid_->tiling();
  const int n = tiling.n, size = tiling.tile_cells(), tiles = tiling.tiles_per_edge, extent = size + 2 * kHalo;
  blocks_per_row_ = (size + 2 * kLead + kLanes - 1) / kLanes;
  strip_columns_ = blocks_per_row_ * kLanes + 2 * kMargin;

  for (int position = 0; position < tiles; ++position) tabulate(position);
  blocks_ = View<Block***>("halo blocks", tiles, width_, blocks_per_row_);
  auto block_host = Kokkos::create_mirror_view(blocks_);
  std::copy(block_list_.begin(), block_list_.end(), block_host.data());
  Kokkos::deep_copy(blocks_, block_host);

  std::vector<Segment> segments;
  std::vector<std::int64_t> needed;
  std::vector<int> targets;
  for (int tile = 0; tile < grid_->tile_count(); ++tile) {
    const TilePlace place = tiling.place(grid_->first_tile() + tile);
    for (int side = 0; side < kSides; ++side) {
      if (!side_on_panel_edge(tiling, place, side)) continue;
      const bool across_alpha = side == kWest || side == kEast;
      const PanelNeighbour there = panel_neighbour(place.panel, side);
      Segment s{};
      s.tile = tile;
      s.side = side;
      s.table = across_alpha ? place.tj : place.ti;
      s.alpha_is_normal = there.side == kWest || there.side == kEast;
      s.normal_sign = there.side == kWest || there.side == kSouth ? 1 : -1;  // outward here is inward there
      s.along_sign = there.reversed ? -1 : 1;
      const int start = s.table * size;
      for (int depth = 0; depth < width_; ++depth) {
        // Beyond a cube corner a ghost belongs to the nearer panel. On the diagonal it lies on the edge of two: there a
        // rule that turning the cube by a quarter does not change, so that a flow keeps that symmetry.
        const int low = side == kWest || side == kNorth ? depth + 1 : depth;
        const int high = side == kEast || side == kSouth ? depth + 1 : depth;
        s.first[depth] = s.table == 0 ? -std::min(low, width_) : -width_;
        s.last[depth] = size + (s.table == tiles - 1 ? std::min(high, width_) : width_);
      }
      // The neighbour's cells that some ghost of this segment uses.
      int low = n, high = 0;
      for (int depth = 0; depth < width_; ++depth)
        for (int b = 0; b < blocks_per_row_; ++b) {
          const Block& block = block_list_[(static_cast<std::size_t>(s.table) * width_ + depth) * blocks_per_row_ + b];
          if (block.window == 0) continue;
          low = std::min(low, start + block.first_source - kMargin);
          high = std::max(high, start + block.first_source - kMargin + kLanes - 1 + block.window);
        }
      low = std::max(low, 0);
      high = std::min(high, n);
      for (int row = 0; row < rows_; ++row)
        for (int along = low; along < high; ++along) {
          needed.push_back(
              static_cast<std::int64_t>(tiling.global_offset(cell_across(place.panel, side, along, row, n))));
          targets.push_back((static_cast<int>(segments.size()) * rows_ + row) * strip_columns_ + along - start +
                            kMargin);
        }
      segments.push_back(s);
    }
  }
  const int strip = rows_ * strip_columns_, in_strips = static_cast<int>(segments.size()) * strip;
  for (int tile = 0; tile < grid_->tile_count(); ++tile) {
    const TilePlace place = tiling.place(grid_->first_tile() + tile);
    for (int j = -width_; j < size + width_; ++j)
      for (int i = -width_; i < size + width_; ++i) {
        if (j >= 0 && j < size && i >= 0 && i < size) continue;
        const int panel_j = place.tj * size + j, panel_i = place.ti * size + i;
        if (panel_j < 0 || panel_j >= n || panel_i < 0 || panel_i >= n) continue;
        needed.push_back(static_cast<std::int64_t>(tiling.global_offset({place.panel, panel_j, panel_i})));
        targets.push_back(in_strips + (tile * extent + j + kHalo) * extent + i + kHalo);
      }
  }

  const auto cell_of = [n](std::int64_t number) {
    return PanelCell{static_cast<int>(number / (static_cast<std::int64_t>(n) * n)), static_cast<int>(number / n % n),
                     static_cast<int>(number % n)};
  };
  const auto owner = [&](std::int64_t number) { return tiling.owner(tiling.tile_of(cell_of(number))); };
  const auto slot = [&](std::int64_t number) {
    const PanelCell c = cell_of(number);
    return ((tiling.tile_of(c) - grid_->first_tile()) * extent + c.j % size + kHalo) * extent + c.i % size + kHalo;
  };
  std::vector<std::pair<int, int>> own;
  std::vector<std::int64_t> remote;
  std::vector<int> remote_targets;
  for (std::size_t k = 0; k < needed.size(); ++k) {
    if (owner(needed[k]) == grid_->rank()) {
      own.emplace_back(slot(needed[k]), targets[k]);
    } else {
      remote.push_back(needed[k]);
      remote_targets.push_back(targets[k]);
    }
  }
  exchange_ =
      std::make_unique<PointExchange>(comm, remote, owner, slot, levels * variables, deadline_seconds, remote_targets);

  const auto to_device = [](auto& view, const std::string& name, const auto& list) {
    view = std::decay_t<decltype(view)>(name, list.size());
    auto host = Kokkos::create_mirror_view(view);
    std::copy(list.begin(), list.end(), host.data());
    Kokkos::deep_copy(view, host);
  };
  to_device(segments_, "halo segments", segments);
  to_device(runs_, "halo runs", make_runs(own, extent * extent, strip, in_strips));
  to_device(weights_, "halo weights", weight_list_);
  strips_ = View<Real*****>("halo strips", segments.size(), levels, variables, rows_, strip_columns_);
}

// Weights of the ghosts along one tile, in blocks of kLanes that start kLead cells before the tile. Ghosts of a block
// share a window of source columns, so that their sums run over contiguous numbers; unused places have weight zero.
void GhostCells::tabulate(int tile_position) {
  const int n = grid_->n(), size = grid_->tile_cells(), start = tile_position * size;
  for (int depth = 0; depth < width_; ++depth)
    for (int b = 0; b < blocks_per_row_; ++b) {
      GhostWeights ghosts[kLanes];
      bool used[kLanes];
      int low = 0, high = 0;
      bool any = false;
      for (int lane = 0; lane < kLanes; ++lane) {
        const int along = b * kLanes + lane - kLead;  // relative to the tile
        const int beyond = std::max(-(start + along), start + along - (n - 1));
        used[lane] = along >= -width_ && along < size + width_ && beyond <= depth + 1;
        if (!used[lane]) continue;
        ghosts[lane] = along_ == kStencil ? interpolate_ghost<kStencil, kStencil>(*grid_, depth, start + along)
                                          : interpolate_ghost<kStencil, kStencil + 2>(*grid_, depth, start + along);
        const int shift = ghosts[lane].first_along - start - lane;
        low = any ? std::min(low, shift) : shift;
        high = any ? std::max(high, shift) : shift;
        any = true;
      }
      const Block block{static_cast<int>(weight_list_.size()), any ? low + kMargin : 0, any ? high - low + along_ : 0};
      block_list_.push_back(block);
      weight_list_.resize(weight_list_.size() + static_cast<std::size_t>(kKinds) * rows_ * block.window * kLanes);
      for (int lane = 0; lane < kLanes; ++lane) {
        if (!used[lane]) continue;
        const int shift = ghosts[lane].first_along - start - lane - low;
        for (int kind = 0; kind < kKinds; ++kind)
          for (int row = 0; row < rows_; ++row)
            for (int k = 0; k < along_; ++k)
              weight_list_[block.weights +
                           ((static_cast<std::size_t>(kind) * rows_ + row) * block.window + shift + k) * kLanes +
                           lane] = static_cast<Real>(ghosts[lane].weight[kind][row * along_ + k]);
      }
    }
}

void GhostCells::start(const View<Real*****>& state) {
  exchange_->start(ReadCell{state});
}

void GhostCells::finish(const View<Real*****>& state, bool scalar, bool vector) {
  copy_own(state, scalar, vector);
  exchange_->finish(WriteCell{state, strips_, segments_, has_vector_});
  interpolate(state, scalar, vector);
}

void GhostCells::copy_own(const View<Real*****>& state, bool scalar, bool vector) {
  const auto runs = runs_;
  const auto segments = segments_;
  const auto strips = strips_;
  const int levels = levels_, variables = variables_;
  const bool has_vector = has_vector_;
  for_rows(
      "halo copy", static_cast<int>(runs.extent(0)) * levels, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Run run = runs(flat / levels);
        const int level = flat % levels;
        for (int v = 0; v < variables; ++v) {
          if (!(has_vector && (v == 1 || v == 2) ? vector : scalar)) continue;
          const Turned to = run.segment < 0 ? Turned{v, Real(1)} : turn(segments(run.segment), v, has_vector);
          const Real* __restrict__ from = &state(run.source_tile, level, v, 0, 0) + run.source;
          Real* __restrict__ into = (run.segment < 0 ? &state(run.target_tile, level, v, 0, 0)
                                                     : &strips(run.segment, level, to.variable, 0, 0)) +
                                    run.target;
          const int stride = run.stride;
          if (stride == 1)
            simd_for(team, 0, run.count, [&](int t) { into[t] = to.sign * from[t]; });
          else
            simd_for(team, 0, run.count, [&](int t) { into[t] = to.sign * from[t * stride]; });
        }
      });
}

void GhostCells::interpolate(const View<Real*****>& state, bool scalar, bool vector) {
  const auto segments = segments_;
  const auto strips = strips_;
  const auto blocks = blocks_;
  const auto weights = weights_;
  const int per_row = blocks_per_row_, width = width_, levels = levels_, variables = variables_, rows = rows_;
  const bool has_vector = has_vector_;
  const int size = grid_->tile_cells(), columns = strip_columns_;
  Kokkos::parallel_for(
      "halo interpolate",
      Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(segments.extent(0)) * width * per_row),
      KOKKOS_LAMBDA(int flat) {
        const int b = flat % per_row, depth = flat / per_row % width, segment = flat / (per_row * width);
        const Segment& s = segments(segment);
        const Block block = blocks(s.table, depth, b);
        const int along = b * kLanes - kLead;
        const int first = s.first[depth] > along ? s.first[depth] : along;
        const int last = s.last[depth] < along + kLanes ? s.last[depth] : along + kLanes;
        if (block.window == 0 || first >= last) return;
        const Real* w = &weights(block.weights);
        const int kind = rows * block.window * kLanes;
        const bool low = s.side == kWest || s.side == kSouth;
        const int fixed = low ? kHalo - 1 - depth : kHalo + size + depth;
        const bool across_alpha = s.side == kWest || s.side == kEast;
        const Real out_sign = low ? Real(-1) : Real(1);

        const auto write = [&](int level, int v, const Lanes& lanes, Real sign) {
          Real value[kLanes];
          store_lanes(value, lanes);
          for (int t = first; t < last; ++t)
            state(s.tile, level, v, across_alpha ? kHalo + t : fixed, across_alpha ? fixed : kHalo + t) =
                sign * value[t - along];
        };
        for (int level = 0; level < levels; ++level)
          for (int v = 0; v < variables; ++v) {
            const bool outward = has_vector && v == 1;
            if ((has_vector && v == 2) || !(outward ? vector : scalar)) continue;  // 2 goes with the outward component
            const Real* from = &strips(segment, level, v, 0, block.first_source);
            const Real* beside = outward ? &strips(segment, level, 2, 0, block.first_source) : from;
            Lanes sum = load_lanes(from) * Real(0), turned = sum, kept = sum;
            for (int row = 0; row < rows; ++row)
              for (int m = 0; m < block.window; ++m) {
                const int at = (row * block.window + m) * kLanes;
                const Lanes source = load_lanes(from + row * columns + m);
                sum += load_lanes(w + at) * source;
                if (outward) {
                  turned += load_lanes(w + kind + at) * source;
                  kept += load_lanes(w + 2 * kind + at) * load_lanes(beside + row * columns + m);
                }
              }
            if (!outward) {
              write(level, v, sum, Real(1));
            } else {
              write(level, across_alpha ? 1 : 2, sum, out_sign);
              write(level, across_alpha ? 2 : 1, turned + kept, Real(1));
            }
          }
      });
}

}  // namespace tramontane
