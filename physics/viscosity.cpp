// Set-up of the viscous term and its order of work. Kernels: viscosity_faces.cpp, viscosity_momentum.cpp.
#include "physics/viscosity.hpp"

#include "physics/gauss_lines.hpp"

namespace tramontane {

namespace {

/// Size of a host region: with about fifty numbers a cell, lines and tables, it stays in a private cache of 1 MB.
constexpr int kRegionColumns = 768, kRegionCells = 48 * 48;

/// Weights of five cell means for the value and the slope at the Gauss points, in double for set-up.
struct LineWeights {
  std::array<double, kStencil> value[kGaussPoints];
  std::array<double, kSlopeStencil> slope[kGaussPoints];
  LineWeights() {
    for (int g = 0; g < kGaussPoints; ++g) {
      value[g] = average_weights(kStencilReach + 0.5 + kGaussNode[g]);
      slope[g] = average_weights<kSlopeStencil>(kSlopeStencil / 2 + 0.5 + kGaussNode[g], 1);
    }
  }
};

/// at(k): mean over the cell k places from the middle one.
template <std::size_t Count, class At>
double line_value(const std::array<double, Count>& weight, const At& at) {
  return weighted_sum<static_cast<int>(Count)>(weight.data(),
                                               [&](int k) { return at(k - static_cast<int>(Count) / 2); });
}

}  // namespace

Viscosity::Viscosity(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double nu,
                     const View<Real***>& ghosted_bottom, double deadline_seconds)
    : grid_(std::move(grid)),
      levels_(levels),
      nu_(nu),
      ghosted_bottom_(ghosted_bottom),
      edges_(grid_, comm, levels, deadline_seconds),
      ghosts_(grid_, comm, levels, kViscousScalars, deadline_seconds, {kStencilReach, false}),
      regions_(make_regions(grid_->tile_count(), grid_->tile_cells(), kRegionColumns, kRegionCells, false).all()) {
  const int size = grid_->tile_cells(), ghosted = size + 2 * kHalo;
  int tiles = 0, rows = 0, columns = 0;
  for (const Region& region : regions_) {
    tiles = std::max(tiles, region.tiles());
    rows = std::max(rows, region.rows());
    columns = std::max(columns, region.columns());
  }
  constexpr int halo = kCentredReach, lines = 4 * kGaussPoints, second_lines = 11;
  beta_lines_ = View<Real*****>("viscous beta lines", tiles, levels, lines, rows, columns + 2 * halo);
  alpha_lines_ = View<Real*****>("viscous alpha lines", tiles, levels, lines, rows + 2 * halo, columns);
  alpha_faces_ = View<Real*****>("viscous alpha faces", tiles, levels, 3, rows, columns + 1);
  beta_faces_ = View<Real*****>("viscous beta faces", tiles, levels, 3, rows + 1, columns);
  scalar_lines_ =
      View<Real*****>("viscous scalar lines", tiles, levels, second_lines, rows, columns + 2 * kStencilReach);
  scalars_ = View<Real*****>("viscous scalars", grid_->tile_count(), levels, kViscousScalars, ghosted, ghosted);
  tendency_ = View<Real*****>("viscous tendency", grid_->tile_count(), levels, 3, size, size);
  tabulate_faces();
  tabulate_bottom();

  segment_of_ = View<int**>("viscous edge segments", grid_->tile_count(), kSides);
  auto segment_of = Kokkos::create_mirror_view(segment_of_);
  Kokkos::deep_copy(segment_of, -1);
  const auto segments = Kokkos::create_mirror_view_and_copy(HostSpace(), edges_.segments());
  for (int s = 0; s < edges_.segment_count(); ++s) segment_of(segments(s).tile, segments(s).side) = s;
  Kokkos::deep_copy(segment_of_, segment_of);
}

void Viscosity::tabulate_faces() {
  const int n = grid_->n();
  const LineWeights w;
  for (const bool across_alpha : {true, false}) {
    FaceTable& faces = across_alpha ? alpha_table_ : beta_table_;
    for (View<Real***>* table : {&faces.inverse_mean, &faces.normal, &faces.tangential})
      *table = View<Real***>("viscous face metric", kGaussPoints, across_alpha ? n : n + 1, across_alpha ? n + 1 : n);
    auto inverse_mean = Kokkos::create_mirror_view(faces.inverse_mean),
         normal = Kokkos::create_mirror_view(faces.normal), tangential = Kokkos::create_mirror_view(faces.tangential);
    for (int g = 0; g < kGaussPoints; ++g)
      for (int along = 0; along < n; ++along)
        for (int face = 0; face <= n; ++face) {
          double line[2 * kCentredReach], slope[2 * kCentredReach];
          for (int c = 0; c < 2 * kCentredReach; ++c) {
            const auto mean = [&](int k) {
              const int beside = along + k, across = face - kCentredReach + c;
              return across_alpha ? grid_->mean_sqrt_g(beside, across) : grid_->mean_sqrt_g(across, beside);
            };
            line[c] = line_value(w.value[g], mean);
            slope[c] = line_value(w.slope[g], mean);
          }
          const int row = across_alpha ? along : face, column = across_alpha ? face : along;
          const auto line_at = [&](int c) { return line[c]; };
          const auto slope_at = [&](int c) { return slope[c]; };
          inverse_mean(g, row, column) = static_cast<Real>(1 / centred_face_value(line_at));
          normal(g, row, column) = static_cast<Real>(centred_face_slope(line_at));
          tangential(g, row, column) = static_cast<Real>(centred_face_value(slope_at));
        }
    Kokkos::deep_copy(faces.inverse_mean, inverse_mean);
    Kokkos::deep_copy(faces.normal, normal);
    Kokkos::deep_copy(faces.tangential, tangential);
  }
}

// E minus these is sqrt_g phi: what is linear need not be reconstructed at every stage.
void Viscosity::tabulate_bottom() {
  const int tiles = grid_->tile_count(), size = grid_->tile_cells();
  const LineWeights w;
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), ghosted_bottom_);
  alpha_table_.bottom = View<Real****>("bottom at alpha faces", tiles, kGaussPoints, size, size + 1);
  beta_table_.bottom = View<Real****>("bottom at beta faces", tiles, kGaussPoints, size + 1, size);
  auto alpha = Kokkos::create_mirror_view(alpha_table_.bottom), beta = Kokkos::create_mirror_view(beta_table_.bottom);
  // A field on the Gauss line g of row (column) `along`, at `across` of it; both count from the tile's first cell.
  const auto line = [&](int tile, bool across_alpha, int g, int along, int across) {
    return line_value(w.value[g], [&](int k) -> double {
      const int beside = along + k + kHalo, there = across + kHalo;
      return across_alpha ? bottom(tile, beside, there) : bottom(tile, there, beside);
    });
  };
  const auto face_value = [&](int tile, bool across_alpha, int g, int along, int face) {
    return static_cast<Real>(
        centred_face_value([&](int c) { return line(tile, across_alpha, g, along, face - kCentredReach + c); }));
  };
  for (int tile = 0; tile < tiles; ++tile)
    for (int g = 0; g < kGaussPoints; ++g)
      for (int along = 0; along < size; ++along)
        for (int face = 0; face <= size; ++face) {
          alpha(tile, g, along, face) = face_value(tile, true, g, along, face);
          beta(tile, g, face, along) = face_value(tile, false, g, along, face);
        }
  Kokkos::deep_copy(alpha_table_.bottom, alpha);
  Kokkos::deep_copy(beta_table_.bottom, beta);
}

void Viscosity::compute(const View<Real*****>& state, const View<Real*****>& forcing) {
  for (const Region& region : regions_) {
    state_lines(region, state);
    alpha_faces(region);
    beta_faces(region);
    scalars(region);
  }
  edges_.start();
  edges_.finish();
  edge_fluxes();
  ghosts_.start(scalars_);
  ghosts_.finish(scalars_);
  for (const Region& region : regions_) {
    scalar_lines(region);
    momentum(region, state, forcing);
  }
}

}  // namespace tramontane
