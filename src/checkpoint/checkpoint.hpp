/// A solver run on disk: what it takes to go on as if it had never stopped, on any number of ranks and any tiling.
///
/// One HDF5 file: dataset "state" of shape (variable, level, 6, n, n), small datasets "budgets_at_start" and
/// "largest_drifts", everything else as attributes of the root. The first 512 bytes are a seal (file_seal.hpp).
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/coupled/simulation.hpp"

namespace tramontane {

/// Raised when the layout of the file or the meaning of anything in it changes.
inline constexpr int kCheckpointFormat = 2;

/// Everything in a checkpoint but the state itself.
struct Checkpoint {
  // What a run must share with the one that left the checkpoint.
  int n = 0, levels = 0;
  std::string variables;  ///< names in order, separated by blanks
  int real_bytes = 0;     ///< size of a number of the state
  std::string initial_case;
  double reference = 0;         ///< reference geopotential, m2 s-2
  Vector3 rotation{};           ///< angular velocity of the sphere, s-1
  std::uint64_t orography = 0;  ///< sum over the cells (see cell_checksum)

  // What may change: then the rest of the stretch under way is planned anew.
  std::string version;  ///< of the program
  std::string integrator;
  int reconstruction = 0;
  double viscosity = 0;    ///< m2 s-1
  double cfl = 0, dt = 0;  ///< time.cfl and time.dt, 0 for auto

  SimulationProgress progress;
  std::vector<double> budgets_at_start, largest_drifts;

  // Where the output files stand.
  std::int64_t records = 0, latlon_records = 0;  ///< in solver.nc and solver_latlon.nc
  double last_record = 0;                        ///< time of the last of them, s
};

/// Identity of a simulation under a deck: the first two groups of fields and the progress. Collective.
Checkpoint describe(const Deck& deck, const Simulation& simulation);

/// Throws InputError, in one sentence that begins with the file's name, unless a run that `own` describes can continue
/// from the checkpoint.
void check_fits(const Checkpoint& checkpoint, const Checkpoint& own, const std::string& path);

/// Sum over all cells of a mixed number of value and place, modulo 2^64: does not depend on ranks or tiles, and a
/// change of any one value changes it. `values` of shape (fields, owned tiles, T, T). Local: the ranks' sums must be
/// added.
template <class T>
std::uint64_t cell_checksum(const Tiling& tiling, int rank, const std::vector<T>& values);

/// Writes a checkpoint: beside the path as PATH.part, checked for room first, all ranks writing their tiles
/// collectively, sealed, brought to the disk, then renamed. Collective over the simulation's ranks. When anything fails
/// on any rank, the part is removed, the path keeps what it held, and every rank throws RunError.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint, const ShallowWater& solver,
                      const State& state);

/// Reads what stands beside the state. The file must have passed check_seal. Collective; RunError as above.
Checkpoint read_checkpoint(const std::string& path, MPI_Comm comm);

/// Reads the state into the interior of `state`; the checkpoint must fit. Collective; RunError as above, also when the
/// state does not match the sum that was taken of it in memory before it was written.
void read_checkpoint_state(const std::string& path, const ShallowWater& solver, const State& state);

}  // namespace tramontane
