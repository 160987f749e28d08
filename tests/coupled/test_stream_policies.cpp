// A learner that can not keep up, and a queue of one: what the policies do to a whole run.
#include <gtest/gtest.h>

#include "job.hpp"
#include "src/archive/archive_reader.hpp"

namespace tramontane::testing {
namespace {

TEST(StreamPolicies, DroppedSamplesAreCountedAndTheRunEnds) {
  for (const char* policy : {"drop_oldest", "drop_newest"}) {
    SCOPED_TRACE(policy);
    const Scratch scratch(policy);
    const std::string deck = scratch.write("deck.yaml", small_deck()), folder = scratch / "run";
    // A step of 64 samples takes some ten times as long as an hour of the solver, and between steps one frame fits.
    const Job job = run_job(scratch, "run", 2,
                            "run " + deck + " --set output.dir=" + folder + " --set stream.archive=" + folder +
                                "/archive.h5 --set stream.queue=1 --set stream.when_full=" + policy +
                                " --set learner.deterministic=false --set learner.batch=64 --set learner.steps=40 "
                                "--set learner.watermark=4");
    ASSERT_EQ(job.code, 0) << job.err;
    const nlohmann::json stream = read_json(folder + "/summary.json")["stream"];
    const int produced = stream["produced"], delivered = stream["delivered"], dropped = stream["dropped"];
    EXPECT_EQ(produced, 96);
    EXPECT_EQ(produced, delivered + dropped);
    EXPECT_EQ(stream["in_flight"], 0);
    EXPECT_EQ(stream["rejected"], 0);
    EXPECT_GT(dropped, 0);
    EXPECT_GE(delivered, 4);  // the watermark was reached
    // The archive keeps what the stream let go.
    EXPECT_EQ(ArchiveReader(folder + "/archive.h5").size(), produced);
  }
}

// The archive keeps every sample, and the record tells which of them came to the learner, and when.
TEST(StreamPolicies, ATrainingFromTheArchiveInTheRecordedOrderGivesTheSameBits) {
  const Scratch scratch("replay");
  const std::string deck = scratch.write("deck.yaml", small_deck()), folder = scratch / "run";
  const std::string settings =
      " --set learner.batch=64 --set learner.steps=40 --set learner.watermark=4 --set learner.reservoir=16";
  // Timing decides what is dropped and what a step draws from.
  const Job run = run_job(scratch, "run", 2,
                          "run " + deck + " --set output.dir=" + folder + " --set stream.archive=" + folder +
                              "/archive.h5 --set stream.queue=1 --set stream.when_full=drop_newest "
                              "--set learner.deterministic=false" +
                              settings);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_GT(read_json(folder + "/summary.json")["stream"]["dropped"], 0);
  const auto replay = [&](const std::string& name, const std::string& record) {
    return run_job(scratch, name, 1,
                   "train " + deck + " --set output.dir=" + (scratch / name) + " --set learner.archives=[" + folder +
                       "/archive.h5] --set learner.replay=" + record + settings);
  };
  const Job train = replay("train", folder + "/deliveries.csv");
  ASSERT_EQ(train.code, 0) << train.err;
  const auto streamed = datasets_of(folder + "/model.h5"), replayed = datasets_of(scratch / "train" + "/model.h5");
  for (const char* name : {"weights", "input_mean", "input_std", "target_std", "bound"}) {
    SCOPED_TRACE(name);
    const auto find = [&](const auto& all) {
      for (const auto& [path, bytes] : all)
        if (path.ends_with(name)) return bytes;
      return std::vector<std::byte>();
    };
    EXPECT_FALSE(find(streamed).empty());
    EXPECT_TRUE(find(streamed) == find(replayed));
  }
  const Job missing = replay("missing", folder + "/none.csv");
  EXPECT_EQ(missing.code, 2) << missing.err;
  EXPECT_NE(missing.err.find("none.csv cannot be read"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace tramontane::testing
