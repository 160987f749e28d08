// Who integrates and who trains changes nothing but places: the same bits however ranks and programs are dealt.
#include <gtest/gtest.h>

#include "job.hpp"
#include "ml/model.hpp"

namespace tramontane::testing {
namespace {

constexpr const char* kOtherProgram = " : -n 2 " TRAMONTANE_PROGRAM " ";

/// One job of the small deck on two solver ranks and one learner rank, for every way to start it.
class Roles : public ::testing::Test {
 protected:
  static std::string arguments(const std::string& name) {
    const std::string folder = scratch() / name;
    return "run " + deck() + " --set output.dir=" + folder + " --set stream.archive=" + folder + "/archive.h5";
  }
  static const Scratch& scratch() {
    static const Scratch folder("roles");
    return folder;
  }
  static const std::string& deck() {
    static const std::string path = scratch().write("deck.yaml", small_deck());
    return path;
  }
  /// The job that mpirun -n 3 starts without a word about roles.
  static const Job& plain() {
    static const Job job = run_job(scratch(), "plain", 3, arguments("plain"));
    return job;
  }
  static void expect_same_bits(const std::string& name) {
    ASSERT_EQ(plain().code, 0) << plain().err;
    for (const char* file : {"/archive.h5", "/forecast.nc"})
      EXPECT_TRUE(datasets_of(scratch() / (name + file)) == datasets_of(scratch() / ("plain" + std::string(file))))
          << name << file;
    // A model file also tells its deck, which names the output folder.
    const Model expected = Model::load(scratch() / "plain/model.h5"), found = Model::load(scratch() / (name + "/model.h5"));
    EXPECT_TRUE(found.weights == expected.weights && found.normaliser == expected.normaliser) << name;
  }
};

TEST_F(Roles, TwoProgramsInOneJobGiveTheBitsOfOne) {
  // The learner's program comes first, so that its rank is MPI's rank 0.
  const std::string both = arguments("mpmd");
  const Job job = run_job(scratch(), "mpmd", 1, both + " --role learner" + kOtherProgram + both + " --role solver");
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.err.find("2 rank(s) integrate, 1 train"), std::string::npos) << job.err;
  expect_same_bits("mpmd");
}

TEST_F(Roles, AListOfLearnersGivesTheSameBits) {
  const Job job = run_job(scratch(), "listed", 3, arguments("listed") + " --set ranks.learner_ranks=[1]");
  ASSERT_EQ(job.code, 0) << job.err;
  expect_same_bits("listed");
  EXPECT_EQ(read_json(scratch() / "listed/summary.json")["ranks"]["learner"], 1);
}

TEST_F(Roles, ProgramsThatDisagreeAreRefused) {
  const std::string both = arguments("refused");
  const auto error_of = [&](const std::string& learner, const std::string& solver) {
    const Job job = run_job(scratch(), "refused", 1, both + learner + kOtherProgram + both + solver);
    EXPECT_EQ(job.code, 2) << job.err;
    // One sentence.
    EXPECT_EQ(job.err.find("tramontane: error: "), job.err.rfind("tramontane: error: ")) << job.err;
    return job.err;
  };
  EXPECT_NE(error_of(" --role learner", " --role solver --set grid.n=48").find("grid.n = 48 here and grid.n = 24 there"),
            std::string::npos);
  EXPECT_NE(error_of(" --role learner", "").find("without --role"), std::string::npos);
  EXPECT_NE(error_of(" --role learner --set ranks.solver=1", " --role solver --set ranks.solver=1").find("ranks.solver = 1"),
            std::string::npos);
  EXPECT_NE(error_of(" --role teacher", " --role solver").find("teacher"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch() / "refused")) << "nothing is written before the roles are sound";
}

TEST_F(Roles, CheckPrintsWhoSitsWhere) {
  const Job job = run_job(scratch(), "check", 1,
                          "check " + deck() + " --ranks 8 --set ranks.learner=2 --ranks-per-node 4 --gpus-per-node 2");
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.out.find("6 rank(s) integrate, 2 train: node0 3 + 1, node1 3 + 1"), std::string::npos) << job.out;
}

}  // namespace
}  // namespace tramontane::testing
