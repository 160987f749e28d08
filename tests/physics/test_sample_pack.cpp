// A sample packed by one kernel against the same made on the host, bit for bit, on any ranks.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "physics/cases/williamson2.hpp"
#include "physics/coarse_grain.hpp"
#include "physics/integrator.hpp"
#include "physics/sample_pack.hpp"

namespace tramontane {
namespace {

constexpr double kSeconds = 3600.0;
constexpr int kVariables = 9;

/// A coarse solver with three states that differ, as the end of an interval has them: where it began, where it came to
/// and where it should have come to.
struct Lesson {
  std::unique_ptr<ShallowWater> solver;
  State start, end, truth;

  Lesson(int n, int tiles, MPI_Comm comm) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    const auto grid = std::make_shared<Grid>(Tiling(n, tiles, ranks), rank);
    AnalyticCase flow = williamson2(0.6);
    flow.orography = [](Vector3 r) { return 300.0 * std::exp(-6.0 * (1.0 - r.x)); };
    ShallowWaterOptions options;
    options.reference = kGravity * flow.reference_height;
    solver = std::make_unique<ShallowWater>(grid, comm, cell_means(*grid, flow.orography), options);
    const auto state = [&](double lift, double turn) {
      AnalyticCase one = flow;
      one.state = [=](Vector3 r, double time) {
        PointState s = flow.state(r, time);
        s.depth += lift * (1.0 + 0.1 * r.x * r.y);
        s.velocity = s.velocity + turn * cross(Vector3{r.z, 0.2, r.x}, r);
        return s;
      };
      const State made = solver->make_state("state");
      set_state(*solver, one, made);
      return made;
    };
    start = state(0.0, 0.0);
    end = state(1.5, 0.3);
    truth = state(-2.5, 0.7);
  }

  /// (variable, owned cell), packed by the kernel.
  std::vector<float> packed() const {
    const SamplePack pack(*solver);
    View<float**> out("packed", kVariables, pack.cells());
    std::vector<float*> variables;
    for (int v = 0; v < kVariables; ++v) variables.push_back(out.data() + static_cast<std::size_t>(v) * pack.cells());
    pack(variables, start, end, truth, kSeconds);
    const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), out);
    return {host.data(), host.data() + host.size()};
  }

  /// The same by what the rest of the program uses: fields in double precision, then rounded.
  std::vector<float> by_fields() const {
    const CellFields from = cell_fields(*solver, start);
    const CellFields lacking = tendency_between(cell_fields(*solver, end), cell_fields(*solver, truth), kSeconds);
    const std::vector<double>& orography = solver->orography();
    std::vector<double> surface = from.depth;
    for (std::size_t k = 0; k < surface.size(); ++k) surface[k] += orography[k];
    std::vector<float> out;
    const std::vector<double>* const variables[kVariables] = {
        &surface,       &from.velocity[0],    &from.velocity[1],    &from.velocity[2],   &orography,
        &lacking.depth, &lacking.velocity[0], &lacking.velocity[1], &lacking.velocity[2]};
    for (const std::vector<double>* variable : variables)
      out.insert(out.end(), variable->begin(), variable->end());
    return out;
  }
};

/// Compares bits: no two of them may differ, NaN or not.
void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t k = 0; k < a.size(); ++k)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(a[k]), std::bit_cast<std::uint32_t>(b[k])) << k << ": " << a[k] << " " << b[k];
}

TEST(SamplePack, GivesTheBitsOfFieldsOnTheHost) {
  for (const auto& [n, tiles] : {std::pair{12, 1}, {12, 2}, {15, 3}}) {  // rows of 12, 6 and 5: with and without tails
    const Lesson lesson(n, tiles, MPI_COMM_SELF);
    const std::vector<float> packed = lesson.packed();
    expect_same_bits(packed, lesson.by_fields());
    // The comparison would hold of zeros too.
    for (int v = 0; v < kVariables; ++v) {
      const auto cells = packed.size() / kVariables;
      EXPECT_TRUE(std::any_of(packed.begin() + v * cells, packed.begin() + (v + 1) * cells,
                              [](float x) { return std::abs(x) > 1e-6f; }))
          << v;
    }
  }
}

TEST(ParallelSamplePack, IsThatOfOneRank) {
  const int n = 12, tiles = 2;
  const Lesson mine(n, tiles, MPI_COMM_WORLD), whole(n, tiles, MPI_COMM_SELF);
  const Grid& grid = mine.solver->grid();
  const std::vector<float> packed = mine.packed(), all = whole.packed();
  const std::size_t cells = packed.size() / kVariables, all_cells = all.size() / kVariables,
                    first = static_cast<std::size_t>(grid.first_tile()) * grid.tiling().cells_per_tile();
  std::vector<float> due;
  for (std::size_t v = 0; v < kVariables; ++v)
    due.insert(due.end(), all.begin() + v * all_cells + first, all.begin() + v * all_cells + first + cells);
  expect_same_bits(packed, due);
}

// A state that went wrong stays wrong: the learner rejects such a frame by its values.
TEST(SamplePack, KeepsNaN) {
  const Lesson lesson(12, 1, MPI_COMM_SELF);
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), lesson.end);
  host(2, 0, 1, kHalo + 3, kHalo + 4) = std::nan("");
  Kokkos::deep_copy(lesson.end, host);
  const std::vector<float> packed = lesson.packed();
  const std::size_t cells = packed.size() / kVariables, at = (2 * 12 + 3) * 12 + 4;
  for (std::size_t v = 0; v < kVariables; ++v)
    for (std::size_t k = 0; k < cells; ++k)
      EXPECT_EQ(std::isnan(packed[v * cells + k]), k == at && v >= 6) << v << " " << k;
}

TEST(SamplePack, OtherVariablesAreAnError) {
  const Lesson lesson(12, 1, MPI_COMM_SELF);
  const SamplePack pack(*lesson.solver);
  const std::vector<float*> too_few(kVariables - 1, nullptr);
  EXPECT_THROW(pack(too_few, lesson.start, lesson.end, lesson.truth, kSeconds), std::logic_error);
}

}  // namespace
}  // namespace tramontane
