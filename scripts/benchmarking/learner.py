"""Benchmarks of the learner: samples per second of training and inference, beside the same network in PyTorch where
that is installed, timed in turns; share of what the cores reach in convolutions alone; time by kind of work. Finished
pieces are not repeated: run the same command again to go on. A piece is made anew when its file is gone."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .suite import Suite, machine_facts

PROGRAM = "tests/benchmarks/bench_learner"
#: Operations per second for estimates of time, and how long PyTorch takes to start and try its settings.
RATE, STARTING = {"f32": 1.5e11, "bf16": 2.5e11}, 25


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench learner", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="C24 and C48, widths 16 and 32, one thread: minutes")
    parser.add_argument("--output", help="folder for results.json, plots and report.html; default runs/bench-learner, "
                        "with --quick runs/bench-learner-quick")
    parser.add_argument("--torch", help="Python interpreter that has PyTorch; default: the first of $TRAMONTANE_TORCH, "
                        "python3 and /usr/bin/python3 that has it; 'none' leaves PyTorch out")
    parser.add_argument("--grids", help="cells along a panel edge, comma-separated; default 24,48,96,192")
    parser.add_argument("--widths", help="widths of the network, comma-separated; default 16,32,64")
    parser.add_argument("--precisions", default="f32,bf16", help="f32, bf16 or both, comma-separated")
    parser.add_argument("--threads", help="numbers of threads, comma-separated; default 1 and the cores at hand. Ours "
                        "trains on as many ranks of one thread, PyTorch on one process of so many threads")
    parser.add_argument("--rounds", type=int, help="turns of both programs; default 9, with --quick 5")
    parser.add_argument("--compile", action="store_true", help="let PyTorch try torch.compile too: a minute or two for "
                        "each piece")
    parser.add_argument("--minutes", type=float, help="begin no further piece after this time")
    parser.add_argument("--list", action="store_true", help="say what is left to measure and for how long")
    parser.add_argument("--report", action="store_true", help="measure nothing, write results and plots")
    parser.add_argument("--build", default="build/bench", help="folder of a finished build; default: build/bench, "
                        "which is brought up to date")
    parsed = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    defaults = ({"grids": "24,48", "widths": "16,32", "threads": "1", "rounds": 5} if parsed.quick else
                {"grids": "24,48,96,192", "widths": "16,32,64", "threads": "1" if cores == 1 else f"1,{min(cores, 16)}",
                 "rounds": 9})
    for name, value in defaults.items():
        if getattr(parsed, name) is None:
            setattr(parsed, name, value)
    try:
        for name in ("grids", "widths", "threads"):
            setattr(parsed, name, [int(v) for v in getattr(parsed, name).split(",")])
    except ValueError:
        parser.error("--grids, --widths and --threads take whole numbers, comma-separated")
    parsed.precisions = parsed.precisions.split(",")
    for precision in parsed.precisions:
        if precision not in RATE:
            parser.error(f"there is no precision '{precision}': choose f32 or bf16")
    return parsed


def find_torch(wanted):
    """(interpreter that has PyTorch, or None; why not)."""
    if wanted == "none":
        return None, "left out, as asked for by --torch none"
    tried = [wanted] if wanted else [c for c in (os.environ.get("TRAMONTANE_TORCH"), "python3", "/usr/bin/python3") if c]
    for candidate in tried:
        path = shutil.which(candidate)
        if path and subprocess.run([path, "-c", "import torch"], capture_output=True, check=False).returncode == 0:
            return path, ""
    if wanted:
        sys.exit(f"scripts/bench: {wanted} cannot import torch: name another interpreter by --torch")
    return None, f"skipped: PyTorch is not installed for {' or '.join(tried)}; name an interpreter by --torch"


def estimate(options, precision, n, width, threads, torch):
    """Seconds that a piece takes, from the operations of a U-Net of three levels at width 16 on C24."""
    step = 16 * 3 * 2.0e8 * (n / 24) ** 2 * (width / 16) ** 2 / RATE[precision] / threads
    each = max(1.0, step) + max(1.0, step / 3)
    settings = 4 * 8 * step if torch else 0
    return options.rounds * each * (3 if torch else 1) + settings + (STARTING if torch else 2)


def measure_pairs(suite, options, torch):
    rows = []
    program = suite.build / PROGRAM
    for threads in options.threads:
        for precision in options.precisions:
            for n in options.grids:
                for width in options.widths:
                    label = f"pair-{precision}-c{n}-w{width}-{threads}threads" + ("" if torch else "-alone")
                    parameters = [str(program), "--n", n, "--width", width, "--precision", precision, "--threads",
                                  threads, "--rounds", options.rounds]
                    parameters += ["--torch", torch] if torch else []
                    parameters += ["--compile"] if torch and options.compile else []
                    lines = suite.module_lines(label, "learner_pair", parameters, threads,
                                               estimate(options, precision, n, width, threads, torch))
                    rows += lines or []
    return rows


def measure_peaks(suite, options):
    peaks = {}
    for precision in options.precisions:
        lines = suite.program_lines(f"convolutions-{precision}", "bench_learner",
                                    ["--convolutions", "--precision", precision, "--seconds", 2 if suite.quick else 6],
                                    1, 60 if suite.quick else 180)
        if lines:
            peak = next(line for line in lines if line["record"] == "convolution_peak")
            peaks[precision] = peak | {"shapes": [line for line in lines if line["record"] == "convolution"]}
    return peaks


def add_shares(rows, peaks):
    """What part of the best convolution on one core the learner's processor time turns into, per core."""
    for row in rows:
        peak = peaks.get(row["precision"])
        for what in ("train", "infer"):
            for name, entry in row[what].items():
                if isinstance(entry, dict) and peak:
                    per_core = entry["flops"] / row["threads"]
                    entry["share_of_best_pass"] = per_core / peak["best_pass"]
                    entry["share_of_three_passes"] = per_core / peak["best_three_passes"]


def claims(result):
    rows = []

    def add(what, bound, value, holds):
        rows.append({"what": what, "bound": bound, "measured": value, "holds": bool(holds)})

    for row in result["pairs"]:
        name = f"{row['precision']}, C{row['n']}, width {row['width']}, {row['threads']} thread(s)"
        if "ratio" in row["train"] and row["n"] <= 48:
            add(f"Training against PyTorch, {name}: samples a processor second, ours over theirs", "≥ 1",
                row["train"]["ratio"], row["train"]["ratio"] >= 1)
        share = row["train"]["ours"].get("share_of_best_pass")
        if share is not None and row["width"] >= 32:
            add(f"Training, {name}: share of the best convolution", "≥ 0.5", share, share >= 0.5)
    return rows


def main():
    options = arguments()
    output = Path(options.output or ("runs/bench-learner-quick" if options.quick else "runs/bench-learner"))
    if not (Path(options.build) / PROGRAM).exists():
        sys.exit(f"scripts/bench: {options.build} holds no build of the benchmarks: run without --list and --report, or "
                 "name one by --build")
    torch, why = find_torch(options.torch)
    print(f"PyTorch: {torch or why}")
    suite = Suite(output, options.build, max(options.threads), options.quick, None, options.list, options.minutes)
    if options.report:
        suite.deadline = 0.0
    result = {"machine": machine_facts(suite), "mode": "quick" if options.quick else "full",
              "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "torch": {"interpreter_found": bool(torch), "note": why}}
    began = time.monotonic()
    result["peaks"] = measure_peaks(suite, options)
    result["pairs"] = measure_pairs(suite, options, torch)
    if options.list:
        print(f"\n{len(suite.missing)} pieces are left, about {suite.estimated / 60:.0f} min")
        return
    add_shares(result["pairs"], result["peaks"])
    result |= suite.closing_facts(began)
    result["claims"] = claims(result)
    from .learner_report import draw_all, tables
    from .report import write_report

    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(result, indent=1))
    pictures = draw_all(result, output)
    report = write_report(result, pictures, output, "the learner", tables(result))
    suite.tell_results(pictures, report, "pieces")


if __name__ == "__main__":
    main()
