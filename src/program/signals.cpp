#include "src/program/signals.hpp"

#include <csignal>

namespace tramontane {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

extern "C" void remember_stop(int) {
  stop_flag = 1;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = remember_stop;
  action.sa_flags = SA_RESTART;  // system calls under way go on
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  // A file that may not grow further (ulimit -f) is an error of the write, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
}

bool stop_requested() {
  return stop_flag != 0;
}

bool stop_requested(MPI_Comm comm) {
  int stop = stop_requested() ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, comm);
  return stop != 0;
}

}  // namespace tramontane
