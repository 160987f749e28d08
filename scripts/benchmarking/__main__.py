"""Benchmarks of the solver: speed, scaling, accuracy, wall time to a given error. Finished runs are not repeated: run
the same command again to go on. A run is made anew when its folder is gone."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from . import accuracy, galewsky, speed
from .suite import Suite, machine_facts

PARTS = {
    "speed": speed.measure_speed,
    "scaling": speed.measure_scaling,
    "accuracy": accuracy.measure_accuracy,
    "integrators": galewsky.measure_integrators,
    "galewsky": galewsky.measure_galewsky,
}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench solver", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="grids up to C48 (speed: C192): minutes, not hours")
    parser.add_argument("--output", help="folder for results.json, plots, report.html and the runs; default "
                        "runs/bench-solver, with --quick runs/bench-solver-quick")
    parser.add_argument("--only", help=f"parts to run, comma-separated: {','.join(PARTS)}; the others are taken "
                        "as far as they are finished")
    parser.add_argument("--ranks", type=int, default=len(os.sched_getaffinity(0)),
                        help="most ranks to use; default: the cores at hand")
    parser.add_argument("--finest", type=int, help="grid of the reference run of Williamson 5; default 384, with "
                        "--quick 96")
    parser.add_argument("--finest-jet", type=int, help="grid of the reference runs of the unstable jet; default 192, "
                        "which resolves it with viscosity, with --quick 96; 384 takes hours")
    parser.add_argument("--minutes", type=float, help="begin no further run after this time")
    parser.add_argument("--list", action="store_true", help="say what is left to run and for how long, run nothing")
    parser.add_argument("--report", action="store_true", help="run nothing, write results and plots from what is there")
    parser.add_argument("--build", default="build/bench", help="folder of a finished build; default: build/bench, "
                        "which is brought up to date")
    parsed = parser.parse_args()
    parts = parsed.only.split(",") if parsed.only else list(PARTS)
    for part in parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}': choose from {', '.join(PARTS)}")
    if parsed.ranks < 1:
        parser.error("--ranks must be at least 1")
    for option in ("finest", "finest_jet"):
        value = getattr(parsed, option)
        if value is not None and (value < 48 or value % 48):
            parser.error(f"--{option.replace('_', '-')} must be a multiple of 48, because the coarser grids nest in it")
    return parsed, parts


def main():
    options, parts = arguments()
    output = Path(options.output or ("runs/bench-solver-quick" if options.quick else "runs/bench-solver"))
    if not (Path(options.build) / "src/tramontane").exists():
        sys.exit(f"scripts/bench: {options.build} holds no build: run without --list and --report, or name one by "
                 "--build")
    suite = Suite(output, options.build, options.ranks, options.quick, options.finest, options.list,
                  options.minutes, options.finest_jet)
    result = {"machine": machine_facts(suite), "mode": "quick" if options.quick else "full",
              "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "ranks": options.ranks}
    began = time.monotonic()
    for name, measure in PARTS.items():
        chosen = name in parts and not options.report
        if options.list and not chosen:
            continue
        if chosen:
            print(f"\n==> {name}", flush=True)
        deadline, suite.deadline = suite.deadline, suite.deadline if chosen else 0.0
        result[name] = measure(suite)
        suite.deadline = deadline
    if options.list:
        print(f"\n{len(suite.missing)} runs are left, about {suite.estimated / 60:.0f} min on {options.ranks} rank(s)")
        return
    result |= suite.closing_facts(began)
    from .claims import claims
    from .plots import draw_all
    from .report import write_report

    result["claims"] = claims(result)
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(result, indent=1))
    pictures = draw_all(result, output)
    report = write_report(result, pictures, output)
    suite.tell_results(pictures, report, "runs")


if __name__ == "__main__":
    main()
