#include <gtest/gtest.h>

#include <random>

#include "physics/grid.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::round_off;

TEST(CubedSphere, MapsBackToTheSameAngles) {
  for (int panel = 0; panel < kPanels; ++panel)
    for (double alpha : {-0.7, -0.2, 0.0, 0.5})
      for (double beta : {-0.6, 0.1, 0.75}) {
        const PanelPoint back = to_panel(to_cartesian(PanelPoint{panel, alpha, beta}));
        EXPECT_EQ(back.panel, panel);
        // A tangent and an arc tangent each cost a few units in the last place.
        EXPECT_NEAR(back.alpha, alpha, 1e-15);
        EXPECT_NEAR(back.beta, beta, 1e-15);
      }
}

TEST(CubedSphere, CellsAcrossEverySideAreNeighboursOnTheSphere) {
  const Grid grid(Tiling(12, 1, 1), 0);
  const int n = grid.n();
  for (int panel = 0; panel < kPanels; ++panel)
    for (int side = 0; side < kSides; ++side)
      for (int along = 0; along < n; ++along) {
        const PanelCell inside = side == kWest    ? PanelCell{panel, along, 0}
                                 : side == kEast  ? PanelCell{panel, along, n - 1}
                                 : side == kSouth ? PanelCell{panel, 0, along}
                                                  : PanelCell{panel, n - 1, along};
        const PanelCell beyond = cell_across(panel, side, along, 0, n);
        const double distance = length(to_cartesian(grid.centre(inside)) - to_cartesian(grid.centre(beyond)));
        // Neighbours across an edge are at most one cell width apart; any wrong pairing is at least two.
        EXPECT_LT(distance, 1.01 * grid.spacing()) << "panel " << panel << " side " << side << " along " << along;
      }
}

TEST(CubedSphere, BasisMatchesMetricAndDifferences) {
  const PanelPoint p{4, 0.31, -0.62};
  const Basis b = basis_at(p);
  const Metric m = metric_at(std::tan(p.alpha), std::tan(p.beta));
  EXPECT_NEAR(dot(b.alpha, b.alpha), m.g_aa, 1e-14);
  EXPECT_NEAR(dot(b.alpha, b.beta), m.g_ab, 1e-14);
  EXPECT_NEAR(dot(b.beta, b.beta), m.g_bb, 1e-14);
  EXPECT_NEAR(dot(cross(b.alpha, b.beta), to_cartesian(p)), m.sqrt_g, 1e-14);
  EXPECT_NEAR(m.g_aa * m.h_aa + m.g_ab * m.h_ab, 1.0, 1e-14);
  const double e = 1e-5;  // centred difference: truncation 1e-11, round-off 1e-11
  const Vector3 slope =
      (0.5 / e) * (to_cartesian(PanelPoint{4, p.alpha + e, p.beta}) - to_cartesian(PanelPoint{4, p.alpha - e, p.beta}));
  EXPECT_LT(length(slope - b.alpha), 1e-9);
}

TEST(CubedSphere, AreasCoverTheSphere) {
  const Grid grid(Tiling(24, 2, 1), 0, 1.0);
  double sum = 0;
  for (double area : grid.cell_areas()) sum += area;
  EXPECT_NEAR(sum, 4 * std::numbers::pi, 1e-12);  // 3456 exact areas: round-off only
}

TEST(Grid, ConstantPressureExertsNoForce) {
  // Discrete metric identity: the pressure weights around every cell sum to zero.
  const Grid grid(Tiling(16, 1, 1), 0);
  // sqrt_g G^nn = (1 + T^2)/delta and sqrt_g G^nt = N T/delta, N and T the tangents across and along, plus the shifts.
  const auto gauss = grid.gauss_tangent();
  const auto edge = grid.edge_tangent();
  const auto weights = [&](const FaceMetric& m, int row, int column, int normal, int along, double& n, double& t) {
    n = t = 0;
    for (int g = 0; g < kGaussPoints; ++g) {
      const double tangent = gauss(g, along), delta = m.inverse_delta(g, row, column);
      n += (1 + tangent * tangent) * delta + m.shift_n(row, column);
      t += edge(normal) * tangent * delta + m.shift_t(row, column);
    }
  };
  for (int j = 0; j < 16; ++j)
    for (int i = 0; i < 16; ++i) {
      double west_n, west_t, east_n, east_t, south_n, south_t, north_n, north_t;
      weights(grid.alpha_faces(), j, i, i, j, west_n, west_t);
      weights(grid.alpha_faces(), j, i + 1, i + 1, j, east_n, east_t);
      weights(grid.beta_faces(), j, i, j, i, south_n, south_t);
      weights(grid.beta_faces(), j + 1, i, j + 1, i, north_n, north_t);
      const double along_alpha = east_n - west_n + north_t - south_t;
      const double along_beta = east_t - west_t + north_n - south_n;
      EXPECT_NEAR(along_alpha, 0.0, round_off(1e-13));
      EXPECT_NEAR(along_beta, 0.0, round_off(1e-13));
    }
}

TEST(Grid, RefusesPanelsTooSmallForTheStencil) {
  EXPECT_THROW(Grid(Tiling(6, 1, 1), 0), InputError);
  EXPECT_THROW(Tiling(24, 5, 1), InputError);
  EXPECT_THROW(Tiling(24, 1, 7), InputError);
}

TEST(Reconstruction, IsExactForQuarticPolynomials) {
  auto primitive = [](double x) { return x * (1 + x * (0.5 + x * (-0.3 + x * (0.2 + 0.1 * x)))); };
  auto value = [](double x) { return 1 + x * (1 + x * (-0.9 + x * (0.8 + 0.5 * x))); };
  auto slope = [](double x) { return 1 + x * (-1.8 + x * (2.4 + 2.0 * x)); };
  for (double x : {0.3, 2.5, 2.2113, 3.0, 4.9}) {
    const auto w = average_weights(x), d = average_weights(x, 1);
    double v = 0, s = 0;
    for (int k = 0; k < kStencil; ++k) {
      v += w[k] * (primitive(k + 1) - primitive(k));
      s += d[k] * (primitive(k + 1) - primitive(k));
    }
    // Values reach 400, weights alternate: 1e-11 is round-off.
    EXPECT_NEAR(v, value(x), 1e-11);
    EXPECT_NEAR(s, slope(x), 1e-11);
  }
  const Reconstruction<5> upwind;
  const double face[5] = {2.0 / 60, -13.0 / 60, 47.0 / 60, 27.0 / 60, -3.0 / 60};  // the textbook weights
  // The general weights pass through monomial coefficients of order 100.
  for (int cell = 0; cell < 6; ++cell) {
    const auto sides = upwind.sides([cell](int k) { return Real(k == cell); });
    EXPECT_NEAR(sides.left, cell < 5 ? face[cell] : 0.0, round_off(1e-13));
    EXPECT_NEAR(sides.right, cell > 0 ? face[5 - cell] : 0.0, round_off(1e-13));
    if (cell == 5) continue;
    const auto one = [cell](int k) { return Real(k == cell); };
    EXPECT_NEAR(upwind.values(one).first, average_weights(2.5 + kGaussNode[0])[cell], round_off(1e-13));
    EXPECT_NEAR(upwind.values(one).second, average_weights(2.5 + kGaussNode[1])[cell], round_off(1e-13));
    EXPECT_NEAR(upwind.slopes(one).first, average_weights(2.5 + kGaussNode[0], 1)[cell], round_off(1e-13));
    EXPECT_NEAR(upwind.slopes(one).second, average_weights(2.5 + kGaussNode[1], 1)[cell], round_off(1e-13));
  }
}

}  // namespace
}  // namespace tramontane
