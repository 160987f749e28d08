/// Tracers of a state: setting them from functions, reading mixing ratios back, their global content.
#pragma once

#include <functional>
#include <vector>

#include "physics/initial_state.hpp"

namespace tramontane {

/// Sets one tracer of every level to the mixing ratio q: cell by cell the mass-weighted mean of q by five-point Gauss
/// quadrature, times the mass that the state holds, so that a constant q is one to the last digits.
/// @param depth fluid depth over the sphere, any unit: the weight within a cell
void set_tracer(const ShallowWater& solver, int tracer, const std::function<double(Vector3)>& q,
                const std::function<double(Vector3)>& depth, const State& state);

/// The same from the tracer and the depth of a case at `time` (s).
void set_tracer(const ShallowWater& solver, int tracer, const AnalyticCase& tracer_case, const State& state,
                double time = 0.0);

/// Mass-weighted means of q over cells, as set_tracer takes them, on owned tiles (tile, j, i).
std::vector<double> mass_weighted_means(const Grid& grid, const std::function<double(Vector3)>& q,
                                        const std::function<double(Vector3)>& depth);

/// The same of a case's tracer at `time` (s): the exact mixing ratios of cells.
std::vector<double> exact_tracer(const Grid& grid, const AnalyticCase& exact_case, double time);

/// Mixing ratio of the cells' means on owned tiles (tile, j, i): T / (sqrt_g phi).
std::vector<double> tracer_means(const ShallowWater& solver, const State& state, int tracer, int level = 0);

/// Global content of a tracer, the integral of h q over the sphere, in m3 times the unit of q. The same bits on any
/// number of ranks. Collective.
double tracer_content(const ShallowWater& solver, const State& state, int tracer, int level = 0);

}  // namespace tramontane
