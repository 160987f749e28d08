// A bad cell is found where it is, and all ranks hear of it and of each other's wishes a step later.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "fixture.hpp"
#include "physics/state_check.hpp"
#include "src/coupled/state_watch.hpp"

namespace tramontane::testing {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

/// Sets one variable of a cell on the rank that owns it.
void set_cell(Simulation& simulation, PanelCell cell, int variable, double value) {
  const Tiling& tiling = simulation.grid().tiling();
  const int tile = tiling.tile_of(cell), size = tiling.tile_cells();
  if (tiling.owner(tile) != simulation.grid().rank()) return;
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), simulation.state());
  host(tile - simulation.grid().first_tile(), 0, variable, cell.j % size + kHalo, cell.i % size + kHalo) = value;
  Kokkos::deep_copy(simulation.state(), host);
}

TEST(StateCheck, FindsEveryKindOfBadCellInEveryPlace) {
  const Deck deck = small_deck();
  for (int tiles : {1, 3}) {
    const auto simulation = make_simulation(deck, MPI_COMM_SELF, tiles);
    const ShallowWater& solver = simulation->solver();
    EXPECT_EQ(count_bad_cells(solver, simulation->state()), 0);
    EXPECT_TRUE(bad_cells(solver, simulation->state()).empty());
    const double dry = -solver.gravity() * 1e5;  // far below any ground
    for (const PanelCell cell : {PanelCell{0, 0, 0}, PanelCell{3, 11, 4}, PanelCell{5, 11, 11}})
      for (int variable = 0; variable < 3; ++variable)
        for (double value : {kNan, kInf, -kInf, dry}) {
          const bool is_bad = variable == 0 || !std::isfinite(value);
          const auto again = make_simulation(deck, MPI_COMM_SELF, tiles);
          set_cell(*again, cell, variable, value);
          EXPECT_EQ(count_bad_cells(again->solver(), again->state()) > 0, is_bad) << variable << " " << value;
          const auto all = bad_cells(again->solver(), again->state());
          ASSERT_EQ(all.size(), is_bad ? 1u : 0u);
          if (!is_bad) continue;
          const BadCell* const bad = &all[0];
          EXPECT_EQ(bad->field, variable == 0   ? "depth"
                                : variable == 1 ? "velocity along alpha"
                                                : "velocity along beta");
          EXPECT_EQ(bad->tile, again->grid().tiling().tile_of(cell));
          const int size = again->grid().tile_cells();
          EXPECT_EQ(bad->j, cell.j % size);
          EXPECT_EQ(bad->i, cell.i % size);
          EXPECT_EQ(std::isnan(bad->value), std::isnan(value));
        }
  }
}

TEST(StateCheck, GhostCellsDoNotCount) {
  const auto simulation = make_simulation(small_deck(), MPI_COMM_SELF, 1);
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), simulation->state());
  host(0, 0, 0, 0, 0) = kNan;
  host(2, 0, 1, kHalo + 12, kHalo) = kNan;
  host(5, 0, 2, kHalo, kHalo - 1) = kInf;
  Kokkos::deep_copy(simulation->state(), host);
  EXPECT_EQ(count_bad_cells(simulation->solver(), simulation->state()), 0);
}

// Cell (j 8, i 3) of panel 1 on C12: its centre is at panel angles alpha = (3.5/12 - 1/2) 90 = -18.75 and
// beta = (8.5/12 - 1/2) 90 = 18.75 degrees. Panel 1 is centred on 90 E, so the longitude is 90 - 18.75 = 71.25 E and
// the latitude atan(tan(beta) cos(alpha)) = 17.82 N.
constexpr PanelCell kPlace{1, 8, 3};

TEST(ParallelStateWatch, NamesFieldTileCellPlaceAndTimeOnEveryRank) {
  const Deck deck = small_deck();
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 3);
  StateWatch watch(simulation->solver(), 60);
  watch.start(simulation->state(), 0, {});
  EXPECT_NO_THROW(watch.finish());
  set_cell(*simulation, kPlace, 0, -simulation->solver().gravity() * 1e5);
  // Neighbours on both sides: it is in their middle.
  for (int side : {-1, 1}) set_cell(*simulation, {kPlace.panel, kPlace.j, kPlace.i + side}, 1, kNan);
  watch.start(simulation->state(), 9 * 3600.0, {});
  try {
    watch.finish();
    FAIL() << "nothing noticed";
  } catch (const RunError& error) {
    const std::string said = error.what();
    // Panel 1, tiles of 4 x 4 cells: row 2, column 0 of the panel's nine tiles.
    for (const char* word : {"C12", "blew up at 9.0000 h", "depth is -", " m at tile 15, cell (0, 3)",
                             "71.25 E 17.82 N", "in the middle of 3 bad cells"})
      EXPECT_NE(said.find(word), std::string::npos) << word << "\n" << said;
  }
}

TEST(ParallelStateWatch, OneRanksWishIsEveryRanksNews) {
  const auto simulation = make_simulation(small_deck(), MPI_COMM_WORLD, 1);
  StateWatch watch(simulation->solver(), 60);
  EXPECT_FALSE(watch.finish().stop);  // nothing under way
  const int last = size_of() - 1;
  for (int round = 0; round < 4; ++round) {
    const bool stop = round & 1, checkpoint = round & 2;
    watch.start(simulation->state(), 0, {stop && rank_of() == last, checkpoint && rank_of() == 0});
    const StepFlags flags = watch.finish();
    EXPECT_EQ(flags.stop, stop);
    EXPECT_EQ(flags.checkpoint, checkpoint);
  }
}

TEST(ParallelStateWatch, ABlowUpIsNoticedByTheEndOfTheNextStep) {
  const Deck deck = small_deck();
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 1);
  simulation->plan(86400.0);
  simulation->step();
  simulation->step();
  const double begin = simulation->time();
  // A million m/s in one cell takes more water out of it in the first step than there is.
  set_cell(*simulation, kPlace, 1, 1e6 * simulation->solver().gravity() * 1e3);
  try {
    simulation->step();
    simulation->step();
    FAIL() << "nothing noticed";
  } catch (const RunError& error) {
    const double dt = simulation->progress().plan.dt;
    const std::string said = error.what(), time = fmt::format("blew up at {:.4f} h", (begin + dt) / 3600);
    EXPECT_NE(said.find(time), std::string::npos) << time << "\n" << said;
  }
}

TEST(ParallelStateWatch, StepsOfAPlanAreWhatAdvanceTakes) {
  const Deck deck = small_deck();
  const auto whole = make_simulation(deck, MPI_COMM_WORLD, 1), stepped = make_simulation(deck, MPI_COMM_WORLD, 1);
  whole->advance(7200);
  whole->advance(3600);
  for (double stretch : {7200.0, 3600.0}) {
    stepped->plan(stretch);
    double before = stepped->time();
    while (stepped->under_way()) {
      stepped->step();
      EXPECT_GT(stepped->time(), before);
      before = stepped->time();
    }
    stepped->settle();
  }
  EXPECT_EQ(stepped->time(), 10800);
  EXPECT_EQ(whole->time(), 10800);
  EXPECT_EQ(stepped->effort().steps, whole->effort().steps);
  EXPECT_EQ(global_state(*stepped), global_state(*whole));
}

}  // namespace
}  // namespace tramontane::testing
