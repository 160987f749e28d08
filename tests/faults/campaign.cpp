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
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <sstream>
#include <thread>

#include "kernels/errors.hpp"
#include "src/archive/archive_reader.hpp"

namespace tramontane::testing {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// A job that still runs then has hung: undisturbed ones take seconds, and every deadline below is shorter.
constexpr int kLimitSeconds = 150;
constexpr int kSamples = 48;

/// Coupled, C24 to C12: three lessons of twelve hours and one held out.
std::string fault_deck() {
  return "grid: {n: 24}\n"
         "initial: {case: winds}\n"
         "teach: {months: [1983-01, 1984-07, 1985-04], validation: [1990-01], days: 0.5}\n"
         "stream: {every: 1h, queue: 4}\n"
         "surrogate:\n"
         "  coarse_n: 12\n"
         "  interval: 1h\n"
         "  network: {width: 16, levels: 2}\n"
         "learner:\n"
         "  batch: 8\n"
         "  steps: 120\n"
         "  learning_rate: 2e-3\n"
         "  warmup: 10\n"
         "  ema: 0.95\n"
         "  watermark: 12\n"
         "  validate_every: 30\n"
         "  deterministic: true\n"
         "gate: {every: 30, hours: 6}\n"
         "checkpoint: {every: 6h}\n"
         "forecast: {starts: [1991-01], days: 0.5}\n"
         "output: {every: 6h, latlon: 0, plots: false}\n";
}

std::string base_arguments(const FaultPlan& plan, const std::string& deck, const std::string& folder) {
  return fmt::format(
      "run {} --set output.dir={} --set stream.archive={}/archive.h5 --set ranks.learner={} --set "
      "stream.deadline={:g}s{}",
      deck, folder, folder, plan.learners, plan.deadline, plan.settings);
}

/// The folder of the undisturbed job, made once for each number of learners.
std::string reference(int learners) {
  static std::map<int, std::unique_ptr<Scratch>> made;
  auto& scratch = made[learners];
  if (scratch) return *scratch / "run";
  scratch = std::make_unique<Scratch>("undisturbed" + std::to_string(learners));
  FaultPlan plan;
  plan.learners = learners;
  const std::string deck = scratch->write("deck.yaml", fault_deck());
  const Job job = run_job(*scratch, "run", 1 + learners, base_arguments(plan, deck, *scratch / "run"));
  if (job.code != 0) throw std::runtime_error("the undisturbed job failed:\n" + job.err);
  return *scratch / "run";
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

/// Everything that a job has said: its output, and its metrics, which are in parts until it ends well.
std::string words_of(const Job& job, const std::string& folder) {
  std::string text = job.out + job.err;
  if (!fs::exists(folder)) return text;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") text += read_text(entry.path());
  return text;
}

/// The first line in which the expression is found, from there on; empty: in none.
std::string find_line(const std::string& text, const std::string& expression) {
  const std::regex wanted(expression);
  std::istringstream lines(text);
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_search(line, match, wanted)) return match.str() + match.suffix().str().substr(0, 120);
  return "";
}

/// What the program says when the last of the orders strikes; the others only prepare the ground.
std::string strike_of(const std::string& orders) {
  const std::size_t at = orders.rfind(",at=") + 4;
  return R"(fault on order: rank \d+ at )" + orders.substr(at, orders.find_first_of(":,", at) - at) + ":";
}

/// What of the archive can be read, sample by sample.
json look_at_archive(const std::string& folder) {
  const std::string path = folder + "/archive.h5";
  if (!fs::exists(path)) return {{"state", "none"}, {"samples", 0}};
  try {
    const ArchiveReader archive(path, true);
    archive.verify();
    const char* state = archive.complete() ? "complete" : archive.truncated() ? "truncated" : "unfinished";
    return {{"state", state}, {"samples", archive.size()}};
  } catch (const InputError& error) {
    return {{"state", "unreadable"}, {"samples", 0}, {"why", error.what()}};
  }
}

/// JSON has no NaN: it is written as null.
bool all_finite(const json& values) {
  if (!values.is_structured()) return values.is_number();
  return std::all_of(values.begin(), values.end(), all_finite);
}

void compare_with_reference(const FaultPlan& plan, const std::string& folder, FaultRecord& record) {
  const std::string expected = reference(plan.learners);
  record.same_bits = true;
  std::vector<std::string> files = {"/model.h5", "/forecast.nc"};
  // A kill in the middle of a flush may break an archive; then a new one begins, and the run says so.
  if (plan.file_limit_kb == 0 && !fs::exists(folder + "/archive.h5.broken")) files.emplace_back("/archive.h5");
  for (const std::string& file : files) {
    const auto ours = datasets_of(folder + file), theirs = datasets_of(expected + file);
    for (const auto& [name, bytes] : theirs)
      if (name != "provenance" && (!ours.count(name) || ours.at(name) != bytes)) {  // it names the folder
        record.violations.push_back(fmt::format("{} of {} differs from the undisturbed job's", name, file.substr(1)));
        record.same_bits = false;
      }
  }
}

/// A job that ended with 0, first or started again.
void judge_end(const FaultPlan& plan, const std::string& folder, FaultRecord& record) {
  const auto violated = [&](const std::string& what) { record.violations.push_back(what); };
  if (!fs::exists(folder + "/summary.json")) return violated("ended well without a summary");
  const json summary = read_json(folder + "/summary.json");
  const bool is_rest = record.code_of_rest >= 0;
  if (!summary.contains("stream") || summary["stream"].is_null()) return violated("the summary has no ledger");
  const json& ledger = (is_rest ? record.ledger_of_rest : record.ledger) = summary["stream"];
  if (!is_closed(ledger)) violated("the ledger is open: " + ledger.dump());
  if (ledger["produced"] != kSamples) violated("not all samples were produced: " + ledger.dump());
  if (ledger["rejected"] != (record.has_struck ? plan.rejects : 0)) violated("samples were rejected: " + ledger.dump());
  if (!summary.contains("forecast") || summary["forecast"].is_null())
    violated("there is no forecast");
  else if (!all_finite(summary["forecast"]["rmse"]))
    violated("the forecast's errors are not finite: " + summary["forecast"]["rmse"].dump());
  const json& archive = is_rest ? record.archive_of_rest : record.archive;
  const bool is_cut = plan.file_limit_kb > 0 || fs::exists(folder + "/archive.h5.broken");
  if (!is_cut && (archive["state"] != "complete" || archive["samples"] != kSamples))
    violated("the archive is not whole: " + archive.dump());
  // A fault that was contained without a new start may have cost a version.
  if (plan.same_bits && (is_rest || !record.has_struck || !plan.goes_on)) compare_with_reference(plan, folder, record);
}

}  // namespace

json FaultRecord::to_json() const {
  return {{"kind", plan.kind},
          {"seed", plan.seed},
          {"solvers", plan.solvers},
          {"learners", plan.learners},
          {"what", plan.text()},
          {"struck", has_struck},
          {"code", code},
          {"code_of_rest", code_of_rest},
          {"seconds", seconds},
          {"seconds_of_rest", seconds_of_rest},
          {"ledger", ledger},
          {"ledger_of_rest", ledger_of_rest},
          {"archive", archive},
          {"archive_of_rest", archive_of_rest},
          {"same_bits", same_bits},
          {"named", named},
          {"violations", violations}};
}

void run_references() {
  for (const int learners : {1, 2}) reference(learners);
}

FaultRecord run_plan(const FaultPlan& plan) {
  static std::mutex hdf5;  // the library is used by one thread at a time
  FaultRecord record;
  record.plan = plan;
  const Scratch scratch(fmt::format("fault-{}-{}", std::hash<std::string>()(plan.kind) % 1000000, plan.seed));
  const std::string deck = scratch.write("deck.yaml", fault_deck()), folder = scratch / "run";
  const std::string arguments = base_arguments(plan, deck, folder);
  auto began = Clock::now();
  Job job;
  if (plan.signal || plan.file_limit_kb > 0) {
    auto under_way =
        std::async(std::launch::async, [&] { return run_disturbed(plan, scratch, "run", arguments, true); });
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
  record.named = plan.named.empty() ? "" : find_line(words_of(job, folder), plan.named);
  // A signal, or a limit to its files, that comes too late finds a job that ends as if nothing were.
  record.has_struck = plan.signal          ? job.code != 0
                      : plan.file_limit_kb ? !record.named.empty()
                                           : !find_line(job.err, strike_of(plan.orders)).empty();
  const bool is_right =
      record.has_struck ? std::find(plan.codes.begin(), plan.codes.end(), job.code) != plan.codes.end() : job.code == 0;
  if (!is_right) tell(fmt::format("ended with exit code {}", job.code));
  if (record.has_struck && !plan.named.empty() && record.named.empty()) tell("did not say \"" + plan.named + "\"");
  const auto look = [&](json& archive) {
    const std::lock_guard lock(hdf5);
    archive = look_at_archive(folder);
  };
  look(record.archive);
  if (plan.goes_on && job.code != 0) {
    std::mt19937_64 random(plan.seed);
    if (plan.damages_snapshot) damage_newest_snapshot(folder, random);
    began = Clock::now();
    job = run_disturbed(plan, scratch, "rest", arguments + " --set checkpoint.resume=auto", false);
    record.seconds_of_rest = std::chrono::duration<double>(Clock::now() - began).count();
    record.code_of_rest = job.code;
    look(record.archive_of_rest);
    if (job.code != 0) {
      tell(fmt::format("started again it ended with exit code {}", job.code));
      return record;
    }
  }
  const std::lock_guard lock(hdf5);
  if (job.code == 0) judge_end(plan, folder, record);
  return record;
}

}  // namespace tramontane::testing
