// Starts MPI, Kokkos and PETSc, hands over to the subcommand, and ends every rank with the same exit code.
#include <mpi.h>
#include <petscsys.h>

#include <Kokkos_Core.hpp>
#include <cstdio>
#include <string_view>
#include <vector>

#include "src/program/collective_guard.hpp"
#include "src/program/commands.hpp"
#include "src/program/logging.hpp"
#include "src/program/signals.hpp"
#include "src/program/threads.hpp"

namespace {

int tramontane_main(const std::vector<char*>& arguments, int rank) {
  const tramontane::CommandLine line =
      tramontane::read_command_line(static_cast<int>(arguments.size()), arguments.data());
  if (line.printed) {
    if (rank == 0) std::fputs(line.printed->c_str(), stdout);
    return 0;
  }
  return tramontane::dispatch(line, MPI_COMM_WORLD);
}

}  // namespace

int main(int argc, char** argv) {
  // Only the main thread talks to MPI; oneDNN's threads compute beside it.
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  int code = 0;
  {
    // Kokkos would answer --help too: it gets only what is meant for it.
    std::vector<char*> ours, for_kokkos = {argv[0]};
    for (int i = 0; i < argc; ++i)
      (std::string_view(argv[i]).starts_with("--kokkos") ? for_kokkos : ours).push_back(argv[i]);
    int kokkos_count = static_cast<int>(for_kokkos.size());
    for_kokkos.push_back(nullptr);
    Kokkos::ScopeGuard kokkos(kokkos_count, for_kokkos.data());
    // PETSc takes no options from our command line, and leaves signals and errors to us.
    PetscInitializeNoArguments();
    PetscPopSignalHandler();
    tramontane::start_logging(rank);
    tramontane::catch_stop_signals();
    tramontane::share_processors(MPI_COMM_WORLD);
    code = tramontane::run_to_common_end(MPI_COMM_WORLD, [&] { return tramontane_main(ours, rank); });
    PetscFinalize();
  }
  MPI_Finalize();
  return code;
}
