#include "physics/shallow_water.hpp"

#include "physics/shallow_water_edges.hpp"
#include "physics/viscosity.hpp"

namespace tramontane {

namespace {

/// Size of a host region: its work space is about half of a private cache of 1 MB. Chosen by measurement, see
/// docs/design/solver.md.
constexpr int kRegionColumns = 768, kRegionCells = 96 * 96;

}  // namespace

ShallowWater::ShallowWater(std::shared_ptr<const Grid> grid, MPI_Comm comm, const std::vector<double>& orography,
                           ShallowWaterOptions options)
    : grid_(std::move(grid)),
      comm_(comm),
      options_(std::move(options)),
      orography_(orography),
      ghosts_(grid_, comm, options_.levels, kPrognostic + static_cast<int>(options_.tracers.size()),
              options_.deadline_seconds),
      edges_(grid_, comm, options_.levels * kPrognostic, options_.deadline_seconds),
      // A viscous term needs ghost cells before anything else: nothing to overlap then.
      regions_(make_regions(grid_->tile_count(), grid_->tile_cells(), kRegionColumns, kRegionCells,
                            ghosts_.has_remote() && !(options_.viscosity > 0))) {
  int tiles = 0, rows = 0, columns = 0;
  for (const Region& region : regions_.all()) {
    tiles = std::max(tiles, region.tiles());
    rows = std::max(rows, region.rows());
    columns = std::max(columns, region.columns());
  }
  const int levels = options_.levels, halo = grid_->order() / 2 + 1;
  constexpr int lines = kPrognostic * kGaussPoints;
  beta_lines_ = View<Real*****>("beta lines", tiles, levels, lines, rows, padded_row(columns + 2 * halo));
  slope_lines_ = View<Real*****>("slope lines", tiles, levels, kGaussPoints, rows, padded_row(columns + 2 * halo));
  alpha_lines_ = View<Real*****>("alpha lines", tiles, levels, lines, rows + 2 * halo, padded_row(columns));
  alpha_flux_ = View<Real*****>("alpha flux", tiles, levels, kPrognostic, rows, padded_row(columns + 1));
  beta_flux_ = View<Real*****>("beta flux", tiles, levels, kPrognostic, rows + 1, padded_row(columns));
  source_ = View<Real*****>("momentum source", tiles, levels, 2, rows, padded_row(columns));
  edge_flux_ = View<Real***>("edge flux", levels * kPrognostic, edges_.segment_count(), grid_->tile_cells());
  next_ = make_state("next state");
  tabulate_edges();
  with_order(grid_->order(), [this](auto order) { interpolate_orography<order()>(); });
  if (options_.viscosity > 0)
    viscosity_ = std::make_shared<Viscosity>(grid_, comm_, levels, options_.viscosity, ghosted_bottom_,
                                             options_.deadline_seconds);
  if (!options_.tracers.empty()) {
    tracers_ = std::make_unique<TracerTransport>(grid_, comm_, levels, options_.tracers, ghosted_bottom_,
                                                 options_.deadline_seconds);
    mass_fluxes_ = tracers_->mass_fluxes();
  }
}

const View<Real*****>& ShallowWater::added_tendency() const {
  return viscosity_ ? viscosity_->tendency() : forcing_;
}

State ShallowWater::make_state(const std::string& name) const {
  const int extent = grid_->tile_cells() + 2 * kHalo;
  const int variables = kPrognostic + static_cast<int>(options_.tracers.size());
  return State(name, grid_->tile_count(), options_.levels, variables, extent, extent);
}

template <int Order>
void ShallowWater::interpolate_orography() {
  constexpr int reach = Reconstruction<Order>::reach;
  const int tiles = grid_->tile_count(), size = grid_->tile_cells();
  bottom_ = View<Real***>("bottom", tiles, size, size);
  alpha_bottom_ = View<Real****>("orography at alpha faces", tiles, kGaussPoints, size, padded_row(size + 1));
  beta_bottom_ = View<Real****>("orography at beta faces", tiles, kGaussPoints, size + 1, size);
  volume_bottom_ = View<Real****>("orography at volume points", tiles, kGaussPoints * kGaussPoints, size, size);

  // The orography takes the solver's own path: ghost cells, reconstruction, edge exchange.
  State field = make_state("orography");
  auto host = Kokkos::create_mirror_view(field);
  auto bottom = Kokkos::create_mirror_view(bottom_);
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i) {
        const double mean = grid_->mean_sqrt_g(place.tj * size + j, place.ti * size + i);
        const double height = orography_[(static_cast<std::size_t>(tile) * size + j) * size + i];
        for (int level = 0; level < options_.levels; ++level)
          host(tile, level, 0, j + kHalo, i + kHalo) = static_cast<Real>(mean * options_.gravity * height);
        bottom(tile, j, i) = static_cast<Real>(mean * (options_.gravity * height - options_.reference));
      }
  }
  Kokkos::deep_copy(field, host);
  Kokkos::deep_copy(bottom_, bottom);
  fill_ghosts(field);
  Kokkos::deep_copy(host, field);

  const int extent = size + 2 * kHalo, filled = ghosts_.width();
  ghosted_bottom_ = View<Real***>("bottom with ghost cells", tiles, extent, extent);
  auto ghosted_bottom = Kokkos::create_mirror_view(ghosted_bottom_);
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int j = kHalo - filled; j < extent - kHalo + filled; ++j)
      for (int i = kHalo - filled; i < extent - kHalo + filled; ++i)
        ghosted_bottom(tile, j, i) = static_cast<Real>(
            host(tile, 0, 0, j, i) -
            grid_->mean_sqrt_g(place.tj * size + j - kHalo, place.ti * size + i - kHalo) * options_.reference);
  }
  Kokkos::deep_copy(ghosted_bottom_, ghosted_bottom);

  auto alpha = Kokkos::create_mirror_view(alpha_bottom_), beta = Kokkos::create_mirror_view(beta_bottom_),
       volume = Kokkos::create_mirror_view(volume_bottom_);
  const auto left_a = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->alpha_faces().inverse_left);
  const auto right_a = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->alpha_faces().inverse_right);
  const auto left_b = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->beta_faces().inverse_left);
  const auto right_b = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->beta_faces().inverse_right);
  const auto inverse_value = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->volume().inverse_value);
  const Reconstruction<Order> w;

  // Geopotential of the relief at a face's Gauss point, seen from one side.
  const auto face = [&](int tile, bool across_alpha, int g, int along, int normal, bool from_left) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    const auto mean = [&](int across) {
      const auto points = w.values([&](int k) {
        const int shifted = along + k - reach + kHalo, position = normal + across - reach - 1 + kHalo;
        return across_alpha ? host(tile, 0, 0, shifted, position) : host(tile, 0, 0, position, shifted);
      });
      return g == 0 ? points.first : points.second;
    };
    const int row = place.tj * size + (across_alpha ? along : normal);
    const int column = place.ti * size + (across_alpha ? normal : along);
    const auto sides = w.sides(mean);
    return from_left ? sides.left * (across_alpha ? left_a(g, row, column) : left_b(g, row, column))
                     : sides.right * (across_alpha ? right_a(g, row, column) : right_b(g, row, column));
  };

  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int g = 0; g < kGaussPoints; ++g)
      for (int along = 0; along < size; ++along)
        for (int normal = 0; normal <= size; ++normal) {
          alpha(tile, g, along, normal) = Real(0.5) * (face(tile, true, g, along, normal, true) +
                                                       face(tile, true, g, along, normal, false));
          beta(tile, g, normal, along) = Real(0.5) * (face(tile, false, g, along, normal, true) +
                                                      face(tile, false, g, along, normal, false));
        }
    for (int q = 0; q < kGaussPoints; ++q)
      for (int p = 0; p < kGaussPoints; ++p)
        for (int j = 0; j < size; ++j)
          for (int i = 0; i < size; ++i) {
            const int point = kGaussPoints * q + p;
            const auto sum = w.values([&](int k) {
              const auto line = w.values(
                  [&](int l) { return host(tile, 0, 0, j + l - reach + kHalo, i + k - reach + kHalo); });
              return q == 0 ? line.first : line.second;
            });
            volume(tile, point, j, i) = (p == 0 ? sum.first : sum.second) *
                                        inverse_value(point, place.tj * size + j, place.ti * size + i);
          }
  }
  Kokkos::deep_copy(alpha_bottom_, alpha);
  Kokkos::deep_copy(beta_bottom_, beta);
  Kokkos::deep_copy(volume_bottom_, volume);

  // On panel edges both sides use the mean of the two panels' values, summed in the frame's order.
  const auto segments = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.segments());
  auto own = Kokkos::create_mirror_view(edges_.own());
  const auto for_points = [&](const auto& body) {
    for (int s = 0; s < edges_.segment_count(); ++s)
      for (int g = 0; g < kGaussPoints; ++g)
        for (int position = 0; position < size; ++position) body(segments(s), (s * kGaussPoints + g) * size + position,
                                                                 g, position);
  };
  for_points([&](const EdgeSegment& s, int k, int g, int position) {
    const bool across_alpha = s.side == kWest || s.side == kEast, low = s.side == kWest || s.side == kSouth;
    own(0, k) = face(s.tile, across_alpha, g, position, low ? 0 : size, !low);
  });
  Kokkos::deep_copy(edges_.own(), own);
  edges_.start();
  edges_.finish();
  const auto other = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.other());
  auto table = Kokkos::create_mirror_view_and_copy(HostSpace(), edge_table_);
  for_points([&](const EdgeSegment& s, int k, int, int) {
    table(kEdgeBottom, k) =
        s.own_is_left ? Real(0.5) * (own(0, k) + other(0, k)) : Real(0.5) * (other(0, k) + own(0, k));
  });
  Kokkos::deep_copy(edge_table_, table);
}

// What the kernels of panel edges need beside the geometry, from the face tables.
void ShallowWater::tabulate_edges() {
  const int size = grid_->tile_cells();
  edge_secant_ = View<Real*>("secant of the edge angles", grid_->n() + 1);
  auto secant = Kokkos::create_mirror_view(edge_secant_);
  edge_table_ = View<Real**>("edge table", kEdgeTableRows, edges_.point_count());
  auto table = Kokkos::create_mirror_view(edge_table_);
  const auto segments = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.segments());
  const auto tangent = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->gauss_tangent());
  const auto edge_tangent = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->edge_tangent());
  for (int k = 0; k <= grid_->n(); ++k)
    secant(k) = std::sqrt(multiply_add(edge_tangent(k), edge_tangent(k), Real(1)));
  Kokkos::deep_copy(edge_secant_, secant);
  struct {
    HostView<Real***> left, right, inverse_delta;
    HostView<Real**> shift_n, shift_t;
  } faces[2];
  for (const bool across_alpha : {true, false}) {
    const FaceMetric& metric = across_alpha ? grid_->alpha_faces() : grid_->beta_faces();
    const auto copy = [](const auto& view) { return Kokkos::create_mirror_view_and_copy(HostSpace(), view); };
    faces[across_alpha] = {copy(metric.inverse_left), copy(metric.inverse_right), copy(metric.inverse_delta),
                           copy(metric.shift_n), copy(metric.shift_t)};
  }
  for (int s = 0; s < edges_.segment_count(); ++s)
    for (int g = 0; g < kGaussPoints; ++g)
      for (int position = 0; position < size; ++position) {
        const EdgeSegment& segment = segments(s);
        const TilePlace place = grid_->tiling().place(grid_->first_tile() + segment.tile);
        const bool across_alpha = segment.side == kWest || segment.side == kEast;
        const bool low = segment.side == kWest || segment.side == kSouth;
        const int along = (across_alpha ? place.tj : place.ti) * size + position, normal = low ? 0 : grid_->n();
        const int row = across_alpha ? along : normal, column = across_alpha ? normal : along;
        const auto& face = faces[across_alpha];
        const Real t = tangent(g, along), inverse_delta = face.inverse_delta(g, row, column);
        const int k = (s * kGaussPoints + g) * size + position;
        const Real across = (1 + t * t) * inverse_delta + face.shift_n(row, column);
        const Real beside = edge_tangent(normal) * t * inverse_delta + face.shift_t(row, column);
        table(kEdgeInverseMean, k) = low ? face.right(g, row, column) : face.left(g, row, column);
        table(kEdgePressureAlpha, k) = across_alpha ? across : beside;
        table(kEdgePressureBeta, k) = across_alpha ? beside : across;
      }
  Kokkos::deep_copy(edge_table_, table);
}

template <int Order>
void ShallowWater::sweep_order(const std::vector<Region>& regions, const State& out, double a, const State& begin,
                               double b, const State& state, double c) {
  for (const Region& region : regions) {
    gauss_lines<Order>(region, state);
    edge_states<Order>(region);
    alpha_fluxes<Order>(region);
    beta_fluxes<Order>(region);
    update<Order>(region, out, a, begin, b, state, c);
  }
}

void ShallowWater::stage(const State& out, double a, const State& begin, double b, const State& state, double c) {
  // Regions read cells of their neighbours' old state, so what is being read is not written.
  const bool in_place = out.data() == state.data();
  const State& into = in_place ? next_ : out;
  const auto sweep = [&](const std::vector<Region>& regions) {
    with_order(grid_->order(), [&](auto order) { sweep_order<order()>(regions, into, a, begin, b, state, c); });
  };
  ghosts_.start(state);
  sweep(regions_.before_ghosts);
  ghosts_.finish(state);
  if (viscosity_) viscosity_->compute(state, forcing_);
  if (tracers_) tracers_->reconstruct(state);
  sweep(regions_.rim);
  edges_.start();
  sweep(regions_.after_edges);
  edges_.finish();
  edge_fluxes();
  edge_update(into, c);
  if (tracers_) tracers_->advance(into, a, begin, b, state, c, added_tendency());
  if (in_place) Kokkos::deep_copy(out, into);
}

}  // namespace tramontane
