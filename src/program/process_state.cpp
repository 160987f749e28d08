#include "src/program/process_state.hpp"

#include <fstream>
#include <sstream>

namespace tramontane {

char thread_state(int process) {
  std::ostringstream text;
  text << std::ifstream("/proc/" + std::to_string(process) + "/stat").rdbuf();
  const std::string line = text.str();
  // The name before it stands in brackets and may hold any letter.
  const std::size_t end = line.rfind(')');
  return end == std::string::npos || end + 2 >= line.size() ? '\0' : line[end + 2];
}

std::string state_text(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "in the kernel, as for a disk";
    case 'T':
      return "stopped";
    case 't':
      return "held by a debugger";
    case 'Z':
    case 'X':
      return "dead";
    default:
      return "";
  }
}

std::string silence_text(char state) {
  switch (state) {
    case '\0':
      return "its process is gone";
    case 'T':
      return "its process is stopped";
    case 't':
      return "a debugger holds its process";
    case 'Z':
    case 'X':
      return "its process is dead";
    default:
      return "its process is there, " + state_text(state);
  }
}

}  // namespace tramontane
