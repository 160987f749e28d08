/// What Linux knows of a process.
#pragma once

#include <string>

namespace tramontane {

/// State of a process's main thread, a letter of /proc (R, S, D, T, Z ...); 0 when there is no such process.
char thread_state(int process);

/// "running", "sleeping", "waiting for a disk" ...; empty for an unknown letter.
std::string state_text(char state);

/// For a process that gives no answer: "its process is stopped", "its process is gone" ...
std::string silence_text(char state);

}  // namespace tramontane
