// A solver run that is stopped, killed or short of disk, and continued on other ranks and tiles: no bit may change.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <thread>

#include "job.hpp"
#include "kernels/precision.hpp"
#include "physics/cases/williamson2.hpp"
#include "src/checkpoint/checkpoint_store.hpp"
#include "src/checkpoint/file_seal.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/hdf5_handles.hpp"
#include "tests/precision.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// Short steps, so that there is time to interrupt it: some 5000 steps.
constexpr const char* kDeck =
    "grid: {n: 12}\n"
    "initial: {case: winds, month: 1983-01}\n"
    "time: {days: 2, dt: 35}\n"
    "surrogate: {kind: none}\n"
    "stream: {deadline: 30s}\n"
    "checkpoint: {every: 5h}\n"
    "output: {every: 12h, latlon: 10, plots: false}\n";
constexpr int kRecords = 5;

class Restart : public ::testing::Test {
 protected:
  /// The run that nothing interrupts, on two ranks.
  static const std::string& whole() {
    static const Scratch scratch("restart-whole");
    static const std::string folder = [] {
      const Job job = run_job(scratch, "whole", 2,
                              "run " + scratch.write("deck.yaml", kDeck) + " --set output.dir=" + (scratch / "run"));
      EXPECT_EQ(job.code, 0) << job.err;
      return scratch / "run";
    }();
    return folder;
  }

  std::string arguments(const std::string& settings = "") const {
    return "run " + deck_ + " --set output.dir=" + folder_ + settings;
  }
  std::vector<std::string> checkpoints() const { return list_checkpoints(folder_ + "/checkpoints"); }

  /// Runs on two ranks and, once `ready`, hands the job's processes over.
  Job interrupt(const std::function<bool()>& ready, const std::function<void(const std::map<pid_t, int>&)>& strike) {
    auto job = std::async(std::launch::async, [&] { return run_job(scratch_, "interrupted", 2, arguments()); });
    EXPECT_TRUE(comes_true(ready));
    strike(processes_of(scratch_));
    return job.get();
  }

  /// What was continued must be what the run that nothing interrupted left.
  void expect_same_as_whole() {
    EXPECT_TRUE(datasets_of(folder_ + "/solver.nc") == datasets_of(whole() + "/solver.nc"));
    EXPECT_TRUE(datasets_of(folder_ + "/solver_latlon.nc") == datasets_of(whole() + "/solver_latlon.nc"));
    const nlohmann::json mine = read_json(folder_ + "/summary.json")["solver"],
                         theirs = read_json(whole() + "/summary.json")["solver"];
    EXPECT_EQ(mine["steps"], theirs["steps"]);
    EXPECT_EQ(mine["dt_seconds"], theirs["dt_seconds"]);
    const auto lines = read_metrics(folder_ + "/metrics.jsonl"), others = read_metrics(whole() + "/metrics.jsonl");
    ASSERT_EQ(lines.size(), others.size());
    for (std::size_t k = 0; k < lines.size(); ++k) {
      EXPECT_EQ(lines[k]["time_seconds"], others[k]["time_seconds"]);
      EXPECT_EQ(lines[k]["steps"], others[k]["steps"]);
      // Sums run tile by tile: other tiles, other round-off; some 50 units in the last place of a sum over 864 cells.
      for (const char* drift : {"mass_drift", "energy_drift", "enstrophy_drift"})
        EXPECT_NEAR(lines[k][drift].get<double>(), others[k][drift].get<double>(), 1e-14) << drift;
    }
    for (const char* drift : {"mass_drift", "energy_drift", "enstrophy_drift"})
      EXPECT_NEAR(mine[drift].get<double>(), theirs[drift].get<double>(), 1e-14) << drift;
    // And the state itself, beyond what the output shows.
    EXPECT_TRUE(datasets_of(checkpoints().at(0)).at("state") ==
                datasets_of(list_checkpoints(whole() + "/checkpoints").at(0)).at("state"));
  }

  Scratch scratch_{"restart"};
  std::string deck_ = scratch_.write("deck.yaml", kDeck), folder_ = scratch_ / "run";
};

TEST_F(Restart, AfterASignalAtARandomMoment) {
  ASSERT_GT(datasets_of(whole() + "/solver.nc").at("h").size(), kRecords * 6u * 12 * 12);
  std::random_device random;
  for (int signal_number : {SIGTERM, SIGUSR1}) {
    const auto moment = std::chrono::milliseconds(random() % 200);
    SCOPED_TRACE(std::to_string(signal_number) + " after " + std::to_string(moment.count()) + " ms");
    fs::remove_all(folder_);
    const Job job = interrupt([&] { return !read_text(folder_ + "/metrics.jsonl").empty(); },
                              [&](const std::map<pid_t, int>& processes) {
                                std::this_thread::sleep_for(moment);
                                // One rank alone hears of SIGTERM; a batch system sends SIGUSR1 to all.
                                for (const auto& [process, rank] : processes)
                                  if (signal_number == SIGUSR1 || rank == 1) kill(process, signal_number);
                              });
    ASSERT_EQ(job.code, 4) << job.err;
    const std::string newest = checkpoints().at(0);
    EXPECT_NE(job.err.find("the checkpoint is " + newest), std::string::npos) << job.err;
    EXPECT_NE(job.err.find("checkpoint.resume=auto"), std::string::npos) << job.err;
    const Job rest =
        run_job(scratch_, "rest", 3, arguments(" --set checkpoint.resume=auto --set grid.tiles_per_edge=3"));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_NE(rest.err.find("from " + newest), std::string::npos) << rest.err;
    EXPECT_LE(checkpoints().size(), 2u);
    expect_same_as_whole();
  }
}

// Killed between two outputs: the run goes on from the older checkpoint when the newest is damaged.
TEST_F(Restart, AfterAKillFromTheOlderCheckpoint) {
  const Job job = interrupt([&] { return checkpoints().size() == 2; },
                            [&](const std::map<pid_t, int>& processes) {
                              for (const auto& [process, rank] : processes) kill(process, SIGKILL);
                            });
  EXPECT_NE(job.code, 0);
  const auto left = checkpoints();
  ASSERT_GE(left.size(), 2u);  // three between the newest and the removal of the oldest
  std::string bytes = read_text(left[0]);
  bytes[bytes.size() * 3 / 4] ^= 16;
  std::ofstream(left[0], std::ios::binary) << bytes;
  std::ofstream(folder_ + "/metrics.jsonl", std::ios::app) << "{\"kind\": \"sol";  // a line cut off
  const Job rest = run_job(scratch_, "rest", 1, arguments(" --set checkpoint.resume=auto"));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("the checkpoint " + left[0] + " is damaged"), std::string::npos) << rest.err;
  EXPECT_NE(rest.err.find("from " + left[1]), std::string::npos) << rest.err;
  expect_same_as_whole();
}

// A run that carries a tracer: stopped after half of the time, continued on other ranks and tiles.
TEST_F(Restart, CarriesTracersAlong) {
  const std::string deck = scratch_.write("tracer.yaml",
                                          "grid: {n: 12}\n"
                                          "initial: {case: williamson1, alpha_deg: 45}\n"
                                          "time: {days: 1}\n"
                                          "surrogate: {kind: none}\n"
                                          "checkpoint: {every: 5h}\n"
                                          "output: {every: 6h, latlon: 10, plots: false}\n");
  const auto run = [&](const std::string& name, int ranks, const std::string& folder, const std::string& settings) {
    const Job job =
        run_job(scratch_, name, ranks, "run " + deck + " --set output.dir=" + (scratch_ / folder) + settings);
    ASSERT_EQ(job.code, 0) << job.err;
  };
  run("whole", 2, "whole", "");
  run("half", 1, "parts", " --set time.days=0.5");
  run("rest", 3, "parts", " --set checkpoint.resume=auto --set grid.tiles_per_edge=3");
  for (const char* file : {"/solver.nc", "/solver_latlon.nc"}) {
    const auto whole = datasets_of((scratch_ / "whole") + file), parts = datasets_of((scratch_ / "parts") + file);
    ASSERT_TRUE(whole.contains("q")) << file;
    EXPECT_TRUE(whole == parts) << file;
  }
  const auto whole = read_metrics(scratch_ / "whole/metrics.jsonl"),
             parts = read_metrics(scratch_ / "parts/metrics.jsonl");
  ASSERT_EQ(whole.size(), 5u);
  ASSERT_EQ(parts.size(), 5u);
  for (std::size_t k = 0; k < whole.size(); ++k) {
    EXPECT_NEAR(parts[k]["error_q_l2"].get<double>(), whole[k]["error_q_l2"].get<double>(), 1e-13);  // sums by tile
    // Tile by tile, as above; the content at the start is that of the first part.
    EXPECT_NEAR(parts[k]["tracer_drift_q"].get<double>(), whole[k]["tracer_drift_q"].get<double>(), 1e-14);
  }
  const auto summary = read_json(scratch_ / "parts/summary.json")["solver"];
  EXPECT_LT(std::abs(summary["tracer_drift"]["q"].get<double>()), round_off(1e-14));
  EXPECT_LT(summary["errors"]["q"]["l2"].get<double>(), 0.5);  // the bell is there; C12 resolves it badly
  EXPECT_TRUE(datasets_of(list_checkpoints(scratch_ / "parts/checkpoints").at(0)).at("state") ==
              datasets_of(list_checkpoints(scratch_ / "whole/checkpoints").at(0)).at("state"));
}

// What a kill in the middle of a write may leave: output that no longer opens.
TEST_F(Restart, WithBrokenOutputSaysSoAndKeepsIt) {
  const Job first = run_job(scratch_, "first", 2, arguments(" --set time.days=1"));
  ASSERT_EQ(first.code, 0) << first.err;
  const std::string broken = read_text(folder_ + "/solver.nc").substr(0, 5000);
  std::ofstream(folder_ + "/solver.nc", std::ios::binary) << broken;
  const Job rest = run_job(scratch_, "rest", 2, arguments(" --set checkpoint.resume=auto"));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("solver.nc can not be continued"), std::string::npos) << rest.err;
  EXPECT_EQ(read_text(folder_ + "/solver.nc.broken"), broken);
  // The last checkpoint is of 20 h: the new file holds the records of 24, 36 and 48 h; the other file all of them.
  EXPECT_EQ(datasets_of(folder_ + "/solver.nc").at("time").size(), 3 * sizeof(double));
  EXPECT_TRUE(datasets_of(folder_ + "/solver_latlon.nc") == datasets_of(whole() + "/solver_latlon.nc"));
}

TEST_F(Restart, RefusesWhatDoesNotFit) {
  const Job first = run_job(scratch_, "first", 2, arguments(" --set time.days=0.5"));
  ASSERT_EQ(first.code, 0) << first.err;
  const auto before = contents_of(folder_);
  const auto expect_refused = [&](const std::string& settings, const std::vector<std::string>& words) {
    const Job job = run_job(scratch_, "refused", 2, arguments(settings));
    EXPECT_EQ(job.code, 2) << job.err;
    for (const std::string& word : words) EXPECT_NE(job.err.find(word), std::string::npos) << word << "\n" << job.err;
    EXPECT_EQ(job.err.find("tramontane: error: "), job.err.rfind("tramontane: error: ")) << job.err;
    EXPECT_EQ(job.err.find("HDF5-DIAG"), std::string::npos) << job.err;
    EXPECT_TRUE(contents_of(folder_) == before) << "files were changed";
  };
  const std::string resume = " --set checkpoint.resume=";
  expect_refused(resume + "auto --set grid.n=24", {"is a checkpoint of a grid of C12", "C24", "grid.n = 12"});
  expect_refused(resume + "auto --set initial.mean_depth=9000", {"another orography, mean depth or rotation"});
  expect_refused(resume + "auto --set initial.case=rest", {"began from the case winds", "initial.case = winds"});
  // What a build of the other precision would leave: 4 bytes for 8, 8 for 4.
  const std::string other = scratch_ / "other-precision.h5";
  fs::copy_file(checkpoints().at(0), other);
  const int format = check_seal(other, MPI_COMM_SELF).format;
  {
    const hdf5::Handle file = hdf5::open_file(other, H5F_ACC_RDWR);
    const hdf5::Handle attribute(H5Aopen(file, "real_bytes", H5P_DEFAULT), H5Aclose, "cannot open an attribute");
    const std::int64_t bytes = 12 - static_cast<std::int64_t>(sizeof(Real));
    hdf5::check(H5Awrite(attribute, H5T_NATIVE_INT64, &bytes), "cannot write an attribute");
  }
  seal_file(other, format, MPI_COMM_SELF);
  expect_refused(resume + other, {"holds numbers of ", std::string("computes with ") + kPrecision + " precision"});
  expect_refused(resume + "/no/checkpoint.h5", {"checkpoint.resume = /no/checkpoint.h5", "no such file"});
  expect_refused(" --set checkpoint.keep=0", {"checkpoint.keep expects a whole number, at least 1"});
}

TEST_F(Restart, AFullDiskStopsNoRun) {
  const SmallDisk disk(folder_ + "/checkpoints", "160k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs rights that this user does not have";
  std::ofstream(folder_ + "/checkpoints/ballast") << std::string(40000, 'x');  // room for one, not for two
  const Job job = run_job(scratch_, "job", 2, arguments());
  EXPECT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.err.find("no checkpoint at 10.01 h, the run goes on: there is no room for"), std::string::npos)
      << job.err;
  EXPECT_NE(job.err.find("the last good one is " + folder_ + "/checkpoints/checkpoint-"), std::string::npos) << job.err;
  const auto left = checkpoints();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(check_seal(left[0], MPI_COMM_SELF).damage, "");
  for (const auto& entry : fs::directory_iterator(folder_ + "/checkpoints"))
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
  EXPECT_TRUE(datasets_of(folder_ + "/solver.nc") == datasets_of(whole() + "/solver.nc"));
}

// Two ranks: a parallel write that fails on one of them alone would never end on the other.
TEST_F(Restart, NoRoomForTheNextRecordEndsTheRunWithAWord) {
  const std::string small = scratch_ / "small";
  const SmallDisk disk(small, "512k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs rights that this user does not have";
  const Job first = run_job(scratch_, "first", 2, "run " + deck_ + " --set output.dir=" + folder_ + " --set time.days=0.5");
  ASSERT_EQ(first.code, 0) << first.err;
  const auto room = 512 * 1024 - static_cast<int>(fs::file_size(folder_ + "/solver.nc")) - 30000;
  ASSERT_GT(room, 0) << "the disk is too small for the first records";
  std::ofstream(small + "/ballast") << std::string(static_cast<std::size_t>(room), 'x');
  const Job job = run_job(scratch_, "job", 2,
                          "run " + deck_ + " --set output.dir=" + small + " --set output.latlon=0 --set checkpoint.every=none");
  EXPECT_EQ(job.code, 3) << job.err;
  EXPECT_NE(job.err.find("there is no room for " + small + "/solver.nc"), std::string::npos) << job.err;
}

// A checkpoint that is whole but holds a state which no step can survive: a million m/s in one cell.
TEST_F(Restart, ABlowUpIsNamedWithinAStepAndNeverKept) {
  const std::string deck_text =
      "grid: {n: 32}\n"
      "initial: {case: williamson2, alpha_deg: 45}\n"
      "time: {days: 1}\n"
      "surrogate: {kind: none}\n"
      "checkpoint: {every: 1min}\n"
      "output: {every: 6h, latlon: 0, plots: false}\n";
  const std::string path = scratch_.write("blow-up.yaml", deck_text);
  const Deck deck = parse_deck(deck_text, path);
  const auto grid = std::make_shared<const Grid>(Tiling(32, 1, 1), 0);
  const AnalyticCase start = williamson2(std::acos(-1.0) / 4);
  Simulation simulation(deck, grid, MPI_COMM_SELF, cell_means(*grid, start.orography), start.reference_height,
                        start.rotation);
  set_state(simulation.solver(), start, simulation.state());
  simulation.plan(6 * 3600.0);
  const double dt = simulation.progress().plan.dt;
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), simulation.state());
  // In the middle of panel 1: the step that follows spreads it by nine cells, three a stage, so not beyond the panel.
  host(1, 0, 1, 16 + kHalo, 16 + kHalo) = 1e6 * simulation.solver().gravity() * 1e3;
  Kokkos::deep_copy(simulation.state(), host);
  BudgetWatch watch;
  watch.start(simulation);
  Checkpoint checkpoint = describe(deck, simulation);
  checkpoint.budgets_at_start = watch.start_values();
  checkpoint.largest_drifts = watch.worst_values();
  const std::string bad = scratch_ / "bad.h5";
  write_checkpoint(bad, checkpoint, simulation.solver(), simulation.state());

  for (int ranks : {1, 3}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    const Job job = run_job(scratch_, "job", ranks,
                            "run " + path + " --set output.dir=" + folder_ + " --set checkpoint.resume=" + bad);
    EXPECT_EQ(job.code, 3) << job.err;
    for (const std::string& word :
         {fmt::format("the solver on C32 blew up at {:.4f} h: ", dt / 3600), std::string(" at tile 1, cell ("),
          std::string(" E "), "the last good checkpoint is " + bad})
      EXPECT_NE(job.err.find(word), std::string::npos) << word << "\n" << job.err;
    // One a minute was asked for, and none is there.
    EXPECT_TRUE(checkpoints().empty());
  }
}

}  // namespace
}  // namespace tramontane::testing
