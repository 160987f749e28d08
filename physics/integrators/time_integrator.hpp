/// What all time integrators of the shallow-water core have in common.
#pragma once

#include <string>
#include <vector>

#include "physics/shallow_water.hpp"

namespace tramontane {

/// A number for each order of the reconstruction.
struct ByOrder {
  double third, fifth, seventh;
  double at(int order) const { return order == 3 ? third : order == 5 ? fifth : seventh; }
};

/// What is known of an integrator without making one.
struct IntegratorTraits {
  std::string name;  ///< as in the deck
  int order;         ///< of accuracy in the time step
  int stages;        ///< evaluations of the tendency a step
  /// Largest stable Courant number, in the sense of ShallowWater::largest_rate: time step times the
  /// largest sum over directions of (|u^i| + c sqrt(G^ii)) / (a spacing). See docs/design/time-integration.md. Zero
  /// where the two are not to be combined.
  ByOrder courant_limit;
  /// Largest stable product of the time step and a decay rate: what viscosity is limited by.
  double real_axis_limit;
  /// The Courant number of a deck that leaves it to the program, a tenth below the limit at least.
  ByOrder default_courant;
  /// Copies of a state that it keeps; vectors of its solves counted in.
  int copies;
  /// What a step costs at that Courant number, in evaluations of the tendency: `stages`, and for the semi-implicit
  /// integrator its solves too.
  double cost;
  /// Whether a constant mixing ratio stays constant: fluid and tracers then take the same stages.
  bool carries_tracers;

  /// For ShallowWater::largest_rate, so that one Courant number limits waves and viscosity together.
  double waves_to_decay(int reconstruction) const { return courant_limit.at(reconstruction) / real_axis_limit; }
};

/// Traits of every integrator there is.
const std::vector<IntegratorTraits>& integrator_table();

/// Traits by name. Throws InputError naming the known ones when there is no such integrator.
const IntegratorTraits& integrator_traits(const std::string& name);

std::vector<std::string> integrator_names();

/// Advances states by whole steps. Holds work arrays shaped for the solver that it was made for, nothing of the past: a
/// step depends on the state alone, so a run may stop and start between any two steps.
class TimeIntegrator {
 public:
  virtual ~TimeIntegrator() = default;

  /// Advances `state` by dt seconds, in place. The ghost cells of `state` are left undefined.
  virtual void step(ShallowWater& solver, const State& state, double dt) = 0;

  virtual const IntegratorTraits& traits() const = 0;
  const std::string& name() const { return traits().name; }
  int order() const { return traits().order; }
  int stages() const { return traits().stages; }
};

/// out <- a x + b y over whole arrays, ghost cells included; `out` may be x or y. All have one shape.
void combine(const State& out, double a, const State& x, double b, const State& y);

/// Variable 0 of `out` <- variable 0 of x, ghost cells included.
void copy_first_variable(const State& out, const State& x);

}  // namespace tramontane
