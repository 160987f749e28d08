#include "src/coupled/initial_cases.hpp"

#include <cmath>

#include "physics/cases/galewsky.hpp"
#include "physics/cases/lauter.hpp"
#include "physics/cases/rest.hpp"
#include "physics/cases/williamson1.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/cases/williamson5.hpp"
#include "physics/cases/williamson6.hpp"
#include "physics/tracer_state.hpp"
#include "src/coupled/start_states.hpp"
#include "src/coupled/tracer_report.hpp"

namespace tramontane {

namespace {

InitialRun start_analytic(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm) {
  const AnalyticCase start = analytic_case(deck.initial);
  // A case's tracer is a share between none and all.
  std::vector<TracerOptions> tracers;
  if (start.tracer) tracers.push_back(bounded_tracer(deck, "q", "1", 0.0, 1.0));
  InitialRun out;
  out.simulation = std::make_unique<Simulation>(deck, grid, comm, cell_means(*grid, start.orography),
                                                start.reference_height, start.rotation, std::move(tracers));
  const ShallowWater& solver = out.simulation->solver();
  set_state(solver, start, out.simulation->state());
  if (start.exact && start.steady)
    out.exact = [fields = exact_fields(solver, start, 0.0)](double) { return fields; };
  else if (start.exact)
    out.exact = [start, &solver](double time) { return exact_fields(solver, start, time); };
  if (start.tracer) {
    set_tracer(solver, 0, start, out.simulation->state());
    out.exact_tracer = [start, grid](double time) { return exact_tracer(*grid, start, time); };
  }
  return out;
}

/// A fluid at rest over the real relief or over random heights. The reference is not the surface, so that rest is kept
/// by the scheme's balance, not by a choice of origin.
InitialRun start_rest(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm) {
  RestingState start;
  if (deck.initial.relief == Relief::etopo)
    start = resting_over_relief(deck, *grid, comm);
  else
    start = resting_over(random_relief(*grid, kRandomReliefTop, static_cast<std::uint64_t>(deck.initial.seed)),
                         deck.initial.mean_depth + 0.5 * kRandomReliefTop);
  InitialRun out;
  out.simulation = std::make_unique<Simulation>(deck, grid, comm, start.orography, deck.initial.mean_depth);
  out.simulation->set_fields(start.fields);
  out.exact = [fields = start.fields](double) { return fields; };
  out.moves = false;
  return out;
}

InitialRun start_winds(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm) {
  WindsStates states(deck, grid, comm);
  InitialRun out;
  out.simulation =
      std::make_unique<Simulation>(deck, grid, comm, states.orography(deck.initial.month), deck.initial.mean_depth);
  out.simulation->set_fields(states.fields(deck.initial.month));
  return out;
}

}  // namespace

AnalyticCase analytic_case(const InitialDeck& initial) {
  const double alpha = initial.alpha_deg * kQuarterPi / 45.0;
  switch (initial.kind) {
    case InitialCase::williamson1:
      return williamson1(alpha);
    case InitialCase::williamson2:
      return williamson2(alpha);
    case InitialCase::williamson5:
      return tilted(williamson5(), alpha);
    case InitialCase::williamson6:
      return tilted(williamson6(), alpha);
    case InitialCase::galewsky:
      return tilted(galewsky(initial.perturbed), alpha);
    case InitialCase::lauter:
      return tilted(lauter(), alpha);
    case InitialCase::rest:
    case InitialCase::winds:
      break;
  }
  throw InputError(std::string("initial.case = ") + name_of(initial.kind) + " is not an analytic case");
}

InitialRun start_initial_case(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm) {
  switch (deck.initial.kind) {
    case InitialCase::winds:
      return start_winds(deck, std::move(grid), comm);
    case InitialCase::rest:
      return start_rest(deck, std::move(grid), comm);
    default:
      return start_analytic(deck, std::move(grid), comm);
  }
}

std::vector<double> speed_of(const CellFields& fields) {
  std::vector<double> speed(fields.depth.size());
  for (std::size_t k = 0; k < speed.size(); ++k)
    speed[k] = std::sqrt(fields.velocity[0][k] * fields.velocity[0][k] + fields.velocity[1][k] * fields.velocity[1][k] +
                         fields.velocity[2][k] * fields.velocity[2][k]);
  return speed;
}

std::map<std::string, ErrorNorms> errors_now(const InitialRun& run) {
  std::map<std::string, ErrorNorms> errors;
  const Simulation& simulation = *run.simulation;
  const Grid& grid = simulation.grid();
  const MPI_Comm comm = simulation.solver().comm();
  const CellFields now = simulation.fields();
  if (run.exact) {
    const CellFields exact = run.exact(simulation.time());
    errors["h"] = error_norms(grid, comm, now.depth, exact.depth);
    if (run.moves) errors["speed"] = error_norms(grid, comm, speed_of(now), speed_of(exact));
  }
  if (run.exact_tracer)
    errors["q"] = error_norms(grid, comm, tracer_means(simulation.solver(), simulation.state(), 0),
                              run.exact_tracer(simulation.time()));
  return errors;
}

}  // namespace tramontane
