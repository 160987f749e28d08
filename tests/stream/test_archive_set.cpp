// Several archives as one list of samples: what is found wrong before training, and what is held out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/errors.hpp"
#include "src/archive/archive_list.hpp"
#include "src/archive/archive_set.hpp"
#include "src/archive/archive_writer.hpp"
#include "stream_fixtures.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;
using test::OwnedTiles;
using test::SharedFolder;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Lesson {
  int month;
  int validation;
  int samples;
};

/// An archive of one rank; sample numbers, and so contents, begin at `first`.
struct Recipe {
  std::vector<Lesson> lessons;
  int first = 0;
  int n = 6;
  double interval = 3600;
  bool close = true;
  int bad = -1;  ///< this sample, counted from 0, holds NaN
};

void write(const std::string& path, const Recipe& recipe) {
  const Tiling g(recipe.n, 1, 1);
  ArchiveMeta meta;
  meta.interval_seconds = recipe.interval;
  meta.code_version = "0.1.0";
  meta.run_id = "run";
  meta.source = "test";
  meta.flush_every = 1;
  meta.lon = meta.lat = meta.cell_area = std::vector<double>(static_cast<std::size_t>(g.cell_count()), 1.0);
  const std::string aside = path + ".open";
  {
    ArchiveWriter writer(aside, MPI_COMM_SELF, g, meta);
    int number = recipe.first, place = 0;
    for (const Lesson& lesson : recipe.lessons)
      for (int k = 0; k < lesson.samples; ++k, ++number, ++place) {
        OwnedTiles tiles(g, 0, number);
        if (place == recipe.bad) tiles.fields[6][4] = kNan;
        writer.append({number, 0, lesson.validation, lesson.month, 3600.0 * k}, tiles.pointers);
      }
    if (recipe.close)
      writer.close();
    else
      fs::copy_file(aside, path, fs::copy_options::overwrite_existing);  // as a killed run leaves it
  }
  if (recipe.close) fs::rename(aside, path);
}

ArchiveSetOptions options_of(const std::vector<std::string>& archives) {
  ArchiveSetOptions options;
  options.archives = archives;
  return options;
}

/// The message that opening and checking ends with; empty when nothing is wrong.
std::string fault_of(const ArchiveSetOptions& options) {
  try {
    ArchiveSet set(options);
    set.check_samples(MPI_COMM_SELF);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

void expect_words(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << word << "\n" << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

bool notes_say(const ArchiveSet& set, const std::string& words) {
  for (const std::string& note : set.findings().notes)
    if (note.find(words) != std::string::npos) return true;
  return false;
}

TEST(ArchiveList, PatternsAndRepetitions) {
  const SharedFolder folder;
  for (const char* name : {"b1.h5", "a1.h5", "a2.h5", "odd[1].h5"}) std::ofstream(folder.file(name)) << "x";
  fs::create_symlink(folder.file("a1.h5"), folder.file("z.h5"));
  std::vector<std::string> repeated;
  EXPECT_EQ(expand_archives({folder.file("b1.h5"), folder.file("?1.h5"), folder.file("[az]*.h5")}, &repeated),
            (std::vector<std::string>{folder.file("b1.h5"), folder.file("a1.h5"), folder.file("a2.h5")}));
  EXPECT_EQ(repeated, (std::vector<std::string>{folder.file("b1.h5"), folder.file("a1.h5"), folder.file("z.h5")}));
  EXPECT_EQ(expand_archives({folder.file("odd[1].h5")}), (std::vector<std::string>{folder.file("odd[1].h5")}));
  for (const char* name : {"no.h5", "no*.h5", "."}) EXPECT_THROW(expand_archives({folder.file(name)}), InputError);
}

TEST(ArchiveSet, JoinsArchivesOfSeveralRuns) {
  const SharedFolder folder;
  write(folder.file("a.h5"), {{{198301, 0, 3}, {198302, 1, 2}}});
  write(folder.file("b.h5"), {{{198303, 0, 4}}, 100});
  ArchiveSet set(options_of({folder.file("*.h5")}));
  std::vector<std::int64_t> visited;
  EXPECT_TRUE(set.check_samples(MPI_COMM_SELF, [&](const Sample& s) { visited.push_back(s.info.number); }));
  EXPECT_EQ(set.size(), 9);
  EXPECT_EQ(set.training(), (std::vector<std::int64_t>{0, 1, 2, 5, 6, 7, 8}));
  EXPECT_EQ(visited, set.training());
  EXPECT_EQ(set.held_out(), (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(set.held_out_months(), (std::set<int>{198302}));
  EXPECT_EQ(set.training_months(), (std::set<int>{198301, 198303}));
  const Sample sample = set.read(7);
  EXPECT_EQ(sample.info.number, 7);
  EXPECT_EQ(sample.input, test::whole_sample(Tiling(6, 1, 1), 102).input);
  EXPECT_TRUE(set.findings().notes.empty());
}

TEST(ArchiveSet, RefusesWhatDoesNotGoTogether) {
  const SharedFolder folder;
  const std::string a = folder.file("a.h5"), b = folder.file("b.h5");
  write(a, {{{198301, 0, 2}}});
  write(b, {{{198302, 0, 2}}, 0, 12});
  expect_words(fault_of(options_of({a, b})), {b, "C12", a, "C6", "one grid and interval"});
  write(b, {{{198302, 0, 2}}, 0, 6, 7200});
  expect_words(fault_of(options_of({a, b})), {b, "7200 s", "3600 s"});
  write(b, {{}});
  expect_words(fault_of(options_of({b})), {"no sample", b});
}

TEST(ArchiveSet, HoldsOutWholeMonthsInEveryArchive) {
  const SharedFolder folder;
  const std::string a = folder.file("a.h5"), b = folder.file("b.h5");
  write(a, {{{198301, 0, 2}, {198302, 1, 2}, {198303, 0, 2}, {198304, 0, 2}}});
  write(b, {{{198302, 0, 3}, {198305, 0, 1}}, 50});  // trains on what a holds out
  ArchiveSetOptions options = options_of({a, b});
  const ArchiveSet marked(options);
  EXPECT_EQ(marked.held_out(), (std::vector<std::int64_t>{2, 3, 8, 9, 10}));
  EXPECT_EQ(marked.findings().moved, 3);
  EXPECT_TRUE(notes_say(marked, "1983-02 is held out by one archive and trained on in another"));
  for (const std::int64_t k : marked.held_out()) EXPECT_EQ(marked.read(k).info.validation, 1) << k;

  options.held_out = *HeldOutRule::parse({"1983-05", "1983-01"});
  EXPECT_EQ(ArchiveSet(options).held_out(), (std::vector<std::int64_t>{0, 1, 11}));
  EXPECT_EQ(ArchiveSet(options).read(2).info.validation, 0);  // whatever the archive says
  options.held_out = *HeldOutRule::parse({"1983-05", "1990-01"});
  expect_words(fault_of(options), {"1990-01", "no archive holds", "1983-01"});

  options.held_out = *HeldOutRule::parse({"0.3"});  // of five months: two
  std::set<std::set<int>> choices;
  for (options.seed = 1; options.seed <= 12; ++options.seed) {
    const ArchiveSet set(options);
    EXPECT_EQ(set.held_out_months().size(), 2u);
    for (const int month : set.held_out_months()) EXPECT_FALSE(set.training_months().count(month));
    EXPECT_EQ(ArchiveSet(options).held_out(), set.held_out());
    choices.insert(set.held_out_months());
  }
  EXPECT_GT(choices.size(), 1u);
  EXPECT_NE(ArchiveSet(options).fingerprint(), marked.fingerprint());

  options = options_of({b});
  options.held_out = *HeldOutRule::parse({"1983-02", "1983-05"});
  expect_words(fault_of(options), {"no month", "to train on"});
}

TEST(HeldOutRule, Words) {
  EXPECT_EQ(HeldOutRule::parse({"archive"})->kind, HeldOutRule::Kind::as_marked);
  EXPECT_EQ(HeldOutRule::parse({"0.25"})->share, 0.25);
  EXPECT_EQ(HeldOutRule::parse({"1990-01"})->months, (std::set<int>{199001}));
  EXPECT_TRUE(HeldOutRule::parse({})->months.empty());
  for (const char* word : {"0", "1", "1.5", "-0.1", "all", "1990-13", "nan"})
    EXPECT_FALSE(HeldOutRule::parse({word})) << word;
  EXPECT_FALSE(HeldOutRule::parse({"archive", "1990-01"}));
  EXPECT_FALSE(HeldOutRule::parse({"0.2", "0.3"}));
}

TEST(ArchiveSet, SamplesThatCameBeforeAreTakenOnce) {
  const SharedFolder folder;
  const std::string a = folder.file("a.h5");
  write(a, {{{198301, 0, 4}}});
  fs::copy_file(a, folder.file("copy.h5"));
  write(folder.file("longer.h5"), {{{198301, 0, 6}}});  // the same run, further on
  const ArchiveSet set(options_of({a, folder.file("a.*"), folder.file("copy.h5"), folder.file("longer.h5")}));
  EXPECT_EQ(set.size(), 6);
  EXPECT_EQ(set.findings().duplicates, 8);
  EXPECT_TRUE(notes_say(set, "a.h5 is named more than once"));
  EXPECT_TRUE(notes_say(set, "copy.h5: 4 of its 4 samples have come before"));
  EXPECT_TRUE(notes_say(set, "longer.h5: 4 of its 6 samples have come before"));
}

TEST(ArchiveSet, BadSamplesAreRefusedOrSkipped) {
  const SharedFolder folder;
  const std::string nan = folder.file("nan.h5"), damaged = folder.file("damaged.h5");
  write(nan, {{{198301, 0, 5}}, 0, 6, 3600, true, 2});
  write(damaged, {{{198302, 0, 5}}, 8});
  std::ifstream in(damaged, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const float value = test::value_at(9, 5, 100);
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof value));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(damaged, std::ios::binary) << bytes;
  expect_words(fault_of(options_of({nan})), {nan, "sample 2", "not finite", "learner.bad_samples=skip"});
  expect_words(fault_of(options_of({damaged})), {damaged, "sample 1", "checksum", "learner.bad_samples=skip"});

  ArchiveSetOptions options = options_of({nan, damaged});
  options.skip_bad = true;
  ArchiveSet set(options);
  EXPECT_TRUE(set.check_samples(MPI_COMM_SELF));
  EXPECT_EQ(set.size(), 8);
  EXPECT_EQ(set.findings().bad, 2);
  EXPECT_TRUE(notes_say(set, "nan.h5: 1 samples are damaged or not finite and left out (2)"));
  EXPECT_EQ(set.read(2).input, test::whole_sample(Tiling(6, 1, 1), 3).input);  // the list has closed up
  for (std::int64_t k = 0; k < set.size(); ++k) EXPECT_NO_THROW(set.read(k));
}

TEST(ArchiveSet, UnfinishedArchivesAreRefusedOrRead) {
  const SharedFolder folder;
  const std::string open = folder.file("killed.h5"), cut = folder.file("cut.h5"), whole = folder.file("whole.h5");
  write(open, {{{198301, 0, 5}}, 0, 6, 3600, false});
  write(whole, {{{198302, 0, 40}}, 0});
  std::ifstream in(whole, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::ofstream(cut, std::ios::binary) << bytes.substr(0, bytes.size() * 7 / 10);

  expect_words(fault_of(options_of({open})), {open, "still being written", "learner.unfinished=read"});
  expect_words(fault_of(options_of({cut})), {cut, "truncated", "learner.unfinished=read"});
  ArchiveSetOptions options = options_of({open, cut});
  options.read_unfinished = true;
  ArchiveSet set(options);
  EXPECT_TRUE(set.check_samples(MPI_COMM_SELF));
  // All that were flushed of one, and of the other those in front of the cut.
  std::int64_t of_cut = 0;
  for (std::int64_t k = 0; k < set.size(); ++k) of_cut += set.read(k).info.month == 198302;
  EXPECT_EQ(set.size() - of_cut, 5);
  EXPECT_GT(of_cut, 10);
  EXPECT_LT(of_cut, 36);
  EXPECT_EQ(set.findings().bad, 40 - of_cut);
  for (std::int64_t k = 0; k < of_cut; ++k)  // the whole ones, in order, from the first
    EXPECT_EQ(set.read(5 + k).input, test::whole_sample(Tiling(6, 1, 1), k).input) << k;
  EXPECT_TRUE(notes_say(set, "killed.h5 is unfinished"));
  EXPECT_TRUE(notes_say(set, "cut.h5 is cut off"));
}

TEST(ParallelArchiveSet, RanksAgreeOnBadSamples) {
  const SharedFolder folder;
  if (test::world_rank() == 0) write(folder.file("a.h5"), {{{198301, 0, 39}}, 0, 6, 3600, true, 4});
  MPI_Barrier(MPI_COMM_WORLD);
  ArchiveSetOptions options = options_of({folder.file("a.h5")});
  EXPECT_THROW(ArchiveSet(options).check_samples(MPI_COMM_WORLD), InputError);
  options.skip_bad = true;
  ArchiveSet set(options);
  ASSERT_EQ(set.block_samples(), 16);
  ASSERT_EQ(set.blocks(), 3);
  std::vector<int> visits(39, 0);
  EXPECT_TRUE(set.check_samples(MPI_COMM_WORLD, [&](const Sample& sample) {
    EXPECT_EQ(sample.info.number / 16 % test::world_size(), test::world_rank());  // whole blocks
    ++visits[static_cast<std::size_t>(sample.info.number)];
  }));
  EXPECT_EQ(set.training().size(), 38u);
  MPI_Allreduce(MPI_IN_PLACE, visits.data(), 39, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  for (int k = 0; k < 39; ++k) EXPECT_EQ(visits[static_cast<std::size_t>(k)], k == 4 ? 0 : 1) << k;
}

}  // namespace
}  // namespace tramontane
