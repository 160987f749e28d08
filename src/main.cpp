// Starts MPI, Kokkos and PETSc, hands over to the subcommand, and ends every rank with the same exit code.
#include <mpi.h>
#include <petscsys.h>

#include <Kokkos_Core.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/job_start.hpp"
#include "src/program/logging.hpp"
#include "src/program/signals.hpp"
#include "src/program/threads.hpp"
#include "src/program/watchdog.hpp"

namespace {

/// Whether the user has told Kokkos which GPU to take.
bool has_own_choice(const std::vector<char*>& for_kokkos) {
  for (const char* argument : for_kokkos)
    for (const char* option : {"--kokkos-device-id", "--kokkos-map-device-id-by"})
      if (std::string_view(argument).starts_with(option)) return true;
  return std::getenv("KOKKOS_DEVICE_ID") || std::getenv("KOKKOS_MAP_DEVICE_ID_BY");
}

/// Ranks go by their job numbers in what the watchdog says, and wait the deck's deadline.
void tell_watchdog(const tramontane::CommandContext& context) {
  const bool is_job = context.world != MPI_COMM_WORLD;
  tramontane::arm_faults(context.rank);
  if (!is_job) return;
  tramontane::name_ranks_by(context.world);
  std::vector<int> world_ranks;
  std::vector<std::string> roles;
  for (const tramontane::Seat& seat : context.seats) {
    world_ranks.push_back(seat.world_rank);
    roles.emplace_back(seat.learner ? "learner" : "solver");
  }
  tramontane::watchdog()->know_job(world_ranks, roles, context.rank, context.deck.stream.deadline);
}

/// Kokkos and PETSc around the subcommand.
int run_command(const tramontane::CommandContext& context, std::vector<char*> for_kokkos) {
  std::string device;
  // Under check the seats are of a job that is not there, on no communicator of its own.
  const int gpu = context.world == MPI_COMM_WORLD ? -1 : context.seats[static_cast<std::size_t>(context.rank)].gpu;
  if (gpu >= 0 && !has_own_choice(for_kokkos)) {
    device = "--kokkos-device-id=" + std::to_string(gpu);
    for_kokkos.push_back(device.data());
  }
  int count = static_cast<int>(for_kokkos.size());
  for_kokkos.push_back(nullptr);
  Kokkos::ScopeGuard kokkos(count, for_kokkos.data());
  // PETSc takes no options from our command line, and leaves signals and errors to us.
  PetscInitializeNoArguments();
  PetscPopSignalHandler();
  tramontane::catch_stop_signals();  // again: PETSc puts the system's handlers back
  tramontane::share_processors(MPI_COMM_WORLD);
  // A check is to answer in seconds, and has nothing that takes time to end.
  const double patience = context.line.command == tramontane::Command::check ? 3 : tramontane::kPatienceSeconds;
  const int code = tramontane::run_to_common_end(
      context.world, [&] { return tramontane::dispatch(context); }, patience);
  PetscFinalize();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // Only the main thread talks to MPI; oneDNN's threads compute beside it.
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  // Kokkos would answer --help too: it gets only what is meant for it.
  std::vector<char*> ours, for_kokkos = {argv[0]};
  for (int i = 0; i < argc; ++i)
    (std::string_view(argv[i]).starts_with("--kokkos") ? for_kokkos : ours).push_back(argv[i]);
  tramontane::start_logging(rank);
  tramontane::catch_stop_signals();
  // The deck's deadline is known later.
  auto watchdog = std::make_unique<tramontane::Watchdog>(tramontane::Deck{}.stream.deadline);
  tramontane::CommandContext context;
  int code = tramontane::run_to_common_end(MPI_COMM_WORLD, [&] {
    context = tramontane::begin_job(ours, MPI_COMM_WORLD);
    tell_watchdog(context);
    return 0;
  });
  if (code == 0 && context.line.printed) {
    if (rank == 0) std::fputs(context.line.printed->c_str(), stdout);
  } else if (code == 0) {
    tramontane::start_logging(context.rank);
    code = run_command(context, for_kokkos);
  }
  MPI_Finalize();
  return code;
}
