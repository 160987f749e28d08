#include "src/program/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace tramontane {

std::string wall_clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "unknown";
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const long whole = std::lround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
}

std::string progress_text(const std::string& label, double done, double total, const std::string& unit,
                          double elapsed_seconds, const std::string& note) {
  std::string text = fmt::format("{}: {:.10g}/{:.10g} {}", label, done, total, unit);
  if (total > 0) text += fmt::format(", {:.0f}%", 100 * done / total);
  if (done > 0 && elapsed_seconds > 0) {
    const double rate = done / elapsed_seconds;
    text += fmt::format(", {:.3g} {}/s", rate, unit);
    text += done < total ? fmt::format(", {} left", wall_clock_text((total - done) / rate))
                         : fmt::format(", {} in all", wall_clock_text(elapsed_seconds));
  }
  return note.empty() ? text : text + ", " + note;
}

Progress::Progress(std::string label, double total, std::string unit, bool shown, double log_seconds, std::FILE* stream)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      log_seconds_(log_seconds),
      shown_(shown),
      is_terminal_(isatty(fileno(stream)) != 0),
      stream_(stream),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() {
  finish();
}

void Progress::update(double done, const std::string& note) {
  done_ = done;
  note_ = note;
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  // Often enough to look alive, seldom enough to cost nothing.
  if (std::chrono::duration<double>(now - last_).count() < (is_terminal_ ? 0.2 : log_seconds_)) return;
  last_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const std::string text = progress_text(label_, done_, total_, unit_, elapsed, note_);
  is_terminal_ ? fmt::print(stream_, "\r\033[K{}", text) : fmt::print(stream_, "{}\n", text);
  std::fflush(stream_);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (!shown_) return;
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const std::string text = progress_text(label_, done_, total_, unit_, elapsed, note_);
  fmt::print(stream_, "{}{}\n", is_terminal_ ? "\r\033[K" : "", text);
  std::fflush(stream_);
}

}  // namespace tramontane
