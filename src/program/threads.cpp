#include "src/program/threads.hpp"

#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tramontane {

int fair_threads(int usable_processors, int node_processors, int ranks_on_node) {
  return std::max(1, std::min(usable_processors, node_processors / std::max(1, ranks_on_node)));
}

void share_processors(MPI_Comm world) {
  MPI_Comm node;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  int ranks = 1;
  MPI_Comm_size(node, &ranks);
  MPI_Comm_free(&node);
  if (std::getenv("OMP_NUM_THREADS")) return;
  cpu_set_t usable;
  CPU_ZERO(&usable);
  const int processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int mine = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : processors;
  // The OpenMP library comes with oneDNN, if it does: the program itself does not use it.
  using SetThreads = void (*)(int);
  if (const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads")))
    set_threads(fair_threads(mine, processors, ranks));
}

}  // namespace tramontane
