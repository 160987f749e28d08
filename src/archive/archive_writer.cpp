#include "src/archive/archive_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <utility>

#include "src/archive/archive_format.hpp"
#include "src/archive/archive_reader.hpp"
#include "src/archive/archive_seal.hpp"
#include "src/archive/disk_room.hpp"

namespace tramontane {

namespace {

using hdf5::Handle;

enum Scale : std::size_t { kSample, kPanel, kJ, kI, kTile };

/// Parallel access that holds metadata back until a flush.
Handle file_access(MPI_Comm comm) {
  Handle access = hdf5::property_list(H5P_FILE_ACCESS);
  hdf5::check(H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL), "cannot use HDF5's MPI driver");
  hdf5::check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18), "cannot set HDF5's format");
  hdf5::check(H5Pset_all_coll_metadata_ops(access, true), "cannot make HDF5's metadata reads collective");
  hdf5::check(H5Pset_coll_metadata_write(access, true), "cannot make HDF5's metadata writes collective");
  H5AC_cache_config_t cache;
  cache.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  hdf5::check(H5Pget_mdc_config(access, &cache), "cannot read HDF5's metadata cache settings");
  cache.evictions_enabled = false;
  cache.incr_mode = H5C_incr__off;
  cache.flash_incr_mode = H5C_flash_incr__off;
  cache.decr_mode = H5C_decr__off;
  hdf5::check(H5Pset_mdc_config(access, &cache), "cannot set HDF5's metadata cache");
  return access;
}

Handle select_rows(hid_t dataset, std::int64_t row) {
  Handle space(H5Dget_space(dataset), H5Sclose, "cannot read the shape of a dataset");
  std::vector<hsize_t> start(4, 0), count = hdf5::dimensions(dataset);
  start[0] = static_cast<hsize_t>(row);
  count[0] = 1;
  hdf5::check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
              "cannot select a row");
  return space;
}

}  // namespace

ArchiveWriter::ArchiveWriter(const std::string& path, MPI_Comm solvers, const Tiling& tiling, const ArchiveMeta& meta)
    : path_(path), tiling_(tiling), flush_every_(std::max(1, meta.flush_every)), on_change_(meta.on_change) {
  int size = 0;
  MPI_Comm_dup(solvers, &comm_);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size);
  first_panel_ = tiling.place(tiling.first_tile(rank_)).panel;
  panels_ = tiling.place(tiling.first_tile(rank_) + tiling.owned_count(rank_) - 1).panel - first_panel_ + 1;
  panel_field_.resize(static_cast<std::size_t>(panels_) * tiling.n * tiling.n);
  attempt([&] {
    if (size != tiling.ranks) throw RunError(fmt::format("a tiling of {} ranks on {} ranks", tiling.ranks, size));
    const std::size_t cells = tiling.cell_count();
    if (rank_ == 0 && (meta.lon.size() != cells || meta.lat.size() != cells || meta.cell_area.size() != cells))
      throw RunError(fmt::format("lon, lat and cell_area need {} values each", cells));
  });
  bool is_unreadable = false;
  try {
    agree("prepare the file");
    if (meta.keep_samples) {
      is_unreadable = true;
      attempt([&] { check_kept(meta); });
      agree("go on with the file");
      attempt([&] { reopen(*meta.keep_samples); });
      agree("go on with the file");
      is_unreadable = false;
    } else {
      attempt([&] { create(path, meta); });
      agree("create the file");
      attempt([&] { create_coordinates(meta); });
      attempt([&] { create_series(); });
    }
    attempt([&] { settle(); });
    agree("lay the file out");
    MPI_Bcast(&settled_bytes_, 1, MPI_INT64_T, 0, comm_);
    tell(ArchiveChange::flushed);
  } catch (const RunError& error) {
    release();
    MPI_Comm_free(&comm_);
    if (is_unreadable) throw ArchiveUnreadable(error.what());
    throw InputError(error.what());
  }
}

ArchiveWriter::~ArchiveWriter() {
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    for (auto* list : {&variables_, &series_, &scales_})
      for (Handle& handle : *list) (void)handle.release();
    (void)checksums_.release();
    (void)file_.release();
    return;
  }
  if (file_.open()) {
    tell(ArchiveChange::begins);
    release();
    tell(ArchiveChange::ended);
  }
  release();
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

void ArchiveWriter::tell(ArchiveChange change) {
  if (!on_change_) return;
  on_change_(change, settled_samples_);
  if (change == ArchiveChange::begins) MPI_Barrier(comm_);
}

void ArchiveWriter::release() {
  // Members close in an order of their own: everything before the file.
  variables_.clear();
  series_.clear();
  scales_.clear();
  checksums_ = Handle();
  transfer_ = Handle();
  file_ = Handle();
}

void ArchiveWriter::attempt(const std::function<void()>& step) {
  try {
    step();
  } catch (const RunError& error) {
    if (error_.empty()) error_ = error.what();
  }
}

void ArchiveWriter::agree(const std::string& what) {
  int size = 0;
  MPI_Comm_size(comm_, &size);
  int first = error_.empty() ? size : rank_;
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm_);
  if (first == size) return;
  std::array<char, 400> reason{};
  if (rank_ == first) std::strncpy(reason.data(), error_.c_str(), reason.size() - 1);
  MPI_Bcast(reason.data(), static_cast<int>(reason.size()), MPI_CHAR, first, comm_);
  failure_ = fmt::format("archive {}: cannot {} ({}): check the path, the rights and the room on the disk", path_, what,
                         reason.data());
  throw RunError(failure_);
}

void ArchiveWriter::create(const std::string& path, const ArchiveMeta& meta) {
  const Handle access = file_access(comm_);
  file_ = hdf5::create_file(path, access);
  transfer_ = hdf5::property_list(H5P_DATASET_XFER);
  hdf5::check(H5Pset_dxpl_mpio(transfer_, H5FD_MPIO_COLLECTIVE), "cannot make HDF5's writes collective");
  hdf5::write_attribute(file_, "Conventions", std::string("CF-1.10"));
  hdf5::write_attribute(file_, "title", std::string("Tramontane samples for offline training"));
  hdf5::write_attribute(file_, "format", std::string(kArchiveFormat));
  hdf5::write_attribute(file_, "format_version", kArchiveVersion);
  hdf5::write_attribute(file_, "n", static_cast<std::int32_t>(tiling_.n));
  hdf5::write_attribute(file_, "tiles_per_edge", static_cast<std::int32_t>(tiling_.tiles_per_edge));
  hdf5::write_attribute(file_, "interval_seconds", meta.interval_seconds);
  hdf5::write_attribute(file_, "code_version", meta.code_version);
  hdf5::write_attribute(file_, "run_id", meta.run_id);
  hdf5::write_attribute(file_, "source", meta.source);
  if (!meta.physics.empty()) hdf5::write_attribute(file_, "physics", meta.physics);
  hdf5::write_attribute(file_, "samples", std::int64_t{0});
  hdf5::write_attribute(file_, "complete", std::int32_t{0});
}

/// Looks before anything is changed, on one rank, by the reader's eyes: it takes damaged files.
void ArchiveWriter::check_kept(const ArchiveMeta& meta) {
  if (rank_ != 0) return;
  try {
    const ArchiveReader before(path_, true);
    if (before.n() != tiling_.n || before.tiles_per_edge() != tiling_.tiles_per_edge ||
        before.interval_seconds() != meta.interval_seconds)
      throw RunError(fmt::format("it holds C{} in {} tiles per edge every {} s, this run makes C{} in {} every {} s",
                                 before.n(), before.tiles_per_edge(), before.interval_seconds(), tiling_.n,
                                 tiling_.tiles_per_edge, meta.interval_seconds));
    if (before.size() < *meta.keep_samples || *meta.keep_samples < 0)
      throw RunError(fmt::format("it holds {} samples where {} are to be kept", before.size(), *meta.keep_samples));
  } catch (const InputError& error) {
    throw RunError(error.what());
  }
  // Bytes behind HDF5's end of the file would be taken for a seal again.
  std::error_code problem;
  if (const ArchiveSeal seal = check_archive_seal(path_); seal.is_present)
    std::filesystem::resize_file(path_, seal.body, problem);
  if (problem) throw RunError(fmt::format("its seal cannot be taken off ({})", problem.message()));
}

void ArchiveWriter::reopen(std::int64_t kept) {
  const Handle access = file_access(comm_);
  file_ = hdf5::open_file(path_, H5F_ACC_RDWR, access);
  transfer_ = hdf5::property_list(H5P_DATASET_XFER);
  hdf5::check(H5Pset_dxpl_mpio(transfer_, H5FD_MPIO_COLLECTIVE), "cannot make HDF5's writes collective");
  hdf5::write_attribute(file_, "complete", std::int32_t{0});
  hdf5::write_attribute(file_, "samples", kept);
  hdf5::write_attribute(file_, "format_version", kArchiveVersion);
  auto cut = [&](const std::string& name) {
    Handle data = hdf5::open_dataset(file_, name);
    std::vector<hsize_t> dims = hdf5::dimensions(data);
    dims[0] = static_cast<hsize_t>(kept);
    hdf5::check(H5Dset_extent(data, dims.data()), "cannot shorten " + name);
    return data;
  };
  scales_.push_back(cut("sample"));
  for (const char* name : {"panel", "j", "i", "tile"}) scales_.push_back(hdf5::open_dataset(file_, name));
  for (const Variable& what : sample_inputs()) variables_.push_back(cut("input/" + what.name));
  for (const Variable& what : sample_targets()) variables_.push_back(cut("target/" + what.name));
  for (const char* name : {"number", "time", "month", "trajectory", "validation"}) series_.push_back(cut(name));
  checksums_ = cut("checksum");
  samples_ = kept;
}

void ArchiveWriter::create_coordinates(const ArchiveMeta& meta) {
  const hsize_t n = static_cast<hsize_t>(tiling_.n);
  scales_.push_back(create_growing(file_, "sample", H5T_NATIVE_INT64, {}, 1024));
  hdf5::make_scale(scales_[kSample], "sample");
  auto index = [&](const char* name, hsize_t size, const char* long_name) {
    std::vector<std::int32_t> values(size);
    for (std::size_t k = 0; k < size; ++k) values[k] = static_cast<std::int32_t>(k);
    scales_.push_back(hdf5::create_dataset(file_, name, H5T_NATIVE_INT32, hdf5::dataspace(std::span(&size, 1))));
    hdf5::check(H5Dwrite(scales_.back(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, transfer_, values.data()),
                "cannot write an index");
    hdf5::write_attribute(scales_.back(), "long_name", std::string(long_name));
    hdf5::make_scale(scales_.back(), name);
  };
  index("panel", kPanels, "panel of the cubed sphere");
  index("j", n, "cell along beta");
  index("i", n, "cell along alpha");
  index("tile", static_cast<hsize_t>(tiling_.tile_count()), "tile number");

  auto coordinate = [&](const char* name, const std::vector<double>& values, const char* units, const char* standard) {
    const std::array<hsize_t, 3> shape = {kPanels, n, n};
    const Handle space = hdf5::dataspace(shape);
    const Handle data = hdf5::create_dataset(file_, name, H5T_NATIVE_DOUBLE, space);
    hdf5::write_attribute(data, "units", std::string(units));
    hdf5::write_attribute(data, "standard_name", std::string(standard));
    for (unsigned axis = 0; axis < 3; ++axis) hdf5::attach_scale(data, scales_[kPanel + axis], axis);
    if (rank_ != 0) hdf5::check(H5Sselect_none(space), "cannot select nothing");
    hdf5::check(H5Dwrite(data, H5T_NATIVE_DOUBLE, space, space, transfer_, values.data()), "cannot write a coordinate");
  };
  coordinate("lon", meta.lon, "degrees_east", "longitude");
  coordinate("lat", meta.lat, "degrees_north", "latitude");
  coordinate("cell_area", meta.cell_area, "m2", "cell_area");
}

Handle ArchiveWriter::create_growing(hid_t where, const std::string& name, hid_t type, std::vector<hsize_t> row,
                                     hsize_t chunk_rows) {
  std::vector<hsize_t> dims = row, most = row, chunk = row;
  dims.insert(dims.begin(), 0);
  most.insert(most.begin(), H5S_UNLIMITED);
  chunk.insert(chunk.begin(), chunk_rows);
  if (row.size() == 3) chunk[1] = 1;  // a field: one chunk per panel
  const Handle creation = hdf5::property_list(H5P_DATASET_CREATE);
  hdf5::check(H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), "cannot set a dataset's chunks");
  hdf5::check(H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER), "cannot switch off filling");
  return hdf5::create_dataset(where, name, type, hdf5::dataspace(dims, most), creation);
}

void ArchiveWriter::create_series() {
  const hsize_t n = static_cast<hsize_t>(tiling_.n);
  const Handle input = hdf5::create_group(file_, "input"), target = hdf5::create_group(file_, "target");
  auto field = [&](hid_t group, const Variable& what) {
    variables_.push_back(create_growing(group, what.name, H5T_NATIVE_FLOAT, {kPanels, n, n}, 1));
    const Handle& data = variables_.back();
    hdf5::write_attribute(data, "units", what.units);
    hdf5::write_attribute(data, "long_name", what.long_name);
    hdf5::write_attribute(data, "coordinates", std::string("lon lat"));
    hdf5::write_attribute(data, "cell_measures", std::string("area: cell_area"));
    hdf5::write_attribute(data, "cell_methods", std::string("area: mean"));
    for (unsigned axis = 0; axis < 4; ++axis) hdf5::attach_scale(data, scales_[kSample + axis], axis);
  };
  for (const Variable& what : sample_inputs()) field(input, what);
  for (const Variable& what : sample_targets()) field(target, what);

  auto series = [&](const char* name, hid_t type, const char* long_name, const char* units) {
    series_.push_back(create_growing(file_, name, type, {}, 1024));
    hdf5::write_attribute(series_.back(), "long_name", std::string(long_name));
    hdf5::write_attribute(series_.back(), "units", std::string(units));
    hdf5::attach_scale(series_.back(), scales_[kSample], 0);
  };
  series("number", H5T_NATIVE_INT64, "number of the sample in its stream", "1");
  // "seconds" alone: with a reference date readers would turn it into one, but the count starts anew per trajectory.
  series("time", H5T_NATIVE_DOUBLE, "model time since the start of the trajectory", "seconds");
  series("month", H5T_NATIVE_INT32, "start month as YYYYMM", "1");
  series("trajectory", H5T_NATIVE_INT32, "trajectory", "1");
  series("validation", H5T_NATIVE_INT32, "1: held out, never trained on", "1");
  checksums_ = create_growing(file_, "checksum", H5T_NATIVE_UINT64, {static_cast<hsize_t>(tiling_.tile_count())}, 64);
  hdf5::write_attribute(checksums_, "long_name",
                        std::string("XXH3 of the sample's number and marks and the tile's values"));
  hdf5::attach_scale(checksums_, scales_[kSample], 0);
  hdf5::attach_scale(checksums_, scales_[kTile], 1);
}

void ArchiveWriter::append(const SampleInfo& info, std::span<const float* const> payload) {
  if (failed()) throw RunError(failure_);
  if (!file_.open()) throw RunError("archive " + path_ + ": a sample was appended after the archive was closed");
  if (payload.size() != variables_.size())
    throw RunError(
        fmt::format("archive {}: {} variables were given, a sample has {}", path_, payload.size(), variables_.size()));
  make_room(info.number);
  for (std::size_t v = 0; v < variables_.size(); ++v) write_field(variables_[v], payload[v]);
  write_series(scales_[kSample], H5T_NATIVE_INT64, &samples_);
  write_series(series_[0], H5T_NATIVE_INT64, &info.number);
  write_series(series_[1], H5T_NATIVE_DOUBLE, &info.time);
  write_series(series_[2], H5T_NATIVE_INT32, &info.month);
  write_series(series_[3], H5T_NATIVE_INT32, &info.trajectory);
  write_series(series_[4], H5T_NATIVE_INT32, &info.validation);
  write_checksums(info, payload);
  try {
    agree(fmt::format("write sample {}", info.number));
  } catch (const RunError&) {
    tell(ArchiveChange::ended);  // the structure on the disk is still that of the last flush
    throw;
  }
  ++samples_;
  if (samples_ % flush_every_ == 0) flush();
}

void ArchiveWriter::write_field(hid_t dataset, const float* tiles) {
  const int n = tiling_.n, size = tiling_.tile_cells(), first = tiling_.first_tile(rank_);
  const std::array<hsize_t, 4> shape = {static_cast<hsize_t>(samples_ + 1), kPanels, static_cast<hsize_t>(n),
                                        static_cast<hsize_t>(n)};
  attempt([&] { hdf5::check(H5Dset_extent(dataset, shape.data()), "cannot extend a variable"); });
  attempt([&] {
    // Memory and file carry the same selection, in panel fields: then its order does not matter.
    const std::array<hsize_t, 4> held = {1, static_cast<hsize_t>(panels_), shape[2], shape[3]};
    const Handle file_space(H5Dget_space(dataset), H5Sclose, "cannot read the shape of a variable");
    const Handle memory_space = hdf5::dataspace(held);
    const float* from = tiles;
    for (int k = 0; k < tiling_.owned_count(rank_); ++k) {
      const TilePlace p = tiling_.place(first + k);
      const int panel = p.panel - first_panel_;
      for (int j = 0; j < size; ++j, from += size)
        std::copy(from, from + size,
                  panel_field_.data() + (static_cast<std::size_t>(panel) * n + p.tj * size + j) * n + p.ti * size);
      std::array<hsize_t, 4> start = {static_cast<hsize_t>(samples_), static_cast<hsize_t>(p.panel),
                                      static_cast<hsize_t>(p.tj * size), static_cast<hsize_t>(p.ti * size)};
      const std::array<hsize_t, 4> count = {1, 1, static_cast<hsize_t>(size), static_cast<hsize_t>(size)};
      const H5S_seloper_t join = k == 0 ? H5S_SELECT_SET : H5S_SELECT_OR;
      hdf5::check(H5Sselect_hyperslab(file_space, join, start.data(), nullptr, count.data(), nullptr),
                  "cannot select a tile");
      start[0] = 0;
      start[1] = static_cast<hsize_t>(panel);
      hdf5::check(H5Sselect_hyperslab(memory_space, join, start.data(), nullptr, count.data(), nullptr),
                  "cannot select a tile");
    }
    hdf5::check(H5Dwrite(dataset, H5T_NATIVE_FLOAT, memory_space, file_space, transfer_, panel_field_.data()),
                "cannot write a variable");
  });
}

void ArchiveWriter::write_series(hid_t dataset, hid_t type, const void* value) {
  const hsize_t length = static_cast<hsize_t>(samples_ + 1), one = 1;
  attempt([&] { hdf5::check(H5Dset_extent(dataset, &length), "cannot extend a series"); });
  attempt([&] {
    const Handle file_space = select_rows(dataset, samples_);
    const Handle memory_space = hdf5::dataspace(std::span(&one, 1));
    if (rank_ != 0) {
      hdf5::check(H5Sselect_none(file_space), "cannot select nothing");
      hdf5::check(H5Sselect_none(memory_space), "cannot select nothing");
    }
    hdf5::check(H5Dwrite(dataset, type, memory_space, file_space, transfer_, value), "cannot write a series");
  });
}

void ArchiveWriter::write_checksums(const SampleInfo& info, std::span<const float* const> payload) {
  const int owned = tiling_.owned_count(rank_);
  const std::size_t cells = static_cast<std::size_t>(tiling_.cells_per_tile());
  std::vector<std::uint64_t> sums(owned);
  Checksum sum;
  for (int k = 0; k < owned; ++k) {
    sum.reset();
    add_info(sum, info);
    for (const float* data : payload) sum.add(data + k * cells, cells * sizeof(float));
    sums[k] = sum.value();
  }
  const std::array<hsize_t, 2> shape = {static_cast<hsize_t>(samples_ + 1), static_cast<hsize_t>(tiling_.tile_count())};
  const std::array<hsize_t, 2> start = {static_cast<hsize_t>(samples_),
                                        static_cast<hsize_t>(tiling_.first_tile(rank_))};
  const std::array<hsize_t, 2> count = {1, static_cast<hsize_t>(owned)};
  attempt([&] { hdf5::check(H5Dset_extent(checksums_, shape.data()), "cannot extend the checksums"); });
  attempt([&] {
    const Handle file_space(H5Dget_space(checksums_), H5Sclose, "cannot read the shape of the checksums");
    hdf5::check(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
                "cannot select checksums");
    hdf5::check(H5Dwrite(checksums_, H5T_NATIVE_UINT64, hdf5::dataspace(count), file_space, transfer_, sums.data()),
                "cannot write the checksums");
  });
}

void ArchiveWriter::make_room(std::int64_t number) {
  // Beside the payload: rows of the series and checksums, which grow by chunks, and HDF5's index of the chunks.
  const std::int64_t payload = static_cast<std::int64_t>(variables_.size()) * tiling_.cell_count() * 4;
  const std::int64_t index = 200 * kPanels * static_cast<std::int64_t>(variables_.size());
  const std::int64_t reserve = (1 << 20) + 64 * 8 * static_cast<std::int64_t>(tiling_.tile_count());
  const std::int64_t size = settled_bytes_ + (samples_ + 1 - settled_samples_) * (payload + index) + reserve;
  attempt([&] {
    std::string reason = file_limit_reason(size);
    if (reason.empty() && rank_ == 0) reason = claim_room(path_, size);
    if (!reason.empty()) throw RunError(reason);
  });
  try {
    agree(fmt::format("make room for sample {}", number));
  } catch (const RunError&) {
    // Nothing has been written of this sample, and the last claim left room for this: close with all the others.
    const std::string why = std::exchange(failure_, "");
    error_.clear();
    try {
      close_file(false);
    } catch (const RunError&) {
      // `why` tells the first cause.
    }
    failure_ = why;
    throw;
  }
}

void ArchiveWriter::settle() {
  hdf5::check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "cannot flush the file");
  // A flush cuts the file to the length in use. (HDF5's own H5Fget_filesize fails with the MPI driver.)
  std::error_code ignored;
  if (rank_ == 0) settled_bytes_ = static_cast<std::int64_t>(std::filesystem::file_size(path_, ignored));
  settled_samples_ = samples_;
}

void ArchiveWriter::flush() {
  if (failed()) throw RunError(failure_);
  change_structure("flush the file", ArchiveChange::flushed, [&] {
    attempt([&] { hdf5::write_attribute(file_, "samples", samples_); });
    attempt([&] { settle(); });
  });
  MPI_Bcast(&settled_bytes_, 1, MPI_INT64_T, 0, comm_);
}

void ArchiveWriter::change_structure(const std::string& what, ArchiveChange done, const std::function<void()>& step) {
  tell(ArchiveChange::begins);
  step();
  try {
    agree(what);
  } catch (const RunError&) {
    tell(ArchiveChange::spoiled);
    throw;
  }
  tell(done);
}

void ArchiveWriter::close() {
  if (!failed() && file_.open()) close_file(true);
}

void ArchiveWriter::close_file(bool complete) {
  flush();
  change_structure("close the file", complete ? ArchiveChange::completed : ArchiveChange::ended, [&] {
    // Only after the samples are safe: the flag never runs ahead of them.
    attempt([&] { hdf5::write_attribute(file_, "complete", std::int32_t{complete}); });
    variables_.clear();
    series_.clear();
    scales_.clear();
    checksums_ = Handle();
    transfer_ = Handle();
    attempt([&] { file_.close("cannot close the file"); });
    // The file must be closed on all ranks before one reads it.
    MPI_Barrier(comm_);
    if (complete && rank_ == 0 && error_.empty()) attempt([&] { seal_archive(path_, payload_runs(path_)); });
  });
}

}  // namespace tramontane
