// metrics.jsonl, summary.json, the resolved deck, progress texts.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "kernels/errors.hpp"
#include "src/deck/keys.hpp"
#include "src/output/metrics.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/output/summary.hpp"
#include "src/program/progress.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class Records : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tramontane-records-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(Records, MetricsAreOneObjectALineAndFlushed) {
  MetricsWriter metrics((folder_ / "metrics.jsonl").string());
  metrics.write("train", {{"step", 1}, {"loss", 0.5}});
  metrics.write("train", {{"step", 2}, {"loss", std::nan("")}});
  // Read while the writer is still open: a killed run leaves as much.
  std::ifstream in(folder_ / "metrics.jsonl");
  std::vector<Json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], (Json{{"kind", "train"}, {"step", 1}, {"loss", 0.5}}));
  EXPECT_TRUE(lines[1]["loss"].is_null());
}

TEST_F(Records, SummaryHasTheKeysThatStayStable) {
  Summary summary;
  summary.command = "run";
  summary.solver = SolverSummary{};
  summary.solver->errors["h"] = {1e-6, 2e-6, 3e-6};
  summary.stream = StreamSummary{};
  summary.learner = LearnerSummary{};
  summary.forecast = ForecastSummary{};
  summary.forecast->lead_hours = {24, 72};
  summary.forecast->start_months = {"1991-01", "1991-07"};
  summary.forecast->rmse["h"]["hybrid"] = {1, 2};
  summary.forecast->acc["h"]["hybrid"] = {0.9, 0.8};
  write_summary(folder_, summary);
  std::ifstream in(folder_ / "summary.json");
  const Json json = Json::parse(in);

  const auto keys = [](const Json& group) {
    std::vector<std::string> names;
    for (const auto& [name, value] : group.items()) names.push_back(name);
    return names;
  };
  using Names = std::vector<std::string>;  // in the order of the alphabet, as Json keeps them
  EXPECT_EQ(keys(json), (Names{"command", "deck", "energy", "forecast", "learner", "ranks", "solver", "stream",
                               "version", "wall_seconds"}));
  EXPECT_EQ(keys(json["ranks"]), (Names{"learner", "solver"}));
  EXPECT_EQ(keys(json["solver"]),
            (Names{"angular_momentum_drift", "cell_updates_per_second", "cells", "dt_seconds", "energy_drift",
                   "enstrophy_drift", "errors", "mass_drift", "n", "precision", "seconds", "steps", "sypd"}));
  EXPECT_EQ(keys(json["solver"]["errors"]["h"]), (Names{"l1", "l2", "linf"}));
  EXPECT_EQ(keys(json["stream"]), (Names{"bytes", "delivered", "dropped", "in_flight", "learner_idle_seconds", "lost",
                                         "path", "produced", "producer_stall_seconds", "queue_bytes", "rejected",
                                         "stall_seconds"}));
  EXPECT_EQ(keys(json["learner"]), (Names{"bad_steps", "drift", "drift_step", "loss_first", "loss_last", "parameters",
                                          "peer_wait_seconds", "receive_bytes", "reservoir_bytes", "reuse_factor",
                                          "samples_per_second", "samples_seen", "steps", "validation_loss",
                                          "weights_version"}));
  EXPECT_EQ(keys(json["forecast"]), (Names{"acc", "cost_ratio", "effective_resolution", "fallback_fraction",
                                           "lead_hours", "rmse", "start_months", "starts"}));
  EXPECT_EQ(json["forecast"]["rmse"]["h"]["hybrid"], (Json{1.0, 2.0}));
  EXPECT_EQ(json["forecast"]["starts"], 2);
  EXPECT_EQ(json["energy"], (Json{{"joules", nullptr}, {"source", "unavailable"}}));
  EXPECT_FALSE(fs::exists(folder_ / "summary.json.part"));
}

TEST_F(Records, GroupsTheRunDidNotHaveAreLeftOut) {
  const auto json = to_json(Summary{});
  for (const char* group : {"solver", "stream", "learner", "forecast"}) EXPECT_FALSE(json.contains(group)) << group;
}

TEST_F(Records, ResolvedDeckParsesToTheSameDeck) {
  Deck deck = parse_deck("grid: {n: 96}", "deck.yaml");
  deck.output.dir = folder_.string();
  write_resolved_deck(deck);
  const Deck again = read_deck((folder_ / "deck.yaml").string());
  for (const Key& key : deck_keys()) EXPECT_EQ(key.get(again), key.get(deck)) << key.name;
}

TEST_F(Records, FolderIsProvedWritableAndLeftClean) {
  Deck deck;
  deck.output.dir = (folder_ / "a" / "b").string();
  EXPECT_EQ(why_not_writable(deck.output.dir), "");
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  prepare_output_folder(deck);
  EXPECT_TRUE(fs::is_empty(folder_ / "a" / "b"));
  std::ofstream(folder_ / "file") << "x";
  deck.output.dir = (folder_ / "file" / "b").string();
  EXPECT_NE(why_not_writable(deck.output.dir), "");
  EXPECT_THROW(prepare_output_folder(deck), InputError);
}

TEST_F(Records, ReportComesFromTheScriptAndItsFailureIsNoError) {
  Deck deck;
  deck.output.dir = folder_.string();
  const fs::path script = folder_ / "plot.py";
  const auto write_script = [&](const std::string& body) {
    std::ofstream(script) << "#!/bin/sh\n" << body;
    fs::permissions(script, fs::perms::owner_all);
  };
  setenv("TRAMONTANE_SCRIPTS", folder_.c_str(), 1);
  EXPECT_FALSE(make_report(deck));  // no script
  write_script("touch \"$1/report.html\"\n");
  EXPECT_TRUE(make_report(deck));
  EXPECT_TRUE(fs::exists(folder_ / "report.html"));
  write_script("exit 1\n");
  EXPECT_FALSE(make_report(deck));
  write_script("exec sleep 60\n");
  EXPECT_FALSE(make_report(deck, 0.1));
  deck.output.plots = false;
  write_script("exit 0\n");
  EXPECT_FALSE(make_report(deck));
  unsetenv("TRAMONTANE_SCRIPTS");
}

TEST(Progress, TextTellsRateAndTimeLeft) {
  EXPECT_EQ(progress_text("teaching", 12, 72, "h", 4, ""), "teaching: 12/72 h, 17%, 3 h/s, 20 s left");
  EXPECT_EQ(progress_text("training", 100, 100, "steps", 50, "loss 0.1"),
            "training: 100/100 steps, 100%, 2 steps/s, 50 s in all, loss 0.1");
  EXPECT_EQ(progress_text("teaching", 0, 72, "h", 4, ""), "teaching: 0/72 h, 0%");
}

TEST(Progress, WallClockIsReadable) {
  EXPECT_EQ(wall_clock_text(1.25), "1.2 s");
  EXPECT_EQ(wall_clock_text(42.4), "42 s");
  EXPECT_EQ(wall_clock_text(200), "3 min 20 s");
  EXPECT_EQ(wall_clock_text(7500), "2 h 05 min");
}

TEST(Progress, BatchLogGetsPlainLines) {
  std::FILE* log = std::tmpfile();
  {
    Progress progress("run", 2, "steps", true, 0, log);
    progress.update(1);
    progress.update(2);
  }
  std::rewind(log);
  char text[512] = {};
  const std::size_t length = std::fread(text, 1, sizeof text - 1, log);
  std::fclose(log);
  const std::string written(text, length);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 3);
  EXPECT_EQ(written.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace tramontane
