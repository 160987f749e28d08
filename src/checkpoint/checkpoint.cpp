#include "src/checkpoint/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "physics/state_check.hpp"
#include "src/archive/disk_room.hpp"
#include "src/checkpoint/file_seal.hpp"
#include "src/checkpoint/sealed_file.hpp"
#include "src/hdf5_handles.hpp"
#include "src/output/tile_order.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;
using hdf5::Handle;

/// More than attributes and small datasets take, bytes.
constexpr std::int64_t kHeadRoom = 64 << 10;

/// Names every scalar of a checkpoint once, for writing and for reading.
template <class Record, class Visit>
void for_each_scalar(Record& c, const Visit& visit) {
  visit("program_version", c.version);
  visit("grid_n", c.n);
  visit("levels", c.levels);
  visit("variables", c.variables);
  visit("real_bytes", c.real_bytes);
  visit("initial_case", c.initial_case);
  visit("reference_geopotential", c.reference);
  visit("rotation_x", c.rotation.x);
  visit("rotation_y", c.rotation.y);
  visit("rotation_z", c.rotation.z);
  visit("orography_checksum", c.orography);
  visit("integrator", c.integrator);
  visit("reconstruction", c.reconstruction);
  visit("viscosity", c.viscosity);
  visit("time_cfl", c.cfl);
  visit("time_dt", c.dt);
  visit("time_seconds", c.progress.time);
  visit("largest_step_seconds", c.progress.largest_step);
  visit("plan_step_seconds", c.progress.plan.dt);
  visit("plan_steps_left", c.progress.plan.steps);
  visit("plan_end_seconds", c.progress.plan.end);
  visit("steps", c.progress.effort.steps);
  visit("cell_updates", c.progress.effort.cell_updates);
  visit("wall_seconds", c.progress.effort.seconds);
  visit("simulated_seconds", c.progress.effort.simulated);
  visit("solver_nc_records", c.records);
  visit("solver_latlon_nc_records", c.latlon_records);
  visit("last_record_seconds", c.last_record);
}

/// Whole numbers of any width are stored in 64 bits.
template <class T>
using Stored = std::conditional_t<std::is_integral_v<T> && std::is_signed_v<T>, std::int64_t, T>;

Handle mpi_access(MPI_Comm comm) {
  Handle access = hdf5::property_list(H5P_FILE_ACCESS);
  hdf5::check(H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL), "cannot use HDF5's MPI driver");
  hdf5::check(H5Pset_all_coll_metadata_ops(access, true), "cannot make HDF5's metadata reads collective");
  hdf5::check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), "cannot set how HDF5 closes");
  return access;
}

Handle collective_transfer() {
  Handle transfer = hdf5::property_list(H5P_DATASET_XFER);
  hdf5::check(H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE), "cannot make HDF5's transfer collective");
  return transfer;
}

/// The rank's tiles in "state", all variables and levels.
Handle select_tiles(hid_t dataset, const Tiling& tiling, int rank, hsize_t variables, hsize_t levels) {
  Handle space(H5Dget_space(dataset), H5Sclose, "cannot read the shape of the state");
  hdf5::check(H5Sselect_none(space), "cannot select tiles");
  const hsize_t size = tiling.tile_cells(), one[5] = {1, 1, 1, 1, 1};
  for (int tile = tiling.first_tile(rank); tile < tiling.first_tile(rank + 1); ++tile) {
    const TilePlace place = tiling.place(tile);
    const hsize_t start[5] = {0, 0, static_cast<hsize_t>(place.panel), place.tj * size, place.ti * size},
                  block[5] = {variables, levels, 1, size, size};
    hdf5::check(H5Sselect_hyperslab(space, H5S_SELECT_OR, start, nullptr, one, block), "cannot select tiles");
  }
  return space;
}

/// The interior of a state, (variable, level, cells in the order of the file), and back.
template <class Host, class Copy>
void walk_in_file_order(const Host& host, const Tiling& tiling, int rank, const Copy& copy) {
  const std::vector<std::size_t> order = order_in_file(tiling, rank);
  const int size = tiling.tile_cells(), cells = tiling.cells_per_tile();
  std::size_t k = 0;
  for (std::size_t variable = 0; variable < host.extent(2); ++variable)
    for (std::size_t level = 0; level < host.extent(1); ++level)
      for (const std::size_t cell : order)
        copy(k++, host(cell / cells, level, variable, cell % cells / size + kHalo, cell % size + kHalo));
}

/// Why MPI-IO can not open a file here: Open MPI keeps a small file of its own in the temporary folder for every file
/// that several ranks open, and waits for ever, or dies of a bus error, when that folder is full.
std::string why_no_scratch() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  const fs::space_info space = fs::space(folder, error);
  return error || space.available > kHeadRoom ? "" : folder.string() + ", where MPI keeps files, is full";
}

std::uint64_t added(std::uint64_t sum, MPI_Comm comm) {
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_UINT64_T, MPI_SUM, comm);
  return sum;
}

/// Finaliser of SplitMix64 (Steele et al. 2014, OOPSLA): one to one on 64 bits.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

/// The file with everything but the values of the state, made by one rank.
void make_skeleton(const std::string& path, const Checkpoint& checkpoint, std::uint64_t state_checksum,
                   const std::vector<hsize_t>& shape) {
  const Handle access = hdf5::property_list(H5P_FILE_ACCESS), creation = hdf5::property_list(H5P_FILE_CREATE),
               placement = hdf5::property_list(H5P_DATASET_CREATE);
  hdf5::check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18), "cannot set HDF5's format");
  hdf5::check(H5Pset_userblock(creation, kSealBytes), "cannot leave room for the seal");
  // Equal checkpoints are equal files: no time stamps.
  hdf5::check(H5Pset_obj_track_times(creation, false), "cannot set up the file");
  // Storage is laid out now, so that the ranks change values only, and no metadata.
  hdf5::check(H5Pset_alloc_time(placement, H5D_ALLOC_TIME_EARLY), "cannot lay out the state");
  hdf5::check(H5Pset_fill_time(placement, H5D_FILL_TIME_NEVER), "cannot lay out the state");
  hdf5::check(H5Pset_obj_track_times(placement, false), "cannot lay out the state");
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose, "cannot create " + path);
  {
    for_each_scalar(checkpoint, [&](const char* name, const auto& value) {
      using T = std::remove_cvref_t<decltype(value)>;
      if constexpr (std::is_same_v<T, std::string>)
        hdf5::write_attribute(file, name, value);
      else
        hdf5::write_attribute(file, name, static_cast<Stored<T>>(value));
    });
    const auto write_list = [&](const char* name, const std::vector<double>& values) {
      const hsize_t count = values.size();
      const Handle dataset =
          hdf5::create_dataset(file, name, H5T_NATIVE_DOUBLE, hdf5::dataspace({&count, 1}), placement);
      hdf5::write(dataset, values.data());
    };
    write_list("budgets_at_start", checkpoint.budgets_at_start);
    write_list("largest_drifts", checkpoint.largest_drifts);
    const Handle state =
        hdf5::create_dataset(file, "state", hdf5::native_type<Real>(), hdf5::dataspace(shape), placement);
    hdf5::write_attribute(state, "dimensions", "variable level panel y x");
    hdf5::write_attribute(state, "checksum", state_checksum);
  }
  file.close("cannot write " + path);
}

}  // namespace

template <class T>
std::uint64_t cell_checksum(const Tiling& tiling, int rank, const std::vector<T>& values) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  const std::size_t owned = static_cast<std::size_t>(tiling.owned_count(rank)) * tiling.cells_per_tile();
  const int size = tiling.tile_cells(), cells = tiling.cells_per_tile();
  std::uint64_t sum = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const std::size_t field = k / owned, cell = k % owned, in_tile = cell % cells;
    const TilePlace place = tiling.place(tiling.first_tile(rank) + static_cast<int>(cell / cells));
    const std::size_t where = field * tiling.cell_count() +
                              tiling.global_offset({place.panel, place.tj * size + static_cast<int>(in_tile) / size,
                                                    place.ti * size + static_cast<int>(in_tile) % size});
    sum += mixed(std::bit_cast<Bits>(values[k]) ^ mixed(where + 1));
  }
  return sum;
}

template std::uint64_t cell_checksum(const Tiling&, int, const std::vector<double>&);
template std::uint64_t cell_checksum(const Tiling&, int, const std::vector<float>&);

namespace {

/// The state in memory order (variable, level, owned tiles, T, T), for cell_checksum.
template <class Host>
std::uint64_t state_checksum(const Host& host, const Tiling& tiling, int rank, MPI_Comm comm) {
  std::vector<Real> values;
  const int size = tiling.tile_cells();
  values.reserve(host.extent(2) * host.extent(1) * host.extent(0) * tiling.cells_per_tile());
  for (std::size_t variable = 0; variable < host.extent(2); ++variable)
    for (std::size_t level = 0; level < host.extent(1); ++level)
      for (std::size_t tile = 0; tile < host.extent(0); ++tile)
        for (int j = 0; j < size; ++j)
          for (int i = 0; i < size; ++i) values.push_back(host(tile, level, variable, j + kHalo, i + kHalo));
  return added(cell_checksum(tiling, rank, values), comm);
}

}  // namespace

Checkpoint describe(const Deck& deck, const Simulation& simulation) {
  const ShallowWater& solver = simulation.solver();
  Checkpoint c;
  c.n = simulation.grid().n();
  c.levels = static_cast<int>(simulation.state().extent(1));
  c.variables = fmt::format("{}", fmt::join(variable_names(static_cast<int>(simulation.state().extent(2))), " "));
  c.real_bytes = sizeof(Real);
  c.initial_case = name_of(deck.initial.kind);
  c.reference = solver.reference();
  c.rotation = solver.rotation();
  c.orography =
      added(cell_checksum(simulation.grid().tiling(), simulation.grid().rank(), solver.orography()), solver.comm());
  c.version = TRAMONTANE_VERSION;
  c.integrator = deck.physics.integrator;
  c.reconstruction = deck.physics.reconstruction;
  c.viscosity = deck.physics.viscosity;
  c.cfl = deck.time.cfl.value_or(0);
  c.dt = deck.time.dt.value_or(0);
  c.progress = simulation.progress();
  return c;
}

namespace {

std::string width_name(int real_bytes) {
  if (real_bytes == sizeof(double)) return "double precision";
  if (real_bytes == sizeof(float)) return "single precision";
  return fmt::format("{} bytes", real_bytes);
}

}  // namespace

void check_fits(const Checkpoint& checkpoint, const Checkpoint& own, const std::string& path) {
  const auto refuse = [&](const std::string& has, const std::string& wants, const std::string& advice) {
    throw InputError(fmt::format("{} {}, and this run {}: {}", path, has, wants, advice));
  };
  if (checkpoint.n != own.n)
    refuse(fmt::format("is a checkpoint of a grid of C{}", checkpoint.n), fmt::format("is on C{}", own.n),
           fmt::format("set grid.n = {} or name another checkpoint", checkpoint.n));
  if (checkpoint.levels != own.levels)
    refuse(fmt::format("is a checkpoint of {} level(s)", checkpoint.levels), fmt::format("has {}", own.levels),
           "name another checkpoint");
  if (checkpoint.variables != own.variables)
    refuse(fmt::format("holds the variables {}", checkpoint.variables), fmt::format("needs {}", own.variables),
           "name a checkpoint of the same equations");
  if (checkpoint.real_bytes != own.real_bytes)
    refuse("holds numbers of " + width_name(checkpoint.real_bytes), "computes with " + width_name(own.real_bytes),
           "continue it with the build that wrote it, or start anew");
  if (checkpoint.initial_case != own.initial_case)
    refuse("began from the case " + checkpoint.initial_case, "from " + own.initial_case,
           "set initial.case = " + checkpoint.initial_case + " or name another checkpoint");
  if (checkpoint.orography != own.orography || checkpoint.reference != own.reference ||
      checkpoint.rotation.x != own.rotation.x || checkpoint.rotation.y != own.rotation.y ||
      checkpoint.rotation.z != own.rotation.z)
    refuse("stands on another orography, mean depth or rotation", "is set up differently",
           "give the keys of initial and data the values they had");
  if (checkpoint.budgets_at_start.size() != own.budgets_at_start.size() ||
      checkpoint.largest_drifts.size() != own.largest_drifts.size())
    refuse(fmt::format("keeps {} budgets", checkpoint.budgets_at_start.size()),
           fmt::format("watches {}", own.budgets_at_start.size()), "use the version of the program that wrote it");
}

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint, const ShallowWater& solver,
                      const State& state) {
  const MPI_Comm comm = solver.comm();
  const Tiling& tiling = solver.grid().tiling();
  const int rank = solver.grid().rank();
  const std::string part = path + ".part";
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const hsize_t variables = state.extent(2), levels = state.extent(1), n = tiling.n;
  const std::uint64_t checksum = state_checksum(host, tiling, rank, comm);
  std::vector<Real> values(variables * levels * tiling.owned_count(rank) * tiling.cells_per_tile());
  walk_in_file_order(host, tiling, rank, [&](std::size_t k, Real value) { values[k] = value; });

  try {
    // What a full disk can refuse is refused here, before any rank depends on another: MPI-IO does not come back from a
    // collective open or write that fails on some ranks only.
    collective_guard(comm, [&] {
      const std::int64_t bytes =
          static_cast<std::int64_t>(variables * levels * kPanels * n * n * sizeof(Real)) + kHeadRoom;
      const auto require_none = [&](const std::string& reason) {
        if (!reason.empty()) throw RunError(fmt::format("there is no room for {} ({})", part, reason));
      };
      require_none(file_limit_reason(bytes));
      require_none(why_no_scratch());
      if (rank != 0) return;
      const auto claim = [&] { require_none(claim_room(part, bytes)); };
      const int made = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
      if (made < 0) throw RunError(fmt::format("cannot create {} ({})", part, std::strerror(errno)));
      close(made);
      claim();
      make_skeleton(part, checkpoint, checksum, {variables, levels, kPanels, n, n});
      claim();  // HDF5 began the file anew
    });
    collective_guard(comm, [&] {
      if (access(part.c_str(), R_OK | W_OK) != 0)
        throw RunError(fmt::format("cannot open {} on rank {} ({})", part, rank, std::strerror(errno)));
    });
    Handle file, dataset;
    collective_guard(comm, [&] {
      file = hdf5::open_file(part, H5F_ACC_RDWR, mpi_access(comm));
      dataset = hdf5::open_dataset(file, "state");
    });
    collective_guard(comm, [&] {
      const Handle space = select_tiles(dataset, tiling, rank, variables, levels);
      const hsize_t count = values.size();
      hdf5::check(H5Dwrite(dataset, hdf5::native_type<Real>(), hdf5::dataspace({&count, 1}), space,
                           collective_transfer(), values.data()),
                  "cannot write the state");
    });
    collective_guard(comm, [&] {
      const herr_t flushed = H5Fflush(file, H5F_SCOPE_GLOBAL);
      dataset.close("cannot close the state");
      file.close("cannot close " + part);
      hdf5::check(flushed, "cannot bring " + part + " to the disk");
    });
    seal_file(part, kCheckpointFormat, comm);
    collective_guard(comm, [&] {
      if (rank == 0) put_in_place(part, path);
    });
  } catch (const std::exception& error) {
    std::error_code ignored;
    if (rank == 0) fs::remove(part, ignored);
    throw RunError(error.what());
  }
}

Checkpoint read_checkpoint(const std::string& path, MPI_Comm comm) {
  Checkpoint checkpoint;
  collective_guard(comm, [&] {
    const Handle file = hdf5::open_file(path, H5F_ACC_RDONLY, mpi_access(comm));
    for_each_scalar(checkpoint, [&](const char* name, auto& value) {
      using T = std::remove_cvref_t<decltype(value)>;
      if constexpr (std::is_same_v<T, std::string>)
        value = hdf5::read_string_attribute(file, name);
      else
        value = static_cast<T>(hdf5::read_attribute<Stored<T>>(file, name));
    });
    checkpoint.budgets_at_start = hdf5::read<double>(hdf5::open_dataset(file, "budgets_at_start"));
    checkpoint.largest_drifts = hdf5::read<double>(hdf5::open_dataset(file, "largest_drifts"));
  });
  return checkpoint;
}

void read_checkpoint_state(const std::string& path, const ShallowWater& solver, const State& state) {
  const MPI_Comm comm = solver.comm();
  const Tiling& tiling = solver.grid().tiling();
  const int rank = solver.grid().rank();
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  std::vector<Real> values(state.extent(2) * state.extent(1) * tiling.owned_count(rank) * tiling.cells_per_tile());
  std::uint64_t expected = 0;
  collective_guard(comm, [&] {
    const Handle file = hdf5::open_file(path, H5F_ACC_RDONLY, mpi_access(comm)),
                 dataset = hdf5::open_dataset(file, "state");
    const Handle space = select_tiles(dataset, tiling, rank, state.extent(2), state.extent(1));
    const hsize_t count = values.size();
    hdf5::check(H5Dread(dataset, hdf5::native_type<Real>(), hdf5::dataspace({&count, 1}), space, collective_transfer(),
                        values.data()),
                "cannot read the state of " + path);
    expected = hdf5::read_attribute<std::uint64_t>(dataset, "checksum");
  });
  walk_in_file_order(host, tiling, rank, [&](std::size_t k, Real& value) { value = values[k]; });
  if (state_checksum(host, tiling, rank, comm) != expected)
    throw RunError(fmt::format("the state read from {} is not the one that was written", path));
  Kokkos::deep_copy(state, host);
}

}  // namespace tramontane
