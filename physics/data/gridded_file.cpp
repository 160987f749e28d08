#include "physics/data/gridded_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pnetcdf.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include "kernels/errors.hpp"
#include "physics/data/missing_values.hpp"
#include "physics/data/month.hpp"

namespace tramontane {

namespace {

MPI_Offset bytes_of(nc_type type) {
  switch (type) {
    case NC_BYTE:
    case NC_CHAR:
    case NC_UBYTE:
      return 1;
    case NC_SHORT:
    case NC_USHORT:
      return 2;
    case NC_INT:
    case NC_UINT:
    case NC_FLOAT:
      return 4;
    default:
      return 8;
  }
}

/// Dimension ids of a variable, outermost first.
std::vector<int> dimensions_of(int file, int variable) {
  int rank = 0;
  ncmpi_inq_varndims(file, variable, &rank);
  std::vector<int> dimensions(rank);
  ncmpi_inq_vardimid(file, variable, dimensions.data());
  return dimensions;
}

std::string variable_name(int file, int variable) {
  char name[NC_MAX_NAME + 1] = "";
  ncmpi_inq_varname(file, variable, name);
  return name;
}

/// Size (bytes) that a file with this header has at least: the end of its last value.
MPI_Offset expected_size(int file) {
  int variables = 0, record_dimension = -1;
  MPI_Offset size = 0, records = 0, record_size = 0;
  ncmpi_inq_header_size(file, &size);
  ncmpi_inq_nvars(file, &variables);
  ncmpi_inq_unlimdim(file, &record_dimension);
  if (record_dimension >= 0) {
    ncmpi_inq_dimlen(file, record_dimension, &records);
    ncmpi_inq_recsize(file, &record_size);
  }
  for (int v = 0; v < variables; ++v) {
    nc_type type = NC_NAT;
    MPI_Offset offset = 0;
    ncmpi_inq_vartype(file, v, &type);
    ncmpi_inq_varoffset(file, v, &offset);
    MPI_Offset bytes = bytes_of(type);
    bool on_record = false;
    for (int dimension : dimensions_of(file, v)) {
      MPI_Offset length = 0;
      ncmpi_inq_dimlen(file, dimension, &length);
      if (dimension == record_dimension)
        on_record = true;
      else
        bytes *= length;
    }
    if (on_record && records == 0) continue;
    size = std::max(size, offset + bytes + (on_record ? (records - 1) * record_size : 0));
  }
  return size;
}

}  // namespace

void GriddedFile::check(int status, const std::string& what) const {
  if (status != NC_NOERR)
    throw InputError(fmt::format("{} could not be read ({}: {}): replace the file by a sound copy", path_.string(),
                                 what, ncmpi_strerror(status)));
}

GriddedFile::GriddedFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path_, failure))
    throw InputError(fmt::format(
        "{} does not exist or is not a file: install the Debian package ferret-datasets or give the path of the data",
        path_.string()));
  const int status = ncmpi_open(MPI_COMM_SELF, path_.c_str(), NC_NOWRITE, MPI_INFO_NULL, &file_);
  if (status != NC_NOERR) {
    file_ = -1;
    throw InputError(
        fmt::format("{} cannot be opened as a classic netCDF file ({}): give a classic file or a sound copy",
                    path_.string(), ncmpi_strerror(status)));
  }
  const auto size = static_cast<MPI_Offset>(std::filesystem::file_size(path_, failure));
  if (const MPI_Offset expected = expected_size(file_); size < expected) {
    ncmpi_close(file_);
    throw InputError(fmt::format("{} is truncated: it has {} bytes where its header promises {}, so fetch it again",
                                 path_.string(), size, expected));
  }
}

GriddedFile::~GriddedFile() {
  if (file_ >= 0) ncmpi_close(file_);
}

std::vector<std::string> GriddedFile::fields() const {
  int count = 0;
  check(ncmpi_inq_nvars(file_, &count), "variables");
  std::vector<std::string> names;
  for (int v = 0; v < count; ++v)
    if (dimensions_of(file_, v).size() >= 2) names.push_back(variable_name(file_, v));
  return names;
}

int GriddedFile::find(const std::string& variable) const {
  int id = -1;
  if (ncmpi_inq_varid(file_, variable.c_str(), &id) != NC_NOERR)
    throw InputError(
        fmt::format("{} has no variable {}: choose among {}", path_.string(), variable, fmt::join(fields(), ", ")));
  return id;
}

std::string GriddedFile::text_attribute(int variable, const char* name) const {
  MPI_Offset length = 0;
  nc_type type = NC_NAT;
  if (ncmpi_inq_att(file_, variable, name, &type, &length) != NC_NOERR || type != NC_CHAR) return "";
  std::string text(static_cast<std::size_t>(length), '\0');
  check(ncmpi_get_att_text(file_, variable, name, text.data()), name);
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

std::vector<double> GriddedFile::read_axis(int dimension) const {
  char name[NC_MAX_NAME + 1] = "";
  MPI_Offset length = 0;
  check(ncmpi_inq_dim(file_, dimension, name, &length), "a dimension");
  int id = -1;
  if (ncmpi_inq_varid(file_, name, &id) != NC_NOERR)
    throw InputError(
        fmt::format("{} has no coordinate variable for its dimension {}: give a file that has", path_.string(), name));
  std::vector<double> axis(static_cast<std::size_t>(length));
  const MPI_Offset start = 0;
  check(ncmpi_get_vara_double_all(file_, id, &start, &length, axis.data()), name);
  return axis;
}

GriddedField GriddedFile::read(const std::string& variable, int step) const {
  const int id = find(variable);
  const std::vector<int> dimensions = dimensions_of(file_, id);
  const int rank = static_cast<int>(dimensions.size());
  if (rank != 2 && rank != 3)
    throw InputError(
        fmt::format("{} of {} has {} dimensions: choose a variable on (latitude, longitude), with or "
                    "without a time before them",
                    variable, path_.string(), rank));
  std::vector<double> lat = read_axis(dimensions[rank - 2]), lon = read_axis(dimensions[rank - 1]);
  const int nlat = static_cast<int>(lat.size()), nlon = static_cast<int>(lon.size());

  MPI_Offset start[3] = {0, 0, 0}, count[3] = {1, nlat, nlon};
  if (rank == 3) {
    MPI_Offset steps = 0;
    check(ncmpi_inq_dimlen(file_, dimensions[0], &steps), variable);
    if (step < 0 || step >= steps)
      throw InputError(
          fmt::format("{} of {} has no time step {}: choose 0 to {}", variable, path_.string(), step, steps - 1));
    start[0] = step;
  }
  GriddedField field;
  field.units = text_attribute(id, "units");
  std::vector<double> raw(static_cast<std::size_t>(nlat) * nlon);
  check(ncmpi_get_vara_double_all(file_, id, start + (3 - rank), count + (3 - rank), raw.data()), variable);

  std::vector<double> marks;
  for (const char* name : {"missing_value", "_FillValue"})
    if (double mark = 0; ncmpi_get_att_double(file_, id, name, &mark) == NC_NOERR) marks.push_back(mark);
  std::vector<bool> missing(raw.size());
  for (std::size_t k = 0; k < raw.size(); ++k)
    missing[k] = !std::isfinite(raw[k]) || std::find(marks.begin(), marks.end(), raw[k]) != marks.end();
  double scale = 1, offset = 0;
  if (ncmpi_get_att_double(file_, id, "scale_factor", &scale) != NC_NOERR) scale = 1;
  if (ncmpi_get_att_double(file_, id, "add_offset", &offset) != NC_NOERR) offset = 0;

  // Longitudes: ascending in the file, from any meridian on; the last may repeat the first.
  if (nlon < 3 || nlat < 2 || !std::is_sorted(lon.begin(), lon.end()))
    throw InputError(fmt::format("the longitudes of {} in {} do not ascend over the globe: give a global grid",
                                 variable, path_.string()));
  const double spacing = (lon.back() - lon.front()) / (nlon - 1);
  const int kept = lon.back() - lon.front() > 360 - 0.5 * spacing ? nlon - 1 : nlon;
  std::vector<int> columns(kept);
  for (int i = 0; i < kept; ++i) {
    columns[i] = i;
    lon[i] = std::fmod(lon[i], 360.0);
    if (lon[i] < 0) lon[i] += 360;
  }
  lon.resize(kept);
  std::rotate(columns.begin(), columns.begin() + (std::min_element(lon.begin(), lon.end()) - lon.begin()),
              columns.end());
  std::vector<double> sorted_lon;
  for (int i : columns) sorted_lon.push_back(lon[i]);
  const bool descending = lat.front() > lat.back();
  if (descending) std::reverse(lat.begin(), lat.end());

  std::vector<bool> holes;
  for (int j = 0; j < nlat; ++j)
    for (int i : columns) {
      const std::size_t k = static_cast<std::size_t>(descending ? nlat - 1 - j : j) * nlon + i;
      field.values.push_back(scale * raw[k] + offset);
      holes.push_back(missing[k]);
    }
  try {
    field.grid = LatLonGrid::from_centres(std::move(sorted_lon), std::move(lat));
    field.filled = fill_missing(field.values, holes, nlat, kept);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{} of {} cannot be used: {}", variable, path_.string(), error.what()));
  }
  return field;
}

int GriddedFile::month_step(const std::string& variable, const std::string& month) const {
  const DataMonth wanted = parse_month(month);
  const int id = find(variable);
  const std::vector<int> dimensions = dimensions_of(file_, id);
  const int rank = static_cast<int>(dimensions.size());
  if (rank != 3)
    throw InputError(fmt::format("{} of {} has no time axis to look the month {} up on: choose a monthly variable",
                                 variable, path_.string(), month));
  char name[NC_MAX_NAME + 1] = "";
  check(ncmpi_inq_dimname(file_, dimensions[0], name), "the time axis");
  const std::vector<double> axis = read_axis(dimensions[0]);
  int axis_id = -1;
  check(ncmpi_inq_varid(file_, name, &axis_id), "the time axis");
  const std::vector<DataMonth> months = months_of_axis(axis, text_attribute(axis_id, "units"));
  const auto found = std::find(months.begin(), months.end(), wanted);
  if (found == months.end()) {
    if (months.empty())
      throw InputError(fmt::format("{} holds no month at all: give a file with data", path_.string()));
    const auto [first, last] = std::minmax_element(months.begin(), months.end());
    throw InputError(fmt::format("{} does not hold the month {}: choose one from {} to {}", path_.string(), month,
                                 first->text(), last->text()));
  }
  return static_cast<int>(found - months.begin());
}

}  // namespace tramontane
