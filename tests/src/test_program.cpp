// The program as users start it: exit codes and sentences for wrong input, on one rank and on several.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/precision.hpp"
#include "src/deck/checks.hpp"
#include "src/deck/keys.hpp"

namespace {

namespace fs = std::filesystem;

struct Result {
  int code;
  std::string out, err;
};

class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tramontane-program-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string deck(const std::string& text) {
    const fs::path file = folder_ / "deck.yaml";
    std::ofstream(file) << text;
    return file.string();
  }

  /// Starts the program; `launcher` is put before it. The environment of this MPI job must not reach the next one.
  Result start(const std::string& arguments, const std::string& launcher = "",
               const std::string& program = TRAMONTANE_PROGRAM) {
    const std::string out = (folder_ / "out").string(), err = (folder_ / "err").string();
    const std::string command =
        "env -i PATH=\"$PATH\" HOME=\"${HOME:-/}\" TMPDIR=\"${TMPDIR:-/tmp}\" OMPI_ALLOW_RUN_AS_ROOT=1 "
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 ASAN_OPTIONS=\"$ASAN_OPTIONS\" timeout 120 " +
        launcher + " " + program + " " + arguments + " > " + out + " 2> " + err + " < /dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
  }

  static std::string read(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }

  fs::path folder_;
};

#define EXPECT_SENTENCE(result, exit_code, words)                                                                \
  do {                                                                                                           \
    const Result r = (result);                                                                                   \
    EXPECT_EQ(r.code, exit_code) << r.err;                                                                       \
    EXPECT_NE(r.err.find(words), std::string::npos) << r.err;                                                    \
    EXPECT_EQ(r.err.find("tramontane: error: "), r.err.rfind("tramontane: error: ")) << "said twice\n" << r.err; \
  } while (false)

TEST_F(Program, VersionHelpAndInfoEndWell) {
  const Result version = start("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("tramontane " TRAMONTANE_VERSION)) << version.out;
  EXPECT_NE(start("run --help").out.find("--set"), std::string::npos);
  EXPECT_NE(start("--keys").out.find("tiles_per_edge: 1"), std::string::npos);
  const Result info = start("info");
  EXPECT_EQ(info.code, 0);
  for (const char* word : {"Kokkos", "HDF5", "PETSc", "oneDNN", "CUDA", "MPI", "GPU memory", "parallel", tramontane::kPrecision})
    EXPECT_NE(info.out.find(word), std::string::npos) << word;
}

TEST_F(Program, WrongCommandLineIsBadInput) {
  EXPECT_SENTENCE(start(""), 2, "no subcommand");
  EXPECT_SENTENCE(start("fly deck.yaml"), 2, "--help");
  EXPECT_SENTENCE(start("run"), 2, "deck");
  EXPECT_SENTENCE(start("scale " + deck("")), 2, "later version");
}

TEST_F(Program, WrongDeckIsBadInput) {
  EXPECT_SENTENCE(start("run /no/such.yaml"), 2, "/no/such.yaml");
  EXPECT_SENTENCE(start("check " + deck("grid:\n  nn: 4\n")), 2,
                  "deck.yaml:2: unknown key 'grid.nn'; did you mean 'grid.n'?");
  EXPECT_SENTENCE(start("check " + deck("grid: {n: x}")), 2, "deck.yaml:1: grid.n expects a whole number");
  EXPECT_SENTENCE(start("check " + deck("") + " --set grid.n=50"), 2, "does not nest");
  EXPECT_SENTENCE(start("run " + deck("")), 2, "at least 2 ranks");
}

TEST_F(Program, PrecisionThatTheProcessorLacksIsBadInput) {
  // oneDNN can be told to overlook what the processor has.
  const std::string older = "env ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2",
                    file = deck("learner: {precision: bf16}\n");
  EXPECT_SENTENCE(start("check " + file, older), 2, "deck.yaml:1: learner.precision = bf16 needs a processor");
  EXPECT_SENTENCE(start("train " + file + " --set learner.archives=/no/archive.h5", older), 2, "AVX512_BF16");
  EXPECT_EQ(start("check " + file + " --set learner.precision=f32", older).code, 0);
}

TEST_F(Program, WrongFilesAreBadInput) {
  EXPECT_SENTENCE(start("check " + deck("") + " --set data.winds=/no/winds.cdf"), 2, "/no/winds.cdf");
  const std::string alone = deck("surrogate: {kind: none}\n");
  EXPECT_SENTENCE(start("run " + alone + " --set data.relief=" + alone), 2, "data.relief");
  EXPECT_SENTENCE(start("run " + alone + " --set output.dir=" + alone + "/x"), 2, "output.dir");
  EXPECT_SENTENCE(start("check " + alone + " --set output.dir=" + alone + "/x"), 2, "output.dir");
  EXPECT_SENTENCE(
      start("train " + deck("learner: {archives: /no/archive.h5}") + " --set output.dir=" + folder_.string()), 2,
      "/no/archive.h5");
}

TEST_F(Program, CheckPrintsAPlanAndWritesNothing) {
  const std::string file = deck("initial: {case: williamson2}\nsurrogate: {kind: none}\n");
  const Result result = start("check " + file + " --ranks 4 --set output.dir=" + (folder_ / "run").string());
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* word : {"4 rank(s)", "solver", "13824 cells", "wall time"})
    EXPECT_NE(result.out.find(word), std::string::npos) << word << "\n" << result.out;
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Program, EveryDeckOfInputsPassesItsCheck) {
  // Data, archives and models need not be there: what is held here is that keys and numbers make sense together.
  int decks = 0;
  for (const auto& entry : fs::directory_iterator(TRAMONTANE_SOURCE_DIR "/inputs")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string name = entry.path().stem();
    if (name == "galewsky-viscous" && !tramontane::find_key("physics.viscosity"))
      continue;  // a build without viscosity
    const tramontane::Command command = name == "train-offline" ? tramontane::Command::train
                                        : name == "forecast"    ? tramontane::Command::forecast
                                                                : tramontane::Command::run;
    const tramontane::Deck deck = tramontane::read_deck(entry.path().string());
    EXPECT_NO_THROW(tramontane::check_deck(deck, command, tramontane::least_ranks(deck, command))) << name;
    ++decks;
  }
  EXPECT_GE(decks, 13);
}

TEST_F(Program, OnSeveralRanksOneSentenceIsSaidAndAllEnd) {
  const std::string launcher = "mpirun --oversubscribe -n 3";
  EXPECT_SENTENCE(start("run " + deck("grid:\n  nn: 4\n"), launcher), 2, "did you mean 'grid.n'?");
  EXPECT_SENTENCE(start("run " + deck("") + " --set data.winds=/no/winds.cdf", launcher), 2, "/no/winds.cdf");
  EXPECT_SENTENCE(start("run /no/such.yaml", launcher), 2, "/no/such.yaml");
}

// A rank that fails while the others wait in a collective ends the job; without that the launcher's own limit would
// (exit code 124).
TEST_F(Program, LoneFailureEndsTheJob) {
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  EXPECT_SENTENCE(start("--gtest_also_run_disabled_tests --gtest_filter=DISABLED_LoneFailure.*",
                        "mpirun --oversubscribe -n 3", self),
                  2, "rank 1 alone has no file");
}

}  // namespace
