/// A run and its learner as two jobs of one test.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "job.hpp"
#include "src/exchange/notes.hpp"

namespace tramontane::testing {

/// Two jobs in one scratch folder.
class TwoJobs {
 public:
  explicit TwoJobs(const std::string& name) : scratch(name), deck(scratch.write("deck.yaml", small_deck())) {}

  std::future<Job> start(const std::string& command, const std::string& name, const std::string& settings = "",
                         int ranks = 1) {
    const std::string arguments = command + " " + deck + " --set output.dir=" + (scratch / name) +
                                  " --set exchange.dir=" + (scratch / "x") + " --set exchange.silence=20s " + settings;
    return std::async(std::launch::async, [this, name, ranks, arguments] { return run_job(scratch, name, ranks, arguments); });
  }

  /// Processes of the jobs whose output goes to scratch / name.
  std::vector<pid_t> processes(const std::string& name) const {
    std::vector<pid_t> found;
    for (const auto& [process, rank] : processes_of(scratch)) {
      const std::string line = read_text("/proc/" + std::to_string(process) + "/cmdline");
      if (line.find("output.dir=" + (scratch / name) + '\0') != std::string::npos) found.push_back(process);
    }
    return found;
  }
  bool send(int signal_number, const std::string& name) const {
    bool sent = false;
    for (const pid_t process : processes(name)) sent = kill(process, signal_number) == 0 || sent;
    return sent;
  }

  nlohmann::json note(const std::string& role) const {
    return read_note(scratch / ("x/" + role + ".json")).value_or(nlohmann::json::object());
  }
  bool is_attached() const { return text_in(note("learner"), "for") == text_in(note("solver"), "token"); }
  bool has_trained(const std::string& name) const {
    return std::filesystem::exists(scratch / (name + "/metrics.jsonl")) &&
           !read_metrics(scratch / (name + "/metrics.jsonl"), "train").empty();
  }
  nlohmann::json summary(const std::string& name) const { return read_json(scratch / (name + "/summary.json")); }

  Scratch scratch;
  std::string deck;
};

/// Lets a job run for a small part of the time only, so that a test can step in while it is at work.
class Throttle {
 public:
  Throttle(const TwoJobs& jobs, std::string name, std::chrono::milliseconds stopped = std::chrono::milliseconds(400),
           std::chrono::milliseconds running = std::chrono::milliseconds(20))
      : thread_([this, &jobs, name = std::move(name), stopped, running] {
          while (!over_) {
            jobs.send(SIGSTOP, name);
            std::this_thread::sleep_for(stopped);
            jobs.send(SIGCONT, name);
            std::this_thread::sleep_for(running);
          }
        }) {}
  ~Throttle() { release(); }
  void release() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

inline void expect_closed(const nlohmann::json& exchange) {
  const auto count = [&](const char* name) { return exchange[name].get<std::int64_t>(); };
  EXPECT_EQ(count("produced"), count("taken") + count("left") + count("rejected") + count("lost")) << exchange;
}

}  // namespace tramontane::testing
