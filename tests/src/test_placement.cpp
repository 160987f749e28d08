// Which of MPI's ranks integrate and which train, on what nodes and GPUs; and what programs make one job.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/errors.hpp"
#include "src/deck/placement.hpp"
#include "src/program/job_start.hpp"
#include "src/program/machine.hpp"

namespace tramontane {
namespace {

Deck deck_with(const std::vector<std::string>& overrides) {
  return parse_deck("grid: {tiles_per_edge: 4}", "deck.yaml", overrides);
}

std::vector<Seat> seats_on(const Machine& machine, const std::vector<std::string>& overrides,
                           const std::vector<Role>& given = {}) {
  const Deck deck = deck_with(overrides);
  JobFacts facts;
  facts.gpus = machine.gpu_count();
  if (!given.empty()) {
    const auto learners = static_cast<int>(std::count(given.begin(), given.end(), Role::learner));
    facts.given = RankLayout{machine.size() - learners, learners};
  }
  return place_ranks(deck, rank_layout(deck, Command::run, machine.size(), facts), machine, given);
}

/// MPI's ranks of the learners.
std::vector<int> learners_of(const std::vector<Seat>& seats) {
  std::vector<int> ranks;
  for (const Seat& seat : seats)
    if (seat.learner) ranks.push_back(seat.world_rank);
  return ranks;
}

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Placement, OneNodeKeepsMpisNumbers) {
  const std::vector<Seat> seats = seats_on(Machine::alike(8, 8), {"ranks.learner=2"});
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_EQ(seats[rank].world_rank, rank);
    EXPECT_EQ(seats[rank].learner, rank >= 6);
    EXPECT_EQ(seats[rank].gpu, -1);
  }
}

TEST(Placement, PackedFillsTheLastNodesAndSpreadTakesTheLastRankOfEach) {
  const Machine machine = Machine::alike(12, 4);
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=3", "ranks.placement=packed"})), (std::vector{9, 10, 11}));
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=3", "ranks.placement=spread"})), (std::vector{3, 7, 11}));
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=4", "ranks.placement=spread"})), (std::vector{3, 7, 10, 11}));
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=3"})), (std::vector{3, 7, 11})) << "auto without GPUs";
}

// Ranks dealt to nodes one after the other (--map-by node): nodes count, not numbers.
TEST(Placement, NodesCountNotNumbers) {
  Machine machine = Machine::alike(8, 4);
  for (int rank = 0; rank < 8; ++rank) machine.ranks[rank] = {rank % 2, rank / 2, {}};
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=2", "ranks.placement=packed"})), (std::vector{5, 7}));
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=2", "ranks.placement=spread"})), (std::vector{6, 7}));
}

TEST(Placement, EverybodyHasOneSeatSolversComeFirstAndRankZeroIntegrates) {
  for (const char* placement : {"packed", "spread", "auto"})
    for (const int per_node : {1, 2, 3, 5, 11})
      for (const int gpus : {0, 1, 2, 4})
        for (int learners = 1; learners <= 10; ++learners) {
          const std::vector<Seat> seats =
              seats_on(Machine::alike(11, per_node, gpus),
                       {"ranks.learner=" + std::to_string(learners), std::string("ranks.placement=") + placement});
          std::set<int> seen;
          for (const Seat& seat : seats) seen.insert(seat.world_rank);
          EXPECT_EQ(seen.size(), 11u);
          EXPECT_EQ(learners_of(seats).size(), static_cast<std::size_t>(learners));
          EXPECT_TRUE(std::is_sorted(seats.begin(), seats.end(), [](const Seat& a, const Seat& b) {
            return std::pair(a.learner, a.world_rank) < std::pair(b.learner, b.world_rank);
          }));
          EXPECT_EQ(seats.front().world_rank, 0);
        }
}

TEST(Placement, LearnersHaveGpusToThemselvesWhereThereAreEnough) {
  // Two nodes of eight ranks and four GPUs, one learner a node: seven solvers share three GPUs.
  const std::vector<Seat> seats = seats_on(Machine::alike(16, 8, 4), {"ranks.learner=2"});
  EXPECT_EQ(learners_of(seats), (std::vector{7, 15}));
  std::map<std::pair<int, int>, int> users;
  for (const Seat& seat : seats) ++users[{seat.node, seat.gpu}];
  for (const Seat& seat : seats) {
    EXPECT_GE(seat.gpu, 0);
    EXPECT_EQ(seat.gpu_users, (users[{seat.node, seat.gpu}]));
    if (seat.learner) {
      EXPECT_EQ(seat.gpu_users, 1);
    } else {
      EXPECT_LE(seat.gpu_users, 3);
    }
  }
  // More learners than GPUs on a node: they share alike, and the solvers can not be kept away.
  for (const Seat& seat : seats_on(Machine::alike(8, 8, 2), {"ranks.learner=4"}))
    if (seat.learner) {
      EXPECT_EQ(seat.gpu_users, 4);
    }
}

TEST(Placement, AutoGoesWhereTheGpusAre) {
  // A node without GPUs behind one with two, as in a heterogeneous job.
  Machine machine = Machine::alike(8, 4);
  for (int rank = 0; rank < 4; ++rank) machine.ranks[rank].gpus = {"0000:3B:00.0", "0000:86:00.0"};
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=2"})), (std::vector{2, 3}));
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=3"})), (std::vector{2, 3, 7})) << "two GPUs, the rest elsewhere";
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner=2", "ranks.placement=packed"})), (std::vector{6, 7}));
  // Left to the program, no more learners than GPUs.
  EXPECT_EQ(learners_of(seats_on(Machine::alike(32, 32, 4), {})).size(), 4u);
  EXPECT_EQ(learners_of(seats_on(Machine::alike(32, 32, 0), {})).size(), 8u);
}

// Batch systems often show each rank one GPU of its own, always by the number 0.
TEST(Placement, BoundGpusAreToldByTheirNames) {
  Machine machine = Machine::alike(4, 4);
  for (int rank = 0; rank < 4; ++rank) machine.ranks[rank].gpus = {"gpu" + std::to_string(rank)};
  EXPECT_EQ(machine.gpu_count(), 4);
  for (const Seat& seat : seats_on(machine, {"ranks.learner=1"})) {
    EXPECT_EQ(seat.gpu, 0);
    EXPECT_EQ(seat.gpu_users, 1);
  }
}

TEST(Placement, ListsAndProgramsDecideWhoTrains) {
  const Machine machine = Machine::alike(6, 3);
  EXPECT_EQ(learners_of(seats_on(machine, {"ranks.learner_ranks=[4, 0]"})), (std::vector{0, 4}));
  using R = Role;
  const std::vector<Role> given = {R::learner, R::solver, R::solver, R::learner, R::solver, R::solver};
  EXPECT_EQ(learners_of(seats_on(machine, {}, given)), (std::vector{0, 3}));
  const std::vector<Seat> seats = seats_on(machine, {}, given);
  EXPECT_EQ(seats.front().world_rank, 1);
}

TEST(Placement, WhatCanNotBeIsRefused) {
  const Machine machine = Machine::alike(4, 4);
  const auto error = [&](const std::vector<std::string>& overrides, const std::vector<Role>& given = {}) {
    return error_of([&] { seats_on(machine, overrides, given); });
  };
  EXPECT_NE(error({"ranks.learner_ranks=[4]"}).find("names rank 4, and this job has ranks 0 to 3"), std::string::npos);
  EXPECT_NE(error({"ranks.learner_ranks=[1, 1]"}).find("names rank 1 twice"), std::string::npos);
  EXPECT_NE(error({"ranks.learner_ranks=[-1]"}).find("names rank -1"), std::string::npos);
  EXPECT_NE(error({"ranks.learner_ranks=[0, 1, 2, 3]"}).find("each must be at least 1"), std::string::npos);
  EXPECT_NE(error({"ranks.learner_ranks=[1]", "ranks.learner=2"}).find("make them agree"), std::string::npos);
  EXPECT_NE(error({"ranks.learner=0"}).find("set exchange.dir"), std::string::npos);
  const std::vector<Role> given = {Role::solver, Role::solver, Role::learner, Role::learner};
  EXPECT_NE(error({"ranks.solver=3"}, given).find("ranks.solver = 3, but the job was started with 2"), std::string::npos);
  EXPECT_NE(error({"ranks.learner_ranks=[2, 3]"}, given).find("leave it empty"), std::string::npos);
  EXPECT_NE(error({"surrogate.kind=none"}, given).find("--role goes with a coupled run"), std::string::npos);
  EXPECT_NE(error({"exchange.dir=x"}, given).find("leave it out"), std::string::npos);
}

TEST(Placement, TwoJobsHaveOneRoleEach) {
  const auto layout = [](Command command, const std::vector<std::string>& overrides) {
    const RankLayout ranks = rank_layout(deck_with(overrides), command, 3);
    return std::pair(ranks.solvers, ranks.learners);
  };
  EXPECT_EQ(layout(Command::run, {"exchange.dir=x"}), std::pair(3, 0));
  EXPECT_EQ(layout(Command::run, {"exchange.dir=x", "ranks.learner=0"}), std::pair(3, 0));
  EXPECT_EQ(layout(Command::train, {"exchange.dir=x", "ranks.learner=0"}), std::pair(0, 3));
  const std::string error = error_of([&] { layout(Command::run, {"exchange.dir=x", "ranks.learner=1"}); });
  EXPECT_NE(error.find("a job of its own"), std::string::npos) << error;
}

TEST(OneJob, ProgramsThatDoNotFitAreRefused) {
  const ProgramFacts solver{"1.0", Command::run, Role::solver, false}, learner{"1.0", Command::run, Role::learner, false};
  const auto error = [](const std::vector<ProgramFacts>& programs) {
    return error_of([&] { require_one_job(programs); });
  };
  const auto with = [](ProgramFacts facts, auto member, auto value) {
    facts.*member = value;
    return facts;
  };
  EXPECT_EQ(error({solver, learner, learner}), "");
  EXPECT_EQ(error({with(solver, &ProgramFacts::role, Role::any), with(learner, &ProgramFacts::role, Role::any)}), "");
  EXPECT_EQ(error({solver, with(learner, &ProgramFacts::version, "1.1")}),
            "rank 1 runs tramontane 1.1 and rank 0 tramontane 1.0: start one version on all ranks");
  EXPECT_NE(error({solver, with(learner, &ProgramFacts::command, Command::train)}).find("command train"),
            std::string::npos);
  EXPECT_NE(error({solver, learner, with(learner, &ProgramFacts::role, Role::any)}).find("rank 2 was started without"),
            std::string::npos);
  EXPECT_NE(error({solver, solver}).find("all ranks were started with --role solver"), std::string::npos);
}

TEST(OneJob, BuildsMayDifferInTheBackEndAlone) {
  EXPECT_EQ(shared_settings(deck_with({"surrogate.backend=cudnn"})), shared_settings(deck_with({})));
  EXPECT_NE(shared_settings(deck_with({"learner.seed=2"})), shared_settings(deck_with({})));
}

TEST(ParallelMachine, RanksOfThisNodeAreCountedFromZero) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const Machine machine = find_machine(MPI_COMM_WORLD);
  ASSERT_EQ(machine.size(), size);
  EXPECT_EQ(machine.nodes.size(), 1u) << "mpirun was started on one node";
  for (int r = 0; r < size; ++r) EXPECT_EQ(machine.ranks[r].local_rank, r);
}

}  // namespace
}  // namespace tramontane
