// Snapshots on disk: whole or not there, the newest whole one found, another run's refused; and the file of samples.
#include <fmt/format.h>

#include "fixture.hpp"
#include "kernels/errors.hpp"
#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/checkpoint/sample_store.hpp"
#include "src/checkpoint/sealed_file.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

RunSnapshot snapshot_of(std::int64_t number) {
  RunSnapshot s;
  s.number = number;
  s.version = "1.2.3";
  s.run_id = "0123456789abcdef";
  s.settings = "grid.n = 24\nlearner.batch = 8\n";
  s.solvers = 3;
  s.learners = 2;
  s.place = {17, 2, 5};
  s.training_step = 40;
  s.ledger = {17, 12, 3, 0, 2, 123456789012};
  s.archived = 17;
  s.stall_seconds = 0.1;
  s.metrics = "{\"kind\": \"solver\", \"x\": \"\\u00e9\"}\n";
  s.restarts = {{1, 5, 0}, {4, 11, 30}};
  return s;
}

class RunSnapshots : public ::testing::Test {
 protected:
  void SetUp() override {
    if (rank_of() != 0) GTEST_SKIP() << "the work of one rank";
    deck_.output.dir = folder_ / "run";
    deck_.checkpoint.keep = 2;
  }
  void write(RunSnapshotStore& store, std::int64_t number) const {
    store.begin(number);
    write_sealed_file(store.aside(number) + "/" + kStatePart, 2, fmt::format("state {}", number));
    write_sealed_file(store.aside(number) + "/" + learner_part(0), 1, fmt::format("learner {}", number));
    store.seal(snapshot_of(number));
  }
  Names names() const {
    Names all;
    for (const std::string& path : list_snapshots(snapshots_folder(deck_))) all.push_back(fs::path(path).filename());
    return all;
  }
  Names wanted(const std::string& resume) {
    deck_.checkpoint.resume = resume;
    Names all;
    for (const std::string& path : wanted_snapshots(deck_)) all.push_back(fs::path(path).filename());
    return all;
  }

  SharedFolder folder_;
  Deck deck_;
};

TEST_F(RunSnapshots, TextHoldsEverything) {
  RunSnapshot s = snapshot_of(7);
  s.parts = {{"state.h5", {1ull << 60, 0xffffffffffffffffull}}};
  const RunSnapshot again = snapshot_from(to_text(s));
  EXPECT_EQ(to_text(again), to_text(s));
  EXPECT_EQ(again.place, s.place);
  EXPECT_EQ(again.ledger, s.ledger);
  EXPECT_EQ(again.restarts, s.restarts);
  EXPECT_EQ(again.parts, s.parts);
  EXPECT_EQ(again.metrics, s.metrics);
  EXPECT_EQ(again.stall_seconds, s.stall_seconds);
  EXPECT_ANY_THROW(snapshot_from("{}"));
}

TEST_F(RunSnapshots, AreThereWholeOrNotAtAll) {
  RunSnapshotStore store(deck_);
  store.open("");
  store.begin(1);
  write_sealed_file(store.aside(1) + "/" + kStatePart, 2, "state");
  EXPECT_EQ(names(), Names{});  // no manifest, no snapshot
  store.begin(1);
  EXPECT_TRUE(fs::is_empty(store.aside(1)));
  // A part that was cut off is noticed before the manifest is written.
  std::ofstream(store.aside(1) + "/" + kStatePart) << "half";
  EXPECT_THROW(store.seal(snapshot_of(1)), RunError);
  EXPECT_EQ(store.last(), "");
  EXPECT_TRUE(fs::is_empty(store.folder()));
  write(store, 1);
  EXPECT_EQ(store.last(), store.path(1));
  EXPECT_EQ(names(), Names{"snapshot-000001"});
  const SnapshotCheck check = check_snapshot(store.path(1));
  EXPECT_EQ(check.damage, "");
  EXPECT_EQ(check.snapshot.parts.size(), 2u);
  EXPECT_EQ(check.snapshot.place, snapshot_of(1).place);
}

TEST_F(RunSnapshots, TheLastOnesAreKept) {
  RunSnapshotStore store(deck_);
  store.open("");
  for (const int number : {1, 2, 3}) write(store, number);
  EXPECT_EQ(names(), (Names{"snapshot-000003", "snapshot-000002"}));
  // Continued from the older one: what came after it is of a course that was given up.
  fs::create_directories(store.path(9) + ".part");
  RunSnapshotStore again(deck_);
  again.open(store.path(2));
  EXPECT_FALSE(fs::exists(store.path(9) + ".part"));
  EXPECT_EQ(again.last(), store.path(2));
  write(again, 3);
  EXPECT_EQ(names(), (Names{"snapshot-000003", "snapshot-000002"}));
  EXPECT_EQ(wanted("none"), Names{});
  EXPECT_EQ(wanted("auto"), (Names{"snapshot-000003", "snapshot-000002"}));
  EXPECT_EQ(wanted(store.path(2)), Names{"snapshot-000002"});
  EXPECT_EQ(wanted(store.path(3) + "/"), (Names{"snapshot-000003", "snapshot-000002"}));
  EXPECT_EQ(wanted(store.folder()), (Names{"snapshot-000003", "snapshot-000002"}));
  EXPECT_THROW(wanted(folder_ / "no"), InputError);
  EXPECT_THROW(wanted(deck_.output.dir), InputError);
  // A new run sets them aside.
  RunSnapshotStore anew(deck_);
  anew.open("");
  EXPECT_EQ(names(), Names{});
  EXPECT_EQ(list_snapshots(deck_.output.dir + "/snapshots-earlier").size(), 2u);
}

TEST_F(RunSnapshots, OneBitAnywhereIsNoticed) {
  RunSnapshotStore store(deck_);
  store.open("");
  write(store, 1);
  for (const std::string& part : {std::string(kManifestPart), std::string(kStatePart), learner_part(0)}) {
    const std::string path = store.path(1) + "/" + part, whole = bytes_of(path);
    for (std::size_t k = 0; k < whole.size(); k += 37) {
      std::string bytes = whole;
      bytes[k] = static_cast<char>(bytes[k] ^ (1 << (k % 8)));
      std::ofstream(path, std::ios::binary) << bytes;
      EXPECT_NE(check_snapshot(store.path(1)).damage, "") << part << " byte " << k;
    }
    fs::remove(path);
    EXPECT_NE(check_snapshot(store.path(1)).damage, "") << part << " gone";
    std::ofstream(path, std::ios::binary) << whole;
    EXPECT_EQ(check_snapshot(store.path(1)).damage, "");
  }
  // A whole part of another snapshot is no part of this one.
  write(store, 2);
  fs::copy_file(store.path(2) + "/" + kStatePart, store.path(1) + "/" + kStatePart, fs::copy_options::overwrite_existing);
  EXPECT_NE(check_snapshot(store.path(1)).damage.find("state.h5 is of another snapshot"), std::string::npos);
}

TEST_F(RunSnapshots, AnotherRunIsRefusedInOneSentence) {
  const RunSnapshot s = snapshot_of(1);
  EXPECT_NO_THROW(check_fits(s, s.settings, 2, "here"));
  const auto message = [&](const std::string& settings, int learners) -> std::string {
    try {
      check_fits(s, settings, learners, "here");
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  const std::string other = message("grid.n = 48\nlearner.batch = 8\n", 2);
  EXPECT_NE(other.find("grid.n = 24, and this run has 48: set grid.n back"), std::string::npos) << other;
  EXPECT_NE(message(s.settings + "new.key = 1\n", 2).find("did not know new.key"), std::string::npos);
  EXPECT_NE(message(s.settings, 3).find("set ranks.learner = 2"), std::string::npos);
}

Sample sample_of(std::int64_t number, int n) {
  Sample sample;
  sample.info = {number, static_cast<std::int32_t>(number / 3), number % 2 == 1, 198301, 3600.0 * static_cast<double>(number)};
  sample.n = n;
  sample.input.resize(sample_inputs().size() * 6 * n * n);
  sample.target.resize(sample_targets().size() * 6 * n * n);
  float value = static_cast<float>(number);
  for (auto* field : {&sample.input, &sample.target})
    for (float& x : *field) x = value = value * 1.25f - 3;
  return sample;
}

void expect_same(const Sample& a, const Sample& b) {
  EXPECT_EQ(a.info.number, b.info.number);
  EXPECT_EQ(a.info.trajectory, b.info.trajectory);
  EXPECT_EQ(a.info.validation, b.info.validation);
  EXPECT_EQ(a.info.month, b.info.month);
  EXPECT_EQ(a.info.time, b.info.time);
  EXPECT_EQ(a.n, b.n);
  EXPECT_TRUE(a.input == b.input);
  EXPECT_TRUE(a.target == b.target);
}

TEST_F(RunSnapshots, SamplesAreKeptOnceAndCheckedOneByOne) {
  const std::string path = folder_ / "samples-0";
  {
    SampleStore store(path, 2, 0);
    std::int64_t record = 0;
    for (const int number : {4, 6, 9}) EXPECT_EQ(store.append(sample_of(number, 2)), record++);
    EXPECT_THROW(store.append(sample_of(10, 3)), RunError);
    store.sync();
    expect_same(store.read(1, 6), sample_of(6, 2));
    EXPECT_THROW(store.read(1, 4), RunError);
    EXPECT_THROW(store.read(3, 9), RunError);
  }
  {
    // Back to a snapshot with two of them: the third is overwritten.
    SampleStore store(path, 2, 2);
    EXPECT_THROW(store.read(2, 9), RunError);
    EXPECT_EQ(store.append(sample_of(7, 2)), 2);
    expect_same(store.read(0, 4), sample_of(4, 2));
    expect_same(store.read(2, 7), sample_of(7, 2));
    EXPECT_EQ(fs::file_size(path), static_cast<std::size_t>(kSampleStoreHead + 3 * store.record_bytes()));
  }
  EXPECT_THROW(SampleStore(path, 2, 4), RunError);
  EXPECT_THROW(SampleStore(path, 3, 1), RunError);
  const std::string whole = bytes_of(path);
  for (std::size_t k = kSampleStoreHead; k < whole.size(); k += 29) {
    std::string bytes = whole;
    bytes[k] = static_cast<char>(bytes[k] ^ 32);
    std::ofstream(path, std::ios::binary) << bytes;
    const SampleStore store(path, 2, 3);
    const std::int64_t record = (static_cast<std::int64_t>(k) - kSampleStoreHead) / store.record_bytes();
    EXPECT_THROW(store.read(record, std::vector<std::int64_t>{4, 6, 7}[record]), RunError) << "byte " << k;
  }
}

}  // namespace
}  // namespace tramontane::testing
