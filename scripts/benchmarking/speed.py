"""Speed: time of a step and of each kernel, the machine's limits, scaling over ranks."""

import math

from .suite import tiles_per_edge


def measure_speed(suite):
    sizes = [48, 96, 192] if suite.quick else [48, 96, 192, 384, 768]
    seconds = 1 if suite.quick else 3
    machine, table = None, []
    lines = suite.program_lines("machine-limits", "bench_shallow_water",
                                ["--machine", "--n", 48, "--orders", 5, "--seconds", seconds], 1, 10 * seconds)
    if lines:
        machine = next(line for line in lines if line["record"] == "machine")
    for order in (3, 5, 7):
        for n in sizes:
            estimate = 3 * seconds + 40 * (n / 384) ** 2
            lines = suite.program_lines(f"speed-o{order}-c{n}", "bench_shallow_water",
                                        ["--n", n, "--orders", order, "--seconds", seconds], 1, estimate)
            table += [line for line in lines or [] if line["record"] == "speed"]
    for row in table:
        add_shares(row, (machine or {}).get("limits"))
    return {"machine": machine, "table": table}


def add_shares(row, limits):
    """Rates, and what part of the measured limits they are: of a limit its best sample, as STREAM reports it."""
    step = row["step"]["median"] / 3 / row["cells"]
    row["operations_per_second"] = row["operations_per_cell_stage"] / step
    row["memory_bytes_per_second"] = row["memory_bytes_per_cell_stage"] / step
    for kernel in row["kernels"].values():
        if "operations_per_cell_stage" in kernel:
            per_second = 1e9 / kernel["nanoseconds_per_cell_stage"]
            kernel["operations_per_second"] = kernel["operations_per_cell_stage"] * per_second
            kernel["bytes_per_second"] = kernel["bytes_per_cell_stage"] * per_second
    if limits:
        row["share_of_multiply_adds"] = row["operations_per_second"] / limits["multiply_adds"]["best_rate"]
        row["share_of_triad"] = row["memory_bytes_per_second"] / limits["triad_memory"]["best_rate"]


def measure_scaling(suite):
    cores = suite.ranks
    counts = sorted({1, cores} | {2**k for k in range(1, 12) if 2**k <= cores})
    seconds = 1 if suite.quick else 3
    result = {"strong": [], "weak": []}
    base = 96
    for kind, n_of in (("strong", {n: (lambda ranks, n=n: n) for n in ([96] if suite.quick else [96, 192, 384])}),
                       ("weak", {base: weak_size})):
        for n, size in n_of.items():
            for ranks in counts:
                here = size(ranks)
                tiles = tiles_per_edge(here, ranks)
                lines = suite.program_lines(
                    f"{kind}-c{n}-{ranks}ranks", "bench_shallow_water",
                    ["--n", here, "--tiles-per-edge", tiles, "--seconds", seconds], ranks, 3 * seconds + here / 24)
                for row in lines or []:
                    if row["record"] == "speed":
                        result[kind].append(scaling_row(row, n))
    for rows in result.values():
        for row in rows:
            alone = next((r for r in rows if r["base_n"] == row["base_n"] and r["ranks"] == 1), None)
            if alone:
                row["speedup"] = row["cell_stages_per_second"] / alone["cell_stages_per_second"]
                row["efficiency"] = row["speedup"] / row["ranks"]
    return result


def weak_size(ranks):
    """Cells along an edge that give every rank about as many cells as one rank has at C96."""
    return 8 * round(96 * math.sqrt(ranks) / 8)


def scaling_row(row, base):
    """What scaling is about: rate, and the share of a stage that goes into ghost cells and edge exchange."""
    laps = {name: kernel["seconds"]["median"] for name, kernel in row["kernels"].items()}
    return {"base_n": base, "n": row["n"], "ranks": row["ranks"], "tiles_per_edge": row["tiles_per_edge"],
            "cells_per_rank": row["cells"] / row["ranks"], "cell_stages_per_second": row["cell_stages_per_second"],
            "step": row["step"], "halo_share": (laps["ghosts"] + laps["edge_exchange"]) / sum(laps.values()),
            "load": row["load"]}
