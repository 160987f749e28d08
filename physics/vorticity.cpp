#include "physics/vorticity.hpp"

#include "kernels/rows.hpp"
#include "physics/gauss_lines.hpp"

namespace tramontane {

namespace {

constexpr int kFields = 3;  // sqrt_g phi and the two momenta
using Row = const Real* __restrict__;
using Table = const Real* __restrict__;
using OutRow = Real* __restrict__;

/// Means along one direction at the Gauss lines of the other. Variable 0 of the state carries E: `bottom` makes
/// sqrt_g phi of it.
void gauss_lines(const Grid& grid, const View<Real*****>& state, const View<Real***>& bottom,
                 const View<Real*****>& beta_lines, const View<Real*****>& alpha_lines) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(state.extent(1));
  const int ghosted = size + 2 * kHalo;
  const GaussLineWeights w = gauss_line_weights();
  for_rows(
      "vorticity lines", tiles * levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * ghosted), level = flat / ghosted % levels, row = flat % ghosted;
        constexpr int first = kHalo - kStencilReach;
        for (int v = 0; v < kFields; ++v) {
          Row q = &state(tile, level, v, row, first);
          Table b = &bottom(tile, row, first);
          const double scale = v == 0 ? 1.0 : 0.0;
          for (int g = 0; g < kGaussPoints; ++g) {
            OutRow out = &alpha_lines(tile, level, kGaussPoints * v + g, row, 0);
            const double w0 = w.value[g][0], w1 = w.value[g][1], w2 = w.value[g][2], w3 = w.value[g][3],
                         w4 = w.value[g][4];
            simd_for(team, 0, size, [&](int i) {
              out[i] = w0 * (q[i] - scale * b[i]) + w1 * (q[i + 1] - scale * b[i + 1]) +
                       w2 * (q[i + 2] - scale * b[i + 2]) + w3 * (q[i + 3] - scale * b[i + 3]) +
                       w4 * (q[i + 4] - scale * b[i + 4]);
            });
          }
        }
        const int j = row - kHalo;
        if (j < 0 || j >= size) return;
        for (int v = 0; v < kFields; ++v) {
          Row q0 = &state(tile, level, v, row - 2, 0), q1 = &state(tile, level, v, row - 1, 0),
              q2 = &state(tile, level, v, row, 0), q3 = &state(tile, level, v, row + 1, 0),
              q4 = &state(tile, level, v, row + 2, 0);
          Table b0 = &bottom(tile, row - 2, 0), b1 = &bottom(tile, row - 1, 0), b2 = &bottom(tile, row, 0),
                b3 = &bottom(tile, row + 1, 0), b4 = &bottom(tile, row + 2, 0);
          const double scale = v == 0 ? 1.0 : 0.0;
          for (int g = 0; g < kGaussPoints; ++g) {
            OutRow out = &beta_lines(tile, level, kGaussPoints * v + g, j, 0);
            const double w0 = w.value[g][0], w1 = w.value[g][1], w2 = w.value[g][2], w3 = w.value[g][3],
                         w4 = w.value[g][4];
            simd_for(team, 0, ghosted, [&](int i) {
              out[i] = w0 * (q0[i] - scale * b0[i]) + w1 * (q1[i] - scale * b1[i]) + w2 * (q2[i] - scale * b2[i]) +
                       w3 * (q3[i] - scale * b3[i]) + w4 * (q4[i] - scale * b4[i]);
            });
          }
        }
      });
}

/// Per panel angle: covariant velocity along a face whose fixed angle has the tangent x and whose Gauss point has the
/// tangent y, and the flux through it, from contravariant components (across, along). Symmetric in the two directions.
struct FaceVelocity {
  double along, flux;
};
KOKKOS_INLINE_FUNCTION FaceVelocity face_velocity(double x, double y, double across, double along) {
  const double xx = 1.0 + x * x, yy = 1.0 + y * y, d2 = xx + y * y;
  const double common = xx * yy / (d2 * d2);
  return {common * (yy * along - x * y * across), common * std::sqrt(d2) * across};
}

void alpha_faces(const Grid& grid, const View<Real*>& edge_tangent, const View<Real*****>& lines,
                 const View<Real*****>& faces) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const auto gauss_tangent = grid.gauss_tangent();
  const TilePosition origin(grid);
  for_rows(
      "circulation on alpha faces", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        constexpr int first = kHalo - kCentredReach;
        OutRow circulation = &faces(tile, level, 0, j, 0), flux = &faces(tile, level, 1, j, 0);
        Table x = &edge_tangent(origin.column(tile));
        const double y0 = gauss_tangent(0, origin.row(tile) + j), y1 = gauss_tangent(1, origin.row(tile) + j);
        Row m0 = &lines(tile, level, 0, j, first), m1 = &lines(tile, level, 1, j, first);
        Row a0 = &lines(tile, level, 2, j, first), a1 = &lines(tile, level, 3, j, first);
        Row b0 = &lines(tile, level, 4, j, first), b1 = &lines(tile, level, 5, j, first);
        simd_for(team, 0, size + 1, [&](int f) {
          const double per_mass0 = 1.0 / centred_face_value(m0 + f), per_mass1 = 1.0 / centred_face_value(m1 + f);
          const FaceVelocity p =
              face_velocity(x[f], y0, centred_face_value(a0 + f) * per_mass0, centred_face_value(b0 + f) * per_mass0);
          const FaceVelocity q =
              face_velocity(x[f], y1, centred_face_value(a1 + f) * per_mass1, centred_face_value(b1 + f) * per_mass1);
          circulation[f] = 0.5 * (p.along + q.along);
          flux[f] = 0.5 * (p.flux + q.flux);
        });
      });
}

void beta_faces(const Grid& grid, const View<Real*>& edge_tangent, const View<Real*****>& lines,
                const View<Real*****>& faces) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const auto gauss_tangent = grid.gauss_tangent();
  const TilePosition origin(grid);
  for_rows(
      "circulation on beta faces", tiles * levels * (size + 1), KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * (size + 1)), level = flat / (size + 1) % levels, face = flat % (size + 1);
        OutRow circulation = &faces(tile, level, 0, face, 0), flux = &faces(tile, level, 1, face, 0);
        const double x = edge_tangent(origin.row(tile) + face);
        for (int g = 0; g < kGaussPoints; ++g) {
          Row m[6], a[6], b[6];
          for (int k = 0; k < 6; ++k) {
            const int row = face + kHalo - kCentredReach + k;
            m[k] = &lines(tile, level, g, row, 0);
            a[k] = &lines(tile, level, kGaussPoints + g, row, 0);
            b[k] = &lines(tile, level, 2 * kGaussPoints + g, row, 0);
          }
          Table y = &gauss_tangent(g, origin.column(tile));
          const bool first = g == 0;
          simd_for(team, 0, size, [&](int i) {
            const double mass[6] = {m[0][i], m[1][i], m[2][i], m[3][i], m[4][i], m[5][i]};
            const double alpha[6] = {a[0][i], a[1][i], a[2][i], a[3][i], a[4][i], a[5][i]};
            const double beta[6] = {b[0][i], b[1][i], b[2][i], b[3][i], b[4][i], b[5][i]};
            const double per_mass = 1.0 / centred_face_value(mass);
            const FaceVelocity p =
                face_velocity(x, y[i], centred_face_value(beta) * per_mass, centred_face_value(alpha) * per_mass);
            circulation[i] = (first ? 0.0 : circulation[i]) + 0.5 * p.along;
            flux[i] = (first ? 0.0 : flux[i]) + 0.5 * p.flux;
          });
        }
      });
}

void close_cells(const Grid& grid, const View<Real*****>& alpha, const View<Real*****>& beta,
                 const View<Real****>& vorticity, const View<Real****>& divergence) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(alpha.extent(1));
  const double scale = 1.0 / (grid.spacing() * grid.radius());
  for_rows(
      "vorticity and divergence", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        OutRow zeta = &vorticity(tile, level, j, 0), delta = &divergence(tile, level, j, 0);
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
  alpha_faces(*grid_, grid_->edge_tangent(), beta_lines_, alpha_faces_);
  beta_faces(*grid_, grid_->edge_tangent(), alpha_lines_, beta_faces_);
  close_cells(*grid_, alpha_faces_, beta_faces_, vorticity_, divergence_);
}

}  // namespace tramontane
