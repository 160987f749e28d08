"""Benchmarks of the stream on one solver and one learner rank: frames beside plain MPI_Send of as many bytes and beside
files on disk, in turns; what streaming costs the solver; a soak that watches memory and ledger. Finished pieces are not
repeated: run the same command again to go on. A piece is made anew when its file is gone."""

import argparse
import json
import sys
import time
from pathlib import Path

from .plots import COLOURS, grid_axis, plt
from .report import write_report
from .suite import Suite, machine_facts

PROGRAM = "tests/benchmarks/bench_stream"
WAYS = {"mpi_send": "MPI_Send", "mpi_send_touched": "MPI_Send, one copy on each side",
        "stream_kept": "stream, kept", "stream_kept_filled": "stream, kept, one copy more",
        "stream_shared": "stream, copied", "stream_shared_filled": "stream, copied, one copy more",
        "stream_messages": "stream, messages",
        "files_page_cache": "files, page cache", "files_fsync": "files, fsync"}
PARTS = ("bandwidth", "slowdown", "soak")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench stream", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="C24, C96 and C192, few turns, a short soak: a minute or two")
    parser.add_argument("--output", help="folder for results.json, plots and report.html, and for the files that frames "
                        "are exchanged through; default runs/bench-stream, with --quick runs/bench-stream-quick")
    parser.add_argument("--only", help=f"parts to run, comma-separated: {','.join(PARTS)}")
    parser.add_argument("--grids", help="cells along a panel edge, comma-separated; default 24,48,96,192,384")
    parser.add_argument("--rounds", type=int, help="turns; default 21, with --quick 7")
    parser.add_argument("--queue", type=int, default=4, help="frames a solver rank may have under way; default 4")
    parser.add_argument("--frames", type=int, help="of the soak; default 20000, with --quick 10000")
    parser.add_argument("--deck", default="inputs/quickstart.yaml", help="what is taught with and without the stream")
    parser.add_argument("--minutes", type=float, help="begin no further piece after this time")
    parser.add_argument("--list", action="store_true", help="say what is left to measure and for how long")
    parser.add_argument("--report", action="store_true", help="measure nothing, write results and plots")
    parser.add_argument("--build", default="build/bench", help="folder of a finished build; default: build/bench, "
                        "which is brought up to date")
    parsed = parser.parse_args()
    defaults = ({"grids": "24,96,192", "rounds": 7, "frames": 10000} if parsed.quick else
                {"grids": "24,48,96,192,384", "rounds": 21, "frames": 20000})
    for name, value in defaults.items():
        if getattr(parsed, name) is None:
            setattr(parsed, name, value)
    try:
        parsed.grids = [int(n) for n in parsed.grids.split(",")]
    except ValueError:
        parser.error("--grids takes whole numbers, comma-separated")
    parts = parsed.only.split(",") if parsed.only else list(PARTS)
    for part in parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}': choose from {', '.join(PARTS)}")
    return parsed, parts


def measure(suite, options, parts):
    bandwidth, slowdowns, soaks = [], [], []
    if "bandwidth" in parts:
        for n in options.grids:
            lines = suite.program_lines(f"bandwidth-c{n}-queue{options.queue}", "bench_stream",
                                        ["bandwidth", "--n", n, "--rounds", options.rounds, "--queue", options.queue,
                                         "--folder", suite.output.resolve()], 2, 1 + options.rounds * 1.5)
            bandwidth += lines or []
    if "slowdown" in parts:
        for policy in ("drop_oldest", "block"):
            lines = suite.program_lines(f"slowdown-{policy}", "bench_stream",
                                        ["slowdown", "--rounds", options.rounds, "--deck", options.deck, "--policy",
                                         policy], 2, 4 * options.rounds)
            slowdowns += lines or []
    if "soak" in parts:
        for policy in ("drop_oldest", "block"):
            lines = suite.program_lines(f"soak-{policy}", "bench_stream",
                                        ["soak", "--n", 48, "--frames", options.frames, "--policy", policy], 2,
                                        0.004 * options.frames)
            soaks += lines or []
    return {"bandwidth": bandwidth, "slowdown": slowdowns, "soak": soaks}


def growth(soak, side):
    """Growth of resident memory after the first tenth of the way, over its size then."""
    return soak[f"{side}_most_bytes"] / soak[f"{side}_bytes"] - 1


def claims(result):
    rows = []

    def add(what, bound, value, holds):
        rows.append({"what": what, "bound": bound, "measured": value, "holds": bool(holds)})

    for row in result["bandwidth"]:
        if row["frame_bytes"] >= 1e6:
            size = f"Frames of {row['frame_bytes'] / 1e6:.2f} MB (C{row['n']}), queue of {row['queue']}"
            share = row["ways"]["stream_kept"]["of_mpi_send"]
            add(f"{size}: bandwidth over that of MPI_Send", "≥ 0.9", share, share >= 0.9)
            filled = (row["ways"]["stream_shared_filled"]["bytes_per_second"] /
                      row["ways"]["mpi_send_touched"]["bytes_per_second"])
            add(f"{size}: from fields that lie elsewhere to copies, over MPI_Send with a copy on each side", "≥ 0.9",
                filled, filled >= 0.9)
    for slowdown in result["slowdown"]:
        # Under block a solver that is faster than its learner waits for it, whatever the stream costs.
        if slowdown["policy"] != "block":
            value = slowdown["slowdown_wall"]
            add(f"Solver's slow-down by streaming, {slowdown['policy']}, learner on its own core (wall)", "< 0.05", value,
                value < 0.05)
    for soak in result["soak"]:
        name = f"Soak of {soak['produced']} frames, {soak['policy']}"
        add(f"{name}: ledger closed, nothing in flight or rejected", "yes",
            soak["is_closed"], soak["is_closed"] and soak["in_flight"] == 0 and soak["rejected"] == 0)
        for side in ("solver", "learner"):
            add(f"{name}: growth of the {side}'s memory", "< 0.02", growth(soak, side), growth(soak, side) < 0.02)
    return rows


def tables(result):
    out = []
    if result["bandwidth"]:
        out.append(("Bandwidth, GB/s (share of MPI_Send)", ["grid", "frame, MB"] + list(WAYS.values()) + ["load"],
                    [[f"C{r['n']}", 1e-6 * r["frame_bytes"]] +
                     [f"{1e-9 * r['ways'][w]['bytes_per_second']:.2f} ({r['ways'][w]['of_mpi_send']:.2f})" for w in WAYS] +
                     [max(r["load"])] for r in result["bandwidth"]]))
        out.append(("Processor seconds of both ranks a GB", ["grid"] + list(WAYS.values()),
                    [[f"C{r['n']}"] + [r["ways"][w]["processor_seconds_per_gb"] for w in WAYS]
                     for r in result["bandwidth"]]))
    for s in result["slowdown"]:
        out.append((f"Teaching C{s['n']} to C{s['coarse_n']}, {s['samples']} samples, {s['policy']}: "
                    f"{100 * s['slowdown_wall']:.1f} % slower with the stream; waited for room {s['room_seconds']:.2f} s in "
                    f"{s['rounds']} turns", ["", "wall s", "processor s"],
                    [[{"alone": "learner asleep", "training": "learner trains, no stream",
                       "streaming": "learner trains, stream"}[name], c["wall_seconds"], c["processor_seconds"]]
                     for name, c in s["cases"].items()]))
    if result["soak"]:
        out.append(("Soak", ["policy", "frames", "GB", "delivered", "dropped", "solver, MB", "most", "learner, MB", "most",
                             "s"],
                    [[s["policy"], s["produced"], 1e-9 * s["bytes"], s["delivered"], s["dropped"],
                      1e-6 * s["solver_bytes"], 1e-6 * s["solver_most_bytes"], 1e-6 * s["learner_bytes"],
                      1e-6 * s["learner_most_bytes"], s["seconds"]] for s in result["soak"]]))
    return out


def draw_bandwidth(result, folder):
    rows = sorted(result["bandwidth"], key=lambda row: row["n"])
    if not rows:
        return []
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for colour, (way, name) in zip(COLOURS, WAYS.items()):
        axis.plot([r["n"] for r in rows], [1e-9 * r["ways"][way]["bytes_per_second"] for r in rows], marker="o",
                  markersize=4, color=colour, label=name)
    grid_axis(axis, [r["n"] for r in rows])
    axis.set(yscale="log", ylabel="GB/s", xlabel="grid of the samples")
    axis.legend()
    figure.savefig(folder / "bandwidth.png")
    plt.close(figure)
    return [("bandwidth.png", "Samples from a solver rank to a learner rank",
             "Median of the turns. MPI_Send is from a filled buffer to a buffer that nobody reads, the stream from a frame that "
             "the solver has filled where it lies to a checked sample, which stays there (kept) or is a copy; one copy more: "
             "from fields that lie elsewhere.")]


def main():
    options, parts = arguments()
    output = Path(options.output or ("runs/bench-stream-quick" if options.quick else "runs/bench-stream"))
    if not (Path(options.build) / PROGRAM).exists():
        sys.exit(f"scripts/bench: {options.build} holds no build of the benchmarks: run without --list and --report, or "
                 "name one by --build")
    suite = Suite(output, options.build, 2, options.quick, None, options.list, options.minutes)
    if options.report:
        suite.deadline = 0.0
    result = {"machine": machine_facts(suite), "mode": "quick" if options.quick else "full",
              "began": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    began = time.monotonic()
    if not options.list:
        output.mkdir(parents=True, exist_ok=True)
    result |= measure(suite, options, parts)
    if options.list:
        print(f"\n{len(suite.missing)} pieces are left, about {suite.estimated / 60:.0f} min")
        return
    result |= suite.closing_facts(began)
    result["claims"] = claims(result)
    (output / "results.json").write_text(json.dumps(result, indent=1))
    pictures = draw_bandwidth(result, output)
    report = write_report(result, pictures, output, "the stream", tables(result))
    suite.tell_results(pictures, report, "pieces")


if __name__ == "__main__":
    main()
