// An archive that is read while another process writes it, dies over it, and goes on with it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <numeric>
#include <span>
#include <thread>

#include "another_process.hpp"
#include "job.hpp"
#include "kernels/errors.hpp"
#include "src/archive/archive_seal.hpp"
#include "src/archive/archive_structure.hpp"
#include "src/exchange/followed_archive.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;

/// A sample whose every value tells its number.
std::vector<std::vector<float>> fields_of(std::int64_t number, const Tiling& tiling) {
  std::vector<std::vector<float>> fields(sample_inputs().size() + sample_targets().size(),
                                         std::vector<float>(static_cast<std::size_t>(tiling.cell_count())));
  for (std::size_t v = 0; v < fields.size(); ++v)
    for (std::size_t k = 0; k < fields[v].size(); ++k)
      fields[v][k] = static_cast<float>(number) + 0.001f * static_cast<float>(k % 97) + 1000.0f * static_cast<float>(v);
  return fields;
}

void append(ArchiveWriter& archive, std::int64_t number, const Tiling& tiling) {
  const auto fields = fields_of(number, tiling);
  std::vector<const float*> payload;
  for (const auto& field : fields) payload.push_back(field.data());
  archive.append({number, static_cast<std::int32_t>(number / 10), 0, 198301, 3600.0 * static_cast<double>(number)}, payload);
}

ArchiveMeta meta_for(const Tiling& tiling, int flush_every, std::function<void(ArchiveChange, std::int64_t)> on_change) {
  ArchiveMeta meta;
  meta.interval_seconds = 3600;
  meta.lon = meta.lat = meta.cell_area = std::vector<double>(static_cast<std::size_t>(tiling.cell_count()), 1.0);
  meta.flush_every = flush_every;
  meta.on_change = std::move(on_change);
  return meta;
}

/// The next sample as a value.
std::optional<Sample> next(FollowedArchiveSource& source) {
  Sample sample;
  return source.wait(sample) ? std::optional(sample) : std::nullopt;
}
std::optional<Sample> at_hand(FollowedArchiveSource& source) {
  Sample sample;
  return source.poll(sample) ? std::optional(sample) : std::nullopt;
}

FollowingTerms terms_for(const Scratch& scratch, std::uint64_t run) {
  FollowingTerms terms;
  terms.archive = scratch / "archive.h5";
  terms.mark = scratch / "archive.mark";
  terms.note = scratch / "solver.json";
  terms.run = run;
  terms.coarse_n = 8;
  terms.interval_seconds = 3600;
  terms.silence_seconds = 2;
  return terms;
}

/// What a run's note must hold for those who watch it.
nlohmann::ordered_json run_note(std::uint64_t run, const std::string& state = "running") {
  nlohmann::ordered_json note = note_head("solver", new_token());
  note.update({{"run", token_text(run)}, {"state", state}});
  return note;
}

/// A run that writes its archive, with the mark and the note of it.
struct LiveRun {
  FlushMarkWriter mark;
  Beacon beacon;
  ArchiveWriter archive;

  LiveRun(const Scratch& scratch, const Tiling& tiling, int flush_every)
      : mark(scratch / "archive.mark", 5),
        beacon(scratch / "solver.json", "me", 0.1, run_note(5)),
        archive(scratch / "archive.h5", MPI_COMM_SELF, tiling,
                meta_for(tiling, flush_every,
                         [this](ArchiveChange change, std::int64_t samples) { mark.tell(change, samples); })) {}
};

TEST(FollowedArchive, SamplesComeAsTheRunSaysThatTheyAreWhole) {
  const Scratch scratch("follow");
  const Tiling tiling(8, 1, 1);
  FlushMarkWriter mark(scratch / "archive.mark", 5);
  Beacon beacon(scratch / "solver.json", "me", 0.1, run_note(5));
  auto archive = std::make_unique<ArchiveWriter>(
      scratch / "archive.h5", MPI_COMM_SELF, tiling,
      meta_for(tiling, 4, [&](ArchiveChange change, std::int64_t samples) { mark.tell(change, samples); }));
  FollowedArchiveSource source(terms_for(scratch, 5));
  std::int64_t expected = 0;
  for (std::int64_t number = 0; number < 22; ++number) {
    append(*archive, number, tiling);
    while (const auto sample = at_hand(source)) {
      EXPECT_EQ(sample->info.number, expected);
      EXPECT_EQ(sample->input[0], static_cast<float>(expected));
      ++expected;
    }
    EXPECT_EQ(expected, (number + 1) / 4 * 4) << "those of the last flush, all of them";
    EXPECT_FALSE(source.ended());
  }
  archive->close();
  while (const auto sample = next(source)) EXPECT_EQ(sample->info.number, expected++);
  EXPECT_EQ(expected, 22);
  EXPECT_TRUE(source.ended());
  EXPECT_EQ(source.end(), FollowedArchiveSource::End::completed);
  EXPECT_EQ(source.taken(), 22);
  EXPECT_EQ(source.rejected(), 0);
}

// Writer and reader as two processes, the writer flushing after every sample as fast as it can: the reader meets the file
// in every state, and must see each sample once, whole, in order, or wait.
TEST(FollowedArchive, AReaderBesideABusyWriterSeesEverySampleOnce) {
  const Scratch scratch("follow-busy");
  constexpr std::int64_t kSamples = 400;
  const Tiling tiling(8, 1, 1);
  // Fork before this process has threads of its own.
  const pid_t child = in_another_process([&] {
    FollowingTerms terms = terms_for(scratch, 5);
    FollowedArchiveSource source(terms);
    std::int64_t expected = 0;
    while (const auto sample = next(source)) {
      if (sample->info.number != expected) return 2;
      const auto fields = fields_of(expected, tiling);
      for (std::size_t v = 0; v < sample_inputs().size(); ++v)
        if (!std::equal(fields[v].begin(), fields[v].end(), sample->input.begin() + v * fields[v].size())) return 3;
      ++expected;
    }
    if (source.rejected() != 0) return 4;
    return expected == kSamples && source.end() == FollowedArchiveSource::End::completed ? 7 : 5;
  });
  LiveRun run(scratch, tiling, 1);
  ArchiveWriter& archive = run.archive;
  for (std::int64_t number = 0; number < kSamples; ++number) append(archive, number, tiling);
  archive.close();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(FollowedArchive, ADamagedSampleIsRejectedAndTheNextOnesAreTaken) {
  const Scratch scratch("follow-damaged");
  const Tiling tiling(8, 1, 1);
  LiveRun run(scratch, tiling, 8);
  ArchiveWriter& archive = run.archive;
  for (std::int64_t number = 0; number < 8; ++number) append(archive, number, tiling);
  // One bit of sample 3: its first value, found by its bytes.
  std::string bytes = read_text(scratch / "archive.h5");
  const float value = fields_of(3, tiling)[0][1];
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof value));
  ASSERT_NE(at, std::string::npos);
  std::fstream file(scratch / "archive.h5", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(bytes[at] ^ 4));
  file.close();
  archive.close();
  FollowedArchiveSource source(terms_for(scratch, 5));
  std::vector<std::int64_t> numbers;
  while (const auto sample = next(source)) numbers.push_back(sample->info.number);
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{0, 1, 2, 4, 5, 6, 7}));
  EXPECT_EQ(source.rejected(), 1);
}

TEST(FollowedArchive, ADeadRunEndsTheWait) {
  const Scratch scratch("follow-dead");
  const Tiling tiling(8, 1, 1);
  for (const bool in_flush : {false, true}) {
    const pid_t child = in_another_process([&] {
      FlushMarkWriter mark(scratch / "archive.mark", 5);
      Beacon beacon(scratch / "solver.json", "me", 0.1, run_note(5));
      ArchiveWriter archive(scratch / "archive.h5", MPI_COMM_SELF, tiling,
                            meta_for(tiling, 4, [&](ArchiveChange change, std::int64_t samples) {
                              mark.tell(change, samples);
                              if (in_flush && samples == 8 && change == ArchiveChange::begins) raise(SIGKILL);
                            }));
      for (std::int64_t number = 0; number < 13; ++number) append(archive, number, tiling);
      raise(SIGKILL);
      return 0;
    });
    waitpid(child, nullptr, 0);
    FollowedArchiveSource source(terms_for(scratch, 5));
    std::int64_t taken = 0;
    while (next(source)) ++taken;
    // Nobody reads a structure that a dead writer left half changed.
    EXPECT_EQ(taken, in_flush ? 0 : 12);
    EXPECT_EQ(source.end(), FollowedArchiveSource::End::dead);
  }
}

// The run is killed behind its snapshot's samples, of which the reader has taken some, and goes on from there: each sample
// is handed out once, and none is missed.
TEST(FollowedArchive, ARunThatGoesOnIsFollowedOverItsCutArchive) {
  const Scratch scratch("follow-cut");
  const Tiling tiling(8, 1, 1);
  FollowingTerms terms = terms_for(scratch, 5);
  terms.takes_snapshots = true;
  std::unique_ptr<FollowedArchiveSource> source;
  std::vector<std::int64_t> numbers;
  const auto take = [&] {
    while (const auto sample = at_hand(*source)) {
      numbers.push_back(sample->info.number);
      EXPECT_EQ(sample->input[0], static_cast<float>(sample->info.number));
    }
  };
  const auto write = [&](std::optional<std::int64_t> keep, std::int64_t from, std::int64_t to, bool in_flush, bool close) {
    return in_another_process([&, keep, from, to, in_flush, close] {
      FlushMarkWriter mark(scratch / "archive.mark", 5, keep.value_or(0));
      Beacon beacon(scratch / "solver.json", std::to_string(getpid()), 0.1, run_note(5));
      ArchiveMeta meta = meta_for(tiling, 4, [&](ArchiveChange change, std::int64_t samples) {
        mark.tell(change, samples);
        if (in_flush && change == ArchiveChange::begins && samples == to - 4) raise(SIGKILL);
      });
      meta.keep_samples = keep;
      ArchiveWriter archive(scratch / "archive.h5", MPI_COMM_SELF, tiling, meta);
      for (std::int64_t number = from; number < to; ++number) append(archive, number, tiling);
      if (close) {
        archive.close();
        beacon.update({{"state", "done"}});
        return 0;
      }
      raise(SIGKILL);
      return 1;
    });
  };
  // Another process may not share HDF5 with this one: the reader begins when the first writer is gone.
  waitpid(write({}, 0, 14, false, false), nullptr, 0);
  source = std::make_unique<FollowedArchiveSource>(terms);
  take();
  EXPECT_EQ(numbers.size(), 12u);
  EXPECT_FALSE(next(*source));
  EXPECT_TRUE(source->breaks_off()) << "the run is away";
  EXPECT_FALSE(source->ended());
  EXPECT_FALSE(source->is_run_back());
  EXPECT_NE(source->why_away().find("has died or hangs"), std::string::npos) << source->why_away();

  // From sample 6 on, and killed in the middle of a flush: nobody reads what that leaves.
  waitpid(write(6, 6, 16, true, false), nullptr, 0);
  source->go_on();
  take();
  EXPECT_EQ(numbers.size(), 12u);
  EXPECT_FALSE(next(*source));
  EXPECT_TRUE(source->breaks_off());

  waitpid(write(6, 6, 20, false, true), nullptr, 0);
  EXPECT_TRUE(source->is_run_back());
  source->go_on();
  while (const auto sample = next(*source)) numbers.push_back(sample->info.number);
  EXPECT_EQ(source->end(), FollowedArchiveSource::End::completed);
  std::vector<std::int64_t> expected(20);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(numbers, expected);
  EXPECT_EQ(source->taken(), 20);
  EXPECT_EQ(source->rejected(), 0);
}

// Whatever a kill leaves of the structure, it comes back from the snapshot's copy, with every sample of then.
TEST(ArchiveStructure, BringsAFileBackToAFlush) {
  const Scratch scratch("structure");
  const Tiling tiling(8, 1, 1);
  const std::string path = scratch / "archive.h5";
  std::vector<std::byte> structure;
  std::string before;
  {
    ArchiveWriter archive(path, MPI_COMM_SELF, tiling, meta_for(tiling, 4, {}));
    for (std::int64_t number = 0; number < 10; ++number) append(archive, number, tiling);
    archive.flush();
    structure = archive_structure(path);
    before = read_text(path);
    for (std::int64_t number = 10; number < 17; ++number) append(archive, number, tiling);
  }
  EXPECT_LT(structure.size(), before.size());
  // The values stay; all the rest is spoilt, as no kill would.
  std::string bytes = read_text(path);
  const std::vector<ByteRun> runs = payload_runs(path);
  std::vector<bool> is_value(bytes.size(), false);
  for (const ByteRun& run : runs)
    for (std::uint64_t k = 0; k < run.bytes; ++k) is_value[run.begin + k] = true;
  for (std::size_t k = 0; k < bytes.size(); ++k)
    if (!is_value[k]) bytes[k] = static_cast<char>(~bytes[k]);
  scratch.write("archive.h5", bytes);
  EXPECT_THROW(ArchiveReader(path, true), InputError);
  restore_archive_structure(path, structure);
  EXPECT_TRUE(read_text(path) == before);
  const ArchiveReader reader(path, true);
  EXPECT_EQ(reader.size(), 10);
  reader.verify();

  // What does not fit changes nothing.
  const std::span<const std::byte> whole(structure);
  for (const std::size_t length : {std::size_t{0}, std::size_t{8}, std::size_t{100}, structure.size() - 1})
    EXPECT_THROW(restore_archive_structure(path, whole.first(length)), RunError) << length;
  EXPECT_TRUE(read_text(path) == before);
  scratch.write("short.h5", before.substr(0, before.size() / 2));
  EXPECT_THROW(restore_archive_structure(scratch / "short.h5", structure), RunError);
  EXPECT_TRUE(read_text(scratch / "short.h5") == before.substr(0, before.size() / 2));
}

TEST(FollowedArchive, AnotherRunOrAnotherGridIsNamed) {
  const Scratch scratch("follow-other");
  const Tiling tiling(8, 1, 1);
  LiveRun run(scratch, tiling, 1);
  ArchiveWriter& archive = run.archive;
  append(archive, 0, tiling);
  FollowingTerms terms = terms_for(scratch, 5);
  terms.coarse_n = 16;
  try {
    FollowedArchiveSource source(terms);
    next(source);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("holds C8 at 1h, and its run has announced C16"), std::string::npos)
        << error.what();
  }
  FollowedArchiveSource other(terms_for(scratch, 6));
  EXPECT_FALSE(next(other));
  EXPECT_EQ(other.end(), FollowedArchiveSource::End::replaced);
}

}  // namespace
}  // namespace tramontane::testing
