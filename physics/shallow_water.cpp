#include "physics/shallow_water.hpp"


namespace tramontane {

ShallowWater::ShallowWater(std::shared_ptr<const Grid> grid, MPI_Comm comm, const std::vector<double>& orography,
                           ShallowWaterOptions options)
    : grid_(std::move(grid)),
      comm_(comm),
      options_(std::move(options)),
      orography_(orography),
      ghosts_(grid_, comm, options_.levels, options_.deadline_seconds, static_cast<int>(options_.tracers.size())),
      edges_(grid_, comm, options_.levels * kPrognostic, options_.deadline_seconds) {
  const int tiles = grid_->tile_count(), size = grid_->tile_cells(), levels = options_.levels;
  const int ghosted = size + 2 * kHalo;
  constexpr int lines = kPrognostic * kGaussPoints;
  beta_lines_ = View<double*****>("beta lines", tiles, levels, lines, size, ghosted);
  slope_lines_ = View<double*****>("slope lines", tiles, levels, kGaussPoints, size, ghosted);
  alpha_lines_ = View<double*****>("alpha lines", tiles, levels, lines, ghosted, size);
  alpha_flux_ = View<double*****>("alpha flux", tiles, levels, kPrognostic, size, size + 1);
  beta_flux_ = View<double*****>("beta flux", tiles, levels, kPrognostic, size + 1, size);
  edge_bottom_ = View<double*>("edge orography", edges_.count());

  const auto f = [this](Vector3 r) { return 2 * dot(options_.rotation, r); };
  coriolis_ = View<double****>("coriolis", tiles, kGaussPoints * kGaussPoints, size, size);
  auto host = Kokkos::create_mirror_view(coriolis_);
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int q = 0; q < kGaussPoints; ++q)
      for (int p = 0; p < kGaussPoints; ++p)
        for (int j = 0; j < size; ++j)
          for (int i = 0; i < size; ++i)
            host(tile, kGaussPoints * q + p, j, i) =
                f(to_cartesian(PanelPoint{place.panel, grid_->angle(place.ti * size + i, kGaussNode[p]),
                                          grid_->angle(place.tj * size + j, kGaussNode[q])}));
  }
  Kokkos::deep_copy(coriolis_, host);
  interpolate_orography();
  if (!options_.tracers.empty()) {
    tracers_ = std::make_unique<TracerTransport>(grid_, comm_, levels, options_.tracers, ghosted_bottom_,
                                                 options_.deadline_seconds);
    mass_fluxes_ = tracers_->mass_fluxes();
  }
}

State ShallowWater::make_state(const std::string& name) const {
  const int ghosted = grid_->tile_cells() + 2 * kHalo;
  return State(name, grid_->tile_count(), options_.levels, kPrognostic + static_cast<int>(options_.tracers.size()),
               ghosted, ghosted);
}

void ShallowWater::interpolate_orography() {
  const int tiles = grid_->tile_count(), size = grid_->tile_cells();
  bottom_ = View<double***>("bottom", tiles, size, size);
  alpha_bottom_ = View<double****>("orography at alpha faces", tiles, kGaussPoints, size, size + 1);
  beta_bottom_ = View<double****>("orography at beta faces", tiles, kGaussPoints, size + 1, size);
  volume_bottom_ = View<double****>("orography at volume points", tiles, kGaussPoints * kGaussPoints, size, size);

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
          host(tile, level, 0, j + kHalo, i + kHalo) = mean * options_.gravity * height;
        bottom(tile, j, i) = mean * (options_.gravity * height - options_.reference);
      }
  }
  Kokkos::deep_copy(field, host);
  Kokkos::deep_copy(bottom_, bottom);
  fill_ghosts(field);
  Kokkos::deep_copy(host, field);

  const int ghosted = size + 2 * kHalo;
  ghosted_bottom_ = View<double***>("bottom with ghost cells", tiles, ghosted, ghosted);
  auto ghosted_bottom = Kokkos::create_mirror_view(ghosted_bottom_);
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int j = 0; j < ghosted; ++j)
      for (int i = 0; i < ghosted; ++i)
        ghosted_bottom(tile, j, i) =
            host(tile, 0, 0, j, i) -
            grid_->mean_sqrt_g(place.tj * size + j - kHalo, place.ti * size + i - kHalo) * options_.reference;
  }
  Kokkos::deep_copy(ghosted_bottom_, ghosted_bottom);

  auto alpha = Kokkos::create_mirror_view(alpha_bottom_), beta = Kokkos::create_mirror_view(beta_bottom_),
       volume = Kokkos::create_mirror_view(volume_bottom_);
  auto left_a = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->alpha_faces().left);
  auto right_a = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->alpha_faces().right);
  auto left_b = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->beta_faces().left);
  auto right_b = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->beta_faces().right);
  auto value = Kokkos::create_mirror_view_and_copy(HostSpace(), grid_->volume_value());
  std::array<double, kStencil> line[kGaussPoints];
  for (int g = 0; g < kGaussPoints; ++g) line[g] = average_weights(kStencilReach + 0.5 + kGaussNode[g]);

  // Own-side values at panel edges, to be averaged with the other panel's.
  auto points = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.points());

  auto face = [&](int tile, bool across_alpha, int g, int along, int normal, bool from_left) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    auto mean = [&](int across) {
      double sum = 0.0;
      for (int k = 0; k < kStencil; ++k) {
        const int shifted = along + k - kStencilReach + kHalo, position = normal + across + kHalo;
        sum += line[g][k] * (across_alpha ? host(tile, 0, 0, shifted, position) : host(tile, 0, 0, position, shifted));
      }
      return sum;
    };
    const int row = place.tj * size + (across_alpha ? along : normal);
    const int column = place.ti * size + (across_alpha ? normal : along);
    if (from_left)
      return face_value(mean(-3), mean(-2), mean(-1), mean(0), mean(1)) /
             (across_alpha ? left_a(g, row, column) : left_b(g, row, column));
    return face_value(mean(2), mean(1), mean(0), mean(-1), mean(-2)) /
           (across_alpha ? right_a(g, row, column) : right_b(g, row, column));
  };

  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid_->tiling().place(grid_->first_tile() + tile);
    for (int g = 0; g < kGaussPoints; ++g)
      for (int along = 0; along < size; ++along)
        for (int normal = 0; normal <= size; ++normal) {
          alpha(tile, g, along, normal) =
              0.5 * (face(tile, true, g, along, normal, true) + face(tile, true, g, along, normal, false));
          beta(tile, g, normal, along) =
              0.5 * (face(tile, false, g, along, normal, true) + face(tile, false, g, along, normal, false));
        }
    for (int q = 0; q < kGaussPoints; ++q)
      for (int p = 0; p < kGaussPoints; ++p)
        for (int j = 0; j < size; ++j)
          for (int i = 0; i < size; ++i) {
            double sum = 0.0;
            for (int l = 0; l < kStencil; ++l)
              for (int k = 0; k < kStencil; ++k)
                sum += line[q][l] * line[p][k] *
                       host(tile, 0, 0, j + l - kStencilReach + kHalo, i + k - kStencilReach + kHalo);
            const int point = kGaussPoints * q + p;
            volume(tile, point, j, i) = sum / value(point, place.tj * size + j, place.ti * size + i);
          }
  }
  Kokkos::deep_copy(alpha_bottom_, alpha);
  Kokkos::deep_copy(beta_bottom_, beta);
  Kokkos::deep_copy(volume_bottom_, volume);

  // On panel edges both sides use the mean of the two panels' values, summed in the frame's order.
  auto own_host = Kokkos::create_mirror_view(edges_.own());
  auto edge_bottom = Kokkos::create_mirror_view(edge_bottom_);
  for (int k = 0; k < edges_.count(); ++k) {
    const EdgePoint& p = points(k);
    const bool across_alpha = p.side == kWest || p.side == kEast, low = p.side == kWest || p.side == kSouth;
    own_host(0, k) = face(p.tile, across_alpha, p.gauss, p.position, low ? 0 : size, !low);
  }
  Kokkos::deep_copy(edges_.own(), own_host);
  edges_.start();
  edges_.finish();
  auto other_host = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.other());
  for (int k = 0; k < edges_.count(); ++k) edge_bottom(k) = 0.5 * (own_host(0, k) + other_host(0, k));
  Kokkos::deep_copy(edge_bottom_, edge_bottom);
}

void ShallowWater::stage(const State& out, double a, const State& begin, double b, const State& state, double c) {
  fill_ghosts(state);
  gauss_lines(state);
  edge_states();
  edges_.start();
  alpha_fluxes();
  beta_fluxes();
  edges_.finish();
  edge_fluxes();
  if (tracers_) {
    tracers_->reconstruct(state);
    tracers_->advance(out, a, begin, b, state, c, forcing_);
  }
  update(out, a, begin, b, state, c);
}

}  // namespace tramontane
