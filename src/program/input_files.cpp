#include "src/program/input_files.hpp"

#include <fmt/format.h>
#include <hdf5.h>
#include <mpi.h>
#include <pnetcdf.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "kernels/errors.hpp"
#include "ml/onnx/model_import.hpp"
#include "src/archive/archive_list.hpp"

namespace tramontane {
namespace {

/// A classic netCDF file open for reading on this rank.
class ClassicFile {
 public:
  ClassicFile(const std::string& file, const std::string& key) : file_(file), key_(key) {
    if (!std::filesystem::is_regular_file(file))
      throw InputError(fmt::format(
          "{} = {}: there is no such file; install Debian's package ferret-datasets or name another file", key, file));
    const int status = ncmpi_open(MPI_COMM_SELF, file.c_str(), NC_NOWRITE, MPI_INFO_NULL, &id_);
    if (status != NC_NOERR)
      throw InputError(
          fmt::format("{} = {} is not a readable classic netCDF file ({})", key, file, ncmpi_strerror(status)));
  }
  ~ClassicFile() { ncmpi_close(id_); }
  ClassicFile(const ClassicFile&) = delete;
  ClassicFile& operator=(const ClassicFile&) = delete;

  int variable(const char* name) const {
    int variable = -1;
    if (ncmpi_inq_varid(id_, name, &variable) != NC_NOERR)
      throw InputError(fmt::format("{} = {} holds no variable {}: name a file that does", key_, file_, name));
    return variable;
  }

  /// First and last value of a one-dimensional variable.
  std::pair<double, double> ends(const char* name) const {
    const int id = variable(name);
    int dimensions = 0, dimension = 0;
    MPI_Offset length = 0;
    ncmpi_inq_varndims(id_, id, &dimensions);
    if (dimensions == 1) {
      ncmpi_inq_vardimid(id_, id, &dimension);
      ncmpi_inq_dimlen(id_, dimension, &length);
    }
    if (length < 1) throw InputError(fmt::format("{} = {}: the axis {} is empty", key_, file_, name));
    double first = 0, last = 0;
    const MPI_Offset start = 0, end = length - 1;
    const int status =
        ncmpi_get_var1_double_all(id_, id, &start, &first) | ncmpi_get_var1_double_all(id_, id, &end, &last);
    if (status != NC_NOERR) throw InputError(fmt::format("{} = {}: cannot read the axis {}", key_, file_, name));
    return {first, last};
  }

  std::string text_attribute(const char* variable_name, const char* attribute) const {
    const int id = variable(variable_name);
    MPI_Offset length = 0;
    if (ncmpi_inq_attlen(id_, id, attribute, &length) != NC_NOERR) return "";
    std::string text(length, '\0');
    ncmpi_get_att_text(id_, id, attribute, text.data());
    return text.substr(0, text.find('\0'));
  }

 private:
  std::string file_, key_;
  int id_ = -1;
};

void check_hdf5_file(const std::string& key, const std::string& file) {
  if (!std::filesystem::is_regular_file(file))
    throw InputError(fmt::format("{} = {}: there is no such file", key, file));
  H5E_auto2_t handler;
  void* data;
  H5Eget_auto2(H5E_DEFAULT, &handler, &data);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const bool is_hdf5 = H5Fis_hdf5(file.c_str()) > 0;
  H5Eset_auto2(H5E_DEFAULT, handler, data);
  if (!is_hdf5) throw InputError(fmt::format("{} = {} is not an HDF5 file", key, file));
}

/// What an ONNX file holds is found when it is loaded, before anything runs.
void check_model_file(const std::string& key, const std::string& file) {
  if (!is_onnx(file)) return check_hdf5_file(key, file);
  if (!std::filesystem::is_regular_file(file))
    throw InputError(fmt::format("{} = {}: there is no such file", key, file));
}

}  // namespace

WindFileMonths read_wind_months(const std::string& file) {
  const ClassicFile in(file, "data.winds");
  in.variable("UWND");
  in.variable("VWND");
  const auto [first, last] = in.ends("TIME");
  // "hour since 1980-01-14 14:00:00", as the packaged file writes it.
  const std::string units = in.text_attribute("TIME", "units");
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  const auto since = units.find("since ");
  if (!units.starts_with("hour") || since == std::string::npos ||
      std::sscanf(units.c_str() + since, "since %d-%d-%d %d:%d", &year, &month, &day, &hour, &minute) < 3)
    throw InputError(
        fmt::format("data.winds = {}: the time axis has units '{}', expected 'hours since YYYY-MM-DD'", file, units));
  const auto month_of = [&](double hours) {
    using namespace std::chrono;
    const sys_days origin = std::chrono::year{year} / month / day;
    const sys_days days_on = origin + days{static_cast<int>(std::floor((hours + hour + minute / 60.0) / 24))};
    const year_month_day date{days_on};
    return Month{static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month()))};
  };
  return {month_of(first), month_of(last)};
}

void check_relief_file(const std::string& file) {
  ClassicFile(file, "data.relief").variable("ROSE");
}

std::vector<WantedMonth> wanted_months(const Deck& deck, Command command) {
  std::vector<WantedMonth> wanted;
  const auto add = [&](const char* key, const std::vector<Month>& months) {
    for (const Month& month : months) wanted.push_back({key, month});
  };
  if (is_coupled(deck, command)) {
    add(deck.teach.months.empty() ? "initial.month" : "teach.months", deck.teach_months());
    add("teach.validation", deck.teach.validation);
    add("forecast.starts", deck.forecast.starts);
  } else if (command == Command::forecast) {
    add("forecast.starts", deck.forecast.starts);
  } else if (command == Command::run) {
    add("initial.month", {deck.initial.month});
  }
  return wanted;
}

bool reads_winds(const Deck& deck, Command command) {
  return command != Command::train && deck.initial.kind == InitialCase::winds;
}

bool reads_relief(const Deck& deck, Command command) {
  const bool at_rest = deck.initial.kind == InitialCase::rest && deck.initial.relief == Relief::etopo;
  return command != Command::train && (at_rest || deck.initial.kind == InitialCase::winds);
}

void check_input_files(const Deck& deck, Command command) {
  if (reads_winds(deck, command)) {
    const WindFileMonths months = read_wind_months(deck.data.winds);
    for (const auto& [key, month] : wanted_months(deck, command))
      if (!months.holds(month))
        throw InputError(fmt::format("{}{}: the month {} is outside the winds of {}, which run from {} to {}",
                                     deck.where(key), key, month.text(), deck.data.winds, months.first.text(),
                                     months.last.text()));
  }
  if (reads_relief(deck, command)) check_relief_file(deck.data.relief);
  if (command == Command::train)
    for (const std::string& archive : expand_archives(deck.learner.archives)) check_hdf5_file("learner.archives", archive);
  if (deck.surrogate.kind != SurrogateKind::none && deck.surrogate.model)
    check_model_file("surrogate.model", *deck.surrogate.model);
}

}  // namespace tramontane
