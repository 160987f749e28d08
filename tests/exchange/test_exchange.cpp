// The folder through which two jobs meet: marks, notes, claims, and the two ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <numeric>
#include <span>
#include <thread>

#include "another_process.hpp"
#include "job.hpp"
#include "kernels/errors.hpp"
#include "src/exchange/learner_end.hpp"
#include "src/exchange/solver_end.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;

Deck exchange_deck(const Scratch& scratch, const std::string& silence = "1s") {
  return parse_deck("", "deck.yaml",
                    {"exchange.dir=" + (scratch / "x"), "exchange.silence=" + silence, "exchange.wait=2s",
                     "exchange.final_wait=1s", "surrogate.coarse_n=8"});
}

RunAnnouncement announcement(const Scratch& scratch) {
  RunAnnouncement run;
  run.run_id = "0123";
  run.archive = scratch / "archive.h5";
  run.output_dir = scratch / "run";
  run.n = 16;
  run.coarse_n = 8;
  run.interval_seconds = 3600;
  run.training = 40;
  run.validation = 8;
  return run;
}

TEST(FlushMark, TellsWhenTheStructureChanges) {
  const Scratch scratch("mark");
  FlushMarkReader reader(scratch / "archive.mark");
  EXPECT_FALSE(reader.read());
  FlushMarkWriter writer(scratch / "archive.mark", 7);
  EXPECT_TRUE(reader.read()->is_changing());
  std::uint64_t last = 0;
  for (const ArchiveChange change : {ArchiveChange::flushed, ArchiveChange::begins, ArchiveChange::flushed,
                                     ArchiveChange::begins, ArchiveChange::begins, ArchiveChange::completed}) {
    writer.tell(change, 16);
    const FlushState state = reader.read().value();
    EXPECT_EQ(state.run, 7u);
    EXPECT_EQ(state.is_changing(), change == ArchiveChange::begins);
    EXPECT_GT(state.generation, last) << "never the same twice";
    last = state.generation;
  }
  EXPECT_TRUE(reader.read()->is_over());
  EXPECT_EQ(reader.read()->samples, 16);
  FlushMarkWriter next(scratch / "archive.mark", 8);
  EXPECT_EQ(reader.read()->run, 8u) << "a new run's mark is seen by those who had the old one open";
  next.tell(ArchiveChange::flushed, 32);
  last = reader.read()->generation;
  FlushMarkWriter again(scratch / "archive.mark", 8, 16);
  EXPECT_GT(reader.read()->generation, last) << "a run that goes on must not repeat a generation that readers know";
  EXPECT_TRUE(reader.read()->is_changing());
  EXPECT_EQ(reader.read()->samples, 16);
}

TEST(FlushMark, EveryFlippedBitIsNoticed) {
  const Scratch scratch("mark-bits");
  FlushMarkWriter writer(scratch / "archive.mark", 7);
  writer.tell(ArchiveChange::flushed, 3);
  const std::string good = read_text(scratch / "archive.mark");
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    scratch.write("archive.mark", bad);
    EXPECT_FALSE(FlushMarkReader(scratch / "archive.mark").read()) << bit;
  }
}

TEST(Notes, AHeartbeatIsSeenAndItsEndToo) {
  const Scratch scratch("beat");
  BeatWatch watch;
  {
    Beacon beacon(scratch / "note.json", "me", 0.02, note_head("learner", 1));
    watch.see(read_note(scratch / "note.json"));
    EXPECT_FALSE(watch.has_changed()) << "one look at a note says nothing of its writer";
    for (int k = 0; k < 200 && !watch.has_changed(); ++k) {
      std::this_thread::sleep_for(10ms);
      watch.see(read_note(scratch / "note.json"));
    }
    EXPECT_TRUE(watch.has_changed());
    EXPECT_FALSE(watch.is_dead(5));
    beacon.update({{"step", 12}});
    EXPECT_EQ(number_in(*read_note(scratch / "note.json"), "step"), 12);
  }
  watch.see(read_note(scratch / "note.json"));
  std::this_thread::sleep_for(60ms);
  watch.see(read_note(scratch / "note.json"));
  EXPECT_TRUE(watch.is_dead(0.05));
  EXPECT_FALSE(watch.is_dead(60)) << "this process lives, so only silence tells";
}

// A full disk has no room for a new file, but the old one's room is still there.
TEST(Notes, AHeartGoesOnBeatingWhereNoFileCanBeMade) {
  if (geteuid() == 0) {
    const Scratch scratch("no-room");
    Beacon beacon(scratch / "note.json", "me", 10, note_head("learner", 1));
    // A folder in the way of the side file stands for the full disk: root may write everywhere else.
    std::filesystem::create_directories(scratch / "note.json.me.part");
    beacon.update({{"step", 12}});
    EXPECT_EQ(number_in(*read_note(scratch / "note.json"), "step"), 12);
    EXPECT_EQ(beacon.failure(), "");
  }
}

TEST(Claims, ALivingHolderIsRefused) {
  const Scratch scratch("claim");
  const Deck deck = exchange_deck(scratch, "5s");
  const LearnerEnd first(deck);
  try {
    const LearnerEnd second(deck);
    FAIL() << "two learners hold one folder";
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("a learner is at work there already"), std::string::npos) << text;
    EXPECT_NE(text.find("process " + std::to_string(getpid())), std::string::npos) << text;
  }
  EXPECT_TRUE(std::filesystem::exists(scratch / "x/learner.claim"));
}

TEST(Claims, ADeadHolderIsTakenOverFrom) {
  const Scratch scratch("claim-dead");
  const Deck deck = exchange_deck(scratch, "60s");
  const pid_t child = in_another_process([&] {
    const LearnerEnd learner(deck);
    raise(SIGKILL);
    return 0;
  });
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(std::filesystem::exists(scratch / "x/learner.claim"));
  const auto start = std::chrono::steady_clock::now();
  { const LearnerEnd second(deck); }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s) << "a process that is gone needs no time of silence";
  EXPECT_FALSE(std::filesystem::exists(scratch / "x/learner.claim")) << "released";
}

// A stopped process is what a node that hangs looks like.
TEST(Claims, AHolderThatHangsLosesItsPlaceAndNoticesWhenItWakes) {
  const Scratch scratch("claim-hung");
  const Deck deck = exchange_deck(scratch, "1s");
  const pid_t child = in_another_process([&] {
    LearnerEnd learner(deck);
    raise(SIGSTOP);
    try {
      for (int k = 0; k < 500; ++k) {
        learner.beat(k);
        std::this_thread::sleep_for(10ms);
      }
    } catch (const RunError& error) {
      return std::string(error.what()).find("another learner has taken this one's place") != std::string::npos ? 7 : 8;
    }
    return 9;
  });
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  const LearnerEnd second(deck);
  kill(child, SIGCONT);
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << WEXITSTATUS(status);
  EXPECT_EQ(text_in(*read_note(scratch / "x/learner.json"), "state"), "waiting") << "the second one's note stands";
}

TEST(Claims, OfManyAtOnceOneGetsIt) {
  const Scratch scratch("claim-race");
  const Deck deck = exchange_deck(scratch, "20s");
  // A dead holder before them, so that all try to take over.
  waitpid(in_another_process([&] {
            const LearnerEnd learner(deck);
            raise(SIGKILL);
            return 0;
          }),
          nullptr, 0);
  std::vector<pid_t> children;
  for (int k = 0; k < 8; ++k)
    children.push_back(in_another_process([&] {
      try {
        const LearnerEnd learner(deck);
        // Until all the others have looked for a heartbeat.
        for (int w = 0; w < 4000 && !std::filesystem::exists(scratch / "over"); ++w) std::this_thread::sleep_for(10ms);
        return 7;
      } catch (const InputError&) {
        return 8;
      }
    }));
  int holders = 0, refused = 0;
  for (std::size_t k = 0; k < children.size(); ++k) {
    int status = 0;
    waitpid(-1, &status, 0);
    holders += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    refused += WIFEXITED(status) && WEXITSTATUS(status) == 8;
    if (refused == 7) scratch.write("over", "");
  }
  EXPECT_EQ(holders, 1);
  EXPECT_EQ(refused, 7);
}

TEST(Exchange, WeightsGoOneWayAndVerdictsTheOther) {
  const Scratch scratch("ends");
  const Deck deck = exchange_deck(scratch, "2s");
  SolverEnd solver(deck, announcement(scratch));
  EXPECT_FALSE(solver.poll());
  EXPECT_FALSE(solver.learner().is_lost) << "one may still come";
  LearnerEnd learner(deck);
  const FollowedRun run = read_run(learner.attach().value(), "x");
  EXPECT_EQ(run.announcement.archive, scratch / "archive.h5");
  EXPECT_EQ(run.announcement.training, 40);

  // Bytes that are no model: refused and counted, not handed on.
  learner.publish(std::vector<std::byte>(1000, std::byte{7}));
  for (int k = 0; k < 600 && solver.refused() == 0; ++k) {
    EXPECT_FALSE(solver.poll());
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(solver.refused(), 1);
  std::optional<Verdict> verdict;
  for (int k = 0; k < 600 && !verdict; ++k) {
    verdict = learner.verdict();
    std::this_thread::sleep_for(10ms);
  }
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->version, 1);
  EXPECT_FALSE(verdict->is_promoted);

  learner.end("done", 40, 1);
  for (int k = 0; k < 600 && !solver.learner().is_done; ++k) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(solver.learner().is_done);
}

// A run that went on knows its learner again; one that died while the run was away may be started again, and is waited for as
// one that has not come yet.
TEST(Exchange, ARunThatGoesOnKnowsItsLearnerAgain) {
  const Scratch scratch("goes-on");
  const Deck deck = exchange_deck(scratch, "20s");
  RunAnnouncement run = announcement(scratch);
  run.takes_snapshots = true;
  auto first = std::make_unique<SolverEnd>(deck, run);
  auto learner = std::make_unique<LearnerEnd>(deck);
  const FollowedRun followed = read_run(learner->attach().value(), "x");
  EXPECT_TRUE(followed.announcement.takes_snapshots);
  learner->beat(3);
  ASSERT_TRUE(comes_true([&] { return first->learner().step == 3; }));
  first->archive_changed(ArchiveChange::flushed, 12);
  const ExchangePast past = first->past();
  EXPECT_EQ(past.run, token_text(followed.token));
  EXPECT_EQ(past.samples, 12);
  EXPECT_EQ(past.learners, 1);
  first->archive_changed(ArchiveChange::flushed, 16);
  first->pause();
  first->archive_changed(ArchiveChange::ended, 16);
  EXPECT_FALSE(FlushMarkReader(scratch / "x/archive.mark").read()->is_over()) << "the run will go on";
  first->finish("paused");
  first.reset();

  RunWatch watch(scratch / "x/solver.json", followed.token, true, 20);
  EXPECT_EQ(watch.look(), RunSight::away);
  EXPECT_NE(watch.why_away().find("has been stopped, with a snapshot"), std::string::npos) << watch.why_away();
  auto second = std::make_unique<SolverEnd>(deck, run, &past);
  EXPECT_EQ(watch.look(), RunSight::lives);
  EXPECT_EQ(FlushMarkReader(scratch / "x/archive.mark").read()->run, followed.token);
  EXPECT_TRUE(comes_true([&] { return second->learner().step == 3; })) << "the same learner lives";
  EXPECT_EQ(second->learners_seen(), 1);
  // Taken before the run went back to its snapshot, and not in the archive again: the counts close all the same.
  learner->end("stopped", 14, 0);
  ASSERT_TRUE(comes_true([&] { return second->ledger(20).has_learner; }));
  second->archive_changed(ArchiveChange::flushed, 13);
  EXPECT_TRUE(second->ledger(20).closed());
  EXPECT_EQ(second->ledger(20).lost, 6);
  learner.reset();
  second->finish("paused");
  second.reset();

  SolverEnd third(deck, run, &past);
  third.expect_signs();
  EXPECT_FALSE(third.learner().is_lost) << "it may come back";
  EXPECT_TRUE(comes_true([&] { return third.learner().is_lost; })) << "not for longer than exchange.final_wait";
  EXPECT_NE(third.learner().why.find("no learner has come"), std::string::npos);
}

// Before the first snapshot there is nothing to go on from but the deck, which makes the same samples.
TEST(Exchange, ARunThatFoundNoSnapshotIsTheSameRunToItsLearner) {
  const Scratch scratch("no-snapshot");
  RunAnnouncement run = announcement(scratch);
  run.takes_snapshots = true;
  Deck deck = exchange_deck(scratch, "20s");
  const auto token_of = [&](const Deck& own, const RunAnnouncement& announced) {
    const SolverEnd end(own, announced);
    return text_in(*read_note(scratch / "x/solver.json"), "run");
  };
  const std::string first = token_of(deck, run);
  deck.checkpoint.resume = "auto";
  EXPECT_EQ(token_of(deck, run), first);
  RunAnnouncement other = run;
  other.run_id = "4567";
  const std::string another = token_of(deck, other);
  EXPECT_NE(another, first);
  deck.checkpoint.resume = "none";
  EXPECT_NE(token_of(deck, other), another) << "begun anew on purpose";
}

TEST(Exchange, ALearnerThatNeverComesOrNeverEndsDoesNotHoldTheRun) {
  const Scratch scratch("final-wait");
  const Deck deck = exchange_deck(scratch, "30s");
  SolverEnd solver(deck, announcement(scratch));
  solver.expect_signs();
  std::this_thread::sleep_for(1100ms);
  EXPECT_TRUE(solver.learner().is_lost);
  EXPECT_NE(solver.learner().why.find("no learner has come"), std::string::npos);
  LearnerEnd learner(deck);
  learner.attach();
  learner.beat(17);
  for (int k = 0; k < 800 && solver.learner().step != 17; ++k) std::this_thread::sleep_for(10ms);
  EXPECT_NE(solver.learner().why.find("is at step 17 and has not ended within exchange.final_wait"), std::string::npos)
      << solver.learner().why;
}

TEST(Exchange, NoRunIsSaidAfterTheWait) {
  const Scratch scratch("no-run");
  LearnerEnd learner(exchange_deck(scratch));
  try {
    learner.attach();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("no run has begun there within 2s"), std::string::npos) << error.what();
  }
}

TEST(Exchange, LedgerOfTwoJobs) {
  ExchangeLedger ledger;
  ledger.produced = 10;
  ledger.archived = 8;
  ledger.lost = 2;
  ledger.taken = 5;
  ledger.rejected = 1;
  ledger.left = 2;
  EXPECT_TRUE(ledger.closed());
  EXPECT_EQ(to_string(ledger), "produced 10 = taken 5 + left in the archive 2 + rejected 1 + lost 2");
  ledger.taken = 9;
  ledger.left = -2;
  EXPECT_FALSE(ledger.closed());
}

}  // namespace
}  // namespace tramontane::testing
