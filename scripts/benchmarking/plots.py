"""Plots of results.json."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FixedLocator, NullLocator  # noqa: E402

plt.rcParams.update({
    "figure.dpi": 110, "savefig.bbox": "tight", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8.5,
})

KERNELS = ["ghosts", "gauss_lines", "edge_states", "alpha_fluxes", "beta_fluxes", "update", "edge_exchange",
           "edge_fluxes", "edge_update"]
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#666666", "#b8a000", "#111111"]
CURVE_COLOURS = {("ssprk3", 0.8): COLOURS[0], ("ssprk3", 1.6): COLOURS[4], ("rk4", 1.6): COLOURS[1],
                 ("rk63", 3.0): COLOURS[2], ("semi_implicit", 8.4): COLOURS[3]}
STYLE = {3: ":", 5: "-", 7: "--"}


def draw_all(result, folder):
    """Draws what there is. Returns (file name, title, caption) of each plot."""
    drawn = []
    for draw in (draw_time_to_error, draw_speed, draw_kernels, draw_roofline, draw_scaling, draw_convergence,
                 draw_williamson5, draw_steady_jet, draw_self_convergence, draw_integrators):
        figure = draw(result)
        if figure is None:
            continue
        picture, name, title, caption = figure
        picture.savefig(folder / name)
        plt.close(picture)
        drawn.append((name, title, caption))
    return drawn


def grid_axis(axis, sizes):
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sorted(set(sizes))))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([f"C{n}" for n in sorted(set(sizes))])


def reference_slope(axis, sizes, start, order):
    ends = [min(sizes), max(sizes)]
    axis.plot(ends, [start, start * (ends[1] / ends[0]) ** -order], color="#999999", linewidth=0.8, zorder=0)
    axis.annotate(f"order {order}", (ends[1], start * (ends[1] / ends[0]) ** -order), color="#777777", fontsize=8,
                  xytext=(3, 0), textcoords="offset points", va="center")


def draw_speed(result):
    table = (result.get("speed") or {}).get("table")
    if not table:
        return None
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for order in sorted({row["order"] for row in table}):
        rows = [row for row in table if row["order"] == order]
        rates = [[3 * row["cells"] / row["step"][key] / 1e6 for row in rows]
                 for key in ("upper_quartile", "median", "lower_quartile")]
        line = axis.plot([r["n"] for r in rows], rates[1], marker="o", label=f"order {order}")[0]
        axis.fill_between([r["n"] for r in rows], rates[0], rates[2], color=line.get_color(), alpha=0.2, linewidth=0)
        if any(max(r["load"]) > 1.5 for r in rows) and all(r["step"]["processor_median"] > 0 for r in rows):
            axis.plot([r["n"] for r in rows], [1e3 / r["processor_nanoseconds_per_cell_stage"] for r in rows],
                      linestyle=":", marker="x", color=line.get_color(), label=f"order {order}, by processor time")
    for value, text in ((20, "required"), (50, "goal")):
        axis.axhline(value, color="#999999", linewidth=0.8, linestyle="--")
        axis.annotate(text, (1, value), xycoords=("axes fraction", "data"), fontsize=8, color="#777777", ha="right",
                      va="bottom")
    grid_axis(axis, [row["n"] for row in table])
    axis.set_ylim(bottom=0)
    axis.set_ylabel("million cell-stages/s")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    back_end = (result["speed"].get("machine") or {}).get("back_end", "")
    return figure, "speed.png", "Speed", (
        f"SSPRK3 on one rank ({back_end}), median of the wall clock; the band lies between the quartiles. Crosses, where "
        "the machine was shared: by processor time. A full step is three stages.")


def draw_kernels(result):
    table = [row for row in (result.get("speed") or {}).get("table", [])]
    if not table:
        return None
    orders = sorted({row["order"] for row in table})
    figure, axes = plt.subplots(1, len(orders), figsize=(3.4 * len(orders), 4), layout="constrained", sharey=True,
                                squeeze=False)
    for axis, order in zip(axes[0], orders):
        rows = [row for row in table if row["order"] == order]
        below = [0.0] * len(rows)
        for name, colour in zip(KERNELS, COLOURS):
            values = [row["kernels"][name]["nanoseconds_per_cell_stage"] for row in rows]
            axis.bar(range(len(rows)), values, bottom=below, color=colour, label=name.replace("_", " "), width=0.7)
            below = [a + b for a, b in zip(below, values)]
        axis.set_xticks(range(len(rows)), [f"C{row['n']}" for row in rows])
        axis.set_title(f"order {order}", fontsize=10)
        axis.grid(axis="x", visible=False)
    axes[0][0].set_ylabel("ns a cell and stage")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, "kernels.png", "Time by kernel", "Median of each kernel inside a stage, one rank."


def draw_roofline(result):
    speed = result.get("speed") or {}
    machine, table = speed.get("machine"), [row for row in speed.get("table", []) if row["order"] == 5]
    if not machine or not table:
        return None
    limits = machine["limits"]
    peak, memory, cache = (limits[k]["best_rate"] / 1e9 for k in ("multiply_adds", "triad_memory", "triad_cache"))
    row = min(table, key=lambda r: abs(r["n"] - 192))
    figure, axis = plt.subplots(figsize=(6.8, 4.6), layout="constrained")
    intensity = [0.03, 30]
    for bandwidth, text, style in ((memory, "STREAM triad, memory", "-"), (cache, "triad, private cache", "--")):
        xs = [intensity[0], peak / bandwidth]
        axis.plot(xs, [x * bandwidth for x in xs], color="#444444", linestyle=style, linewidth=1,
                  label=f"{text}: {bandwidth:.0f} GB/s")
    axis.plot([peak / cache, intensity[1]], [peak, peak], color="#444444", linewidth=1,
              label=f"multiply-adds: {peak:.0f} GFLOP/s", linestyle="-.")
    for name, colour in zip(KERNELS, COLOURS):
        kernel = row["kernels"][name]
        if kernel.get("operations_per_cell_stage", 0) > 1:
            axis.plot(kernel["operations_per_cell_stage"] / kernel["bytes_per_cell_stage"],
                      kernel["operations_per_second"] / 1e9, "o", color=colour, label=name.replace("_", " "))
    axis.plot(row["operations_per_cell_stage"] / row["memory_bytes_per_cell_stage"], row["operations_per_second"] / 1e9,
              "*", markersize=14, color="black", label="whole stage, against memory")
    axis.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="GFLOP/s", xlim=intensity)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, "roofline.png", "Roofline", (
        f"One rank, C{row['n']}, order 5, all limits measured in the same suite. Circles: a kernel's operations over "
        "the bytes of the arrays it touches, most of which the cache delivers. Star: the whole stage over what memory must "
        "deliver.")


def draw_scaling(result):
    scaling = result.get("scaling") or {}
    rows = [("strong", r) for r in scaling.get("strong", [])] + [("weak", r) for r in scaling.get("weak", [])]
    if not rows:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for k, (kind, base) in enumerate(sorted({(kind, r["base_n"]) for kind, r in rows})):
        here = sorted((r for kd, r in rows if (kd, r["base_n"]) == (kind, base)), key=lambda r: r["ranks"])
        label = f"strong, C{base}" if kind == "strong" else f"weak, C{base} on one rank"
        style = {"marker": "o", "linestyle": "-" if kind == "strong" else "--", "label": label, "color": COLOURS[k]}
        ranks = [r["ranks"] for r in here]
        left.plot(ranks, [r.get("speedup") for r in here], **style)
        right.plot(ranks, [100 * r["halo_share"] for r in here], **style)
    most = max(r["ranks"] for _, r in rows)
    left.plot([1, most], [1, most], color="#999999", linewidth=0.8, zorder=0)
    left.set(xlabel="ranks", ylabel="cell-stages/s over those of one rank", ylim=(0, None))
    right.set(xlabel="ranks", ylabel="ghosts and edge exchange, % of a stage", ylim=(0, None))
    for axis in (left, right):
        axis.set_xticks(sorted({r["ranks"] for _, r in rows}))
    left.legend()
    return figure, "scaling.png", "Scaling over ranks", (
        "Rates over those of one rank; the grey line is perfect. Right: share of a stage that fills ghost cells "
        "(copies, messages, interpolation) and exchanges edge states, waiting included.")


def draw_convergence(result):
    accuracy = result.get("accuracy") or {}
    panels = [(case, title, accuracy.get(case) or []) for case, title in
              (("williamson2", "Williamson 2, 5 days"), ("lauter", "Läuter, 5 days"))]
    panels = [p for p in panels if any(series["rows"] for series in p[2])]
    if not panels:
        return None
    figure, axes = plt.subplots(1, len(panels), figsize=(4.8 * len(panels), 4), layout="constrained", squeeze=False)
    for axis, (_, title, all_series) in zip(axes[0], panels):
        sizes = [row["n"] for series in all_series for row in series["rows"] if row["n"] != 90]
        angles = sorted({series["alpha_deg"] for series in all_series})
        for series in all_series:
            rows = series["rows"]
            for norm, marker in (("l2", "o"), ("linf", "^")):
                axis.plot([r["n"] for r in rows], [r["errors"]["h"][norm] for r in rows], marker=marker, markersize=4,
                          linestyle=STYLE[series["order"]], color=COLOURS[angles.index(series["alpha_deg"])],
                          label=f"{series['alpha_deg']}°, order {series['order']}, {norm}")
        start = max(r["errors"]["h"]["l2"] for s in all_series for r in s["rows"])
        reference_slope(axis, sizes, 0.6 * start, 4)
        axis.set_yscale("log")
        grid_axis(axis, sizes)
        axis.set_title(title, fontsize=10)
        axis.set_ylabel("normalised error of h")
        axis.legend(fontsize=7)
    return figure, "convergence.png", "Exact solutions", (
        "Errors of h against exact cell means, RK4 at Courant number 0.8. Circles l2, triangles linf; full lines order "
        "5, dashed order 7.")


def draw_williamson5(result):
    case = (result.get("accuracy") or {}).get("williamson5")
    if not case or not any(series["rows"] for series in case["series"]):
        return None
    figure, axis = plt.subplots(figsize=(5.6, 4), layout="constrained")
    sizes = [row["n"] for series in case["series"] for row in series["rows"]]
    for series in case["series"]:
        for norm, colour in (("l2", COLOURS[0]), ("linf", COLOURS[3])):
            axis.plot([r["n"] for r in series["rows"]], [r["errors"]["h"][norm] for r in series["rows"]], marker="o",
                      color=colour, linestyle=STYLE[series["order"]], label=f"{norm}, order {series['order']}")
    axis.plot(90, 7.5e-4, "s", color=COLOURS[0], label="HOMME 1°, l2")
    axis.plot(90, 8.4e-3, "s", color=COLOURS[3], label="HOMME 1°, linf")
    axis.set_yscale("log")
    grid_axis(axis, sizes + [96])
    axis.set_ylabel("normalised error of h")
    axis.legend()
    return figure, "williamson5.png", "Williamson 5, day 15", (
        f"Against the run on C{case['reference_n']}, order {case['reference_order']}, averaged to the coarse cells. "
        "HOMME's figures are against a T213 spectral model, with 4 x 4 points an element and 30 elements an edge.")


def draw_steady_jet(result):
    series = (result.get("accuracy") or {}).get("galewsky_steady")
    if not series:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    sizes = sorted({s["n"] for s in series})
    for s in series:
        style = {"color": COLOURS[sizes.index(s["n"])], "linestyle": STYLE[s["order"]], "label":
                 f"C{s['n']}, order {s['order']}"}
        left.plot(s["days"][1:], s["largest_v"][1:], **style)
        right.plot(s["days"][1:], s["linf_h"][1:], **style)
    left.set(xlabel="day", ylabel="largest |v| (m/s)", yscale="log")
    right.set(xlabel="day", ylabel="linf of h", yscale="log")
    left.legend()
    return figure, "galewsky-steady.png", "The jet without its bump", (
        "Exact and steady: what grows is the grid's imprint, at the rate of the instability. Largest wind across the "
        "parallels (the jet has 80 m/s) and error of h.")


def draw_self_convergence(result):
    variants = (result.get("galewsky") or {}).get("variants") or {}
    panels = [(name, v["successive"]) for name, v in variants.items() if v["successive"]]
    if not panels:
        return None
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.8), layout="constrained", squeeze=False,
                                sharey=True)
    for axis, (name, rows) in zip(axes[0], panels):
        sizes = [row["n"] for row in rows]
        for k, day in enumerate(rows[0]["by_day"]):
            axis.plot(sizes, [row["by_day"][day]["vorticity"]["l2"] for row in rows], marker="o", markersize=4,
                      color=plt.cm.viridis(k / 6), label=f"day {day}")
        if len(sizes) > 1:
            reference_slope(axis, sizes, min(row["by_day"][day]["vorticity"]["l2"] for row in rows[:1] for day in
                                             rows[0]["by_day"]), 4)
        axis.set_yscale("log")
        grid_axis(axis, sizes)
        axis.set_title(name.replace("-", ", "), fontsize=10)
    axes[0][0].set_ylabel("l2 of vorticity against the next finer grid")
    axes[0][0].legend()
    return figure, "galewsky-convergence.png", "Self-convergence of the unstable jet", (
        "Order 7, rk63, each grid against the next finer one. With viscosity the fields converge point by point; "
        "without it they depend on grid and scheme once the vortices have rolled up.")


def draw_time_to_error(result):
    galewsky = result.get("galewsky") or {}
    panels = [(name, v["curves"]) for name, v in (galewsky.get("variants") or {}).items()
              if any(c["rows"] for c in v["curves"])]
    if not panels:
        return None
    days = [3, 6]
    figure, axes = plt.subplots(len(days), len(panels), figsize=(4.9 * len(panels), 3.5 * len(days)), squeeze=False,
                                layout="constrained", sharex="col")
    for column, (name, curves) in enumerate(panels):
        for axis, day in zip(axes[:, column], days):
            for curve in curves:
                rows = curve["rows"]
                axis.plot([r["seconds"] for r in rows], [r["vorticity_l2_by_day"][day] for r in rows], marker="o",
                          markersize=4, linestyle=STYLE[curve["order"]],
                          color=CURVE_COLOURS[(curve["integrator"], curve["courant"])],
                          label=f"{curve['integrator']}, Courant number {curve['courant']:g}"
                          if curve["order"] == 5 else None)
            axis.set(xscale="log", yscale="log", title=f"{name.split('-')[1]}, day {day}", ylabel="l2 of vorticity")
    for axis in axes[-1]:
        axis.set_xlabel("wall time in steps to day 6 (s)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
    grids = sorted({r["n"] for _, curves in panels for c in curves for r in c["rows"]})
    return figure, "time-to-error.png", "Wall time to a given error of vorticity: the unstable jet", (
        f"Grids {', '.join(f'C{n}' for n in grids)} along each curve, {result['ranks']} rank(s), errors against order 7 "
        f"on C{galewsky['reference_n']}. Full lines order 5, dashed order 7. Without viscosity day 6 is sensitive to grid "
        "and scheme: errors near 1 say that the vortices stand elsewhere.")


def draw_integrators(result):
    table = [row for row in result.get("integrators") or [] if row["finite"]]
    if not table:
        return None
    cases = list(dict.fromkeys(row["case"] for row in table))
    figure, axes = plt.subplots(1, len(cases), figsize=(4 * len(cases), 3.9), layout="constrained", squeeze=False)
    names = sorted({(r["integrator"], r["cfl"], r.get("helmholtz", "")) for r in table})
    for axis, case in zip(axes[0], cases):
        sizes = sorted({row["n"] for row in table})
        for row in table:
            if row["case"] != case:
                continue
            key = (row["integrator"], row["cfl"], row.get("helmholtz", ""))
            axis.plot(row["cpu_seconds"], row["depth"]["l2"], "os^"[sizes.index(row["n"]) % 3],
                      color=COLOURS[names.index(key)],
                      label=f"{key[0]} {key[1]:g} {key[2]}" if row["n"] == sizes[0] else None)
        axis.set(xscale="log", yscale="log", title=case, xlabel="processor seconds")
    axes[0][0].set_ylabel("l2 of depth")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
    return figure, "integrators.png", "Integrators at fixed grids", (
        f"Error of depth against SSPRK3 on C{table[0]['reference_n']}; markers by grid: circles C{sizes[0]}"
        + (f", squares C{sizes[1]}" if len(sizes) > 1 else "") + ".")
