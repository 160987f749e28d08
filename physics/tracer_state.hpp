/// Tracers of a state: setting them from functions, reading mixing ratios back, their global content.
#pragma once

#include <functional>
#include <vector>

#include "physics/shallow_water.hpp"

namespace tramontane {

/// Sets one tracer of every level to the mixing ratio q: cell by cell the mass-weighted mean of q by five-point Gauss
/// quadrature, times the mass that the state holds, so that a constant q is one to the last digits.
/// @param depth fluid depth over the sphere, any unit: the weight within a cell
void set_tracer(const ShallowWater& solver, int tracer, const std::function<double(Vector3)>& q,
                const std::function<double(Vector3)>& depth, const State& state);

/// Mass-weighted means of q over cells, as set_tracer takes them, on owned tiles (tile, j, i).
std::vector<double> mass_weighted_means(const Grid& grid, const std::function<double(Vector3)>& q,
                                        const std::function<double(Vector3)>& depth);

/// Mixing ratio of the cells' means on owned tiles (tile, j, i): T / (sqrt_g phi).
std::vector<double> tracer_means(const ShallowWater& solver, const State& state, int tracer, int level = 0);

/// Global content of a tracer, the integral of h q over the sphere, in m3 times the unit of q. The same bits on any
/// number of ranks. Collective.
double tracer_content(const ShallowWater& solver, const State& state, int tracer, int level = 0);

}  // namespace tramontane
