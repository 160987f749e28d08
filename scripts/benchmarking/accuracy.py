"""Accuracy: runs of the real program with the decks, against exact solutions and against finer runs."""

import json
import math
from pathlib import Path

import compare_runs


def slope(coarse, fine, error):
    """Order of convergence between two rows."""
    a, b = error(coarse), error(fine)
    return math.log(a / b) / math.log(fine["n"] / coarse["n"]) if a > 0 and b > 0 else None


def with_slopes(rows, field="h"):
    """Adds the slopes in l2 and linf from the row before, within a series of equal facts."""
    for coarse, fine in zip(rows, rows[1:]):
        if fine["n"] >= 1.3 * coarse["n"]:  # C90 to C96 says nothing
            fine["slopes"] = {norm: slope(coarse, fine, lambda r, norm=norm: r["errors"][field][norm])
                              for norm in ("l2", "linf")}
    return rows


def facts(record):
    solver = record["summary"]["solver"]
    return {key: record[key] for key in ("n", "order", "integrator", "courant", "ranks")} | {
        "seconds": solver["seconds"], "processor_seconds": record["processor_seconds"], "load": record["load"],
        "steps": solver["steps"],
        "drifts": {k: solver[f"{k}_drift"] for k in ("mass", "energy", "enstrophy", "angular_momentum")}}


def is_good(record):
    return record is not None and record["exit_code"] == 0


def metrics_of(record):
    lines = (Path(record["folder"]) / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == "solver"]


def against(fine, coarse, hours):
    """Norms of h, speed and vorticity of one run against a finer one at a time that both wrote."""
    exact = compare_runs.Run(f"{fine['folder']}/solver.nc", hours)
    run = compare_runs.Run(f"{coarse['folder']}/solver.nc", hours)
    if abs(exact.hours - run.hours) > 1e-6:
        return None
    reference = compare_runs.coarse_grained(exact, run)
    values = {"h": run.h, "speed": (run.velocity**2).sum(0) ** 0.5, "vorticity": run.vorticity}
    return {name: compare_runs.norms(value, reference[name], run.area) for name, value in values.items()}


def exact_series(suite, deck, sizes, angles):
    """Errors against the exact solution, by angle, order and grid. The time step's error is kept below the grid's by
    RK4 at half its usual Courant number."""
    series = []
    for angle in angles:
        for order in (5, 7):
            rows = []
            for n in sizes:
                record = suite.solver_run(f"{deck}-a{angle}-o{order}-c{n}", deck, n, order, "rk4", 0.8,
                                          {"initial.alpha_deg": angle})
                if is_good(record):
                    rows.append(facts(record) | {"errors": record["summary"]["solver"]["errors"]})
            series.append({"alpha_deg": angle, "order": order, "rows": with_slopes(rows)})
    return series


def rest(suite):
    """Largest wind over a day. Between cells of random height the seventh-order relief overshoots the deck's 8 km, and
    there would be no fluid: order 7 gets 12 km."""
    rows = []
    for order, depth in ((5, 8000), (7, 12000)):
        for n in [24, 48] if suite.quick else [24, 48, 96]:
            record = suite.solver_run(f"rest-rough-o{order}-c{n}", "rest-rough", n, order,
                                      settings={"initial.mean_depth": depth})
            if is_good(record):
                rows.append(facts(record) | {
                    "mean_depth": depth, "largest_speed": max(m["largest_speed"] for m in metrics_of(record))})
    return rows


def williamson5(suite):
    sizes, finest = suite.coarser, suite.finest
    reference = suite.solver_run(f"williamson5-reference-c{finest}", "williamson5", finest, 7, "rk63")
    series = []
    for order in (5, 7):
        rows = []
        for n in sizes:
            record = suite.solver_run(f"williamson5-o{order}-c{n}", "williamson5", n, order, "rk4")
            if is_good(record) and is_good(reference):
                rows.append(facts(record) | {"errors": against(reference, record, 15 * 24)})
        series.append({"order": order, "rows": with_slopes(rows)})
    return {"reference_n": finest, "reference_order": 7, "day": 15, "series": series,
            "reference": facts(reference) if is_good(reference) else None}


def galewsky_steady(suite):
    """Largest wind across the parallels and error of h of the jet without its bump, by day."""
    import h5py
    import numpy

    series = []
    for order in (5, 7):
        for n in [24, 48] if suite.quick else [48, 96, 192]:
            record = suite.solver_run(f"galewsky-steady-o{order}-c{n}", "galewsky-steady", n, order, "rk63")
            if not is_good(record):
                continue
            errors = {round(m["time_seconds"] / 3600): m["error_h_linf"] for m in metrics_of(record)}
            with h5py.File(f"{record['folder']}/solver.nc") as file:
                hours = numpy.rint(file["time"][:] / 3600).astype(int)
                wind = [float(numpy.abs(v[:]).max()) for v in file["v"]]
            series.append(facts(record) | {"days": [h / 24 for h in hours.tolist()], "largest_v": wind,
                                           "linf_h": [errors[h] for h in hours.tolist()]})
    return series


def measure_accuracy(suite):
    sizes = [24, 48] if suite.quick else [24, 48, 90, 96]
    return {
        "williamson2": exact_series(suite, "williamson2", sizes, [45, 33]),
        "lauter": exact_series(suite, "lauter", [24, 48] if suite.quick else [24, 48, 96],
                               [0] if suite.quick else [0, 45]),
        "rest": rest(suite),
        "williamson5": williamson5(suite),
        "galewsky_steady": galewsky_steady(suite),
    }
