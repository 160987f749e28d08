/// Small questions to a communicator.
#pragma once

#include <mpi.h>

#include <string>

namespace tramontane {

/// This process's rank.
inline int rank_in(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}

/// Number of ranks.
inline int size_of(MPI_Comm comm) {
  int size = 1;
  MPI_Comm_size(comm, &size);
  return size;
}

/// The text of one rank, on every rank. Collective.
inline std::string shared_text(std::string text, MPI_Comm comm, int of = 0) {
  unsigned long long size = text.size();
  MPI_Bcast(&size, 1, MPI_UNSIGNED_LONG_LONG, of, comm);
  text.resize(size);
  MPI_Bcast(text.data(), static_cast<int>(size), MPI_CHAR, of, comm);
  return text;
}

}  // namespace tramontane
