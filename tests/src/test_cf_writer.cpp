// CF files: shape, dimension scales, and values that do not depend on the number of ranks.
#include <gtest/gtest.h>
#include <hdf5_hl.h>
#include <mpi.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <sstream>

#include "kernels/errors.hpp"
#include "kernels/precision.hpp"
#include "physics/cubed_sphere.hpp"
#include "src/output/cf_writer.hpp"
#include "src/output/forecast_writer.hpp"
#include "src/output/latlon_writer.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

struct World {
  int rank = 0, size = 1;
  World() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
  }
};

/// A folder for one test, the same on all ranks, removed at the end.
class Folder {
 public:
  Folder() {
    int id = getpid();
    MPI_Bcast(&id, 1, MPI_INT, 0, MPI_COMM_WORLD);
    path_ = fs::temp_directory_path() / ("tramontane-output-" + std::to_string(id));
    if (World().rank == 0) fs::create_directories(path_);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  ~Folder() {
    MPI_Barrier(MPI_COMM_WORLD);
    if (World().rank == 0) fs::remove_all(path_);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

/// A number that belongs to a cell and a record alone.
double value_of(std::size_t offset, int record) {
  return 1000.0 * record + std::sqrt(2.0 + offset);
}

std::vector<double> global_field(const Tiling& tiling, int record) {
  std::vector<double> global(tiling.cell_count());
  for (std::size_t k = 0; k < global.size(); ++k) global[k] = value_of(k, record);
  return global;
}

std::vector<double> owned_field(const Tiling& tiling, int record) {
  const int rank = World().rank;
  return tiles_from_global(tiling, global_field(tiling, record), tiling.first_tile(rank), tiling.owned_count(rank));
}

std::vector<double> read_all(const std::string& file, const std::string& name, std::vector<hsize_t>& shape) {
  const hid_t id = H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) throw std::runtime_error("cannot open " + file);
  const hid_t dataset = H5Dopen2(id, name.c_str(), H5P_DEFAULT), space = H5Dget_space(dataset);
  shape.resize(H5Sget_simple_extent_ndims(space));
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  std::vector<double> values(H5Sget_simple_extent_npoints(space));
  H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Sclose(space);
  H5Dclose(dataset);
  H5Fclose(id);
  return values;
}

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

const CfVariable kDepth{"h", "m", "depth of the fluid", ""};

TEST(ParallelCfWriter, ValuesAreThoseOfTheGlobalField) {
  const Folder folder;
  const World world;
  // Two tiles an edge: the tiles of a rank interleave in the file.
  const Tiling tiling(8, 2, world.size);
  {
    CfWriter writer(folder.file("a.nc"), MPI_COMM_WORLD, tiling, cubed_sphere_cf_grid(8), {kDepth}, {});
    writer.write_static({"orography", "m", "height of the ground", "surface_altitude"}, owned_field(tiling, 7));
    for (int record = 0; record < 3; ++record) writer.write(600.0 * record, {{"h", owned_field(tiling, record)}});
    EXPECT_EQ(writer.records(), 3);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  std::vector<hsize_t> shape;
  const std::vector<double> h = read_all(folder.file("a.nc"), "h", shape);
  EXPECT_EQ(shape, (std::vector<hsize_t>{3, 6, 8, 8}));
  for (int record = 0; record < 3; ++record) {
    const std::vector<double> expected = global_field(tiling, record);
    for (std::size_t k = 0; k < expected.size(); ++k) ASSERT_EQ(h[record * expected.size() + k], expected[k]);
  }
  EXPECT_EQ(read_all(folder.file("a.nc"), "orography", shape), global_field(tiling, 7));
  EXPECT_EQ(read_all(folder.file("a.nc"), "time", shape), (std::vector<double>{0, 600, 1200}));
}

TEST(ParallelCfWriter, FileIsTheSameToTheByteAsOneRankWrites) {
  const Folder folder;
  const World world;
  const auto write = [](const std::string& file, MPI_Comm comm, const Tiling& tiling,
                        const std::function<std::vector<double>(int)>& field) {
    CfWriter writer(file, comm, tiling, cubed_sphere_cf_grid(8), {kDepth}, provenance_attributes("t", "run", "d"));
    for (int record = 0; record < 2; ++record) writer.write(600.0 * record, {{"h", field(record)}});
  };
  const Tiling shared(8, 2, world.size), alone(8, 2, 1);
  write(folder.file("all.nc"), MPI_COMM_WORLD, shared, [&](int record) { return owned_field(shared, record); });
  if (world.rank == 0) {
    write(folder.file("one.nc"), MPI_COMM_SELF, alone,
          [&](int record) { return tiles_from_global(alone, global_field(alone, record), 0, alone.tile_count()); });
    EXPECT_EQ(bytes_of(folder.file("all.nc")), bytes_of(folder.file("one.nc")));
    const hid_t file = H5Fopen(folder.file("one.nc").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    char precision[64] = {};
    EXPECT_GE(H5LTget_attribute_string(file, "/", "precision", precision), 0);
    EXPECT_STREQ(precision, kPrecision);
    H5Fclose(file);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(ParallelCfWriter, FileOpensWhileItIsStillBeingWritten) {
  const Folder folder;
  const World world;
  const Tiling tiling(8, 1, world.size);
  CfWriter writer(folder.file("a.nc"), MPI_COMM_WORLD, tiling, cubed_sphere_cf_grid(8), {kDepth}, {});
  for (int record = 0; record < 2; ++record) {
    writer.write(60.0 * record, {{"h", owned_field(tiling, record)}});
    MPI_Barrier(MPI_COMM_WORLD);
    if (world.rank == 0) {
      // What a killed run leaves: the bytes that are on disk now.
      fs::copy_file(folder.file("a.nc"), folder.file("left.nc"), fs::copy_options::overwrite_existing);
      std::vector<hsize_t> shape;
      const std::vector<double> h = read_all(folder.file("left.nc"), "h", shape);
      ASSERT_EQ(shape, (std::vector<hsize_t>{static_cast<hsize_t>(record + 1), 6, 8, 8}));
      EXPECT_EQ(h.back(), global_field(tiling, record).back());
      EXPECT_EQ(read_all(folder.file("left.nc"), "time", shape).back(), 60.0 * record);
    }
  }
}

TEST(ParallelCfWriter, UnwritablePathThrowsOnEveryRank) {
  const Tiling tiling(8, 1, World().size);
  EXPECT_THROW(CfWriter("/no/such/folder/a.nc", MPI_COMM_WORLD, tiling, cubed_sphere_cf_grid(8), {kDepth}, {}),
               RunError);
}

TEST(ParallelForecastWriter, RecordsLieByStartLeadAndSystem) {
  const Folder folder;
  const World world;
  const Tiling tiling(8, 1, world.size);
  {
    ForecastWriter writer(folder.file("f.nc"), MPI_COMM_WORLD, tiling, cubed_sphere_cf_grid(8),
                          {"1991-01", "1991-07", "1992-01"}, {24, 72}, {kDepth}, {"fine", "hybrid"}, {});
    writer.write(2, 1, "hybrid", {{"h", owned_field(tiling, 5)}});
    writer.write(0, 0, "fine", {{"h", owned_field(tiling, 6)}});
  }
  MPI_Barrier(MPI_COMM_WORLD);
  std::vector<hsize_t> shape;
  const std::size_t cells = tiling.cell_count();
  const std::vector<double> hybrid = read_all(folder.file("f.nc"), "h_hybrid", shape);
  EXPECT_EQ(shape, (std::vector<hsize_t>{3, 2, 6, 8, 8}));
  EXPECT_EQ(hybrid[5 * cells + 17], value_of(17, 5));
  EXPECT_EQ(read_all(folder.file("f.nc"), "h_fine", shape)[17], value_of(17, 6));
  EXPECT_EQ(read_all(folder.file("f.nc"), "lead", shape), (std::vector<double>{24, 72}));
}

TEST(ParallelLatLonWriter, RemapsTheGatheredField) {
  const Folder folder;
  const World world;
  const Tiling tiling(8, 2, world.size);
  const LatLonGrid grid = LatLonGrid::regular(30);
  ASSERT_EQ(grid.lon.size(), 12u);
  ASSERT_EQ(grid.lat.size(), 6u);
  EXPECT_DOUBLE_EQ(grid.lat.front(), -75);
  {
    const std::vector<double> still(owned_field(tiling, 0).size(), 0.0), none[3] = {still, still, still};
    // A remap that can be told: the first cells of the global field.
    LatLonWriter writer(
        folder.file("l.nc"), MPI_COMM_WORLD, tiling, grid,
        [](const std::vector<double>& global) { return std::vector<double>(global.begin(), global.begin() + 72); },
        {kDepth}, {});
    for (int record = 0; record < 2; ++record) writer.write(3600.0 * record, {{"h", owned_field(tiling, record)}}, none);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  std::vector<hsize_t> shape;
  const std::vector<double> h = read_all(folder.file("l.nc"), "h", shape);
  EXPECT_EQ(shape, (std::vector<hsize_t>{2, 6, 12}));
  for (int k = 0; k < 72; ++k) ASSERT_EQ(h[72 + k], static_cast<float>(value_of(k, 1)));
  EXPECT_THROW(LatLonWriter("/no/such/folder/l.nc", MPI_COMM_WORLD, tiling, grid, {}, {kDepth}, {}), RunError);
}

TEST(CfGrid, AreasAndVerticesDescribeTheSphere) {
  const int n = 12;
  const CfGrid grid = cubed_sphere_cf_grid(n);
  double area = 0;
  for (double a : grid.area) area += a;
  const double sphere = 4 * std::numbers::pi * kEarthRadius * kEarthRadius;
  EXPECT_NEAR(area / sphere, 1, 1e-14);  // exact areas; the sum over 864 cells rounds
  const auto direction = [](double lon, double lat) {
    return to_cartesian(LonLat{lon * std::numbers::pi / 180, lat * std::numbers::pi / 180});
  };
  for (std::size_t cell = 0; cell < grid.lon.size(); ++cell) {
    const Vector3 middle = direction(grid.lon[cell], grid.lat[cell]);
    for (int v = 0; v < 4; ++v) {
      EXPECT_LE(std::abs(grid.lon_vertices[4 * cell + v] - grid.lon[cell]), 180);
      const Vector3 a = direction(grid.lon_vertices[4 * cell + v], grid.lat_vertices[4 * cell + v]);
      const int next = (v + 1) % 4;
      const Vector3 b = direction(grid.lon_vertices[4 * cell + next], grid.lat_vertices[4 * cell + next]);
      EXPECT_GT(dot(cross(a, b), middle), 0) << "edge " << v << " of cell " << cell << " runs clockwise";
    }
  }
}

TEST(CfFormat, ScalesCoordinatesAndMeasuresAreAttached) {
  const Folder folder;
  const Tiling tiling(8, 1, 1);
  {
    CfWriter writer(folder.file("a.nc"), MPI_COMM_SELF, tiling, cubed_sphere_cf_grid(8), {kDepth}, {});
    writer.write(0, {{"h", global_field(tiling, 0)}});
  }
  const hid_t file = H5Fopen(folder.file("a.nc").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  const hid_t h = H5Dopen2(file, "h", H5P_DEFAULT);
  const char* names[] = {"time", "panel", "y", "x"};
  for (unsigned dimension = 0; dimension < 4; ++dimension) {
    const hid_t scale = H5Dopen2(file, names[dimension], H5P_DEFAULT);
    EXPECT_GT(H5DSis_scale(scale), 0);
    EXPECT_GT(H5DSis_attached(h, scale, dimension), 0) << names[dimension];
    H5Dclose(scale);
  }
  const auto text = [&](const char* name) {
    char value[64] = {};
    return H5LTget_attribute_string(file, "h", name, value) < 0 ? std::string() : std::string(value);
  };
  EXPECT_EQ(text("coordinates"), "lon lat");
  EXPECT_EQ(text("cell_measures"), "area: cell_area");
  EXPECT_EQ(text("units"), "m");
  H5Dclose(h);
  H5Fclose(file);
}

TEST(CfFormat, NetcdfToolsReadTheFile) {
  if (std::system("command -v ncdump > /dev/null 2>&1") != 0) GTEST_SKIP() << "ncdump is not installed";
  const Folder folder;
  const Tiling tiling(8, 1, 1);
  {
    ForecastWriter writer(folder.file("f.nc"), MPI_COMM_SELF, tiling, cubed_sphere_cf_grid(8), {"1991-01", "1992-07"},
                          {24, 72}, {kDepth}, {"fine"}, {});
    writer.write(0, 0, "fine", {{"h", global_field(tiling, 0)}});
    CfWriter series(folder.file("a.nc"), MPI_COMM_SELF, tiling, cubed_sphere_cf_grid(8), {kDepth}, {});
    series.write(0, {{"h", global_field(tiling, 0)}});
  }
  const auto dump = [&](const std::string& arguments) {
    const std::string out = folder.file("dump.txt");
    EXPECT_EQ(std::system(("ncdump " + arguments + " > " + out).c_str()), 0);
    return bytes_of(out);
  };
  const std::string header = dump("-h " + folder.file("a.nc"));
  EXPECT_NE(header.find("time = UNLIMITED ; // (1 currently)"), std::string::npos) << header;
  EXPECT_NE(header.find("double h(time, panel, y, x)"), std::string::npos) << header;
  EXPECT_NE(header.find("double lon_bounds(panel, y, x, vertex)"), std::string::npos) << header;
  const std::string labels = dump("-v start_month " + folder.file("f.nc"));
  EXPECT_NE(labels.find("\"1991-01\",\n  \"1992-07\""), std::string::npos) << labels;
  EXPECT_NE(labels.find("double h_fine(start, lead, panel, y, x)"), std::string::npos) << labels;
}

}  // namespace
}  // namespace tramontane
