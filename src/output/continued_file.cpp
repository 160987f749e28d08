#include "src/output/continued_file.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/hdf5_handles.hpp"
#include "src/output/run_folder.hpp"

namespace tramontane {

namespace fs = std::filesystem;
using hdf5::Handle;

namespace {

/// Throws Hdf5Error or RunError saying what is wrong with the file.
void check_records(hid_t file, const std::vector<std::string>& variables, const std::vector<hsize_t>& inner,
                   hsize_t records, double last_time) {
  const Handle time = hdf5::open_dataset(file, "time");
  const std::vector<double> times = hdf5::read<double>(time);
  if (times.size() < records) throw RunError(fmt::format("it holds {} records instead of {}", times.size(), records));
  if (records > 0 && times[records - 1] != last_time)
    throw RunError(fmt::format("its record {} is of {:g} s, not of {:g} s", records, times[records - 1], last_time));
  for (const std::string& name : variables) {
    const Handle dataset = hdf5::open_dataset(file, name);
    std::vector<hsize_t> shape = hdf5::dimensions(dataset);
    if (shape.size() != inner.size() + 1 || !std::equal(inner.begin(), inner.end(), shape.begin() + 1))
      throw RunError("the variable " + name + " has another shape");
    if (shape[0] < records) throw RunError(fmt::format("{} has {} records instead of {}", name, shape[0], records));
    if (records == 0) continue;
    // The record that was written last is the one most likely to be missing.
    std::vector<hsize_t> start(shape.size(), 0);
    start[0] = records - 1;
    shape[0] = 1;
    const Handle space(H5Dget_space(dataset), H5Sclose, "cannot read the shape of " + name);
    hdf5::check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, shape.data(), nullptr),
                "cannot select a record");
    std::vector<double> values(H5Sget_select_npoints(space));
    hdf5::check(H5Dread(dataset, H5T_NATIVE_DOUBLE, hdf5::dataspace(shape), space, H5P_DEFAULT, values.data()),
                "cannot read " + name);
  }
}

}  // namespace

std::string cut_to_records(const std::string& path, const std::vector<std::string>& variables,
                           const std::vector<hsize_t>& inner, hsize_t records, double last_time) {
  if (!fs::exists(path)) return "it is not there";
  try {
    check_records(hdf5::open_file(path), variables, inner, records, last_time);
    Handle file = hdf5::open_file(path, H5F_ACC_RDWR);
    const auto cut = [&](const std::string& name) {
      const Handle dataset = hdf5::open_dataset(file, name);
      std::vector<hsize_t> shape = hdf5::dimensions(dataset);
      shape[0] = records;
      hdf5::check(H5Dset_extent(dataset, shape.data()), "cannot cut " + name);
    };
    cut("time");
    for (const std::string& name : variables) cut(name);
    file.close("cannot write " + path);
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

void set_aside(const std::string& path) {
  std::error_code error;
  fs::rename(path, path + ".broken", error);
  if (error) throw RunError(fmt::format("cannot rename {} ({})", path, error.message()));
}

void cut_metrics(const std::string& path, double last, const std::string& field) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return;
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (in.eof() || json.is_discarded()) break;
    if (json.contains(field) && json[field].is_number() && json[field] > last) break;
    kept += line + '\n';
  }
  in.close();
  write_whole_file(path, kept);
}

}  // namespace tramontane
