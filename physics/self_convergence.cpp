#include "physics/self_convergence.hpp"

#include "physics/coarse_grain.hpp"

namespace tramontane {

namespace {

std::vector<double> speed_of(const CellFields& fields) {
  std::vector<double> speed(fields.depth.size());
  for (std::size_t k = 0; k < speed.size(); ++k)
    speed[k] = length({fields.velocity[0][k], fields.velocity[1][k], fields.velocity[2][k]});
  return speed;
}

}  // namespace

NestedDifference compare_nested(ShallowWater& fine, const State& fine_state, ShallowWater& coarse,
                                const State& coarse_state, int level) {
  const Grid& grid = coarse.grid();
  State reference = coarse.make_state("coarse-grained state");
  coarse_grain_state(fine, fine_state, coarse, reference);
  const CellFields exact = cell_fields(coarse, reference, level), fields = cell_fields(coarse, coarse_state, level);
  const std::vector<double> exact_vorticity =
      coarse_grain_means(fine.grid(), grid, relative_vorticity(fine, fine_state, level));
  return {error_norms(grid, coarse.comm(), fields.depth, exact.depth),
          error_norms(grid, coarse.comm(), speed_of(fields), speed_of(exact)),
          error_norms(grid, coarse.comm(), relative_vorticity(coarse, coarse_state, level), exact_vorticity)};
}

}  // namespace tramontane
