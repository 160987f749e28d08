/// A solver with tracers on one of the analytic flows, for tests.
#pragma once

#include <cmath>
#include <memory>
#include <random>

#include "physics/cases/rest.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/diagnostics.hpp"
#include "physics/initial_state.hpp"
#include "physics/integrator.hpp"
#include "physics/tracer_state.hpp"

namespace tramontane::testing {

using PointFunction = std::function<double(Vector3)>;

/// A jet that runs over a steep hill on a cube corner: waves everywhere, depth far from steady.
inline AnalyticCase jet_over_hill() {
  AnalyticCase c = williamson2(0.6);
  const auto hill = [](Vector3 r) {
    const Vector3 d = r - Vector3{0.6, 0.6, 0.5};
    return 900.0 * std::exp(-20.0 * dot(d, d));
  };
  c.orography = hill;
  c.state = [flow = c.state, hill](Vector3 r, double) {
    PointState s = flow(r, 0.0);
    s.depth -= hill(r);
    return s;
  };
  c.steady = false;
  return c;
}

/// A flow that carries tracers.
struct TracerFlow {
  AnalyticCase flow;
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;

  TracerFlow(int n, int tiles, const AnalyticCase& c, std::vector<TracerOptions> tracers, MPI_Comm comm = MPI_COMM_SELF)
      : flow(c) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    grid = std::make_shared<Grid>(Tiling(n, tiles, ranks), rank);
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.rotation = c.rotation;
    options.deadline_seconds = 60;
    options.tracers = std::move(tracers);
    solver = std::make_unique<ShallowWater>(grid, comm, cell_means(*grid, c.orography), options);
    state = solver->make_state("state");
    set_state(*solver, c, state);
  }

  void set(int tracer, const PointFunction& q) {
    set_tracer(
        *solver, tracer, q, [this](Vector3 r) { return flow.state(r, 0.0).depth; }, state);
  }

  /// Runs for `seconds` at a Courant number of the state at the start; calls each(step) after every step.
  template <class Each>
  int run(double seconds, double courant, const Each& each) {
    double rate = solver->largest_rate(state);
    MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, solver->comm());
    const int steps = std::max(1, static_cast<int>(std::ceil(seconds * rate / courant)));
    SspRk3 integrator(*solver);
    for (int k = 0; k < steps; ++k) {
      integrator.step(*solver, state, seconds / steps);
      each(k);
    }
    return steps;
  }
  int run(double seconds, double courant = 0.8) {
    return run(seconds, courant, [](int) {});
  }

  std::vector<double> means(int tracer) const { return tracer_means(*solver, state, tracer); }
};

/// Great-circle angle between two unit vectors.
inline double angle_between(Vector3 a, Vector3 b) {
  return std::atan2(length(cross(a, b)), dot(a, b));
}

/// r turned about the unit vector `axis` by `angle`.
inline Vector3 turned(Vector3 r, Vector3 axis, double angle) {
  return std::cos(angle) * r + std::sin(angle) * cross(axis, r) + (dot(axis, r) * (1 - std::cos(angle))) * axis;
}

/// Axis of the flow of Williamson's case 2 tilted by alpha, and its angular velocity, s-1 (one turn in 12 days).
inline Vector3 flow_axis(double alpha) {
  return {-std::sin(alpha), 0.0, std::cos(alpha)};
}
inline constexpr double kTurnsRate = 2 * std::numbers::pi / (12 * 86400.0);

/// Least and largest entry.
inline std::pair<double, double> range_of(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {*least, *most};
}

}  // namespace tramontane::testing
