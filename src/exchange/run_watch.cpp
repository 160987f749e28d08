#include "src/exchange/run_watch.hpp"

#include <fmt/format.h>

namespace tramontane {

RunSight RunWatch::look() {
  note_ = read_note(path_);
  if (note_ && text_in(*note_, "run") != run_) return RunSight::replaced;
  watch_.see(note_);
  const std::string state = note_ ? text_in(*note_, "state") : "";
  if (state == "done") return RunSight::over;
  if (state == "paused" || state == "stopped" || state == "failed")
    return takes_snapshots_ ? RunSight::away : RunSight::over;
  if (!watch_.is_dead(silence_seconds_)) return RunSight::lives;
  return takes_snapshots_ ? RunSight::away : RunSight::dead;
}

std::string RunWatch::why_away() const {
  const std::string state = note_ ? text_in(*note_, "state") : "";
  const char* what = state == "paused" ? "has been stopped, with a snapshot"
                     : state == "stopped" ? "has been stopped"
                     : state == "failed" ? "has failed"
                                         : "has died or hangs";
  return fmt::format("{} {}", watch_.identity().text(), what);
}

}  // namespace tramontane
