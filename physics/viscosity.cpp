#include "physics/viscosity.hpp"

#include "kernels/rows.hpp"
#include "physics/gauss_lines.hpp"

namespace tramontane {

namespace {

// Fields on the Gauss lines of the state: E, and its slope along the line's own short direction.
constexpr int kSurfaceLines = 2 * kGaussPoints;
// Scalars of the second exchange, and what is kept of them on the beta lines: three values, slopes of the first two.
enum Scalar { kVorticity, kDivergence, kSurfaceLaplacian, kScalars };
constexpr int kScalarLines = (kScalars + 2) * kGaussPoints;

using Row = const Real* __restrict__;
using Table = const Real* __restrict__;
using OutRow = Real* __restrict__;

struct Weights5 {
  double w0, w1, w2, w3, w4;
  KOKKOS_INLINE_FUNCTION explicit Weights5(const double* w) : w0(w[0]), w1(w[1]), w2(w[2]), w3(w[3]), w4(w[4]) {}
  KOKKOS_INLINE_FUNCTION double operator()(double a, double b, double c, double d, double e) const {
    return w0 * a + w1 * b + w2 * c + w3 * d + w4 * e;
  }
};

/// E on the Gauss lines of both directions: values at line g, slopes across the line at kGaussPoints + g.
void surface_lines(const Grid& grid, const View<Real*****>& state, const View<Real*****>& beta_lines,
                   const View<Real*****>& alpha_lines) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(state.extent(1));
  const int ghosted = size + 2 * kHalo;
  const GaussLineWeights w = gauss_line_weights();
  for_rows(
      "surface lines", tiles * levels * ghosted, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * ghosted), level = flat / ghosted % levels, row = flat % ghosted;
        const int j = row - kHalo;
        for (int g = 0; g < kGaussPoints; ++g) {
          const Weights5 value(w.value[g]), slope(w.slope[g]);
          Row q = &state(tile, level, 0, row, kHalo - kStencilReach);
          OutRow alpha = &alpha_lines(tile, level, g, row, 0), alpha_slope = &alpha_lines(tile, level, 2 + g, row, 0);
          simd_for(team, 0, size, [&](int i) {
            alpha[i] = value(q[i], q[i + 1], q[i + 2], q[i + 3], q[i + 4]);
            alpha_slope[i] = slope(q[i], q[i + 1], q[i + 2], q[i + 3], q[i + 4]);
          });
          if (j < 0 || j >= size) continue;
          Row q0 = &state(tile, level, 0, row - 2, 0), q1 = &state(tile, level, 0, row - 1, 0),
              q2 = &state(tile, level, 0, row, 0), q3 = &state(tile, level, 0, row + 1, 0),
              q4 = &state(tile, level, 0, row + 2, 0);
          OutRow beta = &beta_lines(tile, level, g, j, 0), beta_slope = &beta_lines(tile, level, 2 + g, j, 0);
          simd_for(team, 0, ghosted, [&](int i) {
            beta[i] = value(q0[i], q1[i], q2[i], q3[i], q4[i]);
            beta_slope[i] = slope(q0[i], q1[i], q2[i], q3[i], q4[i]);
          });
        }
      });
}

/// d(eta) per cell width along a face's normal and along the face, from six values of E and of its slope along the
/// face.
struct FaceGradient {
  double normal, tangential;
};
template <class T>
KOKKOS_INLINE_FUNCTION FaceGradient face_gradient(const T* e, const T* slope, double mean, double mean_normal,
                                                  double mean_tangential) {
  const double per_mean = 1.0 / mean, eta = centred_face_value(e) * per_mean;
  return {(centred_face_slope(e) - eta * mean_normal) * per_mean,
          (centred_face_value(slope) - eta * mean_tangential) * per_mean};
}

/// sqrt_g G^nj d_j eta with x the tangent of the face's fixed angle, y that of the angle along it.
KOKKOS_INLINE_FUNCTION double face_flux(FaceGradient d, double x, double y) {
  const double yy = 1.0 + y * y;
  return (yy * d.normal + x * y * d.tangential) / std::sqrt(yy + x * x);
}

/// Metric of the faces across one direction, in the shape of FaceMetric.
struct FaceTables {
  View<Real***> value, normal, tangential;
  View<Real*> edge_tangent;
  View<Real**> gauss_tangent;
};

void alpha_gradients(const Grid& grid, const FaceTables& table, const View<Real*****>& lines,
                     const View<Real****>& fluxes) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const double per_angle = 1.0 / grid.spacing();
  const TilePosition origin(grid);
  for_rows(
      "surface gradient on alpha faces", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        OutRow flux = &fluxes(tile, level, j, 0);
        Table x = &table.edge_tangent(column);
        for (int g = 0; g < kGaussPoints; ++g) {
          Row e = &lines(tile, level, g, j, kHalo - kCentredReach),
              slope = &lines(tile, level, 2 + g, j, kHalo - kCentredReach);
          Table mean = &table.value(g, row, column), normal = &table.normal(g, row, column),
                tangential = &table.tangential(g, row, column);
          const double y = table.gauss_tangent(g, row);
          const bool first = g == 0;
          simd_for(team, 0, size + 1, [&](int f) {
            const FaceGradient d = face_gradient(e + f, slope + f, mean[f], normal[f], tangential[f]);
            flux[f] = (first ? 0.0 : flux[f]) + 0.5 * per_angle * face_flux(d, x[f], y);
          });
        }
      });
}

void beta_gradients(const Grid& grid, const FaceTables& table, const View<Real*****>& lines,
                    const View<Real****>& fluxes) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const double per_angle = 1.0 / grid.spacing();
  const TilePosition origin(grid);
  for_rows(
      "surface gradient on beta faces", tiles * levels * (size + 1), KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * (size + 1)), level = flat / (size + 1) % levels, f = flat % (size + 1);
        const int face = origin.row(tile) + f, column = origin.column(tile);
        OutRow flux = &fluxes(tile, level, f, 0);
        const double x = table.edge_tangent(face);
        for (int g = 0; g < kGaussPoints; ++g) {
          Row e[6], s[6];
          for (int k = 0; k < 6; ++k) {
            e[k] = &lines(tile, level, g, f + kHalo - kCentredReach + k, 0);
            s[k] = &lines(tile, level, 2 + g, f + kHalo - kCentredReach + k, 0);
          }
          Table mean = &table.value(g, face, column), normal = &table.normal(g, face, column),
                tangential = &table.tangential(g, face, column);
          Table y = &table.gauss_tangent(g, column);
          const bool first = g == 0;
          simd_for(team, 0, size, [&](int i) {
            const double value[6] = {e[0][i], e[1][i], e[2][i], e[3][i], e[4][i], e[5][i]};
            const double slope[6] = {s[0][i], s[1][i], s[2][i], s[3][i], s[4][i], s[5][i]};
            const FaceGradient d = face_gradient(value, slope, mean[i], normal[i], tangential[i]);
            flux[i] = (first ? 0.0 : flux[i]) + 0.5 * per_angle * face_flux(d, x, y[i]);
          });
        }
      });
}

/// This panel's normal gradient at the points on panel edges, in the edge's frame, per radian.
void edge_gradients(const Grid& grid, const PanelEdges& edges, const FaceTables& alpha_table,
                    const FaceTables& beta_table, const View<Real*****>& beta_lines,
                    const View<Real*****>& alpha_lines) {
  const int size = grid.tile_cells(), levels = static_cast<int>(beta_lines.extent(1));
  const double per_angle = 1.0 / grid.spacing();
  const TilePosition origin(grid);
  const auto segments = edges.segments();
  const auto geometry = edges.geometry(), own = edges.own();
  Kokkos::parallel_for(
      "surface gradient on panel edges", Kokkos::RangePolicy<ExecutionSpace>(0, edges.point_count()),
      KOKKOS_LAMBDA(int k) {
        const EdgeSegment p = segments(k / (kGaussPoints * size));
        const int gauss = k / size % kGaussPoints, position = k % size;
        const bool across_alpha = p.side == kWest || p.side == kEast;
        const int f = p.side == kWest || p.side == kSouth ? 0 : size;
        const int face = (across_alpha ? origin.column(p.tile) : origin.row(p.tile)) + f;
        const int along = (across_alpha ? origin.row(p.tile) : origin.column(p.tile)) + position;
        const FaceTables& table = across_alpha ? alpha_table : beta_table;
        const int row = across_alpha ? along : face, column = across_alpha ? face : along;
        const double x = table.edge_tangent(face), y = table.gauss_tangent(gauss, along);
        const double xx = 1.0 + x * x, yy = 1.0 + y * y, d2 = xx + y * y;
        for (int level = 0; level < levels; ++level) {
          double e[6], s[6];
          for (int c = 0; c < 6; ++c) {
            const int cell = f + kHalo - kCentredReach + c;
            e[c] = across_alpha ? beta_lines(p.tile, level, gauss, position, cell)
                                : alpha_lines(p.tile, level, gauss, cell, position);
            s[c] = across_alpha ? beta_lines(p.tile, level, 2 + gauss, position, cell)
                                : alpha_lines(p.tile, level, 2 + gauss, cell, position);
          }
          const FaceGradient d = face_gradient(e, s, table.value(gauss, row, column), table.normal(gauss, row, column),
                                               table.tangential(gauss, row, column));
          // Contravariant components across and along the face: G^nn = d2/xx, G^nt = d2 x y/(xx yy), G^tt = d2/yy.
          const double mixed = d2 * x * y / (xx * yy);
          const double normal = d2 / xx * d.normal + mixed * d.tangential;
          const double tangential = mixed * d.normal + d2 / yy * d.tangential;
          const double alpha = across_alpha ? normal : tangential, beta = across_alpha ? tangential : normal;
          own(level, k) = (alpha * geometry(kNormalOfAlpha, k) + beta * geometry(kNormalOfBeta, k)) * per_angle;
        }
      });
}

/// One flux per face of a panel edge: the mean of the two panels' normal gradients, the same bits on both sides.
void edge_fluxes(const Grid& grid, const PanelEdges& edges, const View<Real****>& alpha_flux,
                 const View<Real****>& beta_flux) {
  const int size = grid.tile_cells(), levels = static_cast<int>(alpha_flux.extent(1));
  const auto segments = edges.segments();
  const auto geometry = edges.geometry(), own = edges.own(), other = edges.other();
  Kokkos::parallel_for(
      "surface flux on panel edges", Kokkos::RangePolicy<ExecutionSpace>(0, edges.segment_count() * size),
      KOKKOS_LAMBDA(int flat) {
        const EdgeSegment p = segments(flat / size);
        const int position = flat % size, k = flat / size * kGaussPoints * size + position, l = k + size;
        const int face = p.side == kWest || p.side == kSouth ? 0 : size;
        for (int level = 0; level < levels; ++level) {
          const double first = geometry(kFluxScale, k) * (own(level, k) + other(level, k));
          const double second = geometry(kFluxScale, l) * (own(level, l) + other(level, l));
          const double flux = 0.25 * (first + second);
          if (p.side == kWest || p.side == kEast)
            alpha_flux(p.tile, level, position, face) = flux;
          else
            beta_flux(p.tile, level, face, position) = flux;
        }
      });
}

/// sqrt_g-weighted means of vorticity, divergence and nu Laplacian(eta) into the buffer of the second exchange.
void gather_scalars(const Grid& grid, double nu, const VorticityDivergence& curl, const View<Real****>& alpha_flux,
                    const View<Real****>& beta_flux, const View<Real*****>& scalars) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(alpha_flux.extent(1));
  const double scale = nu / (grid.radius() * grid.radius() * grid.spacing());
  const auto vorticity = curl.vorticity(), divergence = curl.divergence();
  for_rows(
      "viscous scalars", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        OutRow zeta = &scalars(tile, kScalars * level + kVorticity, 0, j + kHalo, kHalo),
               delta = &scalars(tile, kScalars * level + kDivergence, 0, j + kHalo, kHalo),
               laplacian = &scalars(tile, kScalars * level + kSurfaceLaplacian, 0, j + kHalo, kHalo);
        Row z = &vorticity(tile, level, j, 0), d = &divergence(tile, level, j, 0);
        Row fa = &alpha_flux(tile, level, j, 0), fb = &beta_flux(tile, level, j, 0),
            fb1 = &beta_flux(tile, level, j + 1, 0);
        simd_for(team, 0, size, [&](int i) {
          zeta[i] = z[i];
          delta[i] = d[i];
          laplacian[i] = ((fa[i + 1] - fa[i]) + (fb1[i] - fb[i])) * scale;
        });
      });
}

/// The scalars on beta Gauss lines: values at 2 * scalar + g, beta slopes of the first two at 6 + 2 * scalar + g.
void scalar_lines(const Grid& grid, const View<Real*****>& scalars, const View<Real*****>& lines) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(lines.extent(1));
  const int ghosted = size + 2 * kHalo;
  const GaussLineWeights w = gauss_line_weights();
  for_rows(
      "viscous scalar lines", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size, row = j + kHalo;
        for (int s = 0; s < kScalars; ++s) {
          const int c = kScalars * level + s;
          Row q0 = &scalars(tile, c, 0, row - 2, 0), q1 = &scalars(tile, c, 0, row - 1, 0),
              q2 = &scalars(tile, c, 0, row, 0), q3 = &scalars(tile, c, 0, row + 1, 0),
              q4 = &scalars(tile, c, 0, row + 2, 0);
          for (int g = 0; g < kGaussPoints; ++g) {
            const Weights5 value(w.value[g]), slope(w.slope[g]);
            OutRow out = &lines(tile, level, kGaussPoints * s + g, j, 0);
            simd_for(team, 0, ghosted, [&](int i) { out[i] = value(q0[i], q1[i], q2[i], q3[i], q4[i]); });
            if (s == kSurfaceLaplacian) continue;
            OutRow out_slope = &lines(tile, level, kGaussPoints * (kScalars + s) + g, j, 0);
            simd_for(team, 0, ghosted, [&](int i) { out_slope[i] = slope(q0[i], q1[i], q2[i], q3[i], q4[i]); });
          }
        }
      });
}

/// Tendencies at four Gauss points of each cell.
void viscous_tendency(const Grid& grid, double nu, const View<Real*****>& scalars, const View<Real*****>& scalar_lines,
                      const View<Real*****>& state_lines, const View<Real*****>& forcing,
                      const View<Real*****>& tendency) {
  const int tiles = grid.tile_count(), size = grid.tile_cells(), levels = static_cast<int>(tendency.extent(1));
  const bool forced = forcing.size() > 0;
  const VolumeMetric volume = grid.volume();
  const auto tangent = grid.gauss_tangent();
  const double per_angle = 1.0 / grid.spacing(), scale = nu / grid.radius();
  const TilePosition origin(grid);
  const GaussLineWeights w = gauss_line_weights();
  for_rows(
      "viscous tendency", tiles * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        OutRow out_e = &tendency(tile, level, 0, j, 0), out_a = &tendency(tile, level, 1, j, 0),
               out_b = &tendency(tile, level, 2, j, 0);
        Row laplacian_mean = &scalars(tile, kScalars * level + kSurfaceLaplacian, 0, j + kHalo, kHalo);
        simd_for(team, 0, size, [&](int i) {
          out_e[i] = laplacian_mean[i];
          out_a[i] = 0.0;
          out_b[i] = 0.0;
        });
        for (int q = 0; q < kGaussPoints; ++q) {
          const auto line = [&](const View<Real*****>& lines, int field) {
            return &lines(tile, level, kGaussPoints * field + q, j, kHalo - kStencilReach);
          };
          Row zeta = line(scalar_lines, kVorticity), delta = line(scalar_lines, kDivergence),
              laplacian = line(scalar_lines, kSurfaceLaplacian), zeta_slope = line(scalar_lines, kScalars),
              delta_slope = line(scalar_lines, kScalars + 1);
          Row mass = line(state_lines, 0), ma = line(state_lines, 1), mb = line(state_lines, 2);
          const double y = tangent(q, row), yy = 1.0 + y * y;
          for (int p = 0; p < kGaussPoints; ++p) {
            const Weights5 value(w.value[p]), slope(w.slope[p]);
            Table inverse_mean = &volume.inverse_value(kGaussPoints * q + p, row, column),
                  mean_a = &volume.slope_a(kGaussPoints * q + p, row, column),
                  mean_b = &volume.slope_b(kGaussPoints * q + p, row, column), x_at = &tangent(p, column);
            simd_for(team, 0, size, [&](int i) {
              const auto along = [i](const Weights5& f, Row r) {
                return f(r[i], r[i + 1], r[i + 2], r[i + 3], r[i + 4]);
              };
              const double per_mean = inverse_mean[i], slope_scale = per_angle * per_mean;
              const double z = along(value, zeta) * per_mean, d = along(value, delta) * per_mean;
              const double z_a = along(slope, zeta) * slope_scale - z * mean_a[i],
                           z_b = along(value, zeta_slope) * slope_scale - z * mean_b[i],
                           d_a = along(slope, delta) * slope_scale - d * mean_a[i],
                           d_b = along(value, delta_slope) * slope_scale - d * mean_b[i];
              const double depth = along(value, mass);
              const double growth = along(value, laplacian) / depth;
              const double x = x_at[i], xx = 1.0 + x * x, per_d = 1.0 / std::sqrt(xx + y * y);
              const double phi = scale * depth * per_mean;
              // sqrt_g times (grad delta + k x grad zeta), with (k x grad zeta)^a = -d_b zeta / sqrt_g.
              out_a[i] += 0.25 * (phi * ((yy * d_a + x * y * d_b) * per_d - z_b) + along(value, ma) * growth);
              out_b[i] += 0.25 * (phi * ((x * y * d_a + xx * d_b) * per_d + z_a) + along(value, mb) * growth);
            });
          }
        }
        if (!forced) return;
        Row fe = &forcing(tile, level, 0, j, 0), fa = &forcing(tile, level, 1, j, 0),
            fb = &forcing(tile, level, 2, j, 0);
        simd_for(team, 0, size, [&](int i) {
          out_e[i] += fe[i];
          out_a[i] += fa[i];
          out_b[i] += fb[i];
        });
      });
}

}  // namespace

Viscosity::Viscosity(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double nu,
                     const View<Real***>& ghosted_bottom, double deadline_seconds)
    : grid_(std::move(grid)),
      levels_(levels),
      nu_(nu),
      ghosted_bottom_(ghosted_bottom),
      curl_(grid_, levels),
      edges_(grid_, comm, levels, deadline_seconds),
      ghosts_(grid_, comm, kScalars * levels, 3, deadline_seconds) {
  const int tiles = grid_->tile_count(), size = grid_->tile_cells(), ghosted = size + 2 * kHalo;
  beta_lines_ = View<Real*****>("surface beta lines", tiles, levels, kSurfaceLines, size, ghosted);
  alpha_lines_ = View<Real*****>("surface alpha lines", tiles, levels, kSurfaceLines, ghosted, size);
  alpha_flux_ = View<Real****>("surface alpha flux", tiles, levels, size, size + 1);
  beta_flux_ = View<Real****>("surface beta flux", tiles, levels, size + 1, size);
  scalars_ = View<Real*****>("viscous scalars", tiles, kScalars * levels, 3, ghosted, ghosted);
  scalar_lines_ = View<Real*****>("viscous scalar lines", tiles, levels, kScalarLines, size, ghosted);
  tendency_ = View<Real*****>("viscous tendency", tiles, levels, 3, size, size);
  tabulate_faces();
}

void Viscosity::tabulate_faces() {
  const int n = grid_->n();
  const GaussLineWeights w = gauss_line_weights();
  for (const bool across_alpha : {true, false}) {
    FaceTable& faces = across_alpha ? alpha_faces_ : beta_faces_;
    for (View<Real***>* table : {&faces.value, &faces.normal, &faces.tangential})
      *table = View<Real***>("viscous face metric", kGaussPoints, across_alpha ? n : n + 1, across_alpha ? n + 1 : n);
    auto value = Kokkos::create_mirror_view(faces.value), normal = Kokkos::create_mirror_view(faces.normal),
         tangential = Kokkos::create_mirror_view(faces.tangential);
    for (int g = 0; g < kGaussPoints; ++g)
      for (int along = 0; along < n; ++along)
        for (int face = 0; face <= n; ++face) {
          double line[2 * kCentredReach] = {}, slope[2 * kCentredReach] = {};
          for (int c = 0; c < 2 * kCentredReach; ++c)
            for (int k = 0; k < kStencil; ++k) {
              const int beside = along + k - kStencilReach, across = face - kCentredReach + c;
              const double mean =
                  across_alpha ? grid_->mean_sqrt_g(beside, across) : grid_->mean_sqrt_g(across, beside);
              line[c] += w.value[g][k] * mean;
              slope[c] += w.slope[g][k] * mean;
            }
          const int row = across_alpha ? along : face, column = across_alpha ? face : along;
          value(g, row, column) = centred_face_value(line);
          normal(g, row, column) = centred_face_slope(line);
          tangential(g, row, column) = centred_face_value(slope);
        }
    Kokkos::deep_copy(faces.value, value);
    Kokkos::deep_copy(faces.normal, normal);
    Kokkos::deep_copy(faces.tangential, tangential);
  }
}

void Viscosity::compute(const View<Real*****>& state, const View<Real*****>& forcing) {
  const auto with_tangents = [this](const FaceTable& f) {
    return FaceTables{f.value, f.normal, f.tangential, grid_->edge_tangent(), grid_->gauss_tangent()};
  };
  const FaceTables alpha_table = with_tangents(alpha_faces_), beta_table = with_tangents(beta_faces_);
  surface_lines(*grid_, state, beta_lines_, alpha_lines_);
  edge_gradients(*grid_, edges_, alpha_table, beta_table, beta_lines_, alpha_lines_);
  edges_.start();
  curl_.compute(state, ghosted_bottom_);
  alpha_gradients(*grid_, alpha_table, beta_lines_, alpha_flux_);
  beta_gradients(*grid_, beta_table, alpha_lines_, beta_flux_);
  edges_.finish();
  edge_fluxes(*grid_, edges_, alpha_flux_, beta_flux_);
  gather_scalars(*grid_, nu_, curl_, alpha_flux_, beta_flux_, scalars_);
  ghosts_.start(scalars_);
  ghosts_.finish(scalars_);
  scalar_lines(*grid_, scalars_, scalar_lines_);
  viscous_tendency(*grid_, nu_, scalars_, scalar_lines_, curl_.beta_lines(), forcing, tendency_);
}

}  // namespace tramontane
