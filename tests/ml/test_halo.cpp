#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using testing::dot_product;
using testing::noise;

/// Value that names a cell of the sphere: panel, row and column as decimal digits.
double name_of(int panel, int j, int i) {
  return 10000 * (panel + 1) + 100 * j + i;
}

std::vector<double> named_cells(const Tiling& grid) {
  std::vector<double> global(grid.cell_count());
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < grid.n; ++j)
      for (int i = 0; i < grid.n; ++i) global[grid.global_offset({panel, j, i})] = name_of(panel, j, i);
  return tiles_from_global(grid, global, 0, grid.tile_count());
}

std::vector<double> padded_names(const Tiling& grid) {
  LocalHalo<double> halo(grid, 1);
  const int padded = grid.tile_cells() + 2;
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * padded * padded);
  const auto cells = named_cells(grid);
  halo.fill(CellLink::halo, 0, cells.data(), {1, 0, 1}, out.data(), {1, 0, 1});
  return out;
}

// Expected values are read off the panel map by hand: panel 1 lies east of panel 0, panel 3 west, 4 north, 5 south.
TEST(NetworkHalo, OneTilePerPanelByHand) {
  const int n = 4;
  const auto x = padded_names(Tiling(n, 1, 1));
  auto at = [&](int panel, int j, int i) { return x[(panel * 6 + j + 1) * 6 + i + 1]; };
  EXPECT_EQ(at(0, 2, 1), name_of(0, 2, 1));   // interior
  EXPECT_EQ(at(0, 2, 4), name_of(1, 2, 0));   // east
  EXPECT_EQ(at(0, 2, -1), name_of(3, 2, 3));  // west
  EXPECT_EQ(at(0, 4, 1), name_of(4, 0, 1));   // north: first row of the north panel
  EXPECT_EQ(at(0, -1, 1), name_of(5, 3, 1));  // south: last row of the south panel
  EXPECT_EQ(at(1, 4, 1), name_of(4, 1, 3));   // the north panel's east side, same direction
  EXPECT_EQ(at(1, -1, 1), name_of(5, 2, 3));  // the south panel's east side, reversed
  // North-east corner of panel 0: no ninth neighbour, mean of the ghosts beside it: (1, 3, 0) and (4, 0, 3).
  EXPECT_EQ(at(0, 4, 4), 0.5 * (name_of(1, 3, 0) + name_of(4, 0, 3)));
  EXPECT_EQ(at(0, -1, -1), 0.5 * (name_of(3, 0, 3) + name_of(5, 3, 0)));
}

TEST(NetworkHalo, TilesSeeTheDiagonalTileAndTheCellAcross) {
  const int n = 4;
  const auto x = padded_names(Tiling(n, 2, 1));  // tiles of 2 x 2, padded to 4 x 4
  auto at = [&](int tile, int j, int i) { return x[(tile * 4 + j + 1) * 4 + i + 1]; };
  // Tile 0 of panel 0 holds cells j, i in 0..1.
  EXPECT_EQ(at(0, 2, 2), name_of(0, 2, 2));   // inner corner: a cell of the diagonal tile
  EXPECT_EQ(at(0, 2, -1), name_of(3, 2, 3));  // tile corner on a panel edge: an ordinary cell across
  EXPECT_EQ(at(0, -1, 2), name_of(5, 3, 2));
  EXPECT_EQ(at(0, -1, -1), 0.5 * (name_of(3, 0, 3) + name_of(5, 3, 0)));  // panel corner
  EXPECT_EQ(at(3, -1, -1), name_of(0, 1, 1));  // tile (1, 1): its lower left corner is tile (0, 0)'s last cell
}

// Two ghost cells deep: the copied panel goes on, and beyond a corner, at depths (a, b) beyond west or east and south
// or north, stand the cells reached by going round it either way: a cells into one neighbour and b along, or b into the
// other and a along.
TEST(NetworkHalo, DeepGhostsByHand) {
  const int n = 4, border = 2, padded = n + 2 * border;
  LocalHalo<double> halo(Tiling(n, 1, 1), 1);
  const auto cells = named_cells(Tiling(n, 1, 1));
  std::vector<double> x(6 * padded * padded);
  halo.fill(CellLink::halo, 0, cells.data(), {1, 0, 1}, x.data(), {1, 0, 1}, border);
  auto at = [&](int panel, int j, int i) { return x[(panel * padded + j + border) * padded + i + border]; };
  EXPECT_EQ(at(0, 2, 1), name_of(0, 2, 1));
  EXPECT_EQ(at(0, 2, 5), name_of(1, 2, 1));   // east, second cell
  EXPECT_EQ(at(0, 5, 1), name_of(4, 1, 1));   // north, second row of the north panel
  EXPECT_EQ(at(1, 5, 1), name_of(4, 1, 2));   // the north panel's east side, one further in
  EXPECT_EQ(at(1, -2, 1), name_of(5, 2, 2));  // the south panel's east side, reversed
  // North-east of panel 0. One east and two north: the north panel's second row, one past its east side, is panel 1's
  // top row; panel 1's first column, two past its top, is the north panel's second row from its east side.
  EXPECT_EQ(at(0, 4, 4), 0.5 * (name_of(1, 3, 0) + name_of(4, 0, 3)));
  EXPECT_EQ(at(0, 5, 4), 0.5 * (name_of(1, 3, 1) + name_of(4, 0, 2)));
  EXPECT_EQ(at(0, 4, 5), 0.5 * (name_of(1, 2, 0) + name_of(4, 1, 3)));
  EXPECT_EQ(at(0, 5, 5), 0.5 * (name_of(1, 2, 1) + name_of(4, 1, 2)));
  EXPECT_THROW(halo_table(Tiling(n, 1, 1), n + 1), InputError);
}

TEST(NetworkHalo, LinksComposePoolingAndUpsampling) {
  const Tiling fine(8, 2, 1);
  const Tiling coarse = fine.at_resolution(4);
  LocalHalo<double> halo(fine, 1);
  const auto cells = named_cells(fine);
  const int padded = coarse.tile_cells() + 2;
  std::vector<double> out(static_cast<std::size_t>(coarse.tile_count()) * padded * padded);
  halo.fill(CellLink::pool_halo, 1, cells.data(), {1, 0, 1}, out.data(), {1, 0, 1});
  // Coarse cell (0, 0) of panel 0 is the mean of fine rows 0..1 and columns 0..1; its west ghost of panel 3's.
  EXPECT_EQ(out[1 * padded + 1], name_of(0, 0, 0) + 50.5);
  EXPECT_EQ(out[1 * padded + 0], name_of(3, 0, 6) + 50.5);
  EXPECT_EQ(out[0], 0.5 * (name_of(3, 0, 6) + name_of(5, 6, 0)) + 50.5);

  const auto coarse_cells = named_cells(coarse);
  const int fine_padded = fine.tile_cells() + 2;
  std::vector<double> up(static_cast<std::size_t>(fine.tile_count()) * fine_padded * fine_padded);
  halo.fill(CellLink::upsample_halo, 0, coarse_cells.data(), {1, 0, 1}, up.data(), {1, 0, 1});
  EXPECT_EQ(up[1 * fine_padded + 1], name_of(0, 0, 0));
  EXPECT_EQ(up[2 * fine_padded + 3], name_of(0, 0, 1));
  EXPECT_EQ(up[3 * fine_padded + 0], name_of(3, 1, 3));
}

TEST(NetworkHalo, LeavesOtherChannelsAlone) {
  const Tiling grid(2, 1, 1);
  LocalHalo<float> halo(grid, 2);
  const std::vector<float> source(2 * 24 * 3, 1.0f);
  std::vector<float> padded(2 * 6 * 16 * 5, 7.0f);
  halo.fill(CellLink::halo, 0, source.data(), {3, 1, 2}, padded.data(), {5, 2, 2});
  for (std::size_t k = 0; k < padded.size(); ++k) EXPECT_EQ(padded[k], k % 5 == 2 || k % 5 == 3 ? 1.0f : 7.0f);
}

// Both sides of <F x, y> = <x, F' y> are sums of the same products: round-off of a few thousand terms, 1e-12.
TEST(NetworkHalo, AdjointIsExact) {
  for (const auto& [tiles, border] : {std::pair(1, 1), std::pair(2, 1), std::pair(2, 3)})
    for (CellLink link : {CellLink::halo, CellLink::pool_halo, CellLink::upsample_halo}) {
      const Tiling grid(8, tiles, 1);
      const int level = link == CellLink::pool_halo ? 1 : 0;
      const CellTable table = link_table(grid, level, link, border);
      const int samples = 2, channels = 3;
      LocalHalo<double> halo(grid, samples);
      const auto x = noise<double>(static_cast<std::size_t>(samples) * table.columns * channels, 1);
      const auto y = noise<double>(static_cast<std::size_t>(samples) * table.rows() * channels, 2);
      std::vector<double> fx(y.size()), fty(x.size());
      halo.fill(link, level, x.data(), {channels, 0, channels}, fx.data(), {channels, 0, channels}, border);
      halo.adjoint(link, level, y.data(), {channels, 0, channels}, fty.data(), {channels, 0, channels}, false, nullptr,
                   0.0, 0.0, border);
      const double forward = dot_product(fx, y), backward = dot_product(x, fty);
      EXPECT_NEAR(forward, backward, 1e-12 * std::abs(forward) + 1e-12);
      // Accumulation, and the activation's derivative at outputs of which some are negative and none is capped.
      auto twice = fty;
      halo.adjoint(link, level, y.data(), {channels, 0, channels}, twice.data(), {channels, 0, channels}, true,
                   x.data(), 0.1, 10.0, border);
      for (std::size_t k = 0; k < x.size(); ++k)
        EXPECT_NEAR(twice[k], 2 * fty[k] * (x[k] > 0 ? 1.0 : 0.1), 1e-13 * (1 + std::abs(fty[k])));
    }
}

TEST(ParallelNetworkHalo, DistributedEqualsLocalInEveryBit) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // A border of five cells reaches across whole tiles of four.
  for (const auto& [tiles, border] : {std::pair(1, 1), std::pair(2, 1), std::pair(1, 3), std::pair(2, 5)})
    for (CellLink link : {CellLink::halo, CellLink::pool_halo, CellLink::upsample_halo}) {
      const int level = link == CellLink::pool_halo ? 1 : 0, channels = 5;
      if (border > 4 && level == 1) continue;  // wider than a panel
      const Tiling grid(8, tiles, size);
      const Tiling source = grid.at_resolution(link == CellLink::upsample_halo ? 4 : 8);
      const Tiling target = grid.at_resolution(8 >> level);
      const auto x = noise<float>(static_cast<std::size_t>(source.cell_count()) * channels, 3);
      LocalHalo<float> local(grid, 1);
      DistributedHalo<float> distributed(grid, MPI_COMM_WORLD, 60);
      const int edge = target.tile_cells() + 2 * border, padded = edge * edge;
      std::vector<float> whole(static_cast<std::size_t>(grid.tile_count()) * padded * channels);
      local.fill(link, level, x.data(), {channels, 0, channels}, whole.data(), {channels, 0, channels}, border);
      const std::size_t first = grid.first_tile(rank), count = grid.owned_count(rank);
      std::vector<float> mine(count * padded * channels);
      for (int repeat = 0; repeat < 3; ++repeat)
        distributed.fill(link, level, x.data() + first * source.cells_per_tile() * channels, {channels, 0, channels},
                         mine.data(), {channels, 0, channels}, border);
      EXPECT_TRUE(std::equal(mine.begin(), mine.end(), whole.begin() + first * padded * channels));
    }
}

// Rank 0 fills alone: it must give up in time and name its peers. The others then fill too, which completes rank 0's
// messages before its buffers go.
TEST(ParallelNetworkHalo, WaitForAnAbsentPeerEndsAtTheDeadline) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size == 1) GTEST_SKIP() << "needs a peer";
  const Tiling grid(4, 1, size);
  DistributedHalo<float> halo(grid, MPI_COMM_WORLD, rank == 0 ? 0.2 : 60);
  const std::vector<float> cells(static_cast<std::size_t>(halo.images()) * 16, 1.0f);
  std::vector<float> padded(static_cast<std::size_t>(halo.images()) * 36);
  auto fill = [&] { halo.fill(CellLink::halo, 0, cells.data(), {1, 0, 1}, padded.data(), {1, 0, 1}); };
  std::string message;
  if (rank == 0) {
    try {
      fill();
    } catch (const RunError& error) {
      message = error.what();
    }
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    EXPECT_NE(message.find("rank 0 with its peers 1"), std::string::npos) << message;
  } else {
    fill();
    EXPECT_EQ(padded[0], 1.0f);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

}  // namespace
}  // namespace tramontane
