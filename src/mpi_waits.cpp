// Every blocking call of MPI is a wait that the watchdog sees, whoever makes it: this program, HDF5, PnetCDF or PETSc.
// The program's own definitions come before the MPI library's. Each calls the next one in the order of loading, so that
// a profiling library that was preloaded still gets its turn (it would not with PMPI_ alone). Part of main programs
// only: a definition in a library would be taken or not by the order of linking.
#include <dlfcn.h>
#include <mpi.h>

#include "kernels/wait_scope.hpp"

namespace {

template <class Function>
Function next(const char* name, Function profiled) {
  const auto found = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  return found ? found : profiled;  // null where MPI is linked statically
}

}  // namespace

#define WATCHED(name, comm, peer, parameters, arguments)        \
  extern "C" int MPI_##name parameters {                        \
    static const auto call = next("MPI_" #name, &PMPI_##name);  \
    const tramontane::WaitScope wait("MPI_" #name, comm, peer); \
    return call arguments;                                      \
  }
#define ALL tramontane::WaitScope::kAll

using Type = MPI_Datatype;
using Status = MPI_Status;
using Offset = MPI_Offset;
using Types = const MPI_Datatype[];
using Counts = const int[];

// Collectives.
WATCHED(Barrier, c, ALL, (MPI_Comm c), (c))
WATCHED(Bcast, c, ALL, (void* b, int n, Type t, int root, MPI_Comm c), (b, n, t, root, c))
WATCHED(Reduce, c, ALL, (const void* s, void* r, int n, Type t, MPI_Op o, int root, MPI_Comm c),
        (s, r, n, t, o, root, c))
WATCHED(Allreduce, c, ALL, (const void* s, void* r, int n, Type t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
WATCHED(Scan, c, ALL, (const void* s, void* r, int n, Type t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
WATCHED(Exscan, c, ALL, (const void* s, void* r, int n, Type t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
WATCHED(Reduce_scatter, c, ALL, (const void* s, void* r, Counts n, Type t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
WATCHED(Reduce_scatter_block, c, ALL, (const void* s, void* r, int n, Type t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
WATCHED(Gather, c, ALL, (const void* s, int n, Type t, void* r, int m, Type u, int root, MPI_Comm c),
        (s, n, t, r, m, u, root, c))
WATCHED(Gatherv, c, ALL, (const void* s, int n, Type t, void* r, Counts m, Counts d, Type u, int root, MPI_Comm c),
        (s, n, t, r, m, d, u, root, c))
WATCHED(Scatter, c, ALL, (const void* s, int n, Type t, void* r, int m, Type u, int root, MPI_Comm c),
        (s, n, t, r, m, u, root, c))
WATCHED(Scatterv, c, ALL, (const void* s, Counts n, Counts d, Type t, void* r, int m, Type u, int root, MPI_Comm c),
        (s, n, d, t, r, m, u, root, c))
WATCHED(Allgather, c, ALL, (const void* s, int n, Type t, void* r, int m, Type u, MPI_Comm c), (s, n, t, r, m, u, c))
WATCHED(Allgatherv, c, ALL, (const void* s, int n, Type t, void* r, Counts m, Counts d, Type u, MPI_Comm c),
        (s, n, t, r, m, d, u, c))
WATCHED(Alltoall, c, ALL, (const void* s, int n, Type t, void* r, int m, Type u, MPI_Comm c), (s, n, t, r, m, u, c))
WATCHED(Alltoallv, c, ALL, (const void* s, Counts n, Counts d, Type t, void* r, Counts m, Counts e, Type u, MPI_Comm c),
        (s, n, d, t, r, m, e, u, c))
WATCHED(Alltoallw, c, ALL,
        (const void* s, Counts n, Counts d, Types t, void* r, Counts m, Counts e, Types u, MPI_Comm c),
        (s, n, d, t, r, m, e, u, c))
WATCHED(Neighbor_alltoallv, c, ALL,
        (const void* s, Counts n, Counts d, Type t, void* r, Counts m, Counts e, Type u, MPI_Comm c),
        (s, n, d, t, r, m, e, u, c))

// Messages.
WATCHED(Send, c, to, (const void* b, int n, Type t, int to, int tag, MPI_Comm c), (b, n, t, to, tag, c))
WATCHED(Ssend, c, to, (const void* b, int n, Type t, int to, int tag, MPI_Comm c), (b, n, t, to, tag, c))
WATCHED(Rsend, c, to, (const void* b, int n, Type t, int to, int tag, MPI_Comm c), (b, n, t, to, tag, c))
WATCHED(Recv, c, from, (void* b, int n, Type t, int from, int tag, MPI_Comm c, Status* s), (b, n, t, from, tag, c, s))
WATCHED(Mrecv, MPI_COMM_NULL, ALL, (void* b, int n, Type t, MPI_Message* m, Status* s), (b, n, t, m, s))
WATCHED(Probe, c, from, (int from, int tag, MPI_Comm c, Status* s), (from, tag, c, s))
WATCHED(Mprobe, c, from, (int from, int tag, MPI_Comm c, MPI_Message* m, Status* s), (from, tag, c, m, s))
WATCHED(Sendrecv, c, from,
        (const void* a, int n, Type t, int to, int g, void* b, int m, Type u, int from, int h, MPI_Comm c, Status* s),
        (a, n, t, to, g, b, m, u, from, h, c, s))
WATCHED(Sendrecv_replace, c, from, (void* b, int n, Type t, int to, int g, int from, int h, MPI_Comm c, Status* s),
        (b, n, t, to, g, from, h, c, s))
WATCHED(Wait, MPI_COMM_NULL, ALL, (MPI_Request * r, Status* s), (r, s))
WATCHED(Waitall, MPI_COMM_NULL, ALL, (int n, MPI_Request r[], Status s[]), (n, r, s))
WATCHED(Waitany, MPI_COMM_NULL, ALL, (int n, MPI_Request r[], int* i, Status* s), (n, r, i, s))
WATCHED(Waitsome, MPI_COMM_NULL, ALL, (int n, MPI_Request r[], int* m, int i[], Status s[]), (n, r, m, i, s))

// Communicators and windows.
WATCHED(Comm_dup, c, ALL, (MPI_Comm c, MPI_Comm* made), (c, made))
WATCHED(Comm_dup_with_info, c, ALL, (MPI_Comm c, MPI_Info i, MPI_Comm* made), (c, i, made))
WATCHED(Comm_split, c, ALL, (MPI_Comm c, int color, int key, MPI_Comm* made), (c, color, key, made))
WATCHED(Comm_split_type, c, ALL, (MPI_Comm c, int type, int key, MPI_Info i, MPI_Comm* made), (c, type, key, i, made))
WATCHED(Comm_create, c, ALL, (MPI_Comm c, MPI_Group g, MPI_Comm* made), (c, g, made))
WATCHED(Comm_create_group, c, ALL, (MPI_Comm c, MPI_Group g, int tag, MPI_Comm* made), (c, g, tag, made))
WATCHED(Cart_create, c, ALL, (MPI_Comm c, int n, Counts d, Counts p, int r, MPI_Comm* made), (c, n, d, p, r, made))
WATCHED(Cart_sub, c, ALL, (MPI_Comm c, Counts kept, MPI_Comm* made), (c, kept, made))
WATCHED(Dist_graph_create_adjacent, c, ALL,
        (MPI_Comm c, int n, Counts s, Counts v, int m, Counts d, Counts w, MPI_Info i, int r, MPI_Comm* made),
        (c, n, s, v, m, d, w, i, r, made))
WATCHED(Intercomm_create, c, ALL, (MPI_Comm own, int l, MPI_Comm c, int r, int tag, MPI_Comm* made),
        (own, l, c, r, tag, made))
WATCHED(Intercomm_merge, c, ALL, (MPI_Comm c, int high, MPI_Comm* made), (c, high, made))
WATCHED(Win_create, c, ALL, (void* b, MPI_Aint n, int u, MPI_Info i, MPI_Comm c, MPI_Win* w), (b, n, u, i, c, w))
WATCHED(Win_allocate, c, ALL, (MPI_Aint n, int u, MPI_Info i, MPI_Comm c, void* b, MPI_Win* w), (n, u, i, c, b, w))
WATCHED(Win_fence, MPI_COMM_NULL, ALL, (int a, MPI_Win w), (a, w))
WATCHED(Win_allocate_shared, c, ALL, (MPI_Aint n, int u, MPI_Info i, MPI_Comm c, void* b, MPI_Win* w), (n, u, i, c, b, w))
WATCHED(Win_lock, MPI_COMM_NULL, ALL, (int type, int rank, int a, MPI_Win w), (type, rank, a, w))
WATCHED(Win_unlock, MPI_COMM_NULL, ALL, (int rank, MPI_Win w), (rank, w))
WATCHED(Win_start, MPI_COMM_NULL, ALL, (MPI_Group g, int a, MPI_Win w), (g, a, w))
WATCHED(Win_complete, MPI_COMM_NULL, ALL, (MPI_Win w), (w))
WATCHED(Win_wait, MPI_COMM_NULL, ALL, (MPI_Win w), (w))
WATCHED(Win_free, MPI_COMM_NULL, ALL, (MPI_Win * w), (w))

extern "C" int MPI_Comm_free(MPI_Comm* comm) {
  static const auto call = next("MPI_Comm_free", &PMPI_Comm_free);
  const tramontane::WaitScope wait("MPI_Comm_free", *comm);
  tramontane::forget_communicator(*comm);
  return call(comm);
}

extern "C" int MPI_Finalize() {
  static const auto call = next("MPI_Finalize", &PMPI_Finalize);
  const tramontane::WaitScope wait("the end of all ranks (MPI_Finalize)", MPI_COMM_WORLD);
  return call();
}

// Files: waits for the file system, and of the collective ones for each other.
WATCHED(File_open, c, ALL, (MPI_Comm c, const char* name, int mode, MPI_Info i, MPI_File* f), (c, name, mode, i, f))
#define FILE_WATCHED(name, parameters, arguments) WATCHED(name, MPI_COMM_NULL, ALL, parameters, arguments)
FILE_WATCHED(File_close, (MPI_File * f), (f))
FILE_WATCHED(File_delete, (const char* name, MPI_Info i), (name, i))
FILE_WATCHED(File_get_size, (MPI_File f, Offset * n), (f, n))
FILE_WATCHED(File_set_atomicity, (MPI_File f, int flag), (f, flag))
FILE_WATCHED(File_sync, (MPI_File f), (f))
FILE_WATCHED(File_set_size, (MPI_File f, Offset n), (f, n))
FILE_WATCHED(File_preallocate, (MPI_File f, Offset n), (f, n))
FILE_WATCHED(File_set_view, (MPI_File f, Offset d, Type e, Type t, const char* r, MPI_Info i), (f, d, e, t, r, i))
FILE_WATCHED(File_read, (MPI_File f, void* b, int n, Type t, Status* s), (f, b, n, t, s))
FILE_WATCHED(File_read_all, (MPI_File f, void* b, int n, Type t, Status* s), (f, b, n, t, s))
FILE_WATCHED(File_read_at, (MPI_File f, Offset o, void* b, int n, Type t, Status* s), (f, o, b, n, t, s))
FILE_WATCHED(File_read_at_all, (MPI_File f, Offset o, void* b, int n, Type t, Status* s), (f, o, b, n, t, s))
FILE_WATCHED(File_write, (MPI_File f, const void* b, int n, Type t, Status* s), (f, b, n, t, s))
FILE_WATCHED(File_write_all, (MPI_File f, const void* b, int n, Type t, Status* s), (f, b, n, t, s))
FILE_WATCHED(File_write_at, (MPI_File f, Offset o, const void* b, int n, Type t, Status* s), (f, o, b, n, t, s))
FILE_WATCHED(File_write_at_all, (MPI_File f, Offset o, const void* b, int n, Type t, Status* s), (f, o, b, n, t, s))
