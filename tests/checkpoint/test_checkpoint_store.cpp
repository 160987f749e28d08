// The folder of checkpoints: how many stay, which one a run continues from, when one is due.
#include <fmt/format.h>

#include "fixture.hpp"
#include "src/checkpoint/checkpoint_store.hpp"
#include "src/checkpoint/file_seal.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;

class ParallelCheckpointStore : public ::testing::Test {
 protected:
  ParallelCheckpointStore() : deck(small_deck(folder / "run")), simulation(make_simulation(deck, MPI_COMM_WORLD, 1)) {
    if (rank_of() == 0) fs::create_directories(deck.output.dir);
    MPI_Barrier(MPI_COMM_WORLD);
  }

  /// Writes the checkpoint of a run that has taken so many steps.
  bool write(CheckpointStore& store, long steps) {
    Checkpoint checkpoint = checkpoint_of(deck, *simulation);
    checkpoint.progress.effort.steps = steps;
    checkpoint.progress.time = steps * 100.0;
    const bool written = store.write(checkpoint, simulation->solver(), simulation->state());
    MPI_Barrier(MPI_COMM_WORLD);
    return written;
  }
  std::string file(const std::string& steps) const {
    return deck.output.dir + "/checkpoints/checkpoint-" + steps + ".h5";
  }
  std::vector<std::string> names(const std::string& where = "checkpoints") const {
    std::vector<std::string> found;
    for (const std::string& path : list_checkpoints(deck.output.dir + "/" + where))
      found.push_back(fs::path(path).filename());
    MPI_Barrier(MPI_COMM_WORLD);
    return found;
  }
  void on_root(const std::function<void()>& body) {
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank_of() == 0) body();
    MPI_Barrier(MPI_COMM_WORLD);
  }
  void damage(const std::string& path) {
    on_root([&] {
      std::string bytes = bytes_of(path);
      bytes[bytes.size() / 2] ^= 4;
      std::ofstream(path, std::ios::binary) << bytes;
    });
  }
  std::string refusal() {
    try {
      CheckpointStore(deck, MPI_COMM_WORLD).find();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  std::optional<std::string> find() { return CheckpointStore(deck, MPI_COMM_WORLD).find(); }

  SharedFolder folder;
  Deck deck;
  std::unique_ptr<Simulation> simulation;
};

using Names = std::vector<std::string>;

TEST_F(ParallelCheckpointStore, KeepsTheLastTwo) {
  CheckpointStore store(deck, MPI_COMM_WORLD);
  store.open("", 0);
  EXPECT_EQ(store.last(), "");
  for (long steps : {5, 40, 300}) EXPECT_TRUE(write(store, steps));
  EXPECT_EQ(store.last(), file("000000300"));
  EXPECT_EQ(names(), (Names{"checkpoint-000000300.h5", "checkpoint-000000040.h5"}));

  // A run that goes back to step 40 gives up what came after.
  CheckpointStore again(deck, MPI_COMM_WORLD);
  again.open(file("000000040"), 4000);
  EXPECT_EQ(names().size(), 2u);  // nothing is lost before there is something new
  EXPECT_TRUE(write(again, 100));
  EXPECT_EQ(names(), (Names{"checkpoint-000000100.h5", "checkpoint-000000040.h5"}));

  // A run that starts anew moves them out of the way.
  CheckpointStore anew(deck, MPI_COMM_WORLD);
  anew.open("", 0);
  EXPECT_EQ(names(), Names{});
  EXPECT_EQ(names("checkpoints-earlier"), (Names{"checkpoint-000000100.h5", "checkpoint-000000040.h5"}));
}

TEST_F(ParallelCheckpointStore, ContinuesFromTheNewestThatIsWhole) {
  EXPECT_EQ(find(), std::nullopt);
  deck.checkpoint.resume = "auto";
  EXPECT_EQ(find(), std::nullopt);
  CheckpointStore store(deck, MPI_COMM_WORLD);
  store.open("", 0);
  write(store, 10);
  write(store, 20);
  on_root([&] { std::ofstream(file("000000030") + ".part") << "half a file"; });
  EXPECT_EQ(find(), file("000000020"));
  deck.checkpoint.resume = file("000000010");
  EXPECT_EQ(find(), file("000000010"));
  deck.checkpoint.resume = folder / "run/checkpoints";
  EXPECT_EQ(find(), file("000000020"));

  damage(file("000000020"));
  EXPECT_EQ(find(), file("000000010"));
  deck.checkpoint.resume = file("000000020");
  EXPECT_EQ(find(), file("000000010"));
  deck.checkpoint.resume = "none";
  EXPECT_EQ(find(), std::nullopt);

  deck.checkpoint.resume = "auto";
  damage(file("000000010"));
  const std::string said = refusal();
  for (const char* word : {"checkpoint.resume = auto", "no checkpoint is usable", "checkpoint-000000020.h5",
                           "checkpoint-000000010.h5", "does not match its checksum", "checkpoint.resume = none"})
    EXPECT_NE(said.find(word), std::string::npos) << word << "\n" << said;
}

TEST_F(ParallelCheckpointStore, RefusesWhatIsNoCheckpointOfThisProgram) {
  deck.checkpoint.resume = folder / "nothing.h5";
  EXPECT_NE(refusal().find("there is no such file"), std::string::npos) << refusal();
  deck.checkpoint.resume = folder / "run";
  EXPECT_NE(refusal().find("the folder holds no checkpoint"), std::string::npos) << refusal();
  on_root([&] { std::ofstream(folder / "text.h5") << std::string(1000, 'a'); });
  deck.checkpoint.resume = folder / "text.h5";
  EXPECT_NE(refusal().find("does not begin as a checkpoint does"), std::string::npos) << refusal();

  // A whole file of a later format is no reason to take an older one silently.
  CheckpointStore store(deck, MPI_COMM_WORLD);
  store.open("", 0);
  write(store, 10);
  write(store, 20);
  seal_file(file("000000020"), kCheckpointFormat + 1, MPI_COMM_WORLD);
  deck.checkpoint.resume = "auto";
  EXPECT_NE(refusal().find(fmt::format("is a checkpoint of format {}, and this program reads format {}",
                                       kCheckpointFormat + 1, kCheckpointFormat)),
            std::string::npos)
      << refusal();
}

TEST_F(ParallelCheckpointStore, AFailureIsSaidAndTheLastGoodOneStays) {
  CheckpointStore store(deck, MPI_COMM_WORLD);
  store.open("", 0);
  EXPECT_TRUE(write(store, 10));
  // A folder in the way of the file that is written aside.
  on_root([&] { fs::create_directories(file("000000020") + ".part/x"); });
  EXPECT_FALSE(write(store, 20));
  EXPECT_EQ(store.last(), file("000000010"));
  EXPECT_EQ(names(), Names{"checkpoint-000000010.h5"});
  EXPECT_TRUE(write(store, 30));
  EXPECT_EQ(names(), (Names{"checkpoint-000000030.h5", "checkpoint-000000010.h5"}));
}

TEST_F(ParallelCheckpointStore, IsDueByModelTimeAndByClock) {
  deck.checkpoint.every = 1000;
  CheckpointStore store(deck, MPI_COMM_WORLD);
  store.open("", 0);
  EXPECT_FALSE(store.is_due(0));
  EXPECT_FALSE(store.is_due(999));
  EXPECT_TRUE(store.is_due(1000));
  EXPECT_TRUE(store.is_due(1050));
  write(store, 10);  // at 1000 s
  EXPECT_FALSE(store.is_due(1050));
  EXPECT_TRUE(store.is_due(2000));
  CheckpointStore later(deck, MPI_COMM_WORLD);
  later.open(store.last(), 2999.9999999);  // round-off below a due time
  EXPECT_FALSE(later.is_due(3500));
  EXPECT_TRUE(later.is_due(4000));

  EXPECT_FALSE(store.is_due_by_clock());
  deck.checkpoint.every = 0;  // none
  EXPECT_FALSE(store.is_due(1e9));
  deck.checkpoint.minutes = 1e-9;
  EXPECT_EQ(store.is_due_by_clock(), rank_of() == 0);
  deck.checkpoint.minutes = 60;
  EXPECT_FALSE(store.is_due_by_clock());
}

}  // namespace
}  // namespace tramontane::testing
