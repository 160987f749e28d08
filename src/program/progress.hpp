/// How far a long loop has come: a live line on a terminal, plain lines in a batch log.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace tramontane {

/// Shows the progress of one loop. Make it on one rank only, or with `shown` false elsewhere.
class Progress {
 public:
  /// `label` says what runs, `unit` what is counted, `total` how many there are. A batch log gets one line every
  /// `log_seconds`.
  Progress(std::string label, double total, std::string unit, bool shown = true, double log_seconds = 15,
           std::FILE* stream = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` are finished; `note` is appended, for example a loss.
  void update(double done, const std::string& note = "");
  /// Writes the last line. The destructor does so too.
  void finish();

 private:
  std::string label_, unit_, note_;
  double total_, log_seconds_, done_ = 0;
  bool shown_, is_terminal_, finished_ = false;
  std::FILE* stream_;
  std::chrono::steady_clock::time_point start_, last_;
};

/// The text of a progress line: "teaching: 12/72 h, 17%, 3.4 h/s, 18 s left, note".
std::string progress_text(const std::string& label, double done, double total, const std::string& unit,
                          double elapsed_seconds, const std::string& note);

/// A wall-clock time for people: "42 s", "3 min 20 s", "2 h 05 min".
std::string wall_clock_text(double seconds);

}  // namespace tramontane
