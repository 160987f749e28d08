#include "physics/vorticity.hpp"

#include "physics/gauss_lines.hpp"
#include "physics/shallow_water_rows.hpp"

namespace tramontane {

namespace {

constexpr int kFields = 3;  // sqrt_g phi and the two momenta

/// Means along one direction at the Gauss lines of the other. Variable 0 of the state carries E: `bottom` makes
/// sqrt_g phi of it.
void gauss_lines(const Grid& grid, const View<Real*****>& state, const View<Real***>& bottom,
                 const View<Real*****>& beta_lines, const View<Real*****>& alpha_lines) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(state.extent(1));
  const int ghosted = size + 2 * kHalo;
  const Reconstruction<kStencil> weights;
  for_rows(
      "vorticity lines", tiles * levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const Reconstruction<kStencil> w = weights;  // a copy that no store can alias stays in registers
        const int tile = flat / (levels * ghosted), level = flat / ghosted % levels, row = flat % ghosted;
        const int pitch = static_cast<int>(state.extent(4)), j = row - kHalo;
        const auto reconstruct = [&](const View<Real*****>& lines, int v, int line_row, int first_row, int first_column,
                                     int stride, int count) {
          Row q = &state(tile, level, v, first_row, first_column), b = &bottom(tile, first_row, first_column);
          const Real share = v == 0 ? Real(1) : Real(0);
          OutputRow first = &lines(tile, level, kGaussPoints * v, line_row, 0),
                    second = &lines(tile, level, kGaussPoints * v + 1, line_row, 0);
          simd_for(team, 0, count, [&](int i) TRAMONTANE_INLINE_BODY {
            const auto points = w.values([&](int k) { return q[i + k * stride] - share * b[i + k * stride]; });
            first[i] = points.first;
            second[i] = points.second;
          });
        };
        for (int v = 0; v < kFields; ++v) reconstruct(alpha_lines, v, row, row, kHalo - kStencilReach, 1, size);
        if (j < 0 || j >= size) return;
        for (int v = 0; v < kFields; ++v) reconstruct(beta_lines, v, j, row - kStencilReach, 0, pitch, ghosted);
      });
}

/// Mean over a face's two Gauss points; see face_velocity. Rows from the first cell of the face's stencil on, `stride`
/// from one cell across the face to the next.
KOKKOS_FORCEINLINE_FUNCTION FaceVelocity<Real> mean_velocity(const Row* mass, const Row* across, const Row* along,
                                                             const Row* inverse_delta, int f, int stride, Real x,
                                                             Real y0, Real y1) {
  const Real y[kGaussPoints] = {y0, y1};
  FaceVelocity<Real> sum{0, 0};
  TRAMONTANE_UNROLL
  for (int g = 0; g < kGaussPoints; ++g) {
    const auto in = [f, stride](Row r) { return [r, f, stride](int k) { return r[f + k * stride]; }; };
    const Real per_mass = Real(1) / centred_face_value(in(mass[g]));
    const auto u =
        face_velocity(multiply_add(x, x, Real(1)), multiply_add(y[g], y[g], Real(1)), x * y[g], inverse_delta[g][f],
                      centred_face_value(in(across[g])) * per_mass, centred_face_value(in(along[g])) * per_mass);
    sum = {sum.along + Real(0.5) * u.along, sum.flux + Real(0.5) * u.flux};
  }
  return sum;
}

void alpha_faces(const Grid& grid, const View<Real*****>& lines, const View<Real*****>& faces) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const auto gauss_tangent = grid.gauss_tangent();
  const auto edge_tangent = grid.edge_tangent();
  const auto inverse_delta = grid.alpha_faces().inverse_delta;
  const TileOrigin origin(grid);
  for_rows(
      "circulation on alpha faces", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        const auto line = [&](int v, int g) {
          return &lines(tile, level, kGaussPoints * v + g, j, kHalo - kCentredReach);
        };
        const Row mass[] = {line(0, 0), line(0, 1)}, across[] = {line(1, 0), line(1, 1)},
                  along[] = {line(2, 0), line(2, 1)};
        const Row per_delta[] = {&inverse_delta(0, row, column), &inverse_delta(1, row, column)};
        Row x = &edge_tangent(column);
        const Real y0 = gauss_tangent(0, row), y1 = gauss_tangent(1, row);
        OutputRow circulation = &faces(tile, level, 0, j, 0), flux = &faces(tile, level, 1, j, 0);
        simd_for(team, 0, size + 1, [&](int f) TRAMONTANE_INLINE_BODY {
          const auto u = mean_velocity(mass, across, along, per_delta, f, 1, x[f], y0, y1);
          circulation[f] = u.along;
          flux[f] = u.flux;
        });
      });
}

void beta_faces(const Grid& grid, const View<Real*****>& lines, const View<Real*****>& faces) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const auto gauss_tangent = grid.gauss_tangent();
  const auto edge_tangent = grid.edge_tangent();
  const auto inverse_delta = grid.beta_faces().inverse_delta;
  const TileOrigin origin(grid);
  for_rows(
      "circulation on beta faces", tiles * levels * (size + 1), KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * (size + 1)), level = flat / (size + 1) % levels, face = flat % (size + 1);
        const int row = origin.row(tile) + face, column = origin.column(tile);
        const auto line = [&](int v, int g) {
          return &lines(tile, level, kGaussPoints * v + g, face + kHalo - kCentredReach, 0);
        };
        const Row mass[] = {line(0, 0), line(0, 1)}, across[] = {line(2, 0), line(2, 1)},
                  along[] = {line(1, 0), line(1, 1)};
        const Row per_delta[] = {&inverse_delta(0, row, column), &inverse_delta(1, row, column)};
        Row y0 = &gauss_tangent(0, column), y1 = &gauss_tangent(1, column);
        const Real x = edge_tangent(row);
        const int pitch = static_cast<int>(lines.extent(4));
        OutputRow circulation = &faces(tile, level, 0, face, 0), flux = &faces(tile, level, 1, face, 0);
        simd_for(team, 0, size, [&](int i) TRAMONTANE_INLINE_BODY {
          const auto u = mean_velocity(mass, across, along, per_delta, i, pitch, x, y0[i], y1[i]);
          circulation[i] = u.along;
          flux[i] = u.flux;
        });
      });
}

void close_cells(const Grid& grid, const View<Real*****>& alpha, const View<Real*****>& beta,
                 const View<Real****>& vorticity, const View<Real****>& divergence) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(alpha.extent(1));
  const Real scale = static_cast<Real>(1.0 / (grid.spacing() * grid.radius()));
  for_rows(
      "vorticity and divergence", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        OutputRow zeta = &vorticity(tile, level, j, 0), delta = &divergence(tile, level, j, 0);
        Row ca = &alpha(tile, level, 0, j, 0), fa = &alpha(tile, level, 1, j, 0);
        Row cb = &beta(tile, level, 0, j, 0), fb = &beta(tile, level, 1, j, 0);
        Row cb1 = &beta(tile, level, 0, j + 1, 0), fb1 = &beta(tile, level, 1, j + 1, 0);
        simd_for(team, 0, size, [&](int i) {
          zeta[i] = ((ca[i + 1] - ca[i]) - (cb1[i] - cb[i])) * scale;
          delta[i] = ((fa[i + 1] - fa[i]) + (fb1[i] - fb[i])) * scale;
        });
      });
}

}  // namespace

VorticityDivergence::VorticityDivergence(std::shared_ptr<const Grid> grid, int levels)
    : grid_(std::move(grid)), levels_(levels) {
  const int tiles = grid_->tile_count(), size = grid_->tile_cells(), ghosted = size + 2 * kHalo;
  beta_lines_ = View<Real*****>("vorticity beta lines", tiles, levels, kFields * kGaussPoints, size, ghosted);
  alpha_lines_ = View<Real*****>("vorticity alpha lines", tiles, levels, kFields * kGaussPoints, ghosted, size);
  alpha_faces_ = View<Real*****>("circulation on alpha faces", tiles, levels, 2, size, size + 1);
  beta_faces_ = View<Real*****>("circulation on beta faces", tiles, levels, 2, size + 1, size);
  vorticity_ = View<Real****>("vorticity", tiles, levels, size, size);
  divergence_ = View<Real****>("divergence", tiles, levels, size, size);
}

void VorticityDivergence::compute(const View<Real*****>& state, const View<Real***>& ghosted_bottom) {
  gauss_lines(*grid_, state, ghosted_bottom, beta_lines_, alpha_lines_);
  alpha_faces(*grid_, beta_lines_, alpha_faces_);
  beta_faces(*grid_, alpha_lines_, beta_faces_);
  close_cells(*grid_, alpha_faces_, beta_faces_, vorticity_, divergence_);
}

}  // namespace tramontane
