"""Plots and tables of the learner's results.json."""

from .plots import COLOURS, plt

KINDS = {"convolution_forward": "convolution, forward", "convolution_backward_data": "convolution, data",
         "convolution_backward_weights": "convolution, weights", "gather_forward": "halos and links, forward",
         "gather_backward": "halos and links, backward", "weights": "weights repacked"}


def draw_all(result, folder):
    """Draws what there is. Returns (file name, title, caption) of each plot."""
    drawn = []
    for draw in (draw_rates, draw_shares, draw_kinds):
        figure = draw(result)
        if figure is None:
            continue
        picture, name, title, caption = figure
        picture.savefig(folder / name)
        plt.close(picture)
        drawn.append((name, title, caption))
    return drawn


def label(row):
    threads = "" if row["threads"] == 1 else f", {row['threads']} thr."
    return f"C{row['n']}, {row['width']}, {row['precision']}{threads}"


def draw_rates(result):
    rows = result["pairs"]
    if not rows:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.28 * len(rows) + 1.6), layout="constrained", sharey=True)
    for axis, what in zip(axes, ("train", "infer")):
        for name, colour, marker in (("ours", COLOURS[0], "o"), ("torch", COLOURS[1], "s")):
            points = [(row[what][name]["samples_per_processor_second"], k) for k, row in enumerate(rows)
                      if name in row[what]]
            axis.plot(*zip(*points), linestyle="", marker=marker, color=colour,
                      label={"ours": "this project", "torch": "PyTorch"}[name]) if points else None
        axis.set(xscale="log", xlabel="samples a processor second", title={"train": "training", "infer": "inference"}[what])
    axes[0].set_yticks(range(len(rows)), [label(row) for row in rows])
    axes[0].invert_yaxis()
    axes[0].legend()
    return figure, "rates.png", "Samples per second", (
        "Grid, width, precision. Batch 16, the two programs in turns, median by processor time. PyTorch with the fastest "
        "of the settings it tried.")


def draw_shares(result):
    rows = [row for row in result["pairs"] if "share_of_best_pass" in row["train"]["ours"]]
    if not rows:
        return None
    figure, axis = plt.subplots(figsize=(7, 0.28 * len(rows) + 1.6), layout="constrained")
    for k, row in enumerate(rows):
        for name, colour, shift in (("ours", COLOURS[0], -0.2), ("torch", COLOURS[1], 0.2)):
            if name in row["train"]:
                axis.barh(k + shift, row["train"][name]["share_of_best_pass"], 0.38, color=colour,
                          label={"ours": "this project", "torch": "PyTorch"}[name] if k == 0 else None)
    axis.axvline(0.5, color="#999999", linewidth=0.8, linestyle="--")
    axis.set_yticks(range(len(rows)), [label(row) for row in rows])
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="share of the best convolution")
    axis.legend()
    best = ", ".join(f"{p} {1e-9 * peak['best_pass']:.0f}" for p, peak in result["peaks"].items())
    return figure, "shares.png", "Training, share of the best convolution", (
        f"Nominal operations of the convolutions by processor time, over the fastest single pass of any 3 x 3 convolution "
        f"measured in the same suite on one core ({best} GFLOP/s).")


def draw_kinds(result):
    rows = result["pairs"]
    if not rows:
        return None
    figure, axis = plt.subplots(figsize=(8, 0.28 * len(rows) + 1.8), layout="constrained")
    for k, row in enumerate(rows):
        kinds = dict(row["layers"]["kind_seconds"])
        total, left = sum(kinds.values()), 0.0
        for colour, (kind, title) in zip(COLOURS, KINDS.items()):
            axis.barh(k, kinds[kind] / total, 0.7, left=left, color=colour, label=title if k == 0 else None)
            left += kinds[kind] / total
    axis.set_yticks(range(len(rows)), [label(row) for row in rows])
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="share of the forward and backward pass")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure, "kinds.png", "Time by kind of work", "Forward and backward pass of this project by processor time."


def tables(result):
    """(title, header, rows) of each table."""
    out = []
    for what, title in (("train", "Training"), ("infer", "Inference")):
        rows = []
        for row in result["pairs"]:
            ours, theirs = row[what]["ours"], row[what].get("torch")
            chosen = (row["facts"].get("torch") or {}).get("chosen", {}).get(what)
            rows.append([row["precision"], f"C{row['n']}", row["width"], row["threads"],
                         ours["samples_per_processor_second"],
                         theirs["samples_per_processor_second"] if theirs else None, row[what].get("ratio"),
                         ours["samples_per_second"], theirs["samples_per_second"] if theirs else None,
                         row[what].get("ratio_wall"), 1e-9 * ours["flops"], ours.get("share_of_best_pass"),
                         ours.get("share_of_three_passes"),
                         f"{chosen['way']}, {chosen['pass']} a pass" if chosen else None, max(row["load"])])
        if rows:
            out.append((f"{title}, samples per second", [
                "precision", "grid", "width", "threads", "ours, processor", "PyTorch", "ratio", "ours, wall", "PyTorch",
                "ratio", "GFLOP/s", "of best pass", "of best three passes", "PyTorch's setting", "load"], rows))
    rows = [[row["precision"], f"C{row['n']}", row["width"], row["threads"]] +
            [1e3 * row["layers"]["kind_seconds"][kind] for kind in KINDS] +
            [1e3 * row["tasks"].get(task, 0.0) for task in ("gather", "loss", "reduce", "clip", "update")]
            for row in result["pairs"]]
    if rows:
        out.append(("Milliseconds a step by kind (processor time; the last five columns by the wall clock)",
                    ["precision", "grid", "width", "threads"] + list(KINDS.values()) +
                    ["batch", "loss", "reduce", "clip", "optimiser"], rows))
    rows = [[p, s["images"], s["size"], s["channels"]] + [1e-9 * s[k] for k in
            ("forward", "backward_data", "backward_weights", "three_passes")]
            for p, peak in result["peaks"].items() for s in peak["shapes"]]
    if rows:
        out.append(("3 x 3 convolutions alone, GFLOP/s of a core", ["precision", "images", "size", "channels", "forward",
                                                                 "data", "weights", "three passes"], rows))
    return out
