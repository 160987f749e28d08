// Wrong input to a whole job on several ranks: exit code 2, one sentence, and nothing that earlier runs left is lost.
#include <gtest/gtest.h>

#include <fstream>

#include "job.hpp"
#include "ml/model.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kError = "tramontane: error: ";

/// What the program said in its error line; empty unless there is exactly one.
std::string sentence_of(const Job& job) {
  const std::size_t at = job.err.find(kError);
  if (at == std::string::npos || at != job.err.rfind(kError)) return "";
  const std::size_t begin = at + std::string(kError).size();
  return job.err.substr(begin, job.err.find('\n', begin) - begin);
}

/// Every job writes into a copy of a finished run's folder, which must come out untouched.
class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
    fs::copy(small_run().folder, kept_, fs::copy_options::recursive);
    std::ofstream(kept_ + "/solver.nc") << "the fields of an earlier run";
    before_ = contents_of(kept_);
  }

  /// @param words what the sentence must contain: what is wrong, where, and what to do
  void expect_refused(int ranks, const std::string& arguments, const std::vector<std::string>& words) {
    SCOPED_TRACE(arguments);
    const Job job = run_job(scratch_, "job", ranks, arguments, 60);
    EXPECT_EQ(job.code, 2) << job.err;
    const std::string sentence = sentence_of(job);
    ASSERT_FALSE(sentence.empty()) << "not exactly one error\n" << job.err;
    for (const std::string& word : words) EXPECT_NE(sentence.find(word), std::string::npos) << word << "\n" << sentence;
    EXPECT_EQ(sentence.find(". "), std::string::npos) << "more than one sentence: " << sentence;
    // All ranks ended together: nobody had to be shot, and no library spoke up.
    for (const char* noise : {"MPI_ABORT", "HDF5-DIAG", "terminate called", "could not be reached", "PETSC ERROR"})
      EXPECT_EQ(job.err.find(noise), std::string::npos) << job.err;
    EXPECT_TRUE(processes_of(scratch_).empty());
    const auto after = contents_of(kept_);
    for (const auto& [name, text] : before_) {
      ASSERT_TRUE(after.count(name)) << name << " is gone";
      EXPECT_TRUE(after.at(name) == text) << name << " was changed";
    }
    EXPECT_EQ(after.size(), before_.size()) << "files were added";
  }

  /// A coupled run with settings, "key=value".
  std::string run(const std::vector<std::string>& settings) const { return command("run", settings); }
  std::string train(const std::string& archive, const std::vector<std::string>& settings = {}) const {
    return command("train", settings) + " --set learner.archives=" + archive;
  }
  std::string forecast(const std::string& model, const std::vector<std::string>& settings = {}) const {
    return command("forecast", settings) + " --set surrogate.model=" + model;
  }
  std::string command(const std::string& name, const std::vector<std::string>& settings) const {
    std::string text = name + " " + deck_ + " --set output.dir=" + kept_;
    for (const std::string& setting : settings) text += " --set " + setting;
    return text;
  }

  Scratch scratch_{"bad-input"};
  std::string kept_ = scratch_ / "kept", deck_ = scratch_.write("deck.yaml", small_deck());
  std::map<std::string, std::string> before_;
};

TEST_F(BadInput, Deck) {
  const std::string unknown = scratch_.write("unknown.yaml", small_deck() + "time:\n  dayz: 3\n");
  expect_refused(3, "run " + unknown + " --set output.dir=" + kept_,
                 {"unknown.yaml:21: unknown key 'time.dayz'", "did you mean 'time.days'?"});
  const std::string ill_typed = scratch_.write("ill-typed.yaml", small_deck() + "time:\n  days: many\n");
  expect_refused(3, "run " + ill_typed + " --set output.dir=" + kept_,
                 {"ill-typed.yaml:21: time.days expects a number, more than 0", "many"});
  expect_refused(3, run({"surrogate.coarse_n=10"}),
                 {"surrogate.coarse_n = 10 does not nest in grid.n = 24", "may be 8, 12"});
}

TEST_F(BadInput, Ranks) {
  expect_refused(1, run({}), {"needs at least 2 ranks", "mpirun -n 2"});
  expect_refused(3, run({"ranks.solver=3"}), {"ranks.solver = 3", "3 ranks", "at least 1"});
  expect_refused(3, train(small_run().archive, {"learner.batch=8"}), {"learner.batch = 8", "3 learner rank(s)"});
}

TEST_F(BadInput, Data) {
  const std::string winds = "/usr/share/ferret-vis/data/monthly_navy_winds.cdf",
                    relief = "/usr/share/ferret-vis/data/etopo20.cdf";
  expect_refused(3, run({"data.winds=/no/winds.cdf"}), {"data.winds = /no/winds.cdf", "no such file", "name another"});
  expect_refused(3, run({"data.winds=" + relief}), {"data.winds = " + relief, "no variable UWND", "name a file"});
  expect_refused(3, run({"data.relief=" + winds}), {"data.relief = " + winds, "no variable ROSE", "name a file"});
  expect_refused(3, run({"forecast.starts=[1999-01]"}),
                 {"forecast.starts: the month 1999-01", winds, "1982-01 to 1992-12"});
  // The layer would run dry over the mountains: found only once the state is made.
  expect_refused(3, run({"initial.mean_depth=3000"}),
                 {"1983-01", "m deep over its highest ground", "raise the mean depth"});
}

TEST_F(BadInput, Output) {
  const std::string file = scratch_.write("file", "");
  expect_refused(3, run({"output.dir=" + file + "/run"}), {"output.dir = " + file + "/run", "choose another folder"});
  expect_refused(3, run({"stream.archive=" + file + "/archive.h5"}), {"stream.archive", file, "choose"});
}

TEST_F(BadInput, TimeStep) {
  // At C24 the limit is about 1600 s.
  expect_refused(3, run({"time.dt=3600", "stream.archive=" + kept_ + "/archive.h5"}),
                 {"time.dt = 3600 s", "stability limit", "C24", "lower time.dt"});
  expect_refused(3, run({"time.dt=3600", "surrogate.kind=none"}), {"time.dt = 3600 s", "stability limit"});
  expect_refused(2, forecast(small_run().folder + "/model.h5", {"time.dt=3600"}), {"time.dt = 3600 s"});
}

TEST_F(BadInput, Model) {
  const std::string model = small_run().folder + "/model.h5";
  expect_refused(2, forecast("/no/model.h5"), {"surrogate.model = /no/model.h5", "no such file"});
  expect_refused(2, forecast(model, {"surrogate.coarse_n=8"}), {model, "C12", "C8", "surrogate.coarse_n = 12"});
  expect_refused(2, forecast(model, {"surrogate.interval=2h"}), {model, "3600 s", "7200 s", "surrogate.interval"});

  Model wrong = Model::load(model);
  for (float& value : wrong.self_test_output) value *= 1.01f;
  wrong.save(scratch_ / "self-test.h5");
  expect_refused(2, forecast(scratch_ / "self-test.h5"), {scratch_ / "self-test.h5", "fails its self-test"});

  std::string bytes = read_text(model);
  bytes[bytes.size() / 2] ^= 1;
  expect_refused(2, forecast(scratch_.write("corrupt.h5", bytes)), {scratch_ / "corrupt.h5", "corrupt", "copy it"});
  expect_refused(2, forecast(scratch_.write("short.h5", bytes.substr(0, bytes.size() / 2))),
                 {scratch_ / "short.h5", "truncated", "copy it"});
}

TEST_F(BadInput, Archive) {
  const std::string archive = small_run().archive, bytes = read_text(archive);
  expect_refused(2, train("/no/archive.h5"), {"learner.archives = /no/archive.h5", "no such file"});
  expect_refused(2, train(scratch_.write("short.h5", bytes.substr(0, bytes.size() * 6 / 10))),
                 {scratch_ / "short.h5", "truncated", "another file"});
  expect_refused(2, train(scratch_.write("text.h5", "no archive")), {scratch_ / "text.h5", "not an HDF5 file"});
  expect_refused(2, train(archive, {"surrogate.coarse_n=8"}),
                 {archive, "C12", "surrogate.coarse_n = 8", "surrogate.coarse_n=12"});
  expect_refused(2, train(archive, {"surrogate.interval=2h"}), {archive, "1h", "2h", "surrogate.interval=1h"});
}

TEST_F(BadInput, ArchiveWithADamagedSample) {
  std::string bytes = read_text(small_run().archive);
  for (std::size_t k = 0; k < 64; ++k) bytes[bytes.size() / 2 + k] ^= 0x5a;  // in the middle: samples
  const std::string damaged = scratch_.write("damaged.h5", bytes);
  expect_refused(2, train(damaged), {damaged, "does not match its checksum", "learner.bad_samples=skip"});

  const std::string folder = scratch_ / "skipped";
  const Job job = run_job(scratch_, "skip", 1,
                          "train " + deck_ + " --set output.dir=" + folder + " --set learner.archives=" + damaged +
                              " --set learner.bad_samples=skip --set learner.steps=11");
  EXPECT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.err.find("are damaged or not finite and left out"), std::string::npos) << job.err;
  const auto learner = read_json(folder + "/summary.json")["learner"];
  EXPECT_GE(learner["bad_samples"], 1);
  EXPECT_EQ(learner["bad_samples"].get<int>() + learner["training_samples"].get<int>() +
                learner["validation_samples"].get<int>(),
            96);
}

TEST_F(BadInput, Learner) {
  const std::string archive = small_run().archive;
  expect_refused(2, train("'" + small_run().folder + "/no*.h5'"), {"no*.h5", "no file matches"});
  expect_refused(2, train(archive, {"learner.validation=1.5"}), {"learner.validation = [1.5]", "share between"});
  expect_refused(2, train(archive, {"learner.validation=1991-01"}), {"1991-01", "no archive holds", "1990-01"});
  expect_refused(2, train(archive, {"learner.patience=2"}), {"learner.patience = 2", "learner.order = shuffled"});
  expect_refused(2, run({"learner.order=shuffled"}), {"learner.order = shuffled", "set it to stream"});
  expect_refused(1, train(archive, {"learner.order=shuffled", "learner.epochs=1"}), {"learner.warmup = 10", "9 steps"});
}

}  // namespace
}  // namespace tramontane::testing
