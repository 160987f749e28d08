"""The figure that counts: wall time to a given error of vorticity on the unstable jet, for each integrator."""

import math

from .accuracy import against, facts, is_good, with_slopes
from .suite import COURANT, LIMIT_AT_ORDER_7

#: Curves: integrator and Courant number; ssprk3 twice, at its usual number and at its limit.
CURVES = [("ssprk3", 0.8), ("ssprk3", 1.6), ("rk4", 1.6), ("rk63", 3.0), ("semi_implicit", 8.4)]
TARGETS = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01]
DAYS = [1, 2, 3, 4, 5, 6]


def time_to(points, target):
    """Seconds at which log(error) against log(seconds) passes the target; None outside of what was measured."""
    points = sorted(points)
    for (t0, e0), (t1, e1) in zip(points, points[1:]):
        if e1 <= target <= e0 and e1 < e0:
            share = math.log(e0 / target) / math.log(e0 / e1)
            return math.exp(math.log(t0) + share * math.log(t1 / t0))
    return None


def curve_run(suite, variant, deck, n, order, integrator, courant):
    """A run; where it blows up, one at half the Courant number, and the record says so. None where the program refuses
    the pair of order and integrator."""
    if order == 7:
        courant = min(courant, LIMIT_AT_ORDER_7.get(integrator, courant))
        if courant == 0:
            return None
    for number in (courant, courant / 2):
        record = suite.solver_run(f"{variant}-{integrator}-{number:g}-o{order}-c{n}", deck, n, order, integrator,
                                  number, viscous=variant == "galewsky-viscous")
        if record is None or is_good(record):
            return record
    return record


def measure_galewsky(suite):
    sizes, finest = suite.nested_in(suite.finest_jet), suite.finest_jet
    result = {"reference_n": finest, "reference_order": 7, "field": "vorticity", "norm": "l2", "targets": TARGETS,
              "variants": {}}
    for variant, deck in (("galewsky-inviscid", "galewsky"), ("galewsky-viscous", "galewsky-viscous")):
        reference = suite.solver_run(f"{variant}-reference-c{finest}", deck, finest, 7, "rk63",
                                     viscous=variant == "galewsky-viscous")
        curves = []
        for order in (5, 7):
            for integrator, courant in CURVES:
                rows = []
                for n in sizes:
                    record = curve_run(suite, variant, deck, n, order, integrator, courant)
                    if not is_good(record) or not is_good(reference):
                        continue
                    errors = {day: against(reference, record, 24 * day) for day in DAYS}
                    rows.append(facts(record) | {"errors": errors[DAYS[-1]], "vorticity_l2_by_day":
                                                 {day: e["vorticity"]["l2"] for day, e in errors.items() if e}})
                with_slopes(rows, "vorticity")
                curve = {"integrator": integrator, "courant": courant, "order": order, "rows": rows}
                curve["seconds_to_error"] = {
                    str(day): {str(target): time_to(
                        [(r["seconds"], r["vorticity_l2_by_day"][day]) for r in rows], target) for target in TARGETS}
                    for day in DAYS}
                curves.append(curve)
        result["variants"][variant] = {"curves": curves,
                                       "successive": successive(suite, variant, deck, sizes, reference),
                                       "reference": facts(reference) if is_good(reference) else None}
    return result


def successive(suite, variant, deck, sizes, reference):
    """Self-convergence: each grid against the next finer one, by day, at order 7 with rk63; the runs of the curves."""
    runs = [suite_run for n in sizes if is_good(suite_run := curve_run(suite, variant, deck, n, 7, "rk63",
                                                                       COURANT["rk63"]))]
    if is_good(reference):
        runs.append(reference)
    rows = []
    for coarse, fine in zip(runs, runs[1:]):
        if fine["n"] % coarse["n"]:
            continue
        rows.append({"n": coarse["n"], "fine_n": fine["n"],
                     "by_day": {day: against(fine, coarse, 24 * day) for day in DAYS}})
    for before, row in zip(rows, rows[1:]):
        row["slopes_by_day"] = {
            day: {field: {norm: math.log(before["by_day"][day][field][norm] / row["by_day"][day][field][norm]) /
                          math.log(row["n"] / before["n"]) for norm in ("l2", "linf")}
                  for field in ("h", "vorticity")} for day in DAYS}
    return rows


def measure_integrators(suite):
    """Error against time at fixed grid and case, through bench_integrators."""
    sizes, reference, scale = ([24], 48, 0.5) if suite.quick else ([24, 48], 96, 1)
    table = []
    for case, days in (("williamson5", 5), ("galewsky", 6), ("winds", 5)):
        for n in sizes:
            for kind, runs, extra in (
                    ("chebyshev", "ssprk3:0.8,ssprk3:1.6,rk4:1.6,rk63:3.0,semi_implicit:8.4", []),
                    ("bjacobi", "semi_implicit:8.4", ["--solver", "fgmres", "--preconditioner", "bjacobi"])):
                estimate = 2.5 * days * scale * (reference / 96) ** 3 + 4 * (n / 48) ** 3
                lines = suite.program_lines(
                    f"integrators-{case}-c{n}-{kind}", "bench_integrators",
                    ["--case", case, "--n", n, "--days", days * scale, "--reference-n", reference,
                     "--reference-cfl", 1.5, "--runs", runs] + extra, 1, estimate)
                table += lines or []
    return table
