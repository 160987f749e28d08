// The checkpoint file: the same bytes whoever writes it, the same state whoever reads it, damage noticed.
#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>

#include "fixture.hpp"
#include "kernels/precision.hpp"
#include "src/checkpoint/file_seal.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;

TEST(ParallelCheckpoint, IsTheSameFileFromAnyRanksAndReadsOnAnyTiling) {
  const SharedFolder folder;
  const Deck deck = small_deck();
  const auto together = make_simulation(deck, MPI_COMM_WORLD, 1);
  together->plan(6 * 3600.0);
  for (int k = 0; k < 3; ++k) together->step();
  together->settle();
  ASSERT_TRUE(together->under_way());
  const Checkpoint written = checkpoint_of(deck, *together);
  write_checkpoint(folder / "together.h5", written, together->solver(), together->state());
  EXPECT_FALSE(fs::exists(folder / "together.h5.part"));

  // Every rank reads it alone, on other tiles.
  for (int tiles : {1, 3}) {
    SCOPED_TRACE(std::to_string(tiles) + " tiles an edge");
    const auto alone = make_simulation(deck, MPI_COMM_SELF, tiles);
    ASSERT_EQ(check_seal(folder / "together.h5", MPI_COMM_SELF).damage, "");
    const Checkpoint read = read_checkpoint(folder / "together.h5", MPI_COMM_SELF);
    EXPECT_NO_THROW(check_fits(read, checkpoint_of(deck, *alone), "together.h5"));
    read_checkpoint_state(folder / "together.h5", alone->solver(), alone->state());
    EXPECT_EQ(global_state(*alone), whole_state(*together));
    alone->restore(read.progress);

    // And it writes the same bytes again.
    const std::string copy = folder / ("alone" + std::to_string(rank_of()) + ".h5");
    Checkpoint again = checkpoint_of(deck, *alone);
    again.progress.effort.seconds = read.progress.effort.seconds;
    write_checkpoint(copy, again, alone->solver(), alone->state());
    EXPECT_TRUE(bytes_of(copy) == bytes_of(folder / "together.h5"));

    // From there it goes where the others go, to the bit.
    while (alone->under_way()) alone->step();
    alone->settle();
    const auto goal = make_simulation(deck, MPI_COMM_SELF, 1);
    goal->advance(6 * 3600.0);
    EXPECT_EQ(global_state(*alone), global_state(*goal));
    EXPECT_EQ(alone->time(), goal->time());
    EXPECT_EQ(alone->effort().steps, goal->effort().steps);
  }
}

TEST(ParallelCheckpoint, EveryNumberComesBack) {
  const SharedFolder folder;
  const Deck deck = small_deck();
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 1);
  Checkpoint c = checkpoint_of(deck, *simulation);
  c.version = "9.8.7";
  c.integrator = "another";
  c.cfl = 1.0 / 7;
  c.dt = 1.0 / 9;
  c.progress = {1e6 / 3, 450.1, {0.1 + 0.2, 17, 2e6 / 3}, {123456789012, 1e15 / 7, 0.3, 1e7 / 3}};
  write_checkpoint(folder / "c.h5", c, simulation->solver(), simulation->state());
  const Checkpoint read = read_checkpoint(folder / "c.h5", MPI_COMM_WORLD);
  EXPECT_EQ(read.n, c.n);
  EXPECT_EQ(read.levels, 1);
  EXPECT_EQ(read.variables, "E M_alpha M_beta");
  EXPECT_EQ(read.real_bytes, static_cast<int>(sizeof(Real)));
  EXPECT_EQ(read.initial_case, "williamson2");
  EXPECT_EQ(read.reference, c.reference);
  EXPECT_EQ(read.rotation.x, c.rotation.x);
  EXPECT_EQ(read.rotation.z, c.rotation.z);
  EXPECT_EQ(read.orography, c.orography);
  EXPECT_EQ(read.version, c.version);
  EXPECT_EQ(read.integrator, c.integrator);
  EXPECT_EQ(read.cfl, c.cfl);
  EXPECT_EQ(read.dt, c.dt);
  EXPECT_EQ(read.progress.time, c.progress.time);
  EXPECT_EQ(read.progress.largest_step, c.progress.largest_step);
  EXPECT_EQ(read.progress.plan.dt, c.progress.plan.dt);
  EXPECT_EQ(read.progress.plan.steps, c.progress.plan.steps);
  EXPECT_EQ(read.progress.plan.end, c.progress.plan.end);
  EXPECT_EQ(read.progress.effort.steps, c.progress.effort.steps);
  EXPECT_EQ(read.progress.effort.cell_updates, c.progress.effort.cell_updates);
  EXPECT_EQ(read.progress.effort.seconds, c.progress.effort.seconds);
  EXPECT_EQ(read.progress.effort.simulated, c.progress.effort.simulated);
  EXPECT_EQ(read.budgets_at_start, c.budgets_at_start);
  EXPECT_EQ(read.largest_drifts, c.largest_drifts);
  EXPECT_EQ(read.records, 7);
  EXPECT_EQ(read.latlon_records, 5);
  EXPECT_EQ(read.last_record, c.last_record);
}

TEST(ParallelCheckpoint, OfAnotherRunIsRefusedInOneSentence) {
  const Deck deck = small_deck();
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 1);
  const Checkpoint own = checkpoint_of(deck, *simulation);
  const auto refusal = [&](const auto& change) {
    Checkpoint other = own;
    change(other);
    try {
      check_fits(other, own, "c.h5");
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find(". "), std::string::npos) << error.what();
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal([](Checkpoint&) {}), "accepted");
  EXPECT_EQ(
      refusal([](Checkpoint& c) { c.n = 24; }),
      "c.h5 is a checkpoint of a grid of C24, and this run is on C12: set grid.n = 24 or name another checkpoint");
  EXPECT_NE(refusal([](Checkpoint& c) { c.levels = 3; }).find("3 level(s)"), std::string::npos);
  EXPECT_NE(refusal([](Checkpoint& c) { c.variables += " tracer_0"; }).find("tracer_0"), std::string::npos);
  EXPECT_EQ(refusal([](Checkpoint& c) { c.real_bytes = 12 - c.real_bytes; }),  // 4 for 8 and 8 for 4
            std::string("c.h5 holds numbers of ") + (sizeof(Real) == 8 ? "single" : "double") +
                " precision, and this run computes with " + kPrecision +
                " precision: continue it with the build that wrote it, or start anew");
  EXPECT_NE(refusal([](Checkpoint& c) { c.real_bytes = 2; }).find("2 bytes"), std::string::npos);
  EXPECT_NE(refusal([](Checkpoint& c) { c.initial_case = "rest"; }).find("initial.case = rest"), std::string::npos);
  for (const auto& said :
       {refusal([](Checkpoint& c) { c.orography ^= 1; }), refusal([](Checkpoint& c) { c.reference += 1; }),
        refusal([](Checkpoint& c) { c.rotation.x = 0; })})
    EXPECT_NE(said.find("another orography, mean depth or rotation"), std::string::npos) << said;
  EXPECT_NE(refusal([](Checkpoint& c) { c.largest_drifts.pop_back(); }).find("budgets"), std::string::npos);
}

TEST(ParallelCheckpoint, AnyFlippedBitAndAnyMissingByteIsDamage) {
  const SharedFolder folder;
  Deck deck = small_deck();
  deck.grid.n = 8;
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 1);
  const std::string path = folder / "c.h5";
  write_checkpoint(path, checkpoint_of(deck, *simulation), simulation->solver(), simulation->state());
  const std::string bytes = bytes_of(path);
  ASSERT_EQ(check_seal(path, MPI_COMM_WORLD).damage, "");
  ASSERT_EQ(check_seal(path, MPI_COMM_WORLD).format, kCheckpointFormat);

  // One rank flips a bit of every byte: the eight bits of a byte take turns.
  if (rank_of() == 0) {
    const int file = open(path.c_str(), O_WRONLY);
    std::size_t unnoticed = 0;
    for (std::size_t k = 0; k < bytes.size(); ++k) {
      const char flipped = static_cast<char>(bytes[k] ^ (1 << k % 8));
      ASSERT_EQ(pwrite(file, &flipped, 1, static_cast<off_t>(k)), 1);
      unnoticed += check_seal(path, MPI_COMM_SELF).damage.empty();
      ASSERT_EQ(pwrite(file, &bytes[k], 1, static_cast<off_t>(k)), 1);
    }
    close(file);
    EXPECT_EQ(unnoticed, 0u);
  }
  MPI_Barrier(MPI_COMM_WORLD);

  // All ranks together see damage that only one of them reads, and a file that ends early.
  const auto damage_after = [&](const std::string& changed) {
    if (rank_of() == 0) std::ofstream(path, std::ios::binary) << changed;
    MPI_Barrier(MPI_COMM_WORLD);
    const std::string damage = check_seal(path, MPI_COMM_WORLD).damage;
    MPI_Barrier(MPI_COMM_WORLD);
    return damage;
  };
  std::string changed = bytes;
  changed.back() ^= 1;
  EXPECT_EQ(damage_after(changed), "it does not match its checksum");
  EXPECT_NE(damage_after(bytes.substr(0, bytes.size() - 1)).find("bytes instead of"), std::string::npos);
  EXPECT_NE(damage_after(bytes + '\0').find("bytes instead of"), std::string::npos);
  EXPECT_EQ(damage_after(bytes.substr(0, 100)), "it is cut short");
  EXPECT_EQ(damage_after(""), "it is cut short");
  EXPECT_EQ(damage_after(std::string(4096, 'x')), "it does not begin as a checkpoint does");
  EXPECT_EQ(damage_after(bytes), "");
}

TEST(ParallelCheckpoint, SumOverCellsKnowsPlacesButNotTiles) {
  std::vector<double> global(6 * 12 * 12);
  for (std::size_t k = 0; k < global.size(); ++k) global[k] = std::sin(static_cast<double>(k));
  const auto sum = [&](int tiles, int ranks) {
    const Tiling tiling(12, tiles, ranks);
    std::uint64_t all = 0;
    for (int rank = 0; rank < ranks; ++rank)
      all += cell_checksum(tiling, rank,
                           tiles_from_global(tiling, global, tiling.first_tile(rank), tiling.owned_count(rank)));
    return all;
  };
  const std::uint64_t one = sum(1, 1);
  EXPECT_EQ(sum(3, 1), one);
  EXPECT_EQ(sum(2, 5), one);
  std::swap(global[100], global[200]);
  EXPECT_NE(sum(1, 1), one);
}

/// Takes the right to write files beyond a size from this rank while it lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// A limit on the size of files is a disk that is full, to one process. Wherever it strikes, all ranks hear of the same
// end, and what was there stays.
TEST(ParallelCheckpoint, AFullDiskLosesNothing) {
  const SharedFolder folder;
  const Deck deck = small_deck();
  const auto simulation = make_simulation(deck, MPI_COMM_WORLD, 1);
  const std::string path = folder / "c.h5";
  const Checkpoint checkpoint = checkpoint_of(deck, *simulation);
  write_checkpoint(path, checkpoint, simulation->solver(), simulation->state());
  const std::string good = bytes_of(path);
  simulation->advance(3600);
  for (int where : {-1, 0, size_of() - 1}) {
    for (rlim_t bytes : {0, 600, 20000}) {
      SCOPED_TRACE("at rank " + std::to_string(where) + ", " + std::to_string(bytes) + " bytes");
      std::string said;
      {
        std::unique_ptr<FileLimit> limit;
        if (where < 0 || where == rank_of()) limit = std::make_unique<FileLimit>(bytes);
        try {
          write_checkpoint(path, checkpoint, simulation->solver(), simulation->state());
        } catch (const RunError& error) {
          said = error.what();
        }
      }
      EXPECT_NE(said.find("there is no room"), std::string::npos) << said;
      MPI_Barrier(MPI_COMM_WORLD);
      EXPECT_FALSE(fs::exists(path + ".part"));
      EXPECT_TRUE(bytes_of(path) == good);
      MPI_Barrier(MPI_COMM_WORLD);
    }
  }
  write_checkpoint(path, checkpoint, simulation->solver(), simulation->state());
  EXPECT_EQ(check_seal(path, MPI_COMM_WORLD).damage, "");
  EXPECT_FALSE(bytes_of(path) == good);
}

}  // namespace
}  // namespace tramontane::testing
