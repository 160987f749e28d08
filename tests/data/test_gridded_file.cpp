#include <gtest/gtest.h>
#include <pnetcdf.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "kernels/errors.hpp"
#include "physics/data/gridded_file.hpp"
#include "physics/data/missing_values.hpp"
#include "physics/data/month.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

const fs::path kWinds = "/usr/share/ferret-vis/data/monthly_navy_winds.cdf";
const fs::path kRelief = "/usr/share/ferret-vis/data/etopo20.cdf";

class GriddedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tramontane_gridded_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Writes temp(time, lat, lon), float, with missing_value -99.9 and time in days since 2000-01-15.
  fs::path write(const std::vector<double>& lon, const std::vector<double>& lat, const std::vector<double>& time,
                 const std::vector<float>& values) {
    const fs::path path = folder_ / "made.nc";
    int id = -1, d[3], axis[3], v = -1;
    auto ok = [](int status) { ASSERT_EQ(status, NC_NOERR) << ncmpi_strerror(status); };
    ok(ncmpi_create(MPI_COMM_SELF, path.c_str(), NC_CLOBBER, MPI_INFO_NULL, &id));
    ok(ncmpi_def_dim(id, "time", NC_UNLIMITED, &d[0]));
    ok(ncmpi_def_dim(id, "lat", static_cast<MPI_Offset>(lat.size()), &d[1]));
    ok(ncmpi_def_dim(id, "lon", static_cast<MPI_Offset>(lon.size()), &d[2]));
    ok(ncmpi_def_var(id, "time", NC_DOUBLE, 1, &d[0], &axis[0]));
    ok(ncmpi_def_var(id, "lat", NC_DOUBLE, 1, &d[1], &axis[1]));
    ok(ncmpi_def_var(id, "lon", NC_DOUBLE, 1, &d[2], &axis[2]));
    ok(ncmpi_def_var(id, "temp", NC_FLOAT, 3, d, &v));
    const std::string since = "days since 2000-01-15";
    ok(ncmpi_put_att_text(id, axis[0], "units", static_cast<MPI_Offset>(since.size()), since.data()));
    ok(ncmpi_put_att_text(id, v, "units", 1, "K"));
    const float mark = -99.9f;
    ok(ncmpi_put_att_float(id, v, "missing_value", NC_FLOAT, 1, &mark));
    ok(ncmpi_enddef(id));
    const MPI_Offset start[3] = {0, 0, 0};
    const MPI_Offset count[3] = {static_cast<MPI_Offset>(time.size()), static_cast<MPI_Offset>(lat.size()),
                                 static_cast<MPI_Offset>(lon.size())};
    ok(ncmpi_put_vara_double_all(id, axis[0], start, count, time.data()));
    ok(ncmpi_put_vara_double_all(id, axis[1], start, count + 1, lat.data()));
    ok(ncmpi_put_vara_double_all(id, axis[2], start, count + 2, lon.data()));
    ok(ncmpi_put_vara_float_all(id, v, start, count, values.data()));
    ok(ncmpi_close(id));
    return path;
  }

  fs::path folder_;
};

/// The sentence that an action throws.
template <class Action>
std::string sentence(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

#define EXPECT_SAYS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

// Latitude descending, longitudes from -180 to 180 with both ends, one missing value and one NaN.
TEST_F(GriddedFileTest, MakesAFieldRegular) {
  const std::vector<double> lon = {-180, -90, 0, 90, 180}, lat = {60, 0, -60};
  std::vector<float> values;
  for (int step = 0; step < 2; ++step)
    for (double phi : lat)
      for (double lambda : lon)
        values.push_back(static_cast<float>(1000 * step + 10 * phi + (lambda == 180 ? -180 : lambda) / 90));
  values[15 + 5 + 1] = -99.9f;  // step 1, latitude 0, longitude -90
  values[15 + 10 + 3] = NAN;    // step 1, latitude -60, longitude 90
  const GriddedFile file(write(lon, lat, {0, 31}, values));
  EXPECT_EQ(file.fields(), std::vector<std::string>{"temp"});
  const GriddedField field = file.read("temp", 1);
  EXPECT_EQ(field.units, "K");
  EXPECT_EQ(field.filled, 2);
  EXPECT_EQ(field.grid.lon, (std::vector<double>{0, 90, 180, 270}));
  EXPECT_EQ(field.grid.lat, (std::vector<double>{-60, 0, 60}));
  for (int j = 0; j < 3; ++j)
    for (int i = 0; i < 4; ++i) {
      if ((j == 1 && i == 3) || (j == 0 && i == 1)) continue;  // the filled ones
      const double lambda = i == 3 ? -90 : i == 2 ? -180 : 90 * i;
      EXPECT_FLOAT_EQ(field.values[j * 4 + i], 1000 + 10 * field.grid.lat[j] + lambda / 90) << j << " " << i;
    }
  // Each hole has all of its neighbours: their mean. Latitude 0: east 0, west -180, rows +-60; latitude -60: two
  // neighbours along the row and the one above.
  EXPECT_NEAR(field.values[1 * 4 + 3], 1000 + (0 - 2 + (600 - 1) + (-600 - 1)) / 4.0, 1e-4);
  EXPECT_NEAR(field.values[0 * 4 + 1], (400 + (400 - 2) + 1001) / 3.0, 1e-4);
  EXPECT_EQ(file.month_step("temp", "2000-02"), 1);
}

TEST_F(GriddedFileTest, RefusesAFieldWithoutAnyValue) {
  const auto path = write({0, 90, 180, 270}, {-60, 0, 60}, {0}, std::vector<float>(12, -99.9f));
  EXPECT_SAYS(sentence([&] { GriddedFile(path).read("temp"); }), "all values of the field are missing");
}

TEST_F(GriddedFileTest, NamesPathAndPackageOfAMissingFile) {
  const std::string text = sentence([] { GriddedFile("/nowhere/winds.cdf"); });
  EXPECT_SAYS(text, "/nowhere/winds.cdf");
  EXPECT_SAYS(text, "ferret-datasets");
  EXPECT_SAYS(sentence([&] { GriddedFile{folder_}; }), "not a file");
}

TEST_F(GriddedFileTest, NamesTheVariablesThereAre) {
  const GriddedFile file(kWinds);
  EXPECT_SAYS(sentence([&] { file.read("WIND"); }), "no variable WIND: choose among UWND, VWND");
}

TEST_F(GriddedFileTest, RefusesStepsAndShapesThatAreNotThere) {
  const GriddedFile file(kWinds);
  EXPECT_SAYS(sentence([&] { file.read("UWND", 132); }), "no time step 132: choose 0 to 131");
  EXPECT_SAYS(sentence([&] { file.read("FNOCX"); }), "1 dimensions");
}

TEST_F(GriddedFileTest, RefusesTruncatedAndForeignFiles) {
  const fs::path cut = folder_ / "cut.cdf";
  fs::copy_file(kRelief, cut);
  fs::resize_file(cut, fs::file_size(cut) - 1);
  EXPECT_SAYS(sentence([&] { GriddedFile{cut}; }), "truncated");
  fs::resize_file(cut, 100);  // within the header
  EXPECT_SAYS(sentence([&] { GriddedFile{cut}; }), cut.string());
  fs::remove(cut);
  fs::copy_file(kWinds, cut);
  fs::resize_file(cut, fs::file_size(cut) / 2);  // record variables
  EXPECT_SAYS(sentence([&] { GriddedFile{cut}; }), "truncated");
  std::ofstream(folder_ / "text.cdf") << "this is no netCDF file";
  EXPECT_SAYS(sentence([&] { GriddedFile{folder_ / "text.cdf"}; }), "cannot be opened as a classic netCDF file");
  std::ofstream(folder_ / "empty.cdf");
  EXPECT_SAYS(sentence([&] { GriddedFile{folder_ / "empty.cdf"}; }), "empty.cdf");
}

TEST_F(GriddedFileTest, FindsEveryMonthOfTheWinds) {
  const GriddedFile file(kWinds);
  for (int step = 0; step < 132; ++step) {
    const DataMonth month{1982 + step / 12, 1 + step % 12};
    ASSERT_EQ(file.month_step("UWND", month.text()), step) << month.text();
  }
}

TEST_F(GriddedFileTest, NamesTheRangeForAMonthOutside) {
  const GriddedFile file(kWinds);
  for (const char* month : {"1981-12", "1993-01"})
    EXPECT_SAYS(sentence([&] { file.month_step("UWND", month); }), "choose one from 1982-01 to 1992-12");
  for (const char* month : {"1983-1", "83-01", "1983-13", "1983-00", "January", "", "1983-01-05"})
    EXPECT_SAYS(sentence([&] { file.month_step("UWND", month); }), "write it as YYYY-MM");
  EXPECT_SAYS(sentence([] { GriddedFile(kRelief).month_step("ROSE", "1983-01"); }), "no time axis");
}

TEST_F(GriddedFileTest, DropsTheDoubledMeridianOfTheRelief) {
  const GriddedField relief = GriddedFile(kRelief).read("ROSE");
  EXPECT_EQ(relief.grid.nlon(), 1080);
  EXPECT_EQ(relief.grid.nlat(), 540);
  EXPECT_EQ(relief.filled, 0);
  EXPECT_GE(relief.grid.lon.front(), 0);
  EXPECT_LT(relief.grid.lon.back(), 360);
  // Tibet (32 N, 88 E) is high, the Pacific (0 N, 200 E) deep, East Antarctica (80 S, 80 E) high: nothing is flipped.
  auto at = [&](double lat, double lon) {
    return relief.values[static_cast<int>((lat + 90) * 3) * 1080 + static_cast<int>(lon * 3)];
  };
  EXPECT_GT(at(32, 88), 4000);
  EXPECT_LT(at(0, 200), -3000);
  EXPECT_GT(at(-80, 80), 2500);
}

TEST(MonthsOfAxis, ReadsItsUnits) {
  EXPECT_EQ(months_of_axis({17598}, "hour since 1980-01-14 14:00:00")[0], (DataMonth{1982, 1}));
  EXPECT_EQ(months_of_axis({0, 59, 60}, "days since 2000-01-01"),
            (std::vector<DataMonth>{{2000, 1}, {2000, 2}, {2000, 3}}));
  EXPECT_EQ(months_of_axis({-1}, "seconds since 2000-01-01T00:00:00Z")[0], (DataMonth{1999, 12}));
  EXPECT_THROW(months_of_axis({0}, "months since 2000-01-01"), InputError);
  EXPECT_EQ((DataMonth{1983, 1}.number()), 198301);
}

// A field linear in latitude solves Laplace's equation in index space: a hole must come back exactly, but for the
// sweeps' stopping tolerance (1e-10 of the range per sweep).
TEST(FillMissing, RestoresALinearFieldInAHole) {
  const int nlat = 40, nlon = 60;
  std::vector<double> field, exact;
  std::vector<bool> missing;
  for (int j = 0; j < nlat; ++j)
    for (int i = 0; i < nlon; ++i) {
      const bool hole = j > 8 && j < 25 && (i > 50 || i < 12);  // across the wrap
      exact.push_back(3 * j - 20);
      field.push_back(hole ? -99.9 : exact.back());
      missing.push_back(hole);
    }
  const int holes = fill_missing(field, missing, nlat, nlon);
  EXPECT_EQ(holes, 16 * 21);
  for (std::size_t k = 0; k < field.size(); ++k) ASSERT_NEAR(field[k], exact[k], 1e-6);
}

TEST(FillMissing, StaysWithinTheKnownValues) {
  std::vector<double> field(20 * 20, 1e34);
  std::vector<bool> missing(400, true);
  for (int k = 0; k < 400; k += 37) {
    field[k] = k % 5;
    missing[k] = false;
  }
  fill_missing(field, missing, 20, 20);
  for (double v : field) {
    EXPECT_GE(v, -1e-8);
    EXPECT_LE(v, 4 + 1e-8);
  }
}

}  // namespace
}  // namespace tramontane
