#include "campaign.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <thread>

namespace tramontane::testing {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// A job that still runs then has hung: undisturbed ones take seconds, and every deadline below is shorter.
constexpr int kLimitSeconds = 150;
constexpr double kDeadline = 15;  ///< s, stream.deadline of the jobs

/// Coupled, C24 to C12: three lessons of twelve hours and one held out.
std::string fault_deck() {
  return fmt::format(
      "grid: {{n: 24}}\n"
      "initial: {{case: winds}}\n"
      "teach: {{months: [1983-01, 1984-07, 1985-04], validation: [1990-01], days: 0.5}}\n"
      "stream: {{every: 1h, deadline: {:g}s, queue: 4}}\n"
      "surrogate:\n"
      "  coarse_n: 12\n"
      "  interval: 1h\n"
      "  network: {{width: 16, levels: 2}}\n"
      "learner:\n"
      "  batch: 8\n"
      "  steps: 120\n"
      "  learning_rate: 2e-3\n"
      "  warmup: 10\n"
      "  ema: 0.95\n"
      "  watermark: 12\n"
      "  validate_every: 30\n"
      "  deterministic: true\n"
      "gate: {{every: 30, hours: 6}}\n"
      "checkpoint: {{every: 6h}}\n"
      "forecast: {{starts: [1991-01], days: 0.5}}\n"
      "output: {{every: 6h, latlon: 0, plots: false}}\n",
      kDeadline);
}

std::string base_arguments(const FaultPlan& plan, const std::string& deck, const std::string& folder) {
  return "run " + deck + " --set output.dir=" + folder + " --set stream.archive=" + folder +
         "/archive.h5 --set ranks.learner=" + std::to_string(plan.learners) + plan.settings;
}

/// The undisturbed job, made once for each number of learners.
const Scratch& reference(int learners) {
  static std::map<int, std::unique_ptr<Scratch>> made;
  auto& scratch = made[learners];
  if (scratch) return *scratch;
  scratch = std::make_unique<Scratch>("undisturbed" + std::to_string(learners));
  FaultPlan plan;
  plan.learners = learners;
  const std::string deck = scratch->write("deck.yaml", fault_deck());
  const Job job = run_job(*scratch, "run", 1 + learners, base_arguments(plan, deck, *scratch / "run"));
  if (job.code != 0) throw std::runtime_error("the undisturbed job failed:\n" + job.err);
  return *scratch;
}

/// run_job, with faults on order.
Job run_disturbed(const FaultPlan& plan, const Scratch& scratch, const std::string& name, const std::string& arguments,
                  bool is_disturbed) {
  const std::string variable = is_disturbed && !plan.orders.empty() ? "TRAMONTANE_FAULT=" + plan.orders : "";
  return run_job(scratch, name, plan.solvers + plan.learners, arguments, kLimitSeconds, variable);
}

/// Sends the plan's signal at its moment, once the job is under way, or limits the size of its files: a full disk.
void disturb(const FaultPlan& plan, const Scratch& scratch, const std::string& folder) {
  comes_true([&] { return fs::exists(folder + "/deck.yaml"); });
  std::this_thread::sleep_for(std::chrono::duration<double>(plan.moment));
  const rlim_t bytes = static_cast<rlim_t>(plan.file_limit_kb) * 1000;
  const rlimit limit{bytes, bytes};
  for (const auto& [process, rank] : processes_of(scratch)) {
    if (plan.file_limit_kb > 0) prlimit(process, RLIMIT_FSIZE, &limit, nullptr);
    if (plan.signal && (plan.target < 0 || rank == plan.target)) kill(process, plan.signal);
  }
}

bool is_closed(const json& stream) {
  return stream["produced"].get<std::int64_t>() ==
             stream["delivered"].get<std::int64_t>() + stream["dropped"].get<std::int64_t>() +
                 stream["rejected"].get<std::int64_t>() + stream["in_flight"].get<std::int64_t>() &&
         stream["in_flight"] == 0;
}

/// Flips one bit in the largest file of the newest snapshot; false when there is none.
bool damage_newest_snapshot(const std::string& folder, std::mt19937_64& random) {
  std::vector<fs::path> files;
  for (const char* place : {"snapshots", "checkpoints"})
    if (fs::exists(folder + "/" + place))
      for (const auto& entry : fs::recursive_directory_iterator(folder + "/" + place))
        if (entry.is_regular_file()) files.push_back(entry.path());
  if (files.empty()) return false;
  const fs::path newest = *std::max_element(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return fs::last_write_time(a) < fs::last_write_time(b);
  });
  std::string bytes = read_text(newest);
  bytes[random() % bytes.size()] ^= static_cast<char>(1 << (random() % 8));
  std::ofstream(newest, std::ios::binary) << bytes;
  return true;
}

void judge_end(const FaultPlan& plan, const std::string& folder, FaultRecord& record) {
  if (!fs::exists(folder + "/summary.json")) {
    record.violations.push_back("ended well without a summary");
    return;
  }
  const json summary = read_json(folder + "/summary.json");
  json& ledger = record.code_of_rest >= 0 ? record.ledger_of_rest : record.ledger;
  if (summary.contains("stream") && !summary["stream"].is_null()) {
    ledger = summary["stream"];
    if (!is_closed(ledger)) record.violations.push_back("the ledger is open: " + ledger.dump());
  } else {
    record.violations.push_back("the summary has no ledger");
  }
  if (!summary.contains("forecast") || summary["forecast"].is_null())
    record.violations.push_back("there is no forecast");
  if (!plan.same_bits) return;
  const std::string expected = reference(plan.learners) / "run";
  for (const char* file : {"/model.h5", "/forecast.nc"}) {
    const auto ours = datasets_of(folder + file), theirs = datasets_of(expected + file);
    for (const auto& [name, bytes] : theirs)
      if (name != "provenance" && (!ours.count(name) || ours.at(name) != bytes))  // it names the folder
        record.violations.push_back(fmt::format("{} of {} differs from the undisturbed job's", name, file + 1));
  }
}

double uniform(std::mt19937_64& random, double low, double high) {
  return low + (high - low) * (static_cast<double>(random() >> 11) * 0x1p-53);
}

}  // namespace

const std::vector<std::string>& fault_kinds() {
  static const std::vector<std::string> kinds = {
      "learner killed",   "learner stopped", "learner fails",       "learner pauses",      "solver killed",
      "solver stopped",   "solver pauses",   "NaN in a gradient",   "NaN in a candidate",  "NaN in a frame",
      "frame corrupted",  "job killed",      "signal to all",       "signal to one rank",  "disk full",
      "snapshot damaged"};
  return kinds;
}

FaultPlan make_plan(const std::string& kind, std::uint64_t seed) {
  const auto& kinds = fault_kinds();
  const auto place_of_kind = static_cast<std::uint64_t>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
  std::mt19937_64 random(seed * 1000003 + place_of_kind);
  FaultPlan plan;
  plan.kind = kind;
  plan.seed = seed;
  plan.solvers = 1 + static_cast<int>(random() % 2);
  plan.learners = random() % 4 == 0 ? 2 : 1;
  const int learner = plan.solvers + static_cast<int>(random() % static_cast<unsigned>(plan.learners));
  const int solver = static_cast<int>(random() % static_cast<unsigned>(plan.solvers));
  const auto train_step = 1 + random() % 119;
  const auto sample = random() % 48;
  const auto order = [](int rank, const std::string& place, std::uint64_t number, const std::string& what) {
    return fmt::format("rank={},at={}:{},do={}", rank, place, number, what);
  };
  plan.codes = {0};
  if (kind == "learner killed") {
    plan.orders = order(learner, "train-step", train_step, "kill");
    plan.codes = {137, 1, 3, 255};
    plan.goes_on = plan.same_bits = true;
  } else if (kind == "learner stopped") {
    plan.orders = order(learner, "train-step", train_step, "stop");
  } else if (kind == "learner fails") {
    plan.orders = order(learner, "learner", train_step, "fail");
  } else if (kind == "learner pauses") {
    plan.orders = order(learner, "train-step", train_step, fmt::format("delay:{:.2f}", uniform(random, 0.2, 4)));
    plan.same_bits = true;
  } else if (kind == "solver killed") {
    plan.orders = order(solver, "lesson-sample", sample, "kill");
    plan.codes = {137, 1, 3, 255};
    plan.goes_on = plan.same_bits = true;
  } else if (kind == "solver stopped") {
    plan.orders = order(solver, "lesson-sample", sample, "stop");
    plan.codes = {3};
    plan.goes_on = plan.same_bits = true;
  } else if (kind == "solver pauses") {
    plan.orders = order(solver, "lesson-sample", sample, fmt::format("delay:{:.2f}", uniform(random, 0.2, 4)));
    plan.same_bits = true;
  } else if (kind == "NaN in a gradient") {
    plan.orders = order(learner, "gradient", train_step, "nan");
  } else if (kind == "NaN in a candidate") {
    plan.orders = order(plan.solvers, "candidate", 1 + random() % 3, "nan");
  } else if (kind == "NaN in a frame") {
    plan.orders = order(solver, "frame", sample, "nan");
  } else if (kind == "frame corrupted") {
    plan.orders = order(solver, "frame", sample, "corrupt");
  } else if (kind == "job killed") {
    plan.signal = SIGKILL;
    plan.moment = uniform(random, 0, 4);
    plan.codes = {137, 1, 255};
    plan.goes_on = plan.same_bits = true;
  } else if (kind == "signal to all" || kind == "signal to one rank") {
    plan.signal = random() % 2 ? SIGTERM : SIGUSR1;
    plan.moment = uniform(random, 0, 3);
    if (kind == "signal to one rank")
      plan.target = static_cast<int>(random() % static_cast<unsigned>(plan.solvers + plan.learners));
    plan.codes = {4};
    plan.goes_on = plan.same_bits = true;
  } else if (kind == "disk full") {
    plan.file_limit_kb = static_cast<long>(uniform(random, 150, 1200));
  } else if (kind == "snapshot damaged") {
    plan.orders = order(solver, "lesson-sample", 20 + random() % 28, "kill");
    plan.codes = {137, 1, 3, 255};
    plan.damages_snapshot = plan.goes_on = plan.same_bits = true;
  }
  return plan;
}

std::string FaultPlan::text() const {
  std::string out = fmt::format("{} (seed {}, {}+{} ranks)", kind, seed, solvers, learners);
  if (!orders.empty()) out += ": " + orders;
  if (signal) out += fmt::format(": signal {} to {} after {:.2f} s", signal, target, moment);
  if (file_limit_kb) out += fmt::format(": files of at most {} kB", file_limit_kb);
  return out;
}

json FaultRecord::to_json() const {
  return {{"kind", plan.kind},
          {"seed", plan.seed},
          {"solvers", plan.solvers},
          {"learners", plan.learners},
          {"what", plan.text()},
          {"code", code},
          {"code_of_rest", code_of_rest},
          {"seconds", seconds},
          {"ledger", ledger},
          {"ledger_of_rest", ledger_of_rest},
          {"violations", violations}};
}

FaultRecord run_plan(const FaultPlan& plan) {
  FaultRecord record;
  record.plan = plan;
  reference(plan.learners);
  const Scratch scratch("fault");
  const std::string deck = scratch.write("deck.yaml", fault_deck()), folder = scratch / "run";
  const std::string arguments = base_arguments(plan, deck, folder);
  const auto began = Clock::now();
  Job job;
  if (plan.signal || plan.file_limit_kb > 0) {
    auto under_way = std::async(std::launch::async, [&] { return run_disturbed(plan, scratch, "run", arguments, true); });
    disturb(plan, scratch, folder);
    job = under_way.get();
  } else {
    job = run_disturbed(plan, scratch, "run", arguments, true);
  }
  record.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  record.code = job.code;
  const auto tell = [&](const std::string& what) { record.violations.push_back(what + "\n" + job.err); };
  if (job.code == 124 || record.seconds > kLimitSeconds) tell("hung until the time limit");
  if (!comes_true([&] { return processes_of(scratch).empty(); }, std::chrono::seconds(20))) {
    tell("left processes behind");
    for (const auto& [process, rank] : processes_of(scratch)) kill(process, SIGKILL);
  }
  // A fault or a signal that comes too late finds a job that ends as if nothing were.
  const bool was_missed = job.code == 0 && plan.goes_on;
  if (std::find(plan.codes.begin(), plan.codes.end(), job.code) == plan.codes.end() && !was_missed)
    tell(fmt::format("ended with exit code {}", job.code));
  if (plan.goes_on && !was_missed) {
    std::mt19937_64 random(plan.seed);
    if (plan.damages_snapshot) damage_newest_snapshot(folder, random);
    job = run_disturbed(plan, scratch, "rest", arguments + " --set checkpoint.resume=auto", false);
    record.code_of_rest = job.code;
    if (job.code != 0) {
      tell(fmt::format("started again it ended with exit code {}", job.code));
      return record;
    }
  }
  if (job.code == 0) judge_end(plan, folder, record);
  return record;
}

}  // namespace tramontane::testing
