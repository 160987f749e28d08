#include "src/output/report.hpp"

#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "kernels/wait_scope.hpp"

extern char** environ;

namespace tramontane {
namespace {

namespace fs = std::filesystem;

fs::path plot_script() {
  const char* folder = std::getenv("TRAMONTANE_SCRIPTS");
  return fs::path(folder ? folder : TRAMONTANE_SOURCE_SCRIPTS) / "plot.py";
}

/// Exit status of a command, ended when it takes longer than allowed; -1 when it could not be started.
int run_command(std::vector<std::string> words, double patience_seconds) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) return -1;
  const auto start = std::chrono::steady_clock::now();
  int status = 0;
  const WaitScope wait("the program that makes the plots", MPI_COMM_NULL, WaitScope::kAll, WaitScope::kOutside);
  while (waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > patience_seconds)
      kill(child, SIGKILL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

bool make_report(const Deck& deck, double patience_seconds) {
  if (!deck.output.plots) return false;
  const fs::path script = plot_script();
  if (!fs::exists(script)) {
    spdlog::warn("no plots: {} is not there; point TRAMONTANE_SCRIPTS to the scripts folder", script.string());
    return false;
  }
  const int status = run_command({script.string(), deck.output.dir}, patience_seconds);
  if (status != 0) spdlog::warn("no plots: {} {} ended with status {}", script.string(), deck.output.dir, status);
  return status == 0;
}

}  // namespace tramontane
