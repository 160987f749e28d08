#include "src/archive/archive_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <span>

#include "kernels/errors.hpp"
#include "src/archive/archive_format.hpp"
#include "src/archive/archive_seal.hpp"
#include "src/archive/truncated_file.hpp"

namespace tramontane {

namespace {

using hdf5::Handle;

/// Reads `count` leading values of a one-dimensional dataset.
template <class T>
std::vector<T> read_series(hid_t file, const char* name, std::int64_t count) {
  const Handle data = hdf5::open_dataset(file, name);
  const std::vector<hsize_t> dims = hdf5::dimensions(data);
  if (dims.size() != 1 || dims[0] < static_cast<hsize_t>(count))
    throw hdf5::Hdf5Error(fmt::format("{} has fewer than {} values", name, count));
  std::vector<T> values = hdf5::read<T>(data);
  values.resize(static_cast<std::size_t>(count));
  return values;
}

/// Reads row k of a dataset whose first axis counts samples.
template <class T>
void read_row(hid_t data, std::int64_t k, T* to) {
  std::vector<hsize_t> count = hdf5::dimensions(data), start(count.size(), 0);
  start[0] = static_cast<hsize_t>(k);
  count[0] = 1;
  const Handle file_space(H5Dget_space(data), H5Sclose, "cannot read the shape of a dataset");
  hdf5::check(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
              "cannot select a sample");
  hdf5::check(H5Dread(data, hdf5::native_type<T>(), hdf5::dataspace(count), file_space, H5P_DEFAULT, to),
              "cannot read a sample");
}

}  // namespace

ArchiveReader::ArchiveReader(const std::string& path, bool accept_truncated) : path_(path) {
  bool is_sealed = false;
  begin([&] {
    is_sealed = check_seal();
    open_file(accept_truncated);
  });
  if (is_sealed || !complete_ || version_ <= kArchiveUnsealed || truncated_) return;
  truncated_ = true;
  if (!accept_truncated)
    fail(
        "it was finished, but the seal at its end is missing: it was truncated or changed; copy it again, or set "
        "learner.unfinished=read to take the samples that are whole");
}

ArchiveReader::ArchiveReader(const std::string& path, const std::function<hdf5::Handle()>& open) : path_(path) {
  begin([&] { file_ = open(); });
}

void ArchiveReader::begin(const std::function<void()>& open) {
  const auto lock = hdf5::library_lock();
  try {
    open();
    read_structure();
  } catch (const hdf5::Hdf5Error& error) {
    fail(fmt::format("it is damaged or not a Tramontane archive ({}); give another file", error.what()));
  }
}

void ArchiveReader::fail(const std::string& what) const {
  throw InputError("archive " + path_ + ": " + what);
}

/// Before HDF5 sees the file, which may not survive a damaged structure. Whether there is a seal.
bool ArchiveReader::check_seal() const {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path_, ignored)) return false;
  try {
    const ArchiveSeal seal = check_archive_seal(path_);
    if (!seal.damage.empty())
      fail(fmt::format("it is not as it was left: {}; copy it again or give another file", seal.damage));
    return seal.is_present;
  } catch (const RunError& error) {
    fail(fmt::format("{}; check the path and the rights", error.what()));
  }
}

void ArchiveReader::open_file(bool accept_truncated) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path_, ignored)) fail("there is no such file; check learner.archives");
  hdf5::silence_errors();
  if (H5Fis_hdf5(path_.c_str()) <= 0) fail("it is not an HDF5 file; check learner.archives");
  const Handle access = hdf5::property_list(H5P_FILE_ACCESS);
  // An archive is only read here: file systems without locks must not stand in the way.
#if H5_VERSION_GE(1, 10, 7)
  hdf5::check(H5Pset_file_locking(access, false, true), "cannot switch off file locks");
#endif
  try {
    file_ = hdf5::open_file(path_, H5F_ACC_RDONLY, access);
  } catch (const hdf5::Hdf5Error& error) {
    truncated_ = std::string(error.what()).find("truncated file") != std::string::npos;
    if (truncated_ && accept_truncated) {
      file_ = hdf5::open_truncated_file(path_);
      return;
    }
    fail(fmt::format("it is truncated or damaged ({}); write it again or give another file{}", error.what(),
                     truncated_ ? ", or set learner.unfinished=read to take the samples that are whole" : ""));
  }
}

void ArchiveReader::read_structure() {
  if (!hdf5::has_attribute(file_, "format") || hdf5::read_string_attribute(file_, "format") != kArchiveFormat)
    fail("it is HDF5 but no Tramontane archive; check learner.archives");
  const auto version = hdf5::read_attribute<std::int32_t>(file_, "format_version");
  if (version != kArchiveVersion && version != kArchiveUnsealed)
    fail(fmt::format("it has format version {}, this program reads versions {} and {}; use the program that wrote it",
                     version, kArchiveUnsealed, kArchiveVersion));
  version_ = version;
  const auto n = hdf5::read_attribute<std::int32_t>(file_, "n");
  const auto tiles_per_edge = hdf5::read_attribute<std::int32_t>(file_, "tiles_per_edge");
  if (n < 1 || tiles_per_edge < 1 || n % tiles_per_edge != 0)
    fail(fmt::format("its grid of n = {} in {} tiles per edge cannot be; give another file", n, tiles_per_edge));
  tiling_ = Tiling(n, tiles_per_edge, 1);
  interval_seconds_ = hdf5::read_attribute<double>(file_, "interval_seconds");
  run_id_ = hdf5::read_string_attribute(file_, "run_id");
  code_version_ = hdf5::read_string_attribute(file_, "code_version");
  source_ = hdf5::read_string_attribute(file_, "source");
  if (hdf5::has_attribute(file_, "physics")) physics_ = hdf5::read_string_attribute(file_, "physics");
  complete_ = hdf5::read_attribute<std::int32_t>(file_, "complete") == 1;
  const auto samples = hdf5::read_attribute<std::int64_t>(file_, "samples");
  if (samples < 0) fail(fmt::format("it counts {} samples; give another file", samples));
  read_infos(samples);
  for (const Variable& what : sample_inputs()) open_variable("input", what);
  for (const Variable& what : sample_targets()) open_variable("target", what);
  read_checksums(samples);
}

void ArchiveReader::read_checksums(std::int64_t samples) {
  const Handle data = hdf5::open_dataset(file_, "checksum");
  const std::vector<hsize_t> dims = hdf5::dimensions(data);
  const auto tiles = static_cast<hsize_t>(tiling_.tile_count());
  if (dims.size() != 2 || dims[0] < static_cast<hsize_t>(samples) || dims[1] != tiles)
    fail("its checksums do not fit its grid; give another file");
  checksums_ = hdf5::read<std::uint64_t>(data);
  checksums_.resize(static_cast<std::size_t>(samples) * tiles);
}

std::uint64_t ArchiveReader::fingerprint(std::int64_t k) const {
  Checksum sum;
  add_info(sum, info(k));
  const auto tiles = static_cast<std::size_t>(tiling_.tile_count());
  sum.add(&checksums_.at(static_cast<std::size_t>(k) * tiles), tiles * sizeof checksums_[0]);
  return sum.value();
}

void ArchiveReader::open_variable(const std::string& group, const Variable& what) {
  const std::string name = group + "/" + what.name;
  if (!hdf5::has_link(file_, group) || !hdf5::has_link(file_, name))
    fail(fmt::format("the variable {} is missing; give an archive of this kind of surrogate", name));
  Handle data = hdf5::open_dataset(file_, name);
  const std::string units = hdf5::has_attribute(data, "units") ? hdf5::read_string_attribute(data, "units") : "";
  if (units != what.units)
    fail(fmt::format("the variable {} is in \"{}\", this program needs \"{}\"; convert it", name, units, what.units));
  const std::vector<hsize_t> dims = hdf5::dimensions(data);
  const hsize_t n = static_cast<hsize_t>(tiling_.n);
  if (dims.size() != 4 || dims[0] < infos_.size() || dims[1] != kPanels || dims[2] != n || dims[3] != n)
    fail(fmt::format("the variable {} has shape ({}) where ({}, 6, {}, {}) is due; give another file", name,
                     fmt::join(dims, ", "), infos_.size(), n, n));
  variables_.push_back(std::move(data));
}

void ArchiveReader::read_infos(std::int64_t samples) {
  const auto number = read_series<std::int64_t>(file_, "number", samples);
  const auto time = read_series<double>(file_, "time", samples);
  const auto month = read_series<std::int32_t>(file_, "month", samples);
  const auto trajectory = read_series<std::int32_t>(file_, "trajectory", samples);
  const auto validation = read_series<std::int32_t>(file_, "validation", samples);
  for (std::size_t k = 0; k < number.size(); ++k)
    infos_.push_back({number[k], trajectory[k], validation[k], month[k], time[k]});
}

void ArchiveReader::read(std::int64_t k, Sample& sample) const {
  if (k < 0 || k >= size()) throw RunError(fmt::format("archive {}: there is no sample {} of {}", path_, k, size()));
  const std::size_t cells = static_cast<std::size_t>(tiling_.cell_count()), inputs = sample_inputs().size();
  sample.info = info(k);
  sample.n = tiling_.n;
  sample.input.resize(inputs * cells);
  sample.target.resize(sample_targets().size() * cells);
  try {
    const auto lock = hdf5::library_lock();
    for (std::size_t v = 0; v < variables_.size(); ++v)
      read_row(variables_[v], k, v < inputs ? &sample.input[v * cells] : &sample.target[(v - inputs) * cells]);
  } catch (const hdf5::Hdf5Error& error) {
    fail(fmt::format("sample {} cannot be read ({}); write it again or give another file", k, error.what()));
  }
  check_tiles(k, sample);
  auto check_finite = [&](std::span<const float> values, const std::vector<Variable>& names) {
    const auto bad = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); });
    if (bad != values.end())
      fail(fmt::format("sample {} holds a number that is not finite in {}; leave this file out", k,
                       names[static_cast<std::size_t>(bad - values.begin()) / cells].name));
  };
  check_finite(sample.input, sample_inputs());
  check_finite(sample.target, sample_targets());
}

void ArchiveReader::check_tiles(std::int64_t k, const Sample& sample) const {
  const std::uint64_t* stored = &checksums_[static_cast<std::size_t>(k) * tiling_.tile_count()];
  const std::size_t size = static_cast<std::size_t>(tiling_.tile_cells()), cells = tiling_.cell_count();
  Checksum sum;
  for (int tile = 0; tile < tiling_.tile_count(); ++tile) {
    const TilePlace p = tiling_.place(tile);
    sum.reset();
    add_info(sum, sample.info);
    for (std::size_t v = 0; v < variables_.size(); ++v) {
      const std::size_t inputs = sample_inputs().size();
      const float* field = v < inputs ? &sample.input[v * cells] : &sample.target[(v - inputs) * cells];
      for (std::size_t j = 0; j < size; ++j) {
        const int top = static_cast<int>(p.tj * size + j), left = static_cast<int>(p.ti * size);
        sum.add(field + tiling_.global_offset({p.panel, top, left}), size * sizeof(float));
      }
    }
    if (sum.value() != stored[tile])
      fail(
          fmt::format("sample {} does not match its checksum in tile {}: the file was damaged after it was written; "
                      "copy it again or leave it out",
                      k, tile));
  }
}

void ArchiveReader::verify() const {
  for (std::int64_t k = 0; k < size(); ++k) read(k);
}

std::vector<double> ArchiveReader::coordinate(const std::string& name) const {
  const auto lock = hdf5::library_lock();
  try {
    std::vector<double> values = hdf5::read<double>(hdf5::open_dataset(file_, name));
    if (values.size() != static_cast<std::size_t>(tiling_.cell_count()))
      throw hdf5::Hdf5Error(fmt::format("{} has {} values", name, values.size()));
    return values;
  } catch (const hdf5::Hdf5Error& error) {
    fail(fmt::format("its grid cannot be read ({}); give another file", error.what()));
  }
}

}  // namespace tramontane
