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

}  // namespace
}  // namespace tramontane::testing
